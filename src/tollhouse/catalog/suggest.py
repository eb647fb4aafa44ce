"""The text of a 404: why a name means nothing here, and what was probably meant.

Called by the router when `Names.resolve` is empty, and by ``tollhouse doctor``. It only ever suggests: no suggestion is
taken without being asked for. The work is bounded, for anyone with a key can ask for any name.
"""

import difflib
from collections import Counter

from tollhouse.catalog.names import MAX_NAME_CHARS, Names
from tollhouse.catalog.spelling import loose, plain, words
from tollhouse.catalog.store import Catalogue, ProviderRow

MAX_CANDIDATES = 20
MAX_WORDS = 200
MAX_SHOWN = 3
MIN_LIKENESS = 0.6


class Suggestions:
    """What is close to a name, among those that can be called in one snapshot."""

    def __init__(self, names: Names, catalogue: Catalogue) -> None:
        self._names = names
        self._catalogue = catalogue
        self._by_word: dict[str, list[str]] = {}
        self._own = {host for maker in catalogue.makers for host in maker.hosts}

    def closest(self, name: str) -> tuple[str, ...]:
        """At most three names that can be called, the most alike first."""
        if len(name) > MAX_NAME_CHARS:
            return ()
        wanted = plain(name)
        bare = wanted.rpartition("/")[2]

        def likeness(candidate: str) -> float:
            shown = plain(candidate)
            pairs = ((wanted, shown), (bare, shown.rpartition("/")[2]), (loose(bare), loose(shown.rpartition("/")[2])))
            return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

        ranked = sorted(((likeness(one), one) for one in self._candidates(name)), key=lambda pair: (-pair[0], pair[1]))
        return tuple(candidate for score, candidate in ranked[:MAX_SHOWN] if score >= MIN_LIKENESS)

    def explain(self, name: str) -> str:
        """One or two sentences: that the name means nothing here, why, and what to do."""
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
        """The names that share most words with this one, or words like its longest two where they share none."""
        if not self._by_word:
            for listed in self._names.listed():
                for word in words(listed):
                    self._by_word.setdefault(word, []).append(listed)
        shared: Counter[str] = Counter()
        for word in words(name):
            shared.update(self._by_word.get(word, ()))
        if not shared:
            for word in sorted(words(name), key=lambda word: (-len(word), word))[:2]:
                alike = [known for known in self._by_word if known[0] == word[0]]
                for near in difflib.get_close_matches(word[:32], alike[:MAX_WORDS], n=2):
                    shared.update(self._by_word[near])
        return [listed for listed, _ in shared.most_common(MAX_CANDIDATES)]


def _lack(row: ProviderRow) -> str:
    """A host and what it lacks, for a client to pass on to its operator."""
    if row.base_url is None:
        return f"{row.name} ({row.reason})"
    if row.opt_in is not None:
        return f"{row.name} (not declared in the settings)"
    return f"{row.name} (set {' or '.join(row.key_vars)})" if row.key_vars else row.name
