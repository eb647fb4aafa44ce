"""Back-pressure: what is buffered stays bounded, however fast one side and however slow the other."""

import asyncio
import tracemalloc
from time import monotonic

import pytest

from tests.fakes.chaos import CHUNKED_END, ChaosUpstream, Close, Listen, Pause, Send, chunk, chunked, head, whole
from tests.upstream.kit import GET, QUICK, Client, Hand, Identity, drain, eventually, fetch, settle
from tollhouse.errors import UpstreamStalled, UpstreamTimeout
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.connection import SLICE_BYTES, Limits
from tollhouse.upstream.pool import PoolLimits

MIB = 1 << 20


async def test_f28_100_mib_without_a_newline_stays_bounded(client: Client) -> None:
    """F28, F40: of a 100 MiB line read slowly never more than the buffer is held, and all of it arrives in the end."""
    line = [Send(b"x" * MIB)] * 100
    async with ChaosUpstream([Send(head(200, f"content-length: {100 * MIB}")), *line]) as up:
        pool = client.pool(up.url, limits=PoolLimits(buffer_bytes=256 * 1024))
        reply = await pool.send(GET, QUICK)
        total = most = turns = 0
        while data := await reply.next():
            total += len(data)
            most = max(most, len(data))
            turns += 1
            if turns % 50 == 0:
                await asyncio.sleep(0.001)
        assert total == 100 * MIB
        assert most <= 256 * 1024


@pytest.mark.parametrize("secure", [False, True])
async def test_f40_reader_that_does_not_read(client: Client, identity: Identity, secure: bool) -> None:
    """F40: with a reader that does not read, buffering stops at the limit, and goes on when it comes back."""
    body = b"x" * (8 * MIB)
    async with ChaosUpstream([Send(whole(body))], tls=identity.good if secure else None) as up:
        pool = client.pool(up.url, limits=PoolLimits(buffer_bytes=100_000), tls=identity.trust())
        reply = await pool.send(GET, QUICK)
        await eventually(lambda: sum(map(len, reply.parts)) > 50_000)
        await asyncio.sleep(0.05)
        assert sum(map(len, reply.parts)) <= 100_000
        assert await reply.read(len(body)) == body
        assert pool.idle == 1


async def test_connection_paused_at_its_end_is_reusable(client: Client) -> None:
    """A connection whose reading was stopped by an unread end is read again once it is idle, and sees the close."""
    async with ChaosUpstream([Send(whole(b"x" * 5000)), Pause(0.05), Close()]) as up:
        pool = client.pool(up.url, limits=PoolLimits(buffer_bytes=1000))
        reply = await pool.send(GET, QUICK)
        assert await reply.read(5000) == b"x" * 5000
        assert pool.idle == 1
        await eventually(lambda: pool.idle == 0)


async def test_close_at_a_paused_end_reuses_the_connection() -> None:
    """Closing a whole but unread reply resumes the socket and gives the connection back."""
    hand = Hand(Limits(buffer_bytes=100))
    reply = hand.begin()
    data = whole(b"x" * 20)
    hand.feed(data)
    assert reply.ended
    assert len(data) < 100
    hand = Hand(Limits(buffer_bytes=len(data)))
    reply = hand.begin()
    hand.feed(data)
    assert (reply.ended, hand.transport.reading) == (True, False)
    reply.close()
    assert (hand.freed, hand.transport.reading) == (1, True)


async def test_idle_time_starts_anew_when_reading_does() -> None:
    """The time a socket was paused is not counted against the upstream once it is read again."""
    hand = Hand(Limits(buffer_bytes=1000))
    reply = hand.begin(Timeouts(idle_s=1.0))
    began = monotonic()
    hand.feed(head(200, "content-length: 99999"))
    hand.feed(b"x" * 2000)
    assert not hand.transport.reading
    await asyncio.sleep(0.05)
    hand.connection.check(began + 1.01)
    assert len(await reply.next()) == 1000
    hand.connection.check(began + 1.04)
    assert reply.fault is None
    hand.connection.check(began + 2.0)
    assert isinstance(reply.fault, UpstreamStalled)


async def test_never_more_than_the_buffer_is_asked_for() -> None:
    """The socket is offered exactly the room that is left, so the limit holds to the byte."""
    hand = Hand(Limits(buffer_bytes=1000))
    reply = hand.begin()
    hand.feed(head(200, "content-length: 99999"))
    while hand.transport.reading:
        room = len(hand.connection.get_buffer(-1))
        assert 0 < room <= 1000 - hand.connection.unread
        hand.feed(b"x" * min(room, 300))
    assert sum(map(len, reply.parts)) == 1000
    assert len(await reply.next()) == 1000
    assert hand.transport.reading


