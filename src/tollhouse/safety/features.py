"""What is counted in a text: letters of words in rows of five and six, runs of letters, and each two runs that
follow each other, all as numbers.

Called by `safety.vocabulary` for judging and by ``scripts/safety`` for training, so that both count the same things. A
word is what stands between blanks. The rule it keeps: what is counted in a word depends on that word alone, so that it
has to be found out only once; what is counted between two words, on one number of each.
"""

import re
from typing import Final, NamedTuple
from zlib import crc32

BITS: Final = 17
"""The number of buckets, as a power of two."""
LONGEST: Final = 64
"""Characters: what stands between blanks and is longer is cut into words of so many."""
NO_RUN: Final = 0
"""The edge before the first word of a text, and both edges of a word without letters."""
_RUN = re.compile(rb"[a-z0-9\x90-\xff]+")
_AROUND: Final = b".,;:\"()[]*'"
_GRAMS: Final = (5, 6)
_MASK: Final = (1 << BITS) - 1
_OF_RUN: Final = 0x9E3779B1
_OF_LAST: Final = 0x85EBCA6B
_TO_BUCKET: Final = 32 - BITS
_WHOLE: Final = 0xFFFFFFFF


class Features(NamedTuple):
    """What one word holds."""

    buckets: list[int]
    runs: list[bytes]
    """Its runs of letters and digits."""
    first: int
    """What is counted with the word before it: the bucket of both is this ^ the `last` of that."""
    last: int
    """What is counted with the word after it."""


def core_of(lower: bytes) -> bytes:
    """A word of folded, lower-case bytes without the punctuation around it: all that is counted of it."""
    return lower.strip(_AROUND)


def runs_of(core: bytes) -> list[bytes]:
    """The runs of letters and digits in a word."""
    runs: list[bytes] = _RUN.findall(core)
    return runs


def features(core: bytes) -> Features:
    """All that is counted in one word."""
    padded = b" " + core + b" "
    buckets = [
        crc32(padded[start : start + size]) & _MASK for size in _GRAMS for start in range(len(padded) - size + 1)
    ]
    runs = runs_of(core)
    first = last = NO_RUN
    for place, run in enumerate(runs):
        number = crc32(run)
        edge = number & _MASK
        if place:
            buckets.append(last ^ edge)
        else:
            first = edge
        last = (number * _OF_LAST & _WHOLE) >> _TO_BUCKET
        buckets.append((number * _OF_RUN & _WHOLE) >> _TO_BUCKET)
    return Features(buckets, runs, first, last)
