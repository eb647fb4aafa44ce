"""One client connection: bytes to exchanges, in order, within deadlines.

Theory of operation
-------------------
httptools (llhttp, strict) turns bytes into callbacks; the callbacks fill one `Exchange` at a time. When a head is
complete the exchange is queued; one is *active* and served, the others wait (`web.turns`).

What arrives is bounded before it is kept: the head by bytes and count, the body by `Content-Length` before it is read
and by counting while it is read, chunk framing by its overhead. A refusal becomes the `fault` of the exchange, which
the task answers as JSON; after it the connection closes, for what follows on the wire can no longer be trusted.

Nobody sets a timer per request. The server sweeps its connections a few times a second and calls `check`, which
compares the moment something last moved with the deadline of the state the connection is in: waiting for a head,
for a body, for the client to read, or idle.

The client is gone when the socket is lost: what is served is cancelled, which closes its upstream. A FIN alone may
be a half-close by a client that still reads (RFC 9112 section 9.6). It is taken as gone when, for
`half_close_grace_s`, there was nothing to write; a write to a closed peer brings a reset, which settles the question.
"""

import asyncio
import socket
from time import monotonic
from typing import Final, cast

import httptools

from tollhouse.errors import Fault, HeadersTooLarge, InvalidRequest, Overloaded, RequestTimeout
from tollhouse.web.exchange import Exchange
from tollhouse.web.host import Host, Runner
from tollhouse.web.judge import NAMES, SINGLETONS, judge_head, too_large
from tollhouse.web.repeats import Repeats
from tollhouse.web.turns import Turns
from tollhouse.web.upgrades import body_follows, parser_behind

_now: Final = monotonic
_METHODS: Final = {b"GET": "GET", b"POST": "POST"}
_CHUNK_OVERHEAD_BYTES: Final = 256 * 1024
"""Room for one read of the socket, whose bytes are counted before it is known what they are."""


