"""Swear words: which of a text's words are any, and how bad. Called by `safety.stream`.

The list is ours, in `data/profanity.txt`: words of one or two parts under their severity. They are compared as whole
words by the hashes that `safety.features` makes anyway, so Scunthorpe stays a town.
"""

from importlib.resources import files

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tollhouse.safety.features import BITS, BLANK_TAIL, NO_WORD, Features, features

NONE, MILD, STRONG, SEVERE = range(4)
_LEVELS = {"mild": MILD, "strong": STRONG, "severe": SEVERE}


class Lexicon(Struct, frozen=True):
    """Words by hash."""

    may_be: NDArray[np.bool_]
    """Whether a bucket holds any: nearly every word is done with this look."""
    levels: dict[int, int]
    """By the hash of a word, or of a pair."""

    def worst(self, found: Features) -> int:
        """The level of the worst word of a piece; `NONE` where there is none."""
        likely = self.may_be[found.buckets]
        if not likely.any():
            return NONE
        return max(self.levels.get(number, NONE) for number in found.hashes[likely].tolist())


def read_lexicon(text: str) -> Lexicon:
    """The lexicon in a text: lines of ``level: word word ...``, with ``_`` between the parts of a pair."""
    levels: dict[int, int] = {}
    may_be = np.zeros(1 << BITS, np.bool_)
    for line in text.splitlines():
        level, colon, words = line.partition(":")
        if not colon or line.startswith("#"):
            continue
        for word in words.split():
            parts = word.split("_")
            found = features(BLANK_TAIL, " ".join(parts).encode() + b" ", NO_WORD)
            place = (len(parts) - 1, len(found.ends) - 1)
            levels.setdefault(int(found.hashes[place]), _LEVELS[level])
            may_be[found.buckets[place]] = True
    return Lexicon(may_be, levels)


def shipped_lexicon() -> Lexicon:
    """The lexicon that ships in the package."""
    return read_lexicon(files("tollhouse.safety").joinpath("data/profanity.txt").read_text("utf-8"))
