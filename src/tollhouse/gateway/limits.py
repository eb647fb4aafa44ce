"""Requests per minute, tokens per minute and concurrency: of each key, and of each key at each model.

Theory of operation
-------------------
`Limits.admit` is called as soon as the key is known, before the body is read, and takes a request and a slot of the
key. It returns a `Lease`. `Lease.reserve` is called once model and size are known, and takes what the rest of the
limits ask for. Each looks at every limit first and takes only when all agree; nothing here awaits, so nothing comes
between. A refusal takes nothing, and what `admit` took for a request that `reserve` refuses is given back to the last
unit: whoever is refused can neither use up a limit nor keep it used up.

Tokens are reserved by estimate. `Lease.correct` puts what was really used in the place of the estimate, in the minute
in which the request was admitted; what goes beyond the estimate when that minute is over counts now. Used up limits
refuse what comes next, never what runs.

A slot is the lease itself, in the set of those that run; `leave` takes it out, however often it is called. Should a
request ever end without that, `sweep` drops the lease once it is older than any request can be, and counts it.

Limits come from the tier of the key. A reload changes the limits of minutes that go on, and what was used stays used.
A tier of no limits costs a dictionary lookup. Soft limits refuse nothing; going over one is counted and flagged.
"""

import time
from collections.abc import Callable
from typing import Final

from tollhouse.errors import Fault, RateLimited
from tollhouse.gateway.scopes import Scope, lines, pairs, reasons
from tollhouse.gateway.windows import UNBOUND, Cell, Window
from tollhouse.settings.keys import Settings
from tollhouse.settings.tiers import strictest
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.tenancy import Principal, Rates, Tier

_SECOND_NS: Final = 10**9
_MARGIN_S: Final = 60.0
_KEYS_PER_SWEEP: Final = 1000
_NO_RATES: Final = Rates()
_NO_CELLS: Final[tuple[Cell | None, Cell | None]] = (None, None)


class _Key:
    """One key with a tier that limits it."""

    __slots__ = ("models", "narrow", "own", "tier")

    def __init__(self, tier: Tier) -> None:
        self.models: dict[str, Scope] = {}
        self.own = Scope(tier.rates)
        self.bind(tier)

    def bind(self, tier: Tier) -> None:
        """Puts a tier in force, for the minutes that go on too."""
        self.tier = tier
        self.narrow = tier.per_model != _NO_RATES or bool(tier.models)
        self.own.bind(tier.rates)
        for name, scope in self.models.items():
            scope.bind(tier.models.get(name, tier.per_model))

    def at(self, model: str) -> Scope | None:
        """The limits of this key at a model; None where it has none of its own."""
        if not self.narrow:
            return None
        scope = self.models.get(model)
        if scope is None and (rates := self.tier.models.get(model, self.tier.per_model)) != _NO_RATES:
            scope = self.models[model] = Scope(rates, model)
        return scope


