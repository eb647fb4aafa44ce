"""One request and its response: what a handler is given.

A handler reads `body`, then answers once: `reply` with a whole body, or `begin_stream`, `write` and `end`. Nothing is
sent before the first of these, so that a fault raised earlier can still choose the status. Writes are synchronous and
whole (one event, one write); `flush` is where a handler waits for a client that reads slowly.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from tollhouse.errors import Fault
from tollhouse.types.tenancy import Principal
from tollhouse.web.heads import header_line, json_body, response_head

EVENTS: Final = "text/event-stream"
_EVENT_STREAM: Final = f"{EVENTS}; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ErrorForm:
    """How a fault is written for the client that is being served."""

    body: Callable[[Fault, str], dict[str, Any]]
    """The JSON, from the fault and the request's id."""
    event: Callable[[dict[str, Any]], bytes]
    """The last event of a stream, from that JSON."""
    id_header: str = ""
    """Another header that tells the request's id, where the dialect's clients look for it."""


OPENAI_ERRORS: Final = ErrorForm(
    lambda fault, request_id: fault.body(request_id), lambda error: b"data: " + json_body(error) + b"\n\n"
)


class Channel(Protocol):
    """The connection, as an exchange sees it."""

    def send(self, data: bytes) -> None:
        """Writes to the socket; does nothing once the client is gone."""

    async def writable(self) -> None:
        """Returns at once unless the socket's buffer is over its limit."""

    def abort(self) -> None:
        """Drops the socket, so that the client sees its answer break off."""


class Repeated:
    """A head that a client repeats on one connection, and what was found out about it. See `web.repeats`."""

    __slots__ = ("as_of", "names_no_host", "principal")

    def __init__(self) -> None:
        self.principal: Principal | None = None
        """Whom its key stands for; None until somebody has asked (`gateway.auth`)."""
        self.as_of = 0
        """How often the keys had changed by then."""
        self.names_no_host = False
        """Whether it was found not to try to choose its upstream (`gateway.hosts`)."""


