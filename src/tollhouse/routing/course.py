"""The course of one request over its targets: who is asked next after a failure, how soon, and whether at all.

Made by `gateway.attempts`, which does the asking, for each request whose first target is not the last word. Pure but
for the budgets of `Health`.

Theory of operation
-------------------
After a failure the next target is one that does not share the fault: another key where the key was limited or refused,
another target where the target failed, another host where its host takes no connections, a longer context where the
prompt was too long. It is asked at once: it has done nothing wrong. Only where nobody else is left is a target asked
again, after a full-jitter wait, and only for failures that pass by themselves; not after a timeout, which would take as
long again. Every request beyond the first is paid from the retry budget, unless nothing had been sent. Errors of the
request itself end the course.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from tollhouse.routing.candidates import UNBOUNDED_TOKENS
from tollhouse.routing.health import Health
from tollhouse.routing.outcomes import FINAL, KEY_FAULTS, UNSENT, Outcome
from tollhouse.routing.pace import backoff_s
from tollhouse.settings.routing import RoutePolicy
from tollhouse.types.calls import Target

_PASSING = frozenset({Outcome.SERVER, Outcome.OVERLOAD, Outcome.UNREACHABLE, Outcome.BROKEN, Outcome.BAD_JSON})
"""Failures after which the same target may do better soon."""
_PROBE_HEDGE_S = 1.0
"""A request that is a probe does not wait for longer than this before its next target is asked too."""


class Step(Struct, frozen=True):
    """Ask target ``index`` after ``wait_s`` seconds."""

    index: int
    wait_s: float = 0.0
    again: bool = False
    """Whether it has been asked before."""


FIRST = Step(0)
"""Where every course begins. Most end there: whoever asks makes a course when there is more to decide."""


class Hedge(Struct, frozen=True):
    """Ask target ``index`` too, if the first one has said nothing after ``after_s`` seconds."""

    index: int
    after_s: float
    for_probe: bool = False


class Course:
    """Where one request has been, and where it goes."""

    __slots__ = (
        *("_failed", "_health", "_last", "_max_tries", "_policy", "_repeated", "_retries"),
        *("_targets", "tries"),
    )

    def __init__(self, targets: Sequence[Target], policy: RoutePolicy, health: Health) -> None:
        """``targets`` are a decision's, or those of them that the caller can afford, in its order."""
        self._targets = targets
        self._policy = policy
        self._health = health
        self._max_tries = policy.max_tries or health.routing.max_tries
        self._failed: dict[int, Outcome | None] = {}
        """The targets asked, and how they failed; None while one is under way."""
        self._last: int | None = None
        self._retries = 0
        self._repeated: dict[int, int] = {}
        """How often each target has been asked again."""
        self.tries = 0
        """Requests sent upstream."""

    @classmethod
    def begun(cls, targets: Sequence[Target], policy: RoutePolicy, health: Health) -> "Course":
        """The course whose first step, `FIRST`, was taken and counted (`Health.deposit`) before there was one."""
        course = cls(targets, policy, health)
        course.tries = 1
        course._failed[0] = None
        return course

    def first(self, now: float) -> Step:
        """The first step. Counts the request for the budgets, but not twice where its answer goes on elsewhere."""
        if not self.tries:
            self._health.deposit(now)
        return self._go(0)

    def onward(self, targets: Sequence[Target], now: float) -> "Course | None":
        """The course over these targets of an answer that broke off; None where it may not go on: there are none, or no
        tries left, or the budget for retries is spent.
        """
        if not targets or self.tries >= self._max_tries or not self._health.retries.withdraw(now):
            return None
        course = Course(targets, self._policy, self._health)
        course.tries = self.tries
        return course

    def failed(self, step: Step | Hedge, outcome: Outcome) -> None:
        """A step came to nothing. For hedged requests: the other one may still be under way."""
        self._failed[step.index] = outcome
        self._last = step.index
        if outcome in UNSENT:
            self.tries -= 1

    def after(
        self, step: Step, outcome: Outcome, now: float, draw: float, retry_after_s: float | None = None
    ) -> Step | None:
        """What to do after a failure; None to give up. ``draw``, from [0, 1), is the jitter of a wait."""
        self.failed(step, outcome)
        if outcome in FINAL or self.tries >= self._max_tries:
            return None
        index = self._other(outcome, now)
        if index is not None:
            return self._go(index) if outcome in UNSENT or self._health.retries.withdraw(now) else None
        return self._again(now, draw, retry_after_s)

    def _go(self, index: int, wait_s: float = 0.0, *, again: bool = False) -> Step:
        self.tries += 1
        self._failed[index] = None
        return Step(index, wait_s, again)

    # --- somebody else -------------------------------------------------------------------------------------------

    def _other(self, outcome: Outcome, now: float) -> int | None:
        """The next target that has not been asked and does not share the fault."""
        left = [at for at in self._open(now) if not self._shares_fault(at)]
        if not left or self._last is None:
            return None
        last = self._targets[self._last]
        if outcome in KEY_FAULTS:
            same = [at for at in left if self._targets[at].id == last.id]
            return (same or left)[0]
        if outcome is Outcome.TOO_LONG:
            return next((at for at in left if _context(self._targets[at]) > _context(last)), None)
        elsewhere = [at for at in left if self._targets[at].host.name != last.host.name]
        return (elsewhere or left)[0]

    def _open(self, now: float) -> Iterator[int]:
        """The targets that have not been asked and may be."""
        for at, target in enumerate(self._targets):
            if at not in self._failed:
                trouble = self._health.trouble(target, now)
                if trouble is None or not trouble.blocks:
                    yield at

    def _shares_fault(self, at: int) -> bool:
        """Whether a target would fail as one before it did."""
        target = self._targets[at]
        for other, outcome in self._failed.items():
            failed = self._targets[other]
            if outcome is None or failed.host.name != target.host.name:
                continue
            if outcome is Outcome.UNREACHABLE:
                return True
            if outcome in {Outcome.AUTH, Outcome.QUOTA} and failed.host.slot == target.host.slot:
                return True
            same_model = failed.model == target.model
            if same_model and (outcome not in KEY_FAULTS or failed.host.slot == target.host.slot):
                return True
        return False

    # --- the same again ------------------------------------------------------------------------------------------

    def _again(self, now: float, draw: float, retry_after_s: float | None) -> Step | None:
        """The target that failed longest ago in a way that passes, after a wait."""
        routing = self._health.routing
        wait_s = backoff_s(self._retries, routing.backoff_base_s, routing.backoff_max_s, draw)
        if retry_after_s is not None and retry_after_s > wait_s:
            if retry_after_s > routing.backoff_max_s:
                return None
            wait_s = retry_after_s
        for at, outcome in self._failed.items():
            target = self._targets[at]
            if outcome not in _PASSING or target.host.inside:
                continue
            if self._repeated.get(at, 0) >= routing.same_target_retries:
                continue
            trouble = self._health.trouble(target, now + wait_s)
            if trouble is not None and trouble.blocks:
                continue
            if not self._health.retries.withdraw(now):
                return None
            self._retries += 1
            self._repeated[at] = self._repeated.get(at, 0) + 1
            del self._failed[at]  # it comes last in the order from now on
            return self._go(at, wait_s, again=True)
        return None

    # --- hedging -------------------------------------------------------------------------------------------------

    def hedge(self, step: Step, now: float, *, stream: bool = True, probe: bool = False) -> Hedge | None:
        """Who is asked too if a step is late, and when that is; None where it is not hedged. ``probe`` is
        `Trial.is_probe`: such a request is hedged whatever the policy says, for its target was down a moment ago.
        """
        if not (self._policy.hedge or probe) or self.tries >= self._max_tries:
            return None
        target = self._targets[step.index]
        after_s = _PROBE_HEDGE_S if probe else self._health.hedge_after_s(target, stream=stream)
        if after_s is None:
            return None
        left = [at for at in self._open(now) if self._targets[at].id != target.id]
        elsewhere = [at for at in left if self._targets[at].host.name != target.host.name]
        index = next(iter(elsewhere or left), None)
        return None if index is None else Hedge(index, after_s, probe)

    def launch(self, hedge: Hedge, now: float) -> Step | None:
        """The moment has come: the step of the hedge, paid from the budget; None where there is nothing left in it."""
        budget = self._health.retries if hedge.for_probe else self._health.hedges
        return self._go(hedge.index) if budget.withdraw(now) else None


def _context(target: Target) -> int:
    """The context that a target is known to have; of an unknown one, none that is surely longer."""
    facts = target.facts
    return (facts.context_tokens if facts is not None else None) or UNBOUNDED_TOKENS
