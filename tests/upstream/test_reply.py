"""A reply as its reader sees it, over real sockets."""

import asyncio
import gzip

import pytest

from tests.fakes.chaos import (
    CHUNKED_END,
    Await,
    ChaosUpstream,
    Close,
    Pause,
    Reset,
    Send,
    Step,
    chunk,
    chunked,
    head,
    whole,
)
from tests.upstream.kit import GET, QUICK, Client, Identity, drain, fetch, settle
from tollhouse.errors import (
    Fault,
    UpstreamInterrupted,
    UpstreamProtocol,
    UpstreamRedirect,
    UpstreamTooLarge,
    UpstreamUnreachable,
)

CHUNKED = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")


async def test_reply_byte_by_byte(client: Client) -> None:
    """A reply that trickles in byte by byte reads as one that came whole."""
    async with ChaosUpstream([Send(chunked(b"hello ", b"world"), size=1)]) as up:
        assert await fetch(client.pool(up.url)) == (200, b"hello world")


async def test_next_gives_each_chunk_as_it_comes(client: Client) -> None:
    """A chunk is handed over when it arrives, not when the next one does."""
    go = asyncio.Event()
    async with ChaosUpstream([Send(CHUNKED + chunk(b"one")), Await(go), Send(chunk(b"two") + CHUNKED_END)]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        assert await reply.next() == b"one"
        go.set()
        assert await reply.next() == b"two"
        assert await reply.next() == b""
        assert await reply.next() == b""


async def test_next_joins_all_that_has_arrived(client: Client) -> None:
    """All that arrived since the last call comes in one piece."""
    async with ChaosUpstream([Send(chunked(b"one", b"two", b"three"))]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        assert await reply.next() == b"onetwothree"
        reply.close()


async def test_a_trailer_is_no_part_of_any_head(client: Client) -> None:
    """What follows a body is neither in its own head nor in that of the next reply on the connection."""
    trailed = CHUNKED + chunk(b"hi") + b"0\r\nx-sum: 1\r\n\r\n"
    async with ChaosUpstream([Send(trailed)], [Send(head(200, "content-length: 0"))]) as up:
        pool = client.pool(up.url)
        first = await pool.send(GET, QUICK)
        assert await first.read(10) == b"hi"
        assert first.headers == {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        second = await pool.send(GET, QUICK)
        assert (second.headers, pool.connects) == ({"content-length": "0"}, 1)
        second.close()


async def test_head_is_seen_before_the_body(client: Client) -> None:
    """`send` returns with status and headers while the body is still to come."""
    go = asyncio.Event()
    async with ChaosUpstream([Send(head(201, "content-length: 2", "X-A: 1", "x-a: 2")), Await(go), Send(b"hi")]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        assert (reply.status, reply.headers) == (201, {"content-length": "2", "x-a": "1, 2"})
        go.set()
        assert await reply.read(10) == b"hi"


@pytest.mark.parametrize("data", [whole(b"12345"), chunked(b"123", b"45"), head(200) + b"12345"])
async def test_f16_body_over_the_limit_is_cut(client: Client, data: bytes) -> None:
    """F16: a body over the reader's limit is refused and its connection closed; one of exactly the limit is read."""
    async with ChaosUpstream([Send(data), Close()]) as up:
        pool = client.pool(up.url)
        reply = await pool.send(GET, QUICK)
        assert await reply.read(5) == b"12345"
        reply = await pool.send(GET, QUICK)
        with pytest.raises(UpstreamTooLarge):
            await reply.read(4)
        assert pool.active == 0


async def test_f16_announced_body_over_the_limit_is_not_waited_for(client: Client) -> None:
    """F16: a length over the limit is refused before the body comes, and the socket is closed at once."""
    async with ChaosUpstream([Send(head(200, "content-length: 99999999"))]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        with pytest.raises(UpstreamTooLarge):
            await reply.read(64)
        await up.gone()


async def test_f16_endless_body_is_cut_at_the_limit(client: Client) -> None:
    """F16: of a body without a known length no more than the limit is taken in."""
    flood: list[Step] = [Send(chunk(b"x" * 65536))] * 400
    async with ChaosUpstream([Send(CHUNKED), *flood]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        with pytest.raises(UpstreamTooLarge):
            await reply.read(1 << 20)
        await up.gone()


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("ending", [Close(), Reset()])
async def test_f20_f21_broken_stream_gives_what_came_and_then_the_fault(
    client: Client, identity: Identity, ending: Close | Reset, secure: bool
) -> None:
    """F20, F21: a stream that is reset or closed after k chunks gives these and then `UpstreamInterrupted`."""
    play: list[Step] = [Send(CHUNKED + chunk(b"one") + chunk(b"two")), Pause(0.05), ending]
    async with ChaosUpstream(play, tls=identity.good if secure else None) as up:
        pool = client.pool(up.url, tls=identity.trust())
        assert await drain(await pool.send(GET, QUICK)) == (b"onetwo", UpstreamInterrupted)
        assert pool.open == 0


@pytest.mark.parametrize("secure", [False, True])
async def test_broken_framing_ends_a_stream_and_its_socket(client: Client, identity: Identity, secure: bool) -> None:
    """A stream whose framing breaks gives what came and then `UpstreamProtocol`, and its socket is closed."""
    async with ChaosUpstream([Send(CHUNKED + chunk(b"one") + b"zz\r\n")], tls=identity.good if secure else None) as up:
        pool = client.pool(up.url, tls=identity.trust())
        assert await drain(await pool.send(GET, QUICK)) == (b"one", UpstreamProtocol)
        assert pool.open == 0
        await up.gone()


@pytest.mark.parametrize("secure", [False, True])
async def test_f07_reset_in_the_head(client: Client, identity: Identity, secure: bool) -> None:
    """F07: RST after some bytes of the head is `UpstreamInterrupted`; before any byte, `UpstreamUnreachable`."""
    cases: list[tuple[bytes, type[Fault]]] = [(b"HTTP/1.1 2", UpstreamInterrupted), (b"", UpstreamUnreachable)]
    for data, fault in cases:
        async with ChaosUpstream([Send(data), Pause(0.03), Reset()], tls=identity.good if secure else None) as up:
            with pytest.raises(fault):
                await client.pool(up.url, tls=identity.trust()).send(GET, QUICK)


async def test_f10_redirect_is_not_followed(client: Client) -> None:
    """F10: a redirect is `UpstreamRedirect`, and the place it names sees no connection."""
    async with ChaosUpstream([Send(whole(b"stolen"))]) as other:
        target = f"location: {other.url}/"
        async with ChaosUpstream([Send(head(307, target, "content-length: 0"))]) as up:
            pool = client.pool(up.url)
            with pytest.raises(UpstreamRedirect):
                await pool.send(GET, QUICK)
            assert pool.open == 0
            await up.gone()
        assert other.visits == []


async def test_f15_compressed_reply_is_refused_unread(client: Client) -> None:
    """F15: identity is asked for; a compressed reply is refused with its head, and nothing of it is unpacked."""
    bomb = gzip.compress(b"\0" * 1_000_000)
    packed = head(200, "content-encoding: gzip", f"content-length: {len(bomb)}")
    async with ChaosUpstream([Send(packed + bomb)]) as up:
        with pytest.raises(UpstreamProtocol, match="compressed"):
            await client.pool(up.url).send(GET, QUICK)
        assert up.requests[0].headers["accept-encoding"] == "identity"
        await up.gone()


async def test_f14_longer_length_is_an_interrupted_reply(client: Client) -> None:
    """F14: a body shorter than its content-length is never taken for whole."""
    async with ChaosUpstream([Send(head(200, "content-length: 9") + b"hello"), Close()]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        with pytest.raises(UpstreamInterrupted):
            await reply.read(100)


async def test_f14_shorter_length_drops_the_rest_and_the_connection(client: Client) -> None:
    """F14: bytes after the content-length are dropped, and cannot become the next reply."""
    longer = head(200, "content-length: 2") + b"hi" + whole(b"evil")
    async with ChaosUpstream([Send(longer)], [Send(whole(b"ok"))]) as up:
        pool = client.pool(up.url)
        assert await fetch(pool) == (200, b"hi")
        assert await fetch(pool) == (200, b"ok")
        assert pool.connects == 2


async def test_close_before_the_end_closes_the_socket_at_once(client: Client) -> None:
    """Closing an unfinished reply closes its socket; the upstream sees it within a second."""
    async with ChaosUpstream([Send(CHUNKED + chunk(b"one"))]) as up:
        pool = client.pool(up.url)
        reply = await pool.send(GET, QUICK)
        reply.close()
        reply.close()
        assert (pool.open, pool.active) == (0, 0)
        await up.gone()
        with pytest.raises(UpstreamInterrupted):
            await reply.next()


async def test_close_wakes_a_waiting_reader(client: Client) -> None:
    """A reader that waits when its reply is closed from elsewhere gets `UpstreamInterrupted`, not silence."""
    async with ChaosUpstream([Send(CHUNKED)]) as up:
        reply = await client.pool(up.url).send(GET, QUICK)
        reader = asyncio.create_task(reply.next())
        await settle()
        reply.close()
        with pytest.raises(UpstreamInterrupted):
            await reader


async def test_closed_reply_cannot_touch_the_next_one(client: Client) -> None:
    """A second `close` of a finished reply does nothing to the exchange that now has its connection."""
    slow: list[Step] = [Send(CHUNKED + chunk(b"two")), Pause(0.05), Send(CHUNKED_END)]
    async with ChaosUpstream([Send(whole(b"one"))], slow) as up:
        pool = client.pool(up.url)
        first = await pool.send(GET, QUICK)
        assert await first.read(10) == b"one"
        second = await pool.send(GET, QUICK)
        first.close()
        assert await second.read(10) == b"two"
        assert pool.connects == 1
