"""Reads texts for what the operator has listed: block lists, topics, protected texts, licence headers.

`gateway.safety` asks it beside the classifier: of prompts as a whole, of answers as they come. What is found does not
depend on the pieces in which a text came: words are cut at the same places, each window begins with the words that a
term or a shingle that ends in it may have begun with, and of several places the first is told. Nothing is read twice
but those few words. State is never changed in place but replaced, so a shallow copy can be finished without a trace:
that is `peek`.
"""

from collections.abc import Callable, Sequence
from typing import Final

from tollhouse.safety.blocklists import Index, Span, index_of
from tollhouse.safety.licences import LICENCES
from tollhouse.safety.policy import Policy
from tollhouse.safety.protected import SHINGLE, Protected, licence_index, read_protected, shingles_of
from tollhouse.safety.results import CODE
from tollhouse.safety.spelling import Origins, fold, spans_of, words_of
from tollhouse.settings.safety import Safety
from tollhouse.types.safety import HIGH, LOCAL, Finding

TEXT: Final = "protected_material_text"
_AT_ONCE_CHARS: Final = 1 << 16
_BATCH_CHARS: Final = 256
_NO_INDEX: Final = Index(())


class Lists:
    """The lists of a configuration. What changes is a memory: of the indexes of each combination, once asked for."""

    __slots__ = ("_indexes", "_licences", "_looks_beside", "_settings", "protected")

    def __init__(self, settings: Safety, previous: "Lists | None" = None) -> None:
        """Reads the protected files, unless ``previous`` has them: two seconds or so for each 10 MB."""
        self._settings = settings
        self._indexes: dict[tuple[tuple[str, ...], tuple[str, ...]], Index] = {}
        self._licences = licence_index() if settings.licences else _NO_INDEX
        self.protected: Protected = read_protected(
            settings.protected, previous.protected if previous is not None else None
        )
        self._looks_beside = self._licences is not _NO_INDEX or bool(self.protected.files)
        """Whether answers are looked through whatever their policy."""

    def __bool__(self) -> bool:
        """Whether anything is listed at all."""
        settings = self._settings
        return bool(settings.blocklists or settings.topics or settings.licences or settings.protected)

    def find(self, text: str, policy: Policy) -> tuple[Finding, ...]:
        """What of a policy's lists is in a prompt. Protected texts may be in prompts."""
        index = self._index(policy)
        if index is _NO_INDEX:
            return ()
        reader = ListReader(index, _NO_INDEX, Protected())
        reader.feed(text)
        return reader.finish()

    def reader(self, policy: Policy) -> "ListReader | None":
        """Reads an answer for what is listed; None where there is nothing to look for."""
        index = self._index(policy)
        if index is _NO_INDEX and not self._looks_beside:
            return None
        return ListReader(index, self._licences, self.protected)

    def _index(self, policy: Policy) -> Index:
        if not policy.blocklists and not policy.topics:
            return _NO_INDEX
        names = (policy.blocklists, policy.topics)
        index = self._indexes.get(names)
        if index is None:
            settings = self._settings
            index = index_of(
                (settings.blocklists[name] for name in policy.blocklists),
                (settings.topics[name] for name in policy.topics),
            )
            self._indexes[names] = index
        return index


