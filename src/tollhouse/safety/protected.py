"""Tells whether an answer repeats protected texts or code, and whether it carries the header of a known licence.

`safety.lists` shows it the words of an answer. The index holds a number for every twelve words in a row (a shingle) of
the operator's texts, sorted, in 8 bytes; a bitmap in front of it answers for nearly all that is not there. What is in a
text is always found, for equal words have equal numbers; that something else is found has a chance of one in 2^64 for
each pair of shingles.

Words are numbered by Python's own hash of strings, which is keyed anew in each process: nobody can write a text whose
words collide. So an index is built when the process starts, and is never stored.
"""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain, groupby, islice
from operator import itemgetter
from pathlib import Path

from msgspec import Struct

from tollhouse.safety.blocklists import Index
from tollhouse.safety.licences import LICENCES
from tollhouse.safety.spelling import fold, words_of
from tollhouse.settings.safety_files import ProtectedFile, TermList

SHINGLE = 12
"""Words in a row."""
_BITS_PER_SHINGLE = 16
_HASH_BITS = sys.hash_info.width


def licence_index() -> Index:
    """The phrases of every licence, as lists of which all terms are to be found."""
    rows = (TermList(str(place), licence.phrases, len(licence.phrases)) for place, licence in enumerate(LICENCES))
    return Index([("", row) for row in rows])


class Shingles:
    """The shingles of some texts. Immutable once it is made."""

    __slots__ = ("_bitmap", "_numbers", "_shift")

    def __init__(self, numbers: Iterable[Iterable[int]]) -> None:
        every = sorted(chain.from_iterable(numbers))
        self._numbers = array("q", map(itemgetter(0), groupby(every)))
        bits = max(len(every) * _BITS_PER_SHINGLE, 64)
        size = 1 << (bits - 1).bit_length() >> 3
        self._bitmap = bytearray(size)
        self._shift = _HASH_BITS + 1 - size.bit_length()
        for number in every:
            self._bitmap[number >> self._shift] |= 1 << (number & 7)

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, numbers: Sequence[int]) -> int:
        """The place of the first of some shingles that is known, or -1."""
        if not self._numbers:
            return -1
        # The high bits of a number choose a byte: half of the numbers are negative, and count from the end.
        bitmap, shift = self._bitmap, self._shift
        for number in [one for one in numbers if bitmap[one >> shift] >> (one & 7) & 1]:
            if self._has(number):
                return numbers.index(number)
        return -1

    def _has(self, number: int) -> bool:
        at = bisect_left(self._numbers, number)
        return at < len(self._numbers) and self._numbers[at] == number


def shingles_of(words: Sequence[str]) -> list[int]:
    """The number of each `SHINGLE` words in a row; none of fewer words."""
    return list(map(hash, zip(*(islice(words, first, None) for first in range(SHINGLE)), strict=False)))


class Protected(Struct, frozen=True):
    """What answers must not repeat."""

    files: tuple[ProtectedFile, ...] = ()
    text: Shingles = Shingles(())
    code: Shingles = Shingles(())


def read_protected(files: tuple[ProtectedFile, ...], previous: Protected | None = None) -> Protected:
    """The index of some files, or the previous one where none has changed. A file that is gone by now is left out."""
    if previous is not None and previous.files == files:
        return previous
    return Protected(
        files,
        Shingles(_shingles_in(file.path) for file in files if not file.is_code),
        Shingles(_shingles_in(file.path) for file in files if file.is_code),
    )


def _shingles_in(path: Path) -> list[int]:
    """The shingles of a file; those of a file that is no text are of no use, and do no harm."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return []
    return shingles_of(words_of(fold(text)))
