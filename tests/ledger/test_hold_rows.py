"""What a request writes down: every column, at each of its steps."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.ledger.kit import KEY, NOON_US, ORG, TARGET, Bench, bid, opened, price
from tollhouse.ledger.prices import Bid
from tollhouse.types.calls import Host, Target, Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.tenancy import Budget

OTHER = Target(Host("other", "https://other.test/v1"), "n")
DEAR = price(2_000_000, 3_000_000, "n")
USAGE = Usage(
    input=1,
    cache_read=2,
    cache_write=3,
    output=40,
    reasoning=5,
    cache_write_1h=6,
    input_audio=7,
    output_audio=8,
    images=9,
    estimated=True,
)
ATTEMPTS = (AttemptRecord("host/m", "upstream_timeout", "up-1", 30, 7), AttemptRecord("other/n", "ok", "up-2", 40))
UNTOUCHED = {
    **dict.fromkeys(("cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio"), 0),
    **dict.fromkeys(
        ("output_audio", "images", "estimated", "interrupted", "clipped", "charge", "progress", "input"), 0
    ),
    "closed_at": None,
    "target": "",
    "attempts": "[]",
    "safety": "",
    "state": "open",
}


def row(bench: Bench, table: str = "hold") -> dict[str, Any]:
    """The last row of a table, by its columns."""

    def read(db: Any) -> dict[str, Any]:
        cursor = db.execute(f"SELECT * FROM {table} ORDER BY id DESC LIMIT 1")  # noqa: S608 - names of this file
        values = cursor.fetchone()
        return dict(zip([name for name, _ in cursor.getdescription()], values, strict=True)) if values else {}

    return bench.store.read_now(read)


async def test_a_hold_is_written_with_all_that_it_was_taken_for(tmp_path: Path) -> None:
    """Who, what, how much at most, when, and the price of the first target; the amount is that of the dearest."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        bench.now_us += 17
        bids = (Bid(TARGET, price(), 900, None, 321), Bid(OTHER, DEAR, 1_000, None, 322))
        hold = bench.ledger.reserve("req_a", bench.principal(), "chat/completions", "gpt", bids)
        assert (hold.open, hold.charge_nusd, hold.undone, hold.bids) == (True, 0, False, bids)
        await hold.durable()
        opening = {"id": 2, "request_id": "req_a", "key": KEY, "payer": ORG, "kind": "chat/completions"}
        opening |= {"requested": "gpt", "amount": 1_000, "opened_at": NOON_US + 17, "input_bound": 321, "price": 1}
        assert row(bench) == {**UNTOUCHED, **opening, "chain": bench.principal().chain.number}
        assert (row(bench, "price")["model"], row(bench, "price")["id"]) == ("m", 1)
        assert bench.rows("SELECT nodes, payer FROM chain") == [("[5,4,3,2]", ORG)]
        hold.release()


async def test_progress_is_written_until_the_end(tmp_path: Path) -> None:
    """What was given so far, of which prompt, by whom and at which price; nothing of it after the settlement."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        hold = bench.reserve(1_000)
        before = await settled_row(bench)
        hold.progress(bid(1_000, DEAR, OTHER), 12, 34)
        after = await settled_row(bench)
        changes = {"progress": 34, "input": 12, "price": 2, "target": "other/n"}
        assert after == {**before, **changes}
        hold.settle(bid(1_000), Usage())
        settled = await settled_row(bench)
        hold.progress(bid(1_000, DEAR, OTHER), 56, 78)
        assert await settled_row(bench) == settled
        assert (settled["price"], settled["target"], settled["input"]) == (1, "host/m", 0)


async def settled_row(bench: Bench) -> dict[str, Any]:
    """The hold's row, when all that was decided is on disk."""
    await bench.landed()
    return row(bench)


