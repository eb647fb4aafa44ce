"""Tells whether an answer repeats protected texts or code, and whether it carries the header of a known licence.

`safety.lists` shows it the words of an answer. The index holds a number for every twelve words in a row (a shingle) of
the operator's texts, sorted; a bitmap in front of it answers for nearly all that is not there. What is in a text is
always found, for equal words have equal numbers; that something else is found has a chance of one in 2^64 for each pair
of shingles.

Words are numbered by Python's own hash of strings, which is keyed anew in each process: nobody can write a text whose
words collide. So an index is built when the process starts, and is never stored.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tollhouse.safety.blocklists import Index
from tollhouse.safety.licences import LICENCES
from tollhouse.safety.spelling import fold, words_of
from tollhouse.settings.safety_files import ProtectedFile, TermList

SHINGLE = 12
"""Words in a row."""
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
"""The odd number next to 2^64 over the golden ratio: multiplying by it loses nothing."""
_BITS_PER_SHINGLE = 16

Numbers = NDArray[np.uint64]


def licence_index() -> Index:
    """The phrases of every licence, as lists of which all terms are to be found."""
    rows = (TermList(str(place), licence.phrases, len(licence.phrases)) for place, licence in enumerate(LICENCES))
    return Index([("", row) for row in rows])


class Shingles:
    """The shingles of some texts. Immutable once it is made."""

    __slots__ = ("_bitmap", "_mask", "_numbers")

    def __init__(self, numbers: Iterable[Numbers]) -> None:
        parts = list(numbers)
        every = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
        bits = max(len(every) * _BITS_PER_SHINGLE, 64)
        size = 1 << (bits - 1).bit_length()
        self._numbers: Numbers = every
        self._mask = np.uint64(size - 1)
        self._bitmap = np.zeros(size >> 3, np.uint8)
        places = every & self._mask
        np.bitwise_or.at(self._bitmap, (places >> np.uint64(3)).astype(np.intp), _bit_of(places))

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, numbers: Numbers) -> int:
        """The place of the first of some shingles that is known, or -1."""
        if not len(numbers) or not len(self._numbers):
            return -1
        places = numbers & self._mask
        maybe = np.flatnonzero(self._bitmap[(places >> np.uint64(3)).astype(np.intp)] & _bit_of(places))
        if not len(maybe):
            return -1
        wanted = numbers[maybe]
        at = np.minimum(np.searchsorted(self._numbers, wanted), len(self._numbers) - 1)
        known = np.flatnonzero(self._numbers[at] == wanted)
        return int(maybe[known[0]]) if len(known) else -1


def shingles_of(words: Sequence[str]) -> Numbers:
    """The number of each `SHINGLE` words in a row; none of fewer words."""
    count = len(words) - SHINGLE + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    each = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    numbers = np.zeros(count, np.uint64)
    for place in range(SHINGLE):
        numbers = (numbers ^ each[place : place + count]) * _FACTOR
        numbers ^= numbers >> np.uint64(29)
    return numbers


def _bit_of(places: Numbers) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = np.left_shift(np.uint8(1), (places & np.uint64(7)).astype(np.uint8))
    return bits


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


def _shingles_in(path: Path) -> Numbers:
    """The shingles of a file; those of a file that is no text are of no use, and do no harm."""
    try:
        text = path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return shingles_of(())
    return shingles_of(words_of(fold(text)))