class Connection(Turns):
    """The protocol of one accepted socket."""

    __slots__ = (
        "_deaf", "_eof_at", "_head_room", "_head_started_at", "_headers", "_host", "_linger_until", "_parser",
        "_paused_at", "_raw_bytes", "_reading", "_repeats", "_resumed", "_since", "_transport", "_unread_bytes",
        "_written_at", "client",
    )  # fmt: skip

    def __init__(self, host: "Host[Connection]", run: Runner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(run, loop)
        self._host = host
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._reading: Exchange | None = None
        self._repeats = Repeats()
        self._headers: dict[bytes, bytes] | None = None  # of the head that is being read
        self._head_room = 0  # bytes that its names, values and target may still have
        self._raw_bytes = self._unread_bytes = 0  # received since the current head, or body, began; waiting in queue
        self._deaf = False  # what arrives is no longer read, for it cannot be trusted
        self._resumed: asyncio.Future[None] | None = None
        self._head_started_at = self._since = 0.0  # _since: when the connection became idle, or the current body began
        self._written_at = self._paused_at = self._eof_at = self._linger_until = 0.0
        self.client = ""

    # --- the socket ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else "local"
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport.set_write_buffer_limits(high=self._host.limits.write_buffer_bytes)
        self._since = _now()
        if not self._host.opened(self):
            self._refuse(Overloaded("Too many connections. Try again shortly.", headers={"retry-after": "1"}))

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone: so is the reason to work."""
        del exc
        self._transport = None
        self._parser = None  # type: ignore[assignment]  # it holds this object's methods: let go, and no collector is needed
        self._host.closed(self)
        for exchange in self._queue:
            self._host.bodies_bytes -= exchange.body_bytes
        self._reading = None  # what it holds is counted out with the queue, or when its handler ends
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self._close_turns()

    def eof_received(self) -> bool:
        """The client sent FIN. True keeps our side open."""
        if self._active is None or self._active is self._reading:
            return False
        self._eof_at = _now()
        self._loop.call_later(self._host.limits.half_close_grace_s, self._check_half_closed)
        return True

    def _check_half_closed(self) -> None:
        if self._transport is not None and self._active is not None and self._written_at < self._eof_at:
            self._transport.abort()

    def pause_writing(self) -> None:
        """The client reads slower than we write."""
        self._paused_at = _now()

    def resume_writing(self) -> None:
        """The buffer has drained."""
        self._paused_at = 0.0
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)

    async def writable(self) -> None:
        """See `Channel`. The sweep ends a connection whose client never reads."""
        if self._paused_at and self._transport is not None:
            self._resumed = self._loop.create_future()
            await self._resumed

    def send(self, data: bytes) -> None:
        """See `Channel`."""
        if self._transport is not None:
            self._transport.write(data)
            self._written_at = _now()

    # --- reading ---------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._deaf:
            return
        begins = self._reading is None and not self._head_started_at
        if begins:
            now = _now()
            exchange = self._repeats.read(data, self._host, self, self.client, now)
            if exchange is not None:
                self._since = now
                self._unread_bytes += exchange.body_bytes if self._active is not None else 0
                self._enqueue(exchange)
                if self._queue:
                    self._bound_input()
                return
            self._head_started_at = now
        self._raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse(InvalidRequest("The request is not valid HTTP/1.1 (RFC 9112)."))
        else:
            if self._reading is not None or self._head_started_at or self._queue:
                self._bound_input()
            elif begins and self._active is not None:
                self._repeats.learn(self._active, data)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """What follows a head that asked for another protocol is still HTTP/1.1, unless it was CONNECT."""
        reading = self._reading
        if self._parser.get_method() == b"CONNECT" or (reading is not None and reading.fault is not None):
            self._deaf = True
            return
        self._parser = parser_behind(reading, self)
        if rest:
            self.data_received(rest)

    def _bound_input(self) -> None:
        """The limits that only the count of raw bytes shows."""
        limits = self._host.limits
        reading = self._reading
        if self._head_started_at:
            if self._raw_bytes > limits.max_header_bytes + _CHUNK_OVERHEAD_BYTES:
                self._refuse(HeadersTooLarge(f"The request head is over {limits.max_header_bytes} bytes."))
        elif (
            reading is not None
            and b"transfer-encoding" in reading.headers
            # One-byte chunks cost six bytes each and are legal; megabytes of chunk extensions or trailers are not.
            and self._raw_bytes > _CHUNK_OVERHEAD_BYTES + limits.max_header_bytes + 8 * reading.body_bytes
        ):
            self._refuse(InvalidRequest("The chunked body is mostly chunk framing."))
        if len(self._queue) >= limits.pipeline_depth or self._unread_bytes > limits.pipeline_bytes:
            self._drop_surplus()

    def _drop_surplus(self) -> None:
        """A client that sends far ahead of its answers gets those to the requests it has sent whole, then a close.

        The socket is read on, for nothing else tells that the client has left.
        """
        self._deaf = True
        self._head_started_at = 0.0
        reading, self._reading = self._reading, None
        if reading is not None and reading in self._queue:
            self._queue.remove(reading)
            self._host.bodies_bytes -= reading.body_bytes

    def on_message_begin(self) -> None:
        """llhttp: the first byte of a request."""
        started_at = self._head_started_at = self._head_started_at or _now()
        self._raw_bytes = 0
        self._head_room = self._host.limits.max_header_bytes
        self._reading = Exchange(self, self.client, started_at)
        self._headers = self._reading.headers

    def on_url(self, url: bytes) -> None:
        """llhttp: the target, possibly in pieces."""
        if self._reading is not None:
            self._reading.path += url
            self._head_room -= len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: one header, or one trailer, which is dropped (RFC 9110 section 6.5.1)."""
        headers = self._headers
        if headers is None:
            return
        room = self._head_room = self._head_room - len(name) - len(value)
        if room < 0:
            return  # judged when the head is complete; nothing more of it is kept
        key = NAMES.get(name) or name.lower()
        if key in headers:
            if key in SINGLETONS and self._reading is not None:
                self._reading.fault = InvalidRequest(f"The header '{key.decode('latin-1')}' is given twice.")
            value = headers[key] + b", " + value
        headers[key] = value

    def on_headers_complete(self) -> None:
        """llhttp: the head is complete; the exchange takes its place in the queue."""
        exchange, self._headers = self._reading, None
        if exchange is None:
            return
        parser, host = self._parser, self._host
        method, version = parser.get_method(), parser.get_http_version()
        exchange.method = _METHODS.get(method) or method.decode("latin-1")
        exchange.http_1_0 = version == "1.0"
        exchange.keep_alive = parser.should_keep_alive() and not host.draining
        if not exchange.keep_alive:
            self._repeats.forget()
        if b"?" in exchange.path:
            exchange.path, _, exchange.query = exchange.path.partition(b"?")
        self._head_started_at = 0.0
        self._raw_bytes = 0
        self._since = _now()
        fault = exchange.fault or judge_head(exchange, version, host, overlong=self._head_room < 0)
        if fault is not None:
            exchange.fault, exchange.keep_alive = fault, False
        self._enqueue(exchange)

    def on_body(self, data: bytes) -> None:
        """llhttp: a piece of the body."""
        exchange = self._reading
        if exchange is None or exchange.fault is not None:
            return
        host, size = self._host, len(data)
        exchange.add_body(data)
        host.bodies_bytes += size
        if exchange is not self._active:
            self._unread_bytes += size
        if exchange.body_bytes > host.limits.max_body_bytes:
            exchange.keep_alive = False
            exchange.close_body(too_large(host.limits))

    def on_message_complete(self) -> None:
        """llhttp: the request has arrived whole, or asks for an upgrade."""
        exchange = self._reading
        if exchange is not None and b"upgrade" in exchange.headers and body_follows(exchange, self._parser):
            return
        self._reading = None
        if exchange is not None and exchange.fault is None:
            exchange.close_body()

    # --- what has been served --------------------------------------------------------------------------------

    def _finished(self, exchange: Exchange) -> None:
        """See `Turns`."""
        self._host.bodies_bytes -= exchange.body_bytes
        if self._transport is None:
            return
        if exchange.complete and exchange.fault is None and exchange.keep_alive and self._queue:
            self._unread_bytes = 0
            self._start(self._queue.popleft())
        elif not exchange.complete or exchange.fault is not None or self._deaf:
            self._linger(self._transport)
        elif not exchange.keep_alive or self._eof_at or self._host.draining:
            self._transport.close()
        else:
            self._since = _now()

    def _refuse(self, fault: Fault) -> None:
        """Answers what cannot be read further. An exchange that is being served is not disturbed."""
        if self._transport is None or self._linger_until:
            return
        self._deaf = True
        reading, self._reading = self._reading, None
        self._head_started_at = 0.0
        if reading is not None and (reading is self._active or reading in self._queue):
            reading.keep_alive = False
            reading.close_body(fault)
            return
        exchange = reading or Exchange(self, self.client, _now())
        exchange.keep_alive = False
        exchange.fault = fault
        exchange.method = exchange.method or "GET"
        self._enqueue(exchange)

    def _linger(self, transport: asyncio.Transport) -> None:
        """Closes so that the answer survives: closing with bytes unread makes the kernel reset the connection and
        the client may never see what was written (RFC 9112 section 9.6). So they are read on, and dropped.
        """
        self._deaf = True
        self._linger_until = _now() + self._host.limits.linger_s
        if transport.can_write_eof():
            transport.write_eof()

    # --- what the server asks --------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Enforces the deadline of the state the connection is in. Called by the sweep."""
        transport = self._transport
        if transport is None:
            return
        limits, active = self._host.limits, self._active
        if self._linger_until:
            if now > self._linger_until:
                transport.abort()
        elif self._paused_at and now - self._paused_at > limits.write_timeout_s:
            transport.abort()
        elif self._head_started_at:
            if now - self._head_started_at > limits.header_timeout_s:
                self._refuse(RequestTimeout(f"The request head did not arrive within {limits.header_timeout_s:g} s."))
        elif self._reading is not None:
            self._check_body(now, self._reading)
        elif active is None:
            if now - self._since > limits.keep_alive_s:
                transport.close()
        elif active.heartbeat and now - max(self._written_at, active.started_at) > limits.heartbeat_s:
            # Whole events are written, so this falls between two of them. It keeps intermediaries from closing a
            # silent stream, before its first event too.
            active.write(active.heartbeat())

    def _check_body(self, now: float, exchange: Exchange) -> None:
        limits = self._host.limits
        elapsed_s = now - self._since
        slow = elapsed_s > limits.body_grace_s and exchange.body_bytes < limits.body_min_bytes_per_s * elapsed_s
        if slow or elapsed_s > limits.body_timeout_s:
            self._refuse(RequestTimeout("The request body arrived too slowly."))

    def interrupt(self, fault: Fault) -> None:
        """Ends the active exchange early; its client is told why."""
        if self._active is not None and self._task is not None:
            self._active.interruption = fault
            self._task.cancel()

    @property
    def busy(self) -> bool:
        """Whether a request is being received or served, or its answer is not yet with the kernel."""
        if self._active is not None or self._queue or self._reading is not None:
            return True
        return self._transport is not None and self._transport.get_write_buffer_size() > 0

    def close_if_idle(self) -> None:
        """For draining: no further request is read on this connection."""
        if self._active is not None:
            self._active.keep_alive = self._active.keep_alive and self._active.head_sent
        elif self._transport is not None and not self.busy:
            self._transport.close()

    def abort(self) -> None:
        """Drops the socket."""
        if self._transport is not None:
            self._transport.abort()
