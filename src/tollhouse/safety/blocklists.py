"""Finds the terms of block lists and topics in the words of a text, in time proportional to the text.

`safety.lists` makes an `Index` of the lists that a policy names, and shows it each window of words. A term is a word,
or several in a row whatever stands between them; a star at an end stands for any letters. Terms with other signs
(``c++``, ``@acme``) and terms with a star at both ends are found as they are written, between borders.

Theory of operation: each term is filed under one of its words, its anchor, by the whole word, or by a beginning or end
of fixed length. A set intersection says which anchors a window holds; only there the words around are compared. What is
written with signs is searched for as a string. Nothing backtracks: a window costs its words, once for each length of a
beginning or end, plus the terms whose anchors it holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from unicodedata import category

from msgspec import Struct

from tollhouse.safety.results import BLOCKLISTS, TOPICS
from tollhouse.safety.spelling import fold, is_wordlike, words_of
from tollhouse.settings.safety_files import TermList
from tollhouse.types.safety import HIGH, LOCAL, Finding

_SIGNS = frozenset("#@&%*\\")
"""Punctuation that a term means; any symbol is meant too. What else stands between words does not matter."""
Span = tuple[int, int]
"""Where something begins and ends."""


class Term(Struct, frozen=True):
    """A word or several."""

    number: int
    words: tuple[str, ...]
    starts_open: bool
    ends_open: bool
    anchor: int

    def fits(self, words: Sequence[str], at: int) -> bool:
        """Whether the term stands in some words, its anchor at one of them."""
        first = at - self.anchor
        last = first + len(self.words) - 1
        if first < 0 or last >= len(words):
            return False
        begins = words[first].endswith(self.words[0]) if self.starts_open else words[first] == self.words[0]
        if first == last:
            return words[first].startswith(self.words[0]) if self.ends_open else begins
        ends = words[last].startswith(self.words[-1]) if self.ends_open else words[last] == self.words[-1]
        return begins and ends and tuple(words[first + 1 : last]) == self.words[1:-1]


class Literal(Struct, frozen=True):
    """A term that is searched for as it is written."""

    number: int
    text: str
    border_before: bool
    border_after: bool


class Owner(Struct, frozen=True):
    """A list or a topic."""

    category: str
    name: str
    at_least: int


class Index:
    """The terms of some lists. Immutable once it is made."""

    __slots__ = ("_anchors", "_ends", "_fronts", "_literals", "longest_literal", "most_words", "owners", "term_owners")

    def __init__(self, lists: Iterable[tuple[str, TermList]]) -> None:
        """Each list comes with its category: ``custom_blocklists`` or ``custom_topics``."""
        owners: list[Owner] = []
        self.term_owners: list[int] = []
        """The list of each term, by the term's number."""
        self._anchors: dict[str, list[Term]] = {}
        self._fronts: dict[int, dict[str, list[Term]]] = {}
        self._ends: dict[int, dict[str, list[Term]]] = {}
        self._literals: list[Literal] = []
        self.most_words = self.longest_literal = 0
        for of, row in lists:
            owners.append(Owner(of, row.name, row.at_least))
            for term in dict.fromkeys(fold(term) for term in row.terms):
                self._file(term, len(owners) - 1)
        self.owners = tuple(owners)

    def _file(self, folded: str, owner: int) -> None:
        bare = folded.strip()
        starts_open, ends_open = bare.startswith("*"), len(bare) > 1 and bare.endswith("*")
        bare = bare.removeprefix("*").removesuffix("*").strip()
        words = tuple(words_of(bare))
        number = len(self.term_owners)
        if not bare:
            return
        self.term_owners.append(owner)
        if not words or _has_signs(bare) or (starts_open and ends_open and len(words) == 1):
            before, after = not starts_open and is_wordlike(bare[0]), not ends_open and is_wordlike(bare[-1])
            self._literals.append(Literal(number, bare, before, after))
            self.longest_literal = max(self.longest_literal, len(bare))
            return
        self.most_words = max(self.most_words, len(words))
        last = len(words) - 1
        closed = [at for at in range(len(words)) if not ((starts_open and at == 0) or (ends_open and at == last))]
        anchor = closed[0] if closed else last if ends_open else 0
        term = Term(number, words, starts_open, ends_open, anchor)
        word = words[anchor]
        tables = self._anchors if closed else (self._fronts if ends_open else self._ends).setdefault(len(word), {})
        tables.setdefault(word, []).append(term)

    # --- finding ---------------------------------------------------------------------------------------------

    def find(self, words: Sequence[str], known: Mapping[int, Span]) -> list[tuple[int, int, int]]:
        """The terms in some words that are not known yet: (number, first word, last word) of its first place."""
        anchors = self._present(words)
        if not anchors:
            return []
        places: dict[str, list[int]] = {}
        for at, word in enumerate(words):
            places.setdefault(word, []).append(at)
        found: dict[int, int] = {}
        for word, terms in anchors:
            for term in terms:
                if term.number in known:
                    continue
                first = next((at - term.anchor for at in places[word] if term.fits(words, at)), None)
                if first is not None:
                    found[term.number] = min(first, found.get(term.number, first))
        sizes = {term.number: len(term.words) for _, terms in anchors for term in terms}
        return [(number, first, first + sizes[number] - 1) for number, first in found.items()]

    def _present(self, words: Sequence[str]) -> list[tuple[str, list[Term]]]:
        """The words that may be a term's anchor, with those terms."""
        distinct = set(words)
        present = [(word, self._anchors[word]) for word in self._anchors.keys() & distinct]
        for size, table in self._fronts.items():
            present += [(word, table[word[:size]]) for word in distinct if word[:size] in table]
        for size, table in self._ends.items():
            present += [(word, table[word[-size:]]) for word in distinct if word[-size:] in table]
        return present

    def find_literals(
        self, folded: str, known: Mapping[int, Span], *, is_end: bool, is_start: bool
    ) -> list[tuple[int, int, int]]:
        """The same of terms that are searched for as written: (number, start, end). ``folded`` begins with a character
        that was seen before unless it is the text's start, and where it is not the text's end, more will follow.
        """
        found = []
        for literal in self._literals:
            if literal.number in known:
                continue
            at = _search(literal, folded, 0 if is_start else 1, is_end=is_end)
            if at >= 0:
                found.append((literal.number, at, at + len(literal.text)))
        return found

    def findings(self, spans: dict[int, Span]) -> tuple[Finding, ...]:
        """What the terms that were found amount to, in the order of the lists."""
        hits: dict[int, list[Span]] = {}
        for number, span in spans.items():
            hits.setdefault(self.term_owners[number], []).append(span)
        found = []
        for place, owner in enumerate(self.owners):
            own = hits.get(place, [])
            if len(own) >= owner.at_least:
                start, end = min(own)
                found.append(Finding(owner.category, HIGH, LOCAL, None, start, end, owner.name))
        return tuple(found)


def index_of(blocklists: Iterable[TermList], topics: Iterable[TermList]) -> Index:
    """The index of some lists and topics."""
    return Index([*((BLOCKLISTS, row) for row in blocklists), *((TOPICS, row) for row in topics)])


def _has_signs(text: str) -> bool:
    return any(char in _SIGNS or category(char).startswith("S") for char in text)


def _search(literal: Literal, folded: str, start: int, *, is_end: bool) -> int:
    """Where a literal stands first between its borders, or -1. Each character is looked at once."""
    at = folded.find(literal.text, start)
    while at >= 0:
        end = at + len(literal.text)
        if end == len(folded) and literal.border_after and not is_end:
            return -1  # what follows will tell
        before = literal.border_before and at > 0 and is_wordlike(folded[at - 1])
        after = literal.border_after and end < len(folded) and is_wordlike(folded[end])
        if not before and not after:
            return at
        at = folded.find(literal.text, at + 1)
    return -1
