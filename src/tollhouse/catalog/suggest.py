"""The text of a 404: why a name means nothing here, and what was probably meant.

Called by the router when `Names.resolve` is empty, and by ``tollhouse doctor``. It only ever suggests: no suggestion is
taken without being asked for. The work is bounded, for anyone with a key can ask for any name.
"""

import difflib
import heapq
from collections import Counter

from tollhouse.catalog.names import MAX_NAME_CHARS, Names
from tollhouse.catalog.spelling import loose, plain, words
from tollhouse.catalog.store import Catalogue, ProviderRow

MAX_CANDIDATES = 8
MAX_COMPARED_CHARS = 40
MAX_ASKED_WORDS = 12
MAX_TOLD = 1024
MAX_WORDS = 64
MAX_SHOWN = 3
MIN_LIKENESS = 0.6


class Suggestions:
    """What is close to a name, among those that can be called in one snapshot."""

    def __init__(self, names: Names, catalogue: Catalogue) -> None:
        self._names = names
        self._catalogue = catalogue
        self._by_word: dict[str, list[str]] = {}
        self._told: dict[str, str] = {}
        self._own = {host for maker in catalogue.makers for host in maker.hosts}

    def closest(self, name: str) -> tuple[str, ...]:
        """At most three names that can be called, the most alike first."""
        if len(name) > MAX_NAME_CHARS:
            return ()
        matchers = [difflib.SequenceMatcher(None, "", spelling, autojunk=False) for spelling in _comparable(name)]
        ranked = sorted((-_likeness(matchers, _comparable(one)), one) for one in self._candidates(name))
        return tuple(candidate for score, candidate in ranked[:MAX_SHOWN] if -score >= MIN_LIKENESS)

    def explain(self, name: str) -> str:
        """One or two sentences: that the name means nothing here, why, and what to do.

        A client in a loop asks for one wrong name again and again, so the last answers are kept.
        """
        if len(name) > MAX_NAME_CHARS:
            return self._sentences(name)
        if name not in self._told:
            if len(self._told) >= MAX_TOLD:
                self._told.clear()
            self._told[name] = self._sentences(name)
        return self._told[name]

    def _sentences(self, name: str) -> str:
        shown = name if len(name) <= 100 else name[:100] + "..."
        return " ".join([f"The model {shown!r} does not exist or is not set up here.", *self._why(name)])

    def _why(self, name: str) -> list[str]:
        if not name or len(name) > MAX_NAME_CHARS:
            return []
        missing = self._missing(name)
        if missing:
            return [f"It is offered by {'; '.join(missing)}."]
        close = self.closest(name)
        return [f"Did you mean {' or '.join(map(repr, close))}?"] if close else []

    def _missing(self, name: str) -> list[str]:
        """The hosts that would serve the name if they were set up, each with what it lacks."""
        enabled = {offer.host.name for offer in self._names.offers}
        prefix, slash, rest = name.partition("/")
        _, pinned, host = name.rpartition("#")
        hosts = [host] if pinned else [prefix] if slash and prefix in self._catalogue.providers else []
        hosts += self._catalogue.offering(name)
        if slash and not hosts:
            hosts += self._catalogue.offering(rest)
        rows = [self._catalogue.providers[one] for one in dict.fromkeys(hosts) if one in self._catalogue.providers]
        lacking = [row for row in rows if row.name not in enabled]
        lacking.sort(key=lambda row: (row.base_url is None, row.name not in self._own))
        return [_lack(row) for row in lacking[:MAX_SHOWN]]

    def _candidates(self, name: str) -> list[str]:
        """The names that share most words with this one, or words like its longest two where they share none.

        Of those that share as many, the ones of about its length: a slip of the finger adds or loses little.
        """
        if not self._by_word:
            for listed in self._names.listed():
                for word in words(listed):
                    self._by_word.setdefault(word, []).append(listed)
        shared: Counter[str] = Counter()
        asked = sorted(words(name), key=lambda word: (-len(word), word))[:MAX_ASKED_WORDS]
        for word in asked:
            shared.update(self._by_word.get(word, ()))
        if not shared:
            for word in asked[:2]:
                alike = [known for known in self._by_word if known[0] == word[0]]
                for near in difflib.get_close_matches(word[:32], alike[:MAX_WORDS], n=2):
                    shared.update(self._by_word[near])
        chars = _bare_chars(name)
        return heapq.nsmallest(MAX_CANDIDATES, shared, lambda one: (-shared[one], abs(_bare_chars(one) - chars)))


def _bare_chars(name: str) -> int:
    """How long a name is without its host."""
    return len(name) - name.rfind("/")


def _comparable(name: str) -> tuple[str, str, str]:
    """The start of a name in its three spellings: as it stands, without its host, and with its words in order."""
    shown = plain(name)
    bare = shown.rpartition("/")[2]
    return shown[:MAX_COMPARED_CHARS], bare[:MAX_COMPARED_CHARS], loose(bare)[:MAX_COMPARED_CHARS]


def _likeness(matchers: list[difflib.SequenceMatcher[str]], candidate: tuple[str, ...]) -> float:
    """How alike two names are in the spelling that suits them best, from 0 to 1.

    A matcher holds one spelling of the name asked for, which it analyses once. The exact ratio takes long, so it is
    taken only where its upper bounds leave room for a better one.
    """
    best = 0.0
    for matcher, spelling in zip(matchers, candidate, strict=True):
        matcher.set_seq1(spelling)
        least = max(best, MIN_LIKENESS)
        if matcher.real_quick_ratio() >= least and matcher.quick_ratio() >= least:
            best = max(best, matcher.ratio())
    return best


def _lack(row: ProviderRow) -> str:
    """A host and what it lacks, for a client to pass on to its operator."""
    if row.base_url is None:
        return f"{row.name} ({row.reason})"
    if row.opt_in is not None:
        return f"{row.name} (not declared in the settings)"
    return f"{row.name} (set {' or '.join(row.key_vars)})" if row.key_vars else row.name
