"""The ledger at its edges: what it does not begin, and when it has nothing left to do."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.ledger.kit import NOON_US, Bench, Counted, opened, plant, price, read_nodes
from tests.ledger.test_free import Stuck, hold_free
from tests.ledger.test_journal_steps import Hand
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.journal import REST_S, Journal
from tollhouse.ledger.ledger import Ledger
from tollhouse.stores.sqlite import SqliteStore


async def hold(bench: Bench) -> None:
    """Begins a request."""
    bench.reserve(100)


async def credit(bench: Bench) -> None:
    """Moves money."""
    await bench.credit(5)


async def set_price(bench: Bench) -> None:
    """As an admin does."""
    await bench.ledger.set_price(price(7, 8, "n"), "me")


async def change(bench: Bench) -> None:
    """Any other write."""
    await bench.ledger.write(lambda db: db.execute("SELECT 1").fetchall())


@pytest.mark.parametrize("step", [hold, credit, set_price, change])
async def test_while_the_store_fails_nothing_new_is_begun(
    tmp_path: Path, step: Callable[[Bench], Awaitable[None]]
) -> None:
    """Neither a hold nor a movement, a price or any other change: each is refused before it has changed anything."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000)
        before = (bench.available(), bench.journal.appended)
        bench.journal.failing = StorageUnavailable("The disk is full.")
        with pytest.raises(StorageUnavailable, match="disk is full"):
            await step(bench)
        assert (bench.available(), bench.journal.appended) == before
        bench.journal.failing = None


class Noted(Journal):
    """A journal that counts for how many rests it was asked."""

    rests = 0

    def later(self, wait_s: float, function: Callable[[], None]) -> bool:
        """See `Journal`."""
        self.rests += 1
        return super().later(wait_s, function)


async def test_a_ledger_whose_holds_are_all_written_is_still(tmp_path: Path) -> None:
    """A hold rests for two turns, and then no clock of the ledger's runs any more, though it is open."""
    store = SqliteStore(tmp_path / "ledger.db")
    store.write_now(lambda db: plant(db, {}))
    journal = Noted(Stuck())
    ledger = Ledger(store, journal, Counted(), lambda: NOON_US)
    ledger.prime(read_nodes(store))
    journal.start()
    assert hold_free(ledger).open
    await asyncio.sleep(10 * REST_S)
    assert journal.rests == 2
    store.close()


async def test_holds_that_are_asked_to_be_written_wait_for_nothing(tmp_path: Path) -> None:
    """The writer is called for them there and then."""
    store = SqliteStore(tmp_path / "ledger.db")
    store.write_now(lambda db: plant(db, {}))
    hand = Hand()
    ledger = Ledger(store, Journal(hand), Counted(), lambda: NOON_US)
    ledger.prime(read_nodes(store))
    ledger.journal.start()
    assert hold_free(ledger).open
    kicks = hand.kicks
    ledger.write_holds()
    assert hand.kicks == kicks + 1
    store.close()
