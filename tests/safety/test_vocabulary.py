"""What is known of words: the same whether a word was met or not, and never more than so much of it."""

from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Barrier

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import PARTS, random_planes, random_weights, vocabulary_of
from tests.safety.naive import counted, lower, pair, runs_of
from tollhouse.safety.features import LONGEST
from tollhouse.safety.lexicon import MILD, NONE, SEVERE, STRONG, Lexicon, shipped_lexicon
from tollhouse.safety.text import shipped_folding
from tollhouse.safety.vocabulary import LONGEST_KEPT, MOST, Vocabulary
from tollhouse.safety.weights import LEET, OFFSET, PAIR, SINGLE, lanes, marks

VOCABULARY = vocabulary_of(random_weights())
WORDS = st.one_of(
    st.sampled_from([part for text in PARTS for part in text.split()]),
    st.text(st.characters(blacklist_categories=["Zs", "Zl", "Zp", "Cc"]), min_size=1, max_size=LONGEST),
    st.text("ab1!.i\u00e9\u65e5", min_size=1, max_size=12),
)


class CountingDict(dict[bytes, int]):
    """Swear words that note which runs were looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def __contains__(self, key: object) -> bool:
        assert isinstance(key, bytes)
        self.asked.append(key)
        return False


def others(count: int, start: int = 0) -> list[str]:
    """Words that stand nowhere else."""
    return [f"other{number}" for number in range(start, start + count)]


@settings(deadline=None)
@given(WORDS)
def test_a_word_is_the_sum_of_what_is_counted_in_it(word: str) -> None:
    """As the plain model counts it, but for the pair that it makes with the word before; and its two edges."""
    ((total, first, last),) = VOCABULARY.known([word])
    runs = runs_of(lower(word))
    buckets = counted([lower(word)])
    buckets.remove(pair(None, runs[0] if runs else None))
    sums = [sum(plane[bucket] + OFFSET for bucket in buckets) for plane in random_planes()]
    assert lanes(total) == (*sums, len(buckets))
    assert first == (pair(None, runs[0]) if runs else 0)
    assert last == (pair(runs[-1], None) if runs else 0)


@pytest.mark.parametrize(
    ("word", "leet", "singles", "swearing"),
    [
        ("kill", 0, 0, (0, 0, 0)),
        ("k1ll", 1, 0, (0, 0, 0)),
        ("k1l1l,", 1, 3, (0, 0, 0)),
        ("(k)", 0, 1, (0, 0, 0)),
        ("I", 0, 0, (0, 0, 0)),
        ("k.i.l.l", 0, 3, (0, 0, 0)),
        ("Damn!", 0, 0, (1, 0, 0)),
        ("shit,shit", 0, 0, (0, 2, 0)),
        ("SOD/OFF", 0, 0, (1, 0, 0)),
        ("s\u200bhit", 0, 0, (0, 1, 0)),
        ("Scunthorpe", 0, 0, (0, 0, 0)),
    ],
)
def test_a_word_is_marked_for_what_is_conspicuous(
    word: str, leet: int, singles: int, swearing: tuple[int, ...]
) -> None:
    """Digits among letters, letters that stand alone, swear words of one and of two parts."""
    ((total, _, _),) = VOCABULARY.known([word])
    assert marks(total) == (leet, singles, *swearing, 0)
    assert (total >= LEET) == bool(leet or singles or any(swearing))
    assert SINGLE > LEET


@settings(deadline=None, max_examples=50)
@given(st.lists(WORDS, max_size=20))
def test_what_was_met_is_known_without_a_look(words: list[str]) -> None:
    """`met` says nothing until each word was met, and then the same as `known`; long words are never met."""
    vocabulary = vocabulary_of(random_weights())
    assert vocabulary.met(words) is None or not words
    known = vocabulary.known(words)
    assert known == vocabulary.known(words) == vocabulary_of(random_weights()).known(words)
    expected = known if all(len(word) <= LONGEST_KEPT for word in words) else None
    assert vocabulary.met(words) == expected


def test_what_was_forgotten_is_worked_out_again() -> None:
    """After twice `MOST` other words a word is as new, and the same."""
    vocabulary = vocabulary_of(random_weights())
    words = ["killer", "sod-off", "k1ll", "\u65e5\u672c", "...", "I"]
    before = vocabulary.known(words)
    assert vocabulary.met(words) == before
    vocabulary.known(others(2 * MOST + 1))
    assert vocabulary.met(words) is None
    assert vocabulary.known(words) == before
    assert vocabulary.met(words) == before


@pytest.mark.interpreted
def test_each_word_is_counted_once_while_it_is_used() -> None:
    """However it is written and whatever signs stand around it; what is in use outlives what nobody uses."""
    asked = CountingDict()
    vocabulary = Vocabulary(random_weights(), Lexicon(asked, {}), shipped_folding())
    for word in ("killer", "Killer,", "(KILLER)", "k\u200biller", "*killer*...", "killer"):
        vocabulary.known([word])
    assert asked.asked == [b"killer"]
    for start in range(0, 4 * MOST, MOST // 2):
        vocabulary.known([*others(MOST // 2, start), "killer"])
    assert asked.asked.count(b"killer") == 1


@pytest.mark.interpreted
def test_no_more_is_kept_than_twice_the_most() -> None:
    """Words and cores each, whatever was met; of what is long, only cores."""
    vocabulary = vocabulary_of(random_weights())
    for start in range(0, 5 * MOST, MOST // 2):
        vocabulary.known([f"{word}.{word[::-1]}" for word in others(MOST // 2, start)])
        for kept in ("words", "cores"):
            sizes = [len(getattr(vocabulary, f"_{kept}")), len(getattr(vocabulary, f"_old_{kept}"))]
            assert max(sizes) <= MOST
    vocabulary = vocabulary_of(random_weights())
    vocabulary.known(["y" * (LONGEST_KEPT + 1), "-" * (LONGEST_KEPT + 1), "z" * LONGEST])
    assert vocabulary._words == {}
    assert all(len(core) <= LONGEST for core in vocabulary._cores)


def test_two_threads_at_once_are_told_the_same() -> None:
    """Each is told what a vocabulary says that nobody else uses, while words are forgotten under their hands."""
    words = [*others(MOST + MOST // 2), *(f"{word}!" for word in others(MOST))]
    expected = dict(zip(words, vocabulary_of(random_weights()).known(words), strict=True))
    vocabulary, barrier = vocabulary_of(random_weights()), Barrier(2)

    def told(seed: int) -> bool:
        chance = Random(seed)  # noqa: S311 - chance for tests
        barrier.wait()
        for _ in range(400):
            some = chance.choices(words, k=60)
            right = [expected[word] for word in some]
            if vocabulary.known(some) != right or vocabulary.met(some) not in (None, right):
                return False
        return True

    with ThreadPoolExecutor(2) as threads:
        assert all(threads.map(told, (1, 2)))


def test_only_pairs_that_may_swear_are_marked() -> None:
    """As many rows as there are pairs, or a few less where two share a bucket; all others are as trained."""
    pairs, rows = VOCABULARY.pairs, random_weights().rows
    marked = {place for place, row in enumerate(rows) if pairs[place] != row}
    assert marked == {pair(first, second) for first, second in shipped_lexicon().pairs}
    assert all(pairs[place] == rows[place] + PAIR for place in marked)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("sod off", MILD),
        ("off sod", NONE),
        ("SOD, (off)", MILD),
        ("s\u043ed off", MILD),
        ("sod", NONE),
        ("", NONE),
        ("damn", NONE),
        ("suck my dick sod off", STRONG),
    ],
)
def test_a_pair_is_looked_up_as_it_is_folded(text: str, level: int) -> None:
    """Two runs in a row, whatever signs stand between them; words of one part are no pair."""
    assert VOCABULARY.level_of_pairs(VOCABULARY.folded(text).lower().split()) == level
    assert level < SEVERE
