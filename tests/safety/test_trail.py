"""The trail: every word is found where it stands in the text, however that came."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import texts
from tests.safety.naive import placed, seen, standing
from tollhouse.safety.features import LONGEST
from tollhouse.safety.trail import WORD, Origins, Placed, Trail

CUTS = st.lists(st.integers(0, 4000), max_size=8)


def laid(text: str, cuts: list[int]) -> Trail:
    """The trail of a text that comes in pieces: of each but the last, its open word waits for the next."""
    trail, waiting, begun, text = Trail(), "", 0, seen(text)
    for end in sorted({*(cut for cut in cuts if cut < len(text)), len(text)}):
        piece = waiting + text[begun:end]
        words = standing(piece)
        is_open = end < len(text) and bool(words) and not piece[-1].isspace()
        start = begun - len(waiting)
        waiting = piece[words[-1][1] :] if is_open else ""
        trail.add(start, piece, [word for word, _ in words[: len(words) - is_open]])
        begun = end
    return trail


def check(trail: Trail, expected: Placed, end: int) -> None:
    """Any of its words are those of the text, and so are their places."""
    count = len(expected)
    assert (trail.count, trail.end) == (count, end)
    for first, last in ((0, count), (0, 1), (count // 2, count), (count // 3, count // 2), (max(count - 1, 0), count)):
        assert trail.placed(first, last) == expected[first:last]
        assert trail.words(first, last) == [word for word, _ in expected[first:last]]
    for number in {0, 1, count // 3, count // 2, count - 1, count, count + 9} - {-1}:
        assert trail.start_of(number) == (expected[number][1] if number < count else end)


@settings(deadline=None)
@given(texts(), CUTS)
def test_words_are_found_where_they_stand(text: str, cuts: list[int]) -> None:
    """In text fed in any pieces, of any words, long ones and those that span pieces among them."""
    check(laid(text, cuts), standing(text), len(seen(text)))


@pytest.mark.parametrize(
    "text",
    [
        "one two  three\n\nfour",
        "x" * (2 * LONGEST + 5) + " and " + "y" * LONGEST,
        "  \u3000 a\u2028b\x1cc \u00a0",
        ("\u200b" * 70).join("abc") + "\u0301" * 9 + "d \u200b\u200b ef\u200b \U000e0041\U000e0020g",
        "z\u200b" * (LONGEST + 2) + "\u200b" * 70,
        "caf\u00e9 \U0001f600\U0001f600 \u200b\u200b e\u0301",
        " " * 90,
        "",
    ],
    ids=["words", "long", "blanks", "hidden", "long-hidden", "wide", "blank", "empty"],
)
def test_a_cut_anywhere_changes_nothing(text: str) -> None:
    """Every place, and every two neighbouring places."""
    for cut in range(len(text) + 1):
        check(laid(text, [cut]), standing(text), len(seen(text)))
        check(laid(text, [cut, cut + 1, cut + 3]), standing(text), len(seen(text)))


def test_a_word_longer_than_the_longest_is_cut() -> None:
    """At the same places whatever came when: each part stands where the one before ends."""
    text = "go " + "z" * (LONGEST * 2 + 1)
    assert laid(text, [40, 90]).placed(0, 9) == [
        ("go", 0),
        ("z" * LONGEST, 3),
        ("z" * LONGEST, 3 + LONGEST),
        ("z", 3 + 2 * LONGEST),
    ]


def test_a_word_is_what_stands_between_blanks() -> None:
    """Or 64 characters of it: the pattern that training splits with says what the plain model says."""
    text = "one " + "z" * (LONGEST * 2 + 1) + "\u3000two\x1cthree-four\n"
    assert WORD.findall(text) == [word for word, _ in standing(text)]


def test_words_that_are_not_there_are_not_found() -> None:
    """Beyond the last, and of no text at all."""
    nothing = Trail()
    assert (nothing.words(0, 24), nothing.placed(0, 24), nothing.start_of(0)) == ([], [], 0)
    trail = laid("one two ", [])
    assert trail.words(2, 24) == []
    assert trail.placed(1, 24) == [("two", 4)]
    assert trail.words(1, 1) == []
    assert trail.start_of(2) == 8


def test_a_copy_goes_its_own_way() -> None:
    """What a twin is given, the first never saw."""
    trail = laid("one two ", [])
    twin = trail.twin()
    twin.add(8, "three ", ["three"])
    trail.add(8, "four five ", ["four", "five"])
    assert twin.placed(0, 9) == [("one", 0), ("two", 4), ("three", 8)]
    assert trail.placed(0, 9) == [("one", 0), ("two", 4), ("four", 8), ("five", 13)]
    assert (twin.count, twin.end, trail.count, trail.end) == (3, 14, 4, 18)


@settings(deadline=None)
@given(texts(), CUTS, st.lists(st.integers(0, 80), max_size=4))
def test_words_that_are_forgotten_still_have_their_place(text: str, cuts: list[int], numbers: list[int]) -> None:
    """Only the words go, in any steps, never those behind them; a word that was forgotten stays so."""
    trail, expected = laid(text, cuts), standing(text)
    gone = 0
    for number in numbers:
        trail.forget(min(number, len(expected)))
        gone = max(gone, min(number, len(expected)))
        assert trail.words(0, len(expected)) == [word for word, _ in expected[gone:]]
        assert trail.words(gone, gone + 3) == [word for word, _ in expected[gone : gone + 3]]
        assert trail.placed(0, len(expected)) == expected
        assert trail.start_of(0) == (expected[0][1] if expected else len(seen(text)))
    trail.add(len(seen(text)), " more ", ["more"])
    assert trail.words(len(expected), len(expected) + 1) == ["more"]
    assert trail.twin().words(gone, len(expected) + 1) == [*(word for word, _ in expected[gone:]), "more"]


@settings(deadline=None)
@given(texts(), CUTS)
def test_what_is_seen_is_found_where_it_stands_in_the_text(text: str, cuts: list[int]) -> None:
    """However the text came, and whatever of it is not seen; behind the last is the end of the text."""
    origins, begun = Origins(), 0
    for end in sorted({*(cut for cut in cuts if cut < len(text)), len(text)}):
        origins.add(text[begun:end], seen(text[begun:end]))
        begun = end
    kept = [place for place, each in enumerate(text) if seen(each)]
    assert [origins.place(number) for number in range(len(kept))] == kept
    assert origins.twin().place(len(kept)) == len(text)
    assert [word for word, _ in placed(text)] == [word for word, _ in standing(text)]
