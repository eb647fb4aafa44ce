"""What a process leaves open when it dies, and what the next one makes of it."""

import shutil
from pathlib import Path

import pytest

from tests.ledger.kit import KEY, NOON_US, TEAM, bid, opened, price, read_nodes
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.recovery import Recovered, recover
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Budget

BUDGETS = {KEY: Budget(1_000_000, "day"), TEAM: Budget(2_000_000)}


async def crash(tmp_path: Path, *, progress: int | None, amount: int = 100_000) -> Path:
    """A folder as a process left it that died with one open hold: a copy of the live files."""
    left = tmp_path / "left"
    left.mkdir()
    live = tmp_path / "live"
    live.mkdir()
    async with opened(live, BUDGETS) as bench:
        await bench.credit(1_000_000)
        hold = bench.reserve(amount)
        if progress is not None:
            hold.progress(bid(amount), 10, progress)
        await bench.landed()
        for file in live.iterdir():
            shutil.copy(file, left / file.name)
        hold.release()
    return left


async def test_a_hold_of_which_nothing_was_shown_is_released(tmp_path: Path) -> None:
    """F80: died before the first token: nothing is charged, nothing stays held."""
    folder = await crash(tmp_path, progress=None)
    async with opened(folder) as bench:
        assert bench.recovered == Recovered(charged=0, released=1)
        assert bench.rows("SELECT state, charge FROM hold") == [("released", 0)]
        assert bench.available() == 1_000_000


async def test_what_had_been_shown_is_charged_as_far_as_it_is_known(tmp_path: Path) -> None:
    """F80: died in mid-stream: the prompt and the last known progress are charged, marked as an estimate."""
    folder = await crash(tmp_path, progress=7)
    async with opened(folder) as bench:
        assert bench.recovered == Recovered(charged=1, released=0)
        row = "SELECT state, charge, input, output, estimated, interrupted, target, closed_at FROM hold"
        assert bench.rows(row) == [("expired", 24_000, 10, 7, 1, 1, "host/m", NOON_US)]
        assert bench.rows("SELECT node, amount FROM spend ORDER BY node") == [(TEAM, 24_000), (KEY, 24_000)]
        assert bench.rows("SELECT requests, input, output, estimated, charge FROM usage_day") == [(1, 10, 7, 1, 24_000)]
        assert bench.available() == 976_000
        bench.reserve(1_000).settle(bid(1_000), Usage(input=1))
        await bench.landed()
        assert bench.rows("SELECT count(*), sum(amount) FROM entry") == [(6, 0)]


async def test_recovery_charges_at_most_the_hold(tmp_path: Path) -> None:
    """I7: an estimate beyond the hold is clipped to it."""
    folder = await crash(tmp_path, progress=7, amount=20_000)
    async with opened(folder) as bench:
        assert bench.rows("SELECT charge, clipped FROM hold") == [(20_000, 4_000)]
        assert bench.available() == 980_000


async def test_f82_recovering_twice_recovers_once(tmp_path: Path) -> None:
    """F82: death in the middle of recovery leaves it to be done, and a second one finds nothing to do."""
    folder = await crash(tmp_path, progress=7)

    class Dies(SqliteStore):
        def apply(self, batch: Batch) -> dict[int, str]:
            raise StorageUnavailable(f"killed at batch {batch.number}")

    dying = Dies(folder / "ledger.db")
    with pytest.raises(StorageUnavailable):
        recover(dying, read_nodes(dying), NOON_US)
    dying.close()
    store = SqliteStore(folder / "ledger.db")
    nodes = read_nodes(store)
    assert recover(store, nodes, NOON_US) == Recovered(1, 0)
    assert recover(store, nodes, NOON_US + 1) == Recovered(0, 0)
    assert store.read_now(lambda db: db.execute("SELECT count(*) FROM tx WHERE kind = 'charge'").fetchall()) == [(1,)]
    store.close()


async def test_free_work_is_recovered_without_entries(tmp_path: Path) -> None:
    """A zero-priced answer that was cut by a crash is counted, and moves no money."""
    live, left = tmp_path / "live", tmp_path / "left"
    live.mkdir()
    left.mkdir()
    async with opened(live) as bench:
        hold = bench.reserve(0, version=price(0, 0))
        hold.progress(hold.bids[0], 3, 4)
        await bench.landed()
        for file in live.iterdir():
            shutil.copy(file, left / file.name)
        hold.release()
    async with opened(left) as bench:
        assert bench.recovered == Recovered(charged=1, released=0)
        assert bench.rows("SELECT state, charge, output FROM hold") == [("expired", 0, 4)]
        assert bench.rows("SELECT count(*) FROM entry") == [(0,)]


async def test_the_accounts_that_a_charge_needs_are_made(tmp_path: Path) -> None:
    """A ledger that died before its first commit of accounts is recovered all the same."""
    folder = await crash(tmp_path, progress=7)
    store = SqliteStore(folder / "ledger.db")

    def strip(db: object) -> None:
        for statement in (
            "DROP TRIGGER posting_kept_2",
            "DROP TRIGGER movement_kept_2",
            "DELETE FROM posting",
            "DELETE FROM movement",
            "DELETE FROM account",
        ):
            db.execute(statement)  # type: ignore[attr-defined]

    store.write_now(strip)
    assert recover(store, read_nodes(store), NOON_US).charged == 1
    names = store.read_now(lambda db: db.execute("SELECT name, posted FROM account ORDER BY id").fetchall())
    assert names == [("org:org_acme", -24_000), ("sys:revenue", 24_000)]
    store.close()
