"""Which request gets which connection."""

import asyncio
import socket
from collections.abc import Sequence

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Close, Hang, Pause, Reset, Send, Step, chunk, head, whole
from tests.upstream.kit import GET, POST, QUICK, Client, eventually, fetch, settle
from tollhouse.errors import Draining, InternalError, UpstreamInterrupted, UpstreamTimeout, UpstreamUnreachable
from tollhouse.types.wire import Connector, Outgoing, Timeouts
from tollhouse.upstream.dial import Address
from tollhouse.upstream.pool import Pool, PoolLimits

OK: list[Step] = [Send(whole(b"ok"))]


def test_pool_is_a_connector(client: Client) -> None:
    """A pool is what the gateway calls a connector."""
    connector: Connector = client.pool("http://localhost")
    assert isinstance(connector, Pool)


async def test_request_is_sent_as_given(client: Client) -> None:
    """The upstream receives method, path, headers and body as given, with Host, length and identity coding added."""
    async with ChaosUpstream(OK) as up:
        await fetch(client.pool(up.url), POST)
        request = up.requests[0]
        assert (request.method, request.target, request.body) == ("POST", "/v1/chat/completions", b'{"model":"m"}')
        assert request.headers == {
            "host": up.authority,
            "accept-encoding": "identity",
            "content-type": "application/json",
            "content-length": "13",
        }


async def test_connection_is_reused(client: Client) -> None:
    """Requests one after another share one connection."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url)
        for _ in range(5):
            assert await fetch(pool) == (200, b"ok")
        assert (pool.connects, pool.reuses, pool.open, pool.idle, pool.active) == (1, 4, 1, 1, 0)
        assert len(up.visits) == 1


async def test_reader_at_the_end_has_given_the_connection_back(client: Client) -> None:
    """The connection is free as soon as the end of the body was read, before `close`."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url)
        reply = await pool.send(GET, QUICK)
        assert (pool.active, pool.idle) == (1, 0)
        await reply.read(10)
        assert (pool.active, pool.idle) == (0, 1)


async def test_warmest_connection_is_used_first(client: Client) -> None:
    """Of several idle connections the last one used is taken."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), *OK], [Await(go), *OK], OK) as up:
        pool = client.pool(up.url)
        pair = [asyncio.create_task(fetch(pool)) for _ in range(2)]
        await up.arrived(2)
        go.set()
        await asyncio.gather(*pair)
        for _ in range(3):
            await fetch(pool)
        assert len({request.connection for request in up.requests[2:]}) == 1
        assert (pool.idle, pool.connects) == (2, 2)


async def test_idle_connections_expire(client: Client) -> None:
    """An idle connection is closed after its time; the one used meanwhile is kept."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), *OK], [Await(go), *OK], OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(idle_expiry_s=0.3))
        pair = [asyncio.create_task(fetch(pool)) for _ in range(2)]
        await up.arrived(2)
        go.set()
        await asyncio.gather(*pair)
        await asyncio.sleep(0.15)
        await fetch(pool)
        used = up.requests[-1].connection
        await eventually(lambda: pool.open == 1)
        await up.gone(1 - used)
        assert (pool.idle, up.visits[used].gone) == (1, False)
        await eventually(lambda: pool.open == 0)
        await up.gone(used)


@pytest.mark.parametrize("ending", [Close(), Reset(), Send(b"surprise")])
async def test_idle_connection_that_ends_leaves_the_pool(client: Client, ending: Step) -> None:
    """An idle connection that the upstream closes, resets or talks on is dropped before anyone can take it."""
    async with ChaosUpstream([Send(whole(b"ok")), Pause(0.02), ending], OK) as up:
        pool = client.pool(up.url)
        await fetch(pool)
        assert pool.idle == 1
        await eventually(lambda: pool.open == 0)
        assert pool.idle == 0
        assert await fetch(pool) == (200, b"ok")
        assert pool.stale_retries == 0


@pytest.mark.parametrize("ending", [Close(), Reset()])
@pytest.mark.parametrize("outgoing", [GET, POST])
async def test_f06_stale_connection_is_retried_once_and_unseen(
    client: Client, ending: Step, outgoing: Outgoing
) -> None:
    """F06: a reused connection that dies without a byte of reply costs one silent retry on a new one."""
    async with ChaosUpstream(OK, [ending], OK) as up:
        pool = client.pool(up.url)
        await fetch(pool, outgoing)
        assert await fetch(pool, outgoing) == (200, b"ok")
        assert (pool.stale_retries, pool.connects) == (1, 2)
        assert [request.connection for request in up.requests] == [0, 0, 1]


