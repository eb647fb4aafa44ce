"""The words of a value of JSON, and JSON inside a text."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.spoken_words import OPAQUE, Unescaper, joined_parts, unescaped, words_in

ODD = st.text('\\u00dD83eEnrt"/{}a ', max_size=40)


def test_words_are_read_in_their_order_but_for_silent_names() -> None:
    """Ids, types and addresses are no words; objects under such names may hold some."""
    value = {"type": "x", "a": ["one", {"id": "x", "b": "two"}], "file_id": "x", "url": {"c": "three"}, "d": ""}
    assert list(words_in(value)) == ["one", "two", "three"]
    assert list(words_in({name: {"a": "x"} for name in OPAQUE})) == []


def test_where_somebody_has_named_the_members_names_are_words() -> None:
    """Below arguments, schemas and variables, or where the caller says so."""
    value = {"input": {"id": "one", "two": [{"type": "three"}]}}
    assert list(words_in(value)) == ["id", "one", "two", "type", "three"]
    assert list(words_in({"url": "one"}, is_open=True)) == ["url", "one"]


def test_only_what_may_be_one_word_is_joined() -> None:
    """A blank on either side of every border is enough."""
    assert list(joined_parts(["a", "", "b"])) == ["a\nb", "ab"]
    assert list(joined_parts(["a ", "b", "\tc"])) == ["a \nb\n\tc"]
    assert list(joined_parts([""])) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (r'{"t":"hello\nthere"}', '{"t":"hello there"}'),
        (r"a\tb\rc\bd\fe", "a b c d e"),
        (r"\u007a\u0065bra", "zebra"),
        (r"say \"hi\" \/ \\ done", 'say "hi" / \\ done'),
        (r"C:\\new", r"C:\new"),
        (r"\ud835\udc1a", "\U0001d41a"),
        (r"\ud835 \udc1a \ud835\u0061", "     a"),
        (r"\\u0061", r"\u0061"),
        ("plain", "plain"),
        ("cut \\u00", "cut \\u00"),
        ("cut \\", "cut \\"),
    ],
)
def test_escapes_are_undone(text: str, said: str) -> None:
    """Breaks become blanks, letters letters; what was cut off stays."""
    assert unescaped(text) == said


@given(st.text(max_size=20), st.booleans())
def test_what_json_says_is_what_its_reader_reads(text: str, is_ascii: bool) -> None:
    """But for blanks, and halves of pairs."""
    blanks = str.maketrans("\n\t\r\b\f", "     ")
    read = unescaped(json.dumps(text, ensure_ascii=is_ascii))
    assert read.translate(blanks) == f'"{text}"'.translate(blanks)


@given(ODD, st.lists(st.integers(0, 40), max_size=12))
def test_however_json_is_cut_it_says_the_same(text: str, cuts: list[int]) -> None:
    """At most eleven characters are held back."""
    undone = Unescaper()
    said, at = "", 0
    for cut in [*sorted(cut for cut in cuts if cut < len(text)), len(text)]:
        said += undone.feed(text[at:cut])
        assert len(undone.rest) <= 11
        at = cut
    assert said + undone.rest == unescaped(text)


def test_odd_texts_are_undone_in_linear_time() -> None:
    """Nothing but backslashes, or beginnings of pairs."""
    began = time.perf_counter()
    for text in ("\\" * 1_000_001, r"\ud835" * 200_000, r"\u00" * 200_000, "\\u" * 500_000):
        assert unescaped(text)
    assert time.perf_counter() - began < 3


def test_deep_values_are_read_to_their_end() -> None:
    """No depth is a way around."""
    deep: Any = "end"
    for _ in range(50_000):
        deep = {"a": [deep]}
    assert list(words_in(deep)) == ["end"]
