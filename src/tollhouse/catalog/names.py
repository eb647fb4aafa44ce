"""Which model a name means: exact and predictable, made once for a snapshot, then dictionary look-ups.

Called by `snapshot` (to build) and by the router (`Names.resolve`). Theory of operation: a name is read in this order,
and the first reading that leads anywhere is taken.

1. An alias of the operator's, else the longest pattern with a trailing star that fits. It is final: where its targets
   are not set up, the name means nothing, for the operator said where it goes.
2. ``model#host``: that model at that host only. No pattern catches such a name, for it says itself where it goes.
3. ``host/model``: a model that the enabled host offers.
4. ``vendor/model``: the whole name as some host's id, or a model whose maker is known to be that vendor, at every host
   that offers it.
5. ``host/model`` again, for a model that nobody knows of: passed to the host as it is, for catalogues grow old.
6. A bare name: at every enabled host that offers it.
7. The pattern ``*``, which takes what is left.

A name may lead to several hosts: the maker's own come first, then the order in which the operator named them. Within a
host a name is matched as written, else ignoring case and dots for dashes, else without a known vendor before the slash,
else ignoring the order of words (see `spelling`); each of these counts only where exactly one model of the host fits.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tollhouse.catalog.spelling import loose, plain
from tollhouse.catalog.store import Catalogue
from tollhouse.types.calls import Host, ModelFacts, Target

MAX_NAME_CHARS = 256
CACHE_NAMES = 4096
"""Names remembered; clients invent names, so the memory is emptied rather than grown."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An enabled host and its models. ``closed``: a name that is not among them is not passed on to the host.
    ``unlisted``: its models are called by aliases, and shown under these alone. ``more``: the host again, once for each
    of its keys from the second on.
    """

    host: Host
    models: Mapping[str, ModelFacts]
    closed: bool = False
    unlisted: bool = False
    more: tuple[Host, ...] = ()


class _Shelf:
    """One host's models by every spelling that means exactly one of them."""

    __slots__ = ("_spelled", "offer", "own")

    def __init__(self, offer: Offer, makers: "_Makers") -> None:
        self.offer = offer
        self.own: str | None = makers.of_host(offer.host.name)
        spelled: dict[str, str | None] = {}
        tails = {name: makers.tail(name) for name in offer.models}
        for key in (plain, loose):
            _gather(spelled, ((key(name), name) for name in offer.models))
            _gather(spelled, ((key(tail), name) for name, tail in tails.items() if tail is not None))
        self._spelled = spelled

    def find(self, name: str) -> str | None:
        """The id of the one model that the name means here."""
        if name in self.offer.models:
            return name
        key = plain(name)
        return self._spelled[key] if key in self._spelled else self._spelled.get(loose(name))

    def target(self, model: str) -> Target:
        """Where a call for this model goes."""
        return Target(self.offer.host, model, self.offer.models.get(model))

    def passed(self, model: str) -> tuple[Target, ...]:
        """The target for a model that nobody knows of, where the host takes such."""
        return () if self.offer.closed else (self.target(model),)


def _gather(spelled: dict[str, str | None], pairs: Iterable[tuple[str, str]]) -> None:
    """Adds one kind of spelling. A key that an earlier, closer kind holds stays; two models on one key give None."""
    found: dict[str, str | None] = {}
    for key, name in pairs:
        found[key] = name if found.get(key, name) == name else None
    for key, meant in found.items():
        spelled.setdefault(key, meant)


class _Makers:
    """Who made which model, from the lists of the makers' own hosts."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._by_spelling = {spelling: maker.name for maker in catalogue.makers for spelling in maker.spellings}
        self._by_host = {host: maker.name for maker in catalogue.makers for host in maker.hosts}
        self._by_model: dict[str, set[str]] = {}
        for host, maker in self._by_host.items():
            for model in catalogue.model_ids(host):
                self._by_model.setdefault(plain(self.tail(model) or model), set()).add(maker)

    def of_host(self, host: str) -> str | None:
        """The maker whose own host this is."""
        return self._by_host.get(host)

    def named(self, vendor: str) -> str | None:
        """The maker that a vendor's name means: ``x-ai`` is xai."""
        return self._by_spelling.get(vendor.lower())

    def tail(self, model: str) -> str | None:
        """The name behind a known vendor's, where there is one: ``gpt-4o`` of ``openai/gpt-4o``."""
        vendor, slash, rest = model.partition("/")
        return rest if slash and "/" not in rest and vendor.lower() in self._by_spelling else None

    def made(self, maker: str, model: str, host: str) -> bool:
        """Whether this id at this host is a model of that maker: its id says so, or the maker's own list does."""
        vendor, slash, _ = model.partition("/")
        if slash:
            return self.named(vendor) == maker
        return self.of_host(host) == maker or maker in self._by_model.get(plain(model), ())


def _is_pinned(name: str) -> bool:
    """Whether a name says at which host."""
    return "#" in name


