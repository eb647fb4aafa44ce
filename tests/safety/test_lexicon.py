"""Swear words: whole words only, by severity, plain or disguised."""

import pytest

from tests.safety.classifier_kit import shipped
from tollhouse.safety.features import BLANK_TAIL, NO_WORD, features
from tollhouse.safety.lexicon import MILD, NONE, SEVERE, STRONG, read_lexicon, shipped_lexicon


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("what a damn mess", MILD),
        ("this is Bullshit!", STRONG),
        ("piss off", MILD),
        ("f*ck that", STRONG),
        ("Sh1t, d4mn 4nd cr4p", STRONG),
        ("f u c k  this", STRONG),
        ("you CUNT", SEVERE),
        ("damn this shit", STRONG),
    ],
)
def test_swear_words_are_found_with_their_level(text: str, level: int) -> None:
    """The worst word counts, however it is written."""
    assert shipped().read(text).profanity == level


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe and Penistone are towns",
        "the class assesses a classic bass passage",
        "a cockatoo, a peacock and a cocktail",
        "Dick Cheney shot a man; pass the Worcestershire sauce",
        "he shiitakes mushrooms, then analyses the arsenal",
        "turn it off and press on",
        "",
    ],
)
def test_clean_words_that_hold_others_are_clean(text: str) -> None:
    """Whole words are compared: Scunthorpe stays a town."""
    assert shipped().read(text).profanity == NONE


def test_a_list_is_read_by_lines() -> None:
    """Comments and other lines are nothing; the first level of a word stands; pairs are pairs."""
    lexicon = read_lexicon("# mild: no\nmild: drat two_parts\nsevere: drat blast\nnothing\n")
    worst = [
        lexicon.worst(features(BLANK_TAIL, text, NO_WORD)) for text in (b"drat ", b"two parts ", b"blast ", b"parts ")
    ]
    assert worst == [MILD, MILD, SEVERE, NONE]


def test_the_shipped_list_has_no_word_twice() -> None:
    """Every hash stands for one entry: some hundreds of them."""
    assert len(shipped_lexicon().levels) > 400
