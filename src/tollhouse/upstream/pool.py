"""The pool of one origin: the upstream side of the gateway, and the `Connector` that its hot path calls.

Theory of operation
-------------------
`Pool.send` takes a connection, starts an exchange on it, waits for the head of the reply and returns a `Reply` that
its one reader drains. There are five parts, each ignorant of those above it:

    pool        who may use which connection, for how long, and whether to try once more
    dial        name -> TCP -> proxy tunnel -> TLS; every exception of the system becomes an UpstreamFault here
    connection  an asyncio protocol around llhttp: bytes -> head, body parts, end; or a fault
    plain       a whole answer that came in one read, taken without llhttp
    reply       what the reader sees: parts that have arrived, an end, or a fault

Why it is fast. A request is one dictionary look-up (the head's bytes are remembered), one ``write`` and one future. A
chunk of a stream is one parser call, whose body callback is ``list.append`` itself, and one wake-up of the reader; all
that a read of the socket brought is taken in one piece. No exchange has a timer or a task of its own.

Time. A connection notes when it last made progress. While exchanges are active, one timer per pool (the sweep) asks
each of them whether a timeout has passed, at a quarter of the smallest timeout in use and at least four times a
second; a timeout therefore fires at most a quarter late. Opening a connection is bounded by ``connect_s``, which
includes waiting for a free place in a full pool.

Reuse. Idle connections are a stack: the warmest is used first, so that the surplus expires. A connection comes back
only if the parser saw the exact end of an HTTP/1.1 reply with keep-alive, after the whole request was sent, with no
byte following. An upstream may close an idle connection at the moment it is taken: when a *reused* one is lost before
a byte of the reply, the request is sent once more, on a new connection. Nothing else is ever sent twice here.

Back-pressure. Past ``buffer_bytes`` unread the socket is not read until the reader has taken them. A large
request is written in slices, each when the transport has room.

Cancellation. Every await is for a reply or a dial, and each closes its socket when cancelled.
"""

import asyncio
import ssl
from contextlib import ExitStack
from dataclasses import dataclass
from time import monotonic
from typing import Final

from tollhouse.errors import Draining, UpstreamInterrupted, UpstreamTimeout, UpstreamUnreachable
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.connection import SLICE_BYTES, Connection, Limits
from tollhouse.upstream.dial import Dialer, Resolver, resolve
from tollhouse.upstream.heads import Heads
from tollhouse.upstream.origin import Origin, Proxy
from tollhouse.upstream.reply import Reply

_now: Final = monotonic
_SLOWEST_SWEEP_S: Final = 0.25
_FASTEST_SWEEP_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class PoolLimits(Limits):
    """Bounds of one pool. ``idle_expiry_s`` stays under the 60 s after which common load balancers drop a connection
    without a word (AWS ALB: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/).
    """

    max_connections: int = 512
    idle_expiry_s: float = 50.0


def sweep_pace(timeouts: Timeouts) -> float:
    """Seconds between two looks at an exchange with these timeouts."""
    smallest_s = min(timeouts.first_byte_s, timeouts.idle_s, timeouts.total_s)
    return max(_FASTEST_SWEEP_S, min(_SLOWEST_SWEEP_S, smallest_s / 4))


