"""What a budget finds spent when it begins to bind, whatever happens while it is counted."""

import asyncio
from pathlib import Path

from tests.ledger.kit import KEY, TEAM, Bench, opened, read_nodes
from tollhouse.errors import StorageUnavailable
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Budget

SET = "UPDATE node SET budget_nusd = ?, budget_period = ?, budget_zone = 'UTC' WHERE number = ?"


async def spend(bench: Bench, tokens: int) -> None:
    """Charges a thousand nano-USD for each token, of money that is there."""
    await bench.credit(tokens * 1000)
    hold = bench.reserve(tokens * 1000)
    hold.settle(hold.bids[0], Usage(input=tokens))
    await bench.landed()


def spent(bench: Bench, node: int = TEAM) -> tuple[int, list[tuple[int, int]]]:
    """What a node's budget has spent in memory; and the rows of its sums."""
    standing = next(one for one in bench.ledger.standing(bench.principal()).budgets if one.node == node)
    return standing.spent_nusd, bench.rows("SELECT window_start, amount FROM spend WHERE node = ?", node)


async def test_a_budget_changed_without_a_server_is_counted_at_start(tmp_path: Path) -> None:
    """A budget that was set, or counts by other periods, while no server ran knows what its period's charges were."""
    async with opened(tmp_path, {KEY: Budget(10**9, "day")}) as bench:
        await spend(bench, 7)
    store = SqliteStore(tmp_path / "ledger.db")
    store.write_now(lambda db: db.execute(SET, (10**9, "total", TEAM)))
    store.write_now(lambda db: db.execute(SET, (10**9, "month", KEY)))
    store.close()
    async with opened(tmp_path) as bench:
        assert spent(bench)[0] == spent(bench, KEY)[0] == 7000
        assert spent(bench)[1] == [(0, 7000)]
        await spend(bench, 2)
        assert (spent(bench)[0], spent(bench)[1]) == (9000, [(0, 9000)])
        assert [amount for _, amount in spent(bench, KEY)[1]] == [9000]


async def test_a_death_while_a_budget_is_counted_loses_nothing(tmp_path: Path) -> None:
    """A budget in the tree whose count had not begun, or was half done, is counted when the next process starts."""
    for half_done in (False, True):
        folder = tmp_path / str(half_done)
        folder.mkdir()
        async with opened(folder, {TEAM: Budget(10**9, "day")}) as bench:
            await spend(bench, 5)
            await bench.ledger.write(lambda db: db.execute(SET, (10**9, "week", TEAM)).fetchall())
            if half_done:
                bench.ledger._counting.follow(read_nodes(bench.store), ())[0].close()
                await bench.landed()
        async with opened(folder) as bench:
            assert spent(bench)[0] == 5000
            assert [amount for _, amount in spent(bench)[1]] == [5000]


async def test_a_budget_that_is_gone_leaves_no_sums(tmp_path: Path) -> None:
    """Sums of a budget that was taken away are not believed when it comes back."""
    async with opened(tmp_path, {TEAM: Budget(10**9, "day")}) as bench:
        await spend(bench, 5)
        await bench.set_node(TEAM, budget_nusd=None, budget_period=None, budget_zone=None)
        await spend(bench, 3)
        assert bench.rows("SELECT * FROM spend") == []
        await bench.set_node(TEAM, budget_nusd=10**9, budget_period="day", budget_zone="UTC")
        assert spent(bench)[0] == 8000


async def test_two_changes_at_once_leave_the_last(tmp_path: Path) -> None:
    """A budget that is changed while the change before is being counted ends with its own sum, once."""
    async with opened(tmp_path, {TEAM: Budget(10**9, "day")}) as bench:
        await spend(bench, 5)
        await bench.credit(4000)
        open_hold = bench.reserve(4000)
        changes = [bench.set_node(TEAM, budget_period=period) for period in ("week", "total", "day", "month")]
        await asyncio.gather(*changes)
        open_hold.settle(open_hold.bids[0], Usage(input=4))
        await spend(bench, 1)
        memory, rows = spent(bench)
        assert memory == 10_000
        assert [amount for _, amount in rows] == [10_000]


class _Stubborn(SqliteStore):
    """Takes nothing for a while."""

    deaf = 0

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        if self.deaf:
            self.deaf -= 1
            raise StorageUnavailable("Not now.")
        return super().apply(batch)


async def test_a_store_that_does_not_answer_is_waited_for(tmp_path: Path) -> None:
    """A budget is counted to the end when the disk returns, though the one who set it has left."""
    async with opened(tmp_path, {TEAM: Budget(10**9, "day")}) as bench:
        await spend(bench, 5)
        await bench.ledger.write(lambda db: db.execute(SET, (10**9, "total", TEAM)).fetchall())
    async with opened(tmp_path, store=_Stubborn(tmp_path / "ledger.db")) as bench:
        assert spent(bench)[0] == 5000
        nodes = read_nodes(bench.store)
        await bench.ledger.adopt({number: node for number, node in nodes.items() if number != TEAM})
        await bench.landed()
        assert isinstance(bench.store, _Stubborn)
        bench.store.deaf = 3
        setting = asyncio.ensure_future(bench.ledger.adopt(nodes))
        await asyncio.sleep(0)
        setting.cancel()
        await asyncio.gather(setting, return_exceptions=True)
        while not bench.rows("SELECT * FROM mark WHERE name = 'counted:3'"):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        assert spent(bench) == (5000, [(0, 5000)])