async def test_f06_stale_retry_happens_once(client: Client) -> None:
    """F06: when the new connection dies as well, the request fails."""
    async with ChaosUpstream(OK, [Close()]) as up:
        pool = client.pool(up.url)
        await fetch(pool)
        with pytest.raises(UpstreamUnreachable):
            await fetch(pool)
        assert (len(up.requests), pool.stale_retries, pool.open) == (3, 1, 0)


async def test_f06_new_connection_is_not_retried(client: Client) -> None:
    """F06: a fresh connection that dies without a byte is a fault, not a retry."""
    async with ChaosUpstream([Close()]) as up:
        pool = client.pool(up.url)
        with pytest.raises(UpstreamUnreachable):
            await fetch(pool)
        assert (len(up.requests), pool.stale_retries) == (1, 0)


@pytest.mark.parametrize("first", [b"H", head(100), b"HTTP/1.1 200 OK\r\ncontent-"])
@pytest.mark.parametrize("ending", [Close(), Reset()])
async def test_f07_lost_in_the_head_is_not_retried(client: Client, first: bytes, ending: Step) -> None:
    """F07: once a byte of the reply has come, even on a reused connection, the request is not sent again."""
    async with ChaosUpstream(OK, [Send(first), Pause(0.03), ending]) as up:
        pool = client.pool(up.url)
        await fetch(pool)
        with pytest.raises(UpstreamInterrupted):
            await fetch(pool)
        assert (len(up.requests), pool.stale_retries) == (2, 0)


async def test_f06_timeout_on_a_reused_connection_is_not_retried(client: Client) -> None:
    """F06: silence on a reused connection is a timeout: the upstream may be at work on the request."""
    async with ChaosUpstream(OK, [Hang()]) as up:
        pool = client.pool(up.url)
        await fetch(pool)
        with pytest.raises(UpstreamTimeout):
            await fetch(pool, GET, Timeouts(first_byte_s=0.1))
        assert (len(up.requests), pool.stale_retries) == (2, 0)


@pytest.mark.parametrize(
    "data",
    [
        head(200, "connection: close", "content-length: 2") + b"ok",
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        whole(b"ok") + b"x",
    ],
)
async def test_connection_that_may_not_be_reused_is_closed(client: Client, data: bytes) -> None:
    """After close, HTTP/1.0 or surplus bytes the next request gets a new connection."""
    async with ChaosUpstream([Send(data)]) as up:
        pool = client.pool(up.url)
        for _ in range(2):
            assert await fetch(pool) == (200, b"ok")
        assert (pool.connects, pool.open) == (2, 0)


async def test_full_pool_queues_in_order(client: Client) -> None:
    """Requests beyond the limit wait and are served in the order they came."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        done: list[int] = []

        async def one(number: int) -> None:
            assert await fetch(pool) == (200, b"ok")
            done.append(number)

        await asyncio.gather(*(one(number) for number in range(20)))
        assert done == list(range(20))
        assert len(up.visits) == 1


async def test_full_pool_opens_no_more(client: Client) -> None:
    """However many requests come at once, no more connections than the limit are opened."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=3))
        assert await asyncio.gather(*(fetch(pool) for _ in range(50))) == [(200, b"ok")] * 50
        assert (len(up.visits), pool.open, pool.idle) == (3, 3, 3)


async def test_full_pool_gives_up_after_the_connect_time(client: Client) -> None:
    """Waiting for a free connection is bounded by the connect timeout."""
    async with ChaosUpstream([Hang()]) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        busy = asyncio.create_task(fetch(pool))
        await up.arrived(1)
        with pytest.raises(UpstreamTimeout, match="free"):
            await fetch(pool, GET, Timeouts(connect_s=0.05))
        assert (pool.open, pool.active, len(pool._queue)) == (1, 1, 0)
        busy.cancel()
        await asyncio.wait([busy])
        assert (pool.open, pool.active) == (0, 0)


