"""The text of files that stand inside a request."""

import time
from base64 import b64encode, urlsafe_b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.spoken_files import is_text, text_in_base64, text_of_file, text_of_url

WORDS = "ÿÿÿ?>~ a zebrafish b!"
PLAIN = b64encode(WORDS.encode()).decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:text/plain;base64,{PLAIN}",
        f"DATA:TEXT/PLAIN;BASE64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"data:text/plain;base64,{PLAIN.rstrip('=')}",
        f"data:text/plain;base64,{PLAIN}==\n",
        f"data:text/plain;base64,{PLAIN[:12]}\n{PLAIN[12:]}",
        f"data:text/plain;base64,{urlsafe_b64encode(WORDS.encode()).decode()}",
        f"data:text/plain;base64,{PLAIN.replace('=', '%3D').replace('+', '%2B')}",
        f'data:text/plain;charset="utf-8";base64,{PLAIN}',
        f"data:text/markdown;charset=utf-8;base64,{PLAIN}",
        f"data:application/json;base64,{PLAIN}",
        f"data:application/vnd.api+json;base64,{PLAIN}",
        f"data:application/xml;base64,{PLAIN}",
        f"data:image/svg+xml;base64,{PLAIN}",
        "data:text/plain,%C3%BF%C3%BF%C3%BF?>~%20a%20zebrafish%20b!",
        "data:,ÿÿÿ?>~ a zebrafish b!",
        "data:text/plain;base64," + b64encode(WORDS.encode("utf-16")).decode(),
        "data:text/plain;base64," + b64encode(WORDS.encode("utf-16-le")).decode(),
        "data:text/plain;base64," + b64encode(WORDS.encode("utf-16-be")).decode(),
    ],
)
def test_text_is_read_however_it_is_written(url: str) -> None:
    """In either alphabet, padded or not, percent-encoded, in any of the usual encodings."""
    assert text_of_file(url) == WORDS
    assert text_of_url(url) == WORDS


@pytest.mark.parametrize("mime", ["image/png", "audio/wav", "application/pdf", "application/octet-stream", "video/x"])
def test_what_is_no_text_is_not_read(mime: str) -> None:
    """Images, sound and PDF say nothing here."""
    assert not is_text(mime)
    assert text_of_file(f"data:{mime};base64,{PLAIN}") == ""


def test_base64_alone_is_read_where_it_begins_like_text() -> None:
    """Hosts exist that take a file without the head of a data URL."""
    assert text_of_file(PLAIN) == WORDS
    assert text_of_file(b64encode(b"%PDF-1.7\nabc").decode()) == ""
    assert text_of_file(b64encode(b"\x89PNG\r\n\x1a\n" + bytes(99)).decode()) == ""
    assert text_of_file("") == ""


def test_what_is_no_data_url_is_told_apart() -> None:
    """A text may begin with the same letters."""
    assert text_of_url("data: these are the figures") is None
    assert text_of_url("https://example.com/a,b") is None


def test_a_letter_that_says_nothing_is_left_out() -> None:
    """Base64 that was cut off is read as far as it goes."""
    assert text_in_base64("YWJjZ") == "abc"
    assert text_in_base64("Y") == ""


@given(st.text() | st.binary().map(lambda data: b64encode(data).decode()), st.sampled_from(["", "data:text/plain,"]))
def test_no_data_raises(data: str, head: str) -> None:
    """What a client calls a file may be anything."""
    for text in (f"{head}{data}", f"data:text/plain;base64,{data}"):
        assert isinstance(text_of_file(text), str)


def test_long_files_are_read_in_linear_time() -> None:
    """Ten million letters, and heads that never end."""
    began = time.perf_counter()
    assert len(text_of_file("data:text/plain;base64," + "YWJj" * 2_500_000)) == 7_500_000
    assert text_of_url("data:" + ";a=b" * 1_000_000) is None
    assert text_of_file("data:image/png;base64," + "A" * 10_000_000) == ""
    assert time.perf_counter() - began < 2
