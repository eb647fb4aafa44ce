"""A few seconds of each fuzz target, always the same cases. `scripts/fuzz` goes on where these stop."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.chaos import ChaosUpstream
from tests.fakes.door import opened
from tests.fuzz import relay_types
from tests.fuzz.chat_types import WRONG
from tests.fuzz.engine import Broken, Case, fuzz
from tests.fuzz.event_stream import EventStream
from tests.fuzz.json_guard import JsonGuard
from tests.fuzz.mutate import ODD, to_json
from tests.fuzz.targets import TARGETS
from tests.fuzz.upstream_answers import PROVIDERS
from tests.gateway.kit import hosts
from tollhouse.validate.relay import ENDPOINTS, check_relay

COUNTS = {
    "http-server": 1200,
    "upstream-client": 80,
    "event-stream": 800,
    "json-guard": 4000,
    "safety-text": 150,
    "gateway": 350,
    "chat-types": 150,
    "config-files": 700,
    "client-requests": 3000,
    **dict.fromkeys((f"answers-{name}" for name in PROVIDERS), 1000),
}
QUICK = settings(deadline=None, database=None, max_examples=150, derandomize=True)


@pytest.mark.parametrize("name", TARGETS)
async def test_no_case_of_the_first_few_fails(name: str) -> None:
    """What each target promises holds for the first cases."""
    async with TARGETS[name]() as target:
        assert await fuzz(name, target, 1, count=COUNTS[name]) == COUNTS[name]


async def test_f68_a_wrong_value_anywhere_is_a_400_that_names_its_place() -> None:
    """Every value that a rule of the chat request refuses, put where the rule applies, is a 400 with that path."""
    assert len(WRONG) > 2000
    async with opened() as door:
        for wrong in WRONG:
            fields = {"messages": [{"role": "user", "content": "hi"}], wrong.field: wrong.value}
            answer = await door.post({"model": "tollhouse/sim", **fields})
            found = (answer.status, answer.error["type"])
            assert found == (400, "invalid_request_error"), (wrong, answer)
            assert answer.error["param"] == wrong.path or answer.error["code"] == "invalid_json", (wrong, answer.error)
        assert door.count("tollhouse_attempts", "tollhouse", "ok") == 0
        assert (
            await door.post({"model": "tollhouse/sim", "messages": [{"role": "user", "content": "hi"}]})
        ).status == 200


async def test_f68_a_wrong_value_in_any_relayed_request_is_a_400_that_names_its_place() -> None:
    """The same holds for every field of every endpoint that is relayed, and the host is not asked."""
    assert len(relay_types.WRONG) > 1000
    for endpoint in ENDPOINTS:
        check_relay(endpoint, relay_types.body(endpoint, "up0/m"))
    async with ChaosUpstream([]) as upstream, opened(hosts(upstream)) as door:
        for endpoint, wrong in relay_types.WRONG:
            answer = await door.post(relay_types.body(endpoint, "up0/m", wrong), f"/v1/{endpoint}")
            assert (answer.status, answer.error["type"]) == (400, "invalid_request_error"), (endpoint, wrong, answer)
            assert answer.error["param"] == wrong.path or answer.error["code"] == "invalid_json", (wrong, answer.error)
        assert upstream.requests == []


@QUICK
@given(st.lists(st.sampled_from([b"data", b"event", b":", b" ", b"\r", b"\n", b"\xef\xbb\xbf", b"x", b"\n\n"])))
async def test_streams_of_events_in_any_pieces(pieces: list[bytes]) -> None:
    """Any sequence of the grammar's own tokens, cut anywhere, gives the events of the specification."""
    await EventStream().check(tuple(pieces))


@QUICK
@given(
    st.recursive(
        st.sampled_from(ODD) | st.integers() | st.text() | st.floats(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    ),
    st.randoms(use_true_random=False),
)
async def test_json_of_any_shape(value: Any, random: Random) -> None:
    """Any JSON in any layout, NaN and lone surrogates included, is read as the strict reader reads it, or refused."""
    await JsonGuard().check((b'{"a":' + to_json(random, value) + b"}",))


class Planted:
    """Fails on cases that hold a word; ``overheard`` leaves the failure to the event loop."""

    fixed = 1

    def make(self, random: Random) -> Case:
        """Noise, and in one case of some the word."""
        return (b"kept", random.randbytes(40), b"a" * 9 + b"wrong" * (random.randrange(20) == 0), random.randbytes(9))

    async def check(self, case: Case) -> None:
        """Looks for it."""
        if b"wrong" in b"".join(case):
            raise ZeroDivisionError


async def test_a_failure_is_found_reduced_and_can_be_repeated() -> None:
    """The report of a failure holds its number, which alone brings it back, and the smallest case that still fails."""
    with pytest.raises(Broken) as caught:
        await fuzz("planted", Planted(), 1)
    report = str(caught.value)
    assert "ZeroDivisionError" in report
    assert "b'\"'\"'kept'\"'\"', b'\"'\"'wrong'\"'\"'" in report
    number = int(report.split("--seed ")[1].split(maxsplit=1)[0])
    with pytest.raises(Broken):
        await fuzz("planted", Planted(), number, count=1)