async def test_a_settlement_is_written_whole(tmp_path: Path) -> None:
    """Each class of tokens in its column, the target and price that answered, its flags, and every attempt."""
    async with opened(tmp_path, {KEY: Budget(1_000_000)}) as bench:
        await bench.credit(1_000_000)
        hold = bench.reserve(200_000)
        before = await settled_row(bench)
        bench.now_us += 5_000_000
        charge = hold.settle(bid(200_000, DEAR, OTHER), USAGE, ATTEMPTS, interrupted=True)
        assert (charge, hold.charge_nusd, hold.open) == (19 * 2_000 + 48 * 3_000, charge, False)
        usage = {name: getattr(USAGE, name) for name in before if hasattr(USAGE, name)}
        written = {"state": "settled", "closed_at": NOON_US + 5_000_000, "charge": charge, "interrupted": 1}
        written |= {"target": "other/n", "price": 2, **usage, "estimated": 1}
        written["attempts"] = msgspec.json.encode(ATTEMPTS).decode()
        assert await settled_row(bench) == {**before, **written}
        named = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio")
        query = f"SELECT day, key, target, kind, requests, {', '.join(named)}, output_audio, images, estimated, charge"
        place = (NOON_US // 86_400_000_000, KEY, "other/n", "chat/completions")
        counts = tuple(getattr(USAGE, name) for name in named)
        assert bench.rows(f"{query} FROM usage_day") == [(*place, 1, *counts, 8, 9, 1, charge)]
        assert bench.meter.usages == [USAGE]


async def test_a_settlement_is_neither_estimated_nor_interrupted_unless_it_says_so(tmp_path: Path) -> None:
    """The flags are off where nobody set them; what the price exceeds the hold by is written beside the charge."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        bench.reserve(1_500).settle(bid(1_500), Usage(input=2))
        found = await settled_row(bench)
        assert (found["estimated"], found["interrupted"], found["clipped"], found["charge"]) == (0, 0, 500, 1_500)


async def test_movements_name_their_hold_and_their_time(tmp_path: Path) -> None:
    """The charge, the operator's cost and the reversal, which names the charge and says why."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        bench.now_us += 1_000
        hold = bench.reserve(10_000)
        hold.settle(bid(10_000), Usage(input=1), ATTEMPTS)
        bench.now_us += 1_000
        hold.undo()
        assert (hold.undone, hold.charge_nusd) == (True, 0)
        await bench.landed()
        movements = bench.rows(
            "SELECT id, kind, at, hold, actor, reason, source, external_id, reverses FROM tx ORDER BY id"
        )
        assert movements[1:] == [
            (2, "charge", NOON_US + 1_000, 2, "", "", None, None, None),
            (3, "cost", NOON_US + 1_000, 2, "", "", None, None, None),
            (4, "reversal", NOON_US + 2_000, 2, "", "the answer could not be delivered", None, None, 2),
        ]
        assert bench.rows("SELECT account.name, posted FROM account WHERE posted <> 0 ORDER BY name") == [
            ("org:org_acme", 1_000_000),
            ("provider:host:cost", 7),
            ("sys:absorbed", -7),
            ("sys:topup", -1_000_000),
        ]


async def test_a_release_writes_its_attempts_and_what_they_cost(tmp_path: Path) -> None:
    """Nothing is charged, the end and the attempts are kept, and the operator's cost is entered."""
    async with opened(tmp_path) as bench:
        await bench.credit(10_000)
        hold = bench.reserve(10_000)
        before = await settled_row(bench)
        bench.now_us += 3_000
        hold.release(ATTEMPTS)
        written = {"state": "released", "closed_at": NOON_US + 3_000, "price": None}
        written["attempts"] = msgspec.json.encode(ATTEMPTS).decode()
        assert await settled_row(bench) == {**before, **written}
        assert bench.rows("SELECT kind, hold, at FROM tx WHERE id = 3") == [("cost", 2, NOON_US + 3_000)]
        assert (hold.open, hold.charge_nusd, bench.available()) == (False, 0, 10_000)


async def test_each_step_is_waited_for_in_its_turn(tmp_path: Path) -> None:
    """`durable` is about the last step: the hold, then its end, then what undid it."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        hold = bench.reserve(5_000)
        for step, state, kinds in (
            (lambda: None, "open", 1),
            (lambda: hold.settle(bid(5_000), Usage(input=1)), "settled", 2),
            (hold.undo, "settled", 3),
        ):
            step()
            await asyncio.wait_for(hold.durable(), 5)
            assert (row(bench)["state"], row(bench, "tx")["id"]) == (state, kinds)
        released = bench.reserve(5_000)
        released.release()
        await released.durable()
        assert row(bench)["state"] == "released"


@pytest.mark.parametrize("second", [1, 86_399])
async def test_what_is_undone_counts_in_the_day_of_its_hold(tmp_path: Path, second: int) -> None:
    """A hold of the first or last second of a day, charged and undone after the next midnight: its own day has it, and
    gives it back, in the usage and in its budget.
    """
    async with opened(tmp_path, {KEY: Budget(100_000, "day")}) as bench:
        await bench.credit(100_000)
        midnight_us = NOON_US - NOON_US % 86_400_000_000
        bench.now_us = midnight_us + second * 1_000_000
        hold = bench.reserve(5_000)
        bench.now_us += 86_400_000_000
        hold.settle(bid(5_000), Usage(input=3))
        await bench.landed()
        day, place = midnight_us // 86_400_000_000, (KEY, midnight_us // 1_000_000)
        assert bench.rows("SELECT day, charge FROM usage_day") == [(day, 3_000)]
        assert bench.rows("SELECT node, window_start, amount FROM spend") == [(*place, 3_000)]
        hold.undo()
        await bench.landed()
        assert bench.rows("SELECT day, requests, charge FROM usage_day") == [(day, 1, 0)]
        assert bench.rows("SELECT node, window_start, amount FROM spend") == [(*place, 0)]
        bench.now_us -= 86_400_000_000
        assert bench.ledger.standing(bench.principal()).budgets[0].spent_nusd == 0


async def test_what_was_found_is_written_with_the_end(tmp_path: Path) -> None:
    """The safety of a request stands in its row, whether it was settled or released, and is counted by day and key."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        found = (("prompt", "hate", 2, False), ("completion", "hate", 3, True))
        for count in range(3):
            hold = bench.reserve(1_000)
            hold.safety, hold.found = '{"policy":"p"}', found[: count + 1]
            if count:
                hold.settle(bid(1_000), USAGE)
            else:
                hold.release()
            assert (await settled_row(bench))["safety"] == '{"policy":"p"}'
        day = NOON_US // 86_400_000_000
        counted = [(day, KEY, "completion", "hate", 3, 1, 2), (day, KEY, "prompt", "hate", 2, 0, 3)]
        assert bench.rows("SELECT * FROM safety_day ORDER BY side") == counted
