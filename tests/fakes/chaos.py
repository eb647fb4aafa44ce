"""A raw-socket upstream that does exactly what a script says, right or wrong, and records what it was sent.

    async with ChaosUpstream([Send(head(200, "content-length: 2")), Send(b"hi"), Close()]) as up:
        ... talk to up.url ...
        assert up.requests[0].headers["host"] == up.authority
        await up.gone()                     # the client closed its connection (within a second)

A *play* is a list of steps performed after a request has arrived. ``ChaosUpstream(play1, play2)`` performs the n-th
play for the n-th request it gets, on whatever connection; the last one is repeated. Steps: `Send`, `Pause`, `Await`,
`Hang`, `Close`, `Reset`, `Listen`. A connection stays open after a play unless a step closes it.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self, cast


@dataclass(frozen=True, slots=True)
class Send:
    """Writes bytes: at once, or in pieces of ``size`` bytes with ``gap_s`` between them (0 lets other tasks run)."""

    data: bytes
    size: int = 0
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Pause:
    """Waits."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Await:
    """Waits until the test sets the event."""

    event: asyncio.Event


@dataclass(frozen=True, slots=True)
class Hang:
    """Does nothing more until the client closes the connection."""


@dataclass(frozen=True, slots=True)
class Close:
    """Closes in good order: what was written arrives, then FIN."""


@dataclass(frozen=True, slots=True)
class Reset:
    """RST, by SO_LINGER(1, 0)."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Reads from the socket again after ``deaf_after`` bytes."""


Step = Send | Pause | Await | Hang | Close | Reset | Listen


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came. Header names are lower-case; ``connection`` counts connections from 0."""

    method: str
    target: str
    headers: dict[str, str]
    head: bytes
    body: bytes
    connection: int


@dataclass
class Visit:
    """One connection from the client."""

    number: int
    transport: asyncio.Transport
    gone: bool = False
    """The client has closed or reset it."""
    bytes_in: int = 0


class ChaosUpstream:
    """The server. Leaving the context stops it and aborts its connections.

    ``answer_at`` says when a play begins: when the connection opens (before anything was read), at the end of the
    request's head, or at the end of its body. ``deaf_after``: the socket is not read past so many bytes.
    """

    def __init__(
        self,
        *plays: Sequence[Step],
        tls: ssl.SSLContext | None = None,
        answer_at: Literal["connect", "head", "body"] = "body",
        deaf_after: int | None = None,
    ) -> None:
        self.plays = list(plays)
        self.requests: list[Received] = []
        self.visits: list[Visit] = []
        self.answer_at = answer_at
        self.deaf_after = deaf_after
        self.played = 0
        self.changed = asyncio.Event()
        self.tasks: list[asyncio.Task[None]] = []
        self._tls = tls
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def authority(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL, without a path."""
        return f"{'https' if self._tls else 'http'}://{self.authority}"

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Visitor(self), "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self.tasks:
            task.cancel()
        for visit in self.visits:
            visit.transport.abort()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        await asyncio.sleep(0)
        for end in ends:
            if isinstance(end, Exception):  # a broken script must not look like a quiet upstream
                raise end

    async def gone(self, visit: int = -1, *, within_s: float = 1.0) -> None:
        """Waits until the client has closed a connection; AssertionError if it does not in time."""
        await self._until(lambda: self.visits[visit].gone, within_s, "the client did not close its connection")

    async def visited(self, visits: int = 1, *, within_s: float = 2.0) -> None:
        """Waits until so many connections were opened."""
        await self._until(lambda: len(self.visits) >= visits, within_s, "too few connections were opened")

    async def arrived(self, requests: int = 1, *, within_s: float = 2.0) -> None:
        """Waits until so many requests have come in whole; AssertionError if they do not in time."""
        await self._until(lambda: len(self.requests) >= requests, within_s, "too few requests arrived")

    async def _until(self, condition: Callable[[], bool], within_s: float, complaint: str) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"{complaint} within {within_s} s") from None

    def listen(self) -> None:
        """Reads again from every connection that ``deaf_after`` has stopped."""
        self.deaf_after = None
        for visit in self.visits:
            visit.transport.resume_reading()

    def next_play(self) -> Sequence[Step]:
        """The play for the next request."""
        play = self.plays[min(self.played, len(self.plays) - 1)]
        self.played += 1
        return play


