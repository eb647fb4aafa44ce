"""Folding: what hides letters is undone, in any pieces, and nothing ever grows."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import texts
from tollhouse.safety.text import (
    BEYOND,
    BLANK,
    GONE,
    TABLE_SIZE,
    TAGS_AT,
    Folding,
    folding_table,
    seen,
    shipped_folding,
)

TABLE = folding_table()
fold = shipped_folding().of


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
        ("a\u3000b\u2003c\u00a0d\u2028e", "a b c d e"),
        ("\ufb01 \u212a \u3164x", "f K x"),
        ("a\ud800b\udfffc", "abc"),
        ("", ""),
        ("\u200b\u0301\ufe0f", ""),
    ],
)
def test_what_hides_letters_is_undone(hidden: str, plain: str) -> None:
    """Look-alikes, invisible characters, accents, tags and wide blanks become what a reader sees."""
    assert fold(hidden) == plain


def test_plain_ascii_is_itself() -> None:
    """Every character of it, and the very object: most texts cost nothing."""
    text = "".join(map(chr, range(0x80)))
    assert fold(text) is text


def test_the_table_says_what_unicode_says_of_plain_letters() -> None:
    """ASCII is itself, every combining mark and invisible format character is dropped, every blank is a blank."""
    assert len(TABLE) == TABLE_SIZE
    assert TABLE[0x20:0x7F] == bytes(range(0x20, 0x7F))
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
    assert fold("\U000dffff\U000e0200") == chr(TABLE[BEYOND]) * 2


def test_where_the_table_keeps_tags_there_are_none() -> None:
    """The characters that stand there in Unicode are unknown, each like the other, and no plain letters."""
    told = fold("\U0001fd41\U0001fd00\U0001fe00")
    assert len(told) == 3
    assert len(set(told)) == 1
    assert not told.isascii()


def test_what_is_not_seen_is_what_folds_to_nothing() -> None:
    """Every character by itself stays, goes if it folds to nothing, or is a tag and becomes what it stands for."""
    for code in (*range(0xD7FF), *range(0xE000, 0x30000), *range(0xDFFFE, 0xE0300)):
        character = chr(code)
        is_tag = 0xE0020 <= code <= 0xE007E
        assert seen(character) == (fold(character) if is_tag or not fold(character) else character), hex(code)


@pytest.mark.parametrize("text", ["", "plain \x00", "caf\u00e9 \U0001f600 \u65e5", "\U00030000\U0010ffff\x85"])
def test_a_text_in_which_all_is_seen_stays(text: str) -> None:
    """It is the very object that was given."""
    assert seen(text) is text


@settings(deadline=None)
@given(texts(20), st.data())
def test_each_character_is_seen_by_itself(text: str, data: st.DataObject) -> None:
    """Wherever a text is cut; and what is seen folds to what the text does, a byte for each character."""
    cut = data.draw(st.integers(0, len(text)))
    told = seen(text)
    assert seen(text[:cut]) + seen(text[cut:]) == told
    assert fold(told) == fold(text)
    assert len(told) == len(fold(text))


@settings(deadline=None)
@given(texts(20), st.data())
def test_each_character_is_folded_by_itself(text: str, data: st.DataObject) -> None:
    """Wherever a text is cut, it folds to the same; so does each character alone."""
    cut = data.draw(st.integers(0, len(text)))
    whole = fold(text)
    assert fold(text[:cut]) + fold(text[cut:]) == whole
    assert "".join(map(fold, text)) == whole


@settings(deadline=None)
@given(st.text())
def test_nothing_grows(text: str) -> None:
    """A character is one byte or none."""
    assert len(fold(text).encode("latin-1")) <= len(text)
    assert all(len(fold(each)) <= 1 for each in text)


def test_a_character_that_unicode_expands_to_eighteen_is_one_byte() -> None:
    """No text folds to more than its length, however deep its characters expand elsewhere."""
    assert len(fold("\ufdfa" * 1000)) == 1000


def test_a_folding_follows_its_table() -> None:
    """What is met once stays true: the second look says what the first one said."""
    table = bytearray(b"x" * TABLE_SIZE)
    table[0xE9], table[0xEA], table[TAGS_AT + 0x41] = ord("e"), GONE, ord("A")
    folding = Folding(bytes(table))
    for _ in range(2):
        assert folding.of("\u00e9\u00ea\u00eb\U000e0041\U00020000") == "exAx"


def test_what_is_known_of_characters_stays_small() -> None:
    """All of Unicode may be sent, a million rare characters of it: these are not remembered one by one."""
    folding = Folding(TABLE)
    for start in range(TABLE_SIZE, 0x110000, 0x1000):
        folding.of("".join(map(chr, range(start, start + 0x1000))))
    assert len(folding) <= TABLE_SIZE
