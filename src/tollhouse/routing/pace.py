"""How often and how soon upstream hosts are asked again: budgets, backoff, and cooling down.

Used by `routing.health` and `routing.course`. Budgets keep retries from multiplying a storm: those of the last seconds
stay under a share of the requests of the same seconds (Finagle's RetryBudget, Envoy's retry budget), or under a fixed
rate where there are few requests; the two are not added up.
"""

from typing import Final

from tollhouse.errors import UpstreamFault

_BUCKETS: Final = 10


class Budget:
    """How many extra requests may be sent: a sliding window of ten buckets."""

    __slots__ = ("_at", "_base", "_bucket_s", "_extra", "_rate", "_ratio", "refused", "spent")

    def __init__(self, ratio: float, rate: float, window_s: float) -> None:
        """``ratio`` of extra requests to requests; ``rate`` of them a second in any case."""
        self._base = [0] * _BUCKETS
        self._extra = [0] * _BUCKETS
        self._at = 0
        self.spent = 0
        """Extra requests allowed so far."""
        self.refused = 0
        self.tune(ratio, rate, window_s)

    def tune(self, ratio: float, rate: float, window_s: float) -> None:
        """Takes new constants; what was counted stays."""
        self._ratio = ratio
        self._rate = rate
        self._bucket_s = window_s / _BUCKETS

    def deposit(self, now: float) -> None:
        """A request of a client's is sent upstream for the first time."""
        if int(now / self._bucket_s) != self._at:
            self._turn(now)
        self._base[self._at % _BUCKETS] += 1

    def withdraw(self, now: float) -> bool:
        """Whether an extra request may be sent; counted where it may."""
        self._turn(now)
        if sum(self._extra) < self.allowance():
            self._extra[self._at % _BUCKETS] += 1
            self.spent += 1
            return True
        self.refused += 1
        return False

    def allowance(self) -> float:
        """How many extra requests the present window may hold."""
        return max(self._rate * self._bucket_s * _BUCKETS, self._ratio * sum(self._base))

    def _turn(self, now: float) -> None:
        """Empties the buckets that have fallen out of the window."""
        at = int(now / self._bucket_s)
        if at <= self._at:  # a clock that stands still, or constants that changed
            if self._at - at > _BUCKETS:
                self._at = at
            return
        for step in range(min(at - self._at, _BUCKETS)):
            index = (at - step) % _BUCKETS
            self._base[index] = self._extra[index] = 0
        self._at = at


class Cooldown:
    """How long one key is spared at one model after a 429."""

    __slots__ = ("_in_row", "until")

    def __init__(self) -> None:
        self.until = 0.0
        self._in_row = 0

    def start(self, now: float, retry_after_s: float | None, base_s: float, max_s: float) -> None:
        """The host's own word counts, up to ``max_s``; without one the wait doubles from ``base_s``."""
        if retry_after_s is None or retry_after_s <= 0:
            retry_after_s = base_s * 2.0 ** min(self._in_row, 16)
        if now >= self.until:  # the answers of requests under way are one event, not many
            self._in_row += 1
        self.until = max(self.until, now + min(retry_after_s, max_s))

    def succeed(self) -> None:
        """It answers again."""
        self._in_row = 0


def backoff_s(attempt: int, base_s: float, max_s: float, draw: float) -> float:
    """The wait before retry ``attempt`` (0 is the first): full jitter, as Brooker's Exponential Backoff and Jitter."""
    return draw * min(max_s, base_s * 2.0 ** min(attempt, 30))


def retry_after_s(fault: UpstreamFault) -> float | None:
    """How long a host asks to be left alone; None where it says nothing that can be used."""
    text = fault.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
