"""The estimate of tokens: near the truth for common text, exact at the edges, bounded in time and memory."""

import pytest

from tollhouse.dialects.tokens import Tally, estimate_tokens

PROSE = "The quick brown fox jumps over the lazy dog, and then it sleeps until the evening comes. "
CODE = "def add(a: int, b: int) -> int:\n    return a + b\n\n"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [(PROSE * 20, 380), (CODE * 20, 400), ('{"name": "Ada", "born": 1815, "ok": true}\n' * 20, 340)],
    ids=["prose", "code", "json"],
)
def test_common_text_is_near_the_truth(text: str, tokens: int) -> None:
    """English, Python and JSON are estimated within a quarter of what the o200k tokenizer counts."""
    assert tokens * 0.75 <= estimate_tokens(text) <= tokens * 1.25


def test_only_nothing_is_nothing() -> None:
    """An empty text has no tokens, any other at least one."""
    assert estimate_tokens("") == 0
    assert [estimate_tokens(text) for text in ("a", " ", "\x00", "\udc80")] == [1, 1, 1, 1]


def test_a_huge_text_is_sampled() -> None:
    """The estimate of 4 MiB, made from samples, is within 1 % of the sum of its parts."""
    piece = PROSE * 100
    times = 4 * 1024 * 1024 // len(piece)
    assert estimate_tokens(piece * times) == pytest.approx(estimate_tokens(piece) * times, rel=0.01)


def test_a_tally_agrees_with_the_whole() -> None:
    """A text counted word by word is estimated as the whole text is, within 2 %, and by any number of readings."""
    tally = Tally()
    words = [word + " " for word in (PROSE * 100).split()]
    for word in words:
        tally.add(word)
    assert tally.tokens() == pytest.approx(estimate_tokens("".join(words)), rel=0.02)
    assert tally.tokens() == tally.tokens()


def test_an_empty_tally_is_zero() -> None:
    """Nothing said, or only empty pieces, is zero tokens; anything else at least one."""
    tally = Tally()
    assert tally.tokens() == 0
    tally.add("")
    assert tally.tokens() == 0
    tally.add("\x00")
    assert tally.tokens() == 1
