"""Fallback before the first byte: for every class of fault of the first route, the second's answer is the only one."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.fakes.chaos import (
    ChaosUpstream,
    Close,
    Deaf,
    Hang,
    Pause,
    Reset,
    Send,
    Step,
    chunk,
    chunked,
    closed_port,
    head,
)
from tests.fakes.openai_wire import ROLE, completion, event, failure, stream
from tests.routing_faults.kit import ASK, BILLED_NUSD, STREAM, Upstream, judged, outcomes, said, served, settled, view

SSE = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
OVERLOADED = event({"error": {"message": "full", "type": "overloaded_error", "code": None}})

PLAYS: dict[str, tuple[list[Step], str, str]] = {
    "f02 no answer": ([Hang()], "upstream_timeout", "timeout"),
    "f06 close": ([Close()], "upstream_unreachable", "unreachable"),
    "f07 reset": ([Send(b"HTTP/1.1 200 OK\r\ncont"), Pause(0.02), Reset()], "upstream_interrupted", "broken"),
    "f08 header": ([Send(head(200, "x: a\x00b") + b"{}")], "upstream_protocol", "broken"),
    "f09 1xx": ([Send(head(101))], "upstream_protocol", "broken"),
    "f10 redirect": ([Send(head(302, "location: /", "content-length: 0"))], "upstream_redirect", "broken"),
    "f11 html": ([Send(head(200, "content-length: 2") + b"<p")], "upstream_bad_response", "broken"),
    "f14 cut": ([Send(completion()[:-9]), Close()], "upstream_interrupted", "broken"),
    "f19 silence": ([Send(head(200, "content-length: 500")), Hang()], "upstream_timeout", "timeout"),
    "f30 in band": ([Send(chunked(ROLE, OVERLOADED))], "", ""),
    "500": ([Send(failure(500))], "upstream_bad_response", "broken"),
    "502": ([Send(failure(502))], "", ""),
    "503": ([Send(failure(503))], "upstream_unavailable", "overload"),
    "529": ([Send(failure(529))], "upstream_unavailable", "overload"),
    "f32 429": ([Send(failure(429))], "rate_limit_exceeded", ""),
    "f36 401": ([Send(failure(401))], "upstream_auth", ""),
    "f36 403": ([Send(failure(403))], "upstream_auth", ""),
    "402": ([Send(failure(402))], "upstream_quota", ""),
    "no such model": ([Send(failure(404, "no model", "model_not_found"))], "model_not_found", ""),
}
"""What the first route does, the outcome that is on record, and what is counted against its model."""


@asynccontextmanager
async def broken(name: str) -> AsyncIterator[tuple[Upstream, str, str]]:
    """An upstream that fails in this way before anything is said, the outcome on record, and its class."""
    async with AsyncExitStack() as stack:
        if name == "f01 refused":
            yield closed_port(), "upstream_unreachable", "unreachable"
        elif name == "f02 blackhole":
            yield stack.enter_context(Deaf(full=True)), "upstream_timeout", "timeout"
        elif name == "f03 no such name":
            yield "https://nowhere.invalid/v1", "upstream_dns", "unreachable"
        elif name == "f05 no tls":
            plain = await stack.enter_async_context(ChaosUpstream([Send(failure(400))], answer_at="connect"))
            yield f"https://127.0.0.1:{plain.port}/v1", "upstream_tls", "unreachable"
        else:
            play, outcome, kind = PLAYS[name]
            yield await stack.enter_async_context(ChaosUpstream(play)), outcome, kind


ALL = [*PLAYS, "f01 refused", "f02 blackhole", "f03 no such name", "f05 no tls"]


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("name", ALL)
async def test_only_the_second_answer_is_seen_and_charged_once(name: str, *, streamed: bool) -> None:
    """Both attempts are on record with their outcomes; the client sees, and pays for, the second alone."""
    good = [Send(stream("fine")) if streamed else Send(completion("fine"))]
    async with broken(name) as (first, outcome, kind), ChaosUpstream(good) as second, served(first, second) as door:
        answer = await door.post(STREAM if streamed else ASK)
        assert (answer.status, said(answer)) == (200, "fine")
        assert answer.headers["x-tollhouse-target"] == "up1/m"
        assert answer.headers["x-tollhouse-attempts"] == "2"
        assert answer.body.count(b'"role"') == 1
        receipt = await settled(door, answer)
        (host, found), last = outcomes(receipt)
        assert (host, last) == ("up0", ("up1", "ok"))
        assert found == (outcome or found)
        assert found != "ok"
        (hold,) = await judged(door)
        assert (hold.state, hold.charge, hold.target) == ("settled", BILLED_NUSD, "up1/m")
        assert sum(entry["kind"] == "charge" for entry in receipt["entries"]) == 2  # both sides of one entry
        assert view(door, "up0").last_fault == (kind or view(door, "up0").last_fault)
        assert view(door, "up1").failures == 0


REFUSED: dict[str, tuple[bytes, str | None]] = {
    "f37 wrong": (failure(400, "bad"), None),
    "f37 too long": (failure(400, "This model's maximum context length is 8", "context_length_exceeded"), None),
    "f38 content policy": (failure(400, "no", "content_policy_violation"), None),
    "too large": (failure(413, "big"), None),
    "unprocessable": (failure(422, "bad"), None),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_errors_of_the_request_itself_neither_fall_back_nor_spare(name: str) -> None:
    """The client is told at once, however often; no second target is asked, and the first stays as it was."""
    refusal, _ = REFUSED[name]
    async with ChaosUpstream([Send(refusal)]) as first, ChaosUpstream([Send(completion())]) as second:
        async with served(first, second) as door:
            for _ in range(7):
                answer = await door.post(ASK)
                assert 400 <= answer.status < 500
            assert not second.requests
            assert len(first.requests) == 7
            assert (view(door, "up0").state, view(door, "up0").failures) == ("closed", 0)
            assert {(hold.state, hold.charge) for hold in await judged(door)} == {("released", 0)}


async def test_f37_a_prompt_too_long_goes_to_a_longer_context_alone() -> None:
    """A target that is known to have a longer context is asked; one as short as the first is not."""
    long = failure(400, "too long", "context_length_exceeded")
    good = [Send(completion("fits"))]
    async with ChaosUpstream([Send(long)]) as a, ChaosUpstream(good) as b, ChaosUpstream(good) as c:
        facts = "input_usd_per_1m = 3\noutput_usd_per_1m = 15\ncontext_tokens = 400000\n"
        longer = f'api_key = "k"\nbase_url = "http://127.0.0.1:{c.port}/v1"\n[providers.wide.models."m"]\n{facts}'
        async with served(a, b, targets='"up0/m", "up1/m", "wide/m"', alias=f"[providers.wide]\n{longer}") as door:
            answer = await door.post(ASK)
            assert (answer.status, said(answer)) == (200, "fits")
            assert answer.headers["x-tollhouse-target"] == "wide/m"
            assert not b.requests
            receipt = await settled(door, answer)
            assert outcomes(receipt) == [("up0", "context_length_exceeded"), ("wide", "ok")]


@pytest.mark.parametrize("reason", ["content_filter", "stop", "length"])
async def test_f38_a_filtered_answer_is_an_answer(reason: str) -> None:
    """A finish reason, whichever, is passed on from the first target, charged by its usage."""
    message = {"role": "assistant", "content": "part", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    body = completion(choices=[choice])
    async with ChaosUpstream([Send(body)]) as first, ChaosUpstream([Send(completion())]) as second:
        async with served(first, second) as door:
            answer = await door.post(ASK)
            assert answer.json["choices"][0]["finish_reason"] == reason
            assert not second.requests
            assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]


async def test_f17_heartbeats_are_no_answer() -> None:
    """A first route that only keeps the stream open is left for the second, though the client has had heartbeats."""
    more = "[server]\nheartbeat_s = 0.1\n[timeouts]\nfirst_byte_s = 0.5\nidle_s = 0.5\n"
    slow: list[Step] = [Send(SSE + chunk(ROLE)), Hang()]
    async with ChaosUpstream(slow) as first, ChaosUpstream([Send(stream("late"))]) as second:
        async with served(first, second, more=more) as door:
            answer = await door.post(STREAM)
            assert answer.text == "late"
            receipt = await settled(door, answer)
            assert outcomes(receipt)[1:] == [("up1", "ok")]


async def test_f39_every_route_down_names_each_and_asks_no_sdk_to_retry() -> None:
    """With all routes failing one fault names each target and its outcome; nothing is charged."""
    async with ChaosUpstream([Send(failure(500))]) as first, served(first, closed_port()) as door:
        answer = await door.post(ASK)
        assert answer.status == 503
        assert "up0/m: upstream_bad_response; up1/m: upstream_unreachable" in answer.error["message"]
        assert answer.headers["x-should-retry"] == "false"
        receipt = await settled(door, answer)
        assert outcomes(receipt) == [("up0", "upstream_bad_response"), ("up1", "upstream_unreachable")]
        assert [(hold.state, hold.charge) for hold in await judged(door)] == [("released", 0)]
