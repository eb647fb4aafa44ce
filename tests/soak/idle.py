"""Idle connections (F72): what each costs, whether others notice, and that each is closed when its time has come."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.e2e.process import Gateway, running
from tests.fakes.door import read_answer
from tests.soak.watch import Metrics, Watch

_AT_ONCE = 200
_QUESTION = b"GET /healthz HTTP/1.1\r\nhost: t\r\n\r\n"


class Sleeper(asyncio.Protocol):
    """A client that is connected and says nothing, or nothing more after one request."""

    def __init__(self, *, asks: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._asks = asks
        self.idle_since = 0.0
        self.closed_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self.idle_since = self._loop.time()
        if self._asks and isinstance(transport, asyncio.WriteTransport):
            transport.write(_QUESTION)

    def data_received(self, data: bytes) -> None:
        """The answer."""
        assert data.startswith(b"HTTP/1.1 200")
        self.idle_since = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Closed by the gateway."""
        assert exc is None
        self.closed_at = self._loop.time()


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured."""

    connections: int
    bytes_each: float
    ms_alone: list[float]
    """Times of chat completions, one after the other, without the idle connections."""
    ms_among: list[float]
    """The same with them."""
    idle_s: list[float]
    """How long each connection was idle until it was closed."""
    files_left: int

    def report(self) -> str:
        """Lines for people."""
        return (
            f"{self.connections} idle connections: {self.bytes_each / 1024:.1f} KiB each\n"
            f"  a completion takes {describe(self.ms_alone)} alone, {describe(self.ms_among)} among them\n"
            f"  closed after {min(self.idle_s):.1f} to {max(self.idle_s):.1f} s; descriptors left: {self.files_left}"
        )


def describe(times_ms: list[float]) -> str:
    """Median and 99th percentile."""
    return f"p50 {statistics.median(times_ms):.2f} ms, p99 {statistics.quantiles(times_ms, n=100)[98]:.2f} ms"


async def measure(folder: Path, connections: int, keep_alive_s: float, requests: int = 300) -> Result:
    """Opens so many connections to a gateway, half of which have asked something, and waits until all are closed."""
    config = f"[server]\nkeep_alive_s = {keep_alive_s}\nmax_connections = {connections + 100}\n[log]\naccess = false\n"
    with running(folder, config) as gateway:
        await time_requests(gateway, requests)
        alone = await time_requests(gateway, requests)
        watch = Watch(gateway.process.pid)
        before = watch.take()
        sleepers = await open_all(gateway, connections)
        among = watch.take()
        assert (await Metrics.read(gateway)).total("tollhouse_connections") >= connections
        beside = await time_requests(gateway, requests)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + keep_alive_s + 20
        while not all(sleeper.closed_at for sleeper in sleepers):
            assert loop.time() < deadline, "idle connections stay open"
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        return Result(
            connections,
            (among.rss_kib - before.rss_kib) * 1024 / connections,
            alone,
            beside,
            [sleeper.closed_at - sleeper.idle_since for sleeper in sleepers],
            watch.take().files - before.files,
        )


def pass_on(sleeper: Sleeper) -> Sleeper:
    """The protocol of a connection, made before it."""
    return sleeper


async def open_all(gateway: Gateway, count: int) -> list[Sleeper]:
    """So many connections, every second one after a request."""
    loop = asyncio.get_running_loop()
    sleepers: list[Sleeper] = []
    for start in range(0, count, _AT_ONCE):
        batch = [Sleeper(asks=bool(number % 2)) for number in range(start, min(count, start + _AT_ONCE))]
        opening = [loop.create_connection(partial(pass_on, one), "127.0.0.1", gateway.port) for one in batch]
        await asyncio.gather(*opening)
        sleepers += batch
    await asyncio.sleep(0.3)
    return sleepers


async def time_requests(gateway: Gateway, count: int) -> list[float]:
    """Milliseconds of chat completions on one connection, each of which must be a 200."""
    body = b'{"model":"tollhouse/sim","messages":[{"role":"user","content":"hi"}]}'
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {gateway.key}\r\n"
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    times_ms = []
    for _ in range(count):
        started = time.perf_counter()
        writer.write(request)
        assert (await read_answer(reader)).status == 200
        times_ms.append((time.perf_counter() - started) * 1000)
    writer.close()
    return times_ms


def judge(result: Result, keep_alive_s: float) -> None:
    """F72, but for speed: that is for people to read."""
    assert result.bytes_each <= 20 * 1024, result.report()
    assert min(result.idle_s) >= keep_alive_s * 0.95, result.report()
    assert max(result.idle_s) <= keep_alive_s + 5, result.report()
    assert result.files_left <= 1, result.report()
