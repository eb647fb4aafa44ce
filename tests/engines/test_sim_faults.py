"""`tollhouse/sim` scripted: slow, failing, cut and stalled answers, for testing how one's own code takes them."""

import asyncio
import json
from typing import Any

import pytest

from tests.engines.sim_asking import ask, chunks_of, outgoing, pieces, request
from tollhouse.engines.sim import tokens
from tollhouse.engines.sim.model import Sim
from tollhouse.errors import UpstreamInterrupted, UpstreamStalled, UpstreamTimeout
from tollhouse.types.wire import Timeouts

QUICK = Timeouts(first_byte_s=0.1, idle_s=0.1, total_s=5)


def scripted(stream: bool = True, **knobs: Any) -> dict[str, Any]:
    """A request with these knobs."""
    return request(stream=stream, tollhouse_sim=knobs)


async def collected(body: dict[str, Any], fault: type[Exception], timeouts: Timeouts = QUICK) -> bytes:
    """What arrives before the fault."""
    found: list[bytes] = []
    with pytest.raises(fault):
        await gathered(body, timeouts, found)
    return b"".join(found)


async def gathered(body: dict[str, Any], timeouts: Timeouts, found: list[bytes]) -> None:
    """Puts all pieces into a list, which keeps those that came before a fault."""
    async for piece in pieces(body, timeouts):
        found.append(piece)  # noqa: PERF401  a comprehension would lose them


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("stream", [False, True])
async def test_error(status: int, stream: bool) -> None:
    """A scripted status comes with OpenAI's error object, and says that it is simulated."""
    answer = await ask(scripted(stream, error=status))
    assert answer.status == status
    assert "simulated" in answer.error["message"]
    assert isinstance(answer.error["type"], str)


async def test_retry_after() -> None:
    """A 429 says when to come back; other errors do when asked to."""
    assert (await ask(scripted(error=429))).headers["retry-after"] == "1"
    assert (await ask(scripted(error=429, retry_after=7))).headers["retry-after"] == "7"
    assert (await ask(scripted(error=503, retry_after=9))).headers["retry-after"] == "9"
    assert "retry-after" not in (await ask(scripted(error=500))).headers


async def test_error_by_directive() -> None:
    """The script can stand in the text for those who can edit nothing else."""
    body = request(messages=[{"role": "user", "content": "Hi [sim: error=503]"}])
    assert (await ask(body)).status == 503


@pytest.mark.parametrize("after", [0, 1, 5])
async def test_error_inside_a_stream(after: int) -> None:
    """After k events the stream carries an error event, ``error`` first, and ends without its mark."""
    raw = b"".join([piece async for piece in pieces(scripted(error_after=after, error=503))])
    *events, last, rest = raw.split(b"\n\n")
    assert len(events) == after
    assert last.startswith(b'data: {"error":{')
    assert json.loads(last[6:])["error"]["type"] == "service_unavailable_error"
    assert rest == b""
    assert b"[DONE]" not in raw


async def test_error_after_without_stream() -> None:
    """An answer in one piece cannot fail inside, so it fails as a whole."""
    assert (await ask(scripted(False, error_after=3))).status == 500


@pytest.mark.parametrize("after", [0, 1, 5, 100])
async def test_cut(after: int) -> None:
    """After exactly k events the connection is lost."""
    raw = await collected(scripted(cut_after=after, tokens=200), UpstreamInterrupted)
    assert raw.count(b"\n\n") == after


async def test_cut_behind_the_end() -> None:
    """A stream shorter than the cut is whole."""
    answer = await ask(scripted(cut_after=1000, reply="short"))
    assert answer.text == "short"


@pytest.mark.parametrize(("after", "some"), [(0, False), (3, True)])
async def test_cut_without_stream(after: int, some: bool) -> None:
    """An answer in one piece is cut in its middle, or before its first byte."""
    raw = await collected(scripted(False, cut_after=after), UpstreamInterrupted)
    assert bool(raw) == some
    with pytest.raises(ValueError, match=r".*"):
        json.loads(raw)


async def test_stall() -> None:
    """After k events nothing comes any more, until the idle timeout."""
    raw = await collected(scripted(stall_after=3), UpstreamStalled)
    assert raw.count(b"\n\n") == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_stall_before_the_first_byte(stream: bool) -> None:
    """A stall before anything came is a first-byte timeout."""
    assert await collected(scripted(stream, stall_after=0), UpstreamTimeout) == b""


