"""Requests on the wire: framing, caps, deadlines and disconnects, against a real listening socket."""

import asyncio
import socket
from dataclasses import replace

import pytest

from tests.web.conftest import serving
from tollhouse.web.limits import ServerLimits

HOST = b"Host: t\r\n"
POST = b"POST /v1/echo HTTP/1.1\r\n" + HOST
LIMITS = ServerLimits(linger_s=0.2)


def status(reply: bytes) -> bytes:
    """The status of a reply's first line."""
    return reply[9:12]


SMUGGLING = {
    "te and cl": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "cl and te": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te chunked, identity": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "te identity": POST + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "te twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te on 1.0": b"POST /v1/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "cl twice": POST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "cl list": POST + b"Content-Length: 4, 4\r\n\r\nabcd",
    "cl hex": POST + b"Content-Length: 0x4\r\n\r\nabcd",
    "cl plus": POST + b"Content-Length: +4\r\n\r\nabcd",
    "cl minus": POST + b"Content-Length: -4\r\n\r\nabcd",
    "lf only": b"POST /v1/echo HTTP/1.1\nHost: t\nContent-Length: 2\n\nab",
    "one bare lf": b"POST /v1/echo HTTP/1.1\r\nHost: t\nContent-Length: 2\r\n\r\nab",
    "bare cr in head": b"POST /v1/echo HTTP/1.1\r\nHost: t\rX: y\r\nContent-Length: 2\r\n\r\nab",
    "bare cr in chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n2\rab\r\n0\r\n\r\n",
    "bare lf in chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n",
    "chunk size 0x": POST + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n",
    "chunk too long": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX0\r\n\r\n",
    "obsolete folding": POST + b"X-A: a\r\n b\r\nContent-Length: 2\r\n\r\nab",
    "nul in value": POST + b"X-A: a\x00b\r\nContent-Length: 2\r\n\r\nab",
    "space before colon": POST + b"Content-Length : 2\r\n\r\nab",
    "host twice": POST + HOST + b"Content-Length: 2\r\n\r\nab",
    "no host": b"POST /v1/echo HTTP/1.1\r\nContent-Length: 2\r\n\r\nab",
    "absolute target": b"POST http://evil/v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nab",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "tls hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", SMUGGLING)
async def test_f70_s32_an_ambiguous_request_is_refused_and_the_connection_closed(name: str) -> None:
    """Anything that two parsers could read as two different requests gets one 400 and no second answer."""
    async with serving(LIMITS) as running:
        smuggled = b"GET /v1/echo HTTP/1.1\r\nHost: t\r\n\r\n"
        reply = await running.talk(SMUGGLING[name] + smuggled)
        assert status(reply) == b"400"
        assert reply.count(b"\r\nx-request-id: ") == 1
        assert b"connection: close" in reply
        assert b'"type":"invalid_request_error"' in reply


@pytest.mark.parametrize("step", [1, 7, 4096])
async def test_a_request_may_arrive_in_any_pieces(step: int) -> None:
    """A request is read the same whole and byte by byte, with a length or in chunks."""
    whole = POST + b"Content-Length: 5\r\n\r\nhello"
    chunked = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n"
    async with serving(LIMITS) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        data = whole + chunked
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            await asyncio.sleep(0)
        replies = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert replies.count(b"HTTP/1.1 200") == 2
        assert replies.count(b"HELLO") == 2


async def test_f71_a_hundred_pipelined_requests_are_answered_in_order() -> None:
    """Pipelined requests get their own answers, in the order in which they were sent."""
    async with serving(LIMITS) as running:
        requests = [POST + b"Content-Length: 3\r\n\r\n%03d" % number for number in range(100)]
        requests[-1] = requests[-1].replace(HOST, HOST + b"Connection: close\r\n")
        replies = await running.talk(b"".join(requests))
        bodies = [part[-3:] for part in replies.split(b"HTTP/1.1 200 OK")[1:]]
        assert bodies == [b"%03d" % number for number in range(100)]


