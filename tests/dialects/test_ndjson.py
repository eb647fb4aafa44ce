"""Lines of JSON: the same however the stream is cut, none over the cap, in linear time."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.ndjson import LineParser
from tollhouse.errors import UpstreamTooLarge

WORDS = st.sampled_from([b"\n", b"\r\n", b" ", b"{}", b'{"a":1}', b"\xe6\xbc\xa2", b"x" * 9, b"\x00"])


def read(pieces: list[bytes], cap: int = 1 << 20) -> tuple[list[bytes], bytes | None]:
    """The lines of a stream and its last one; None for that where the stream was refused."""
    parser = LineParser(cap)
    lines: list[bytes] = []
    try:
        for piece in pieces:
            lines += parser.feed(piece)
        return lines, parser.finish()
    except UpstreamTooLarge:
        return lines, None


def test_lines_are_given_out_when_they_end() -> None:
    """A line is held until its end; blank ones say nothing; what no line feed ended is the last."""
    parser = LineParser()
    assert parser.feed(b'{"a":') == []
    assert parser.feed(b'1}\n\n \r\n{"b"') == [b'{"a":1}']
    assert parser.feed(b":2}") == []
    assert parser.finish() == b'{"b":2}'
    assert parser.finish() == b""


@given(
    st.lists(WORDS, max_size=20).map(b"".join), st.lists(st.integers(0, 80), max_size=6), st.sampled_from([12, 1000])
)
def test_where_reads_are_cut_changes_nothing(stream: bytes, cuts: list[int], cap: int) -> None:
    """Whole, byte by byte and cut anywhere, the lines are the same, and so is the refusal of one over the cap."""
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    whole = read([stream], cap)
    assert read([stream[at : at + 1] for at in range(len(stream))], cap) == whole
    assert read(pieces, cap) == whole
    if cap == 1000:
        wanted = [line for line in stream.split(b"\n") if line.strip()]
        lines, last = whole
        assert [line.strip() for line in [*lines, last or b""] if line.strip()] == [line.strip() for line in wanted]


@pytest.mark.parametrize("pieces", [[b"x" * 11 + b"\n"], [b"x" * 6, b"x" * 5], [b"x" * 11], [b"x" * 6, b"xxxxx\n"]])
def test_a_line_over_the_cap_is_refused(pieces: list[bytes]) -> None:
    """However it arrives."""
    assert read([b"ok\n", *pieces], 10) == ([b"ok"], None)
    assert read([b"ok\n" + b"".join(pieces)], 10) == ([b"ok"], None)
    assert read([b"x" * 10 + b"\n"], 10) == ([b"x" * 10], b"")


def test_a_long_line_in_single_bytes_takes_linear_time() -> None:
    """A line of a mebibyte, byte by byte, ends within the time that any test has; copied each time, it would not."""
    parser = LineParser(1 << 21)
    for _ in range(1 << 20):
        assert not parser.feed(b"x")
    assert len(parser.feed(b"\n")[0]) == 1 << 20
