"""The registry: whose fault spares what, and that it stays small and survives reloads."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.kit import fail, host
from tollhouse.routing.health import MOST_TRACKS, Health
from tollhouse.routing.outcomes import Outcome
from tollhouse.settings.routing import Routing
from tollhouse.types.calls import Target
from tollhouse.types.secret import Secret

A, A_OTHER_KEY, A_OTHER_MODEL = Target(host("a"), "m"), Target(host("a", 1), "m"), Target(host("a"), "n")
B = Target(host("b"), "m")


def codes(health: Health, now: float) -> list[str]:
    """The trouble of the target, its other key, its host's other model, and another host."""
    found = [health.trouble(target, now) for target in (A, A_OTHER_KEY, A_OTHER_MODEL, B)]
    return [trouble.code if trouble is not None else "" for trouble in found]


class TestScopes:
    """What a failure of A spares."""

    @pytest.mark.parametrize(
        ("outcome", "times", "expected"),
        [
            (Outcome.SERVER, 5, ["circuit_open", "circuit_open", "", ""]),
            (Outcome.TIMEOUT, 5, ["circuit_open", "circuit_open", "", ""]),
            (Outcome.BROKEN, 5, ["circuit_open", "circuit_open", "", ""]),
            (Outcome.OVERLOAD, 5, ["circuit_open", "circuit_open", "", ""]),
            (Outcome.SERVER, 4, ["", "", "", ""]),
            (Outcome.UNREACHABLE, 5, ["host_down", "host_down", "host_down", ""]),
            (Outcome.AUTH, 1, ["key_refused", "", "key_refused", ""]),
            (Outcome.QUOTA, 1, ["key_empty", "", "key_empty", ""]),
            (Outcome.RATE, 1, ["cooling", "", "", ""]),
            (Outcome.CLIENT, 50, ["", "", "", ""]),
            (Outcome.TOO_LONG, 50, ["", "", "", ""]),
            (Outcome.MISSING, 50, ["", "", "", ""]),
            (Outcome.CANCELLED, 50, ["", "", "", ""]),
            (Outcome.UNFIT, 50, ["", "", "", ""]),
        ],
    )
    def test_of_an_outcome(self, outcome: Outcome, times: int, expected: list[str]) -> None:
        """Each outcome spares what shares the fault, and nothing else."""
        health = Health(Routing())
        fail(health, A, 0.0, outcome, times)
        assert codes(health, 0.1) == expected

    def test_a_rate_limit_lasts_as_long_as_the_host_says(self) -> None:
        """Retry-After counts to the second, and is capped."""
        health = Health(Routing())
        for said, until in ((7.0, 7.0), (1e9, 60.0)):
            trial = health.start(A, 0.0) or health.start(B, 0.0)
            assert trial is not None
            health.end(trial, 0.0, Outcome.RATE, retry_after_s=said)
            assert health.trouble(A if said == 7.0 else B, until - 0.1) is not None
            assert health.trouble(A if said == 7.0 else B, until) is None

    def test_an_overloaded_host_that_names_a_time_is_given_it(self) -> None:
        """A 503 with Retry-After cools the target at once; one without only counts."""
        health = Health(Routing())
        trial = health.start(A, 0.0)
        assert trial is not None
        health.end(trial, 0.0, Outcome.OVERLOAD, retry_after_s=3.0)
        assert codes(health, 2.9) == ["cooling", "", "", ""]

    def test_failures_of_single_models_do_not_close_a_host(self) -> None:
        """A host whose other model answers stays reachable though one of its models never does."""
        health = Health(Routing())
        for turn in range(40):
            now = turn * 0.01
            for target, outcome in ((A_OTHER_MODEL, Outcome.OK), (A, Outcome.UNREACHABLE)):
                trial = health.start(target, now)
                if trial is not None:
                    health.end(trial, now, outcome)
        assert codes(health, 0.5) == ["circuit_open", "circuit_open", "", ""]