@pytest.mark.parametrize(
    "head",
    [
        b"X-Big: " + b"a" * 70_000 + b"\r\n",
        b"".join([b"X-%d: a\r\n" % number for number in range(10_000)]),
        b"".join([b"X-%d: a\r\n" % number for number in range(200)]),
    ],
)
async def test_f69_s30_too_many_or_too_large_headers_are_431(head: bytes) -> None:
    """A head over the caps of bytes or fields is refused with 431."""
    async with serving(LIMITS) as running:
        assert status(await running.talk(POST + head + b"\r\n")) == b"431"


async def test_f69_an_endless_header_is_cut_off() -> None:
    """A head that never ends is refused once it is over the cap, not when memory is."""
    async with serving(LIMITS) as running:
        reply = await running.talk(POST + b"X-Big: " + b"a" * 2_000_000)
        assert status(reply) == b"431"


async def test_f62_s29_a_body_over_the_cap_is_refused_before_it_is_read() -> None:
    """A Content-Length over the cap gets 413 at once, naming the limit."""
    async with serving(replace(LIMITS, max_body_bytes=1000)) as running:
        reply = await running.talk(POST + b"Content-Length: 10737418240\r\n\r\n")
        assert status(reply) == b"413"
        assert b"1000 bytes" in reply
        assert b"connection: close" in reply


async def test_f63_a_chunked_body_over_the_cap_is_refused_while_it_is_read() -> None:
    """A body without a length is counted as it arrives."""
    async with serving(replace(LIMITS, max_body_bytes=1000)) as running:
        chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
        reply = await running.talk(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)
        assert status(reply) == b"413"


@pytest.mark.parametrize(
    "tail",
    [b"1;" + b"e" * 2_000_000 + b"\r\nx\r\n", b"0\r\n" + b"X-Trailer: yyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 60_000],
)
async def test_f63_a_body_that_is_mostly_framing_is_refused(tail: bytes) -> None:
    """Megabytes of chunk extensions or trailers around a few bytes of body are refused."""
    async with serving(LIMITS) as running:
        assert status(await running.talk(POST + b"Transfer-Encoding: chunked\r\n\r\n" + tail)) == b"400"


async def test_f63_one_byte_chunks_are_read() -> None:
    """A body in a hundred thousand chunks of one byte is legal and is read."""
    async with serving(LIMITS) as running:
        head = POST + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        reply = await running.talk(head + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
        assert status(reply) == b"200"
        assert reply.endswith(b"X" * 100_000)


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"zstd"])
async def test_f64_s33_an_encoded_body_is_415(encoding: bytes) -> None:
    """No compressed body is inflated, so no bomb can go off."""
    async with serving(LIMITS) as running:
        reply = await running.talk(POST + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 3\r\n\r\nabc")
        assert status(reply) == b"415"


async def test_f59_s31_slow_headers_end_at_the_deadline() -> None:
    """A head that trickles is answered 408 at the deadline, whatever trickles."""
    async with serving(replace(LIMITS, header_timeout_s=0.3)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)

        async def trickle() -> None:
            for byte in POST * 10:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)

        task = asyncio.create_task(trickle())
        reply = await asyncio.wait_for(reader.read(), 5)
        task.cancel()
        writer.close()
        assert status(reply) == b"408"
        assert (await running.talk(POST + b"Content-Length: 1\r\nConnection: close\r\n\r\na")).endswith(b"A")


