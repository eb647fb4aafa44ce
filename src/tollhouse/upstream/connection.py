"""One HTTP/1.1 connection: an asyncio protocol that carries one exchange at a time.

Opened by `dial`, owned by `pool`, read through `reply`. The rule kept: a connection is given back only when its last
reply was read by the parser to its exact end and nothing followed; in every other case the socket is aborted.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from tollhouse.errors import (
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamProtocol,
    UpstreamStalled,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tollhouse.types.wire import Timeouts
from tollhouse.upstream.faults import tls_fault
from tollhouse.upstream.heads import add_field, check_reply
from tollhouse.upstream.plain import PlainReplies
from tollhouse.upstream.reply import Reply

SLICE_BYTES: Final = 64 * 1024
"""A body up to this size leaves in one write with its head; a larger one in slices, as the upstream takes them."""

INBOX_BYTES: Final = 64 * 1024
"""The most that one read takes in."""

_now: Final = monotonic
_PLAIN: Final = PlainReplies()
_MOST_INFORMATIONAL: Final = 8
_MOST_PARTS: Final = 64
_SENDING, _WAITING, _FLOWING = range(3)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection accepts, in bytes and fields."""

    max_header_bytes: int = 64 * 1024
    max_headers: int = 256
    buffer_bytes: int = 256 * 1024


class Owner(Protocol):
    """The pool, as a connection sees it."""

    def on_idle(self, connection: "Connection") -> None:
        """An exchange has ended and the connection can carry another."""

    def on_gone(self, connection: "Connection") -> None:
        """The connection is dead. Called once."""