class _Visitor(asyncio.Protocol):
    """The server's end of one connection: splits requests, performs their plays in order."""

    def __init__(self, upstream: ChaosUpstream) -> None:
        self._upstream = upstream
        self._buffer = bytearray()
        self._needed = 0  # bytes of the request that is coming in; 0 while its head is
        self._due: asyncio.Queue[Sequence[Step]] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        up = self._upstream
        self._transport = cast("asyncio.Transport", transport)
        self._visit = Visit(len(up.visits), self._transport)
        up.visits.append(self._visit)
        up.changed.set()
        task = asyncio.get_running_loop().create_task(self._perform_all())
        up.tasks.append(task)
        self._task = task
        if up.answer_at == "connect":
            self._due.put_nowait(up.next_play())
        if up.deaf_after == 0:
            self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        up = self._upstream
        self._visit.bytes_in += len(data)
        self._buffer += data
        if up.deaf_after is not None and self._visit.bytes_in >= up.deaf_after:
            self._transport.pause_reading()
        while self._split():
            pass

    def _split(self) -> bool:
        """Takes one whole request off the buffer, if there is one."""
        up = self._upstream
        end = self._buffer.find(b"\r\n\r\n") + 4 if not self._needed else 0
        if end == 3 or len(self._buffer) < self._needed:
            return False
        if end:
            self._head = bytes(self._buffer[:end])
            lines = self._head.decode("latin-1").split("\r\n")
            self._method, self._target, _ = lines[0].split(" ")
            fields = (line.partition(":") for line in lines[1:-2])
            self._headers = {name.lower(): value.strip() for name, _, value in fields}
            self._needed = end + int(self._headers.get("content-length", "0"))
            if up.answer_at == "head":
                self._due.put_nowait(up.next_play())
            return True
        body = bytes(self._buffer[len(self._head) : self._needed])
        del self._buffer[: self._needed]
        self._needed = 0
        up.requests.append(Received(self._method, self._target, self._headers, self._head, body, self._visit.number))
        if up.answer_at == "body":
            self._due.put_nowait(up.next_play())
        up.changed.set()
        return bool(self._buffer)

    def eof_received(self) -> bool:
        self._leave()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._leave()
        self._task.cancel()

    def _leave(self) -> None:
        self._visit.gone = True
        self._upstream.changed.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def _perform_all(self) -> None:
        while True:
            for step in await self._due.get():
                await self._perform(step)

    async def _perform(self, step: Step) -> None:
        match step:
            case Send(data, size, gap_s):
                await self._send(data, size or max(1, len(data)), gap_s)
            case Pause(seconds):
                await asyncio.sleep(seconds)
            case Await(event):
                await event.wait()
            case Hang():
                await asyncio.Event().wait()  # ends with the connection, which cancels this task
            case Close():
                self._transport.close()
            case Reset():
                reset(self._transport)
            case Listen():
                self._upstream.listen()

    async def _send(self, data: bytes, size: int, gap_s: float) -> None:
        for start in range(0, len(data), size):
            self._transport.write(data[start : start + size])
            await self._room.wait()
            if size < len(data):
                await asyncio.sleep(gap_s)


def reset(transport: asyncio.Transport) -> None:
    """Closes a socket with RST in place of FIN."""
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def head(status: int, *lines: str, reason: str = "Because") -> bytes:
    """The head of a reply: ``head(200, "content-length: 2")``."""
    return "\r\n".join([f"HTTP/1.1 {status} {reason}", *lines, "", ""]).encode("latin-1")


def whole(body: bytes, status: int = 200, content_type: str = "application/json") -> bytes:
    """A reply with its length."""
    return head(status, f"content-type: {content_type}", f"content-length: {len(body)}") + body


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKED_END = b"0\r\n\r\n"


def chunked(*parts: bytes, status: int = 200, content_type: str = "text/event-stream") -> bytes:
    """A whole reply in chunked coding."""
    top = head(status, f"content-type: {content_type}", "transfer-encoding: chunked")
    return top + b"".join(chunk(part) for part in parts) + CHUNKED_END


class Deaf:
    """A listener that never accepts.

    The kernel still completes the TCP handshake until the backlog is full; ``full=True`` fills it first, so that a
    further SYN gets no answer.
    """

    def __init__(self, *, full: bool = False) -> None:
        self._listener = socket.socket()
        self._fillers: list[socket.socket] = []
        self._full = full
        self.port = 0

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port = self._listener.getsockname()[1]
        for _ in range(4 if self._full else 0):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for sock in (self._listener, *self._fillers):
            sock.close()


def closed_port() -> int:
    """A port of loopback where nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])
