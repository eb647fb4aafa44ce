"""Writes a completion as OpenAI does: one JSON object, or server-sent events. Pure; clock and sockets are elsewhere.

What is scripted in time (first token, pace, a stall) leaves here as `Wait` steps between the bytes, and a scripted cut
as an exception where the bytes end, so `inprocess.Player` turns the same steps into a real reply.
"""

import base64
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from tollhouse.engines.inprocess import Step, Wait
from tollhouse.engines.sim import speech, tokens
from tollhouse.engines.sim.completion import SEEDED_AT, Called, Choice, Completion
from tollhouse.engines.sim.draws import Draws
from tollhouse.engines.sim.refusal import scripted
from tollhouse.engines.sim.script import Script
from tollhouse.errors import UpstreamInterrupted

BATCH = 64  # events in one write when no pace is set: enough to be fast, few enough to let others run
SOUND_PART = 12_000  # bytes of sound in one event
SOUND_KEPT_S = 3600
DONE = b"data: [DONE]\n\n"
Delta = tuple[int, dict[str, Any], dict[str, Any] | None]
"""Tokens sent so far with it, the delta, its logprobs."""


def steps(completion: Completion) -> Iterator[Step]:
    """The body of a successful reply, in time."""
    if completion.request.stream:
        return streamed(completion)
    return whole(completion, encoded(completion))


def encoded(completion: Completion) -> bytes:
    """The JSON object of an answer in one piece."""
    return msgspec.json.encode(
        {
            "object": "chat.completion",
            **completion.head,
            "choices": [plain(completion, choice) for choice in completion.choices],
            "usage": completion.usage,
        }
    )


