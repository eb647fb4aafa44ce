"""One connection fed by hand: every reply whole, in two pieces, byte by byte, and cut off at every offset."""

import asyncio
from dataclasses import dataclass

import pytest

from tests.fakes.chaos import CHUNKED_END, chunk, chunked, head, whole
from tests.upstream.kit import Hand, drain
from tollhouse.errors import (
    Fault,
    UpstreamInterrupted,
    UpstreamProtocol,
    UpstreamRedirect,
    UpstreamUnreachable,
)
from tollhouse.upstream.connection import Connection, Limits

pytestmark = pytest.mark.asyncio(loop_factories=["asyncio"])  # no sockets here: one loop is enough


@dataclass(frozen=True)
class Good:
    """A reply that is read to its end. ``reusable``: the connection can carry another exchange."""

    name: str
    data: bytes
    body: bytes
    status: int = 200
    reusable: bool = True
    until_close: bool = False


CHUNKED = head(200, "transfer-encoding: chunked")
GOOD = [
    Good("length", whole(b"hello"), b"hello"),
    Good("empty", head(200, "content-length: 0"), b""),
    Good("chunked", chunked(b"a", b"bc", b"d" * 300), b"abc" + b"d" * 300),
    Good("chunked-empty", chunked(), b""),
    Good("chunk-extension", CHUNKED + b"2;a=b;c\r\nhi\r\n0;z\r\n\r\n", b"hi"),
    Good("trailer", CHUNKED + b"2\r\nhi\r\n0\r\nx-sum: 1\r\nx-b: c\r\n\r\n", b"hi"),
    Good("no-reason", b"HTTP/1.1 200\r\ncontent-length: 1\r\n\r\na", b"a"),
    Good("error-status", whole(b"{}", status=429), b"{}", status=429),
    Good("interim", head(100) + head(103, "link: <x>") + whole(b"hi"), b"hi"),
    Good("eight-interim", head(102) * 8 + whole(b"hi"), b"hi"),
    Good("204", head(204), b"", status=204),
    Good("304", head(304, "content-length: 9"), b"", status=304),
    Good("close", head(200, "connection: close", "content-length: 2") + b"hi", b"hi", reusable=False),
    Good("http10", b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nhi", b"hi", reusable=False),
    Good("until-close", head(200, "content-type: text/plain") + b"hello", b"hello", reusable=False, until_close=True),
    Good("surplus", whole(b"hi") + b"more", b"hi", reusable=False),
    Good("second-reply", whole(b"hi") + whole(b"evil"), b"hi", reusable=False),
    Good("surplus-after-204", head(204) + b"evil", b"", status=204, reusable=False),
    Good("surplus-after-304", head(304, "content-length: 4") + b"evil", b"", status=304, reusable=False),
]

BAD: list[tuple[str, bytes, type[Fault], str]] = [
    ("garbage", b"<html>nothing</html>", UpstreamProtocol, ""),
    ("ssh", b"SSH-2.0-OpenSSH\r\n", UpstreamProtocol, ""),
    ("http2", b"HTTP/2.0 200 OK\r\n\r\n", UpstreamProtocol, ""),
    ("http09", b"HTTP/0.9 200 OK\r\n\r\n", UpstreamProtocol, ""),
    ("status-999", head(999), UpstreamProtocol, ""),
    ("status-000", head(0).replace(b" 0 ", b" 000 "), UpstreamProtocol, ""),
    ("bare-lf", b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", UpstreamProtocol, ""),
    ("nul-value", head(200, "x: a\0b"), UpstreamProtocol, ""),
    ("cr-value", head(200, "x: a\rb"), UpstreamProtocol, ""),
    ("lf-value", head(200, "x: a\nb"), UpstreamProtocol, ""),
    ("control-value", head(200, "x: a\x01b"), UpstreamProtocol, ""),
    ("folded", head(200, "x: a", " b"), UpstreamProtocol, ""),
    ("no-name", head(200, ": a"), UpstreamProtocol, ""),
    ("space-in-name", head(200, "a b: c"), UpstreamProtocol, ""),
    ("space-before-colon", head(200, "a : c"), UpstreamProtocol, ""),
    ("length-and-chunked", head(200, "content-length: 2", "transfer-encoding: chunked"), UpstreamProtocol, ""),
    ("chunked-and-length", head(200, "transfer-encoding: chunked", "content-length: 2"), UpstreamProtocol, ""),
    ("two-lengths", head(200, "content-length: 2", "content-length: 3"), UpstreamProtocol, ""),
    ("length-list", head(200, "content-length: 2, 3"), UpstreamProtocol, ""),
    ("length-negative", head(200, "content-length: -1"), UpstreamProtocol, ""),
    ("length-huge", head(200, "content-length: 99999999999999999999"), UpstreamProtocol, ""),
    ("gzip", head(200, "content-encoding: gzip", "content-length: 2") + b"\x1f\x8b", UpstreamProtocol, ""),
    ("te-gzip", head(200, "transfer-encoding: gzip, chunked"), UpstreamProtocol, ""),
    ("101", head(101, "upgrade: x", "connection: upgrade"), UpstreamProtocol, ""),
    ("101-bare", head(101), UpstreamProtocol, ""),
    ("nine-interim", head(100) * 9 + whole(b"hi"), UpstreamProtocol, ""),
    ("204-body", head(204, "content-length: 2") + b"hi", UpstreamProtocol, ""),
    ("redirect", head(302, "location: http://elsewhere.example/"), UpstreamRedirect, ""),
    ("chunk-size", CHUNKED + chunk(b"ab") + b"zz\r\n", UpstreamProtocol, "ab"),
    ("chunk-size-huge", CHUNKED + b"ffffffffffffffffff\r\n", UpstreamProtocol, ""),
    ("chunk-size-negative", CHUNKED + b"-1\r\n", UpstreamProtocol, ""),
    ("chunk-too-long", CHUNKED + b"2\r\nabcd\r\n", UpstreamProtocol, "ab"),
    ("chunk-bare-lf", CHUNKED + b"2\nab\n0\n\n", UpstreamProtocol, ""),
]


async def outcome(pieces: list[bytes]) -> tuple[int, bytes, type[Fault] | None]:
    """Feeds the pieces, then closes: status (0 without a head), body, fault."""
    hand = Hand()
    reply = hand.begin()
    for piece in pieces:
        hand.feed(piece)
    hand.finish()
    body, fault = await drain(reply)
    assert hand.gone == 1
    return reply.status, body, fault


def in_bytes(data: bytes) -> list[bytes]:
    """One byte at a time."""
    return [data[at : at + 1] for at in range(len(data))]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
async def test_good_reply_whole_and_byte_by_byte(case: Good) -> None:
    """A good reply reads the same however it is cut into packets."""
    want = (case.status, case.body, None)
    assert await outcome([case.data]) == want
    assert await outcome(in_bytes(case.data)) == want
    for cut in range(1, len(case.data)):
        assert await outcome([case.data[:cut], case.data[cut:]]) == want, f"cut at {cut}"


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
async def test_truncated_reply_is_never_taken_for_a_whole_one(case: Good) -> None:
    """F14, F21: a reply cut off at any offset gives what had arrived and then a fault, never a silent end."""
    complete_at = len(case.data)
    while not case.until_close and await outcome([case.data[: complete_at - 1]]) == (case.status, case.body, None):
        complete_at -= 1  # bytes after the announced end do not count
    assert complete_at > case.data.index(b"\r\n\r\n")
    for cut in range(complete_at):
        status, body, fault = await outcome([case.data[:cut]])
        assert case.body.startswith(body)
        if cut == 0:
            assert (status, fault) == (0, UpstreamUnreachable)
        elif case.until_close and status:
            assert fault is None  # its end is the connection's: nothing can tell
        else:
            assert fault is UpstreamInterrupted, f"cut at {cut}"


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
async def test_connection_is_reused_only_after_an_exact_end(case: Good) -> None:
    """A connection is given back only if the reply allowed it and nothing followed it."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(case.data)
    if case.until_close:
        hand.finish()
    assert await drain(reply) == (case.body, None)
    assert (hand.freed, hand.transport.aborted) == (int(case.reusable), not case.reusable)


@pytest.mark.parametrize(("name", "data", "fault", "body"), BAD, ids=[case[0] for case in BAD])
async def test_bad_reply_whole_and_byte_by_byte(name: str, data: bytes, fault: type[Fault], body: str) -> None:
    """F08, F09, F10, F15: a reply that breaks HTTP or our rules is a fault, after the body that came before it."""
    del name
    for pieces in ([data], in_bytes(data)):
        _, got, kind = await outcome(pieces)
        assert (got, kind) == (body.encode(), fault)


@pytest.mark.parametrize("data", [b"", b"HTT", CHUNKED, CHUNKED + b"2\r\nh"])
async def test_message_of_a_fault_is_ours(data: bytes) -> None:
    """The message of a fault never holds the upstream's words."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(data)
    hand.feed(b"\0\0secret words" if data else b"secret words")
    assert reply.fault is not None
    assert "secret" not in reply.fault.message


async def test_f08_head_over_64_kib_is_refused() -> None:
    """F08: a head is refused once it is larger than the cap, whether its end is in sight or not."""
    for tail in (b"", b"\r\n\r\n", b"\r\n\r\nbody"):
        hand = Hand()
        reply = hand.begin()
        hand.feed(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 64 * 1024 + tail)
        assert isinstance(reply.fault, UpstreamProtocol)
        assert hand.transport.aborted


async def test_f08_head_just_under_the_cap_is_read() -> None:
    """A head of exactly the cap is read, and so is a body behind it in the same packet."""
    hand = Hand(Limits(max_header_bytes=200))
    shell = len(head(200, "content-length: 5", "x: "))
    data = head(200, "content-length: 5", "x: " + "a" * (200 - shell))
    assert len(data) == 200
    reply = hand.begin()
    hand.feed(data + b"hello")
    assert await drain(reply) == (b"hello", None)
    assert hand.freed == 1


async def test_f08_surplus_behind_a_head_of_the_cap_closes() -> None:
    """Bytes behind a bodiless head that ends exactly at the cap are not mistaken for nothing."""
    data = head(204)
    hand = Hand(Limits(max_header_bytes=len(data)))
    reply = hand.begin()
    hand.feed(data + b"evil")
    assert await drain(reply) == (b"", None)
    assert (hand.freed, hand.transport.aborted) == (0, True)


async def test_f08_ten_thousand_headers_are_refused() -> None:
    """F08: more headers than the cap are refused, however short."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(head(200, *["a: b"] * 10_000))
    assert isinstance(reply.fault, UpstreamProtocol)


async def test_f08_endless_trailer_or_extension_is_refused() -> None:
    """Framing that never brings body bytes is refused once it is larger than the cap on heads."""
    for start in (CHUNKED + b"0\r\nx: ", CHUNKED + b"2;x="):
        hand = Hand()
        reply = hand.begin()
        hand.feed(start)
        for _ in range(70):
            hand.feed(b"a" * 1024)
        assert isinstance(reply.fault, UpstreamProtocol)


async def test_framing_is_capped_between_body_bytes_only() -> None:
    """A long stream whose chunks carry extensions is not refused for their sum."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(CHUNKED)
    for _ in range(2000):
        hand.feed(b"1;x=" + b"y" * 100)
        hand.feed(b"\r\nz\r\n")
    hand.feed(CHUNKED_END)
    assert await drain(reply) == (b"z" * 2000, None)


async def test_connection_that_died_young_is_not_taken() -> None:
    """A connection that was closed before the pool got it cannot be adopted."""
    hand = Hand()
    young = Connection(asyncio.get_running_loop(), Limits(), memoryview(bytearray(64)))
    young.connection_made(hand.transport)
    young.eof_received()
    with pytest.raises(UpstreamUnreachable):
        young.adopt(hand)


async def test_f09_interim_flood_is_refused() -> None:
    """F09: a thousand interim replies are not waited through."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(head(100) * 1000)
    assert isinstance(reply.fault, UpstreamProtocol)


async def test_f09_switching_protocols_is_named() -> None:
    """F09: 101, which was never asked for, is told apart from other nonsense."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(head(101))
    assert reply.fault is not None
    assert "switched protocols" in reply.fault.message


async def test_reply_to_head_has_no_body() -> None:
    """A reply to HEAD ends with its head, whatever length it names, and what follows is not a body."""
    for data in (head(200, "content-length: 5"), head(200, "content-length: 5") + b"hello", CHUNKED, head(200)):
        hand = Hand()
        reply = hand.begin(bodiless=True)
        hand.feed(data)
        assert (reply.status, await drain(reply)) == (200, (b"", None))
        assert hand.transport.aborted


async def test_bytes_on_an_idle_connection_close_it() -> None:
    """Bytes that nobody asked for close the connection: they can never answer the next request."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(whole(b"hi"))
    await drain(reply)
    assert hand.freed == 1
    hand.feed(whole(b"evil"))
    assert (hand.transport.aborted, hand.gone) == (True, 1)


async def test_bytes_behind_an_unread_end_close_it() -> None:
    """Bytes that come after the end of a reply that is still being read keep the connection from being reused."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(whole(b"hi"))
    hand.feed(b"evil")
    assert await drain(reply) == (b"hi", None)
    assert (hand.freed, hand.transport.aborted) == (0, True)


async def test_second_exchange_starts_clean() -> None:
    """A reused connection carries nothing over from the exchange before, not even bytes its reader left."""
    hand = Hand()
    first = hand.begin()
    hand.feed(chunked(b"left", b"over"))
    first.close()
    assert len(hand.connection.get_buffer(-1)) == len(Hand().connection.get_buffer(-1))
    assert hand.connection.unread == 0
    second = hand.begin()
    hand.feed(whole(b"new"))
    assert await drain(second) == (b"new", None)
    assert await first.next() == b""
    first.close()
    assert (hand.freed, hand.transport.aborted) == (2, False)


async def test_reset_is_not_the_end_of_a_body() -> None:
    """A body that ends with its connection is whole after FIN, but not after RST."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(head(200) + b"hello")
    hand.connection.connection_lost(ConnectionResetError())
    assert await drain(reply) == (b"hello", UpstreamInterrupted)


async def test_many_small_chunks_are_kept_small() -> None:
    """Thousands of tiny chunks that nobody reads do not become thousands of objects."""
    hand = Hand()
    reply = hand.begin()
    hand.feed(CHUNKED)
    for _ in range(5000):
        hand.feed(chunk(b"x"))
    assert len(reply.parts) <= 65
    hand.feed(CHUNKED_END)
    assert await drain(reply) == (b"x" * 5000, None)
