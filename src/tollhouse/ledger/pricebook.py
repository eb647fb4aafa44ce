"""Which price a target has at a moment: exact look-ups, in a fixed order of who said it.

`gateway.bids` asks for every target of every request; a control page replaces the admin's prices. Theory of operation:
the first of these that says anything decides.

1. The admin: the version for exactly this host and model whose ``effective_from`` is the latest that has come.
2. The operator's file, where it prices the model: ``[providers.X.models.Y]``.
3. The vendor's free kinds of endpoint, then ``[providers.X] free = true``.
4. The catalogue, by exactly this host and model. There is no match by prefix or likeness.
5. A host on this machine is free, unless ``free = false``, or its file has half a price of the model.
6. ``[billing] unpriced``: free, or refused. It is never taken for 0 in silence.

What was found is kept for each target until the next version comes into effect, so asking is one dictionary hit.
"""

from collections.abc import Iterable
from typing import Final

from tollhouse.errors import Unpriced
from tollhouse.ledger.prices import CATALOGUE, CONFIG, PriceVersion, free_price, make_price
from tollhouse.settings.urls import is_loopback
from tollhouse.types.calls import Target

EVERY_MODEL: Final = "*"
MAX_KNOWN: Final = 8192
"""Targets remembered; clients invent models, so the memory is emptied rather than grown."""
_EVER: Final = 2**61


class _Known:
    """A target, the seconds from and before which this is its price, and the price; None where it has none."""

    __slots__ = ("price", "since_s", "target", "until_s")

    def __init__(self, target: Target, since_s: int, until_s: int, price: PriceVersion | None) -> None:
        self.target = target
        self.since_s = since_s
        self.until_s = until_s
        self.price = price


class PriceBook:
    """The prices of one installation. ``unpriced`` is ``refuse`` or ``free``."""

    def __init__(self, admin: Iterable[PriceVersion] = (), *, unpriced: str = "refuse") -> None:
        self._admin: dict[tuple[str, str], list[PriceVersion]] = {}
        self._known: dict[int, _Known] = {}
        self._free: dict[int, tuple[Target, PriceVersion]] = {}
        self._unpriced = unpriced
        self.replace(admin)

    def replace(self, admin: Iterable[PriceVersion]) -> None:
        """Takes these for all the prices that an admin has set. Of two with one ``effective_from`` the later counts."""
        self._admin.clear()
        for version in admin:
            self._admin.setdefault((version.host, version.model), []).append(version)
        for versions in self._admin.values():
            versions.sort(key=lambda version: version.effective_from)
        self._known.clear()

    def add(self, version: PriceVersion) -> None:
        """An admin has set one more price; it applies to what is reserved from its ``effective_from`` on."""
        self.replace([*(one for versions in self._admin.values() for one in versions), version])

    def of(self, target: Target, at_s: int, kind: str = "chat/completions") -> PriceVersion:
        """The price of a target at this Unix second, for an endpoint's path below ``/v1/``. Raises `Unpriced`."""
        if kind in target.host.free_kinds:
            return self._vendors(target, at_s)
        found = self.find(target, at_s)
        if found is None:
            raise Unpriced(unpriced_text(target))
        return found

    def find(self, target: Target, at_s: int) -> PriceVersion | None:
        """The same for chat; None where nothing prices the target."""
        known = self._known.get(id(target))
        if known is not None and known.target is target and known.since_s <= at_s < known.until_s:
            return known.price
        since, until, version = self._stated(target, at_s)
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[id(target)] = _Known(target, since, until, version)
        return version

    def _vendors(self, target: Target, at_s: int) -> PriceVersion:
        """The price of an endpoint that the vendor gives away: 0, but for what the admin or the operator says."""
        stated = self.find(target, at_s)
        if stated is not None and stated.source != CATALOGUE:
            return stated
        known = self._free.get(id(target))
        if known is None or known[0] is not target:
            if len(self._free) >= MAX_KNOWN:
                self._free.clear()
            known = self._free[id(target)] = target, free_price(target.host.name, target.model)
        return known[1]

    def _stated(self, target: Target, at_s: int) -> tuple[int, int, PriceVersion | None]:
        """From when, until when, and what."""
        since, until = -_EVER, _EVER
        current: PriceVersion | None = None
        for version in self._admin.get((target.host.name, target.model), ()):
            if version.effective_from > at_s:
                until = version.effective_from
                break
            current, since = version, version.effective_from
        return since, until, current or self._unset(target)

    def _unset(self, target: Target) -> PriceVersion | None:
        """The price of a target for which no admin has set one."""
        host, facts = target.host, target.facts
        listed = None
        if facts is not None and (facts.prices_from == CONFIG or not facts.unstated_prices):
            listed = make_price(host.name, target.model, facts.prices, source=facts.prices_from, tiers=facts.tiers)
        if listed is not None and (listed.source == CONFIG or not host.free):
            return listed
        half = listed is None and facts is not None and facts.prices_from == CONFIG  # too little to charge by
        free = is_loopback(host.base_url) and not half if host.free is None else host.free
        if not (free or self._unpriced == "free"):
            return None
        # Clients invent models on open hosts, and a version is for ever: all that nobody knows share one.
        return free_price(host.name, target.model if target.facts is not None else EVERY_MODEL)


def unpriced_text(target: Target) -> str:
    """What an operator has to do about a target without a price."""
    return (
        f"The model '{target.id}' has no price here, and nothing said that it is free. The operator sets one with "
        f'[providers.{target.host.name}.models."{target.model}"] input_usd_per_1m and output_usd_per_1m, or by '
        f"`tollhouse prices set`, or says [providers.{target.host.name}] free = true."
    )
