"""Holds many idle keep-alive connections, each of which has been answered once, while its parent weighs the gateway.

Prints one JSON line when all are open, waits for its standard input to close, then prints how many were still open.
"""

import argparse
import asyncio
import json
import sys
from typing import cast

import httptools
import uvloop

from bench import payloads
from bench.load_stream import encode_request

_AT_ONCE = 16


class Connection(asyncio.Protocol):
    """One connection: one request, then silence."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self.answered: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask once."""
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """The whole answer has come, from the parser."""
        if not self.answered.done():
            self.answered.set_result(self._parser.get_status_code())

    def connection_lost(self, exc: Exception | None) -> None:
        """The gateway hung up."""
        self.open = False
        if not self.answered.done():
            self.answered.set_exception(exc or ConnectionResetError("closed without an answer"))


async def hold(port: int, request: bytes, count: int) -> None:
    """Open, ask, report, wait, report. Raises OSError when the gateway refuses."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one() -> Connection:
        async with gate:
            _, connection = await loop.create_connection(lambda: Connection(request), "127.0.0.1", port)
            status = await connection.answered
        if status != 200:
            raise RuntimeError(f"a connection was answered {status}")
        return connection

    connections = await asyncio.gather(*(one() for _ in range(count)))
    print(json.dumps({"opened": count}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps({"open": sum(connection.open for connection in connections)}), flush=True)


def main() -> None:
    """The command line: see ``footprint.memory``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--route", type=json.loads, required=True, help="port, path, headers and model as JSON")
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args()
    route = options.route
    request = encode_request(route["path"], route["headers"], payloads.request(route["model"]))
    uvloop.run(hold(route["port"], request, options.connections))


if __name__ == "__main__":
    main()