class Lease:
    """One admitted request: a slot, and what it counts for in the minute of its admission."""

    __slots__ = ("_cells", "_key", "_limits", "_model", "_model_cells", "admitted_at", "soft", "tokens")

    def __init__(self, limits: "Limits", key: _Key, now: int) -> None:
        self._limits = limits
        self._key = key
        self._model: Scope | None = None
        self.admitted_at = now
        self.tokens = 0
        """What is reserved, then what was used."""
        self.soft: tuple[str, ...] = ()
        """The soft limits this request went over."""
        self._cells = self._enter(key.own, now)
        self._model_cells: tuple[Cell | None, Cell | None] = _NO_CELLS

    def _enter(self, scope: Scope, now: int) -> tuple[Cell | None, Cell | None]:
        """Takes a request and a slot of a scope."""
        scope.slots.add(self)
        window = scope.requests
        if window is None:
            return _NO_CELLS
        cell = window.add(now, 1)
        if window.used > window.limit:  # only a soft limit lets that happen here
            self._flag("requests")
        return cell, None

    def reserve(self, model: str, tokens: int) -> None:
        """Takes the tokens of a request, by estimate, and its place at a model. Raises `RateLimited`, having given
        everything back.
        """
        now = self._limits.now()
        own, scope = self._key.own, self._key.at(model)
        window = own.tokens
        if (window is not None and window.room(now) < tokens) or (scope is not None and not scope.fits(now, tokens)):
            self.withdraw()
            raise self._limits.refusal(self._key.tier, (own,) if scope is None else (own, scope), now, tokens)
        self.tokens = tokens
        if window is not None:
            self._cells = self._cells[0], self._spend(window, now, tokens)
        if scope is not None:
            self._model = scope
            cells = self._enter(scope, now)
            window = scope.tokens
            self._model_cells = cells if window is None else (cells[0], self._spend(window, now, tokens))

    def _spend(self, window: Window, now: int, tokens: int) -> Cell:
        cell = window.add(now, tokens)
        if window.used > window.limit:
            self._flag("tokens")
        return cell

    def correct(self, tokens: int) -> None:
        """Puts what was used in the place of what was reserved. May be called again as more becomes known."""
        more = tokens - self.tokens
        if not more:
            return
        self.tokens = tokens
        now = self._limits.now()
        self._shift(self._key.own, self._cells[1], more, now)
        if self._model is not None:
            self._shift(self._model, self._model_cells[1], more, now)

    def _shift(self, scope: Scope, cell: Cell | None, more: int, now: int) -> None:
        window = scope.tokens
        if window is None:
            return
        window.room(now)
        if cell is not None and cell.window is window:
            window.change(cell, more)
        elif more > 0:
            window.add(now, more)
        if more > 0 and window.soft and window.used > window.limit:
            self._flag("tokens")

    def leave(self) -> None:
        """Gives the slot back. What was counted stays counted."""
        self._key.own.slots.discard(self)
        if self._model is not None:
            self._model.slots.discard(self)

    def withdraw(self) -> None:
        """Gives everything back: the request was refused after all."""
        self.leave()
        self._take_back(self._cells)
        self._take_back(self._model_cells)
        self._cells = self._model_cells = _NO_CELLS
        self.tokens = 0

    def _take_back(self, cells: tuple[Cell | None, Cell | None]) -> None:
        for cell, amount in zip(cells, (1, self.tokens), strict=True):
            if cell is not None and cell.window is not None:
                cell.window.change(cell, -amount)

    def _flag(self, dimension: str) -> None:
        if dimension not in self.soft:
            self.soft += (dimension,)
            self._limits.metrics.counts["tollhouse_soft_limit_exceeded", self._key.tier.name, dimension] += 1

    def headers(self) -> str:
        """The ``x-ratelimit-*`` lines as of now, each ended by CRLF; empty where there are no limits."""
        text = lines(self._scopes(), self._limits.now())
        return f"{text}x-tollhouse-soft-limit: {', '.join(self.soft)}\r\n" if self.soft else text

    def tell(self, fault: Fault) -> None:
        """Adds the same headers to an error's."""
        fault.headers |= pairs(self._scopes(), self._limits.now())

    def _scopes(self) -> tuple[Scope, ...]:
        return (self._key.own,) if self._model is None else (self._key.own, self._model)


class _Free(Lease):
    """The lease of every request without limits."""

    __slots__ = ()

    def __init__(self) -> None:
        self.admitted_at = self.tokens = 0
        self.soft = ()

    def reserve(self, model: str, tokens: int) -> None:
        """Takes nothing."""

    def correct(self, tokens: int) -> None:
        """Counts nothing."""

    def leave(self) -> None:
        """Has nothing to give back."""

    def withdraw(self) -> None:
        """Has nothing to give back."""

    def headers(self) -> str:
        """No limit, no header."""
        return ""

    def tell(self, fault: Fault) -> None:
        """Says nothing."""


FREE: Final = _Free()


