"""How fast a target answers: a peak-sensitive average for choosing, and a quantile for hedging. Bounded memory.

The average is Finagle's peak EWMA: it jumps to a slower answer at once and forgets it over ``decay_s``, also while no
request comes, so that a target that was slow once is tried again. The cost of a target is that average times the
requests under way there, itself included; of two drawn at random the cheaper is taken (Mitzenmacher's power of two
choices), which keeps a herd from one target.
"""

from math import exp
from typing import Final

KEPT: Final = 128
"""First-token times remembered for the quantile."""
_STEP: Final = 8
"""The quantile is worked out again after so many answers."""
UNKNOWN_S: Final = 1e-6
"""What a target of which nothing is known costs: it is tried, until requests wait there."""
_PENALTY_S: Final = 1000.0


class PeakEwma:
    """Seconds to the first token."""

    __slots__ = ("_cost_s", "_stamp")

    def __init__(self) -> None:
        self._cost_s = 0.0
        self._stamp = 0.0

    def observe(self, now: float, took_s: float, decay_s: float) -> None:
        """One more answer."""
        if took_s > self._cost_s:
            self._cost_s = took_s
        else:
            kept = exp(-max(now - self._stamp, 0.0) / decay_s)
            self._cost_s = self._cost_s * kept + took_s * (1.0 - kept)
        self._stamp = now

    def latency_s(self, now: float, decay_s: float) -> float:
        """The average as it is now; near 0 where nothing is known, or all is forgotten."""
        return self._cost_s * exp(-max(now - self._stamp, 0.0) / decay_s) if self._cost_s else 0.0

    def cost(self, now: float, decay_s: float, in_flight: int) -> float:
        """What one more request costs beside those under way. A target that is not known gets one at a time."""
        latency_s = self.latency_s(now, decay_s)
        if latency_s < UNKNOWN_S:
            return _PENALTY_S * in_flight if in_flight else UNKNOWN_S
        return latency_s * (in_flight + 1)


class FirstTokens:
    """The last first-token times, and a quantile of them."""

    __slots__ = ("_cached", "_cached_for", "_times", "seen")

    def __init__(self) -> None:
        self._times: list[float] = []
        self.seen = 0
        self._cached = 0.0
        self._cached_for = (-1, 0.0)

    def add(self, took_s: float) -> None:
        """One more answer."""
        if len(self._times) < KEPT:
            self._times.append(took_s)
        else:
            self._times[self.seen % KEPT] = took_s
        self.seen += 1

    def quantile_s(self, share: float) -> float:
        """The time that ``share`` of them took at most, by nearest rank; 0 where there are none."""
        if not self._times:
            return 0.0
        due = (self.seen if self.seen < KEPT else self.seen // _STEP, share)
        if due != self._cached_for:
            ordered = sorted(self._times)
            self._cached = ordered[min(int(share * len(ordered)), len(ordered) - 1)]
            self._cached_for = due
        return self._cached
