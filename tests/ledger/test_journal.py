"""The journal: what is appended becomes durable in order, whole, and only then."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from tests.fakes.door import eventually
from tests.ledger.kit import bid, opened
from tollhouse.errors import InternalError, StorageUnavailable
from tollhouse.ledger.journal import MAX_BATCH, MAX_GROUPS, Journal, WriterThread
from tollhouse.stores.protocol import Batch, Call
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import AddAccount, CloseHold


class Moody(SqliteStore):
    """A store whose next commits fail in the ways that are listed, then work."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.moods: list[str] = []
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        self.gate.wait(10)
        self.batches.append(len(batch.groups))
        mood = self.moods.pop(0) if self.moods else ""
        if mood == "refuses":
            raise StorageUnavailable("The disk is full.")
        broken = super().apply(batch)
        if mood == "forgets to say":
            raise StorageUnavailable("The commit's outcome is unknown.")
        return broken


async def test_nothing_is_written_before_somebody_waits_or_a_moment_passes(tmp_path: Path) -> None:
    """A hold and its charge, decided within the rest, are one commit."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        before = bench.journal.commits
        hold = bench.reserve(50_000)
        hold.settle(bid(50_000), Usage(input=1))
        await hold.durable()
        assert bench.journal.commits == before + 1
        bench.reserve(1).release()
        for _ in range(200):
            if bench.journal.landed == bench.journal.appended:
                break
            await asyncio.sleep(0.01)
        assert bench.journal.landed == bench.journal.appended


async def test_groups_that_wait_share_a_commit(tmp_path: Path) -> None:
    """While the disk is busy, everything that is decided gathers, and goes in batches of a bounded size."""
    store = Moody(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    store.gate.clear()
    numbers = [
        journal.append((AddAccount(number, f"a{number}", allow_debt=True),)) for number in range(1, MAX_BATCH + 500)
    ]
    waiting = asyncio.gather(*[journal.durable(number) for number in numbers])
    await asyncio.sleep(0.05)
    store.gate.set()
    await waiting
    assert sum(store.batches) == MAX_BATCH + 499
    assert len(store.batches) <= 3
    assert max(store.batches) <= MAX_BATCH
    names = store.read_now(lambda db: [name for (name,) in db.execute("SELECT name FROM account ORDER BY id")])
    assert names == [f"a{number}" for number in range(1, MAX_BATCH + 500)]
    await journal.stop()
    store.close()


@pytest.mark.parametrize("mood", ["refuses", "forgets to say"])
async def test_i14_a_batch_that_failed_lands_once(tmp_path: Path, mood: str) -> None:
    """I14: whether a failed commit happened or not, its operations are there once when the store works again."""
    store = Moody(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    store.moods = [mood, mood, mood]
    await journal.durable(journal.append((AddAccount(1, "a", allow_debt=True),)))
    await journal.durable(journal.append((AddAccount(2, "b", allow_debt=True),)))
    assert store.read_now(lambda db: db.execute("SELECT count(*) FROM account").fetchall()) == [(2,)]
    assert journal.failing is None
    await journal.stop()
    store.close()


async def test_while_the_store_fails_nothing_new_is_promised(tmp_path: Path) -> None:
    """F87: `check` refuses with 503 while a batch cannot be written, and allows again when it could."""
    store = Moody(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    store.moods = ["refuses"] * 4
    journal.check()
    waiting = asyncio.create_task(journal.durable(journal.append((AddAccount(1, "a", allow_debt=True),))))
    await eventually(lambda: journal.failing is not None)
    with pytest.raises(StorageUnavailable, match="disk is full") as refused:
        journal.check()
    assert refused.value.headers == {"retry-after": "1"}
    await waiting
    journal.check()
    await journal.stop()
    store.close()


async def test_a_waiter_is_told_when_the_store_stays_away(tmp_path: Path) -> None:
    """Nobody waits for ever: after the patience the waiter gets 503, and the group still lands later."""
    store = Moody(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    store.moods = ["refuses"] * 1000
    journal._now = lambda: next(clock)
    clock: Iterator[float] = iter(range(0, 10_000, 3))
    with pytest.raises(StorageUnavailable):
        await asyncio.wait_for(journal.durable(journal.append((AddAccount(1, "a", allow_debt=True),))), 10)
    store.moods = []
    await asyncio.wait_for(journal.durable(1), 10)
    await journal.stop()
    store.close()


async def test_a_journal_that_falls_behind_refuses(tmp_path: Path) -> None:
    """F91: the queue is bounded; over the bound new work gets 503."""
    store = SqliteStore(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.appended = MAX_GROUPS + 1
    with pytest.raises(StorageUnavailable, match="fallen behind"):
        journal.check()
    journal.appended = MAX_GROUPS
    journal.check()
    store.close()


async def test_a_group_that_the_database_refuses_fails_alone(tmp_path: Path) -> None:
    """A program error in one group (here: a hold that was never opened) is its own waiter's, and is reported."""
    store = Moody(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    told: list[str] = []
    journal.on_broken = told.append
    journal.start()
    store.gate.clear()
    good = journal.append((AddAccount(1, "a", allow_debt=True),))
    bad = journal.append((AddAccount(2, "half", allow_debt=True), CloseHold(99, "released", 1)))
    last = journal.append((AddAccount(3, "b", allow_debt=True),))
    waiting = asyncio.gather(*[journal.durable(number) for number in (good, bad, last)], return_exceptions=True)
    await asyncio.sleep(0.02)
    store.gate.set()
    first, second, third = await waiting
    assert (first, third) == (None, None)
    assert isinstance(second, InternalError)
    assert store.read_now(lambda db: db.execute("SELECT name FROM account ORDER BY id").fetchall()) == [("a",), ("b",)]
    assert told == ["a hold that is to be resolved is not there"]
    with pytest.raises(InternalError):
        await journal.durable(bad)
    await journal.stop()
    store.close()


async def test_a_call_runs_in_its_turn_and_what_it_raises_is_its_callers(tmp_path: Path) -> None:
    """A function sees all that was appended before it; its error undoes it alone."""
    async with opened(tmp_path) as bench:
        journal = bench.journal

        def fails(db: apsw.Connection) -> None:
            db.execute("INSERT INTO account (id, name, allow_debt) VALUES (77, 'never', 1)")
            raise ValueError("no")

        journal.append((AddAccount(50, "fifty", allow_debt=True),))
        counted = journal.call(lambda db: db.execute("SELECT count(*) FROM account WHERE id = 50").fetchall())
        results = await asyncio.gather(counted, journal.call(fails), return_exceptions=True)
        assert results[0] == [(1,)]
        assert isinstance(results[1], ValueError)
        assert bench.rows("SELECT count(*) FROM account WHERE id = 77") == [(0,)]


async def test_a_waiter_that_leaves_disturbs_nobody(tmp_path: Path) -> None:
    """Cancelling one waiter leaves the others to be told."""
    async with opened(tmp_path) as bench:
        bench.reserve(0).release()
        left = asyncio.create_task(bench.landed())
        stays = asyncio.create_task(bench.landed())
        await asyncio.sleep(0)
        left.cancel()
        await asyncio.wait_for(stays, 5)


async def test_what_was_appended_before_the_start_is_written_after_it(tmp_path: Path) -> None:
    """A journal takes groups before it runs; waiting for one then is an error."""
    store = SqliteStore(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    number = journal.append((Call(lambda db: db.execute("INSERT INTO mark VALUES ('x', 1)").fetchall()),))
    with pytest.raises(RuntimeError, match="not been started"):
        await journal.durable(number)
    journal.start()
    await asyncio.wait_for(journal.durable(number), 5)
    await journal.stop()
    store.close()


async def test_stopping_writes_what_is_queued(tmp_path: Path) -> None:
    """A stop is a last commit; a failing store does not hold it up."""
    async with opened(tmp_path) as bench:
        bench.reserve(0).release()
    async with opened(tmp_path) as bench:
        assert bench.rows("SELECT state FROM hold") == [("released",)]
    store = Moody(tmp_path / "other.db")
    store.moods = ["refuses"] * 1000
    journal = Journal(WriterThread(store))
    journal.start()
    journal.append((AddAccount(1, "a", allow_debt=True),))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(journal.stop(), 5)
    store.close()


async def test_a_writer_that_dies_is_seen(tmp_path: Path) -> None:
    """An error that nothing foresaw ends the writer: waiters are told, and nothing more is promised."""

    class Broken(SqliteStore):
        def apply(self, batch: Batch) -> dict[int, str]:
            raise MemoryError(batch.number)

    store = Broken(tmp_path / "ledger.db")
    writer = WriterThread(store)
    journal = Journal(writer)
    journal.start()
    threading.excepthook, said = lambda _: None, threading.excepthook
    try:
        with pytest.raises(StorageUnavailable, match="Restart"):
            await asyncio.wait_for(journal.durable(journal.append((AddAccount(1, "a", allow_debt=True),))), 5)
        with pytest.raises(StorageUnavailable, match="Restart"):
            journal.check()
        await journal.stop()  # the thread has ended then, and has said why
    finally:
        threading.excepthook = said
    store.close()