class Limits:
    """Every key's limits. ``now`` is a monotonic clock in integer nanoseconds."""

    def __init__(self, settings: Settings, metrics: Metrics, now: Callable[[], int] = time.monotonic_ns) -> None:
        self.metrics = metrics
        self.now = now
        self.alert: Callable[[str], None] = lambda _tier: None
        """Called once with each tier that a key has and the configuration has not."""
        self._keys: dict[str, _Key] = {}
        self._round: list[str] = []
        self._tiers: dict[str | None, Tier | None] = {}
        """By name, and under None the default; None for a tier that limits nothing."""
        self._longest_ns = 0
        self._settings: Settings | None = None
        self.follow(settings)

    def follow(self, settings: Settings) -> None:
        """Puts the tiers of these settings in force, now for those that come and for minutes that go on. May be called
        again with the same.
        """
        if settings is self._settings:
            return
        self._settings = settings
        tiers = settings.tiers
        default = tiers.get(settings.limits.default_tier, Tier("default"))
        self._absent = default if settings.limits.default_tier else strictest(tiers)
        self._tiers = {None: _unless_free(default)}
        self._tiers.update({name: _unless_free(tier) for name, tier in tiers.items()})
        self._longest_ns = int(longest_request_s(settings) * _SECOND_NS)

    def admit(self, principal: Principal) -> Lease:
        """Takes a request and a slot of the caller's key. Raises `RateLimited`, taking nothing."""
        try:
            tier = self._tiers[principal.tier]
        except KeyError:
            tier = self._stand_in(principal.tier)
        if tier is None:
            return FREE
        key = self._keys.get(principal.key_id)
        if key is None:
            key = self._keys[principal.key_id] = _Key(tier)
        elif key.tier is not tier:
            key.bind(tier)
        now = self.now()
        if not key.own.fits(now, 0):
            raise self.refusal(tier, (key.own,), now, 0)
        return Lease(self, key, now)

    def _stand_in(self, name: str | None) -> Tier | None:
        """The tier of keys whose own the configuration does not have: an operator's slip opens nothing."""
        tier = self._tiers[name] = _unless_free(self._absent)
        self.alert(name or "")
        return tier

    def refusal(self, tier: Tier, scopes: tuple[Scope, ...], now: int, tokens: int) -> RateLimited:
        """The fault that tells which limit will refuse this request the longest, and when it will not."""
        wait_ns, dimension, rest = max([reason for scope in scopes for reason in reasons(scope, now, tokens)])
        self.metrics.counts["tollhouse_rate_limited", tier.name, dimension] += 1
        headers = pairs(scopes, now)
        if wait_ns == UNBOUND:
            headers["x-should-retry"] = "false"
            return RateLimited(f"Request too large{rest}.", dimension=dimension, headers=headers)
        wait_s = max(1, -(-wait_ns // _SECOND_NS))
        headers["retry-after"] = str(wait_s)
        message = f"Rate limit reached{rest}. Please try again in {wait_s}s."
        return RateLimited(message, dimension=dimension, headers=headers)

    def sweep(self) -> None:
        """Drops leases that are older than any request can be, and what is no longer needed of keys that are idle.
        Called about once a second; looks at `_KEYS_PER_SWEEP` keys.
        """
        now = self.now()
        if not self._round:
            self._round = list(self._keys)
        for name in self._round[-_KEYS_PER_SWEEP:]:
            key = self._keys.get(name)
            if key is None:
                continue
            for lease in [lease for lease in key.own.slots if now - lease.admitted_at > self._longest_ns]:
                lease.leave()
                self.metrics.counts["tollhouse_slots_expired",] += 1
            key.models = {model: scope for model, scope in key.models.items() if not scope.idle(now)}
            if not key.models and key.own.idle(now):
                del self._keys[name]
        del self._round[-_KEYS_PER_SWEEP:]

    @property
    def slots(self) -> int:
        """How many requests of keys with limits run."""
        return sum([len(key.own.slots) for key in self._keys.values()])


def _unless_free(tier: Tier) -> Tier | None:
    limited = tier.rates != _NO_RATES or tier.per_model != _NO_RATES or tier.models
    return tier if limited else None


def longest_request_s(settings: Settings) -> float:
    """Longer than any request can be served: its body, every attempt, and a client that reads slowly."""
    waits = [settings.timeouts, *(host.timeouts for host in settings.providers.values())]
    attempts_s = settings.upstream.max_attempts * max(wait.total_s for wait in waits)
    return settings.server.body_timeout_s + attempts_s + settings.server.write_timeout_s + _MARGIN_S