class Connection(asyncio.BufferedProtocol):
    """``begin`` starts an exchange; its `Reply` fills as bytes come; ``check`` is called by the pool's sweep."""

    __slots__ = (
        "_active_at", "_ample", "_bodiless", "_buffer_cap", "_choked", "_deadline", "_feed", "_fields", "_head",
        "_head_cap", "_inbox", "_informational", "_keep", "_limits", "_loop", "_owner", "_parser", "_parts", "_phase",
        "_reply", "_room", "_transport", "_until_close", "dead", "idle_since", "on_body", "paused", "served",
        "timeouts", "unread",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits, inbox: memoryview) -> None:
        self._loop = loop
        self._limits = limits
        self._head_cap = limits.max_header_bytes
        self._buffer_cap = limits.buffer_bytes
        # Sockets of one loop are read in turn and the parser copies what it keeps, so all of them share one inbox.
        self._inbox = inbox
        self._ample = limits.buffer_bytes - len(inbox)  # up to so many bytes unread, a read may fill the inbox
        self._owner: Owner | None = None
        self._parts: list[bytes] = []
        self.on_body = self._parts.append  # the parser calls the list itself: no Python frame for a body chunk
        self._head: dict[bytes, bytes] | None = None  # that is being read
        self._fields = 0  # it has so far
        self._reply: Reply | None = None
        self._keep = False
        self._choked = False
        self.dead = False
        self.paused = False
        self.unread = 0
        self.served = 0
        """Exchanges begun."""
        self.idle_since = 0.0

    # --- the pool's side ---------------------------------------------------------------------------------------

    def adopt(self, owner: Owner) -> None:
        """From now on ``owner`` is told what becomes of this connection. Raises if the upstream closed it already."""
        if self.dead:
            raise UpstreamUnreachable("The upstream closed the connection at once.")
        self._owner = owner

    def begin(self, head: bytes, body: bytes, timeouts: Timeouts, deadline: float, *, bodiless: bool) -> Reply:
        """Starts an exchange and writes a small request whole; for a larger one `upload` must follow.

        ``deadline`` is on the monotonic clock; ``bodiless``: the reply has no body whatever its head says (HEAD).
        """
        reply = self._reply = Reply(self, self._parts, self._loop)
        self.served += 1
        self.timeouts = timeouts
        self._deadline = deadline
        self._bodiless = bodiless
        self._room = self._head_cap
        self._head = {}
        self._fields = 0
        self._informational = 0
        self._keep = self._until_close = False
        self._active_at = _now()
        if len(body) <= SLICE_BYTES:
            self._phase = _WAITING
            self._transport.write(head + body if body else head)
        else:
            self._phase = _SENDING
            self._transport.write(head)
        return reply

    async def upload(self, reply: Reply, body: bytes) -> None:
        """Writes a large body no faster than the upstream takes it. Ends early when the upstream has answered. A caller
        who is cancelled closes the reply.
        """
        view = memoryview(body)
        for start in range(0, len(view), SLICE_BYTES):
            while self._choked and not reply.opened and reply.fault is None:
                await reply.arrival()
            if reply.opened or reply.fault is not None:
                return
            self._transport.write(view[start : start + SLICE_BYTES])
            self._active_at = _now()
        while self._choked and not reply.opened and reply.fault is None:
            await reply.arrival()
        self._phase, self._active_at = _WAITING, _now()

    def check(self, now: float) -> None:
        """Fails the exchange if one of its timeouts has passed."""
        reply = self._reply
        if reply is None or reply.ended:
            return
        timeouts, quiet_s = self.timeouts, now - self._active_at
        if now >= self._deadline:
            self.fail(UpstreamTimeout("The upstream's answer took longer than the total time allowed."))
        elif self._phase == _WAITING and quiet_s >= timeouts.first_byte_s:
            self.fail(UpstreamTimeout("The upstream did not begin its answer in time."))
        elif self._phase == _SENDING and quiet_s >= timeouts.idle_s:
            self.fail(UpstreamTimeout("The upstream stopped reading the request."))
        elif self._phase == _FLOWING and quiet_s >= timeouts.idle_s and not self.unread:
            # While bytes wait for our own reader, silence is not the upstream's fault.
            self.fail(UpstreamStalled("The upstream's answer stopped moving."))

    def fail(self, fault: UpstreamFault) -> None:
        """Ends the exchange with ``fault`` and the connection with it."""
        reply = self._reply
        if reply is not None and not reply.ended and reply.fault is None:
            reply.fault = fault
            reply.wake()
        self.kill()

    def kill(self) -> None:
        """Aborts the socket. Idempotent."""
        if self.dead:
            return
        self.dead = True
        self._transport.abort()
        if self._owner is not None:
            self._owner.on_gone(self)

    # --- the reply's side --------------------------------------------------------------------------------------

    def release(self) -> None:
        """The reader is done: back to the pool if the exchange is complete, closed otherwise."""
        reply, self._reply = self._reply, None
        if self.dead:
            return
        if reply is None or not reply.ended or not self._keep or self._owner is None:
            self.kill()
            return
        self._parts.clear()
        self.unread = 0
        if self.paused:
            self.resume()
        self._owner.on_idle(self)

    def resume(self) -> None:
        """Reads from the socket again; the upstream's silence is counted from now."""
        self.paused = False
        self._active_at = _now()
        if not self.dead and not self._transport.is_closing():  # uvloop refuses on a socket that is about to be lost
            self._transport.resume_reading()

    # --- the transport's side ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open. Not called where TLS fails; nor is `connection_lost`, which ends what begins here."""
        self._transport = cast("asyncio.Transport", transport)
        self._parser = HttpResponseParser(self)
        self._feed: Callable[[memoryview], None] = self._parser.feed_data

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # the protocol's signature
        """Where the socket's next bytes go: never more than the reader's buffer still has room for."""
        unread = self.unread
        return self._inbox if unread <= self._ample else self._inbox[: self._buffer_cap - unread]

    def buffer_updated(self, nbytes: int) -> None:
        """Bytes from the upstream: the hot path of every stream."""
        reply, data = self._reply, self._inbox[:nbytes]
        if reply is None:  # nobody asked: never let it become the start of the next reply
            self.kill()
            return
        if not reply.opened:
            if not self._read_plain(reply, data):
                self._read_head(reply, data)
            return
        parts = self._parts
        before = len(parts)
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._spoil(reply, error)
        if len(parts) != before:
            self._active_at = _now()
            self._phase = _FLOWING
            self._room = self._head_cap
            self._hold(nbytes)
        elif not reply.ended:
            self._spend(nbytes)
            return
        if reply.waiter is not None:
            reply.wake()

    def eof_received(self) -> None:
        """The upstream has finished sending; the transport closes itself on return."""
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed, by either side."""
        self._lost(exc)
        self._feed = _feed_nobody  # the parser and this object hold each other: let go, and no collector is needed
        self._parser = None  # type: ignore[assignment]  # gone: nothing reads after this

    def pause_writing(self) -> None:
        """The upstream reads more slowly than we write."""
        self._choked = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._choked = False
        if self._reply is not None:
            self._reply.wake()

    # --- the parser's side -------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A second message after the reply's end stops the parser: nothing was asked that it could answer."""
        if self._reply is None or self._reply.ended:
            raise UpstreamProtocol("The upstream sent more than one answer.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of a head, or of a trailer, which nobody looks at (RFC 9112 section 7.1.2 allows it)."""
        head = self._head
        if head is not None:
            self._fields += 1
            if self._fields <= self._limits.max_headers:  # judged at the end of the head; no more of it is kept
                add_field(head, name, value)

    def on_headers_complete(self) -> None:
        """The end of a head, interim or final."""
        reply, head = self._reply, self._head
        if reply is None or head is None:
            raise UpstreamProtocol("The upstream answered before it was asked.")
        parser, status = self._parser, self._parser.get_status_code()
        if self._fields > self._limits.max_headers:
            raise UpstreamProtocol("The upstream's answer has too many headers.")
        if 100 <= status < 200:
            self._pass_interim(status)
            return
        self._head = None
        version = parser.get_http_version()
        check_reply(status, version, head)
        reply.status, reply.head, reply.opened = status, head, True
        # A request that is still being sent cannot be followed by another (RFC 9112 section 9.5).
        self._keep = version == "1.1" and self._phase != _SENDING and parser.should_keep_alive()
        self._until_close = b"content-length" not in head and b"transfer-encoding" not in head
        if self._phase == _SENDING:
            self._phase, self._active_at = _WAITING, _now()
        if self._bodiless:
            # The parser cannot be told that a reply to HEAD has no body: stop it here, and do not use it again.
            reply.ended = True
            raise UpstreamProtocol("unread")

    def on_message_complete(self) -> None:
        """The end of the body; interim replies have no body and do not count."""
        reply = self._reply
        if reply is not None and reply.opened:
            reply.ended = True

    # --- inside ------------------------------------------------------------------------------------------------

    def _read_plain(self, reply: Reply, data: memoryview) -> bool:
        """Takes a whole answer that has come in one piece, if this is one; the parser stays where it is then."""
        begins = len(data) <= self._room == self._head_cap and self._phase == _WAITING and not self._bodiless
        self._keep = begins and _PLAIN.read(reply, data.tobytes(), self._limits.max_headers)
        if self._keep:
            reply.wake()
        return self._keep

    def _read_head(self, reply: Reply, data: memoryview) -> None:
        """Feeds at most what the cap on heads leaves, then the rest if the head is complete."""
        size, room = len(data), self._room
        self._room -= size
        self._parse(reply, data if size <= room else data[:room])
        if not reply.opened:
            if self._room <= 0:
                self.fail(UpstreamProtocol("The head of the upstream's answer is too large."))
            return
        if size > room and not self.dead and not reply.ended:
            self._parse(reply, data[room:])
        elif size > room:
            self._keep = False
        self._room = self._head_cap
        if self._parts:
            self._active_at = _now()
            self._phase = _FLOWING
            self._hold(size)
        reply.wake()

    def _parse(self, reply: Reply, data: memoryview) -> None:
        try:
            self._feed(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._spoil(reply, error)

    def _spoil(self, reply: Reply, error: Exception) -> None:
        """The parser has stopped."""
        if reply.ended:  # more than was announced: dropped, and the connection with it
            self._keep = False
            return
        cause = error.__context__  # what our own callback raised, if it did
        if not isinstance(cause, UpstreamFault):
            cause = UpstreamProtocol("The upstream's answer is not valid HTTP/1.1.")
        self.fail(cause)

    def _hold(self, size: int) -> None:
        """Counts bytes that wait for the reader and stops the socket when there are too many."""
        self.unread += size
        parts = self._parts
        if len(parts) > _MOST_PARTS:  # many tiny chunks: their objects would outweigh their bytes
            parts[:] = [b"".join(parts)]
        if self.unread >= self._buffer_cap and not self.paused and not self.dead:
            self.paused = True
            self._transport.pause_reading()

    def _spend(self, size: int) -> None:
        """Counts bytes that carried no body (chunk extensions, trailers): a cap keeps them from going on for ever."""
        self._room -= size
        if self._room < 0:
            self.fail(UpstreamProtocol("The upstream's answer has too much framing."))

    def _pass_interim(self, status: int) -> None:
        """RFC 9110 section 15.2: interim replies are skipped. Switching protocols was never asked for."""
        self._informational += 1
        self._head = {}
        self._fields = 0
        if status == 101:
            raise UpstreamProtocol("The upstream switched protocols, which was not asked for.")
        if self._informational > _MOST_INFORMATIONAL:
            raise UpstreamProtocol("The upstream sent too many interim answers.")

    def _lost(self, error: Exception | None) -> None:
        reply = self._reply
        if self.dead or reply is None or reply.ended:
            self.kill()
        elif reply.opened and self._until_close and error is None:
            # RFC 9112 section 6.3 rule 8: the body ends with the connection. Whether TLS ended in good order (section
            # 9.8) asyncio does not tell; streams and JSON have an end of their own, which their decoders demand.
            reply.ended = True
            reply.wake()
            self.kill()
        elif reply.opened:
            self.fail(UpstreamInterrupted("The upstream broke off its answer."))
        elif self._room < self._head_cap:
            self.fail(UpstreamInterrupted("The upstream broke off its answer in the middle of the head."))
        elif isinstance(error, ssl.SSLError):
            self.fail(tls_fault(error))
        else:
            reply.stale = self.served > 1
            self.fail(UpstreamUnreachable("The upstream closed the connection without an answer."))


def _feed_nobody(data: memoryview) -> None:
    """Stands in for the parser of a closed connection."""
