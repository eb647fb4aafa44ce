"""Budgets that begin to bind, at the edges: what was spent before is counted once, whatever happens meanwhile."""

import asyncio
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import apsw
import pytest

from tests.ledger.kit import KEY, NOON_US, ORG, OTHER_KEY, TEAM, Bench, bid, eventually, opened, plant
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.movements import read_counted, stamp
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Budget, Node

T = TypeVar("T")
DAY_US = 86_400_000_000
MIDNIGHT_S = NOON_US // 1_000_000 - 43_200
MONDAY_S = MIDNIGHT_S - 5 * 86_400
DAILY, WEEKLY = Budget(100_000, "day"), Budget(100_000, "week")


class Reluctant(SqliteStore):
    """A store whose readers wait for ``gate``, and that refuses ``reads`` and ``writes`` so many times."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.gate = threading.Event()
        self.gate.set()
        self.reads = self.writes = 0
        self.asked = 0

    def read_now(self, function: Callable[[Any], T]) -> T:
        """See `JournalStore`."""
        self.asked += 1
        self.gate.wait(10)
        if self.reads:
            self.reads -= 1
            raise StorageUnavailable("no")
        return super().read_now(function)

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        if self.writes:
            self.writes -= 1
            raise StorageUnavailable("no")
        return super().apply(batch)

    async def until_asked(self) -> None:
        """Returns when one more reader waits."""
        self.gate.clear()
        asked = self.asked
        await eventually(lambda: self.asked > asked)


def planted(tmp_path: Path) -> Reluctant:
    """A store with a tree without budgets."""
    store = Reluctant(tmp_path / "ledger.db")
    store.write_now(lambda db: plant(db, {}))
    return store


def spend(bench: Bench, amount: int, key: int = KEY) -> None:
    """A request that costs this much, a multiple of 1,000."""
    bench.reserve(amount, key=key).settle(bid(amount), Usage(input=amount // 1000))


def with_budget(bench: Bench, number: int, budget: Budget | None) -> dict[int, Node]:
    """The tree with another budget of one node."""
    return {**bench.nodes, number: replace(bench.nodes[number], budget=budget)}


def spent(bench: Bench, key: int = KEY) -> list[tuple[int, int, int]]:
    """What memory says of the budgets of a key: node, spent and held."""
    budgets = bench.ledger.standing(bench.principal(key)).budgets
    return [(budget.node, budget.spent_nusd, budget.held_nusd) for budget in budgets]


def on_disk(bench: Bench) -> list[tuple[Any, ...]]:
    """What the database says of all budgets: node, start of the window and spent."""
    return bench.rows("SELECT node, window_start, amount FROM spend ORDER BY node, window_start")


async def test_a_store_that_cannot_be_read_is_asked_again(tmp_path: Path) -> None:
    """A budget is not left half counted because the database did not answer at once."""
    store = planted(tmp_path)
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        store.reads = 2
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert (store.reads, spent(bench), on_disk(bench)) == (0, [(KEY, 3_000, 0)], [(KEY, MIDNIGHT_S, 3_000)])


async def test_a_store_that_does_not_write_is_waited_for(tmp_path: Path) -> None:
    """However long the disk is full: when `adopt` returns, the budget binds, and is on disk."""
    store = planted(tmp_path)
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        await bench.landed()
        clock = iter(range(0, 10_000, 3))
        bench.journal._now = lambda: next(clock)  # each try of the store takes three seconds
        store.writes = 5
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert (store.writes, spent(bench), on_disk(bench)) == (0, [(KEY, 3_000, 0)], [(KEY, MIDNIGHT_S, 3_000)])


async def test_a_budget_that_is_replaced_while_it_is_counted_leaves_nothing(tmp_path: Path) -> None:
    """A weekly budget set while a daily one is still being counted: only the week is counted, once."""
    store = planted(tmp_path)
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(100_000)
        bench.now_us -= DAY_US
        spend(bench, 7_000)
        bench.now_us += DAY_US
        spend(bench, 2_000)
        first = asyncio.create_task(bench.ledger.adopt(with_budget(bench, KEY, DAILY)))
        await store.until_asked()
        second = asyncio.create_task(bench.ledger.adopt(with_budget(bench, KEY, WEEKLY)))
        await asyncio.sleep(0.05)
        store.gate.set()
        await asyncio.gather(first, second)
        assert (spent(bench), on_disk(bench)) == ([(KEY, 9_000, 0)], [(KEY, MONDAY_S, 9_000)])
        assert store.read_now(read_counted) == {KEY: stamp(WEEKLY)}


async def test_what_happens_while_a_budget_is_counted_counts_once(tmp_path: Path) -> None:
    """Holds that were open, are taken, settled and undone meanwhile: memory and disk agree with the ledger."""
    store = planted(tmp_path)
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(1_000_000)
        spend(bench, 1_000)
        undone = bench.reserve(2_000)
        undone.settle(bid(2_000), Usage(input=2))
        early, late = bench.reserve(4_000), bench.reserve(8_000)
        counting = asyncio.create_task(bench.ledger.adopt(with_budget(bench, KEY, DAILY)))
        await store.until_asked()
        undone.undo()
        early.settle(bid(4_000), Usage(input=4))
        spend(bench, 16_000)
        await bench.landed()
        store.gate.set()
        await counting
        assert spent(bench) == [(KEY, 21_000, 8_000)]
        late.settle(bid(8_000), Usage(input=8))
        await bench.landed()
        assert (spent(bench), on_disk(bench)) == ([(KEY, 29_000, 0)], [(KEY, MIDNIGHT_S, 29_000)])


async def test_what_is_undone_after_a_budget_was_set_counts_in_it_no_longer(tmp_path: Path) -> None:
    """The charge was counted when the budget came, so it is given back to the budget, in memory and on disk."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        spend(bench, 1_000)
        hold = bench.reserve(2_000)
        hold.settle(bid(2_000), Usage(input=2))
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert spent(bench) == [(KEY, 3_000, 0)]
        hold.undo()
        await bench.landed()
        assert (spent(bench), on_disk(bench)) == ([(KEY, 1_000, 0)], [(KEY, MIDNIGHT_S, 1_000)])


