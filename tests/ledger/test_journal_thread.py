"""The writer's thread: how it is woken, what it does with a store that fails, and how it ends."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from tests.ledger.kit import eventually
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger import journal as journal_module
from tollhouse.ledger.journal import MAX_BATCH, Journal, WriterThread
from tollhouse.stores.protocol import Batch, Call
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import AddAccount


def account(number: int) -> tuple[AddAccount]:
    """A group."""
    return (AddAccount(number, f"a{number}", allow_debt=True),)


async def waiting(journal: Journal, number: int) -> asyncio.Task[None]:
    """Somebody who waits for a group."""
    task = asyncio.create_task(journal.durable(number))
    await asyncio.sleep(0)
    return task


class Slow(SqliteStore):
    """A store that notes when it was called, and fails while it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.at: list[float] = []
        self.sizes: list[int] = []
        self.failing = False
        self.gate = threading.Event()
        self.gate.set()

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        self.at.append(time.monotonic())
        self.sizes.append(len(batch.groups))
        self.gate.wait(10)
        if self.failing:
            raise StorageUnavailable("no")
        return super().apply(batch)


async def test_more_than_one_batch_that_nobody_waits_for_is_written(tmp_path: Path) -> None:
    """However many groups a moment brings, all of them are on disk soon after, without a further one."""
    store = Slow(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    for number in range(1, 2 * MAX_BATCH + 100):
        journal.append(account(number))
    await eventually(lambda: journal.landed == journal.appended)
    assert store.sizes == [MAX_BATCH, MAX_BATCH, 99]
    await journal.stop()
    store.close()


async def test_many_calls_are_one(tmp_path: Path) -> None:
    """The writer is woken once for all who call before it begins, and again for those who call after."""
    store = Slow(tmp_path / "ledger.db")
    writer = WriterThread(store)
    journal = Journal(writer)
    journal.append(account(1))
    for _ in range(50):
        writer.kick()
    assert writer._calls.qsize() == 1
    store.gate.clear()
    journal.start()
    await eventually(lambda: bool(store.at))
    number = journal.append(account(2))
    waiter = await waiting(journal, number)
    store.gate.set()
    await asyncio.wait_for(waiter, 5)
    assert store.sizes == [1, 1]
    await journal.stop()
    assert not writer._runner.is_alive()
    store.close()


async def test_a_failing_store_is_tried_again_at_growing_distances(tmp_path: Path) -> None:
    """After 20 ms, 50 ms, 100 ms: at once often, then ever more rarely; a stop ends it in the middle of a pause."""
    store = Slow(tmp_path / "ledger.db")
    store.failing = True
    journal = Journal(WriterThread(store))
    journal.start()
    journal.append(account(1))
    await eventually(lambda: len(store.at) >= 4)
    pauses = [after - before for before, after in zip(store.at, store.at[1:], strict=False)]
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.05, 0.1), strict=False))
    assert max(pauses[:2]) < 0.9
    assert journal.failing is not None
    await asyncio.wait_for(journal.stop(), 1)
    tries = len(store.at)
    assert not journal._writer._runner.is_alive()  # type: ignore[attr-defined]
    await asyncio.sleep(0.3)
    assert len(store.at) == tries
    store.close()


async def test_a_store_may_fail_for_longer_than_pauses_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last pause is made again and again, and what waited is written in the end."""
    monkeypatch.setattr(journal_module, "_RETRY_S", (0.001, 0.002))
    store = Slow(tmp_path / "ledger.db")
    store.failing = True
    journal = Journal(WriterThread(store))
    journal.start()
    waiter = await waiting(journal, journal.append(account(1)))
    await eventually(lambda: len(store.at) >= 6)
    store.failing = False
    await asyncio.wait_for(waiter, 5)
    await journal.stop()
    store.close()


def test_a_writer_whose_loop_is_gone_gives_up(tmp_path: Path) -> None:
    """A program that ends without stopping its journal leaves no thread that tries for ever."""
    store = Slow(tmp_path / "ledger.db")
    store.failing = True
    journal = Journal(WriterThread(store))

    async def leave() -> None:
        journal.start()
        journal.append(account(1))
        await eventually(lambda: bool(store.at))

    asyncio.run(leave())
    writer = journal._writer
    assert isinstance(writer, WriterThread)
    assert writer._runner.daemon
    assert writer._stopping.wait(5)
    tries = len(store.at)
    time.sleep(0.2)
    assert len(store.at) == tries
    writer.stop()
    assert not writer._runner.is_alive()
    store.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_program_error_in_the_writer_is_told_and_no_secret(tmp_path: Path) -> None:
    """What nobody foresaw ends the writer: whoever waits is told, nothing new is promised, and a stop does not hang."""

    class Buggy(SqliteStore):
        def apply(self, batch: Batch) -> dict[int, str]:
            raise KeyError(batch.number)

    store = Buggy(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    with pytest.raises(StorageUnavailable, match="Restart"):
        await asyncio.wait_for(journal.durable(journal.append(account(1))), 5)
    with pytest.raises(StorageUnavailable):
        journal.check()
    await asyncio.wait_for(journal.stop(), 5)
    store.close()


async def test_a_writer_that_is_stopped_has_not_died(tmp_path: Path) -> None:
    """Its end is no failure."""
    store = SqliteStore(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    await journal.durable(journal.append(account(1)))
    await journal.stop()
    await asyncio.sleep(0.02)
    assert journal.failing is None
    store.close()


async def test_a_disk_that_hangs_keeps_no_process_alive(tmp_path: Path) -> None:
    """The writer's thread ends with the program, whatever it is waiting for."""
    store = SqliteStore(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    before = set(threading.enumerate())
    journal.start()
    assert [thread.daemon for thread in threading.enumerate() if thread not in before] == [True]
    await journal.stop()
    store.close()


async def test_a_writer_that_was_never_started_stops(tmp_path: Path) -> None:
    """A program that fails before it has begun can still be ended."""
    store = SqliteStore(tmp_path / "ledger.db")
    await Journal(WriterThread(store)).stop()
    store.close()


async def test_what_a_call_returns_is_told_when_it_is_durable(tmp_path: Path) -> None:
    """Its result, whatever it is."""
    store = SqliteStore(tmp_path / "ledger.db")
    journal = Journal(WriterThread(store))
    journal.start()
    assert await journal.call(lambda _: 42) == 42
    assert await journal.call(lambda db: db.execute("SELECT 43").fetchall()) == [(43,)]
    call = Call(lambda _: "x")
    await journal.durable(journal.append((call,)))
    assert (call.result, call.error) == ("x", None)
    await journal.stop()
    store.close()
