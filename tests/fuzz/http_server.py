"""Fuzzes `web.connection`: requests whole, damaged, pipelined and cut anywhere, against a reader of our own.

What must hold: nothing is raised out of the protocol. Each response is well framed, and there is at most one for each
request. Every request that is served is one that the strict reader finds in the same bytes, in the same order and with
the same body: so nothing can be smuggled. No handler runs for a request that was refused. Undamaged requests are all
answered. How the bytes were cut changes no status. In the end nothing is held, and every connection ends.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from random import Random

from tests.fuzz.engine import Case, settle
from tests.fuzz.http_reference import Message, read_requests, read_responses
from tests.fuzz.mutate import BYTES, cut, damage
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.web.connection import Connection
from tollhouse.web.cors import Cors
from tollhouse.web.exchange import Exchange
from tollhouse.web.front import Front
from tollhouse.web.limits import ServerLimits
from tollhouse.web.routes import Route, RouteTable
from tollhouse.web.server import Server

HOST = b"Host: t\r\n"
REQUESTS = (
    b"GET /v1/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /v1/stream?a=b HTTP/1.1\r\n" + HOST + b"X-Request-Id: one\r\n\r\n",
    b"HEAD /v1/echo HTTP/1.1\r\n" + HOST + b"\r\n",
    b"OPTIONS /v1/echo HTTP/1.1\r\n" + HOST + b"Origin: http://localhost:1\r\n\r\n",
    b"POST /v1/echo HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"POST /v1/echo HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n\r\n",
    b"POST /v1/deaf HTTP/1.1\r\n" + HOST + b"Content-Length: 34\r\n\r\nGET /v1/echo HTTP/1.1\r\nHost: t\r\n\r\n",
    b"POST /v1/echo HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: v\r\n\r\n",
    b"POST /v1/echo HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"POST /v1/none HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi",
    b"PUT /v1/echo HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\nhi",
    b"GET /v1/echo HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n",
    b"POST /v1/echo HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi",
    b"POST /v1/echo HTTP/1.1\r\n"
    + HOST
    + b"Upgrade: h2c\r\nConnection: upgrade\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"GET /v1/stream HTTP/1.0\r\n\r\n",
    b"POST /v1/echo HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
)
WORDS = (
    *BYTES,
    *(b"Content-Length: 3\r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Transfer-Encoding: identity\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\nUpgrade: h2c\r\n"),
    *(b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: CHUNKED\r\n", b"HTTP2-Settings: AAMAAABk\r\n"),
    *(b"Expect: 100-continue\r\n", b"Content-Encoding: gzip\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"ffffffffffffffff\r\n"),
    *(b"HTTP/1.0", b"HTTP/2.0", b"HEAD ", b"CONNECT ", b"http://t/v1/echo", b"*", b"Host: u\r\n", b"A: " + b"a" * 3000),
    *(b"X: y\r\n" * 20, b"5;" + b"x" * 700 + b"\r\n", b"z" * 5000, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", *REQUESTS),
)
LIMITS = ServerLimits(
    max_header_bytes=2048, max_headers=16, max_body_bytes=4096, max_bodies_bytes=16384, pipeline_depth=6
)
ENDS = (b"eof", b"hold", b"gone", b"slow")
"""The client sends FIN, waits for ever, is lost, or does not read until it has sent all and a FIN."""
_AGES_S = 1e5


class Wire(asyncio.Transport):
    """A transport in memory: keeps what was written, and ends its protocol as a socket would."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.sent = bytearray()
        self.closing = self.finished = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Kept."""
        assert not self.finished, "written after the end"
        if not self.closing:
            self.sent += data

    def write_eof(self) -> None:
        """Half-closed."""
        self.finished = True

    def can_write_eof(self) -> bool:
        """As TCP can."""
        return True

    def close(self) -> None:
        """Ends, a turn of the loop later."""
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        """After `close`."""
        return self.closing

    def pause_reading(self) -> None:
        """No more bytes for now."""
        self.reading = False

    def resume_reading(self) -> None:
        """More bytes."""
        self.reading = True

    def is_reading(self) -> bool:
        """Between the two."""
        return self.reading and not self.closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Has no buffer."""

    def get_write_buffer_size(self) -> int:
        """Has no buffer."""
        return 0


class HttpServer:
    """The target."""

    fixed = 1

    def make(self, random: Random) -> Case:
        """One to five requests, in two cases of three damaged."""
        data = b"".join(random.choices(REQUESTS, k=random.randint(1, 5)))
        clean = random.randrange(3) == 0
        end = random.choice(ENDS) + (b" clean" if clean else b"")
        return (end, *cut(random, data if clean else damage(random, data, WORDS)))

    async def check(self, case: Case) -> None:
        """Plays the case as cut, and once more whole."""
        end, *pieces = case
        first = await Stage().play(end, pieces)
        if end.startswith(b"gone"):
            return
        second = await Stage().play(end, [b"".join(pieces)])
        # A handler may answer before the body's end, known or not, and then the connection closes.
        until = next((index for index, pair in enumerate(zip(first, second, strict=False)) if closes(*pair)), None)
        if until is None and surplus(b"".join(pieces)):
            until = min(len(first), len(second))
        assert statuses(first[:until]) == statuses(second[:until]), "another cut, another answer"


