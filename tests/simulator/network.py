"""A network in memory: the two ends of a connection, with latency, back-pressure and every way of ending.

The gateway's end is an `asyncio.Transport` for its real protocol; the client's end calls a `Peer`. Whatever the gateway
writes carries the number of the step at which it was written, by which the oracle judges order (I4).
"""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Protocol, cast

from tests.simulator.loop import VirtualLoop

_HIGH_BYTES = 64 * 1024


class Peer(Protocol):
    """The client, as its connection sees it."""

    def got(self, data: bytes, step: int) -> None:
        """Bytes have arrived that the gateway wrote at a step."""

    def ended(self, how: str) -> None:
        """No more will come: ``eof`` or ``reset``. Called once."""


class Wire(asyncio.Transport):
    """One connection, seen from the gateway; the methods that begin with ``client_`` are the other end."""

    def __init__(self, loop: VirtualLoop, number: int, chance: Random, step: Callable[[], int]) -> None:
        super().__init__({"peername": (f"10.1.{number // 250}.{number % 250}", 40000)})
        self._loop = loop
        self._chance = chance
        self._step = step
        self._queue: deque[tuple[bytes, int]] = deque()
        self._buffered = 0
        self._high = _HIGH_BYTES
        self._paused = False
        self._delivering = False
        self._arrival = 0.0
        self._closing = False
        self._lost = False
        self._client_paused = False
        self._client_gone = False
        self._protocol: asyncio.Protocol
        self.peer: Peer

    def connect(self, protocol: asyncio.BaseProtocol, peer: Peer) -> None:
        """The connection stands."""
        self._protocol = cast(asyncio.Protocol, protocol)
        self.peer = peer
        self._protocol.connection_made(self)

    # --- the gateway's end -------------------------------------------------------------------------------------

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """See `asyncio.WriteTransport`."""
        del low
        self._high = high or _HIGH_BYTES

    def get_write_buffer_size(self) -> int:
        """See `asyncio.WriteTransport`."""
        return self._buffered

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`."""
        if self._closing or self._lost:
            return
        self._queue.append((bytes(data), self._step()))
        self._buffered += len(data)
        if self._buffered > self._high and not self._paused:
            self._paused = True
            self._protocol.pause_writing()
        self._schedule()

    def write_eof(self) -> None:
        """See `asyncio.WriteTransport`."""
        self._queue.append((b"", self._step()))
        self._schedule()

    def can_write_eof(self) -> bool:
        """See `asyncio.WriteTransport`."""
        return True

    def close(self) -> None:
        """See `asyncio.BaseTransport`: what was written arrives first."""
        if not self._closing:
            self._closing = True
            self.write_eof()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`."""
        return self._closing or self._lost

    def abort(self) -> None:
        """See `asyncio.WriteTransport`."""
        self._queue.clear()
        self._buffered = 0
        self._tell("reset")
        self._lose(None)

    def pause_reading(self) -> None:
        """See `asyncio.ReadTransport`. Nothing is held back: clients here send little."""

    def resume_reading(self) -> None:
        """See `asyncio.ReadTransport`."""

    def _schedule(self) -> None:
        if self._queue and not self._delivering and not self._client_paused:
            self._delivering = True
            self._loop.call_later(self._latency(), self._deliver)

    def _latency(self) -> float:
        """Often the same for many, so that things happen at one moment."""
        return self._chance.choice((0.001, 0.001, 0.001, 0.002, 0.005, 0.03))

    def _deliver(self) -> None:
        self._delivering = False
        if self._client_paused or not self._queue:
            return
        data, step = self._queue.popleft()
        self._buffered -= len(data)
        if self._paused and self._buffered <= self._high // 4:
            self._paused = False
            self._protocol.resume_writing()
        if data and not self._client_gone:
            self.peer.got(data, step)
        elif not data:
            self._tell("eof")
            if self._closing:
                self._lose(None)
        self._schedule()

    def _tell(self, how: str) -> None:
        if not self._client_gone:
            self._client_gone = True
            self.peer.ended(how)

    def _lose(self, error: Exception | None) -> None:
        if not self._lost:
            self._lost = True
            self._loop.call_soon(self._protocol.connection_lost, error)

    # --- the client's end --------------------------------------------------------------------------------------

    def client_send(self, data: bytes) -> None:
        """The client writes; in order, a moment later, it arrives."""
        self._at_arrival(self._received, data)

    def client_fin(self) -> None:
        """The client has nothing more to say, and reads on."""
        self._at_arrival(self._finished)

    def client_close(self, *, reset: bool) -> None:
        """The client is gone: what is written to it comes back as a reset."""
        self._client_gone = True
        self._client_paused = False
        self._at_arrival(self._left if reset else self._finished)
        if not reset:
            self._loop.call_later(0.2, self._left)

    def client_pause(self, seconds: float) -> None:
        """The client does not read for a while."""
        self._client_paused = True
        self._loop.call_later(seconds, self._client_resume)

    def _client_resume(self) -> None:
        self._client_paused = False
        self._schedule()

    def _at_arrival(self, call: Callable[..., None], *data: bytes) -> None:
        # Two timers of one moment run in no order that can be relied on.
        self._arrival = max(self._arrival + 1e-6, self._loop.time() + self._latency())
        self._loop.call_at(self._arrival, call, *data)

    def _received(self, data: bytes) -> None:
        if not self._lost:
            self._protocol.data_received(data)

    def _finished(self) -> None:
        if not self._lost and not self._protocol.eof_received():
            self.close()

    def _left(self) -> None:
        self._queue.clear()
        self._buffered = 0
        self._lose(ConnectionResetError())

    def cut(self) -> None:
        """The process at the gateway's end has died."""
        self._lost = True
        self._queue.clear()
        self._tell("reset")


class Ordered(dict[Any, None]):
    """A set that remembers its order, so that a sweep over connections is the same in every run."""

    def add(self, item: Any) -> None:
        """See `set`."""
        self[item] = None

    def discard(self, item: Any) -> None:
        """See `set`."""
        self.pop(item, None)
