"""The listener: its port, its connections, and how it drains."""

import asyncio
import socket
from dataclasses import replace

import pytest

from tests.fakes.door import eventually
from tests.web.conftest import Running, serving
from tollhouse.web.connection import Connection
from tollhouse.web.limits import ServerLimits
from tollhouse.web.server import Server

LIMITS = ServerLimits(linger_s=0.2)
ASK = b"GET /v1/echo HTTP/1.1\r\nHost: t\r\n\r\n"
WAIT = b"POST /v1/wait HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"
STREAM = b"GET /v1/stream HTTP/1.1\r\nHost: t\r\n\r\n"


async def busy(running: Running, count: int = 1) -> None:
    """Waits until so many requests are being served."""
    await eventually(lambda: running.front.in_flight == count)


async def test_a_taken_address_is_an_error_and_a_free_one_a_port() -> None:
    """Port 0 gives whichever is free; an address in use raises, and the first listener goes on."""
    async with serving(LIMITS) as running:
        assert 0 < running.port < 65_536
        async with serving(LIMITS) as other:
            with pytest.raises(OSError, match="in use"):
                await other.server.start("127.0.0.1", running.port)
        assert (await running.talk(ASK, wait_s=0.2)).startswith(b"HTTP/1.1 200")


async def test_connections_are_counted_in_and_out() -> None:
    """What is open, and what is being served, is known at any moment."""
    async with serving(LIMITS) as running:
        running.gate = asyncio.Event()
        idle = await asyncio.open_connection("127.0.0.1", running.port)
        working = await asyncio.open_connection("127.0.0.1", running.port)
        working[1].write(WAIT)
        await busy(running)
        assert (len(running.server.connections), running.server.busy) == (2, 1)
        running.gate.set()
        assert b"done" in await working[0].readuntil(b"done")
        assert running.server.busy == 0
        for _, writer in (idle, working):
            writer.close()
        await eventually(lambda: not running.server.connections)


async def test_every_connection_over_the_cap_is_counted() -> None:
    """The cap is a cap at any moment, and each refusal is on record."""
    async with serving(replace(LIMITS, max_connections=2)) as running:
        held = [await asyncio.open_connection("127.0.0.1", running.port) for _ in range(2)]
        await eventually(lambda: len(running.server.connections) == 2)
        for _ in range(3):
            assert (await running.talk(b"")).startswith(b"HTTP/1.1 503")
        assert running.server.refused_connections == 3
        for _, writer in held:
            writer.close()


async def test_all_bodies_together_are_bounded() -> None:
    """A body that would not fit beside those that are held is refused at its head, and fits when they are gone."""
    async with serving(replace(LIMITS, max_bodies_bytes=1000)) as running:
        running.gate = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(b"POST /v1/wait HTTP/1.1\r\nHost: t\r\nContent-Length: 600\r\n\r\n" + b"x" * 600)
        await eventually(lambda: running.server.bodies_bytes == 600)
        ask = b"POST /v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 600\r\n\r\n" + b"y" * 600
        refused = await running.talk(ask)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1\r\n" in refused
        running.gate.set()
        await reader.readuntil(b"done")
        assert (await running.talk(ask, wait_s=0.2)).startswith(b"HTTP/1.1 200")
        assert running.server.bodies_bytes == 0
        writer.close()


class Line(asyncio.Transport):
    """A transport that leads nowhere."""

    def write(self, data: object) -> None:
        """Forgets what is sent."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Has no buffer."""


@pytest.mark.parametrize("requests", [1, 2, 3])
async def test_a_client_that_is_gone_before_its_handler_begins_leaves_nothing(requests: int) -> None:
    """Lost in the same turn of the loop in which it asked, a connection runs no handler and gives its bytes back."""
    async with serving(LIMITS) as running:
        connection = Connection(running.server, running.front, asyncio.get_running_loop())
        connection.connection_made(Line())
        whole = b"POST /v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nabcde"
        connection.data_received(whole * requests + whole[:-2])
        assert running.server.bodies_bytes == 5 * requests + 3
        connection.connection_lost(None)
        await asyncio.sleep(0)
        assert running.server.bodies_bytes == 0
        assert (running.front.in_flight, running.server.connections) == (0, set())


