"""Fuzzes `upstream` against a server that answers with damaged HTTP, cut anywhere and ended in every way.

What must hold: a reply, or an `UpstreamFault`; whatever came, the next request gets its own answer and no other; in
the end no connection is counted and every socket is closed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Literal

from tests.fakes.chaos import Await, ChaosUpstream, Close, Hang, Pause, Reset, Send, Step, chunk, chunked, head, whole
from tests.fakes.door import eventually
from tests.fuzz.engine import Case, settle
from tests.fuzz.mutate import BYTES, cut, damage
from tollhouse.errors import UpstreamFault
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.origin import Origin
from tollhouse.upstream.pool import Pool, PoolLimits

MARK = b"the second answer"
REPLIES = (
    *(whole(b"{}"), whole(b"x" * 3000), whole(b"no", 500), chunked(b"data: {}\n\n", b"data: [DONE]\n\n")),
    *(head(204), head(304), head(200) + b"until the end", head(302, "location: /x", "content-length: 0")),
    *(head(100) + whole(b"{}"), head(103, "link: x") * 3 + whole(b"{}"), whole(b"{}", 404).replace(b"1.1", b"1.0")),
    *(head(200, "connection: close", "content-length: 2") + b"ok", head(101, "upgrade: h2c", "connection: upgrade")),
    head(200, "transfer-encoding: chunked") + chunk(b"ab") + b"1;x=y\r\nc\r\n0\r\nT: v\r\n\r\n",
)
WORDS = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 ", b"HTTP/2 ", b"HTTP/1.1 999 X\r\n", b"content-length: 1\r\n", b"\r\n\r\n"),
    *(b"content-length: 18446744073709551616\r\n", b"transfer-encoding: chunked\r\n", b"content-encoding: gzip\r\n"),
    *(b"0\r\n\r\n", b"fffffffffffffffff\r\n", b"a: b\r\n" * 30, b"h: " + b"a" * 5000 + b"\r\n", b"5;" + b"e" * 5000),
    *(b"connection: upgrade\r\nupgrade: x\r\n", b"transfer-encoding: gzip, chunked\r\n", b"connection: close\r\n"),
    *(*REPLIES, *BYTES, head(100) * 12),
)
TIMEOUTS = Timeouts(connect_s=1.0, first_byte_s=0.03, idle_s=0.03, total_s=0.5)
LIMITS = PoolLimits(max_header_bytes=4096, max_headers=24, buffer_bytes=2048)
ENDS: dict[bytes, tuple[Step, ...]] = {
    b"stay": (),
    b"close": (Close(),),
    b"reset": (Reset(),),
    b"hang": (Hang(),),
}


class Passed(asyncio.Event):
    """A step for `Await` that does not wait: it notes that the play has come so far."""

    async def wait(self) -> Literal[True]:
        """Sets itself."""
        self.set()
        return True


class UpstreamClient:
    """The target. A case begins with how the connection ends and with the method."""

    fixed = 2

    def __init__(self, upstream: ChaosUpstream) -> None:
        self._upstream = upstream

    def make(self, random: Random) -> Case:
        """A reply or two, mostly damaged."""
        data = b"".join(random.choices(REPLIES, k=random.choice((1, 1, 1, 2))))
        if random.random() < 0.8:
            data = damage(random, data, WORDS)
        end = random.choice((b"stay", b"stay", b"close", b"close", b"reset", b"hang"))
        return (end, random.choice((b"POST", b"POST", b"GET", b"HEAD")), *cut(random, data, 5))

    async def check(self, case: Case) -> None:
        """One request for the case, a second one on the same pool for a good answer."""
        end, method, *pieces = case
        up = self._upstream
        sent = Passed()
        sends = [step for piece in pieces if piece for step in (Send(piece), Pause(0))]
        up.plays = [[*sends, Await(sent), *ENDS[end]], [Send(whole(MARK))]]
        up.played = 0
        before = len(up.visits)
        pool = Pool(Origin.parse(up.url), limits=LIMITS)
        try:
            await fetch(pool, method.decode())
            await self._arrived(sent)
            assert pool.active == 0, "still active"
            assert pool.open == pool.idle, "a connection is counted that is not there"
            if up.played == 1:  # the first request may have been sent twice, if its connection was lost at once
                second = await fetch(pool, "POST")
                stuck = end == b"hang" and second is None  # a server that hangs may do so on a connection that is kept
                assert second == (200, MARK) or stuck, ("not the answer to this request", second)
        finally:
            await pool.aclose()
        assert (pool.open, pool.idle, pool.active) == (0, 0, 0)
        await eventually(lambda: all(visit.gone for visit in up.visits[before:]))
        del up.visits[:], up.requests[:]
        up.tasks = [task for task in up.tasks if not task.done()]

    async def _arrived(self, sent: Passed) -> None:
        """Waits until what the server wrote has come, or never will: later it could be anybody's answer."""
        visits = self._upstream.visits
        await eventually(lambda: sent.is_set() or all(visit.gone for visit in visits))
        await eventually(lambda: all(visit.gone or not visit.transport.get_write_buffer_size() for visit in visits))
        await settle()


async def fetch(pool: Pool, method: str) -> tuple[int, bytes] | None:
    """A whole exchange; None for a fault."""
    body = b"{}" if method == "POST" else b""
    try:
        reply = await pool.send(Outgoing(method, "/v1/x", (("authorization", "Bearer k"),), body), TIMEOUTS)
        try:
            return reply.status, await reply.read(100_000)
        finally:
            reply.close()
    except UpstreamFault:
        return None


@asynccontextmanager
async def opened() -> AsyncIterator[UpstreamClient]:
    """The target, with its server."""
    async with ChaosUpstream([]) as upstream:
        yield UpstreamClient(upstream)
