"""The event parser: the WHATWG grammar, whatever way the bytes are cut."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.sse import Event, EventParser
from tollhouse.errors import UpstreamTooLarge

CORPUS: dict[str, tuple[bytes, list[Event]]] = {
    "canonical": (b"data: a\n\ndata: b\n\ndata: c\n\n", [(b"a", b""), (b"b", b""), (b"c", b"")]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [(b"a", b""), (b"b", b"")]),
    "cr": (b"data: a\r\rdata: b\r\r", [(b"a", b""), (b"b", b"")]),
    "mixed ends": (b"data: a\r\n\ndata: b\r\r\ndata: c\n\r\n", [(b"a", b""), (b"b", b""), (b"c", b"")]),
    "no space": (b'data:{"x":1}\n\ndata:[DONE]\n\n', [(b'{"x":1}', b""), (b"[DONE]", b"")]),
    "one space of two": (b"data:  a\n\n", [(b" a", b"")]),
    "several lines": (b"data: a\ndata: b\ndata:\ndata: c\n\n", [(b"a\nb\n\nc", b"")]),
    "lines beside single ones": (b"data: x\n\ndata: a\ndata: b\n\ndata: y", [(b"x", b""), (b"a\nb", b""), (b"y", b"")]),
    "the spec's empty ones": (b"data\n\ndata\ndata\n\ndata:\n\n", [(b"", b""), (b"\n", b""), (b"", b"")]),
    "comments": (b": hello\n\n:\n\ndata: a\n: inside\n\n: ping\n\n", [(b"a", b"")]),
    "names": (b"event: error\ndata: a\n\ndata: b\n\n", [(b"a", b"error"), (b"b", b"")]),
    "name without data": (b"event: ping\n\ndata: a\n\n", [(b"a", b"")]),
    "name after data": (b"data: a\nevent: x\n\n", [(b"a", b"x")]),
    "id and retry": (b"id: 7\nretry: 3000\ndata: a\n\nid\n\nretry: x\n\n", [(b"a", b"")]),
    "unknown fields": (b"foo: bar\ndatax: no\n data: no\nDATA: no\ndata: a\n\n", [(b"a", b"")]),
    "colons in data": (b"data: a: b: c\n\n", [(b"a: b: c", b"")]),
    "extra blank lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [(b"a", b""), (b"b", b"")]),
    "bom": (b"\xef\xbb\xbfdata: a\n\n", [(b"a", b"")]),
    "bom only once": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [(b"b", b"")]),
    "multi-byte": ("data: 漢字 \U0001f680 é\n\n".encode(), [("漢字 \U0001f680 é".encode(), b"")]),
    "no line ends": ("data: a\u2028b\u0085c\x0b\x0c\n\n".encode(), [("a\u2028b\u0085c\x0b\x0c".encode(), b"")]),
    "no blank line at the end": (b"data: a\n\ndata: b\n", [(b"a", b""), (b"b", b"")]),
    "no line end at the end": (b"data: a\n\nevent: e\ndata: b", [(b"a", b""), (b"b", b"e")]),
    "ends within crlf": (b"data: a\r\n\r", [(b"a", b"")]),
    "a cut mark of byte order": (b"\xef\xbb", []),
    "nothing": (b"", []),
}


def parse(pieces: list[bytes]) -> list[Event]:
    """All events of a stream that arrives in these pieces."""
    parser = EventParser()
    return [event for piece in pieces for event in parser.feed(piece)] + parser.finish()


@pytest.mark.parametrize("name", CORPUS)
def test_events_are_those_of_the_grammar(name: str) -> None:
    """Every form of line end, field and comment that the WHATWG grammar has gives the events it says."""
    raw, events = CORPUS[name]
    assert parse([raw]) == events


@pytest.mark.parametrize("name", CORPUS)
def test_where_reads_are_cut_changes_nothing(name: str) -> None:
    """A stream gives the same events whole, byte by byte, and cut in two or three at every offset."""
    raw, events = CORPUS[name]
    assert parse([raw[at : at + 1] for at in range(len(raw))]) == events
    for first in range(len(raw) + 1):
        for second in range(first, len(raw) + 1):
            assert parse([raw[:first], raw[first:second], raw[second:]]) == events


@pytest.mark.parametrize("name", CORPUS)
def test_a_truncated_stream_gives_a_prefix(name: str) -> None:
    """Cut off anywhere, a stream gives the first of its events, and at most one more that is itself cut short."""
    raw, events = CORPUS[name]
    for end in range(len(raw)):
        parser = EventParser()
        whole = parser.feed(raw[:end])
        assert whole == events[: len(whole)]
        rest = parser.finish()
        assert len(rest) <= 1
        if rest and len(whole) < len(events):
            assert events[len(whole)][0].startswith(rest[0][0].removesuffix(b"\n"))


def test_events_come_out_as_soon_as_they_are_whole() -> None:
    """The byte that ends an event's blank line, be it LF or CR, is the one that gives the event out."""
    for raw in (b"data: a\n\n", b"data: a\r\r", b"data: a\r\n\r"):
        parser = EventParser()
        assert [parser.feed(raw[at : at + 1]) for at in range(len(raw) - 1)] == [[]] * (len(raw) - 1)
        assert parser.feed(raw[-1:]) == [(b"a", b"")]


