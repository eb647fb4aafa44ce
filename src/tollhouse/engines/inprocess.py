"""Replies made in this process, seen through the same `Incoming` as those that come over a socket.

Theory of operation. An engine gives `Reply` an async iterator of body bytes. `Reply.next` awaits one item under one
deadline, the nearer of two: first byte (later: idle), and total. `asyncio.timeout_at` cancels the wait, and the
deadline that was hit names the fault, so a scripted stall ends exactly as a silent socket does. `close` is
synchronous: it stops the source, and wakes a reader in another task by moving its deadline to now.

`Player` is a source for answers whose shape in time is known beforehand: a plain iterator of bytes and `Wait`s.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from dataclasses import dataclass

from tollhouse.errors import UpstreamFault, UpstreamInterrupted, UpstreamStalled, UpstreamTimeout, UpstreamTooLarge
from tollhouse.types.wire import Timeouts


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing more is sent before ``until_s`` seconds after the exchange began; ``math.inf`` is for ever."""

    until_s: float


Step = bytes | Wait


class Player:
    """Plays steps in real time. Between two pieces it lets the event loop run, so a fast answer blocks nobody."""

    __slots__ = ("_started_at", "_steps")

    def __init__(self, steps: Iterator[Step], *, started_at: float) -> None:
        self._steps = steps
        self._started_at = started_at

    def __aiter__(self) -> "Player":
        return self

    async def __anext__(self) -> bytes:
        await asyncio.sleep(0)
        for step in self._steps:
            if isinstance(step, bytes):
                return step
            await wait_until(self._started_at + step.until_s)
        raise StopAsyncIteration

    def close(self) -> None:
        """Ends the steps; a generator's ``finally`` blocks run now."""
        if isinstance(self._steps, Generator):
            self._steps.close()


async def wait_until(moment: float) -> None:
    """Sleeps until the loop's clock shows ``moment``; for ever when it is infinite."""
    loop = asyncio.get_running_loop()
    if math.isinf(moment):
        await loop.create_future()
    delay_s = moment - loop.time()
    if delay_s > 0:
        await asyncio.sleep(delay_s)


class Reply:
    """One reply of an embedded model; see `tollhouse.types.wire.Incoming` for the contract it keeps.

    ``started_at`` is the loop's time when the request was taken: total and first-byte limits run from there.
    """

    __slots__ = (
        "__weakref__", "_body", "_closed", "_closing", "_ended", "_fresh", "_reading", "_started_at", "_timeouts",
        "headers", "status",
    )  # fmt: skip

    def __init__(
        self,
        status: int,
        headers: dict[str, str],
        body: AsyncIterator[bytes],
        *,
        timeouts: Timeouts,
        started_at: float,
    ) -> None:
        self.status = status
        self.headers = headers
        self._body = body
        self._timeouts = timeouts
        self._started_at = started_at
        self._fresh = True
        self._ended = False
        self._closed = False
        self._reading: asyncio.Timeout | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def request_id(self) -> str | None:
        """See `Incoming`: nothing left this process."""
        return None

    async def read(self, limit: int) -> bytes:
        """The whole remaining body. Raises `UpstreamTooLarge` past ``limit`` bytes, and what `next` raises."""
        pieces: list[bytes] = []
        size = 0
        while piece := await self.next():
            size += len(piece)
            if size > limit:
                self.close()
                raise UpstreamTooLarge(f"The embedded model's answer is larger than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    async def next(self) -> bytes:
        """The next piece of the body, ``b""`` at its end.

        Raises `UpstreamTimeout` (first byte, total), `UpstreamStalled` (idle), `UpstreamInterrupted` (cut, closed).
        """
        if self._ended:
            return b""
        if self._closed:
            raise UpstreamInterrupted("The reply was closed.")
        deadline, late = self._deadline()
        try:
            piece = await self._piece_within(deadline)
        except TimeoutError:
            closed = self._closed
            self.close()
            raise (UpstreamInterrupted("The reply was closed.") if closed else late) from None
        self._fresh = False
        self._ended = not piece
        return piece

    def close(self) -> None:
        """Stops the source. Idempotent."""
        if self._closed:
            return
        self._closed = True
        if self._reading is not None:
            self._reading.reschedule(asyncio.get_running_loop().time())
        elif isinstance(self._body, Player):
            self._body.close()
        elif isinstance(self._body, AsyncGenerator) and not self._ended:
            self._closing = asyncio.get_running_loop().create_task(finish(self._body))

    async def _piece_within(self, deadline: float) -> bytes:
        """Raises `TimeoutError` at the deadline, which `close` may bring forward."""
        try:
            async with asyncio.timeout_at(deadline) as self._reading:
                return await self._piece()
        finally:
            self._reading = None

    async def _piece(self) -> bytes:
        """The next piece that is not empty, for an empty one would read as the end."""
        async for piece in self._body:
            if piece:
                return piece
        return b""

    def _deadline(self) -> tuple[float, UpstreamFault]:
        """When the wait that starts now is over, and what is raised then."""
        limits = self._timeouts
        total_at = self._started_at + limits.total_s
        if self._fresh:
            soon_at = self._started_at + limits.first_byte_s
            late: UpstreamFault = UpstreamTimeout(f"No byte of an answer came within {limits.first_byte_s:g} s.")
        else:
            soon_at = asyncio.get_running_loop().time() + limits.idle_s
            late = UpstreamStalled(f"The answer stopped moving for {limits.idle_s:g} s.")
        if total_at < soon_at:
            return total_at, UpstreamTimeout(f"The whole answer took longer than {limits.total_s:g} s.")
        return soon_at, late


async def finish(source: AsyncGenerator[bytes, None]) -> None:
    """Ends a generator that is not being read: its ``finally`` blocks run."""
    await source.aclose()
