"""How a streamed answer begins, and a body that is no stream."""

import pytest

from tollhouse.dialects.whole_body import WholeBody, is_events
from tollhouse.errors import UpstreamBadResponse, UpstreamTooLarge


@pytest.mark.parametrize(
    ("data", "events"),
    [(b"", None), (b" \r\n\xef\xbb\xbf", None), (b"data: x", True), (b"\n: ping", True), (b"\xef\xbb\xbf {", False)],
)
def test_the_first_byte_tells(data: bytes, events: bool | None) -> None:
    """Blanks and a byte order mark tell nothing."""
    assert is_events(data) is events


def test_what_is_neither_is_refused() -> None:
    """HTML is; an array is where it is not said to be one."""
    assert is_events(b"[1]", (b"{", b"[")) is False
    for data in (b"<html>", b"[1]"):
        with pytest.raises(UpstreamBadResponse):
            is_events(data)


def test_a_body_is_gathered_up_to_its_bound() -> None:
    """One byte more is too large."""
    body = WholeBody(4)
    body.add(b"ab")
    body.add(b"cd")
    assert body.join() == b"abcd"
    with pytest.raises(UpstreamTooLarge):
        body.add(b"e")