async def test_place_of_a_dead_connection_goes_to_the_queue(client: Client) -> None:
    """When a connection of a full pool dies, the first in the queue opens a new one."""
    async with ChaosUpstream([Pause(0.05), Reset()], OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        first, second = await asyncio.gather(fetch(pool), fetch(pool), return_exceptions=True)
        assert isinstance(first, UpstreamUnreachable)
        assert second == (200, b"ok")


async def test_cancelled_waiter_passes_its_turn_on(client: Client) -> None:
    """A waiter that is cancelled in the moment it gets a connection, or a place, loses it to the next."""
    for ending in (Pause(0.0), Close()):
        async with ChaosUpstream([Pause(0.05), Send(head(200, "content-length: 2") + b"ok"), ending], OK) as up:
            pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
            reply = asyncio.create_task(pool.send(GET, QUICK))
            await settle()
            loser = asyncio.create_task(fetch(pool))
            winner = asyncio.create_task(fetch(pool))
            await settle()
            assert len(pool._queue) == 2
            (await reply).close()
            loser.cancel()
            assert await winner == (200, b"ok")
            assert loser.cancelled()
            assert (pool.open, pool.active) == (1, 0)
            await pool.aclose()


async def test_waiter_that_is_being_cancelled_is_passed_over(client: Client) -> None:
    """A connection that comes free while its first waiter is being cancelled goes to the second."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        reply = await pool.send(GET, QUICK)
        loser, winner = (asyncio.create_task(fetch(pool)) for _ in range(2))
        await settle()
        loser.cancel()
        reply.close()
        assert await winner == (200, b"ok")
        assert loser.cancelled()


async def test_connection_that_dies_on_its_way_to_a_waiter(client: Client) -> None:
    """A waiter whose connection dies in the moment it is handed over opens a new one."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        reply = await pool.send(GET, QUICK)
        waiter = asyncio.create_task(fetch(pool))
        await settle()
        (connection,) = pool._active
        reply.close()
        connection.kill()
        assert await waiter == (200, b"ok")
        assert (pool.connects, pool.open, pool.active) == (2, 1, 0)


async def test_bad_header_takes_no_connection(client: Client) -> None:
    """A request that cannot be put on the wire is refused before a connection is taken."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url)
        with pytest.raises(InternalError):
            await fetch(pool, Outgoing("GET", "/", (("authorization", "Bearer sk\r\nx: y"),), b""))
        assert (pool.open, up.visits) == (0, [])


async def test_aclose_ends_everything(client: Client) -> None:
    """Closing the pool fails readers and waiters, refuses new requests and leaves no socket."""
    async with ChaosUpstream(OK, [Send(head(200, "transfer-encoding: chunked") + chunk(b"one"))]) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        await fetch(pool)
        reply = await pool.send(GET, QUICK)
        waiter = asyncio.create_task(fetch(pool))
        await settle()
        assert await reply.next() == b"one"
        await pool.aclose()
        with pytest.raises(UpstreamInterrupted):
            await reply.next()
        with pytest.raises(Draining):
            await waiter
        with pytest.raises(Draining):
            await fetch(pool)
        await up.gone()


async def test_aclose_while_a_connection_opens(client: Client) -> None:
    """A connection that opens after the pool was closed is closed as well, and its request refused."""
    go = asyncio.Event()

    async def slow(host: str, port: int) -> Sequence[Address]:
        del host
        await go.wait()
        return [(socket.AF_INET, ("127.0.0.1", port))]

    async with ChaosUpstream(OK) as up:
        pool = client.pool(f"http://name.example:{up.port}", resolve=slow)
        request = asyncio.create_task(fetch(pool))
        await settle()
        await pool.aclose()
        go.set()
        with pytest.raises(Draining):
            await request
        assert (pool.open, up.requests) == (0, [])


async def test_retired_pool_finishes_what_it_took(client: Client) -> None:
    """A retired pool serves what is under way, in its queue or late from an older snapshot, and keeps nothing."""
    go = asyncio.Event()
    first: list[Step] = [Send(head(200, "content-length: 4") + b"on"), Await(go), Send(b"ce")]
    async with ChaosUpstream(first, OK) as up:
        pool = client.pool(up.url, limits=PoolLimits(max_connections=1))
        reply = await pool.send(GET, QUICK)
        queued = asyncio.create_task(fetch(pool))
        await settle()
        pool.retire()
        go.set()
        assert await reply.read(10) == b"once"
        assert await queued == (200, b"ok")
        assert (pool.open, pool.idle) == (0, 0)
        assert await fetch(pool) == (200, b"ok")
        assert (pool.open, pool.idle) == (0, 0)
        await up.gone()


async def test_retired_pool_closes_what_is_idle(client: Client) -> None:
    """Retiring closes idle connections at once."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool(up.url)
        await fetch(pool)
        pool.retire()
        assert pool.open == 0
        await up.gone()
