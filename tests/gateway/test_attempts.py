"""Attempts: which faults move on to the next target, and what is said when all have failed."""

import asyncio
import random

import pytest

from tests.fakes.chaos import ChaosUpstream, Reset, Send, Step, chunk, chunked, closed_port, head
from tests.fakes.door import opened
from tests.fakes.openai_wire import DONE, ROLE, STOP, completion, delta, event, failure, stream
from tests.gateway.kit import ASK, STREAM, hosts
from tollhouse.errors import (
    UpstreamAuth,
    UpstreamFault,
    UpstreamModelMissing,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.trial import Trial, conceal
from tollhouse.ledger.prices import Bid, free_price
from tollhouse.routing.health import Health
from tollhouse.settings.routing import Routing
from tollhouse.snapshot import Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Host, Target
from tollhouse.types.secret import Secret

TARGETS = tuple(Target(Host(f"h{number}", f"http://127.0.0.{number + 1}/v1"), "m") for number in range(3))


def attempts_on(snapshot: Snapshot, count: int) -> tuple[Attempts, Metrics]:
    """The attempts of a call with so many targets."""
    metrics = Metrics()
    bids = tuple(Bid(target, free_price(target.host.name, "m"), 0, None, 0) for target in TARGETS[:count])
    return Attempts(snapshot, bids, Health(Routing()), metrics, lambda: 0.0), metrics


async def outcome(snapshot: Snapshot, *faults: UpstreamFault | None) -> tuple[UpstreamFault | str, Attempts, Metrics]:
    """What comes of targets that fail in this way, or answer where there is None."""
    attempts, metrics = attempts_on(snapshot, len(faults))
    left = list(faults)

    async def attempt(trial: Trial) -> str:
        await asyncio.sleep(0)
        fault = left.pop(0)
        if fault is not None:
            raise fault
        return trial.target.id

    try:
        return await attempts.first(attempt), attempts, metrics
    except UpstreamFault as fault:
        return fault, attempts, metrics


async def test_the_first_target_that_answers_is_the_answer() -> None:
    """Targets are tried in order, none after the one that answered, and each attempt is on record."""
    async with opened() as door:
        found, attempts, metrics = await outcome(door.app.parts.live.snapshot, UpstreamTimeout("t"), None, None)
        assert found == "h1/m"
        assert attempts.log == [("h0/m", "upstream_timeout"), ("h1/m", "ok")]
        assert (
            attempts.headers()
            == "x-tollhouse-target: h1/m\r\nx-tollhouse-attempts: 2\r\nx-tollhouse-fidelity: full\r\n"
        )
        assert metrics.counts["tollhouse_attempts", "h0", "upstream_timeout"] == 1


@pytest.mark.parametrize("fault", [UpstreamAuth("a"), UpstreamModelMissing("m", status=404), UpstreamTimeout("t")])
async def test_a_single_targets_fault_is_told_as_it_is(fault: UpstreamFault) -> None:
    """With one target there is nothing to sum up."""
    async with opened() as door:
        found, _, _ = await outcome(door.app.parts.live.snapshot, fault)
        assert found is fault


async def test_when_all_are_rate_limited_the_shortest_wait_is_told() -> None:
    """A limit at every target is a 429 with the first moment at which one of them may answer."""
    faults = [UpstreamRateLimited("r", headers={"retry-after": wait}) for wait in ("40", "9")]
    async with opened() as door:
        found, _, _ = await outcome(door.app.parts.live.snapshot, *faults, UpstreamRateLimited("r"))
        assert isinstance(found, UpstreamRateLimited)
        assert found.headers == {"x-should-retry": "false", "retry-after": "9"}
        assert "h2/m: rate_limit_exceeded" in found.message


async def test_mixed_faults_are_503_and_keep_a_wait() -> None:
    """One limit among other faults leaves its wait on the 503 that names every target."""
    limited = UpstreamRateLimited("r", headers={"retry-after": "5"})
    async with opened() as door:
        found, _, _ = await outcome(door.app.parts.live.snapshot, UpstreamTimeout("t"), limited)
        assert isinstance(found, UpstreamUnavailable)
        assert found.headers["retry-after"] == "5"
        assert "h0/m: upstream_timeout; h1/m: rate_limit_exceeded" in found.message


async def test_a_hosts_own_codes_make_no_series_of_metrics() -> None:
    """However many codes a host invents, its attempts are counted under one label, for series must stay few."""
    async with opened() as door:
        for number in range(20):
            rejected = UpstreamRejected("no", status=400, code=f"made_up_{number}")
            _, attempts, metrics = await outcome(door.app.parts.live.snapshot, rejected)
            assert attempts.log == [("h0/m", f"made_up_{number}")]
            assert metrics.counts == {("tollhouse_attempts", "h0", "rejected"): 1}


def test_a_fault_hides_its_hosts_secrets_and_leaves_ordinary_words() -> None:
    """Credential and header values vanish from the text; values as short as a word stay."""
    host = Host("h", "http://h/v1", Secret("hunter2 hunter2"), headers=(("x-a", "pass phrase"), ("x-v", "2024")))
    fault = UpstreamTimeout("sent hunter2 hunter2 with pass phrase and pass phrase in 2024")
    conceal(fault, host)
    assert fault.message == "sent [redacted] with [redacted] and [redacted] in 2024"


@pytest.mark.parametrize(("status", "code"), [(401, "upstream_auth"), (500, "upstream_bad_response")])
async def test_an_error_that_breaks_off_is_still_its_status(status: int, code: str) -> None:
    """A host that dies within its error's body, or sends one without end, has said enough with its status."""
    cut: list[Step] = [Send(head(status, "content-length: 50") + b'{"err'), Reset()]
    endless: list[Step] = [Send(head(status, "content-length: 9000000") + b"x" * 100_000)]
    async with ChaosUpstream(cut, endless) as up, opened(hosts(up)) as door:
        for _ in range(2):
            answer = await door.post(ASK)
            assert (answer.status, answer.error["code"]) == (502, code)
        await up.gone()


HELD_BACK: dict[str, list[bytes]] = {
    "role only": [ROLE],
    "nulls": [delta({"role": "assistant", "content": None, "tool_calls": None})],
    "empty tools": [ROLE, delta({"tool_calls": []}), delta({})],
}


@pytest.mark.parametrize("name", HELD_BACK)
async def test_a_stream_that_has_said_nothing_may_still_fall_back(name: str) -> None:
    """Openings without content commit to no host: when the stream then dies the next host's answer is the only one."""
    play: list[Step] = [Send(chunked(*HELD_BACK[name]))]
    async with ChaosUpstream(play) as first, ChaosUpstream([Send(stream("two"))]) as second:
        async with opened(hosts(first, second)) as door:
            answer = await door.post(STREAM)
            assert (answer.text, answer.headers["x-tollhouse-target"]) == ("two", "up1/m")
            assert answer.body.count(b'"role"') == 1


COMMITS: dict[str, bytes] = {
    "reasoning": delta({"reasoning_content": "hm"}),
    "a tool call": delta({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}),
    "a refusal": delta({"refusal": "no"}),
    "a finish reason": STOP,
}


@pytest.mark.parametrize("name", COMMITS)
async def test_the_first_thing_said_commits_to_its_host(name: str) -> None:
    """Anything that means something goes out at once, and what fails later is no second host's turn."""
    begun = head(200, "content-type: text/event-stream", "transfer-encoding: chunked") + chunk(ROLE + COMMITS[name])
    failed = chunk(event({"error": {"message": "x", "type": "overloaded_error"}})) + b"0\r\n\r\n"
    async with ChaosUpstream([Send(begun), Send(failed)]) as first, ChaosUpstream([Send(stream("two"))]) as second:
        async with opened(hosts(first, second)) as door:
            answer = await door.post(STREAM)
            assert answer.headers["x-tollhouse-target"] == "up0/m"
            assert not second.requests


async def test_a_stream_may_be_nothing_but_its_end() -> None:
    """An answer of no words at all is an answer: a role, a reason, and ``[DONE]``."""
    async with ChaosUpstream([Send(chunked(ROLE, STOP, DONE))]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert (answer.status, answer.text) == (200, "")
        assert answer.events[-1]["choices"][0]["finish_reason"] == "stop"
        assert answer.lines[-1] == b"[DONE]"


async def test_a_stream_of_done_alone_is_no_answer() -> None:
    """``[DONE]`` without anything before it is a failed attempt."""
    async with ChaosUpstream([Send(chunked(DONE))]) as up, opened(hosts(up)) as door:
        answer = await door.post(STREAM)
        assert (answer.status, answer.error["code"]) == (502, "upstream_bad_response")


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_fails_the_first_good_target_answers(seed: int) -> None:
    """Of hosts that fail in random ways the first that works is the one in the header, for JSON and for streams."""
    chance = random.Random(seed)  # noqa: S311 - a repeatable test
    plays = [failure(500), failure(429), failure(401), failure(503), b"HTTP/1.1 200 OK\r\n\r\n", b"junk\r\n\r\n"]
    bad = [Send(play) for play in chance.choices(plays, k=3)]
    good = chance.randrange(1, 4)
    async with (
        ChaosUpstream([bad[0]]) as a,
        ChaosUpstream([bad[1] if good > 1 else Send(stream("ok"))]) as b,
        ChaosUpstream([bad[2] if good > 2 else Send(completion("ok"))]) as c,
        ChaosUpstream([Send(stream("ok"))]) as d,
    ):
        async with opened(hosts(a, b, c, d, closed_port(), more="[upstream]\nmax_attempts = 5")) as door:
            answer = await door.post(STREAM)
            assert (answer.status, answer.text) == (200, "ok")
            assert answer.headers["x-tollhouse-target"] == f"up{good}/m"
            assert answer.headers["x-tollhouse-attempts"] == str(good + 1)
            assert door.idle
