"""A server with two plain endpoints, and a client that speaks raw bytes to it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO

import pytest
import uvloop

from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.web.cors import Cors
from tollhouse.web.exchange import Exchange
from tollhouse.web.front import Front
from tollhouse.web.limits import ServerLimits
from tollhouse.web.routes import Route, RouteTable
from tollhouse.web.server import Server

CORS = Cors(("http://localhost:*", "https://app.example"))


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What is left behind is looked for on the loop that the product runs on (a hook of pytest-asyncio)."""
    del config
    return {"uvloop": uvloop.new_event_loop} if item.path.stem == "test_cycles" else {"asyncio": asyncio.new_event_loop}


@dataclass
class Running:
    """A listening server and what its endpoints saw."""

    server: Server
    front: Front
    port: int
    log: BytesIO
    cancelled: int = 0
    gate: asyncio.Event | None = None

    async def talk(self, data: bytes, *, wait_s: float = 2.0) -> bytes:
        """Sends bytes and reads until the server closes, or is silent for ``wait_s``."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        received = b""
        try:
            while piece := await asyncio.wait_for(reader.read(65536), wait_s):
                received += piece
        except (TimeoutError, ConnectionResetError):
            pass
        finally:
            writer.close()
        return received


@asynccontextmanager
async def serving(limits: ServerLimits) -> AsyncIterator[Running]:
    """A server on a free port, stopped at the end."""
    log = BytesIO()
    writer = Log(sink=log)
    routes = (
        Route("POST", "/v1/echo", echo, "public"),
        Route("GET", "/v1/echo", echo, "public"),
        Route("POST", "/v1/wait", lambda exchange: wait(running, exchange), "public"),
        Route("GET", "/v1/stream", lambda exchange: stream(running, exchange), "public"),
        Route("GET", "/v1/flood", lambda exchange: flood(running, exchange), "public"),
        Route("GET", "/v1/things/{id}", thing, "public"),
        Route("GET", "/v1/bug", bug, "public"),
    )
    front = Front(RouteTable(routes), lambda: CORS, writer, Metrics())
    server = Server(front, limits)
    port = await server.start("127.0.0.1", 0, on_tick=writer.flush)
    running = Running(server, front, port, log)
    try:
        yield running
    finally:
        server.stop()
        await asyncio.sleep(0)
        writer.flush()


async def echo(exchange: Exchange) -> None:
    """Answers with the body, upper case."""
    exchange.reply(200, (await exchange.body()).upper(), content_type="text/plain")


async def thing(exchange: Exchange) -> None:
    """Answers with what the braces matched."""
    exchange.reply(200, exchange.rest, content_type="text/plain")


async def bug(exchange: Exchange) -> None:
    """Fails as no handler should."""
    raise ZeroDivisionError(f"secret sk-live-{exchange.method}-0123456789")


async def wait(running: Running, exchange: Exchange) -> None:
    """Answers when the gate opens; counts cancellations."""
    await exchange.body()
    try:
        if running.gate is not None:
            await running.gate.wait()
    except asyncio.CancelledError:
        running.cancelled += 1
        raise
    exchange.reply(200, b"done", content_type="text/plain")


async def stream(running: Running, exchange: Exchange) -> None:
    """Two events, with the gate between them."""
    exchange.begin_stream(heartbeat=lambda: b"data: {}\n\n")
    try:
        exchange.write(b'data: {"n":1}\n\n')
        if running.gate is not None:
            await running.gate.wait()
    except asyncio.CancelledError:
        running.cancelled += 1
        raise
    exchange.end(b"data: [DONE]\n\n")


async def flood(running: Running, exchange: Exchange) -> None:
    """Writes for as long as the client reads."""
    exchange.begin_stream()
    try:
        while True:
            exchange.write(b"data: " + b"x" * 16_000 + b"\n\n")
            await exchange.flush()
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        running.cancelled += 1
        raise