async def test_the_tick_runs_with_the_sweep() -> None:
    """What the caller hangs on the tick, as writing the log, runs a few times a second and ends with the server."""
    async with serving(LIMITS) as running:
        ticks: list[int] = []
        server = Server(running.front, replace(LIMITS, heartbeat_s=0.1))
        await server.start("127.0.0.1", 0, on_tick=lambda: ticks.append(1))
        await eventually(lambda: len(ticks) > 3)
        server.stop()
        seen = len(ticks)
        await asyncio.sleep(0.1)
        assert len(ticks) == seen


# --- draining ------------------------------------------------------------------------------------------------------


async def test_an_idle_server_drains_at_once() -> None:
    """Idle connections are closed in good order, and nothing can connect any more."""
    async with serving(LIMITS) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(ASK)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(1):
            await running.server.drain(30)
            assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port), 1)
        writer.close()


@pytest.mark.parametrize("request_bytes", [WAIT, STREAM], ids=["whole", "stream"])
async def test_what_is_in_flight_runs_to_its_end(request_bytes: bytes) -> None:
    """The answer is complete; the connection closes after it, and a request behind it is not taken."""
    async with serving(LIMITS) as running:
        running.gate = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(request_bytes)
        await busy(running)
        drain = asyncio.create_task(running.server.drain(30))
        await asyncio.sleep(0.05)
        assert not drain.done()
        running.gate.set()
        answer = await asyncio.wait_for(reader.read(), 2)
        assert answer.endswith((b"done", b"[DONE]\n\n\r\n0\r\n\r\n"))
        await asyncio.wait_for(drain, 2)
        assert running.cancelled == 0
        writer.close()


async def test_what_outlasts_the_limit_is_told_and_ended() -> None:
    """A stream gets an error event and a pending request a 503, both saying that the server is draining."""
    async with serving(LIMITS) as running:
        running.gate = asyncio.Event()
        streaming = await asyncio.open_connection("127.0.0.1", running.port)
        waiting = await asyncio.open_connection("127.0.0.1", running.port)
        streaming[1].write(STREAM)
        waiting[1].write(WAIT)
        await busy(running, 2)
        await asyncio.wait_for(running.server.drain(0.1), 3)
        told = await streaming[0].read()
        assert b'data: {"error":' in told
        assert b"server_draining" in told
        assert b"[DONE]" not in told
        refused = await waiting[0].read()
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"\r\nconnection: close\r\n" in refused
        assert running.cancelled == 2
        assert not running.server.connections
        for _, writer in (streaming, waiting):
            writer.close()


async def test_a_slow_reader_gets_all_of_its_answer_before_the_drain_ends() -> None:
    """A drain waits for bytes that the kernel has not taken yet, not only for handlers."""
    async with serving(LIMITS) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port, limit=1024)
        body = b"x" * 8_000_000
        writer.write(b"POST /v1/echo HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.readuntil(b"\r\n\r\n")
        drain = asyncio.create_task(running.server.drain(30))
        got = 0
        while piece := await reader.read(65_536):
            got += len(piece)
            await asyncio.sleep(0)
        assert got == len(body)
        await asyncio.wait_for(drain, 2)
        writer.close()


async def test_a_stop_drops_everything_at_once() -> None:
    """Handlers are cancelled, sockets closed, and what they held is given back."""
    async with serving(LIMITS) as running:
        running.gate = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(WAIT)
        await busy(running)
        running.server.stop()
        assert await reader.read() == b""
        await eventually(lambda: running.cancelled == 1 and not running.server.connections)
        assert running.server.bodies_bytes == 0
        writer.close()