async def test_f60_s31_a_slow_body_ends_at_the_deadline() -> None:
    """A body under the minimum rate after its grace is answered 408."""
    async with serving(replace(LIMITS, body_grace_s=0.2)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(POST + b"Content-Length: 100000\r\n\r\nabc")
        reply = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert status(reply) == b"408"


async def test_idle_connections_are_closed() -> None:
    """A connection that is kept alive and says nothing is closed after its time."""
    async with serving(replace(LIMITS, keep_alive_s=0.2)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_f50_nothing_runs_on_for_a_client_that_left_before_its_body_was_complete() -> None:
    """A disconnect in the middle of a body ends the exchange."""
    async with serving(LIMITS) as running:
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(POST.replace(b"echo", b"wait") + b"Content-Length: 10\r\n\r\nabc")
        await asyncio.sleep(0.05)
        assert running.front.in_flight == 1
        writer.close()
        await eventually(lambda: running.front.in_flight == 0 and not running.server.connections)
        assert running.server.bodies_bytes == 0


@pytest.mark.parametrize("path", [b"/v1/wait", b"/v1/stream"])
async def test_f53_a_disconnect_cancels_the_handler_within_a_second(path: bytes) -> None:
    """A handler that waits is cancelled within a second of the client's close."""
    async with serving(LIMITS) as running:
        running.gate = asyncio.Event()
        _, writer = await asyncio.open_connection("127.0.0.1", running.port)
        method = b"POST " if path.endswith(b"wait") else b"GET "
        writer.write(method + path + b" HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\na")
        await asyncio.sleep(0.1)
        writer.close()
        await eventually(lambda: running.cancelled == 1, within_s=1.0)
        assert running.front.in_flight == 0


async def test_f57_a_client_that_only_closed_its_sending_side_is_answered() -> None:
    """After a FIN the answer is still delivered to a client that reads."""
    async with serving(LIMITS) as running:
        running.gate = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /v1/wait HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\n\r\na")
        writer.write_eof()
        await asyncio.sleep(0.1)
        running.gate.set()
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"done")
        writer.close()


async def test_f58_f61_a_client_that_does_not_read_is_bounded_and_dropped() -> None:
    """A reader that stalls holds a bounded buffer and is dropped after the write timeout."""
    limits = replace(LIMITS, write_timeout_s=0.4)
    async with serving(limits) as running:
        sock = socket.create_connection(("127.0.0.1", running.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /v1/flood HTTP/1.1\r\nHost: t\r\n\r\n")
        await asyncio.sleep(0.2)
        (connection,) = running.server.connections
        assert connection._transport is not None
        assert connection._transport.get_write_buffer_size() <= 256 * 1024
        await eventually(lambda: running.cancelled == 1, within_s=3.0)
        sock.close()


async def test_a_silent_stream_gets_heartbeats_between_its_events() -> None:
    """An open stream is never silent for longer than the heartbeat."""
    async with serving(replace(LIMITS, heartbeat_s=0.1)) as running:
        running.gate = asyncio.Event()
        talk = asyncio.create_task(running.talk(b"GET /v1/stream HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"))
        await asyncio.sleep(0.5)
        running.gate.set()
        reply = await talk
        assert reply.count(b"data: {}\n\n") >= 2
        assert reply.index(b'{"n":1}') < reply.index(b"data: {}")
        assert reply.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


async def test_expect_100_continue_is_answered_before_the_body() -> None:
    """A client that asks first is told to go on."""
    async with serving(LIMITS) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n")
        assert await asyncio.wait_for(reader.readline(), 5) == b"HTTP/1.1 100 Continue\r\n"
        writer.write(b"ab")
        assert (await asyncio.wait_for(reader.read(), 5)).endswith(b"AB")
        writer.close()


async def test_http_1_0_gets_a_stream_that_ends_with_the_connection() -> None:
    """An HTTP/1.0 client gets no chunked coding."""
    async with serving(LIMITS) as running:
        reply = await running.talk(b"GET /v1/stream HTTP/1.0\r\n\r\n")
        assert b"transfer-encoding" not in reply
        assert reply.endswith(b'data: {"n":1}\n\ndata: [DONE]\n\n')


async def test_a_connection_over_the_limit_is_told_so() -> None:
    """A connection over the cap gets 503 with Retry-After, and the others go on."""
    async with serving(replace(LIMITS, max_connections=1)) as running:
        _, first = await asyncio.open_connection("127.0.0.1", running.port)
        await asyncio.sleep(0.05)
        reply = await running.talk(b"")
        assert status(reply) == b"503"
        assert b"retry-after: 1\r\n" in reply
        first.close()
        await eventually(lambda: not running.server.connections)
        assert status(await running.talk(POST + b"Content-Length: 0\r\nConnection: close\r\n\r\n")) == b"200"


async def eventually(condition: object, within_s: float = 5.0) -> None:
    """Waits until a condition holds; fails when it does not in time."""
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
