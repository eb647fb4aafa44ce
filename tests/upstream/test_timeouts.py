"""Every timeout fires, as the right fault, near its time, and closes the socket."""

import asyncio
from dataclasses import replace
from time import monotonic

import pytest

from tests.fakes.chaos import CHUNKED_END, Await, ChaosUpstream, Hang, Pause, Send, Step, chunk, head, whole
from tests.upstream.kit import GET, QUICK, Client, drain, eventually, fetch
from tollhouse.errors import UpstreamStalled, UpstreamTimeout
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.pool import PoolLimits

CHUNKED = head(200, "transfer-encoding: chunked")
SHORT = 0.1


def only(**short: float) -> Timeouts:
    """Long timeouts but for those named."""
    return replace(QUICK, **short)


@pytest.mark.parametrize("play", [[Hang()], [Send(b"HTTP/1.1 200")], [Send(CHUNKED)], [Send(head(100))]])
async def test_first_byte_timeout_runs_until_the_body_begins(client: Client, play: list[Step]) -> None:
    """A reply without a body byte in time is `UpstreamTimeout`, even when its head has come."""
    async with ChaosUpstream(play) as up:
        pool, before = client.pool(up.url), monotonic()
        with pytest.raises(UpstreamTimeout, match="begin"):
            await (await pool.send(GET, only(first_byte_s=SHORT))).next()
        assert SHORT <= monotonic() - before < SHORT + 0.5
        assert (pool.open, pool.active) == (0, 0)
        await up.gone()


async def test_first_byte_timeout_stops_with_the_first_byte(client: Client) -> None:
    """Once the body has begun, only the idle and total timeouts count."""
    async with ChaosUpstream([Send(CHUNKED + chunk(b"a")), Pause(3 * SHORT), Send(chunk(b"b") + CHUNKED_END)]) as up:
        assert await fetch(client.pool(up.url), GET, only(first_byte_s=SHORT)) == (200, b"ab")


async def test_empty_body_needs_no_first_byte(client: Client) -> None:
    """A reply without a body is complete with its head: no timeout hangs over it."""
    async with ChaosUpstream([Send(head(204))]) as up:
        reply = await client.pool(up.url).send(GET, only(first_byte_s=SHORT))
        await asyncio.sleep(3 * SHORT)
        assert await reply.next() == b""


async def test_f18_stalled_stream(client: Client) -> None:
    """F18: a stream that stops moving gives what came and then `UpstreamStalled`."""
    async with ChaosUpstream([Send(CHUNKED + chunk(b"one"))]) as up:
        pool, before = client.pool(up.url), monotonic()
        assert await drain(await pool.send(GET, only(idle_s=SHORT))) == (b"one", UpstreamStalled)
        assert SHORT <= monotonic() - before < SHORT + 0.5
        await up.gone()


async def test_f18_framing_is_not_progress(client: Client) -> None:
    """F18: chunk headers that trickle without body bytes do not count as movement."""
    async with ChaosUpstream([Send(CHUNKED + chunk(b"one") + b"9;"), Send(b"x" * 100, size=1, gap_s=0.02)]) as up:
        assert await drain(await client.pool(up.url).send(GET, only(idle_s=SHORT))) == (b"one", UpstreamStalled)


async def test_f19_trickle_ends_with_the_total(client: Client) -> None:
    """F19: a stream that trickles for ever ends with the total timeout."""
    async with ChaosUpstream([Send(CHUNKED), Send(chunk(b"x") * 1000, size=6, gap_s=0.02)]) as up:
        reply = await client.pool(up.url).send(GET, only(total_s=3 * SHORT, idle_s=2 * SHORT))
        body, fault = await drain(reply)
        assert (set(body), fault) == ({ord("x")}, UpstreamTimeout)
        await up.gone()


async def test_slow_reader_is_not_a_stalled_upstream(client: Client) -> None:
    """While the socket is paused because our own reader is slow, no idle time runs against the upstream."""
    body = b"x" * 2_000_000
    async with ChaosUpstream([Send(whole(body))]) as up:
        pool = client.pool(up.url, limits=PoolLimits(buffer_bytes=4096))
        reply = await pool.send(GET, only(idle_s=SHORT))
        await asyncio.sleep(4 * SHORT)
        assert reply.fault is None
        assert await reply.read(len(body)) == body


async def test_stall_is_told_after_what_was_unread(client: Client) -> None:
    """A reader that comes back late gets the bytes that wait for it before it learns that the upstream is silent."""
    async with ChaosUpstream([Send(CHUNKED + chunk(b"one"))]) as up:
        reply = await client.pool(up.url).send(GET, only(idle_s=SHORT))
        await asyncio.sleep(2 * SHORT)
        assert await reply.next() == b"one"
        with pytest.raises(UpstreamStalled):
            await reply.next()


async def test_upstream_that_stops_reading_the_request(client: Client) -> None:
    """A request that the upstream does not take in is `UpstreamTimeout` after the idle time."""
    big = Outgoing("POST", "/", (), b"x" * (32 << 20))
    async with ChaosUpstream([Hang()], deaf_after=1) as up:
        pool = client.pool(up.url)
        with pytest.raises(UpstreamTimeout, match="reading"):
            await pool.send(big, only(idle_s=SHORT))
        assert pool.active == 0


async def test_total_counts_while_the_head_is_awaited(client: Client) -> None:
    """The total timeout covers the wait for the head as well."""
    async with ChaosUpstream([Hang()]) as up:
        with pytest.raises(UpstreamTimeout, match="total"):
            await client.pool(up.url).send(GET, only(total_s=SHORT))


async def test_sweep_follows_the_smallest_timeout(client: Client) -> None:
    """A request with short timeouts is watched closely beside a slow one; after it the sweep is slow again."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), Send(whole(b"slow"))], [Hang()]) as up:
        pool = client.pool(up.url)
        slow = asyncio.create_task(fetch(pool))
        await up.arrived(1)
        before = monotonic()
        with pytest.raises(UpstreamTimeout):
            await pool.send(GET, only(first_byte_s=0.04))
        assert monotonic() - before < 0.5
        await eventually(lambda: pool._pace_s == 0.25)
        go.set()
        assert await slow == (200, b"slow")


async def test_no_timer_is_left_when_nothing_is_active(client: Client) -> None:
    """An idle pool sweeps nothing."""
    async with ChaosUpstream([Send(whole(b"hi"))]) as up:
        pool = client.pool(up.url)
        await fetch(pool, GET, only(idle_s=0.04))
        await asyncio.sleep(0.05)
        assert pool._sweeper is None


async def test_faults_of_one_do_not_touch_another(client: Client) -> None:
    """A stalled stream fails alone."""
    stalled: list[Step] = [Send(CHUNKED + chunk(b"one"))]
    alive: list[Step] = [Send(CHUNKED), Send(chunk(b"x") * 20, size=6, gap_s=0.02), Send(CHUNKED_END)]
    async with ChaosUpstream(stalled, alive) as up:
        pool = client.pool(up.url)
        replies = [await pool.send(GET, only(idle_s=2 * SHORT)) for _ in range(2)]
        first, second = await asyncio.gather(drain(replies[0]), drain(replies[1]))
        assert first == (b"one", UpstreamStalled)
        assert second == (b"x" * 20, None)
