"""Swear words: whole words only, by severity, plain or disguised."""

from importlib.resources import files

import pytest

from tests.safety.classifier_kit import random_classifier
from tests.safety.naive import runs_of
from tollhouse.safety.lexicon import MILD, NONE, SEVERE, STRONG, read_lexicon, shipped_lexicon
from tollhouse.safety.weights import BLOCK


def profanity(text: str) -> int:
    """The worst swear word of a text: no weight has a say in it."""
    return random_classifier().read(text).profanity


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("what a damn mess", MILD),
        ("this is Bullshit!", STRONG),
        ("piss off", MILD),
        ("sod off", MILD),
        ("Sod, off!", MILD),
        ("sod-off", MILD),
        ("f*ck that", STRONG),
        ("Sh1t, d4mn 4nd cr4p", STRONG),
        ("f u c k  this", STRONG),
        ("f.u.c.k this", STRONG),
        ("you CUNT", SEVERE),
        ("damn this shit", STRONG),
        ("\uff44\uff41\uff4d\uff4e", MILD),
        ("c\u200bu\u200bn\u200bt", SEVERE),
    ],
)
def test_swear_words_are_found_with_their_level(text: str, level: int) -> None:
    """The worst word counts, however it is written."""
    assert profanity(text) == level
    assert profanity("word " * 4 * BLOCK + text + " word" * 9 * BLOCK) == level


@pytest.mark.parametrize("pair", ["sod off", "s0d 0ff, m4te", "s.o.d  o.f.f"])
def test_a_pair_does_not_make_others_of_words_that_are_none(pair: str) -> None:
    """What stands apart stays apart, whatever else stands in the text."""
    assert profanity("carpet - muncher") == NONE
    assert profanity(f"{pair} and carpet - muncher") == MILD


@pytest.mark.parametrize("before", [BLOCK - 2, BLOCK - 1, BLOCK, 9 * BLOCK - 1])
def test_a_pair_is_found_wherever_a_block_ends(before: int) -> None:
    """Also with one part in a block and the other in the next."""
    assert profanity("word " * before + "sod off" + " word" * BLOCK) == MILD


@pytest.mark.parametrize("before", range(BLOCK - 4, BLOCK + 1))
@pytest.mark.parametrize("text", ["f u c k", "f.u.c.k", "sh1t sh1t"])
def test_a_disguised_word_is_found_wherever_a_block_ends(text: str, before: int) -> None:
    """Also one of which a block has but a part."""
    assert profanity("word " * before + text + " word" * BLOCK) == STRONG


@pytest.mark.parametrize(
    ("text", "level"),
    [("5cr3w y0u n0w", MILD), ("s c r e w  y o u", MILD), ("s0d 0ff m4t3 n0w", MILD), ("s.c.r.e.w  y.o.u", MILD)],
)
def test_a_pair_is_found_disguised(text: str, level: int) -> None:
    """A swear word of two parts is one in every view."""
    assert profanity(text) == level


@pytest.mark.parametrize(
    "text",
    [
        "Scunthorpe and Penistone are towns",
        "the class assesses a classic bass passage",
        "a cockatoo, a peacock and a cocktail",
        "Dick Cheney shot a man; pass the Worcestershire sauce",
        "he shiitakes mushrooms, then analyses the arsenal",
        "turn it off and press on",
        "off we go, sod the lawn",
        "sod - off",
        "",
    ],
)
def test_clean_words_that_hold_others_are_clean(text: str) -> None:
    """Whole words are compared: Scunthorpe stays a town."""
    assert profanity(text) == NONE


def test_a_list_is_read_by_lines() -> None:
    """Comments and other lines are nothing; the first level of a word stands; pairs are pairs."""
    lexicon = read_lexicon("# mild: no\nmild: drat two_parts\nsevere: drat blast two_parts\nnothing\nstrong:\n")
    assert lexicon.words == {b"drat": MILD, b"blast": SEVERE}
    assert lexicon.pairs == {(b"two", b"parts"): MILD}


def test_the_shipped_list_has_no_word_twice() -> None:
    """Each of some hundreds is one run of letters, or two."""
    text = files("tollhouse.safety").joinpath("data/profanity.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if ":" in line and not line.startswith("#")]
    listed = [word for line in lines for word in line.partition(":")[2].split()]
    lexicon = shipped_lexicon()
    assert len(listed) == len(set(listed)) == len(lexicon.words) + len(lexicon.pairs) > 400
    for run in (*lexicon.words, *(part for pair in lexicon.pairs for part in pair)):
        assert runs_of(run) == [run]
