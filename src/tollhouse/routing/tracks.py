"""What is remembered of one upstream host: its connections, its keys, and each model's health. Used by `health`.

Scopes, from the wide to the narrow. A host that takes no connection is down for all its models: one circuit for the
host. An answer that is a failure is the model's: one circuit for each (host, model), for a host's other models may be
well. A refused key, or one whose account is empty, is the key's: one circuit for each (host, slot). A rate limit is a
key's at one model, for vendors count by both: one cooldown for each (host, slot, model).
"""

from math import inf
from typing import Final

from tollhouse.routing.breaker import Breaker
from tollhouse.routing.latency import FirstTokens, PeakEwma
from tollhouse.routing.pace import Cooldown
from tollhouse.settings.routing import Routing
from tollhouse.types.values import Value


class Speed:
    """First-token times of one kind of request."""

    __slots__ = ("average", "recent")

    def __init__(self) -> None:
        self.average = PeakEwma()
        self.recent = FirstTokens()


class Track:
    """One model at one host."""

    __slots__ = (
        *("_bits", "_seen", "_times_ejected", "answers", "breaker", "ejected_until", "failures", "in_flight"),
        *("last_fault", "stream", "used_at", "whole"),
    )

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.stream = Speed()
        self.whole = Speed()
        """Answers that are not streamed: their first byte is their last."""
        self.in_flight = 0
        self.answers = 0
        self.failures = 0
        self.last_fault = ""
        """The outcome that failed last."""
        self.used_at = 0.0
        self.ejected_until = 0.0
        self._times_ejected = 0
        self._bits = 0
        self._seen = 0

    def note(self, now: float, routing: Routing, *, failed: bool) -> bool:
        """Counts an answer. True where the target is put behind the others from now on: too many of the last failed.

        While the circuit is not closed that is its business alone, and it ends with a clean slate: a target that has
        come back is not kept waiting for what it did before.
        """
        self.answers += 1
        self.failures += failed
        if self.breaker.state != "closed":
            self._bits = self._seen = 0
            return False
        if now < self.ejected_until:
            return False
        if not failed and not self._bits:  # nothing but successes so far: there is one more
            self._seen += 1
            return False
        samples = routing.breaker_samples
        self._bits = ((self._bits << 1) | failed) & ((1 << samples) - 1)
        self._seen += 1
        if self._seen < samples or self._bits.bit_count() <= routing.ejection_ratio * samples:
            return False
        if now - self.ejected_until > routing.ejection_max_s:
            self._times_ejected = 0
        self._times_ejected += 1
        self.ejected_until = now + min(routing.ejection_s * self._times_ejected, routing.ejection_max_s)
        self._bits = self._seen = 0
        return True


class KeyState:
    """One key of a host."""

    __slots__ = ("breaker", "fingerprint", "in_flight", "why")

    def __init__(self, fingerprint: int) -> None:
        self.breaker = Breaker()
        self.in_flight = 0
        self.fingerprint = fingerprint
        self.why = ""
        """``auth`` or ``quota``: what opened it."""


class HostState:
    """One host. ``troubled_until`` is when the last known trouble of anything here ends: until then, look closer."""

    __slots__ = ("breaker", "cooldowns", "keys", "tracks", "troubled_until")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.tracks: dict[str, Track] = {}
        self.keys: dict[int, KeyState] = {}
        self.cooldowns: dict[tuple[int, str], Cooldown] = {}
        self.troubled_until = 0.0

    def trouble(self, until: float = inf) -> None:
        """Something here is not well until then; a circuit, until it is closed."""
        self.troubled_until = max(self.troubled_until, until)

    def recover(self, now: float) -> None:
        """A circuit was closed: works out anew what trouble is left."""
        left = [cooldown.until for cooldown in self.cooldowns.values()]
        left += [track.ejected_until for track in self.tracks.values()]
        circuits = [self.breaker, *[track.breaker for track in self.tracks.values()]]
        circuits += [key.breaker for key in self.keys.values()]
        shut = any(circuit.state != "closed" for circuit in circuits)
        self.troubled_until = inf if shut else max(left, default=now)

    def forget_idle(self, before: float) -> None:
        """Drops what has not been used since then and is not in use."""
        self.tracks = {m: track for m, track in self.tracks.items() if track.in_flight or track.used_at >= before}
        self.cooldowns = {key: each for key, each in self.cooldowns.items() if key[1] in self.tracks}


class Trouble(Value, frozen=True):
    """Why a target is not asked now, or only behind others, or as a probe.

    ``code``: ``host_down``, ``circuit_open``, ``key_refused``, ``key_empty``, ``cooling``, ``ejected`` or ``probe``.
    ``until`` is on the clock of the request.
    """

    code: str
    until: float
    detail: str = ""

    @property
    def blocks(self) -> bool:
        """Whether nothing may be sent there."""
        return self.code not in _PASSABLE


_PASSABLE: Final = frozenset({"ejected", "probe"})


class TargetView(Value, frozen=True):
    """What is known of one model at one host, for people and metrics. Times are seconds; ``0`` where unknown."""

    host: str
    model: str
    state: str
    """``closed``, ``open`` or ``half_open``."""
    ejected: bool
    open_for_s: float
    times_open: int
    in_flight: int
    answers: int
    failures: int
    failures_in_row: int
    last_fault: str
    latency_s: float
    p95_s: float
    """Of first tokens, streamed answers; the share is [routing] hedge_percentile."""


class KeyView(Value, frozen=True):
    """What is known of one key of a host."""

    host: str
    slot: int
    state: str
    """``ok``, ``refused``, ``empty`` (its account), or ``cooling`` (at one model at least)."""
    for_s: float
    in_flight: int
    cooling: tuple[tuple[str, float], ...]
    """Models it waits for, and how many seconds."""
