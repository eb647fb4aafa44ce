"""Amazon's event stream encoding is read as it is specified, however it arrives, and nothing else is."""

import zlib

import pytest

from tests.dialects.bedrock.frames import event, framed, header, message
from tollhouse.dialects.bedrock.eventstream import Message, MessageParser, read_headers
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamTooLarge

EMPTY = b"\x00\x00\x00\x10\x00\x00\x00\x00\x05\xc2H\xeb}\x98\xc8\xff"
NO_HEADERS = b"\x00\x00\x00\x1d\x00\x00\x00\x00\xfdR\x8cZ{'foo':'bar'}\xc3e96"
ONE_HEADER = (
    b"\x00\x00\x00=\x00\x00\x00 \x07\xfd\x83\x96\x0ccontent-type\x07\x00\x10application/json"
    b"{'foo':'bar'}\x8d\x9c\x08\xb1"
)
"""Messages of the vendor's own tests (botocore, tests/unit/test_eventstream.py)."""
STREAM = [event("contentBlockDelta", {"delta": {"text": text}}) for text in ("漢", "b", "c" * 300)]


def take(parser: MessageParser, data: bytes) -> list[Message]:
    """The messages that these bytes complete."""
    return list(parser.read(data))


@pytest.mark.parametrize(
    ("data", "payload"), [(EMPTY, b""), (NO_HEADERS, b"{'foo':'bar'}"), (ONE_HEADER, b"{'foo':'bar'}")]
)
def test_the_vendors_messages_are_read(data: bytes, payload: bytes) -> None:
    """Messages that the vendor published are whole, with their payload; without our headers they have no name."""
    assert take(MessageParser(), data) == [("", "", payload)]


def test_every_type_of_header_is_passed_over() -> None:
    """Headers of all ten types are told apart by their sizes, and those that are strings are read."""
    sizes = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 6: 3, 8: 8, 9: 16}
    block = b"".join([header(f"h{kind}", kind, b"\xff" * size) for kind, size in sizes.items()])
    assert read_headers(block + header("é", 7, "ü".encode())) == {"é": "ü"}


@pytest.mark.parametrize(
    ("kind", "name"), [("event", "metadata"), ("exception", "throttlingException"), ("error", "InternalFailure")]
)
def test_a_message_says_what_it_is(kind: str, name: str) -> None:
    """The three kinds of messages have their names in three headers."""
    assert take(MessageParser(), message(kind, name, b"{}")) == [(kind, name, b"{}")]


@pytest.mark.parametrize("size", [1, 2, 3, 11, 12, 13, 100, 10_000])
def test_where_reads_are_cut_changes_nothing(size: int) -> None:
    """Cut at any place, a stream gives the same messages."""
    raw = b"".join(STREAM)
    parser = MessageParser()
    pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
    assert [one for piece in pieces for one in take(parser, piece)] == take(MessageParser(), raw)


def test_the_same_headers_are_read_once_and_remembered_within_bounds() -> None:
    """A stream with ever new headers does not grow what is remembered of it."""
    parser = MessageParser()
    for number in range(200):
        assert take(parser, message("event", f"e{number}", b"")) == [("event", f"e{number}", b"")]
    assert len(parser._known) <= 64


@pytest.mark.parametrize("place", range(len(STREAM[1])))
def test_a_flipped_bit_is_noticed(place: int) -> None:
    """Whatever byte was garbled, the message is not given out, and none after it."""
    raw = bytearray(STREAM[1])
    raw[place] ^= 0x10
    parser = MessageParser()
    with pytest.raises(UpstreamFault):
        take(parser, STREAM[0] + bytes(raw) + STREAM[2])


def test_what_came_before_a_fault_is_given_out_first() -> None:
    """Good messages of the same read come before the fault of the one that follows."""
    messages = MessageParser().read(STREAM[0] + b"HTTP/1.1 502 Bad")
    assert next(messages)[1] == "contentBlockDelta"
    with pytest.raises(UpstreamBadResponse):
        next(messages)


def test_a_message_over_the_cap_is_too_large_before_it_has_arrived() -> None:
    """The length that a message states is enough to refuse it."""
    raw = event("x", {"a": "b" * 2000})
    assert take(MessageParser(len(raw)), raw)
    with pytest.raises(UpstreamTooLarge):
        take(MessageParser(len(raw) - 1), raw[:12])


@pytest.mark.parametrize("body", [b'{"message":"not a stream"}', b"data: {}\n\n" * 3, b"\x00" * 40, b"<html></html>"])
def test_what_is_no_event_stream_is_a_fault(body: bytes) -> None:
    """JSON, server-sent events or a page are recognised by the first checksum."""
    with pytest.raises(UpstreamBadResponse):
        take(MessageParser(), body)


@pytest.mark.parametrize(
    "block",
    [
        b"\x05ab",
        header("a", 7, b"abc")[:-1],
        header("a", 10, b""),
        header("a", 5, b"123"),
        header("a", 7, b"\xff\xfe"),
        b"\x02\xff\xff\x00",
        b"\x01a\x07\x00",
    ],
)
def test_headers_that_do_not_fit_are_a_fault(block: bytes) -> None:
    """Headers cut short, of no known type or no UTF-8 are refused, though the checksums are right."""
    with pytest.raises(UpstreamBadResponse):
        take(MessageParser(), framed(block, b"{}"))


def test_headers_longer_than_their_message_are_a_fault() -> None:
    """A length of headers that leaves no room for the rest is refused."""
    good = bytearray(framed(b"", b"abcd"))
    good[4:8] = (5).to_bytes(4, "big")
    good[8:12] = zlib.crc32(bytes(good[:8])).to_bytes(4, "big")
    with pytest.raises(UpstreamBadResponse):
        take(MessageParser(), bytes(good))


def test_a_large_message_in_small_reads_takes_linear_time() -> None:
    """A message of a megabyte in reads of a few bytes is not looked at again and again."""
    raw = event("x", {"a": "b" * 500_000})
    parser = MessageParser()
    reads = [raw[at : at + 16] for at in range(0, len(raw), 16)]
    assert [one[1] for piece in reads for one in take(parser, piece)] == ["x"]