async def test_stall_without_stream() -> None:
    """An answer in one piece stalls in its middle."""
    assert await collected(scripted(False, stall_after=1), UpstreamStalled)


async def test_stall_can_be_cancelled() -> None:
    """Whoever waits for a stalled answer can give up at any time."""
    incoming = await Sim().send(outgoing(scripted(stall_after=0)), Timeouts())
    reading = asyncio.create_task(incoming.next())
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    incoming.close()


async def test_aclose_ends_live_answers() -> None:
    """Closing the model ends the answers that are being read."""
    sim = Sim()
    incoming = await sim.send(outgoing(scripted(stall_after=0)), Timeouts())
    reading = asyncio.create_task(incoming.next())
    await asyncio.sleep(0.01)
    await sim.aclose()
    with pytest.raises(UpstreamInterrupted):
        await asyncio.wait_for(reading, 5)


@pytest.mark.parametrize("stream", [False, True])
async def test_ttft(stream: bool) -> None:
    """The first byte waits as long as asked; longer than the limit is a timeout."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    await ask(scripted(stream, ttft_ms=60, reply="x"))
    assert loop.time() - before >= 0.059
    assert await collected(scripted(stream, ttft_ms=500), UpstreamTimeout) == b""


async def test_slow_error() -> None:
    """An error waits too, and can take too long."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert (await ask(scripted(ttft_ms=40, error=500))).status == 500
    assert loop.time() - before >= 0.039
    with pytest.raises(UpstreamTimeout):
        await ask(scripted(ttft_ms=500, error=500), timeouts=QUICK)


@pytest.mark.parametrize("stream", [False, True])
async def test_tps(stream: bool) -> None:
    """Tokens come at the asked pace, and a whole answer takes as long as its tokens would."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    answer = await ask(scripted(stream, tps=100, tokens=11))
    assert loop.time() - before >= 0.099
    assert tokens.count(answer.text) == 11


async def test_paced_events_come_one_by_one() -> None:
    """A paced stream is written event by event as each is due."""
    found = [piece async for piece in pieces(scripted(tps=200, tokens=6))]
    assert len(found) >= 6


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("count", [1, 3, 300])
async def test_tokens(count: int, stream: bool) -> None:
    """The answer has exactly as many tokens as asked for."""
    answer = await ask(scripted(stream, tokens=count))
    assert tokens.count(answer.text) == count
    assert answer.finish() == ["stop"]


async def test_tokens_and_limit() -> None:
    """A limit below the asked length still cuts."""
    answer = await ask(request(max_tokens=5, tollhouse_sim={"tokens": 50}))
    assert (tokens.count(answer.text), answer.finish()) == (5, ["length"])


async def test_reply() -> None:
    """A scripted reply is said word for word."""
    text = "Line one.\n\n  Zwei \u00dc\U0001f600."
    assert (await ask(scripted(True, reply=text))).text == text
    assert (await ask(scripted(False, reply=text))).text == text


@pytest.mark.parametrize("reason", ["stop", "length", "content_filter"])
async def test_finish_reason(reason: str) -> None:
    """The finish reason can be set."""
    assert (await ask(scripted(finish_reason=reason))).finish() == [reason]


async def test_tool() -> None:
    """A tool can be called by name, whatever the text says; one that is not there is a 400."""
    tools = [{"type": "function", "function": {"name": name}} for name in ("first", "second")]
    answer = await ask(request(tools=tools, tool_choice="none", tollhouse_sim={"tool": "second"}))
    assert answer.message["tool_calls"][0]["function"]["name"] == "second"
    refused = await ask(request(tools=tools, tollhouse_sim={"tool": "third"}))
    assert (refused.status, refused.error["param"]) == (400, "tollhouse_sim.tool")


async def test_bad_knob() -> None:
    """A bad knob is a 400 that names it, over the wire too."""
    answer = await ask(scripted(ttft_ms=-5))
    assert (answer.status, answer.error["param"]) == (400, "tollhouse_sim.ttft_ms")


async def test_pace_with_choices() -> None:
    """With several choices each keeps the pace, and the stream is still well-formed."""
    raw = b"".join(
        [piece async for piece in pieces(request(n=3, stream=True, tollhouse_sim={"tps": 500, "tokens": 9}))]
    )
    assert len(chunks_of(raw)) == 3 * (9 + 2)
