"""Other ways to read a block: with digits as the letters they look like, or without the gaps between single letters.

Called by `safety.stream`. Each view is taken only of blocks in which a cheap look says that somebody writes so; all
looks are at most `REACH` bytes back from the block and none beyond its end, so they do not depend on how a text came.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

REACH = 40
"""How far before a block a look goes."""
_STANDS_FOR_LETTERS = b"0134578@$!|+"
_LEET = bytes.maketrans(_STANDS_FOR_LETTERS, b"oieastbasilt")
_FIRST_FOREIGN = 0x90
"""Bytes from here on are letters of other scripts: see ``scripts/safety/folding.py``."""
_KINDS = bytes(
    [
        *(ord("1" if code in _STANDS_FOR_LETTERS else "a" if chr(code).isalpha() else " ") for code in range(0x80)),
        *(ord(" " if code < _FIRST_FOREIGN else "a") for code in range(0x80, 0x100)),
    ]
)
_AMONG_LETTERS, _ENOUGH_LEET = b"a1a", 2
_SINGLES = b" a a a a "
_LETTER = ord("a")

Kept = NDArray[np.bool_]


class View(Struct, frozen=True):
    """One way to read."""

    found_in: Callable[[bytes], bool]
    """Whether a block, told as kinds, is written so. What is true of a part is true of the whole."""
    read: Callable[[bytes], tuple[bytes, Kept | None]]
    """How lower-case bytes are read, and which of them are still there: None if all."""


def kinds(lower: bytes) -> bytes:
    """For each byte ``a`` for a letter, ``1`` for what may stand for one, a blank for anything else."""
    return lower.translate(_KINDS)


def _is_leet(told: bytes) -> bool:
    return told.count(_AMONG_LETTERS) >= _ENOUGH_LEET


def _from_leet(lower: bytes) -> tuple[bytes, None]:
    return lower.translate(_LEET), None


def _is_spaced(told: bytes) -> bool:
    return _SINGLES in told


def _from_spaced(lower: bytes) -> tuple[bytes, Kept]:
    letter = np.frombuffer(kinds(lower), np.uint8) == _LETTER
    keep = np.ones(len(lower), np.bool_)
    keep[2:] = letter[2:] | ~letter[1:-1] | letter[:-2]
    return np.frombuffer(lower, np.uint8)[keep].tobytes(), keep


VIEWS = (View(_is_leet, _from_leet), View(_is_spaced, _from_spaced))