async def test_what_was_undone_before_a_budget_was_set_does_not_count(tmp_path: Path) -> None:
    """What a window has spent is its charges less what was given back of them, and of no others."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        holds = [bench.reserve(amount) for amount in (1_000, 2_000, 4_000)]
        for hold in holds:
            hold.settle(bid(hold.row.amount), Usage(input=hold.row.amount // 1000))
        holds[1].undo()
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert (spent(bench), on_disk(bench)) == ([(KEY, 5_000, 0)], [(KEY, MIDNIGHT_S, 5_000)])


async def test_a_caller_who_leaves_does_not_stop_the_counting(tmp_path: Path) -> None:
    """The one who set the budget goes away in the middle; it binds all the same."""
    store = planted(tmp_path)
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        leaving = asyncio.create_task(bench.ledger.adopt(with_budget(bench, KEY, DAILY)))
        await store.until_asked()
        leaving.cancel()
        store.gate.set()
        await eventually(lambda: on_disk(bench) == [(KEY, MIDNIGHT_S, 3_000)])
        assert spent(bench) == [(KEY, 3_000, 0)]


async def test_a_window_takes_its_first_instant_and_not_its_end(tmp_path: Path) -> None:
    """What was held at midnight sharp is the new day's, a microsecond before it the old one's."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        for at_us, amount in ((-1, 1_000), (0, 2_000), (DAY_US - 1, 4_000), (DAY_US, 8_000)):
            bench.now_us = MIDNIGHT_S * 1_000_000 + at_us
            spend(bench, amount)
        bench.now_us = NOON_US
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert (spent(bench), on_disk(bench)) == ([(KEY, 6_000, 0)], [(KEY, MIDNIGHT_S, 6_000)])


