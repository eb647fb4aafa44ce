"""The listener: accepts, sweeps deadlines, drains.

`Server.drain` is the whole of a graceful stop: no new connection, no new request on an old one, every exchange in
flight runs to its end; at the limit those that remain are told ``server_draining`` and closed.
"""

import asyncio
import socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from tollhouse.errors import Draining
from tollhouse.web.connection import Connection
from tollhouse.web.host import Host, Runner
from tollhouse.web.limits import ServerLimits

_POLL_S = 0.02
"""How often a drain looks whether all is said; connections end in too many ways to hang an event on each."""


class Server(Host[Connection]):
    """One listening address. ``run`` serves an exchange and never raises but for cancellation."""

    def __init__(self, run: Runner, limits: ServerLimits) -> None:
        super().__init__(limits)
        self._run = run
        self._listener: Any = None
        """An `asyncio.Server`; uvloop's, which is none, has its sockets in a list."""
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, host: str, port: int, *, on_tick: Callable[[], None] | None = None) -> int:
        """Listens; returns the port (0 asks the system for one). Raises OSError when the address is taken."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Connection(self, self._run, loop), host, port, backlog=2048, reuse_address=True
        )
        self._sweep(loop, on_tick)
        bound: socket.socket = self._listener.sockets[0]
        return int(bound.getsockname()[1])

    @property
    def busy(self) -> int:
        """How many connections have a request in flight."""
        return sum(connection.busy for connection in self.connections)

    def _sweep(self, loop: asyncio.AbstractEventLoop, on_tick: Callable[[], None] | None) -> None:
        # The next look is arranged first: whatever goes wrong in this one, deadlines go on.
        self._sweeper = loop.call_later(self.limits.sweep_s, self._sweep, loop, on_tick)
        now = monotonic()
        for connection in tuple(self.connections):
            connection.check(now)
        if on_tick is not None:
            on_tick()

    async def drain(self, limit_s: float, grace_s: float = 0.0) -> None:
        """Goes on for ``grace_s``, in which load balancers see that it is not ready; then stops accepting, waits for
        every exchange, and after ``limit_s`` ends those that remain.
        """
        await asyncio.sleep(grace_s)
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit_s
        while self._close_idle() and loop.time() < deadline:  # noqa: ASYNC110 - see _POLL_S
            await asyncio.sleep(_POLL_S)
        for connection in tuple(self.connections):
            connection.interrupt(Draining("The gateway is shutting down. Send the request again."))
        deadline = loop.time() + 1.0
        while self._close_idle() and loop.time() < deadline:  # noqa: ASYNC110 - see _POLL_S
            await asyncio.sleep(_POLL_S)
        self.stop()

    def _close_idle(self) -> int:
        for connection in tuple(self.connections):
            connection.close_if_idle()
        return self.busy

    def stop(self) -> None:
        """Drops what is left, at once."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connection in tuple(self.connections):
            connection.abort()