class Names:
    """The names of one snapshot. ``offers`` come in the operator's order, which is the order of trying."""

    def __init__(self, offers: Sequence[Offer], aliases: Mapping[str, tuple[str, ...]], catalogue: Catalogue) -> None:
        self._makers = _Makers(catalogue)
        self._shelves = {offer.host.name: _Shelf(offer, self._makers) for offer in offers}
        self._aliases = {name: targets for name, targets in aliases.items() if not name.endswith("*")}
        patterns = {name[:-1]: targets for name, targets in aliases.items() if name.endswith("*")}
        self._rest = patterns.pop("", ())
        self._patterns = sorted(patterns.items(), key=lambda pattern: -len(pattern[0]))
        self._known: dict[str, tuple[Target, ...]] = {}
        self.offers = tuple(offers)
        self.aliases = aliases

    def resolve(self, name: str) -> tuple[Target, ...]:
        """The targets that a requested name means, in the order of trying; empty where it means nothing."""
        known = self._known.get(name)
        if known is None:
            if len(name) > MAX_NAME_CHARS:
                return ()
            known = self._resolve(name)
            if len(self._known) >= CACHE_NAMES:
                self._known.clear()
            self._known[name] = known
        return known

    def unresolved(self) -> tuple[tuple[str, str], ...]:
        """Each alias and target of it that leads nowhere now: a misspelling, or a host without a key."""
        return tuple(
            (alias, target)
            for alias, targets in self.aliases.items()
            for target in targets
            if not target.endswith("/*") and not self._follow(target, alias)
        )

    def listed(self) -> dict[str, tuple[Target, ...]]:
        """What `/v1/models` shows: the aliases that lead somewhere, then every model as ``host/model``."""
        shown = {name: self.resolve(name) for name in self._aliases}
        for shelf in self._shelves.values():
            for model in () if shelf.offer.unlisted else shelf.offer.models:
                target = shelf.target(model)
                shown.setdefault(target.id, (target,))
        return {name: targets for name, targets in shown.items() if targets}

    def steps(self, name: str) -> tuple[str, tuple[tuple[Target, ...], ...]]:
        """The alias or pattern that a name falls under, empty where it falls under none, and the targets of each of its
        entries, in the order of `aliases`. A name that means nothing has no targets.
        """
        if len(name) > MAX_NAME_CHARS:
            return "", ()
        alias, stated = self._alias(name)
        if stated is None:
            found = self._read(name)
            if found or _is_pinned(name) or not self._rest:
                return "", (found,)
            alias, stated = "*", self._rest
        return alias, tuple(self._follow(target, name) for target in stated)

    def _alias(self, name: str) -> tuple[str, tuple[str, ...] | None]:
        """The alias that is, or fits, the name, and its targets."""
        if name in self._aliases:
            return name, self._aliases[name]
        if not _is_pinned(name):
            for prefix, targets in self._patterns:
                if name.startswith(prefix):
                    return f"{prefix}*", targets
        return "", None

    def _resolve(self, name: str) -> tuple[Target, ...]:
        return self._join(self.steps(name)[1])

    def _follow(self, target: str, requested: str) -> tuple[Target, ...]:
        """What one target of an alias means. It may name another alias; settings allow no loop among them."""
        if target.endswith("/*"):
            return self._read(target[:-1] + requested)
        if target in self._aliases:
            return self._join(self._follow(further, requested) for further in self._aliases[target])
        return self._read(target)

    def _read(self, name: str) -> tuple[Target, ...]:
        """What a name means that is no alias."""
        model, pinned, host = name.rpartition("#")
        if pinned:
            return self._pinned(model, host.lower())
        prefix, slash, rest = name.partition("/")
        shelf = self._shelves.get(prefix.lower()) if slash and rest else None
        if shelf is None:
            return self._anywhere(name)
        found = shelf.find(rest) or shelf.find(name)
        if found is not None:
            return (shelf.target(found),)
        return self._anywhere(name) or shelf.passed(rest)

    def _pinned(self, model: str, host: str) -> tuple[Target, ...]:
        shelf = self._shelves.get(host)
        if shelf is None or not model:
            return ()
        found = self._offered(shelf, model) or shelf.find(model.removeprefix(f"{host}/"))
        return (shelf.target(found),) if found is not None else shelf.passed(model.removeprefix(f"{host}/"))

    def _anywhere(self, name: str) -> tuple[Target, ...]:
        """The model at every host that offers it, the maker's own hosts first."""
        found = [
            (shelf, model) for shelf in self._shelves.values() if (model := self._offered(shelf, name)) is not None
        ]
        found.sort(key=lambda pair: not self._is_own(*pair))
        return tuple(shelf.target(model) for shelf, model in found)

    def _offered(self, shelf: _Shelf, name: str) -> str | None:
        """The host's id for a bare name, an id that has a slash itself, or ``vendor/model``."""
        found = shelf.find(name)
        vendor, slash, rest = name.partition("/")
        maker = self._makers.named(vendor) if slash else None
        if found is not None or maker is None:
            return found
        found = shelf.find(rest)
        return found if found is not None and self._makers.made(maker, found, shelf.offer.host.name) else None

    def _is_own(self, shelf: _Shelf, model: str) -> bool:
        return shelf.own is not None and self._makers.made(shelf.own, model, shelf.offer.host.name)

    @staticmethod
    def _join(parts: Iterable[tuple[Target, ...]]) -> tuple[Target, ...]:
        """The targets in order, each once."""
        joined: dict[str, Target] = {}
        for part in parts:
            for target in part:
                joined.setdefault(target.id, target)
        return tuple(joined.values())
