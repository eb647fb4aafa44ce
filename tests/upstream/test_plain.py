"""Answers read without a parser mean what they mean to the parser."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.chaos import chunked
from tests.fakes.chaos import head as chaos_head
from tests.upstream.kit import Hand
from tests.upstream.test_connection import BAD, GOOD, in_bytes, outcome
from tollhouse.upstream.connection import Limits
from tollhouse.upstream.plain import PlainReplies
from tollhouse.upstream.reply import Reply

LOOP = asyncio.new_event_loop()
LOOP.close()
"""A reply that nobody waits for needs none that runs."""
by_hand = pytest.mark.asyncio(loop_factories=["asyncio"])  # no sockets here: one loop is enough


def head(*lines: str) -> bytes:
    """A head of the only kind that is read without the parser."""
    return chaos_head(200, *lines).replace(b"200 Because", b"200 OK")


FIELDS = ("Server: nginx", "Content-Type: application/json", "content-length: 2", "Connection: Keep-Alive")
USUAL = head(*FIELDS) + b"{}"


def plain(data: bytes, most_fields: int = 256) -> Reply | None:
    """The reply, where no parser is needed."""
    reply = Reply(None, [], LOOP)
    return reply if PlainReplies().read(reply, data, most_fields) else None


def test_a_usual_answer_is_read() -> None:
    """Names are in lower case; the whole body has arrived."""
    reply = plain(USUAL)
    assert reply is not None
    assert reply.head == {
        b"server": b"nginx",
        b"content-type": b"application/json",
        b"content-length": b"2",
        b"connection": b"Keep-Alive",
    }
    assert (reply.status, reply.parts, reply.opened, reply.ended) == (200, [b"{}"], True, True)


def test_an_empty_body_leaves_no_part() -> None:
    """A reader would take an empty part for bytes that have come."""
    reply = plain(head("content-length: 0"))
    assert reply is not None
    assert (reply.parts, reply.ended) == ([], True)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        USUAL[:-1],
        USUAL + b"x",
        USUAL + USUAL,
        USUAL.replace(b" 200 OK", b" 201 OK"),
        USUAL.replace(b"1.1", b"1.0"),
        USUAL.replace(b"OK", b"Ok"),
        USUAL.replace(b"Keep-Alive", b"close"),
        USUAL.replace(b"length: 2", b"length: +2"),
        USUAL.replace(b"length: 2", b"length: 2 "),
        USUAL.replace(b"length: 2", b"length: 0000000000002"),
        USUAL.replace(b"content-length: 2", b"a: 2"),
        USUAL.replace(b"nginx", b"ng\x00inx"),
        USUAL.replace(b"nginx", b"ng\rinx"),
        USUAL.replace(b"nginx", b"ng\ninx"),
        USUAL.replace(b"nginx", b"\x7f"),
        USUAL.replace(b"Server: ", b"Ser ver: "),
        USUAL.replace(b"Server: ", b"Server : "),
        USUAL.replace(b"Server: ", b" Server: "),
        USUAL.replace(b"Server: ", b": "),
        USUAL.replace(b"Server: ", b"Server:"),
        USUAL.replace(b"Server: ", b"Server:  "),
        USUAL.replace(b"Server: nginx", b"Server: "),
        USUAL.replace(b"Server: nginx", b"Server"),
        USUAL.replace(b"Server: nginx", b"Content-Length: 2"),
        USUAL.replace(b"Server: nginx", b"Upgrade: h2c"),
        USUAL.replace(b"Server: nginx", b"Trailer: x"),
        USUAL.replace(b"Server: nginx", b"Proxy-Connection: close"),
        USUAL.replace(b"Server: nginx", b"Content-Encoding: gzip"),
        USUAL.replace(b"Server: nginx", b"Transfer-Encoding: chunked"),
        head() + b"{}",
        chunked(b"{}"),
    ],
)
def test_anything_else_is_the_parsers(data: bytes) -> None:
    """What is not exactly the plain form is left alone."""
    assert plain(data) is None


def test_more_fields_than_allowed_are_the_parsers_to_refuse() -> None:
    """The bound is the connection's."""
    assert plain(USUAL, 4) is not None
    assert plain(USUAL, 3) is None


def test_lines_are_remembered_up_to_a_bound() -> None:
    """A host that never repeats a line does not fill the memory."""
    replies = PlainReplies()
    for number in range(2000):
        assert replies.read(Reply(None, [], LOOP), head(f"x-request-id: {number}", "content-length: 0"), 9)
    assert len(replies._known) <= 512


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["Server: nginx", "x-request-id: r1", "Date: Sat, 21 Nov 2026 03:05:43 GMT", "connection: keep-alive"]
        ),
        st.sampled_from(["connection: close", "te: x", "transfer-encoding: chunked", "x:1", "x: "]),
        st.text(st.characters(max_codepoint=255), max_size=12),
    ),
    max_size=4,
)


@by_hand
@given(LINES, st.sampled_from([b"", b"{}", b"{}\r\n", b"HTTP/1.1 200 OK\r\n"]))
async def test_it_says_what_the_parser_says(lines: list[str], body: bytes) -> None:
    """Whatever is read without the parser, the parser reads as the same, and keeps the connection too."""
    data = b"HTTP/1.1 200 OK\r\n" + "".join(f"{line}\r\n" for line in [*lines, "content-length: 2"]).encode("latin-1")
    data += b"\r\n" + body
    reply = plain(data)
    if reply is None:
        return
    hand = Hand()
    other = hand.begin()
    hand.feed(data[:20])  # what comes in pieces is the parser's
    hand.feed(data[20:])
    assert (other.status, other.head, other.ended) == (reply.status, reply.head, True)
    assert await other.read(99) == b"".join(reply.parts)
    assert (hand.freed, hand.transport.aborted) == (1, False)


@by_hand
async def test_the_parser_reads_on_after_a_plain_answer() -> None:
    """The two take turns on one connection."""
    hand = Hand()
    for data in (USUAL, chunked(b"{}"), USUAL, USUAL + b"x"):
        reply = hand.begin()
        hand.feed(data)
        assert await reply.read(9) == b"{}"
    assert (hand.freed, hand.transport.aborted) == (3, True)


@by_hand
async def test_a_plain_answer_over_the_cap_on_heads_is_the_parsers() -> None:
    """The cap binds whoever reads."""
    hand = Hand(Limits(max_header_bytes=len(USUAL) - 1))
    reply = hand.begin()
    hand.feed(USUAL)
    assert await reply.read(9) == b"{}"


@by_hand
@pytest.mark.parametrize("data", [case.data for case in GOOD] + [data for _, data, _, _ in BAD])
async def test_an_answer_is_the_same_whole_and_byte_by_byte(data: bytes) -> None:
    """Every reply that the tests of the connection know, with the status line that is looked for here."""
    data = data.replace(b"200 Because", b"200 OK")
    assert await outcome([data]) == await outcome(in_bytes(data))
