"""One reply being read: the `Incoming` that `pool` returns and the gateway reads.

Filled by `connection` as bytes arrive. The rule kept: what has arrived is handed over before the fault that follows it.
"""

import asyncio
from typing import Final, Protocol

from tollhouse.errors import UpstreamFault, UpstreamInterrupted, UpstreamTooLarge
from tollhouse.upstream.heads import decode_head

_ID_HEADERS: Final[tuple[bytes, ...]] = (b"x-request-id", b"request-id", b"x-amzn-requestid", b"apim-request-id")
"""Where hosts say it (OpenAI, Anthropic, AWS, Azure)."""
_ID_BYTES: Final = 128


class Source(Protocol):
    """The connection a reply comes from."""

    unread: int
    paused: bool

    def resume(self) -> None:
        """Reads from the socket again."""

    def release(self) -> None:
        """The reply is done with: the connection is kept, or closed when the body is unfinished."""


class Reply:
    """See `tollhouse.types.wire.Incoming`. All attributes but status and headers are the connection's."""

    __slots__ = ("_headers", "ended", "fault", "head", "loop", "opened", "parts", "source", "stale", "status", "waiter")

    def __init__(self, source: Source | None, parts: list[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self.source = source
        self.parts = parts
        """Body bytes that have arrived and were not read yet."""
        self.loop = loop
        self.status = 0
        self.head: dict[bytes, bytes] = {}
        """The header as it came, with lower-case names."""
        self._headers: dict[str, str] | None = None
        self.opened = False
        """The final head has arrived."""
        self.ended = False
        """The whole body has arrived."""
        self.fault: UpstreamFault | None = None
        self.stale = False
        """A reused connection was lost before a byte of the reply: the request may be sent once more."""
        self.waiter: asyncio.Future[None] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """See `Incoming`. Decoded when it is first asked for, which a good JSON answer never is."""
        if self._headers is None:
            self._headers = decode_head(self.head)
        return self._headers

    @property
    def request_id(self) -> str | None:
        """See `Incoming`."""
        for name in _ID_HEADERS:
            value = self.head.get(name)
            if value is not None:
                return value[:_ID_BYTES].decode("latin-1")
        return None

    async def next(self) -> bytes:
        """All that has arrived since the last call; ``b""`` at the end, when the connection has been given back."""
        while not self.parts:
            if self.ended:
                self.close()
                return b""
            if self.fault is not None:
                raise self.fault
            try:
                await self.arrival()
            except asyncio.CancelledError:
                self.close()
                raise
        return self._take()

    def whole(self, limit: int) -> bytes | None:
        """What `read` gives, where all of it has arrived in one piece, as most answers in JSON do; None where not."""
        if not self.ended or not self.parts:
            return None
        body = self._take()
        if len(body) > limit:
            self._refuse()
        self.close()
        return body

    async def read(self, limit: int) -> bytes:
        """The whole remaining body, at most ``limit`` bytes."""
        if not self.ended and int(self.head.get(b"content-length", b"0")) > limit:
            self._refuse()
        body = self.whole(limit)
        if body is not None:
            return body
        pieces: list[bytes] = []
        room = limit
        while data := await self.next():
            room -= len(data)
            if room < 0:
                self._refuse()
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Gives the connection back, or aborts it when the body is not finished. Idempotent."""
        source = self.source
        if source is None:
            return
        self.source = None
        self.parts = []  # the old list belongs to the connection, which may serve another request from now on
        if not self.ended and self.fault is None:
            self.fault = UpstreamInterrupted("The answer was closed before its end.")
        source.release()
        if self.waiter is not None:
            self.wake()

    def arrival(self) -> asyncio.Future[None]:
        """Done when something has changed. Whoever is cancelled while waiting for it closes the reply."""
        waiter = self.waiter = self.loop.create_future()
        return waiter

    def wake(self) -> None:
        """Lets the waiting reader look again."""
        waiter = self.waiter
        if waiter is not None:
            self.waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _take(self) -> bytes:
        parts = self.parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        source = self.source
        if source is not None:
            source.unread = 0
            if source.paused:
                source.resume()
        return data

    def _refuse(self) -> None:
        self.close()
        raise UpstreamTooLarge("The upstream's answer is larger than allowed.")