def test_finish_gives_nothing_twice() -> None:
    """After the end there is nothing left over."""
    parser = EventParser()
    parser.feed(b"data: a\n")
    assert parser.finish() == [(b"a", b"")]
    assert parser.finish() == []


FIELDS = st.sampled_from([b"data: x", b"data:y", b"data", b"data: ", b"event: e", b": c", b"id: 1", b"", b"", b"z"])
ENDS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b"\r"])


def reference(lines: list[bytes]) -> list[Event]:
    """The specification's own algorithm, word by word, over lines that are already cut."""
    events: list[Event] = []
    buffer, name = b"", b""
    for line in lines:
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if not line:
            if buffer:
                events.append((buffer[:-1], name))
            buffer, name = b"", b""
        elif field == b"data":
            buffer += value + b"\n"
        elif field == b"event":
            name = value
    return events


@given(st.lists(st.tuples(FIELDS, ENDS), max_size=30), st.lists(st.integers(0, 200), max_size=8))
def test_any_lines_cut_anywhere(lines: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    """Random lines with random ends, cut at random, give what the specification's algorithm gives."""
    written = [(line, end) for line, end in lines if line or end != b"\n"] + [(b"", b"\r\n")]
    # a CR before a bare LF would make one line end of two
    raw = b"".join([line + end for line, end in written])
    marks = sorted({0, len(raw), *[cut for cut in cuts if cut < len(raw)]})
    assert parse([raw[start:end] for start, end in pairwise(marks)]) == reference([line for line, _ in written])


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_any_bytes_cut_anywhere(raw: bytes, cuts: list[int]) -> None:
    """Bytes of any kind never raise, and give the same events however they are cut."""
    raw = raw.replace(b"\x00", b"\n").replace(b"\x01", b"data: ").replace(b"\x02", b"\r")
    marks = sorted({0, len(raw), *[cut for cut in cuts if cut < len(raw)]})
    assert parse([raw[start:end] for start, end in pairwise(marks)]) == parse([raw])


OVER_THE_CAP = {
    "one line": b"data: " + b"x" * 1100 + b"\n\n",
    "many lines": b"data: xxxxxxxxx\n" * 120 + b"\n",
    "a comment": b": " + b"x" * 1100,
    "an unknown field": b"data:\n\n\ny" * 3 + b"y" * 1100,
}


def feed_all(raw: bytes, size: int) -> None:
    """Feeds a parser whose cap is 1000 bytes in reads of this size."""
    parser = EventParser(max_event_bytes=1000)
    for at in range(0, len(raw), size):
        parser.feed(raw[at : at + size])


@pytest.mark.parametrize("size", [1, 100, 4096])
@pytest.mark.parametrize("name", OVER_THE_CAP)
def test_an_event_over_the_cap_is_refused(name: str, size: int) -> None:
    """An event of more than the cap raises, whether it is one line or many and however it arrives."""
    with pytest.raises(UpstreamTooLarge):
        feed_all(OVER_THE_CAP[name], size)


def test_the_cap_is_for_each_event() -> None:
    """A long stream of events under the cap is never refused, in one read or in many."""
    raw = (b"data: " + b"x" * 900 + b"\n\n") * 50
    assert len(EventParser(max_event_bytes=1000).feed(raw)) == 50
    parser = EventParser(max_event_bytes=1000)
    assert sum(len(parser.feed(raw[at : at + 7])) for at in range(0, len(raw), 7)) == 50


@pytest.mark.parametrize("line", [b"data: " + b"x" * 900_000, b"data: x\n" * 100_000], ids=["one line", "many lines"])
def test_work_is_linear_in_the_bytes(line: bytes) -> None:
    """A huge event that arrives two bytes at a time is read in a fraction of the minutes that copying it anew takes."""
    parser = EventParser()
    started_at = time.process_time()
    for at in range(0, len(line), 2):
        assert parser.feed(line[at : at + 2]) == []
    ((data, _),) = parser.feed(b"\n\n")
    assert time.process_time() - started_at < 15
    assert data.count(b"x") == line.count(b"x")
