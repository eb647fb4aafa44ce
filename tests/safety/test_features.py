"""Features: what is counted in a word, and between two."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.safety.naive import AROUND, counted, pair
from tollhouse.safety.features import BITS, NO_RUN, core_of, features

LETTERS = b"abcxyz09\x90\xff-.,*/'"
CORES = st.binary(max_size=64).map(lambda raw: core_of(bytes(LETTERS[each % len(LETTERS)] for each in raw)))
EACH: dict[bytes, tuple[list[int], int, int]] = {
    b"": ([], 0, 0),
    b"--": ([], 0, 0),
    b"i": ([118184], 13937, 49621),
    b"me": ([57414], 37570, 90316),
    b"cat": ([48601, 35966], 17320, 125953),
    b"kill": ([20844, 81903, 93287, 112630], 87657, 63409),
    b"don't": ([50962, 73903, 23534, 95015, 81948, 81552, 122612, 88820], 33241, 24168),
    b"\x90\xff": ([41769], 30568, 117887),
    b"xxxxxx": ([25458, 124792, 124792, 81598, 111856, 15978, 59308, 74082], 15978, 122575),
}


@pytest.mark.parametrize(("core", "buckets", "first", "last"), [(core, *found) for core, found in EACH.items()])
def test_a_word_has_the_numbers_it_always_had(core: bytes, buckets: list[int], first: int, last: int) -> None:
    """Weights are trained on these numbers: others would make nonsense of them."""
    found = features(core)
    assert sorted(found.buckets) == sorted(buckets)
    assert (found.first, found.last) == (first, last)


@given(st.lists(CORES, max_size=6))
def test_a_row_of_words_is_counted_as_the_plain_model_counts_it(cores: list[bytes]) -> None:
    """Each word by itself, and each with the one before it: the first with nothing."""
    found, before = [], NO_RUN
    for core in cores:
        buckets, _, first, last = features(core)
        found += [before ^ first, *buckets]
        before = last
    assert sorted(found) == sorted(counted(cores))
    assert all(0 <= bucket < 1 << BITS for bucket in found)


@given(st.integers(1, 64))
def test_a_run_has_a_bucket_for_every_five_letters_and_six_and_one_for_the_whole(size: int) -> None:
    """With a blank on both sides: three letters are the first to have a five."""
    assert len(features(b"x" * size).buckets) == max(size - 2, 0) + max(size - 3, 0) + 1


@given(CORES)
def test_the_same_word_has_the_same_numbers(core: bytes) -> None:
    """Asked twice."""
    assert features(core) == features(bytes(bytearray(core)))


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        (b"don't", [b"don", b"t"]),
        (b"stop-it,now", [b"stop", b"it", b"now"]),
        (b"3.5", [b"3", b"5"]),
        (b"f(x1)=a_b", [b"f", b"x1", b"a", b"b"]),
        (b"\x90\xe9\x80\x8f\xff", [b"\x90\xe9", b"\xff"]),
        (b"---\x00", []),
        (b"", []),
    ],
)
def test_runs_are_cut_at_everything_that_is_no_letter(text: bytes, runs: list[bytes]) -> None:
    """Signs and the bytes that stand for foreign signs end a run; foreign letters belong to it."""
    found = features(text)
    assert found.runs == runs
    assert found.first == (pair(None, runs[0]) if runs else NO_RUN)
    assert found.last == (pair(runs[-1], None) if runs else NO_RUN)


@pytest.mark.parametrize("core", [b"word", b"don't", b"a-b", b"\xe9", b"-", b"/x", b""])
def test_punctuation_around_a_word_is_not_counted(core: bytes) -> None:
    """Brackets, quotes and what ends a sentence, on either side and as much as there is."""
    for sign in AROUND:
        around = bytes([sign])
        assert core_of(around + core) == core_of(core + around * 3) == core_of(around * 2 + core + around) == core
    assert core_of(b'"(' + core + b'):,..."') == core


def test_the_order_of_two_runs_matters() -> None:
    """`man bites` is not `bites man`, nor is either the edge of the text."""
    man, bites = features(b"man"), features(b"bites")
    pairs = {man.last ^ bites.first, bites.last ^ man.first, NO_RUN ^ man.first, man.last ^ NO_RUN}
    assert len(pairs) == 4
    assert man.last ^ bites.first == pair(b"man", b"bites")
    assert set(features(b"man/bites").buckets) != set(features(b"bites/man").buckets)


def test_two_runs_in_a_word_are_counted_as_two_words_are() -> None:
    """A hyphen or a blank: both pairs share a bucket."""
    assert pair(b"well", b"known") in features(b"well-known").buckets
    assert pair(b"known", b"well") not in features(b"well-known").buckets


def test_different_words_differ() -> None:
    """A letter more at either end makes another word, however long it is."""
    words = [b"a", b"b", b"ab", b"ba", b"aab", b"kill", b"skill", b"kills", b"x" * 62, b"x" * 63, b"x" * 64]
    assert len({features(word).buckets[-1] for word in words}) == len(words)
    assert len({features(word)[2:] for word in words}) == len(words)


def test_buckets_spread_evenly() -> None:
    """Of 50,000 different words, and of 50,000 pairs of words, no bucket holds more than a handful."""
    words = [b"w%d" % number for number in range(50_000)]
    assert max(Counter(features(word).buckets[-1] for word in words).values()) <= 8
    firsts, lasts = zip(*(features(word)[2:] for word in words[:224]), strict=True)
    assert max(Counter(last ^ first for last in lasts for first in firsts).values()) <= 8
