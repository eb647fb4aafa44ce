"""What is known of words: the sum of all that is counted in each, worked out when it is met and kept while it is used.

Called by `safety.stream`. A word is what stands between blanks, and its core is what is left without the punctuation
around it and in lower case; both are kept. The rules: what is said of a word depends on the word alone, so nobody can
tell whether it was known; and no more than twice `MOST` words and as many cores are kept.
"""

from itertools import pairwise
from typing import Final

from tollhouse.safety.features import core_of, features, runs_of
from tollhouse.safety.lexicon import NONE, Lexicon
from tollhouse.safety.text import Folding
from tollhouse.safety.views import leet_marks, single_marks
from tollhouse.safety.weights import LEET, PAIR, SINGLE, SWEARING, Weights

MOST: Final = 16_384
"""Words that are met before those are forgotten that nobody used since."""
LONGEST_KEPT: Final = 23
"""Characters: longer words may be base64 (`safety.unwrap`), so each has to be looked at; only their cores are kept."""

Known = tuple[int, int, int]
"""The sum of the rows of a word, and what is counted with the word before it and with the word after it."""


class Vocabulary:
    """What is known of words, for one set of weights."""

    __slots__ = ("_cores", "_folding", "_lexicon", "_old_cores", "_old_words", "_rows", "_words", "pairs")

    def __init__(self, weights: Weights, lexicon: Lexicon, folding: Folding) -> None:
        self._rows: list[int] = weights.rows
        self._lexicon = lexicon
        self._folding = folding
        self._words: dict[str, Known] = {}
        self._old_words: dict[str, Known] = {}
        self._cores: dict[bytes, Known] = {}
        self._old_cores: dict[bytes, Known] = {}
        self.pairs: list[int] = weights.rows.copy()
        """The row of each two runs, marked where they may be a swear word of two parts."""
        for first, second in lexicon.pairs:
            self.pairs[features(first).last ^ features(second).first] |= PAIR

    def met(self, words: list[str]) -> list[Known] | None:
        """What is known of some words, where all were met lately."""
        try:
            return list(map(self._words.__getitem__, words))
        except KeyError:
            return None

    def known(self, words: list[str]) -> list[Known]:
        """What is known of some words."""
        return [self._words.get(word) or self._meet(word) for word in words]

    def known_cores(self, words: list[bytes]) -> list[Known]:
        """What is known of some words that are folded and in lower case."""
        return [self._cores.get(core) or self._meet_core(core) for core in map(core_of, words)]

    def folded(self, text: str) -> bytes:
        """A text in plain letters, one byte for each character that counts."""
        return self._folding.of(text).encode("latin-1")

    def level_of_pairs(self, words: list[bytes]) -> int:
        """The level of the worst swear word of two parts that stands across two words, folded and in lower case."""
        return self._level_of_pairs([run for word in words for run in runs_of(core_of(word)) or [b""]])

    def _level_of_pairs(self, runs: list[bytes]) -> int:
        levels = self._lexicon.pairs
        return max((levels.get(pair, NONE) for pair in pairwise(runs)), default=NONE)

    def _meet(self, word: str) -> Known:
        """A word that was not met lately."""
        known = self._old_words.pop(word, None)
        if known is None:
            core = core_of(self.folded(word).lower())
            known = self._cores.get(core) or self._meet_core(core)
        if len(word) <= LONGEST_KEPT:
            if len(self._words) >= MOST:
                self._old_words, self._words = self._words, {}
            self._words[word] = known
        return known

    def _meet_core(self, core: bytes) -> Known:
        """A word that was not met lately with any punctuation around it."""
        known = self._old_cores.pop(core, None) or self._count(core)
        if len(self._cores) >= MOST:
            self._old_cores, self._cores = self._cores, {}
        self._cores[core] = known
        return known

    def _count(self, core: bytes) -> Known:
        buckets, runs, first, last = features(core)
        rows, levels = self._rows, self._lexicon.words
        total = 0 if len(core) > 1 and core.isalpha() else self._marks(core, runs)
        for bucket in buckets:
            total += rows[bucket]
        for run in runs:
            if run in levels:
                total += SWEARING[levels[run]]
        return total, first, last

    def _marks(self, core: bytes, runs: list[bytes]) -> int:
        """What is conspicuous in a word that is not letters alone."""
        return LEET * leet_marks(core) + SINGLE * single_marks(core) + SWEARING[self._level_of_pairs(runs)]
