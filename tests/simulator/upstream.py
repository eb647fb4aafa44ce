"""Hosts that answer, lie, fail and fall silent as the seed says, behind the real `Connector` seam.

What each answer says of its usage, and how far it came, is kept as its `Truth` under the id that the ledger records
with the attempt, so that the oracle can judge a charge by what was sent and not by what the gateway made of it.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

from tollhouse.errors import (
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamProtocol,
    UpstreamStalled,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tollhouse.types.wire import Incoming, Outgoing, Timeouts

_TAG = re.compile(r"tag-(\d+)")
_WORDS = ("alpha ", "be", "ta ", "gamma", " delta\n", "epsilon ", "\u00e4\u00df ", "\u4f60\u597d", "{}", '"q" ')
_BAD_COUNTS: tuple[object, ...] = (-1, 3.5, "7", 10**30, None, [], True)
Piece = tuple[float, bytes | UpstreamFault]
"""Seconds of waiting, then bytes or a fault."""

WHOLE = ("fine", "no_usage", "bad_usage", "over_cap", "cached")
"""Plays that end an answer in good order."""
BEFORE = ("refused", "timeout", "status_429", "status_500", "status_503", "status_401", "html", "broken_json")
"""Plays that fail before any content, in whole answers and streams."""
STREAMED = (
    "error_first",
    "reset",
    "eof",
    "stall",
    "no_done",
    "usage_twice",
    "after_done",
    "nothing_said",
    "reset_early",
)


@dataclass
class Truth:
    """One answer of a host as it was meant. ``usage`` is what it reported, in the ledger's classes; None if nothing
    that could be believed. ``ended`` is whether it was read to a good end.
    """

    serial: str
    tag: int
    host: str
    play: str
    usage: tuple[int, int, int, int] | None = None
    """Input, cache reads, output, reasoning."""
    heard: bytes = b""
    """What of it was handed over."""
    ended: bool = False

    @property
    def complete(self) -> bool:
        """Whether all that it had to say was heard."""
        return self.ended or b"data: [DONE]" in self.heard

    @property
    def said(self) -> bool:
        """Whether any content was handed over."""
        return self.heard.count(b'"content":"') > self.heard.count(b'"content":""')


@dataclass
class Script:
    """Which plays there are, and what becomes known of them."""

    seed: int
    plays: tuple[str, ...]
    truths: dict[str, Truth] = field(default_factory=dict)
    asked: dict[int, int] = field(default_factory=dict)
    active: int = 0
    on_send: Callable[[Truth], None] = lambda _truth: None


class SimConnector:
    """See `Connector`: one host."""

    def __init__(self, host: str, script: Script) -> None:
        self._host = host
        self._script = script

    async def aclose(self) -> None:
        """See `Connector`."""

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """See `Connector`."""
        body = json.loads(outgoing.body)
        found = _TAG.search(body["messages"][-1]["content"])
        assert found is not None
        tag, script = int(found[1]), self._script
        attempt = script.asked[tag] = script.asked.get(tag, 0) + 1
        chance = Random(f"{script.seed}/upstream/{tag}/{attempt}")  # noqa: S311 - a scenario, not a secret
        truth = Truth(f"up-{tag}-{attempt}", tag, self._host, chance.choice(script.plays))
        script.truths[truth.serial] = truth
        script.on_send(truth)
        script.active += 1
        try:
            await asyncio.sleep(chance.choice((0.001, 0.01, 0.2)))
            return await _perform(truth, body, chance, script, timeouts)
        except BaseException:
            script.active -= 1
            raise


async def _perform(
    truth: Truth, body: dict[str, Any], chance: Random, script: Script, timeouts: Timeouts
) -> "SimIncoming":
    play = truth.play
    if play == "refused":
        raise UpstreamUnreachable("The upstream refused the connection.")
    if play == "timeout":
        await asyncio.sleep(timeouts.first_byte_s)
        raise UpstreamTimeout("The upstream did not answer in time.")
    status = int(play[7:]) if play.startswith("status_") else 200
    pieces = _stream(truth, body, chance) if body.get("stream") else _whole(truth, body, chance)
    if play in BEFORE:
        pieces = [(0.01, _failure(play))]
    return SimIncoming(status, truth, pieces, script, timeouts)


def _failure(play: str) -> bytes:
    if play == "html":
        return b"<html>no</html>"
    if play == "broken_json":
        return b'{"id": "x", "choices": [{"ind'
    return json.dumps({"error": {"message": "no", "type": "x", "param": None, "code": None}}).encode()


class SimIncoming:
    """See `Incoming`."""

    def __init__(self, status: int, truth: Truth, pieces: list[Piece], script: Script, timeouts: Timeouts) -> None:
        self.status = status
        self.headers = {"content-type": "application/json"}
        self.request_id: str | None = truth.serial
        self._truth = truth
        self._pieces = pieces
        self._script = script
        self._timeouts = timeouts
        self._open = True

    async def next(self) -> bytes:
        """See `Incoming`."""
        if not self._pieces:
            self._truth.ended = True
            return b""
        wait_s, piece = self._pieces.pop(0)
        if wait_s > self._timeouts.idle_s:
            await asyncio.sleep(self._timeouts.idle_s)
            raise UpstreamStalled("The upstream fell silent.")
        await asyncio.sleep(wait_s)
        if isinstance(piece, UpstreamFault):
            raise piece
        self._truth.heard += piece
        return piece

    async def read(self, limit: int) -> bytes:
        """See `Incoming`."""
        found = b""
        while data := await self.next():
            found += data
            if len(found) > limit:
                raise UpstreamProtocol("The answer is too large.")
        return found

    def close(self) -> None:
        """See `Incoming`."""
        if self._open:
            self._open = False
            self._script.active -= 1


# --- what is said --------------------------------------------------------------------------------------------------


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _counts(truth: Truth, body: dict[str, Any], chance: Random, words: int) -> dict[str, Any] | None:
    """The usage object of an answer, having noted what of it can be believed."""
    cap = body.get("max_completion_tokens") or body.get("max_tokens") or 4096
    prompt, output = chance.randrange(1, 60), min(words * chance.randrange(1, 4) + 1, cap)
    if truth.play == "over_cap":
        output = cap * 10 + 1
    cached = chance.randrange(prompt) if truth.play == "cached" else 0
    reasoning = chance.randrange(output) if truth.play == "cached" else 0
    counts: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
    if cached or reasoning:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
        counts["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    if truth.play == "no_usage":
        return None
    if truth.play == "bad_usage":
        return counts | {"completion_tokens": chance.choice(_BAD_COUNTS)}
    truth.usage = prompt - cached, cached, output, reasoning
    return counts


def _whole(truth: Truth, body: dict[str, Any], chance: Random) -> list[Piece]:
    words = [chance.choice(_WORDS) for _ in range(chance.randrange(1, 30))]
    message = {"role": "assistant", "content": "".join(words), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    reply: dict[str, Any] = {
        **_identity(truth),
        "object": "chat.completion",
        "choices": [choice],
        "usage": _counts(truth, body, chance, len(words)),
    }
    data = _encode(reply)
    cut = chance.randrange(len(data))
    wait_s = chance.choice((0.01, 0.3, 2.0))
    if truth.play in {"reset", "eof", "stall", "reset_early"}:
        truth.usage = None
        end = UpstreamStalled("Silent.") if truth.play == "stall" else UpstreamInterrupted("It broke off.")
        return [(wait_s, data[:cut]), (0.1, end)] if cut else [(wait_s, end)]
    return [(wait_s, data[:cut]), (0.0, data[cut:])] if cut else [(wait_s, data)]


def _identity(truth: Truth) -> dict[str, Any]:
    return {"id": f"chatcmpl-{truth.serial}", "created": 1_700_000_000, "model": "m-2025"}


def _chunk(truth: Truth, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_identity(truth), "object": "chat.completion.chunk", "choices": [choice]})


def _event(value: object) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


def _stream(truth: Truth, body: dict[str, Any], chance: Random) -> list[Piece]:
    play = truth.play
    words = [] if play == "nothing_said" else [chance.choice(_WORDS) for _ in range(chance.randrange(1, 25))]
    counts = _counts(truth, body, chance, len(words))
    events = [_chunk(truth, {"role": "assistant", "content": ""})]
    if play == "error_first":
        truth.usage = None
        return _paced([*events, _event({"error": {"message": "no", "type": "server_error"}})], chance)
    if play == "reset_early":
        truth.usage = None
        return [*_paced(events, chance), (0.1, UpstreamInterrupted("It broke off."))]
    events += [_chunk(truth, {"content": word}) for word in words]
    if play in {"reset", "eof", "stall"}:
        truth.usage = None
        return _broken(play, _paced(events, chance))
    events.append(_chunk(truth, {}, "stop"))
    if counts is not None:
        usage = _event({**_identity(truth), "object": "chat.completion.chunk", "choices": [], "usage": counts})
        events += [usage, usage] if play == "usage_twice" else [usage]
    if play != "no_done":
        events.append(b"data: [DONE]\n\n")
    if play == "after_done":
        events.append(_chunk(truth, {"content": "late"}))
    return _paced(events, chance)


def _broken(play: str, pieces: list[Piece]) -> list[Piece]:
    if play == "eof":
        return pieces
    return [*pieces, (3600.0, b"") if play == "stall" else (0.05, UpstreamInterrupted("It broke off."))]


def _paced(events: list[bytes], chance: Random) -> list[Piece]:
    """Events cut and joined at any byte, with pauses between the pieces."""
    data = b"".join(events)
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(chance.randrange(1, 12)))})
    pause_s = chance.choice((0.0, 0.01, 0.4, 1.3))
    return [(pause_s * chance.random(), data[one:other]) for one, other in pairwise(cuts)]
