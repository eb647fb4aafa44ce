"""How words are compared for lists and protected texts: folded, and cut at the same places however a text came.

Called by `safety.blocklists`, `safety.protected` and `safety.lists`. Each character is folded by itself: to lower
case, without accents, look-alikes of other scripts as the letter they look like, invisible characters not at all. So a
text may be folded in any pieces. A word is a run of letters and digits; a character of a script that writes no blanks
(Chinese, Japanese, Thai and others) is a word of its own.

`safety.text` folds for the classifier, to one byte each: there letters of other scripts are alike. Here they are not.
"""

import re
import unicodedata
from bisect import bisect_right

from msgspec import Struct

from tollhouse.safety.text import TABLE_SIZE, folding_table

MAX_WORD_CHARS = 256
"""Longer words are cut here, so that what waits for its end stays short."""
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao; Burmese; Khmer; Japanese; Chinese."""
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]{{1,{MAX_WORD_CHARS}}}")
_PLAIN = re.compile(rf"[a-z0-9]{{1,{MAX_WORD_CHARS}}}")
"""The same of ASCII, at half the time."""
_TAGS = range(0xE0000, 0xE0080)
"""Invisible twins of ASCII, which models read all the same."""
_DROPPED = frozenset({"Mn", "Me", "Cf", "Cs"})


class _Folding(dict[int, str]):
    """What each character becomes, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        if code in _TAGS:
            found = self[code] = chr(code - _TAGS[0]).lower()
            return found
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", chr(code)).casefold())
        found = "".join(c for c in plain if unicodedata.category(c) not in _DROPPED)
        if len(found) == 1 and not found.isascii() and code < TABLE_SIZE:
            like = chr(folding_table()[code]).lower()
            found = like if "a" <= like <= "z" else found
        self[code] = found
        return found


_FOLDING = _Folding()


def fold(text: str) -> str:
    """A text as it is compared."""
    return text.lower() if text.isascii() else text.translate(_FOLDING)


def words_of(folded: str) -> list[str]:
    """The words of a folded text."""
    found: list[str] = _pattern(folded).findall(folded)
    return found


def spans_of(folded: str) -> list[tuple[int, int]]:
    """Where each word begins and ends."""
    return [match.span() for match in _pattern(folded).finditer(folded)]


def is_wordlike(char: str) -> bool:
    """Whether a character is part of a word that has borders."""
    return _WORD.fullmatch(char) is not None


def _pattern(folded: str) -> re.Pattern[str]:
    return _PLAIN if folded.isascii() else _WORD


class Origins(Struct, frozen=True):
    """Where the characters of a folded text came from, in pieces: for each its first folded character and its first
    character; and for each folded character its place in the piece, unless every character became one.
    """

    folded: int = 0
    """Folded characters so far."""
    raw: int = 0
    """Characters so far."""
    firsts: tuple[int, ...] = ()
    pieces: tuple[tuple[int, list[int] | None], ...] = ()

    def added(self, piece: str, folded: str) -> "Origins":
        """With a further piece of the text, and what became of it."""
        places = None if piece.isascii() or _is_even(piece) else _places(piece)
        firsts, pieces = self.firsts, self.pieces
        if places is not None or not pieces or pieces[-1][1] is not None:
            firsts, pieces = (*firsts, self.folded), (*pieces, (self.raw, places))
        return Origins(self.folded + len(folded), self.raw + len(piece), firsts, pieces)

    def of(self, folded: int) -> int:
        """The place in the text of a folded character."""
        at = bisect_right(self.firsts, folded) - 1
        raw, places = self.pieces[at]
        within = folded - self.firsts[at]
        return raw + (within if places is None else places[within])

    def since(self, folded: int) -> "Origins":
        """Without what is only about folded characters before one of them."""
        done = bisect_right(self.firsts, folded) - 1
        return Origins(self.folded, self.raw, self.firsts[done:], self.pieces[done:]) if done > 0 else self


def _is_even(piece: str) -> bool:
    """Whether every character becomes one."""
    return all(len(_FOLDING[ord(char)]) == 1 for char in set(piece))


def _places(piece: str) -> list[int]:
    return [place for place, char in enumerate(piece) for _ in _FOLDING[ord(char)]]
