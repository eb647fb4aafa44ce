"""The order of one connection's exchanges: one is *active* and served, the others wait (RFC 9112 section 9.3.2).

A connection never answers out of order, and never runs two handlers at once. One task serves all that a connection
brings, and waits between them: a task for each request would cost it 1.4 us.
"""

import asyncio
from collections import deque

from tollhouse.web.exchange import Exchange
from tollhouse.web.host import Runner


class Turns(asyncio.Protocol):
    """What a `web.connection.Connection` is beside its bytes."""

    __slots__ = ("_active", "_idle", "_loop", "_open", "_queue", "_run", "_task")

    def __init__(self, run: Runner, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._loop = loop
        self._open = True
        self._active: Exchange | None = None
        self._queue: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None
        """Begun with the first request."""
        self._idle: asyncio.Future[None] | None = None
        """What the task waits on while nothing is active."""

    def _finished(self, exchange: Exchange) -> None:
        """Called once for each exchange that has become active, when its handler has answered, or was cancelled."""
        raise NotImplementedError

    def _enqueue(self, exchange: Exchange) -> None:
        if self._active is None:
            self._start(exchange)
        else:
            self._queue.append(exchange)

    def _start(self, exchange: Exchange) -> None:
        self._active = exchange
        if self._task is None:
            self._task = self._loop.create_task(self._serve())
        else:
            self._wake()

    def _wake(self) -> None:
        idle, self._idle = self._idle, None
        if idle is not None and not idle.done():
            idle.set_result(None)

    async def _serve(self) -> None:
        """Serves what is active, one exchange after the other, until the socket is lost."""
        while self._open:
            if self._active is None:
                self._idle = self._loop.create_future()
                await self._idle
            else:
                try:
                    await self._run(self._begin(self._active))
                finally:
                    self._finish()
                if self._has_next():
                    await asyncio.sleep(0)  # a client that sends many at once does not hold up the others

    def _begin(self, exchange: Exchange) -> Exchange:
        """Its handler begins. No name in `_serve` holds it, for it is to be freed while the next is waited for."""
        exchange.begun = True
        return exchange

    def _has_next(self) -> bool:
        """Not asked in `_serve`, where a type checker, and so the compiler, takes what was active to be so still."""
        return self._active is not None

    def _finish(self) -> None:
        exchange, self._active = self._active, None
        if exchange is not None:
            self._finished(exchange)

    def _close_turns(self) -> None:
        """The socket is lost: what is served is cancelled, and what waits is dropped."""
        self._open = False
        self._queue.clear()
        task, self._task = self._task, None  # it holds this object
        if task is not None and self._active is not None:
            task.cancel()
            if not self._active.begun:  # a task that is cancelled before its first step never runs its ``finally``
                self._finish()
        self._wake()
