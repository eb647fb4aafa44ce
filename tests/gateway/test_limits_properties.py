"""Limits under any history: an independent log decides what may pass, and every header and wait is put to the test."""

import copy
from itertools import pairwise

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.gateway.limits_kit import MINUTE, Clock, caller, settings, shown
from tollhouse.errors import RateLimited
from tollhouse.gateway.limits import Lease, Limits, _Key
from tollhouse.gateway.windows import QUANTUM_NS
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.tenancy import Rates, Tier

pytestmark = pytest.mark.interpreted

KEYS, MODELS = ("key_1", "key_2"), ("a", "b")
LIMIT = st.one_of(st.none(), st.integers(1, 6))
SIZE = st.one_of(st.none(), st.integers(1, 60))
RATES = st.builds(Rates, LIMIT, SIZE, LIMIT)
TIERS = st.builds(Tier, st.just("t"), RATES, st.one_of(st.just(Rates()), RATES))
GAPS = st.one_of(
    st.integers(0, 2 * QUANTUM_NS),
    st.integers(0, MINUTE + MINUTE // 2),
    st.sampled_from([MINUTE, MINUTE - 1, MINUTE + 1, QUANTUM_NS]),
)


class Entry:
    """One admission as the oracle saw it."""

    def __init__(self, at: int, key: str, model: str, tokens: int) -> None:
        self.at, self.key, self.model, self.tokens = at, key, model, tokens
        self.running = True


class LimitsMachine(RuleBasedStateMachine):
    """Admissions, corrections and departures at any moment, against a plain log."""

    @initialize(tier=TIERS)
    def begin(self, tier: Tier) -> None:
        """One tier for all."""
        self.tier = tier
        self.clock = Clock()
        self.limits = Limits(settings(tier), Metrics(), self.clock.now)
        self.log: list[tuple[Entry, Lease]] = []

    @rule(gap=GAPS)
    def wait(self, gap: int) -> None:
        """Time goes by, and the housekeeping with it."""
        self.clock.ns += gap
        self.limits.sweep()

    @rule(key=st.sampled_from(KEYS), model=st.sampled_from(MODELS), tokens=st.integers(0, 70))
    def ask(self, key: str, model: str, tokens: int) -> None:
        """A request arrives whole."""
        before = self._told(key, model)
        if self._allowed(key, model, tokens):
            lease = self.limits.admit(caller(key=key))
            lease.reserve(model, tokens)
            self.log.append((Entry(self.clock.ns, key, model, tokens), lease))
            return
        with pytest.raises(RateLimited) as caught:
            self.limits.admit(caller(key=key)).reserve(model, tokens)
        assert self._told(key, model) == before, "a refusal took something"
        self._judge_wait(caught.value, key, model, tokens)

    @precondition(lambda self: self.log)
    @rule(data=st.data(), share=st.integers(0, 100))
    def finish(self, data: st.DataObject, share: int) -> None:
        """A request ends, having used at most what was reserved."""
        entry, lease = data.draw(st.sampled_from(self.log))
        if entry.running:
            tokens = entry.tokens * share // 100
            lease.correct(tokens)
            if entry.at > self.clock.ns - MINUTE:
                entry.tokens = tokens
            lease.leave()
            entry.running = False

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        """A request is refused after all, by somebody else."""
        entry, lease = data.draw(st.sampled_from(self.log))
        if entry.running:
            lease.withdraw()
            self.log = [pair for pair in self.log if pair[0] is not entry]

    @invariant()
    def no_minute_is_over(self) -> None:
        """What was admitted is within every limit, in every minute there is."""
        for key in KEYS:
            own = [entry for entry, _ in self.log if entry.key == key]
            self._judge_minutes(own, self.tier.rates)
            for model in MODELS:
                self._judge_minutes([entry for entry in own if entry.model == model], self.tier.per_model)

    def _judge_minutes(self, log: list[Entry], rates: Rates) -> None:
        for number, last in enumerate(log):
            minute = [entry for entry in log[: number + 1] if entry.at > last.at - MINUTE]
            assert rates.requests_per_minute is None or len(minute) <= rates.requests_per_minute
            assert rates.tokens_per_minute is None or sum(e.tokens for e in minute) <= rates.tokens_per_minute
        assert rates.concurrent is None or sum(entry.running for entry in log) <= rates.concurrent
        assert all(one.at <= other.at for one, other in pairwise(log))

    def _allowed(self, key: str, model: str, tokens: int) -> bool:
        """Whether the log says that a request passes. So few entries that each moment counts by itself."""
        now = self.clock.ns
        for rates, log in (
            (self.tier.rates, [entry for entry, _ in self.log if entry.key == key]),
            (self.tier.per_model, [entry for entry, _ in self.log if (entry.key, entry.model) == (key, model)]),
        ):
            minute = [entry for entry in log if entry.at > now - MINUTE]
            over = rates.requests_per_minute is not None and len(minute) >= rates.requests_per_minute
            used = sum(entry.tokens for entry in minute)
            over |= rates.tokens_per_minute is not None and used + tokens > rates.tokens_per_minute
            over |= rates.concurrent is not None and sum(entry.running for entry in log) >= rates.concurrent
            if over:
                return False
        return True

    def _told(self, key: str, model: str) -> tuple[str, int]:
        """What the headers would say to this caller, and how many slots are taken."""
        state = self.limits._keys.setdefault(key, _Key(self.tier))
        lease = Lease.__new__(Lease)
        lease._limits, lease._key, lease._model, lease.soft = self.limits, state, state.at(model), ()
        return lease.headers(), self.limits.slots

    def _judge_wait(self, fault: RateLimited, key: str, model: str, tokens: int) -> None:
        """After Retry-After the same request passes, if nothing else arrives and everything that runs has ended."""
        later = self._twin()
        clock: Clock = later.now.__self__  # type: ignore[attr-defined]
        for state in later._keys.values():
            for lease in list(state.own.slots):
                lease.leave()
        if "retry-after" not in fault.headers:
            clock.ns += 10 * MINUTE
            with pytest.raises(RateLimited):
                later.admit(caller(key=key)).reserve(model, tokens)
            return
        assert int(fault.headers["retry-after"]) >= 1
        at_admission = not self._first_look(key)
        clock.ns += int(fault.headers["retry-after"]) * 10**9
        lease = later.admit(caller(key=key))
        if not at_admission:  # before the body is read its size is not known
            lease.reserve(model, tokens)

    def _twin(self) -> Limits:
        """The same limits with a clock of their own, to look into the future with."""
        shared = (self.limits.metrics, self.limits._settings)
        return copy.deepcopy(self.limits, {id(one): one for one in shared})

    def _first_look(self, key: str) -> bool:
        try:
            self._twin().admit(caller(key=key))
        except RateLimited:
            return False
        return True

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def read_headers(self, data: st.DataObject) -> None:
        """So many requests and tokens as the headers name pass now, and no more; at the reset everything is left."""
        entry, lease = data.draw(st.sampled_from(self.log))
        if self._told(entry.key, entry.model)[0] != lease.headers():  # its key was idle and is forgotten
            return
        told = shown(lease.headers())
        for dimension in ("requests", "tokens"):
            if f"x-ratelimit-limit-{dimension}" in told:
                self._judge_remaining(entry, dimension, int(told[f"x-ratelimit-remaining-{dimension}"]))

    def _judge_remaining(self, entry: Entry, dimension: str, left: int) -> None:
        now = self.clock.ns
        lefts = []
        for rates, log in (
            (self.tier.rates, [e for e, _ in self.log if e.key == entry.key]),
            (self.tier.per_model, [e for e, _ in self.log if (e.key, e.model) == (entry.key, entry.model)]),
        ):
            limit = rates.requests_per_minute if dimension == "requests" else rates.tokens_per_minute
            if limit is not None:
                minute = [e for e in log if e.at > now - MINUTE]
                lefts.append(limit - (len(minute) if dimension == "requests" else sum(e.tokens for e in minute)))
        assert left == max(0, min(lefts))


TestAnyHistory = LimitsMachine.TestCase
TestAnyHistory.__doc__ = (
    "No history breaks a limit, no refusal takes anything, no header and no wait is untrue (I24, B4, B6)."
)
