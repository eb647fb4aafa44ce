"""Who is asked next after a failure, how soon, and when to give up."""

import pytest

from tests.routing.kit import facts, fail, host
from tollhouse.routing.course import Course, Step
from tollhouse.routing.health import Health
from tollhouse.routing.outcomes import Outcome
from tollhouse.settings.routing import RoutePolicy, Routing
from tollhouse.types.calls import Target

A0, A1, A_N = Target(host("a"), "m"), Target(host("a", 1), "m"), Target(host("a"), "n")
B = Target(host("b"), "m")
SMALL, LARGE = (
    Target(host("s"), "m", facts(context_tokens=8_000)),
    Target(host("l"), "m", facts(context_tokens=200_000)),
)


def course(*targets: Target, health: Health | None = None, **said: object) -> Course:
    """A course over these targets."""
    return Course(targets, RoutePolicy(**said), health or Health(Routing()))  # type: ignore[arg-type]


def places(targets: tuple[Target, ...], *outcomes: Outcome) -> list[int]:
    """The indexes that are asked, one after the other, for these failures."""
    way = course(*targets)
    step: Step | None = way.first(0.0)
    found = []
    for outcome in outcomes:
        assert step is not None
        found.append(step.index)
        step = way.after(step, outcome, 0.0, 0.5)
    return [*found, -1 if step is None else step.index]


class TestNext:
    """Who is next."""

    @pytest.mark.parametrize(
        ("targets", "outcomes", "expected"),
        [
            ((A0, A1, B), (Outcome.RATE, Outcome.RATE), [0, 1, 2]),
            ((A0, B, A1), (Outcome.RATE,), [0, 2]),
            ((A0, A1, B), (Outcome.AUTH,), [0, 1]),
            ((A0, A_N, B), (Outcome.AUTH,), [0, 2]),
            ((A0, A_N, B), (Outcome.RATE,), [0, 1]),
            ((A0, A1, B), (Outcome.SERVER,), [0, 2]),
            ((A0, A_N, B), (Outcome.SERVER,), [0, 2]),
            ((A0, A_N), (Outcome.SERVER,), [0, 1]),
            ((A0, A_N, A1), (Outcome.UNREACHABLE,), [0, 0]),
            ((A0, A1), (Outcome.MISSING,), [0, -1]),
            ((A0, B), (Outcome.MISSING, Outcome.MISSING), [0, 1, -1]),
            ((A0, B), (Outcome.CLIENT,), [0, -1]),
            ((A0, B), (Outcome.CANCELLED,), [0, -1]),
            ((A0, B), (Outcome.OK,), [0, -1]),
            ((A0, B), (Outcome.UNFIT,), [0, 1]),
            ((A0, B), (Outcome.TIMEOUT, Outcome.TIMEOUT), [0, 1, -1]),
            ((A0, B), (Outcome.SERVER, Outcome.SERVER, Outcome.SERVER, Outcome.SERVER), [0, 1, 0, 1, -1]),
            ((A0,), (Outcome.SERVER, Outcome.SERVER), [0, 0, -1]),
            ((A0,), (Outcome.RATE,), [0, -1]),
            ((SMALL, B, LARGE), (Outcome.TOO_LONG,), [0, 1]),
            ((SMALL, LARGE), (Outcome.TOO_LONG,), [0, 1]),
            ((LARGE, SMALL), (Outcome.TOO_LONG,), [0, -1]),
            ((B, LARGE), (Outcome.TOO_LONG,), [0, -1]),
        ],
    )
    def test_it_does_not_share_the_fault(
        self, targets: tuple[Target, ...], outcomes: tuple[Outcome, ...], expected: list[int]
    ) -> None:
        """The next target is one that the failure says nothing of; the same one again only where it may pass."""
        assert places(targets, *outcomes) == expected

    def test_one_that_came_to_trouble_meanwhile_is_passed_by(self) -> None:
        """A target whose circuit opened since the decision is not asked."""
        health = Health(Routing())
        way = course(A0, B, LARGE, health=health)
        step = way.first(0.0)
        fail(health, B, 0.0, times=5)
        further = way.after(step, Outcome.SERVER, 0.0, 0.5)
        assert further is not None
        assert further.index == 2


