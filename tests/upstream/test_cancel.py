"""Cancellation: in whatever phase a request is cancelled, its socket is closed and the upstream sees it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.fakes.chaos import ChaosUpstream, Deaf, Hang, Send, Step, chunk, head, whole
from tests.upstream.kit import GET, QUICK, Client, Identity, eventually, fetch, open_files, settle
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.dial import Address
from tollhouse.upstream.pool import Pool

BIG = Outgoing("POST", "/", (), b"x" * (64 << 20))
STREAM = head(200, "transfer-encoding: chunked") + chunk(b"one")


async def cancel(task: "asyncio.Task[object]") -> None:
    """Cancels a task and waits for its end; it must end as cancelled."""
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def read_all(pool: Pool, seen: list[bytes] | None = None) -> None:
    """Reads a stream until it ends."""
    reply = await pool.send(GET, QUICK)
    while data := await reply.next():
        if seen is not None:
            seen.append(data)


@pytest.mark.parametrize("play", [[Hang()], [Send(b"HTTP/1.1 200")], [Send(head(100))]])
async def test_while_the_head_is_awaited(client: Client, play: list[Step]) -> None:
    """Cancelling before the head has come closes the socket within a second, fresh or reused."""
    async with ChaosUpstream([Send(whole(b"ok"))], play) as up:
        pool = client.pool(up.url)
        await fetch(pool)
        task = asyncio.create_task(fetch(pool))
        await up.arrived(2)
        await asyncio.sleep(0.02)
        await cancel(task)
        assert (pool.open, pool.active) == (0, 0)
        await up.gone()


@pytest.mark.parametrize("secure", [False, True])
async def test_while_the_body_is_read(client: Client, identity: Identity, secure: bool) -> None:
    """Cancelling a reader between chunks closes the socket within a second, in plain and in TLS."""
    async with ChaosUpstream([Send(STREAM)], tls=identity.good if secure else None) as up:
        pool = client.pool(up.url, tls=identity.trust())
        seen: list[bytes] = []
        task = asyncio.create_task(read_all(pool, seen))
        await eventually(lambda: seen == [b"one"])
        await cancel(task)
        assert (pool.open, pool.active) == (0, 0)
        await up.gone()


async def test_while_the_request_is_sent(client: Client) -> None:
    """Cancelling a large upload closes the socket at once."""
    async with ChaosUpstream([Hang()], deaf_after=1) as up:
        pool = client.pool(up.url)
        task = asyncio.create_task(fetch(pool, BIG))
        await up.visited()
        await asyncio.sleep(0.05)
        assert pool.active == 1
        await cancel(task)
        assert (pool.open, pool.active) == (0, 0)
        up.listen()
        await up.gone()


async def test_while_the_name_is_resolved(client: Client) -> None:
    """Cancelling during name resolution frees the place in the pool."""

    async def hang(host: str, port: int) -> Sequence[Address]:
        del host, port
        await asyncio.sleep(60)
        return []

    pool = client.pool("http://slow.example", resolve=hang)
    task = asyncio.create_task(fetch(pool))
    await settle()
    assert pool.open == 1
    await cancel(task)
    assert pool.open == 0


async def test_while_connecting(client: Client) -> None:
    """Cancelling while a SYN is unanswered closes the socket."""
    with Deaf(full=True) as deaf:
        pool = client.pool(f"http://127.0.0.1:{deaf.port}")
        await settle()
        before = open_files()
        task = asyncio.create_task(fetch(pool))
        await eventually(lambda: open_files() == before + 1)
        await cancel(task)
        await eventually(lambda: open_files() == before)
        assert pool.open == 0


async def test_during_the_handshake(client: Client, identity: Identity) -> None:
    """Cancelling during the TLS handshake closes the socket within a second."""
    async with ChaosUpstream([Hang()], answer_at="connect") as up:
        pool = client.pool(f"https://127.0.0.1:{up.port}", tls=identity.trust())
        task = asyncio.create_task(fetch(pool))
        await up.visited()
        await cancel(task)
        await up.gone()
        assert pool.open == 0


async def test_before_it_began(client: Client) -> None:
    """Cancelling a request that has not run yet takes nothing."""
    async with ChaosUpstream([Hang()]) as up:
        pool = client.pool(up.url)
        task = asyncio.create_task(fetch(pool))
        await cancel(task)
        assert (pool.open, up.visits) == (0, [])


async def test_in_the_moment_the_reply_comes(client: Client) -> None:
    """Cancelling in the turn in which the head arrived leaves no connection active."""
    async with ChaosUpstream([Send(STREAM)]) as up:
        pool = client.pool(up.url)
        for turns in range(30):
            task = asyncio.create_task(read_all(pool))
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            await cancel(task)
            assert (pool.open, pool.active) == (0, 0)


async def test_1000_aborts_leave_no_descriptor(client: Client) -> None:
    """After a thousand cancelled streams as many files are open as before."""
    async with ChaosUpstream([Send(STREAM)]) as up:
        pool = client.pool(up.url)
        await settle()
        before = open_files()
        for _ in range(20):
            tasks = [asyncio.create_task(read_all(pool)) for _ in range(50)]
            await up.arrived(len(up.requests) + 50)
            for number, task in enumerate(tasks):
                await asyncio.sleep(0) if number % 7 == 0 else None
                task.cancel()
            await asyncio.wait(tasks)
        assert (pool.open, pool.idle, pool.active) == (0, 0, 0)
        await eventually(lambda: open_files() <= before)
        assert len(up.visits) == 1000


async def test_1000_timeouts_and_refusals_leave_no_descriptor(client: Client, identity: Identity) -> None:
    """Failed handshakes and timed-out requests leave no file open."""
    async with ChaosUpstream([Hang()], answer_at="connect") as up:
        pools = [client.pool(f"{scheme}://127.0.0.1:{up.port}", tls=identity.trust()) for scheme in ("http", "https")]
        before = open_files()
        quick = Timeouts(connect_s=0.2, first_byte_s=0.1)
        for pool in pools:
            await asyncio.gather(*(fetch(pool, GET, quick) for _ in range(100)), return_exceptions=True)
        await eventually(lambda: open_files() <= before)