def whole(completion: Completion, body: bytes) -> Iterator[Step]:
    """One JSON object, after as long as its tokens take."""
    script = completion.request.script
    if script.ttft_ms or script.tps:
        length = max(choice.spoken for choice in completion.choices)
        yield Wait(due_s(script, length))
    broken = next((after for after in (script.cut_after, script.stall_after) if after is not None), None)
    if broken is None:
        yield body
        return
    if broken:
        yield body[: len(body) // 2]
    if script.cut_after is None:
        yield Wait(math.inf)
    raise cut_off()


def streamed(completion: Completion) -> Iterator[Step]:
    """Server-sent events, at the scripted pace and with the scripted fault."""
    script = completion.request.script
    waiting: list[bytes] = []
    reached_s = 0.0
    for count, (sent, event) in enumerate(events(completion)):
        if count in (script.error_after, script.cut_after, script.stall_after):
            yield from flushed(waiting)
            yield from broken_off(script, count)
            return
        due = due_s(script, sent)
        if due > reached_s:
            yield from flushed(waiting)
            yield Wait(due)
            reached_s = due
        waiting.append(event)
        if len(waiting) == BATCH:
            yield from flushed(waiting)
    yield from flushed(waiting)


def flushed(waiting: list[bytes]) -> Iterator[bytes]:
    """What is waiting, in one piece."""
    if waiting:
        yield b"".join(waiting)
        waiting.clear()


def broken_off(script: Script, count: int) -> Iterator[Step]:
    """How the stream ends before its end: an error event, a cut, or silence."""
    if count == script.error_after:
        yield b"data: " + scripted(script.error or 500, None).body() + b"\n\n"
        return
    if count == script.stall_after:
        yield Wait(math.inf)
    raise cut_off()


def cut_off() -> UpstreamInterrupted:
    """The fault of a connection that is lost inside a body."""
    return UpstreamInterrupted("The simulated connection was cut inside the answer.")


def due_s(script: Script, sent: int) -> float:
    """When the given number of tokens is out, counted from the request."""
    return script.ttft_ms / 1000 + (max(0, sent - 1) / script.tps if script.tps else 0.0)


def events(completion: Completion) -> Iterator[tuple[int, bytes]]:
    """All events, the choices by turns, each with the tokens of its choice that are out once it is sent."""
    with_usage = {"usage": None} if completion.request.include_usage else {}
    head = {"object": "chat.completion.chunk", **completion.head}
    turns = [(choice, deltas(completion, choice)) for choice in completion.choices]
    last = 0
    while turns:
        for choice, source in list(turns):
            found = next(source, None)
            if found is None:
                turns.remove((choice, source))
                found = (choice.spoken, {}, None)
                finish: str | None = choice.finish_reason
            else:
                finish = None
            last = max(last, found[0])
            part = {"index": choice.index, "delta": found[1], "logprobs": found[2], "finish_reason": finish}
            yield found[0], event({**head, "choices": [part], **with_usage})
    if with_usage:
        yield last, event({**head, "choices": [], "usage": completion.usage})
    yield last, DONE


def event(payload: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"


def deltas(completion: Completion, choice: Choice) -> Iterator[Delta]:
    """What a choice sends, one token at a time, the role first."""
    empty = None if choice.calls or choice.sound else ""
    yield 0, {"role": "assistant", "content": empty, "refusal": None}, None
    if choice.sound:
        yield from sound_deltas(completion, choice)
        return
    draws = Draws(choice.probabilities)
    top = completion.request.top
    for sent, piece in enumerate(choice.pieces, 1):
        listed = None if top is None else {"content": [tokens.probability(piece, draws, top)], "refusal": None}
        yield sent, {"content": piece}, listed
    sent = len(choice.pieces)
    for index, called in enumerate(choice.calls):
        for delta in call_deltas(called, index):
            sent += 1
            yield sent, delta, None


def call_deltas(called: Called, index: int) -> Iterator[dict[str, Any]]:
    """A call: its name first, then its arguments or input bit by bit."""
    tool = called.call.tool
    if called.legacy:
        yield {"function_call": {"name": tool.name, "arguments": ""}}
        for piece in called.pieces:
            yield {"function_call": {"arguments": piece}}
        return
    word = argument_word(called)
    yield {
        "tool_calls": [{"index": index, "id": called.id, "type": tool.kind, tool.kind: {"name": tool.name, word: ""}}]
    }
    for piece in called.pieces:
        yield {"tool_calls": [{"index": index, tool.kind: {word: piece}}]}


def argument_word(called: Called) -> str:
    """What the text of a call is named."""
    return "input" if called.call.tool.kind == "custom" else "arguments"


def sound_deltas(completion: Completion, choice: Choice) -> Iterator[Delta]:
    """The transcript token by token, then the sound, then until when it is kept."""
    for sent, piece in enumerate(choice.pieces, 1):
        yield sent, {"audio": {"id": choice.sound_id, "transcript": piece}}, None
    for at in range(0, len(choice.sound), SOUND_PART):
        part = base64.b64encode(choice.sound[at : at + SOUND_PART]).decode()
        yield len(choice.pieces), {"audio": {"id": choice.sound_id, "data": part}}, None
    yield len(choice.pieces), {"audio": {"id": choice.sound_id, "expires_at": expiry(completion)}}, None


def expiry(completion: Completion) -> int:
    """When OpenAI would forget the sound; nothing is kept here."""
    return int(completion.head.get("created", SEEDED_AT)) + SOUND_KEPT_S


def plain(completion: Completion, choice: Choice) -> dict[str, Any]:
    """A choice of a whole answer."""
    text = "".join(choice.pieces)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    if choice.calls:
        message["content"] = text or None
        message.update(plain_calls(choice))
    if choice.sound:
        voice = completion.request.voice
        sound = speech.wav(choice.sound) if voice and voice.form == "wav" else choice.sound
        message["content"] = None
        message["audio"] = {
            "id": choice.sound_id,
            "expires_at": expiry(completion),
            "data": base64.b64encode(sound).decode(),
            "transcript": text,
        }
    listed = None
    if completion.request.top is not None and not choice.sound:
        draws = Draws(choice.probabilities)
        entries = [tokens.probability(piece, draws, completion.request.top) for piece in choice.pieces]
        listed = {"content": entries or None, "refusal": None}
    return {"index": choice.index, "message": message, "logprobs": listed, "finish_reason": choice.finish_reason}


def plain_calls(choice: Choice) -> dict[str, Any]:
    """The calls of a whole answer, in the spelling in which they were asked for."""
    first = choice.calls[0]
    if first.legacy:
        return {"function_call": {"name": first.call.tool.name, "arguments": "".join(first.pieces)}}
    made = []
    for called in choice.calls:
        tool = called.call.tool
        inner = {"name": tool.name, argument_word(called): "".join(called.pieces)}
        made.append({"id": called.id, "type": tool.kind, tool.kind: inner})
    return {"tool_calls": made}
