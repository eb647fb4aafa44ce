"""A circuit breaker: it stops asking what does not answer, and finds out by single requests when it does again.

Used by `routing.health`: one for each model at a host, one for each host's connections, one for each key.

Theory of operation
-------------------
Closed: every request passes. It opens after so many failures in a row, or when more than a share of the last answers
failed; answers are forgotten after a silence, for an old failure says nothing of now. Open: none passes, for a time
that doubles with each failed probe up to a cap, with jitter, so that replicas do not probe in step. Then half open: one
request at a time passes as a probe; a failure opens it again, enough successes in a row close it. A probe that tells
nothing (the client left, its request was wrong) only frees the place. A probe that never ends frees its place after
``PROBE_S``, so that no circuit stays shut for ever.
"""

from typing import Final

from tollhouse.settings.routing import Routing
from tollhouse.types.values import Value

PROBE_S: Final = 15.0
"""After this, another probe may go beside one that has not ended: an answer may take long, and be fine."""
_JITTER: Final = 0.2
"""The time open varies by a fifth either way."""


class BreakerRules(Value, frozen=True):
    """When a circuit opens and closes. Times are seconds."""

    failures: int
    ratio: float
    samples: int
    window_s: float
    open_s: float
    open_max_s: float
    probes: int


def service_rules(routing: Routing) -> BreakerRules:
    """For a model at a host, and for a host's connections."""
    return BreakerRules(
        failures=routing.breaker_failures,
        ratio=routing.breaker_ratio,
        samples=routing.breaker_samples,
        window_s=routing.breaker_window_s,
        open_s=routing.breaker_open_s,
        open_max_s=routing.breaker_open_max_s,
        probes=routing.breaker_probes,
    )


def key_rules(routing: Routing) -> BreakerRules:
    """For a key that its host refuses: the first refusal says all."""
    return BreakerRules(1, 1.0, 2, routing.breaker_window_s, routing.key_bad_s, routing.key_bad_s, 1)


class Breaker:
    """One circuit. ``state`` is what it was last; ask `admits` whether a request passes now."""

    __slots__ = (
        *("_bits", "_ended_at", "_in_row", "_probe_at", "_seen", "_successes", "_times_open"),
        *("open_until", "state"),
    )

    def __init__(self) -> None:
        self.state = "closed"
        """``closed``, ``open``, or ``half_open``."""
        self.open_until = 0.0
        self._in_row = 0
        self._bits = 0
        """The last answers, a set bit for a failure, the newest lowest."""
        self._seen = 0
        self._ended_at = 0.0
        self._times_open = 0
        self._successes = 0
        self._probe_at: float | None = None

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._in_row

    @property
    def times_open(self) -> int:
        """How many times it has opened since it was last closed."""
        return self._times_open

    def admits(self, now: float) -> bool:
        """Whether a request may pass now. Changes nothing."""
        if self.state == "closed":
            return True
        if now < self.open_until:
            return False
        return self._probe_at is None or now >= self._probe_at + PROBE_S

    def enter(self, now: float) -> bool:
        """Lets a request through if one may pass: true, with the place of the probe taken where there is one."""
        if self.state == "closed":
            return True
        if not self.admits(now):
            return False
        self.state = "half_open"
        self._probe_at = now
        return True

    def leave(self) -> None:
        """The probe ended and told nothing: its place is free."""
        self._probe_at = None

    def succeed(self, now: float, rules: BreakerRules, *, probe: bool = False) -> bool:
        """A request that passed was answered. True where that closed the circuit. ``probe`` is whether it was one."""
        if self.state == "closed":
            if self._bits:
                self._note(now, rules, failed=False)
                return False
            if now - self._ended_at > rules.window_s:  # nothing but successes so far: there is one more
                self._seen = 1
            elif self._seen < rules.samples:
                self._seen += 1
            self._ended_at = now
        elif probe and self.state == "half_open":  # any other passed before the circuit opened
            self._probe_at = None
            self._successes += 1
            if self._successes >= rules.probes:
                self._close()
                return True
        return False

    def fail(self, now: float, rules: BreakerRules, draw: float, *, probe: bool = False) -> bool:
        """A request that passed failed. True where that opened the circuit. ``draw``, from [0, 1), is its jitter."""
        if self.state == "closed":
            self._note(now, rules, failed=True)
            if not self._is_over(rules):
                return False
        elif not probe or self.state == "open":
            return False
        self._open(now, rules, draw)
        return True

    def _note(self, now: float, rules: BreakerRules, *, failed: bool) -> None:
        if now - self._ended_at > rules.window_s:
            self._bits = self._seen = self._in_row = 0
        self._ended_at = now
        self._bits = ((self._bits << 1) | failed) & ((1 << rules.samples) - 1)
        self._seen = min(self._seen + 1, rules.samples)
        self._in_row = self._in_row + 1 if failed else 0

    def _is_over(self, rules: BreakerRules) -> bool:
        if self._in_row >= rules.failures:
            return True
        return self._seen >= rules.samples and self._bits.bit_count() > rules.ratio * rules.samples

    def _open(self, now: float, rules: BreakerRules, draw: float) -> None:
        waits = min(rules.open_s * 2.0 ** min(self._times_open, 16), max(rules.open_max_s, rules.open_s))
        self.state = "open"
        self._probe_at = None
        self.open_until = now + waits * (1.0 - _JITTER + 2.0 * _JITTER * draw)
        self._times_open += 1
        self._successes = 0

    def _close(self) -> None:
        self.state = "closed"
        self._probe_at = None
        self._bits = self._seen = self._in_row = self._times_open = self._successes = 0
