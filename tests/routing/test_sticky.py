"""Conversations stay where their prompts are cached."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.routing.sticky import BITS, conversation_key, digest, rank, score

DIGESTS = [digest(f"h{i}/m") for i in range(6)]
KEYS = [conversation_key({"prompt_cache_key": f"c{i}"}, {}) for i in range(20_000)]
TALK = {"model": "m", "messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]}


class TestRank:
    """Rendezvous hashing."""

    def test_every_target_gets_its_share(self) -> None:
        """Conversations are spread evenly over the targets (chi-square, five degrees of freedom, 0.1 %)."""
        counts = Counter(rank(key, DIGESTS)[0] for key in KEYS)
        expected = len(KEYS) / 6
        assert sum((counts[i] - expected) ** 2 / expected for i in range(6)) < 20.5

    def test_weights_are_shares(self) -> None:
        """With weights 1, 2 and 5 conversations are spread so (chi-square, two degrees of freedom, 0.1 %)."""
        counts = Counter(rank(key, DIGESTS[:3], (1.0, 2.0, 5.0))[0] for key in KEYS)
        expected = [len(KEYS) * share / 8 for share in (1, 2, 5)]
        assert sum((counts[i] - e) ** 2 / e for i, e in enumerate(expected)) < 13.8

    def test_when_one_falls_out_only_its_own_move(self) -> None:
        """Without the last target every conversation of another stays where it was."""
        for key in KEYS[:2000]:
            before, after = rank(key, DIGESTS), rank(key, DIGESTS[:-1])
            assert [at for at in before if at != 5] == after

    def test_those_that_move_are_spread(self) -> None:
        """The conversations of a lost target go to all the others, not to one."""
        second = Counter(rank(key, DIGESTS)[1] for key in KEYS if rank(key, DIGESTS)[0] == 0)
        assert len(second) == 5
        assert min(second.values()) > 0.7 * max(second.values())

    def test_no_weight_comes_last(self) -> None:
        """A target of weight 0 is the last for every conversation."""
        assert all(rank(key, DIGESTS[:3], (0.0, 1.0, 1.0))[-1] == 0 for key in KEYS[:500])

    @given(st.integers(1, (1 << 64) - 1), st.integers(0, (1 << BITS) - 1))
    def test_a_score_is_bounded(self, key: int, name: int) -> None:
        """A score has as many bits as a digest."""
        assert 0 <= score(key, name) < 1 << BITS


class TestKey:
    """What a conversation is known by."""

    def test_later_turns_have_the_same(self) -> None:
        """The beginning counts: an answer and another question change nothing."""
        later = {
            **TALK,
            "messages": [*TALK["messages"], {"role": "assistant", "content": "Yes"}, {"role": "user", "content": "?"}],
        }
        assert conversation_key(TALK, {}) == conversation_key(later, {})

    @pytest.mark.parametrize("name", ["prompt_cache_key", "session_id", "conversation_id", "user"])
    def test_the_clients_own_name_counts(self, name: str) -> None:
        """A name that the client gives makes requests one conversation, whatever they say."""
        one, other = {**TALK, name: "x"}, {"messages": [], name: "x"}
        assert conversation_key(one, {}) == conversation_key(other, {}) != conversation_key(TALK, {})

    def test_a_header_counts_most(self) -> None:
        """A session header goes before the body's names."""
        assert conversation_key({"user": "a"}, {b"x-session-id": b"s"}) == conversation_key(
            {"user": "b"}, {b"x-session-id": b"s"}
        )

    def test_tenants_are_apart(self) -> None:
        """Two tenants with the same beginning have different conversations, so neither learns of the other's cache."""
        assert conversation_key(TALK, {}, "a") != conversation_key(TALK, {}, "b")

    @given(
        st.dictionaries(
            st.sampled_from(["user", "prompt_cache_key", "session_id", "model"]), st.none() | st.integers() | st.text()
        ),
        st.text(max_size=200),
    )
    def test_hostile_members(self, body: dict[str, object], tenant: str) -> None:
        """Members of any type give a key, never an exception."""
        assert 0 < conversation_key(body, {}, tenant) < 1 << 64