class Pool:
    """A `Connector` for one origin. Belongs to the event loop that first sends through it.

    ``tls`` is used as given; ``None`` means the system's authorities. ``resolve`` replaces the system's resolver.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        limits: PoolLimits | None = None,
        proxy: Proxy | None = None,
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = resolve,
    ) -> None:
        self.origin = origin
        self.limits = limits or PoolLimits()
        self.connects = 0
        """Connections opened so far."""
        self.reuses = 0
        """Requests that found a connection open."""
        self.stale_retries = 0
        """Requests sent again because a reused connection had died."""
        self._heads = Heads(origin, proxy)
        self._dialer = Dialer(origin, self.limits, proxy=proxy, tls=tls, resolve=resolve)
        self._relayed = proxy is not None and not origin.tls
        self._places = self.limits.max_connections
        self._idle: dict[Connection, None] = {}  # oldest first; the last is the warmest
        self._active: set[Connection] = set()
        self._queue: dict[asyncio.Future[Connection | None], None] = {}  # first come first
        self._retired = self._closed = False
        self._timeouts: Timeouts | None = None
        self._pace_s = _SLOWEST_SWEEP_S
        self._sweeper: asyncio.TimerHandle | None = None
        self._expirer: asyncio.TimerHandle | None = None

    @property
    def open(self) -> int:
        """Connections that exist or are being opened."""
        return self.limits.max_connections - self._places

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    @property
    def active(self) -> int:
        """Connections that carry a request."""
        return len(self._active)

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Reply:
        """Sends a request and returns when the head of its reply has arrived.

        Raises an `UpstreamFault`; `InternalError` for a request that HTTP cannot carry; `Draining` once closed.
        """
        if self._closed:
            raise Draining("The gateway is shutting down.")
        head, body = self._heads.encode(outgoing), outgoing.body
        if timeouts is not self._timeouts:
            self._quicken(timeouts)
        deadline = _now() + timeouts.total_s
        for again in (False, True):
            connection = (None if again else self._warmest()) or await self._obtain(timeouts)
            self._active.add(connection)
            if self._sweeper is None:
                self._sweeper = asyncio.get_running_loop().call_later(self._pace_s, self._sweep)
            reply = connection.begin(head, body, timeouts, deadline, bodiless=outgoing.method == "HEAD")
            try:
                if len(body) > SLICE_BYTES:
                    await connection.upload(reply, body)
                while not reply.opened and reply.fault is None:
                    await reply.arrival()
            except asyncio.CancelledError:
                reply.close()
                raise
            if again or not reply.stale:
                break
            reply.close()  # it and its connection hold each other
            self.stale_retries += 1
        if not reply.opened:
            reply.close()
            raise reply.fault or UpstreamUnreachable("The upstream gave no answer.")
        if self._relayed and reply.status == 407:
            reply.close()
            raise UpstreamUnreachable("The proxy refused the gateway's credentials.")
        return reply

    def retire(self) -> None:
        """Keeps no connection from now on: each closes at the end of its request. Requests that hold an older snapshot
        may still come, as when a body was slow to arrive or another target failed first; they are served.
        """
        self._retired = True
        for connection in list(self._idle):
            connection.kill()

    async def aclose(self) -> None:
        """Closes every connection at once; replies being read fail with `UpstreamInterrupted`. A connection that is
        just being opened is closed when it is open, ``connect_s`` later at most.
        """
        self._closed = True
        self.retire()
        for turn in self._queue:
            if not turn.done():
                turn.set_exception(Draining("The gateway is shutting down."))
        self._queue.clear()
        for connection in list(self._active):
            connection.fail(UpstreamInterrupted("The gateway closed the connection."))
        for timer in (self._sweeper, self._expirer):
            if timer is not None:
                timer.cancel()
        await asyncio.sleep(0)  # transports close their sockets one turn of the loop after they are told to

    # --- who uses which connection -----------------------------------------------------------------------------

    def on_idle(self, connection: Connection) -> None:
        """A connection has finished an exchange: to the first in the queue, or on the stack."""
        self._active.discard(connection)
        if self._queue and self._call_next(connection):
            return
        if self._retired:
            connection.kill()
            return
        connection.idle_since = _now()
        self._idle[connection] = None
        if self._expirer is None:
            self._expirer = asyncio.get_running_loop().call_later(self.limits.idle_expiry_s, self._expire)

    def on_gone(self, connection: Connection) -> None:
        """A connection is dead: its place is free."""
        self._idle.pop(connection, None)
        self._active.discard(connection)
        self._free_place()

    def _warmest(self) -> Connection | None:
        if not self._idle:
            return None
        connection, _ = self._idle.popitem()
        self.reuses += 1
        return connection

    async def _obtain(self, timeouts: Timeouts) -> Connection:
        """A connection for a request that found none idle: a new one, or in a full pool the next to come free."""
        until = _now() + min(timeouts.connect_s, timeouts.total_s)
        while True:
            if self._places > 0:
                self._places -= 1
            elif (connection := await self._turn(until)) is not None:
                if connection.dead:
                    continue
                self.reuses += 1
                return connection
            return await self._dial(until)

    async def _dial(self, until: float) -> Connection:
        """A new connection in a place already taken."""
        with ExitStack() as undo:
            undo.callback(self._free_place)
            connection = await self._dialer.dial(until - _now())
            connection.adopt(self)
            undo.pop_all()
        self.connects += 1
        if self._closed:
            connection.kill()
            raise Draining("The gateway is shutting down.")
        return connection

    async def _turn(self, until: float) -> Connection | None:
        """Waits in the queue of a full pool. Returns a connection, or None with a place to open one in."""
        turn: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._queue[turn] = None
        with ExitStack() as undo:
            undo.callback(self._forgo, turn)
            try:
                async with asyncio.timeout(until - _now()):
                    won = await turn
            except TimeoutError:
                raise UpstreamTimeout("No connection to the upstream came free in time.") from None
            undo.pop_all()
            return won

    def _forgo(self, turn: asyncio.Future[Connection | None]) -> None:
        """Leaves the queue, and passes on what had been given in the moment of leaving."""
        self._queue.pop(turn, None)
        if not turn.done() or turn.cancelled() or turn.exception() is not None:
            return
        won = turn.result()
        if won is None:
            self._free_place()
        elif not won.dead:
            self.on_idle(won)

    def _call_next(self, won: Connection | None) -> bool:
        """Gives a connection, or None for a place, to the first in the queue. False if nobody waits."""
        while self._queue:
            turn = next(iter(self._queue))
            del self._queue[turn]
            if not turn.done():
                turn.set_result(won)
                return True
        return False

    def _free_place(self) -> None:
        if not self._call_next(None):
            self._places += 1

    # --- time --------------------------------------------------------------------------------------------------

    def _quicken(self, timeouts: Timeouts) -> None:
        """Makes the sweep fine enough for the timeouts of a new request."""
        self._timeouts = timeouts
        pace_s = sweep_pace(timeouts)
        if self._active and pace_s >= self._pace_s:
            return
        self._pace_s = pace_s
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = asyncio.get_running_loop().call_later(pace_s, self._sweep)

    def _sweep(self) -> None:
        now = _now()
        for connection in list(self._active):
            connection.check(now)
        self._sweeper = None
        if self._active:
            self._pace_s = min(map(sweep_pace, {connection.timeouts for connection in self._active}))
            self._sweeper = asyncio.get_running_loop().call_later(self._pace_s, self._sweep)

    def _expire(self) -> None:
        self._expirer = None
        newest_allowed = _now() - self.limits.idle_expiry_s
        for connection in list(self._idle):
            if connection.idle_since > newest_allowed:
                wait_s = connection.idle_since - newest_allowed
                self._expirer = asyncio.get_running_loop().call_later(wait_s, self._expire)
                return
            connection.kill()
