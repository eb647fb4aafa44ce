"""What is counted in a text: every five letters in a row, every word and every pair of words, each as a number.

Called by `safety.stream` for judging and by ``scripts/safety`` for training, so that both count the same things.

## Theory of operation

A few numpy calls find the features of a thousand letters; no Python runs per word. The trick is a view of the bytes as
overlapping 64-bit numbers, one from each byte on: five letters are the low 40 bits of one, and a word is the one
that holds its last eight letters, masked to its length, and that length. Multiplications mix each into a hash, whose
highest bits are its bucket.

The rule it keeps: a feature belongs to the byte in which it ends, and is known from that byte and the `TAIL` bytes
before it (and from the hash of the word before, for pairs). So a text may be counted in any pieces, with the same
result. A word ends in the byte after its last letter. A word longer than sixteen letters counts as one of sixteen: no
word, however long, needs more than the tail.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

TAIL = 16
"""How many bytes before a piece its features depend on."""
BITS = 17
"""The number of buckets, as a power of two."""
BLANK_TAIL = b" " * TAIL
NO_WORD = 0
"""The word before the first."""

_GRAM_LETTERS, _NUMBER = 5, 8
_DROP_HIGH = np.uint64(64 - 8 * _GRAM_LETTERS)
_TO_BUCKET = np.uint64(64 - BITS)
_HALF = np.uint64(32)
_GRAM, _ENDING, _LAST, _WORD, _PAIR_FIRST, _PAIR_SECOND = (
    np.uint64(odd)
    for odd in (
        *(0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB),
        *(0xD6E8FEB86659FD93, 0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53),
    )
)
_FIRST_AS_INT = int(_PAIR_FIRST)
_ALL_BITS = (1 << 64) - 1
_LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789") | frozenset(range(0x90, 0x100))
_IS_LETTER = bytes(code in _LETTERS for code in range(256))


def _last_bytes(count: int) -> int:
    return _ALL_BITS - (1 << (64 - 8 * count)) + 1


_MASKS = np.array([0, *(_last_bytes(min(length, _NUMBER)) for length in range(1, TAIL + 1))], np.uint64)
_OF_LENGTH = np.array([length * int(_ENDING) & _ALL_BITS for length in range(TAIL + 1)], np.uint64)

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


class Features(NamedTuple):
    """What one piece of lower-case bytes holds."""

    grams: Indices
    """The bucket of the five letters that end in each byte."""
    hashes: Hashes
    """In two rows: the 64-bit hash of each word that ends here, in order, and of each with the word before it."""
    buckets: Indices
    """The buckets of these, in two rows."""
    ends: Indices
    """The byte of the piece in which each word ends: rising."""
    last_word: int
    """What the next piece is to be told of the word before it."""


def features(tail: bytes, piece: bytes, word_before: int) -> Features:
    """All features of a piece of folded, lower-case bytes, given the `TAIL` bytes before it."""
    header = TAIL + 1
    size = header + len(piece)
    padded = b" " + tail + piece + b" " * _NUMBER
    grams = np.ndarray((len(piece),), "<u8", padded, header - _GRAM_LETTERS + 1, (1,)) << _DROP_HIGH
    grams *= _GRAM
    grams >>= _TO_BUCKET
    letters = np.frombuffer(padded.translate(_IS_LETTER), np.uint8, size)
    edges = (letters[1:] != letters[:-1]).nonzero()[0]
    edges += 1
    ends = edges[1::2]
    starts = edges[0 : 2 * len(ends) : 2]
    if len(ends) and ends[0] < header:
        earlier = int(ends.searchsorted(header))
        ends, starts = ends[earlier:], starts[earlier:]
    numbers = np.ndarray((size,), "<u8", padded, 0, (1,))
    lengths = np.minimum(ends - starts, TAIL)
    words = numbers[ends - _NUMBER] & _MASKS[lengths]
    words *= _LAST
    words += _OF_LENGTH[lengths]
    hashes = _mixed(words, word_before)
    buckets = (hashes >> _TO_BUCKET).view(np.int64)
    return Features(grams.view(np.int64), hashes, buckets, ends - header, int(words[-1]) if len(words) else word_before)


def _mixed(words: Hashes, word_before: int) -> Hashes:
    hashes = np.empty((2, len(words)), np.uint64)
    hashes[0] = words
    pairs = np.multiply(words, _PAIR_SECOND, out=hashes[1])
    pairs[1:] += words[:-1] * _PAIR_FIRST
    pairs[:1] += np.uint64(word_before * _FIRST_AS_INT & _ALL_BITS)
    hashes ^= hashes >> _HALF
    hashes *= _WORD
    return hashes