async def test_a_budget_counts_its_own_subtree(tmp_path: Path) -> None:
    """A team's budget finds what its keys have spent, and not what another key of the organisation has."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        spend(bench, 5_000, OTHER_KEY)
        nodes = with_budget(bench, TEAM, Budget(50_000))
        nodes[ORG] = replace(nodes[ORG], budget=Budget(50_000, "month"))
        await bench.ledger.adopt(nodes)
        assert spent(bench) == [(TEAM, 3_000, 0), (ORG, 8_000, 0)]
        assert spent(bench, OTHER_KEY) == [(ORG, 8_000, 0)]


async def test_a_budget_that_is_removed_is_forgotten(tmp_path: Path) -> None:
    """Its sums go, and those of other nodes stay."""
    async with opened(tmp_path, {KEY: DAILY, TEAM: WEEKLY}) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        await bench.ledger.adopt(with_budget(bench, KEY, None))
        await bench.landed()
        assert (spent(bench), on_disk(bench)) == ([(TEAM, 3_000, 0)], [(TEAM, MONDAY_S, 3_000)])
        assert bench.store.read_now(read_counted) == {TEAM: stamp(WEEKLY)}


async def test_a_death_while_a_budget_is_counted_is_made_good_at_the_next_start(tmp_path: Path) -> None:
    """A row that is not whole is counted anew, from the ledger."""
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    left.mkdir()
    store = planted(live)
    async with opened(live, store=store) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        await bench.landed()
        await bench.ledger.write(lambda db: set_budget(db, DAILY))
        counting = asyncio.create_task(bench.ledger.adopt(with_budget(bench, KEY, DAILY)))
        await store.until_asked()
        spend(bench, 5_000)
        await bench.landed()
        for file in live.iterdir():
            shutil.copy(file, left / file.name)
        store.gate.set()
        await counting
    async with opened(left) as bench:
        assert (spent(bench), on_disk(bench)) == ([(KEY, 8_000, 0)], [(KEY, MIDNIGHT_S, 8_000)])


def set_budget(db: apsw.Connection, budget: Budget | None) -> None:
    """Changes a row of the tree, as the command line does without a server."""
    values = (budget.limit_nusd, budget.period, budget.zone) if budget else (None, None, None)
    query = "UPDATE node SET budget_nusd = ?, budget_period = ?, budget_zone = ? WHERE number = ?"
    db.execute(query, (*values, KEY))


@pytest.mark.parametrize(
    ("budget", "row"),
    [
        (WEEKLY, (KEY, MONDAY_S, 9_000)),
        (Budget(9, "day", "Etc/GMT-1"), (KEY, MIDNIGHT_S - 3600, 2_000)),
        (Budget(1, "day"), (KEY, MIDNIGHT_S, 2_000)),
        (None, None),
    ],
)
async def test_a_budget_that_was_changed_without_a_server_is_counted_at_the_start(
    tmp_path: Path, budget: Budget | None, row: tuple[int, int, int] | None
) -> None:
    """Another period or zone is counted anew, another limit is not, and a budget that is gone leaves nothing."""
    async with opened(tmp_path, {KEY: DAILY, TEAM: WEEKLY}) as bench:
        await bench.credit(100_000)
        bench.now_us -= DAY_US
        spend(bench, 7_000)
        bench.now_us += DAY_US
        spend(bench, 2_000)
    store = SqliteStore(tmp_path / "ledger.db")
    store.write_now(lambda db: set_budget(db, budget))
    whole = store.read_now(read_counted)
    assert set(whole) == {KEY, TEAM}
    async with opened(tmp_path, store=store) as bench:
        rows = [found for found in on_disk(bench) if found[1] >= MIDNIGHT_S - 3600 or budget == WEEKLY]
        assert [found for found in rows if found[0] == KEY] == ([row] if row else [])
        assert spent(bench) == ([(KEY, row[2], 0)] if row else []) + [(TEAM, 9_000, 0)]
        expected = {TEAM: whole[TEAM]} | ({KEY: stamp(budget)} if budget else {})
        assert store.read_now(read_counted) == expected


async def test_what_is_whole_is_not_counted_again(tmp_path: Path) -> None:
    """A start reads the sums that are there: it does not go through the ledger."""
    async with opened(tmp_path, {KEY: DAILY}) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        await bench.landed()
        await bench.ledger.write(lambda db: db.execute("UPDATE spend SET amount = 77").fetchall())
    async with opened(tmp_path) as bench:
        assert spent(bench) == [(KEY, 77, 0)]


async def test_a_budget_that_is_removed_while_it_is_counted_leaves_nothing(tmp_path: Path) -> None:
    """Neither a sum nor a mark; and set again, it is counted again."""
    store = planted(tmp_path)
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
        counting = asyncio.create_task(bench.ledger.adopt(with_budget(bench, KEY, DAILY)))
        await store.until_asked()
        await bench.ledger.adopt(with_budget(bench, KEY, None))
        store.gate.set()
        await counting
        await bench.landed()
        assert (on_disk(bench), store.read_now(read_counted)) == ([], {})
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert (spent(bench), on_disk(bench)) == ([(KEY, 3_000, 0)], [(KEY, MIDNIGHT_S, 3_000)])


async def test_a_budget_that_is_removed_and_set_again_counts_once(tmp_path: Path) -> None:
    """Whatever the sums at the start were, and though the old ones are still being forgotten."""
    async with opened(tmp_path, {KEY: DAILY}) as bench:
        await bench.credit(100_000)
        spend(bench, 3_000)
    async with opened(tmp_path) as bench:
        assert spent(bench) == [(KEY, 3_000, 0)]
        await bench.ledger.adopt(with_budget(bench, KEY, None))
        spend(bench, 1_000)
        await bench.ledger.adopt(with_budget(bench, KEY, DAILY))
        assert (spent(bench), on_disk(bench)) == ([(KEY, 4_000, 0)], [(KEY, MIDNIGHT_S, 4_000)])


async def test_sums_of_other_periods_are_not_taken_for_these(tmp_path: Path) -> None:
    """A weekly budget in place of a daily one: the Monday's sum is not that of the Monday's week."""
    async with opened(tmp_path, {KEY: DAILY}) as bench:
        await bench.credit(100_000)
        bench.now_us = (MONDAY_S - 7 * 86_400) * 1_000_000
        spend(bench, 7_000)
        bench.now_us = NOON_US
        spend(bench, 2_000)
    store = SqliteStore(tmp_path / "ledger.db")
    store.write_now(lambda db: set_budget(db, WEEKLY))
    async with opened(tmp_path, store=store) as bench:
        assert spent(bench) == [(KEY, 2_000, 0)]
        bench.now_us = (MONDAY_S - 7 * 86_400) * 1_000_000
        assert spent(bench) == [(KEY, 0, 0)]


@pytest.mark.parametrize("at_us", [1_000_000, DAY_US - 1_000_000])
async def test_the_first_and_the_last_second_of_a_day_are_that_days(tmp_path: Path, at_us: int) -> None:
    """Wherever a moment is turned into a window: holds, budgets that are new, changed or counted at a start."""
    at_us += MIDNIGHT_S * 1_000_000
    async with opened(tmp_path, {TEAM: DAILY}) as bench:
        bench.now_us = at_us
        await bench.credit(100_000)
        spend(bench, 1_000)
        late = bench.reserve(2_000)
        await bench.ledger.adopt({**with_budget(bench, KEY, DAILY), TEAM: replace(bench.nodes[TEAM], budget=DAILY)})
        assert spent(bench) == [(KEY, 1_000, 2_000), (TEAM, 1_000, 2_000)]
        late.settle(bid(2_000), Usage(input=2))
        await bench.landed()
        assert on_disk(bench) == [(TEAM, MIDNIGHT_S, 3_000), (KEY, MIDNIGHT_S, 3_000)]