class TestRecovery:
    """How trouble ends."""

    def test_probes_close_a_circuit(self) -> None:
        """After its time one request at a time passes; two answers end the trouble, and the fast way is open again."""
        health = Health(Routing())
        fail(health, A, 0.0, times=5)
        assert health.start(A, 0.5) is None
        for _ in range(2):
            trouble = health.trouble(A, 1.5)
            assert trouble is not None
            assert (trouble.code, trouble.blocks) == ("probe", False)
            trial = health.start(A, 1.5)
            assert trial is not None
            assert trial.is_probe
            assert health.start(A, 1.5) is None
            blocked = health.trouble(A, 1.5)
            assert blocked is not None
            assert blocked.blocks
            health.end(trial, 1.6, Outcome.OK)
        assert codes(health, 1.7) == ["", "", "", ""]
        assert health.hosts["a"].troubled_until <= 1.7

    def test_a_long_answer_does_not_keep_a_circuit_shut(self) -> None:
        """The first token of a probe counts: a circuit closes while both answers still run and end as any other."""
        health = Health(Routing())
        fail(health, A, 0.0, times=5)
        trials = []
        for _ in range(2):
            trial = health.start(A, 1.5)
            assert trial is not None
            health.first_token(trial, 1.6)
            trials.append(trial)
        assert codes(health, 1.7) == ["", "", "", ""]
        for trial in trials:
            health.end(trial, 90.0, Outcome.BROKEN)
        assert health.views(90.0)[0].failures_in_row == 2

    @pytest.mark.parametrize("outcome", [Outcome.CLIENT, Outcome.CANCELLED, Outcome.MISSING])
    def test_a_probe_that_tells_nothing_lets_the_next_try(self, outcome: Outcome) -> None:
        """A probe whose client left, or whose request was wrong, neither closes the circuit nor blocks it."""
        health = Health(Routing())
        fail(health, A, 0.0, times=5)
        fail(health, A, 1.5, outcome)
        assert codes(health, 1.6)[0] == "probe"

    def test_a_key_that_works_again_is_used_again(self) -> None:
        """A refused key is left alone for its time; one good answer, or a 429 for it, ends that."""
        for outcome, after in ((Outcome.OK, ["", "", "", ""]), (Outcome.RATE, ["cooling", "", "", ""])):
            health = Health(Routing())
            fail(health, A, 0.0, Outcome.AUTH)
            assert codes(health, 40.0)[0] == "key_refused"
            fail(health, A, 80.0, outcome)
            assert codes(health, 80.1) == after

    def test_a_target_that_fails_often_is_put_behind_for_a_while(self) -> None:
        """Four failures in ten eject a target for half a minute without closing it; then it starts anew."""
        health = Health(Routing())
        for turn in range(20):
            fail(health, A, turn * 0.01, Outcome.SERVER if turn % 5 < 2 else Outcome.OK)
        assert codes(health, 1.0) == ["ejected", "ejected", "", ""]
        assert health.start(A, 1.0) is not None
        assert codes(health, 31.0) == ["", "", "", ""]


class TestReload:
    """What a reload keeps."""

    def test_trouble_survives(self) -> None:
        """Circuits and cooldowns of hosts and keys that are still there stay."""
        health = Health(Routing())
        fail(health, A, 0.0, Outcome.RATE)
        fail(health, B, 0.0, times=5)
        health.adopt(Routing(), [A.host, B.host])
        assert codes(health, 0.1) == ["cooling", "", "", "circuit_open"]

    def test_a_new_key_is_not_blamed_for_the_old(self) -> None:
        """A key that was replaced starts anew, and so do its cooldowns."""
        health = Health(Routing())
        fail(health, A, 0.0, Outcome.RATE)
        fail(health, A_OTHER_MODEL, 0.0, Outcome.AUTH)
        health.adopt(Routing(), [replace(A.host, credential=Secret("sk-new")), A_OTHER_KEY.host])
        assert codes(health, 0.1) == ["", "", "", ""]

    def test_new_constants_count(self) -> None:
        """A breaker that is set to one failure opens at the first after the reload."""
        health = Health(Routing())
        health.adopt(Routing(breaker_failures=1), [A.host])
        fail(health, A, 0.0)
        assert codes(health, 0.1)[0] == "circuit_open"

    def test_a_host_that_is_gone_is_forgotten(self) -> None:
        """Nothing is kept of a host that is no longer set up, and an attempt under way still ends."""
        health = Health(Routing())
        trial = health.start(A, 0.0)
        assert trial is not None
        health.adopt(Routing(), [B.host])
        health.end(trial, 1.0, Outcome.SERVER)
        assert "a" not in health.hosts


