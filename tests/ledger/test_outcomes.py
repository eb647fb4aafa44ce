"""Every way that a request can end: the hold it opened is resolved, once, as what it was."""

import asyncio
from dataclasses import dataclass

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Reset, Send, Step, chunk, chunked, head, whole
from tests.fakes.door import Door, eventually, opened
from tests.fakes.openai_wire import completion, failure, stream, words
from tests.gateway.kit import ASK, STREAM, hosts
from tests.gateway.test_disconnects import leave
from tollhouse.types.calls import Target, Usage

SSE = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
BEGUN = SSE + b"".join(chunk(part) for part in words("a", "b"))
EMBED = {"model": "both", "input": "x"}
SPEAK = {"model": "both", "input": "x", "voice": "v"}
SOUND = head(200, "content-type: audio/wav", "content-length: 99999") + b"x" * 5000
SWIFT = "[timeouts]\nfirst_byte_s = 0.15\nidle_s = 0.15\n"
CHAT, EMBEDDINGS, SPEECH, LEGACY = "chat/completions", "embeddings", "audio/speech", "completions"


@dataclass(frozen=True)
class Case:
    """One request, what its host does, and whether something was delivered, so that its hold settles."""

    path: str
    body: object
    play: list[Step]
    settles: bool
    leaves: bool = False


CASES = {
    "chat: answered": Case(CHAT, ASK, [Send(completion())], True),
    "chat: streamed": Case(CHAT, STREAM, [Send(stream("a"))], True),
    "chat: not json": Case(CHAT, b"{", [], False),
    "chat: unknown model": Case(CHAT, {**ASK, "model": "nope"}, [], False),
    "chat: refused": Case(CHAT, ASK, [Send(failure(400))], False),
    "chat: 500": Case(CHAT, ASK, [Send(failure(500))], False),
    "chat: closed": Case(CHAT, ASK, [Close()], False),
    "chat: silent": Case(CHAT, ASK, [Hang()], False),
    "chat: garbage": Case(CHAT, ASK, [Send(whole(b"nope"))], False),
    "chat: cut": Case(CHAT, ASK, [Send(completion()[:-9]), Close()], False),
    "chat: client left": Case(CHAT, ASK, [Hang()], False, leaves=True),
    "stream: refused": Case(CHAT, STREAM, [Send(failure(400))], False),
    "stream: empty": Case(CHAT, STREAM, [Send(chunked())], False),
    "stream: silent": Case(CHAT, STREAM, [Send(SSE), Hang()], False),
    "stream: reset midway": Case(CHAT, STREAM, [Send(BEGUN), Reset()], True),
    "stream: stalls midway": Case(CHAT, STREAM, [Send(BEGUN), Hang()], True),
    "stream: garbage midway": Case(CHAT, STREAM, [Send(BEGUN + chunk(b"data: {x\n\n")), Hang()], True),
    "stream: client left before": Case(CHAT, STREAM, [Send(SSE), Hang()], False, leaves=True),
    "stream: client left midway": Case(CHAT, STREAM, [Send(BEGUN), Hang()], True, leaves=True),
    "relay: answered": Case(EMBEDDINGS, EMBED, [Send(whole(b"{}"))], True),
    "relay: invalid": Case(EMBEDDINGS, {"model": "both"}, [], False),
    "relay: refused": Case(EMBEDDINGS, EMBED, [Send(failure(404))], False),
    "relay: garbage": Case(EMBEDDINGS, EMBED, [Send(whole(b"nope"))], False),
    "relay: silent": Case(EMBEDDINGS, EMBED, [Hang()], False),
    "relay: html": Case(EMBEDDINGS, EMBED, [Send(whole(b"<p>", 200, "text/html"))], False),
    "relay: client left": Case(EMBEDDINGS, EMBED, [Hang()], False, leaves=True),
    "relay: lacks it": Case(EMBEDDINGS, {**EMBED, "model": "tollhouse/sim"}, [], False),
    "relay: sound": Case(SPEECH, SPEAK, [Send(whole(b"abc", 200, "audio/wav"))], True),
    "relay: sound cut": Case(SPEECH, SPEAK, [Send(SOUND), Reset()], True),
    "relay: client left sound": Case(SPEECH, SPEAK, [Send(SOUND), Hang()], True, leaves=True),
    "relay: events cut": Case(
        LEGACY, {"model": "both", "prompt": "x"}, [Send(SSE + chunk(b'data: {"a":1}\n\n')), Reset()], False
    ),
}


class Recording:
    """A meter that keeps what settles."""

    def __init__(self) -> None:
        self.settled: list[tuple[str, Usage]] = []

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""
        self.settled.append((target.id, usage))


def bugs(door: Door) -> int:
    """How many times something went wrong in the gateway; a hold resolved twice would be one."""
    door.app.parts.log.flush()
    return door.log.getvalue().count(b'"event":"bug"')


@pytest.mark.parametrize("name", CASES)
async def test_each_way_out_resolves_the_hold(name: str) -> None:
    """Released where nothing was delivered, settled where something was; nothing stays open, and no bug is logged."""
    case = CASES[name]
    waits = "[timeouts]\nfirst_byte_s = 20.0\nidle_s = 20.0\n" if case.leaves else SWIFT
    async with ChaosUpstream(case.play) as up, opened(hosts(up, more=waits)) as door:
        meter = door.app.ledger.meter = Recording()
        if case.leaves:
            _, writer = await door.send("POST", f"/v1/{case.path}", case.body)
            await up.arrived()
            await asyncio.sleep(0.05)
            leave(writer, reset=True)
        else:
            await door.post(case.body, f"/v1/{case.path}")
        await eventually(lambda: door.idle)
        assert [target for target, _ in meter.settled] == (["up0/m"] if case.settles else [])
        assert bugs(door) == 0


async def test_a_crowd_of_mixed_outcomes_leaves_nothing_open() -> None:
    """Two hundred requests of every kind at once, a third of whose clients leave: all holds end, none twice."""
    async with ChaosUpstream([Send(stream("a", "b"), size=40)], [Send(failure(500))], [Send(BEGUN), Reset()]) as up:
        up.plays *= 70
        async with opened(hosts(up)) as door:
            meter = door.app.ledger.meter = Recording()

            async def visit(number: int) -> None:
                call = asyncio.create_task(door.post(STREAM))
                if number % 3 == 0:
                    await asyncio.sleep(0.01 * (number % 7))
                    call.cancel()
                await asyncio.gather(call, return_exceptions=True)

            await asyncio.gather(*[visit(number) for number in range(200)])
            await eventually(lambda: door.idle)
            ok, failed = (door.count("tollhouse_attempts", "up0", one) for one in ("ok", "upstream_bad_response"))
            assert len(meter.settled) == ok > 50
            assert failed > 20
            assert bugs(door) == 0
