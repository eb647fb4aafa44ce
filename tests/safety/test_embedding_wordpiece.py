"""`safety.embedding_wordpiece`: texts cut as BERT's uncased tokenizer cuts them."""

import time

import pytest

from tollhouse.safety.embedding_wordpiece import LONGEST_WORD, REMEMBERED, WordPieces

NAMES = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "un",
    "##aff",
    "##able",
    "hello",
    "world",
    ",",
    "!",
    "caf",
    "##e",
    "[",
    "]",
)
PIECES = WordPieces({name: number for number, name in enumerate((*NAMES, "sep", "日", "a", "##a", "'", "$", "2"))})


def named(text: str) -> list[str]:
    """The pieces of a text by name."""
    names = (*NAMES, "sep", "日", "a", "##a", "'", "$", "2")
    return [names[number] for number in PIECES.cut(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        (" \t\r\n\u00a0\u3000", []),
        ("unaffable", ["un", "##aff", "##able"]),
        ("UnAffABLE", ["un", "##aff", "##able"]),
        ("Hello, world!", ["hello", ",", "world", "!"]),
        ("hello\tworld\nhello", ["hello", "world", "hello"]),
        ("Café CAFE\u0301", ["caf", "##e", "caf", "##e"]),
        ("hel\u200blo wor\x00ld \ufffdhello", ["hello", "world", "hello"]),
        ("日日hello", ["日", "日", "hello"]),
        ("unhello", ["[UNK]"]),
        ("$2", ["$", "2"]),
        ("it's", ["[UNK]", "'", "[UNK]"]),
        ("\ue000hello\ud800", ["hello"]),
    ],
)
def test_texts_are_cut_by_the_rules(text: str, pieces: list[str]) -> None:
    """Case, accents and controls vanish, signs and ideographs stand alone, words fall into the longest pieces."""
    assert named(text) == pieces


def test_a_control_token_in_a_text_is_text() -> None:
    """Nobody ends a text early by writing the token that ends texts."""
    assert named("hello [SEP] world") == ["hello", "[", "sep", "]", "world"]


def test_a_word_longer_than_a_hundred_characters_is_one_unknown_piece() -> None:
    """The longest word is still cut; one character more and it is unknown."""
    assert named("a" * LONGEST_WORD) == ["a", *["##a"] * (LONGEST_WORD - 1)]
    assert named("a" * (LONGEST_WORD + 1)) == ["[UNK]"]


def test_a_vocabulary_without_control_tokens_is_refused() -> None:
    """A vocabulary that lacks the tokens that frame a text is no vocabulary."""
    with pytest.raises(KeyError):
        WordPieces({"hello": 0})


def test_what_is_remembered_of_characters_is_bounded() -> None:
    """A text with every character there is fills the memory only up to its bound, and is still cut."""
    pieces = WordPieces({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3})
    every = "".join(map(chr, range(0x30000)))
    assert pieces.cut(every + " a")[-1] == 3
    assert len(pieces._treatment) == REMEMBERED


def test_time_grows_with_the_text_and_not_faster() -> None:
    """Runs of accents, of signs and of words that never fit take at most linear time."""
    for unit in ("a\u0301", "!", "a" * 99 + "b ", "\u0315\u0300"):
        took = []
        for size in (20_000, 160_000):
            text = (unit * size)[:size]
            begin = time.process_time()
            PIECES.cut(text)
            took.append(time.process_time() - begin)
        assert took[1] < 8 * 4 * max(took[0], 0.002), unit
