"""The streaming load client: many streams at once, every event checked, gaps and lost events counted.

It also reads the gateway's CPU clock at both ends of a steady window (every stream has begun, none has ended), so that
opening and closing connections is not charged to chunks. Prints one JSON object. Run by ``scenarios``.
"""

import argparse
import asyncio
import contextlib
import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import httptools
import msgspec
import uvloop

from bench import payloads, probe

STALL_S = 0.2
"""Ten intervals of 20 ms: a reader sees the text stop."""

_OPEN_PER_S = 400
_SETTLE_S = 0.3


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int
    delta: _Delta
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    """What every event of a stream must be."""

    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]


_DECODER = msgspec.json.Decoder(_Chunk)


@dataclass(slots=True)
class Totals:
    """What all streams together have seen."""

    streams: int
    tokens: int
    received: int = 0
    begun: int = 0
    whole: int = 0
    ended: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    gaps_s: list[float] = field(default_factory=list)
    all_begun: asyncio.Event = field(default_factory=asyncio.Event)
    first_ended: asyncio.Event = field(default_factory=asyncio.Event)
    all_ended: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> None:
        """One more stream has its first token."""
        self.begun += 1
        if self.begun == self.streams:
            self.all_begun.set()

    def end(self, fault: str | None) -> None:
        """One more stream has ended, whole or with a fault."""
        self.ended += 1
        if fault is None:
            self.whole += 1
        else:
            self.faults[fault] += 1
        self.first_ended.set()
        if self.ended == self.streams:
            self.all_begun.set()  # those that never began never will: nobody need wait for them
            self.all_ended.set()


class Stream(asyncio.Protocol):
    """One stream on a connection of its own."""

    def __init__(self, request: bytes, totals: Totals) -> None:
        self._request = request
        self._totals = totals
        self._transport: asyncio.BaseTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._pending = b""
        self._tokens = 0
        self._last_s = 0.0
        self._finished = False
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask."""
        self._transport = transport
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take events; note how long it has been since the last token."""
        before = self._tokens
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"not HTTP: {error}")
        if self._tokens == before:
            return
        now_s = time.monotonic()
        if before:
            self._totals.gaps_s.append(now_s - self._last_s)
        else:
            self._totals.begin()
        self._last_s = now_s

    def on_body(self, body: bytes) -> None:
        """A part of the answer, from the parser."""
        *events, self._pending = (self._pending + body).split(b"\n\n")
        for event in events:
            self._take(event)

    def _take(self, event: bytes) -> None:
        if event == b"data: [DONE]":
            self._end(None if self._finished and self._tokens == self._totals.tokens else "ended with tokens missing")
            return
        if not event.startswith(b"data: "):
            self._end(f"not an event: {event[:200]!r}")
            return
        try:
            chunk = _DECODER.decode(memoryview(event)[6:])
        except msgspec.DecodeError as error:
            self._end(f"not a chunk: {error}: {event[:200]!r}")
            return
        for choice in chunk.choices:
            if choice.finish_reason is not None:
                self._finished = True
            if choice.delta.content:
                self._token(choice.delta.content)

    def _token(self, text: str) -> None:
        if text != payloads.word(self._tokens):
            self._end(f"token {self._tokens} is {text!r}, not {payloads.word(self._tokens)!r}")
        self._tokens += 1
        self._totals.received += 1

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, if the stream had not ended by itself."""
        self._end(f"closed after {self._tokens} tokens: {exc!r}")

    def _end(self, fault: str | None) -> None:
        if self._over:
            return
        self._over = True
        if fault is not None and self._parser.get_status_code() not in {0, 200}:
            fault = f"status {self._parser.get_status_code()}"
        self._totals.end(fault)
        if self._transport is not None:
            self._transport.close()


@dataclass(frozen=True, slots=True)
class Window:
    """The steady part of a run."""

    seconds: float
    tokens: int
    cpu_s: float
    waited_s: float


async def _watch(totals: Totals, pids: list[int], window_s: float, limit_s: float) -> Window:
    """Read the gateway's clock and the token count at both ends of the window."""
    await asyncio.wait_for(totals.all_begun.wait(), limit_s)
    await asyncio.sleep(_SETTLE_S)
    began_s, tokens = time.monotonic(), totals.received
    cpu_s, waited_s = probe.cpu_s(pids), probe.waited_s(pids)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(totals.first_ended.wait(), window_s)
    cpu_s, waited_s = probe.cpu_s(pids) - cpu_s, probe.waited_s(pids) - waited_s
    return Window(time.monotonic() - began_s, totals.received - tokens, cpu_s, waited_s)


async def run(port: int, request: bytes, totals: Totals, pids: list[int], window_s: float) -> Window:
    """Open all streams, measure the window, wait for every stream to end."""
    loop = asyncio.get_running_loop()
    limit_s = 30 + 3 * window_s
    watch = asyncio.create_task(_watch(totals, pids, window_s, limit_s))
    for _ in range(totals.streams):
        await loop.create_connection(lambda: Stream(request, totals), "127.0.0.1", port)
        await asyncio.sleep(1 / _OPEN_PER_S)
    try:
        window = await watch
        await asyncio.wait_for(totals.all_ended.wait(), limit_s)
    except TimeoutError:
        if totals.ended < totals.streams:
            totals.faults["still open at the end of the run"] += totals.streams - totals.ended
        window = (
            watch.result() if watch.done() and not watch.cancelled() and not watch.exception() else Window(0, 0, 0, 0)
        )
    return window


def report(totals: Totals, window: Window) -> dict[str, Any]:
    """The figures of one run as a JSON object; gaps in milliseconds, CPU in microseconds per token event."""
    gaps_s = sorted(totals.gaps_s)
    return {
        "streams": totals.streams,
        "whole": totals.whole,
        "lost": totals.streams * totals.tokens - totals.received,
        "faults": dict(totals.faults.most_common(3)),
        "stalls": sum(gap > STALL_S for gap in gaps_s),
        **{
            f"gap_{name}_ms": round(gaps_s[int(share * (len(gaps_s) - 1))] * 1000, 2) if gaps_s else None
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
        },
        "window": asdict(window),
        "waited_percent": window.waited_s / window.seconds * 100 if window.cpu_s and window.seconds else None,
        "rate": round(window.tokens / window.seconds) if window.seconds else 0,
        "cpu_us": window.cpu_s / window.tokens * 1e6 if window.cpu_s and window.tokens else None,
        "cpu_percent": window.cpu_s / window.seconds * 100 if window.cpu_s and window.seconds else None,
    }


def encode_request(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """An HTTP/1.1 POST as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def main() -> None:
    """The command line: see ``scenarios.stream``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--route", type=json.loads, required=True, help="port, path, headers and model as JSON")
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--interval-ms", type=float, default=20)
    parser.add_argument("--window-s", type=float, default=3)
    parser.add_argument("--pids", type=json.loads, default=[])
    options = parser.parse_args()
    route = options.route
    spare_s = _SETTLE_S + 0.5 + 1.5 * options.streams / _OPEN_PER_S
    tokens = int((options.window_s + spare_s) * 1000 / options.interval_ms)
    body = payloads.request(route["model"], stream=True, max_tokens=tokens)
    request = encode_request(route["path"], route["headers"], body)

    async def measure() -> dict[str, Any]:
        totals = Totals(options.streams, tokens)
        return report(totals, await run(route["port"], request, totals, options.pids, options.window_s))

    print(json.dumps(uvloop.run(measure())))


if __name__ == "__main__":
    main()
