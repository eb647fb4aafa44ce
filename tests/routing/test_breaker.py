"""The circuit breaker against its rules, by example and under any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.routing.breaker import PROBE_S, Breaker, BreakerRules, key_rules, service_rules
from tollhouse.settings.routing import Routing

RULES = service_rules(Routing())


def opened(at: float = 0.0, draw: float = 0.5) -> Breaker:
    """A circuit that has just opened."""
    circuit = Breaker()
    for _ in range(RULES.failures):
        circuit.fail(at, RULES, draw)
    return circuit


class TestOpening:
    """When it opens."""

    def test_failures_in_a_row_open_it(self) -> None:
        """The fifth failure in a row opens it, and no earlier one does."""
        circuit = Breaker()
        assert [circuit.fail(0.0, RULES, 0.5) for _ in range(5)] == [False] * 4 + [True]
        assert circuit.state == "open"
        assert not circuit.admits(0.5)

    def test_a_success_between_starts_the_count_again(self) -> None:
        """Four failures, a success and four more leave it closed."""
        circuit = Breaker()
        for _ in range(4):
            circuit.fail(0.0, RULES, 0.5)
        circuit.succeed(0.0, RULES)
        for _ in range(4):
            circuit.fail(0.0, RULES, 0.5)
        assert circuit.state == "closed"

    def test_more_than_half_of_the_last_twenty_open_it(self) -> None:
        """Eleven failures among twenty answers open it although no five stand in a row; ten do not."""
        circuit = Breaker()
        for _ in range(9):
            circuit.succeed(0.0, RULES)
            circuit.fail(0.0, RULES, 0.5)
        circuit.fail(0.0, RULES, 0.5)
        circuit.succeed(0.0, RULES)
        assert circuit.state == "closed"
        circuit.fail(0.0, RULES, 0.5)
        assert circuit.state == "open"

    def test_old_answers_are_forgotten(self) -> None:
        """Failures with long silences between them never open it."""
        circuit = Breaker()
        for turn in range(50):
            circuit.fail(turn * (RULES.window_s + 1), RULES, 0.5)
        assert circuit.state == "closed"

    def test_a_refused_key_opens_at_once(self) -> None:
        """The first refusal of a key is enough, and it lasts longer than a failure."""
        routing = Routing()
        circuit = Breaker()
        assert circuit.fail(0.0, key_rules(routing), 0.5)
        assert circuit.open_until == pytest.approx(routing.key_bad_s)


class TestProbing:
    """How it closes again."""

    def test_one_probe_at_a_time(self) -> None:
        """When its time is over one request passes, and no second one before that has ended."""
        circuit = opened()
        assert not circuit.enter(circuit.open_until - 0.01)
        assert circuit.enter(circuit.open_until)
        assert not circuit.enter(circuit.open_until + 1.0)
        assert not circuit.admits(circuit.open_until + 1.0)

    def test_enough_probes_close_it(self) -> None:
        """Two answers in a row close it, and the next time it opens for as short as the first."""
        circuit = opened()
        now = circuit.open_until
        assert circuit.enter(now)
        assert not circuit.succeed(now, RULES, probe=True)
        assert circuit.enter(now)
        assert circuit.succeed(now, RULES, probe=True)
        assert (circuit.state, circuit.times_open, circuit.failures) == ("closed", 0, 0)

    def test_a_failed_probe_opens_it_for_longer_up_to_a_cap(self) -> None:
        """Each failed probe doubles the time, and it never exceeds the cap and its jitter."""
        circuit = opened()
        spans = []
        for _ in range(8):
            now = circuit.open_until
            assert circuit.enter(now)
            assert circuit.fail(now, RULES, 0.5, probe=True)
            spans.append(circuit.open_until - now)
        assert spans == pytest.approx([2.0, 4.0] + [5.0] * 6)

    def test_jitter_spreads_the_end(self) -> None:
        """The draw moves the end of the open time by a fifth either way."""
        assert opened(draw=0.0).open_until == pytest.approx(0.8)
        assert opened(draw=0.999999).open_until == pytest.approx(1.2, abs=1e-3)

    def test_a_probe_that_tells_nothing_frees_the_place(self) -> None:
        """After a probe was cancelled the next request is the probe."""
        circuit = opened()
        assert circuit.enter(circuit.open_until)
        circuit.leave()
        assert circuit.enter(circuit.open_until)

    def test_a_probe_that_never_ends_is_replaced(self) -> None:
        """A probe holds the place for a bounded time."""
        circuit = opened()
        begun = circuit.open_until
        assert circuit.enter(begun)
        assert not circuit.enter(begun + PROBE_S - 0.1)
        assert circuit.enter(begun + PROBE_S)

    def test_requests_from_before_change_nothing(self) -> None:
        """What passed before the circuit opened neither closes it, nor opens it anew, nor takes the probe's place."""
        circuit = opened()
        until = circuit.open_until
        circuit.fail(0.5, RULES, 0.5)
        circuit.succeed(0.5, RULES)
        assert (circuit.state, circuit.open_until) == ("open", until)
        assert circuit.enter(until)
        circuit.fail(until, RULES, 0.5)
        circuit.succeed(until, RULES)
        assert circuit.state == "half_open"
        assert not circuit.enter(until)


STEPS = st.lists(
    st.tuples(st.sampled_from(["ok", "fail", "leave"]), st.floats(0.0, 3.0), st.floats(0.0, 0.999)), max_size=80
)


@given(STEPS, st.integers(1, 8), st.integers(1, 4))
def test_any_history(steps: list[tuple[str, float, float]], failures: int, probes: int) -> None:
    """Whatever happens, an open circuit lets none through before its time, at most one after it, and it can close."""
    rules = BreakerRules(failures, 0.5, 20, 10.0, 1.0, 5.0, probes)
    circuit, now = Breaker(), 0.0
    for what, gap, draw in steps:
        now += gap
        was_open = circuit.state == "open" and now < circuit.open_until
        probe = circuit.state != "closed"
        passed = circuit.enter(now)
        assert not (was_open and passed)
        assert circuit.open_until <= now + rules.open_max_s * 1.2
        if not passed:
            continue
        if probe:
            assert not circuit.admits(now)
        if what == "ok":
            circuit.succeed(now, rules, probe=probe)
        elif what == "fail":
            circuit.fail(now, rules, draw, probe=probe)
        elif probe:
            circuit.leave()
    for _ in range(probes + 1):
        now = max(now, circuit.open_until) + PROBE_S
        if circuit.state != "closed":
            assert circuit.enter(now)
            circuit.succeed(now, rules, probe=True)
    assert circuit.state == "closed"