async def test_tiny_chunks_do_not_outgrow_the_buffer() -> None:
    """A buffer full of one-byte chunks costs about its bytes, not an object for each."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(head(200, "transfer-encoding: chunked"))
    tracemalloc.start()
    while hand.transport.reading:
        hand.feed(chunk(b"x") * 100)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (held < 256 * 1024, peak < 2 * MIB) == (True, True)
    reply.close()


async def test_small_request_leaves_in_one_write() -> None:
    """Head and body of a small request are one write, one packet where they fit."""
    hand = Hand()
    hand.connection.begin(b"HEAD\r\n\r\n", b"body", QUICK, float("inf"), bodiless=False)
    assert hand.transport.written == [b"HEAD\r\n\r\nbody"]


@pytest.mark.parametrize("secure", [False, True])
async def test_large_request_arrives_whole(client: Client, identity: Identity, secure: bool) -> None:
    """A request of many megabytes arrives as it was, in plain and in TLS, and its connection is reused."""
    body = bytes(range(256)) * (20 * MIB // 256)
    async with ChaosUpstream([Send(whole(b"ok"))], tls=identity.good if secure else None) as up:
        pool = client.pool(up.url, tls=identity.trust())
        assert await fetch(pool, Outgoing("POST", "/", (), body)) == (200, b"ok")
        assert await fetch(pool) == (200, b"ok")
        assert up.requests[0].body == body
        assert pool.connects == 1


async def test_f40_slow_upstream_is_not_written_ahead_of(client: Client) -> None:
    """F40: while the upstream does not read, a large request waits in its own bytes, not in copies of them."""
    body = b"x" * (64 * MIB)
    async with ChaosUpstream([Pause(0.3), Listen(), Send(whole(b"ok"))], answer_at="head", deaf_after=1) as up:
        pool = client.pool(up.url)
        tracemalloc.start()
        sending = asyncio.create_task(fetch(pool, Outgoing("POST", "/", (), body)))
        await asyncio.sleep(0.2)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < MIB
        assert await sending == (200, b"ok")


async def test_early_answer_ends_the_upload(client: Client) -> None:
    """An upstream that answers before the whole request was sent is heard, and its connection is not used again."""
    body = b"x" * (64 * MIB)
    async with ChaosUpstream([Send(whole(b"too large", status=413))], answer_at="head", deaf_after=1) as up:
        pool = client.pool(up.url)
        assert await fetch(pool, Outgoing("POST", "/", (), body)) == (413, b"too large")
        assert pool.open == 0
        up.listen()
        await up.gone()
        assert up.visits[0].bytes_in < len(body)


async def test_early_answer_stops_the_writing() -> None:
    """Once the answer is there, no more of a large request is written, whether the upstream takes it or not."""
    for choked in (True, False):
        hand = Hand()
        reply = hand.connection.begin(b"POST / HTTP/1.1\r\n\r\n", b"x" * MIB, QUICK, float("inf"), bodiless=False)
        if choked:
            hand.connection.pause_writing()
        sending = asyncio.create_task(hand.connection.upload(reply, b"x" * MIB))
        hand.feed(whole(b"no", status=413))
        await sending
        assert sum(map(len, hand.transport.written)) < MIB / 2
        assert await reply.read(10) == b"no"
        assert hand.transport.aborted


async def test_first_byte_time_starts_when_the_request_has_left() -> None:
    """While the last bytes of a large request wait in the transport, the upstream is not late with its answer."""
    hand = Hand()
    hand.transport.after_write = hand.connection.pause_writing
    body = b"x" * 2 * SLICE_BYTES
    reply = hand.connection.begin(b"POST", body, Timeouts(first_byte_s=0.01), float("inf"), bodiless=False)
    sending = asyncio.create_task(hand.connection.upload(reply, body))
    for written in (1, 2, 3):  # the head, and two slices
        await settle()
        assert len(hand.transport.written) == written
        await asyncio.sleep(0.02)
        hand.connection.check(monotonic())
        assert reply.fault is None
        assert not sending.done()
        hand.connection.resume_writing()
    await sending
    await asyncio.sleep(0.02)
    hand.connection.check(monotonic())
    assert isinstance(reply.fault, UpstreamTimeout)


async def test_slow_reader_of_a_stream_gets_it_in_large_pieces(client: Client) -> None:
    """A reader that falls behind is given everything that waits in one piece."""
    async with ChaosUpstream([Send(chunked(*[b"0123456789"] * 1000)), Send(CHUNKED_END)]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        await eventually(lambda: reply.ended)
        assert len(await reply.next()) == 10_000
        assert await drain(reply) == (b"", None)
