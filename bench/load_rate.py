"""The open-loop latency client: requests leave at a fixed rate, whether or not earlier ones were answered.

A closed loop waits for a slow server and so hides its slowness. Here a request that finds no free connection counts
from the moment it was due. Prints one JSON object with latencies in microseconds. Run by ``scenarios``.
"""

import argparse
import asyncio
import json
import time
from collections import deque
from typing import Any, cast

import httptools
import uvloop

from bench import payloads
from bench.load_stream import encode_request

_TICK_S = 0.001
_WARM_SHARE = 0.15
"""The first part of a run warms connections and caches and is not counted."""

_CURVE = (10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 100.0)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request on its way."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._due_s: float | None = None
        self._status_ok = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a request."""
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, due_s: float) -> None:
        """Send a request that was due at ``due_s``."""
        self._due_s = due_s
        cast("asyncio.Transport", self._transport).write(request)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The whole answer has come, from the parser."""
        due_s, self._due_s = self._due_s, None
        if due_s is not None:
            self._client.answered(self, time.perf_counter() - due_s, ok=self._parser.get_status_code() == 200)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """A connection that goes while it owes an answer is a failure."""
        self._client.lost(self, waiting=self._due_s is not None)


class Client:
    """The schedule and the tally."""

    def __init__(self, port: int, request: bytes, rate: int, total: int) -> None:
        self._port = port
        self._request = request
        self._rate = rate
        self._total = total
        self._free: list[Connection] = []
        self._late: deque[float] = deque()
        self._dials: set[asyncio.Task[None]] = set()
        self._sent = 0
        self._over = asyncio.Event()
        self.latencies_s: list[float] = []
        self.lags_s: list[float] = []
        self.failed = 0

    async def run(self, connections: int, limit_s: float) -> None:
        """Open connections, send everything on time, wait for the answers."""
        for _ in range(connections):
            await self._dial()
        began_s = time.perf_counter() + 0.05
        while self._sent < self._total:
            now_s = time.perf_counter()
            due = min(self._total, int((now_s - began_s) * self._rate) + 1) if now_s >= began_s else 0
            while self._sent < due:
                self._send(began_s + self._sent / self._rate, now_s)
            await asyncio.sleep(_TICK_S)
        try:
            await asyncio.wait_for(self._over.wait(), limit_s)
        except TimeoutError:
            self.failed = self._total - len(self.latencies_s)

    def _send(self, due_s: float, now_s: float) -> None:
        self._sent += 1
        self.lags_s.append(now_s - due_s)
        if self._free:
            # Counted from now, not from due: the lag of our own timer is no latency of the gateway's.
            self._free.pop().send(self._request, now_s)
            return
        self._late.append(now_s)
        task = asyncio.create_task(self._dial())
        self._dials.add(task)
        task.add_done_callback(self._dials.discard)

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port)
        self._release(connection)

    def _release(self, connection: Connection) -> None:
        if self._late:
            connection.send(self._request, self._late.popleft())
        else:
            self._free.append(connection)

    def answered(self, connection: Connection, latency_s: float, *, ok: bool) -> None:
        """Note one answer and use the connection again."""
        self.latencies_s.append(latency_s)
        self.failed += not ok
        self._release(connection)
        self._check()

    def lost(self, connection: Connection, *, waiting: bool) -> None:
        """Note a connection that closed."""
        if connection in self._free:
            self._free.remove(connection)
        if waiting:
            self.failed += 1
            self.latencies_s.append(float("inf"))
            self._check()

    def _check(self) -> None:
        if len(self.latencies_s) == self._total:
            self._over.set()


def percentile(ordered: list[float], share: float) -> float:
    """The value below which ``share`` percent of the ordered values lie."""
    return ordered[min(len(ordered) - 1, int(share / 100 * len(ordered)))]


def report(client: Client, rate: int) -> dict[str, Any]:
    """The figures of one run as a JSON object."""
    counted = [s for s in client.latencies_s[int(_WARM_SHARE * len(client.latencies_s)) :] if s != float("inf")]
    ordered, lags = sorted(counted), sorted(client.lags_s)
    if not ordered:
        return {"rate": rate, "failed": client.failed, "p50_us": None, "p99_us": None, "curve_us": []}
    return {
        "rate": rate,
        "requests": len(client.latencies_s),
        "failed": client.failed,
        "p50_us": percentile(ordered, 50) * 1e6,
        "p99_us": percentile(ordered, 99) * 1e6,
        "curve_us": [(share, percentile(ordered, share) * 1e6) for share in _CURVE],
        "client_lag_p99_us": percentile(lags, 99) * 1e6,
    }


def main() -> None:
    """The command line: see ``scenarios.latency``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--route", type=json.loads, required=True, help="port, path, headers and model as JSON")
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args()
    route = options.route
    request = encode_request(route["path"], route["headers"], payloads.request(route["model"]))

    async def measure() -> dict[str, Any]:
        client = Client(route["port"], request, options.rate, int(options.rate * options.seconds))
        await client.run(options.connections, limit_s=10)
        return report(client, options.rate)

    print(json.dumps(uvloop.run(measure())))


if __name__ == "__main__":
    main()
