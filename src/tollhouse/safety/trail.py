"""Which words a text has and where they stand: asked only where something was found, so it is worked out only then.

Called by `safety.stream`. A `Trail` counts characters that are seen (`safety.text`); `Origins` knows where in the text
as it was given each of them stands.
"""

import re
from bisect import bisect_right
from itertools import islice
from operator import itemgetter

from tollhouse.safety.features import LONGEST
from tollhouse.safety.text import seen

WORD = re.compile(rf"\S{{1,{LONGEST}}}")
_MANY = 24
_MANY_WORDS = re.compile(rf"\s*+(?:\S{{1,{LONGEST}}}+\s*+){{{_MANY}}}")
"""What is passed over at once on the way to a word."""

_Piece = tuple[int, int, int, str]
"""The number of its first word, how many it has, where it begins, and the text."""
Placed = list[tuple[str, int]]
"""Words, and where each begins."""


class Trail:
    """The pieces of a text as they were split, and the words that were not read yet."""

    __slots__ = ("_pieces", "_since", "_words", "count", "end")

    def __init__(self) -> None:
        self._pieces: list[_Piece] = []
        self._words: list[str] = []
        self._since = 0
        self.count = 0
        """The number of words."""
        self.end = 0
        """Where the text ends."""

    def twin(self) -> "Trail":
        """A copy that goes its own way."""
        twin = Trail()
        twin._pieces, twin._words, twin._since = self._pieces.copy(), self._words.copy(), self._since
        twin.count, twin.end = self.count, self.end
        return twin

    def add(self, start: int, text: str, words: list[str]) -> None:
        """A piece that begins with a word or a blank, and its whole words."""
        self._pieces.append((self.count, len(words), start, text))
        self._words += words
        self.count += len(words)
        self.end = start + len(text)

    def forget(self, number: int) -> None:
        """The words before this one: nobody asks for them any more."""
        del self._words[: max(number - self._since, 0)]
        self._since = max(self._since, number)

    def words(self, first: int, end: int) -> list[str]:
        """Some words, by their numbers, that were not forgotten."""
        return self._words[max(first - self._since, 0) : end - self._since]

    def placed(self, first: int, end: int) -> Placed:
        """Some words, each with where it begins."""
        found: Placed = []
        for piece, start, stop in self._parts(first, end):
            matches = islice(WORD.finditer(piece[3], _offset(piece, start)), stop - start)
            found += [(match[0], piece[2] + match.start()) for match in matches]
        return found

    def start_of(self, number: int) -> int:
        """Where a word begins, or the end of the text where there is none of that number."""
        for piece, start, _ in self._parts(number, number + 1):
            return piece[2] + _offset(piece, start)
        return self.end

    def _parts(self, first: int, end: int) -> list[tuple[_Piece, int, int]]:
        """The pieces that have some of these words, and which of theirs."""
        place = max(bisect_right(self._pieces, first, key=itemgetter(0)) - 1, 0)
        found: list[tuple[_Piece, int, int]] = []
        while place < len(self._pieces) and self._pieces[place][0] < end:
            piece = self._pieces[place]
            start, stop = max(first - piece[0], 0), min(end - piece[0], piece[1])
            if start < stop:
                found.append((piece, start, stop))
            place += 1
        return found


def _offset(piece: _Piece, number: int) -> int:
    """Where in its piece a word begins."""
    text, at = piece[3], 0
    while number >= _MANY:
        many = _MANY_WORDS.match(text, at)
        at, number = (many.end(), number - _MANY) if many else (at, 0)
    return next(islice(WORD.finditer(text, at), number, None)).start()


class Origins:
    """Where the characters come from that are seen."""

    __slots__ = ("_pieces", "_raw", "_seen")

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int, str]] = []
        self._raw = 0
        self._seen = 0

    def twin(self) -> "Origins":
        """A copy that goes its own way."""
        twin = Origins()
        twin._pieces, twin._raw, twin._seen = self._pieces.copy(), self._raw, self._seen
        return twin

    def add(self, given: str, is_seen: str) -> None:
        """A piece of the text as it was given, and what is seen of it. Of a piece that is seen as it is no more is kept
        than where it stands.
        """
        if is_seen != given or not self._pieces or self._pieces[-1][2]:
            self._pieces.append((self._seen, self._raw, given if is_seen != given else ""))
        self._raw += len(given)
        self._seen += len(is_seen)

    def place(self, offset: int) -> int:
        """Where a character that is seen stands in the text, or the end of the text."""
        if offset >= self._seen:
            return self._raw
        first, raw, given = self._pieces[bisect_right(self._pieces, offset, key=itemgetter(0)) - 1]
        if not given:
            return raw + offset - first
        kept = (place for place, character in enumerate(given) if seen(character))
        return raw + next(islice(kept, offset - first, None))
