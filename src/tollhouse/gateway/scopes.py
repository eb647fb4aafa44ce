"""What binds one key, or one key at one model: the last minutes, the slots, and how a refusal reads.

`gateway.limits` keeps a `Scope` for each and decides by it. Nothing here raises and nothing here keeps time.
"""

from collections.abc import Iterator
from typing import Protocol

from tollhouse.gateway.windows import UNBOUND, Window, go_duration
from tollhouse.types.tenancy import Rates


class Slot(Protocol):
    """One request that runs."""

    admitted_at: int

    def leave(self) -> None:
        """Takes itself out of every scope."""


class Scope:
    """The limits of one key, or of one key at one model, with their last minutes and the requests that run."""

    __slots__ = ("concurrent", "model", "rates", "requests", "slots", "tokens")

    def __init__(self, rates: Rates, model: str = "") -> None:
        self.model = model
        self.requests: Window | None = None
        self.tokens: Window | None = None
        self.slots: set[Slot] = set()
        self.bind(rates)

    def bind(self, rates: Rates) -> None:
        """Puts these limits in force."""
        self.rates = rates
        self.concurrent = UNBOUND if rates.concurrent is None else rates.concurrent
        self.requests = _bound(self.requests, "requests", rates.requests_per_minute, soft="requests" in rates.soft)
        self.tokens = _bound(self.tokens, "tokens", rates.tokens_per_minute, soft="tokens" in rates.soft)

    def fits(self, now: int, tokens: int) -> bool:
        """Whether one more request of this size is within every limit."""
        return (
            len(self.slots) < self.concurrent
            and ((requests := self.requests) is None or requests.room(now) >= 1)
            and ((window := self.tokens) is None or window.room(now) >= tokens)
        )

    def idle(self, now: int) -> bool:
        """Whether nothing is remembered that a limit could need."""
        for window in (self.requests, self.tokens):
            if window is not None:
                window.room(now)
                if window.used:
                    return False
        return not self.slots


def _bound(window: Window | None, dimension: str, limit: int | None, *, soft: bool) -> Window | None:
    if limit is None:
        return None
    if window is None:
        window = Window(limit, soft=soft)
    else:
        window.set_limit(limit, soft=soft)
    window.before_remaining = f"x-ratelimit-limit-{dimension}: {limit}\r\nx-ratelimit-remaining-{dimension}: "
    window.before_reset = f"\r\nx-ratelimit-reset-{dimension}: "
    return window


def reasons(scope: Scope, now: int, tokens: int) -> Iterator[tuple[int, str, str]]:
    """Every limit of a scope that refuses a request of this size: for how many nanoseconds, its dimension, and the
    middle of the sentence that tells it. `UNBOUND` stands for ever.
    """
    where = f" for {scope.model}" if scope.model else ""
    running = len(scope.slots)
    if running >= scope.concurrent:
        yield 0, "concurrency", f"{where}: {scope.concurrent} requests at once, {running} running"
    for dimension, window, asked in (("requests", scope.requests, 1), ("tokens", scope.tokens, tokens)):
        if window is None or window.room(now) >= asked:
            continue
        if asked > window.bound:
            yield UNBOUND, dimension, f"{where}: limit {window.limit} {dimension} per minute, requested {asked}"
        else:
            used = f"limit {window.limit} {dimension} per minute, used {window.used}"
            yield window.wait(now, asked), dimension, f"{where}: {used}" + (f", requested {asked}" if asked else "")


def lines(scopes: tuple[Scope, ...], now: int) -> str:
    """OpenAI's headers for the limits per minute that refuse, each line ended by CRLF. Of a key's and a model's, those
    that leave less are shown.
    """
    requests, tokens = scopes[0].requests, scopes[0].tokens
    for scope in scopes[1:]:
        requests, tokens = _tighter(requests, scope.requests, now), _tighter(tokens, scope.tokens, now)
    return _lines(requests, now) + _lines(tokens, now)


def _tighter(one: Window | None, other: Window | None, now: int) -> Window | None:
    """Of two limits the one that leaves less; one that refuses nothing leaves more than any that does."""
    if one is None or (other is not None and other.room(now) < one.room(now)):
        return other
    return one


def _lines(window: Window | None, now: int) -> str:
    if window is None or window.bound == UNBOUND:
        return ""
    remaining, reset = max(0, window.room(now)), go_duration(window.reset(now))
    return f"{window.before_remaining}{remaining}{window.before_reset}{reset}\r\n"


def pairs(scopes: tuple[Scope, ...], now: int) -> dict[str, str]:
    """The same headers by name."""
    return dict([line.split(": ", 1) for line in lines(scopes, now).splitlines()])
