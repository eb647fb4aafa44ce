"""A streaming upstream that keeps time: one OpenAI event per stream every 20 ms, for as many tokens as were asked for.

Theory of operation: streams sit on a wheel of slots, one millisecond each; a turn of the wheel is the interval. One
timer serves all streams, and neighbours in time are different streams, so a gateway meets events one by one as it would
in life, not in one burst for all. The event bytes are made once. A late timer catches up slot by slot, never skips.

Run as ``python -m bench.paced_upstream PORT [INTERVAL_MS]``.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import cast

import httptools
import uvloop

from bench import payloads

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"Content-Type: text/event-stream; charset=utf-8\r\n"
    b"Cache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_SLOT_S = 0.001


def frame(data: bytes) -> bytes:
    """One chunk of the chunked transfer coding (RFC 9112 section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


_OPENING = frame(payloads.opening_event())
CONTENT = tuple(frame(event) for event in payloads.content_events())


class Wheel:
    """All running streams, spread evenly over one interval."""

    def __init__(self, interval_s: float) -> None:
        self._slots: list[list[Iterator[None]]] = [[] for _ in range(max(1, round(interval_s / _SLOT_S)))]
        self._began = 0.0
        self._turned = 0
        self._placed = 0

    def add(self, stream: Iterator[None]) -> None:
        """Put a stream on the next slot in turn; each ``next`` of it sends one event."""
        self._slots[self._placed % len(self._slots)].append(stream)
        self._placed += 1

    def start(self) -> None:
        """Begin to turn, on the running loop."""
        self._began = asyncio.get_running_loop().time()
        self._turn()

    def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        due = int((loop.time() - self._began) / _SLOT_S)
        while self._turned < due:
            at = self._turned % len(self._slots)
            self._slots[at] = [stream for stream in self._slots[at] if _advance(stream)]
            self._turned += 1
        loop.call_at(self._began + (self._turned + 1) * _SLOT_S, self._turn)


def _advance(stream: Iterator[None]) -> bool:
    """Send one event; False when the stream has ended."""
    with contextlib.suppress(StopIteration):
        next(stream)
        return True
    return False


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: a request, its stream, then the next request."""

    def __init__(self, wheel: Wheel, content: Sequence[bytes]) -> None:
        self._wheel = wheel
        self._content = content
        self._transport: asyncio.Transport | None = None
        self._body = bytearray()
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the transport: the stream ends at its next event."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Parse; a peer that does not speak HTTP is closed."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            if self._transport is not None:
                self._transport.close()

    def on_body(self, body: bytes) -> None:
        """A part of the request's body, from the parser."""
        self._body += body

    def on_message_complete(self) -> None:
        """A whole request has come: answer it, from the wheel."""
        asked = json.loads(self._body)
        self._body.clear()
        usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        tokens = asked.get("max_tokens") or asked.get("max_completion_tokens") or 16
        self._write(_HEAD + _OPENING)
        self._wheel.add(self._stream(int(tokens), usage=usage))

    def _stream(self, tokens: int, *, usage: bool) -> Iterator[None]:
        for index in range(tokens):
            if self._transport is None:
                return
            self._write(self._content[index % len(self._content)])
            yield
        self._write(frame(payloads.closing_events(tokens, usage=usage)) + b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


async def serve(port: int, interval_s: float, content: Sequence[bytes] = CONTENT) -> asyncio.Server:
    """A server on loopback, listening, its wheel turning. ``content`` is the cycle of framed events it sends."""
    wheel, loop = Wheel(interval_s), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(wheel, content), "127.0.0.1", port, backlog=4096)
    wheel.start()
    return server


async def _main(port: int, interval_s: float) -> None:
    server = await serve(port, interval_s)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1]), float(sys.argv[2] if len(sys.argv) > 2 else 20) / 1000))
