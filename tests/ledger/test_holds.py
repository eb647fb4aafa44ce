"""Holds: opened once, resolved once, counted always."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.ledger.holds import Hold, Ledger
from tollhouse.types.calls import Host, Plan, Principal, Target, Usage

TARGET = Target(Host("h", "http://127.0.0.1:1/v1"), "m")
PLAN = Plan("m", (TARGET,))
WHO = Principal("key_1", "laptop")
RESOLVE = {"settle": lambda hold: hold.settle(TARGET, Usage(1, 0, 0, 2)), "release": lambda hold: hold.release()}
STATES = {"settle": "settled", "release": "released"}


class Counting:
    """A meter that keeps what it is told."""

    def __init__(self) -> None:
        self.records: list[tuple[Target, Usage]] = []

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""
        self.records.append((target, usage))


def test_a_hold_knows_whose_request_it_is() -> None:
    """A hold carries the request, the caller and the plan, and is open."""
    ledger = Ledger(Counting())
    hold = ledger.reserve("req_1", WHO, PLAN)
    assert (hold.request_id, hold.principal, hold.plan, hold.state) == ("req_1", WHO, PLAN, "open")
    assert hold.open
    assert ledger.open_holds == 1


@pytest.mark.parametrize("first", RESOLVE)
@pytest.mark.parametrize("second", RESOLVE)
def test_a_hold_is_resolved_exactly_once(first: str, second: str) -> None:
    """A second resolution raises and changes nothing: not the state, not the count, not what was metered."""
    meter = Counting()
    ledger = Ledger(meter)
    hold = ledger.reserve("req_1", WHO, PLAN)
    RESOLVE[first](hold)
    before = (hold.state, ledger.open_holds, list(meter.records))
    assert before[:2] == (STATES[first], 0)
    with pytest.raises(RuntimeError, match=f"hold req_1 is {STATES[first]} already"):
        RESOLVE[second](hold)
    assert (hold.state, ledger.open_holds, meter.records) == before


def test_only_what_settles_is_metered() -> None:
    """Settling records the target's usage once; releasing records nothing."""
    meter = Counting()
    ledger = Ledger(meter)
    ledger.reserve("a", WHO, PLAN).settle(TARGET, Usage(3, 0, 0, 4))
    ledger.reserve("b", WHO, PLAN).release()
    assert meter.records == [(TARGET, Usage(3, 0, 0, 4))]


@given(st.lists(st.sampled_from(["reserve", "settle", "release"])))
def test_the_count_of_open_holds_is_always_right(steps: list[str]) -> None:
    """After any sequence of steps, ``open_holds`` is how many were reserved and not resolved."""
    meter = Counting()
    ledger = Ledger(meter)
    held: list[Hold] = []
    settled = 0
    for step in steps:
        if step == "reserve":
            held.append(ledger.reserve(f"req_{len(held)}", WHO, PLAN))
        elif held:
            RESOLVE[step](held.pop())
            settled += step == "settle"
        assert ledger.open_holds == len(held)
        assert len(meter.records) == settled