class TestViews:
    """What is shown."""

    def test_models_and_keys(self) -> None:
        """Views say what the state is, for how long, and why; they never hold a key."""
        health = Health(Routing())
        fail(health, A, 0.0, times=5)
        fail(health, A_OTHER_MODEL, 0.0, Outcome.RATE)
        fail(health, B, 0.0, Outcome.QUOTA)
        trial = health.start(A_OTHER_KEY, 0.0) or health.start(B, 100.0)
        assert trial is not None
        first = next(view for view in health.views(0.4) if (view.host, view.model) == ("a", "m"))
        assert (first.state, first.failures, first.last_fault) == ("open", 5, "server")
        assert 0.0 < first.open_for_s < 1.0
        keys = {(view.host, view.slot): view for view in health.keys(0.5)}
        assert (keys["a", 0].state, keys["a", 0].cooling) == ("cooling", (("n", 0.5),))
        assert keys["b", 0].state == "empty"
        assert "sk-" not in repr((health.views(0.4), keys))

    def test_speed(self) -> None:
        """First tokens of streams and of whole answers are kept apart, and a late one is known from both."""
        health = Health(Routing())
        for _ in range(30):
            for stream, took in ((True, 0.2), (False, 4.0)):
                trial = health.start(A, 0.0, stream=stream)
                assert trial is not None
                health.first_token(trial, took)
                health.end(trial, took, Outcome.OK)
        assert health.hedge_after_s(A) == pytest.approx(0.2)
        assert health.hedge_after_s(A, stream=False) == pytest.approx(4.0)
        assert health.hedge_after_s(B) is None
        assert health.latency_s(A, 0.2) == pytest.approx(0.2)


def test_it_stays_small() -> None:
    """However many models clients invent, no more than the limit are remembered, and busy ones are never dropped."""
    health = Health(Routing())
    busy = health.start(A, 0.0)
    assert busy is not None
    for at in range(2 * MOST_TRACKS):
        fail(health, Target(B.host, f"m{at}"), float(at), Outcome.RATE)
    assert len(health.views(0.0)) <= MOST_TRACKS
    assert len(health.hosts["b"].cooldowns) <= MOST_TRACKS
    health.end(busy, 1.0, Outcome.OK)
    assert health.hosts["a"].tracks["m"].in_flight == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from([A, A_OTHER_KEY, A_OTHER_MODEL, B]),
        st.sampled_from(list(Outcome)),
        st.floats(0.0, 3.0),
        st.booleans(),
    ),
    max_size=60,
)


@given(STEPS)
def test_any_history(steps: list[tuple[Target, Outcome, float, bool]]) -> None:
    """After any history nothing is under way, nothing blocks for longer than the longest constant, and all recovers."""
    health, now = Health(Routing()), 0.0
    open_trials = []
    for target, outcome, gap, late in steps:
        now += gap
        trial = health.start(target, now)
        trouble = health.trouble(target, now)
        if trial is None:
            assert trouble is not None
            assert trouble.blocks
            assert trouble.until <= now + 75.0
        elif late:
            open_trials.append((trial, outcome))
        else:
            health.end(trial, now, outcome, retry_after_s=5.0)
    for trial, outcome in open_trials:
        health.end(trial, now, outcome)
    assert all(view.in_flight == 0 for view in health.views(now))
    assert all(view.in_flight == 0 for view in health.keys(now))
    for _ in range(4):
        now += 400.0
        for target in (A, A_OTHER_KEY, A_OTHER_MODEL, B):
            fail(health, target, now, Outcome.OK)
    assert codes(health, now) == ["", "", "", ""]
