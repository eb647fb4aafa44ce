"""What makes two requests the same: everything that could make another answer, and nothing else."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.errors import InvalidRequest
from tollhouse.gateway.replay_wishes import Wish, keep_seed, read_wish
from tollhouse.settings.replay import Replay
from tollhouse.types.calls import ChatCall, Loss
from tollhouse.types.tenancy import Chain, Principal

KEYS = Replay(seed=True, cache=True, keep_s=1000)
WHO = Principal("key_1", "k", 5, Chain(1, (5, 2), 2))
BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "seed": 7}
PLAIN = {name: value for name, value in BODY.items() if name != "seed"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = st.dictionaries(st.sampled_from(["temperature", "stop", "tools_of_mine", "logit_bias"]), VALUES)


def wish(
    body: dict[str, Any], headers: dict[bytes, bytes] | None = None, who: Principal = WHO, keys: Replay = KEYS
) -> Wish | None:
    """What a call of OpenAI's dialect wants."""
    call = ChatCall(str(body["model"]), body, bool(body.get("stream")), include_usage=False)
    return read_wish(call, headers or {}, who, keys, strict=False)


def digest(body: dict[str, Any], headers: dict[bytes, bytes] | None = None) -> bytes:
    """What the answer of a call is found by."""
    found = wish(body, headers)
    assert found is not None
    assert found.inner is not None
    return found.inner


def anthropic(body: dict[str, Any], **headers: str) -> Wish:
    """What a call of Anthropic's dialect wants."""
    sent = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    call = ANTHROPIC.read(json.dumps({"max_tokens": 5, **PLAIN, **body}).encode(), "", sent)
    found = read_wish(call, {b"x-tollhouse-cache": b"on", **sent}, WHO, KEYS, strict=False)
    assert found is not None
    return found


@given(MEMBERS, st.randoms())
def test_the_order_of_members_is_no_difference(members: dict[str, Any], chance: Any) -> None:
    """A request is what it says, whatever comes first, streamed or not, and for whom."""
    body = {**BODY, **members}
    names = [*body, "user", "stream"]
    chance.shuffle(names)
    other = {**body, "user": "u", "stream": True}
    assert digest(body) == digest({name: other[name] for name in names})


@given(MEMBERS, MEMBERS)
def test_any_difference_is_one(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two requests that do not say the same are not the same; 1 is not true, and null is not nothing."""
    same = json.dumps({**BODY, **one}, sort_keys=True) == json.dumps({**BODY, **other}, sort_keys=True)
    assert (digest({**BODY, **one}) == digest({**BODY, **other})) == same


def test_who_asks_and_how_is_part_of_it() -> None:
    """The model's name, the tenant, wishes for the router and a strict policy make other requests."""
    call = ChatCall("m", BODY, stream=False, include_usage=False)
    strict = read_wish(call, {}, WHO, KEYS, strict=True)
    assert strict is not None
    other = wish(BODY, who=Principal("key_2", "k", 6, Chain(1, (6, 2), 2)))
    assert other is not None
    found = [strict.inner, other.inner, digest(BODY)]
    found += [digest({**BODY, **more}) for more in ({"model": "n"}, {"prefer": "price"})]
    found += [digest(BODY, {b"x-tollhouse-prefer": b"speed"}), digest(BODY, {b"x-tollhouse-deny": b"a/*"})]
    assert len(set(found)) == len(found)


def test_the_scope_is_the_key_or_its_organisation() -> None:
    """As the operator says: the number of the one or of the other."""
    mine = wish(BODY)
    ours = wish(BODY, keys=Replay(seed=True, scope="org"))
    assert (mine.scope if mine else None, ours.scope if ours else None) == (5, 2)


@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1])
def test_any_integer_is_a_seed(seed: int) -> None:
    """Zero too."""
    found = wish({**BODY, "seed": seed})
    assert found is not None
    assert (found.by, found.age_s, found.anew) == ("seed", 1000, False)


@pytest.mark.parametrize("seed", [None, True, "7", 7.5])
def test_anything_else_is_none(seed: object) -> None:
    """What is no integer promises nothing."""
    assert wish({**BODY, "seed": seed}) is None


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({}, None),
        ({"": b"off"}, None),
        ({"": b"on"}, (1000, False)),
        ({"": b"Refresh "}, (1000, True)),
        ({"": b"on", "-ttl": b" 10 "}, (10, False)),
        ({"": b"on", "-ttl": b"5000"}, (1000, False)),
        ({"-ttl": b"nonsense"}, None),
    ],
)
def test_the_header_says_what_is_wanted_of_the_cache(
    headers: dict[str, bytes], wanted: tuple[int, bool] | None
) -> None:
    """Nothing without it; no longer than the operator allows."""
    found = wish(PLAIN, {b"x-tollhouse-cache" + name.encode(): value for name, value in headers.items()})
    assert (None if found is None else (found.age_s, found.anew)) == wanted


@pytest.mark.parametrize("headers", [{b"": b"maybe"}, {b"": b"on", b"-ttl": b"0"}, {b"": b"on", b"-ttl": b"\xb2"}])
def test_a_word_that_says_nothing_is_refused(headers: dict[bytes, bytes]) -> None:
    """A misspelt wish would else be one that is never granted."""
    with pytest.raises(InvalidRequest):
        wish(PLAIN, {b"x-tollhouse-cache" + name: value for name, value in headers.items()})


def test_a_dialect_shares_what_the_inner_form_holds() -> None:
    """The same request in two dialects has one digest in common, and a dialect's own answers have another."""
    found = anthropic({})
    assert found.inner == digest({**PLAIN, "max_tokens": 5}, {b"x-tollhouse-cache": b"on"})
    assert found.native not in (None, found.inner)
    assert anthropic({"metadata": {"user_id": "u"}}) == found
    assert anthropic({}, anthropic_version="2023-06-01").inner == found.inner


def test_what_the_inner_form_does_not_hold_is_not_shared() -> None:
    """With a beta, or a field that the dialect alone knows, only the dialect's own digest is left."""
    found = [anthropic({}, anthropic_beta="b"), anthropic({"odd": {"x": 1}}), anthropic({"odd": {"x": 2}})]
    assert [one.inner for one in found] == [None, None, None]
    assert len({one.native for one in found}) == 3


def test_a_seed_that_is_kept_is_not_lost() -> None:
    """What a target does not know of a seed is made good here; other losses stay."""
    losses = (Loss("seed"), Loss("top_k", "changed"), Loss("seed", "changed"))
    assert [(loss.param, loss.how) for loss in keep_seed(losses)] == [
        ("seed", "emulated"),
        ("top_k", "changed"),
        ("seed", "emulated"),
    ]


def test_prices_go_by_what_it_was_asked_for() -> None:
    """A seed has one share, the cache another."""
    keys = Replay(seed_price=Decimal(1), cache_price=Decimal("0.5"))
    assert (keys.price("seed"), keys.price("cache")) == (Decimal(1), Decimal("0.5"))
