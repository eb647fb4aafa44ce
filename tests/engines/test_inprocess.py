"""`tollhouse.engines.inprocess`: replies made here behave like replies over a socket."""

import asyncio
import math
from collections.abc import AsyncIterator, Iterator

import pytest

from tollhouse.engines.inprocess import Player, Reply, Step, Wait
from tollhouse.errors import UpstreamInterrupted, UpstreamStalled, UpstreamTimeout, UpstreamTooLarge
from tollhouse.types.wire import Incoming, Timeouts

FOREVER = Wait(math.inf)


def replying(body: AsyncIterator[bytes], **limits: float) -> Reply:
    """A reply with this body that began now."""
    started_at = asyncio.get_running_loop().time()
    return Reply(200, {}, body, timeouts=Timeouts(**limits), started_at=started_at)


def playing(*steps: Step, **limits: float) -> Reply:
    """A reply that plays these steps."""
    return replying(Player(iter(steps), started_at=asyncio.get_running_loop().time()), **limits)


async def test_reads_whole() -> None:
    """A reply is read whole, and stays at its end."""
    reply: Incoming = playing(b"ab", b"", b"c")
    assert await reply.read(3) == b"abc"
    assert await reply.next() == b""
    reply.close()


async def test_next_skips_empty_pieces() -> None:
    """An empty piece of a source is not the end of a reply."""
    reply = playing(b"", b"x")
    assert [await reply.next(), await reply.next()] == [b"x", b""]


async def test_read_is_capped() -> None:
    """A body over the cap is refused, and its source is closed."""
    closed: list[bool] = []

    def steps() -> Iterator[Step]:
        try:
            while True:
                yield b"1234"
        finally:
            closed.append(True)

    reply = replying(Player(steps(), started_at=0))
    with pytest.raises(UpstreamTooLarge):
        await reply.read(10)
    assert closed == [True]


async def test_first_byte_limit() -> None:
    """Silence before the first byte is a timeout."""
    with pytest.raises(UpstreamTimeout, match="No byte"):
        await playing(FOREVER, first_byte_s=0.02).next()


async def test_idle_limit() -> None:
    """Silence after a byte is a stall, which tells that the answer had begun."""
    reply = playing(b"x", FOREVER, idle_s=0.02)
    assert await reply.next() == b"x"
    with pytest.raises(UpstreamStalled):
        await reply.next()
    with pytest.raises(UpstreamInterrupted):
        await reply.next()


async def test_total_limit() -> None:
    """An answer that keeps moving is still bounded as a whole."""
    slow = [step for index in range(1000) for step in (Wait(index * 0.005), b"x")]
    with pytest.raises(UpstreamTimeout, match="whole"):
        await playing(*slow, total_s=0.05).read(10_000)


async def test_waits_are_kept() -> None:
    """Nothing is sent before its moment."""
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert await playing(Wait(0.03), b"x").next() == b"x"
    assert loop.time() - before >= 0.029


async def test_source_fault_passes_through() -> None:
    """A fault that a source raises reaches the reader as it is."""

    def steps() -> Iterator[Step]:
        yield b"x"
        raise UpstreamInterrupted("cut")

    reply = replying(Player(steps(), started_at=0))
    assert await reply.next() == b"x"
    with pytest.raises(UpstreamInterrupted, match="cut"):
        await reply.next()


async def test_close_stops_generator() -> None:
    """Closing an unread reply ends the generator behind it."""
    ended = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
        finally:
            ended.set()

    reply = replying(source())
    await reply.next()
    reply.close()
    reply.close()
    await asyncio.wait_for(ended.wait(), 5)
    with pytest.raises(UpstreamInterrupted):
        await reply.next()


async def test_close_wakes_reader() -> None:
    """Closing a reply that another task is reading ends that read at once."""
    reply = playing(FOREVER)
    reading = asyncio.create_task(reply.next())
    await asyncio.sleep(0.01)
    reply.close()
    with pytest.raises(UpstreamInterrupted):
        await asyncio.wait_for(reading, 5)


async def test_cancelled_read_ends_source() -> None:
    """Cancelling a reader ends the source it waits for."""
    ended = asyncio.Event()

    async def source() -> AsyncIterator[bytes]:
        try:
            await asyncio.sleep(60)
            yield b"x"
        finally:
            ended.set()

    reply = replying(source())
    reading = asyncio.create_task(reply.next())
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    reply.close()
    assert ended.is_set()


async def test_fast_source_shares_the_loop() -> None:
    """A source that never waits still lets other tasks run between its pieces."""
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(tick())
    await playing(*[b"x"] * 100).read(1000)
    task.cancel()
    assert ticks >= 50