class Exchange:
    """A request as it was received and the response as far as it was sent."""

    __slots__ = (
        "_chunks", "_waiter", "begun", "body_bytes", "channel", "client", "complete", "errors", "expects_continue",
        "fault", "head_sent", "headers", "heartbeat", "http_1_0", "interruption", "keep_alive", "method", "notes",
        "path", "pending_head", "query", "repeated", "request_id", "rest", "sent_bytes", "shared_headers",
        "speaks_events", "started_at", "status", "stream_type", "streaming",
    )  # fmt: skip

    def __init__(self, channel: Channel, client: str, started_at: float) -> None:
        self.channel = channel
        self.client = client
        """The peer's address."""
        self.started_at = started_at
        """On the monotonic clock, at the first byte of the request."""
        self.method = ""
        self.path = b""
        self.query = b""
        self.rest = b""
        """What the braces of the route's template stand for."""
        self.http_1_0 = False
        self.keep_alive = True
        self.expects_continue = False
        self.headers: dict[bytes, bytes] = {}
        """Lower-case names."""
        self.repeated: Repeated | None = None
        """Where its head is known, what is remembered with it."""
        self._chunks: list[bytes] = []
        self.body_bytes = 0
        self.complete = False
        """Whether the body has arrived whole."""
        self.begun = False
        """Whether its handler has taken its first step."""
        self.errors: ErrorForm = OPENAI_ERRORS
        self.stream_type = _EVENT_STREAM
        """What a stream is where its handler says nothing else; errors can be told in it."""
        self.fault: Fault | None = None
        """Set by the protocol when the request is refused before any handler runs."""
        self.interruption: Fault | None = None
        """Set when the server ends the exchange early; the reason the client is told."""
        self.notes: dict[str, object] = {}
        """What the access log says of this exchange beside the usual fields."""
        self.request_id = ""
        self.shared_headers = ""
        """Header lines every response of this exchange carries: CORS, request id."""
        self.status = 0
        self.head_sent = False
        self.streaming = False
        self.pending_head = b""
        self.heartbeat: Callable[[], bytes] | None = None
        """What the server's sweep writes when a stream has been silent."""
        self.speaks_events = True
        """Whether the stream that has begun can carry an error event; sound or an image cannot."""
        self.sent_bytes = 0
        self._waiter: asyncio.Future[None] | None = None

    # --- the request -----------------------------------------------------------------------------------------

    async def body(self) -> bytes:
        """The whole body. Raises `PayloadTooLarge`, `RequestTimeout`."""
        if not self.complete and self.fault is None:
            if self.expects_continue:
                self.channel.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.whole_body()

    def whole_body(self) -> bytes:
        """The body once all of it is here, or never will be. Raises what `body` does."""
        if self.fault is not None:
            raise self.fault
        chunks = self._chunks
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def add_body(self, chunk: bytes) -> None:
        """Called by the protocol for each piece."""
        self._chunks.append(chunk)
        self.body_bytes += len(chunk)

    def close_body(self, fault: Fault | None = None) -> None:
        """Called by the protocol once: the body is complete, or will never be."""
        if fault is not None:
            self.fault = fault
            self._chunks.clear()
        else:
            self.complete = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def release_body(self) -> None:
        """Frees the body's bytes once it is parsed."""
        self._chunks.clear()

    def speak(self, form: ErrorForm) -> None:
        """Chooses how faults are written from here on."""
        self.errors = form
        if form.id_header:
            self.shared_headers += header_line(form.id_header, self.request_id)

    # --- the response ----------------------------------------------------------------------------------------

    def reply(self, status: int, body: bytes, headers: str = "", content_type: str = "application/json") -> None:
        """Answers with a whole body. ``headers`` are ready lines, each ended by CRLF."""
        # An answer before the body's end closes the connection, and says so (RFC 9112 section 9.6).
        keep_alive = self.keep_alive and self.complete
        lines = f"content-type: {content_type}\r\ncontent-length: {len(body)}\r\n{self.shared_headers}{headers}"
        head = response_head(status, lines, keep_alive=keep_alive)
        self.status = status
        self.head_sent = True
        self.sent_bytes = len(body)
        self.channel.send(head if self.method == "HEAD" or status == 204 else head + body)

    def begin_stream(
        self, headers: str = "", heartbeat: Callable[[], bytes] | None = None, *, content_type: str | None = None
    ) -> None:
        """Starts a body of unknown length. The head leaves with the first write, or with the first heartbeat."""
        self.streaming = True
        self.speaks_events = content_type is None or content_type.startswith(EVENTS)
        content_type = content_type or self.stream_type
        self.status = 200
        framing = "" if self.http_1_0 else "transfer-encoding: chunked\r\n"
        if self.http_1_0:
            self.keep_alive = False
        fixed = "cache-control: no-cache\r\nx-accel-buffering: no\r\n"
        lines = header_line("content-type", content_type) + fixed + framing + self.shared_headers + headers
        self.pending_head = response_head(200, lines, keep_alive=self.keep_alive)
        self.heartbeat = heartbeat

    def write(self, data: bytes) -> None:
        """Sends whole events in one write; nothing where there are none, for an empty chunk is the end of a body
        (https://www.rfc-editor.org/rfc/rfc9112#section-7.1).
        """
        if not data:
            return
        self.sent_bytes += len(data)
        framed = data if self.http_1_0 else b"%x\r\n%b\r\n" % (len(data), data)
        if not self.head_sent:
            self.head_sent = True
            framed = self.pending_head + framed
        self.channel.send(framed)

    def flush(self) -> Awaitable[None]:
        """Waits while the client reads slower than the upstream writes."""
        return self.channel.writable()

    def end(self, data: bytes = b"") -> None:
        """Ends the stream, with its last events in the same write."""
        self.streaming = False
        self.heartbeat = None
        self.sent_bytes += len(data)
        if self.http_1_0:
            framed = data
        elif data:
            framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        else:
            framed = b"0\r\n\r\n"
        if not self.head_sent:
            self.head_sent = True
            framed = self.pending_head + framed
        self.channel.send(framed)

    def fail(self, fault: Fault) -> None:
        """Answers with the fault: a status and JSON, or the last event of a stream that has begun. A stream of anything
        else is cut off, so that no client takes the part for the whole.
        """
        body = self.errors.body(fault, self.request_id)
        if self.streaming and self.head_sent and self.speaks_events:
            self.end(self.errors.event(body))
            return
        if self.streaming and self.head_sent:
            self.streaming = False
            self.channel.abort()
            return
        if self.head_sent:
            return
        self.streaming = False
        self.heartbeat = None
        lines = "".join([header_line(name, value) for name, value in fault.headers.items()])
        self.reply(fault.status, json_body(body), lines)