class Stage:
    """One server with one connection, and what it served."""

    def __init__(self) -> None:
        self.log = BytesIO()
        self.served: list[Exchange] = []
        self.bodies: dict[int, bytes] = {}
        routes = (
            Route("GET", "/v1/echo", self._echo, "public"),
            Route("POST", "/v1/echo", self._echo, "public"),
            Route("POST", "/v1/deaf", self._deaf, "public"),
            Route("GET", "/v1/stream", self._stream, "public"),
        )
        self._writer = Log(sink=self.log)
        self.front = Front(RouteTable(routes), lambda: Cors(("http://localhost:*",)), self._writer, Metrics())
        self.server = Server(self._run, LIMITS)

    async def play(self, end: bytes, pieces: list[bytes]) -> list[Message]:
        """The responses to these pieces, judged."""
        connection = Connection(self.server, self._run, asyncio.get_running_loop())
        wire = Wire(connection)
        connection.connection_made(wire)
        if end.startswith(b"slow"):
            connection.pause_writing()
        for piece in filter(None, pieces):
            if not await self._readable(connection, wire, slow=end.startswith(b"slow")):
                break
            connection.data_received(piece)
            if len(piece) % 2:  # in some cases the next bytes come before the loop turns
                await settle(1)
        await self._end(end, connection, wire)
        assert wire.closing, "the connection never ends"
        self._judge(end, bytes(wire.sent), b"".join(pieces))
        return self._responses(bytes(wire.sent))[0]

    async def _readable(self, connection: Connection, wire: Wire, *, slow: bool) -> bool:
        """Waits until the server reads on; False when it never will."""
        for _ in range(200):
            if wire.is_reading():
                break
            if slow:  # a client that waits for the server to read must read first
                connection.resume_writing()
            await settle(1)
        assert wire.reading or wire.closing, "the server stopped reading for good"
        return not wire.closing

    async def _end(self, end: bytes, connection: Connection, wire: Wire) -> None:
        if not end.startswith(b"gone"):
            await rest(connection)
        if end.startswith(b"slow"):
            connection.resume_writing()
            await rest(connection)
        if end.startswith(b"gone") or (
            not end.startswith(b"hold") and not wire.closing and not connection.eof_received()
        ):
            wire.close()
        await settle()
        for age in (1, 2, 3):
            connection.check(asyncio.get_running_loop().time() + age * _AGES_S)
            await settle()

    def _judge(self, end: bytes, sent: bytes, given: bytes) -> None:
        """The oracle."""
        found, rest = self._responses(sent)
        assert not rest or end.startswith(b"gone"), ("a broken response", rest)
        asked = read_requests(given)
        good = [exchange for exchange in self.served if exchange.notes["accepted"]]
        targets = [(one.method.encode(), b"?".join(filter(None, (one.path, one.query)))) for one in good]
        assert targets == [(one.method, one.target) for one in asked[: len(good)]], ("smuggled", targets, asked)
        for exchange, request in zip(good, asked, strict=False):
            body = self.bodies.get(id(exchange))
            assert body is None or body == request.body, ("another body", body, request.body)
        if end in {b"eof clean", b"hold clean", b"slow clean"} and not closes(*found[-1:]) and not surplus(given):
            assert len(found) == len(asked), ("an unanswered request", found, asked)
        assert not any(one.close for one in found[:-1]), ("more after the last", found)
        self._writer.flush()
        assert b'"bug"' not in self.log.getvalue(), self.log.getvalue()
        held = (self.server.bodies_bytes, len(self.server.connections), self.front.in_flight, self.server.busy)
        assert held == (0, 0, 0, 0), ("still held", held)

    def _responses(self, sent: bytes) -> tuple[list[Message], bytes]:
        return read_responses(sent, [exchange.method for exchange in self.served])

    # --- what is served --------------------------------------------------------------------------------------

    async def _run(self, exchange: Exchange) -> None:
        self.served.append(exchange)
        exchange.notes["accepted"] = exchange.fault is None
        await self.front(exchange)

    async def _echo(self, exchange: Exchange) -> None:
        assert exchange.notes["accepted"], "a handler runs for a refused request"
        self.bodies[id(exchange)] = await exchange.body()
        await asyncio.sleep(0)
        exchange.reply(200, self.bodies[id(exchange)], content_type="text/plain")

    async def _deaf(self, exchange: Exchange) -> None:
        """Answers without having asked for the body."""
        assert exchange.notes["accepted"], "a handler runs for a refused request"
        exchange.reply(200, b"{}")

    async def _stream(self, exchange: Exchange) -> None:
        assert exchange.notes["accepted"], "a handler runs for a refused request"
        exchange.begin_stream(heartbeat=lambda: b": still here\n\n")
        for _ in range(3):
            exchange.write(b"data: {}\n\n")
            await exchange.flush()
            await asyncio.sleep(0)
        exchange.end(b"data: [DONE]\n\n")


async def rest(connection: Connection) -> None:
    """Waits until nothing is being served, or nothing moves."""
    for _ in range(1000):
        await settle(1)
        if not connection.busy:
            return


def surplus(given: bytes) -> bool:
    """Whether more requests may wait at once than the server keeps: then the last are not answered."""
    return len(re.findall(rb"\n\r?\n", given)) >= LIMITS.pipeline_depth


def closes(*responses: Message) -> bool:
    """Whether one of them is the last of its connection."""
    return any(response.close for response in responses)


def statuses(responses: list[Message]) -> list[bytes]:
    """Their statuses. Whether a client that says no more is told 408 or nothing may depend on where it stopped."""
    return [response.method for response in responses if response.method != b"408"]


@asynccontextmanager
async def opened() -> AsyncIterator[HttpServer]:
    """The target."""
    yield HttpServer()
