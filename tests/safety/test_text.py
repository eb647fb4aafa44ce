"""Folding: what hides letters is undone, in any pieces, and nothing ever grows."""

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import texts
from tollhouse.safety.text import BEYOND, BLANK, GONE, START, TABLE_SIZE, folded, folding_table, last_two

TABLE = folding_table()


def fold(text: str) -> str:
    """What a whole text becomes."""
    return folded(text, START, TABLE)[0].decode("latin-1")


@pytest.mark.parametrize(
    ("hidden", "plain"),
    [
        ("Hello, World 42!", "Hello, World 42!"),
        ("k\u200bi\u200dl\u2060l\ufeff", "kill"),
        ("\u043all \u0430\u0441\u0435\u043e\u0440\u0445", "kll aceopx"),
        ("\uff2b\uff49\uff4c\uff4c \uff11", "Kill 1"),
        ("\U0001d40a\U0001d422\U0001d425\U0001d425", "Kill"),
        ("ki\u0301l\u0302l\u0303 \u00e9\u00fc", "kill eu"),
        ("".join(chr(0xE0000 + ord(each)) for each in "hidden"), "hidden"),
        ("\U0001f170\U0001f1f7\u24d0", "ARa"),
        ("\u201cit\u2019s\u201d \u2014 ok\u2026", '"it\'s" - ok.'),
        ("a\tb\nc\x00d", "a b c d"),
        ("  \n\n lead and     gap   ", "lead and  gap  "),
        ("\ufb01 \u212a \u3164x", "f K x"),
    ],
)
def test_what_hides_letters_is_undone(hidden: str, plain: str) -> None:
    """Look-alikes, invisible characters, accents, tags and runs of blanks become what a reader sees."""
    assert fold(hidden) == plain


def test_the_table_says_what_unicode_says_of_plain_letters() -> None:
    """ASCII is itself, every combining mark and invisible format character is dropped, every blank is a blank."""
    assert len(TABLE) == TABLE_SIZE
    assert TABLE[0x20:0x7F].tolist() == list(range(0x20, 0x7F))
    for code in range(0x300, 0x2100):
        category = unicodedata.category(chr(code))
        if category in {"Mn", "Me", "Cf"}:
            assert TABLE[code] == GONE, hex(code)
        if category == "Zs":
            assert TABLE[code] == BLANK, hex(code)


def test_characters_beyond_the_table_are_letters_but_for_tags_and_selectors() -> None:
    """A rare ideograph is a letter of some word; a variation selector is nothing."""
    assert fold("\U00030000") == chr(TABLE[BEYOND])
    assert fold("a\U000e0100b\U0010ffff") == "ab" + chr(TABLE[BEYOND])


@settings(deadline=None)
@given(texts(20), st.data())
def test_pieces_fold_to_the_same_as_the_whole(text: str, data: st.DataObject) -> None:
    """Wherever a text is cut, the bytes and the places they come from are those of the whole."""
    cut = data.draw(st.integers(0, len(text)))
    whole, places = folded(text, START, TABLE)
    first, first_places = folded(text[:cut], START, TABLE)
    rest, rest_places = folded(text[cut:], last_two(START, first), TABLE)
    assert first + rest == whole
    expected = np.arange(len(text)) if places is None else places
    head = np.arange(cut) if first_places is None else first_places
    tail = np.arange(len(text) - cut) if rest_places is None else rest_places
    assert [*head, *(tail + cut)] == expected.tolist()


@settings(deadline=None)
@given(st.text())
def test_nothing_grows_and_every_place_is_its_own(text: str) -> None:
    """A character is one byte or none, in the order of the text."""
    piece, places = folded(text, START, TABLE)
    assert len(piece) <= len(text)
    if places is None:
        assert len(piece) == len(text)
    else:
        assert (np.diff(places) > 0).all()
        assert len(places) == len(piece)


def test_a_character_that_unicode_expands_to_eighteen_is_one_byte() -> None:
    """No text folds to more than its length, however deep its characters expand elsewhere."""
    assert len(fold("\ufdfa" * 1000)) == 1000