class ListReader:
    """One text, being read."""

    __slots__ = (
        *("_base", "_index", "_known", "_known_licences", "_licences", "_literal_base", "_literals", "_material"),
        *("_origins", "_overlap", "_protected", "_spans", "_tail", "_waiting", "_waiting_chars", "_words"),
    )

    def __init__(self, index: Index, licences: Index, protected: Protected) -> None:
        self._index = index
        self._licences = licences
        self._protected = protected
        shingle = SHINGLE if protected.files else 0
        self._overlap = max(index.most_words, licences.most_words, shingle, 1) - 1
        """How many words of a window are shown again with the next."""
        self._origins = Origins()
        self._waiting: tuple[str, ...] = ()
        self._waiting_chars = 0
        self._words: list[str] = []
        self._spans: list[Span] = []
        """The words that are shown again. Their places, as all places below, are those of the folded text."""
        self._tail, self._base = "", 0
        """What may be the beginning of a word, and where it begins."""
        self._literals, self._literal_base = "", 0
        self._known: dict[int, Span] = {}
        self._known_licences: dict[int, Span] = {}
        self._material: dict[str, Span] = {}

    def feed(self, text: str) -> None:
        """The next piece of the text."""
        for start in range(0, len(text), _AT_ONCE_CHARS):
            piece = text[start : start + _AT_ONCE_CHARS]
            self._waiting = (*self._waiting, piece)
            self._waiting_chars += len(piece)
            if self._waiting_chars >= _BATCH_CHARS:
                self._read(is_end=False)

    def peek(self) -> tuple[Finding, ...]:
        """What `finish` would say if the text ended here; the text may go on."""
        self._read(is_end=False)
        return self._twin().finish()

    def _twin(self) -> "ListReader":
        """A shallow copy. By hand: `copy.copy` cannot make one of a compiled class."""
        twin = ListReader(self._index, self._licences, self._protected)
        twin._origins = self._origins
        twin._waiting, twin._waiting_chars = self._waiting, self._waiting_chars
        twin._words, twin._spans = self._words, self._spans
        twin._tail, twin._base = self._tail, self._base
        twin._literals, twin._literal_base = self._literals, self._literal_base
        twin._known, twin._known_licences = self._known, self._known_licences
        twin._material = self._material
        return twin

    def finish(self) -> tuple[Finding, ...]:
        """What was found in the whole text."""
        self._read(is_end=True)
        return (*self._index.findings(self._known), *self._materials())

    # --- reading ---------------------------------------------------------------------------------------------

    def _read(self, *, is_end: bool) -> None:
        piece = "".join(self._waiting)
        self._waiting, self._waiting_chars = (), 0
        folded = fold(piece)
        self._origins = self._origins.added(piece, folded)
        self._read_words(folded, is_end=is_end)
        needed = self._spans[0][0] if self._spans else self._base
        if self._index.longest_literal:
            self._read_literals(folded, is_end=is_end)
            needed = min(needed, self._literal_base)
        self._origins = self._origins.since(needed)

    def _read_words(self, folded: str, *, is_end: bool) -> None:
        window, base = self._tail + folded, self._base
        found = words_of(window)
        rest = len(window)
        if found and not is_end and window.endswith(found[-1]):
            rest -= len(found.pop())  # it may go on
        words = [*self._words, *found]
        if found:
            self._find(words, lambda: [*self._spans, *((base + start, base + end) for start, end in spans_of(window))])
        if not is_end:
            spans = _last_spans(window[:rest], found[-self._overlap :] if self._overlap else [])
            every = [*self._spans, *((base + start, base + end) for start, end in spans)]
            kept = min(self._overlap, len(words))
            self._words, self._spans = words[len(words) - kept :], every[len(every) - kept :]
        self._tail, self._base = window[rest:], base + rest

    def _find(self, words: Sequence[str], spans: Callable[[], Sequence[Span]]) -> None:
        """What is in a window of words. Most hold nothing, and then nobody asks where its words stand."""
        self._known = self._with_terms(self._index, self._known, words, spans)
        self._known_licences = self._with_terms(self._licences, self._known_licences, words, spans)
        if not self._protected.files:
            return
        numbers = shingles_of(words)
        for name, shingles in ((TEXT, self._protected.text), (CODE, self._protected.code)):
            if name not in self._material and (first := shingles.find(numbers)) >= 0:
                places = spans()
                place = self._span(places[first][0], places[first + SHINGLE - 1][1])
                self._material = {**self._material, name: place}

    def _with_terms(
        self, index: Index, known: dict[int, Span], words: Sequence[str], spans: Callable[[], Sequence[Span]]
    ) -> dict[int, Span]:
        found = index.find(words, known)
        if not found:
            return known
        places = spans()
        return known | {number: self._span(places[first][0], places[last][1]) for number, first, last in found}

    def _read_literals(self, folded: str, *, is_end: bool) -> None:
        window, base = self._literals + folded, self._literal_base
        found = self._index.find_literals(window, self._known, is_end=is_end, is_start=base == 0)
        places = {number: self._span(base + start, base + end) for number, start, end in found}
        self._known = {**self._known, **places}
        rest = max(len(window) - self._index.longest_literal - 1, 0)
        self._literals, self._literal_base = window[rest:], base + rest

    def _span(self, start: int, end: int) -> Span:
        """A place in the folded text as one in the text."""
        return self._origins.of(start), self._origins.of(end - 1) + 1

    def _materials(self) -> list[Finding]:
        """Of several licences the first of the table is told, in place of what else is known of the code."""
        spans = dict(self._material)
        found = {int(finding.detail): finding for finding in self._licences.findings(self._known_licences)}
        licence = ""
        if found:
            first = found[min(found)]
            licence, spans[CODE] = LICENCES[min(found)].id, (first.start, first.end)
        return [
            Finding(name, HIGH, LOCAL, None, *spans[name], licence if name == CODE else "")
            for name in (TEXT, CODE)
            if name in spans
        ]


def _last_spans(text: str, words: Sequence[str]) -> list[Span]:
    """Where some words stand that a text ends with, but for what is between words: the last one is the last occurrence
    of its letters, for no word follows it, and so on.
    """
    spans = []
    end = len(text)
    for word in reversed(words):
        start = text.rindex(word, 0, end)
        spans.append((start, start + len(word)))
        end = start
    return spans[::-1]
