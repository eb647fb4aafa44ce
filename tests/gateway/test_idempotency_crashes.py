"""After a crash, too, one name is one charge (I11, I17)."""

from pathlib import Path

import pytest

from tests.gateway.counting_house import opened_house
from tests.gateway.idempotency_kit import JSON, PRINT, USAGE, caller, charges, conflict, serve, start
from tollhouse.errors import Fault
from tollhouse.gateway.idempotency import Idempotency, Replay

STEPS = ("named", "held", "shown", "charged", "answered")


@pytest.mark.parametrize("step", STEPS)
async def test_after_a_crash_nothing_is_charged_twice(tmp_path: Path, step: str) -> None:
    """Wherever a process dies, the same request afterwards runs only where the first was not charged for."""
    async with opened_house(tmp_path) as house:
        who = await caller(house)
        running = await start(Idempotency(house.ledger), who, "req_1")
        if step != "named":
            hold = house.hold(who, "req_1")
        if step in ("shown", "charged", "answered"):
            hold.progress(hold.bids[0], 1000, 10)
        if step in ("charged", "answered"):
            hold.settle(hold.bids[0], USAGE)
        if step == "answered":
            running.record(b"whole")
            running.finish(200, JSON)
        await house.landed()
        texts = house.texts
    async with opened_house(tmp_path) as house:
        house.texts = texts
        once, who = Idempotency(house.ledger), house.principal(who.key_id)
        outcome = "ran"
        try:
            found = await once.begin(who, "k", PRINT, "req_2")
        except Fault as fault:
            outcome = fault.code or ""
        else:
            if isinstance(found, Replay):
                outcome = found.body.decode()
            else:
                serve(house, who, found)
        await house.landed()
        expected = {"named": "ran", "held": "ran", "answered": "whole"}
        assert outcome == expected.get(step, "idempotency_interrupted")
        assert charges(house) == 1


async def test_an_id_that_names_several_requests_is_taken_for_paid(tmp_path: Path) -> None:
    """Where a client gave one id to a request that was charged and to others that were not, none is charged again."""
    async with opened_house(tmp_path) as house:
        who = await caller(house)
        running = await start(Idempotency(house.ledger), who, "req_same")
        house.spend(who, "req_same", USAGE)
        house.hold(who, "req_same").release()
        running.close(charged=True)
        fault = await conflict(Idempotency(house.ledger), who, "req_same")
        assert fault.code == "idempotency_interrupted"


async def test_a_hold_that_is_open_still_runs(tmp_path: Path) -> None:
    """A request whose hold is open is running, also where this process has not begun it."""
    async with opened_house(tmp_path) as house:
        who = await caller(house)
        await start(Idempotency(house.ledger), who, "req_1")
        hold = house.hold(who, "req_1")
        await house.landed()
        fault = await conflict(Idempotency(house.ledger), who, "req_2")
        assert fault.code == "idempotency_in_progress"
        hold.release()