class TestPace:
    """How soon, and how often."""

    def test_another_target_is_asked_at_once_and_the_same_after_a_wait(self) -> None:
        """Full jitter, doubling, only for a target that is asked again."""
        way = course(A0, B, health=Health(Routing(same_target_retries=3)), max_tries=5)
        step: Step | None = way.first(0.0)
        waits = []
        while step is not None:
            waits.append((step.wait_s, step.again))
            step = way.after(step, Outcome.SERVER, 0.0, 0.5)
        assert waits == [(0.0, False), (0.0, False), (0.05, True), (0.1, True), (0.2, True)]
        assert way.tries == 5

    def test_a_short_retry_after_is_waited_for_and_a_long_one_is_not(self) -> None:
        """A host that asks for half a second gets it; one that asks for a minute is the client's to wait for."""
        for said, expected in ((0.5, 0.5), (60.0, None)):
            way = course(A0)
            further = way.after(way.first(0.0), Outcome.OVERLOAD, 0.0, 0.5, said)
            assert (further.wait_s if further is not None else None) == expected

    def test_the_budget_is_asked(self) -> None:
        """Without budget the first failure is the last."""
        health = Health(Routing(retry_budget_ratio=0.0, retry_min_rate=0.0))
        way = course(A0, B, health=health)
        assert way.after(way.first(0.0), Outcome.SERVER, 0.0, 0.5) is None

    def test_what_was_not_sent_costs_nothing(self) -> None:
        """A target that cannot serve, or whose probe is out, takes neither a try nor budget."""
        health = Health(Routing(retry_budget_ratio=0.0, retry_min_rate=0.0))
        way = course(A0, B, health=health, max_tries=1)
        further = way.after(way.first(0.0), Outcome.BUSY_PROBE, 0.0, 0.5)
        assert further is not None
        assert (further.index, way.tries) == (1, 1)


class TestHedging:
    """Asking two."""

    def seen(self, took: float = 0.2, **said: object) -> Health:
        """Health that knows how fast A is."""
        health = Health(Routing(**said))  # type: ignore[arg-type]
        for _ in range(30):
            trial = health.start(A0, 0.0)
            assert trial is not None
            health.first_token(trial, took)
            health.end(trial, took, Outcome.OK)
        return health

    def test_a_late_one_is_hedged(self) -> None:
        """After the 95th percentile another target is asked too, never another key of the same."""
        way = course(A0, A1, B, health=self.seen(), hedge=True)
        hedge = way.hedge(way.first(0.0), 0.0)
        assert hedge is not None
        assert hedge.index == 2
        assert hedge.after_s == pytest.approx(0.2)

    def test_only_where_the_operator_says_so_and_enough_is_known(self) -> None:
        """Without the policy, without figures, or without another target there is no hedge."""
        for health, targets, wanted in (
            (self.seen(), (A0, B), False),
            (Health(Routing()), (A0, B), True),
            (self.seen(), (A0, A1), True),
        ):
            way = course(*targets, health=health, hedge=wanted)
            assert way.hedge(way.first(0.0), 0.0) is None

    def test_a_probe_is_hedged_soon(self) -> None:
        """A request that finds out whether a target is back does not wait for long, whatever the policy."""
        way = course(A0, B)
        hedge = way.hedge(way.first(0.0), 0.0, probe=True)
        assert hedge is not None
        assert (hedge.index, hedge.after_s) == (1, 1.0)

    def test_hedges_have_a_budget(self) -> None:
        """No more than one request in twenty is hedged."""
        health = self.seen()
        launched = 0
        for _ in range(1000):
            way = course(A0, B, health=health, hedge=True)
            hedge = way.hedge(way.first(1.0), 1.0)
            assert hedge is not None
            launched += way.launch(hedge, 1.0) is not None
        assert launched == 50

    def test_after_two_failures_the_course_goes_on(self) -> None:
        """When the hedge fails too, the next is neither of the two."""
        way = course(A0, B, LARGE, health=self.seen(), hedge=True)
        step = way.first(0.0)
        hedge = way.hedge(step, 0.0)
        assert hedge is not None
        second = way.launch(hedge, 0.3)
        assert second is not None
        way.failed(step, Outcome.SERVER)
        third = way.after(second, Outcome.SERVER, 0.4, 0.5)
        assert third is not None
        assert third.index == 2
