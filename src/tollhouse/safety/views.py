"""Other ways to read a block: with digits as the letters they look like, or without the gaps between single letters.

Called by `safety.vocabulary`, which marks the words that look so, and by `safety.stream`, which reads a block with
enough such words in these ways too.
"""

import re

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
_AMONG_LETTERS = b"a1a"
ENOUGH_LEET, ENOUGH_SINGLES = 2, 2
"""Marks that a block must have to be read so."""
_PAIR = b"aa"
_LETTER, _OTHER = rb"[a-z\x90-\xff]", rb"[^a-z\x90-\xff]"
_ALONE = b"(?<!" + _LETTER + b")(" + _LETTER + b")"
_NEXT_ALONE = _LETTER + b"(?!" + _LETTER + b")"
_SINGLES = re.compile(_ALONE + b"(?:" + _OTHER + _NEXT_ALONE + b"){3}")
_GAP = re.compile(_ALONE + _OTHER + b"(?=" + _NEXT_ALONE + b")")


def leet_marks(lower: bytes) -> int:
    """How often in a folded word something that may stand for a letter has one on both sides."""
    return lower.translate(_KINDS).count(_AMONG_LETTERS)


def single_marks(lower: bytes) -> int:
    """How many letters stand alone in a folded word that has no others, but for those that are English words."""
    told = lower.translate(_KINDS)
    if _PAIR in told:
        return 0
    return told.count(b"a") - sum(map(lower.count, (b"a", b"i")))


def from_leet(lower: bytes) -> bytes:
    """A folded text with digits and signs as letters."""
    return lower.translate(_LEET)


def is_spaced(lower: bytes) -> bool:
    """Whether four letters in a row of a folded text stand alone."""
    return _SINGLES.search(lower) is not None


def from_spaced(lower: bytes) -> bytes:
    """A folded text without the gaps between single letters."""
    return _GAP.sub(rb"\1", lower)
