"""The journal, step by step, with a writer that does what the test says: nothing depends on time."""

import asyncio
import threading
import time
from pathlib import Path

import pytest

from tests.ledger.kit import eventually
from tollhouse.errors import InternalError, StorageUnavailable
from tollhouse.ledger.journal import MAX_BATCH, MAX_GROUPS, PATIENCE_S, Journal, WriterThread
from tollhouse.stores.protocol import Batch, Call
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import AddAccount

DOWN = StorageUnavailable("The disk is full.")


class Hand:
    """A writer that counts its calls."""

    def __init__(self) -> None:
        self.started: Journal | None = None
        self.kicks = 0
        self.stops = 0

    def start(self, journal: Journal) -> None:
        """See `Writer`."""
        self.started = journal

    def kick(self) -> None:
        """See `Writer`."""
        self.kicks += 1

    def stop(self) -> None:
        """See `Writer`."""
        self.stops += 1


def account(number: int) -> tuple[AddAccount]:
    """A group."""
    return (AddAccount(number, f"a{number}", allow_debt=True),)


def begun() -> tuple[Journal, Hand]:
    """A journal that has started, on a clock that stands at 0 until it is moved."""
    hand = Hand()
    journal = Journal(hand)
    journal.start()
    journal._now = lambda: 0.0
    return journal, hand


async def waiting(journal: Journal, number: int) -> asyncio.Task[None]:
    """Somebody who waits for a group."""
    task = asyncio.create_task(journal.durable(number))
    await asyncio.sleep(0)
    return task


async def test_groups_have_numbers_and_are_taken_in_their_order() -> None:
    """Numbers count from 1; what is taken is not taken again."""
    journal, _ = begun()
    assert [journal.append(account(number)) for number in (7, 8, 9)] == [1, 2, 3]
    assert journal.take() == [account(7), account(8), account(9)]
    assert journal.take() == []


async def test_a_batch_has_a_largest_size() -> None:
    """So many groups and no more; after a full one the writer is called again, after others it is not."""
    journal, hand = begun()
    for number in range(MAX_BATCH + 1):
        journal.append(account(number))
    assert len(journal.take()) == MAX_BATCH
    assert hand.kicks == 0
    journal.land(MAX_BATCH, {})
    assert hand.kicks == 1
    assert journal.take() == [account(MAX_BATCH)]
    journal.land(1, {})
    assert (hand.kicks, journal.landed, journal.commits) == (1, MAX_BATCH + 1, 2)


async def test_the_writer_is_called_by_whoever_waits() -> None:
    """Without a waiter a group rests; one who waits for what has landed calls nobody."""
    journal, hand = begun()
    assert hand.started is journal
    number = journal.append(account(1))
    assert hand.kicks == 0
    waiter = await waiting(journal, number)
    assert hand.kicks == 1
    journal.land(1, {})
    await waiter
    await journal.durable(number)
    assert hand.kicks == 1


async def test_a_group_that_nobody_waits_for_is_written_after_a_rest() -> None:
    """Once for all that gathered meanwhile; and not when it has landed by then."""
    journal, hand = begun()
    journal.append(account(1))
    journal.append(account(2))
    await asyncio.sleep(0.05)
    assert hand.kicks == 1
    journal.land(2, {})
    journal.append(account(3))
    journal.land(1, {})
    await asyncio.sleep(0.05)
    assert hand.kicks == 1
    journal.append(account(4))
    await asyncio.sleep(0.05)
    assert hand.kicks == 2


async def test_a_journal_that_starts_with_nothing_calls_nobody() -> None:
    """And one that was given groups before calls the writer at once."""
    hand = Hand()
    Journal(hand).start()
    assert hand.kicks == 0
    journal = Journal(hand)
    journal.append(account(1))
    await asyncio.sleep(0.05)
    assert hand.kicks == 0
    journal.start()
    assert hand.kicks == 1


async def test_each_is_told_when_its_own_group_has_landed() -> None:
    """In any order of waiting; who left is passed over."""
    journal, _ = begun()
    for number in range(4):
        journal.append(account(number))
    last, first, left, second = [await waiting(journal, number) for number in (4, 1, 1, 2)]
    left.cancel()
    await asyncio.sleep(0)
    journal.land(2, {})
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (first.done(), second.done(), last.done()) == (True, True, False)
    journal.land(2, {})
    await asyncio.wait_for(last, 1)
    assert not journal._waiters


async def test_a_refused_group_is_its_waiters_error_for_ever() -> None:
    """Its number is counted from what had landed before its batch; the others of the batch are told nothing."""
    journal, _ = begun()
    told: list[str] = []
    for number in range(5):
        journal.append(account(number))
    journal.land(2, {1: "why not"})
    journal.on_broken = told.append
    waiters = [await waiting(journal, number) for number in (3, 4, 5)]
    journal.land(3, {0: "first", 2: "last"})
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [InternalError, type(None), InternalError]
    assert told == ["first", "last"]
    for number, broken in ((1, False), (2, True), (3, True), (4, False), (5, True)):
        if broken:
            with pytest.raises(InternalError):
                await journal.durable(number)
        else:
            await journal.durable(number)


async def test_nothing_new_is_promised_while_the_store_fails() -> None:
    """From the first failure to the next success; the client is told when to come back."""
    journal, _ = begun()
    journal.check()
    journal.fail(DOWN)
    with pytest.raises(StorageUnavailable, match="disk is full") as refused:
        journal.check()
    assert refused.value.headers == {"retry-after": "1"}
    journal.land(0, {})
    journal.check()
    journal.appended, journal.landed = MAX_GROUPS + 5, 5
    journal.check()
    journal.appended += 1
    with pytest.raises(StorageUnavailable, match="behind") as refused:
        journal.check()
    assert refused.value.headers == {"retry-after": "1"}


async def test_patience_is_counted_from_the_first_failure_in_a_row() -> None:
    """A waiter is told after that time and not before; a success in between begins it anew."""
    journal, _ = begun()
    now = [100.0]
    journal._now = lambda: now[0]
    waiter, left = await waiting(journal, journal.append(account(1))), await waiting(journal, 1)
    left.cancel()
    await asyncio.sleep(0)
    journal.fail(DOWN)
    now[0] += PATIENCE_S - 0.25
    journal.fail(DOWN)
    await asyncio.sleep(0)
    assert not waiter.done()
    journal.land(0, {})
    journal.fail(DOWN)
    now[0] += PATIENCE_S - 0.25
    journal.fail(DOWN)
    await asyncio.sleep(0)
    assert not waiter.done()
    now[0] += 0.25
    journal.fail(DOWN)
    with pytest.raises(StorageUnavailable, match="disk is full") as told:
        await waiter
    assert told.value.headers == {"retry-after": "1"}
    assert not journal._waiters
    late = await waiting(journal, 1)
    journal.fail(DOWN)
    with pytest.raises(StorageUnavailable):
        await late


async def test_stopping_waits_for_what_is_queued_and_for_nothing_else() -> None:
    """With an empty queue or a failing store the writer is stopped at once."""
    journal, hand = begun()
    await asyncio.wait_for(journal.stop(), 1)
    journal.append(account(1))
    stopping = asyncio.create_task(journal.stop())
    await asyncio.sleep(0)
    assert (hand.stops, hand.kicks) == (1, 1)
    journal.land(1, {})
    await asyncio.wait_for(stopping, 1)
    assert hand.stops == 2
    journal.append(account(2))
    journal.fail(DOWN)
    await asyncio.wait_for(journal.stop(), 1)
    assert hand.stops == 3
    journal.land(0, {})
    stopping = asyncio.create_task(journal.stop())
    await asyncio.sleep(0)
    journal.fail(DOWN)
    journal._now = lambda: PATIENCE_S
    journal.fail(DOWN)
    await asyncio.wait_for(stopping, 1)
    assert hand.stops == 4


# --- the thread ----------------------------------------------------------------------------------------------------


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
    assert not writer._thread.is_alive()
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
    assert journal.failing is not None
    await asyncio.wait_for(journal.stop(), 1)
    tries = len(store.at)
    assert not journal._writer._thread.is_alive()  # type: ignore[attr-defined]
    await asyncio.sleep(0.3)
    assert len(store.at) == tries
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
    assert writer._stopping.wait(5)
    tries = len(store.at)
    time.sleep(0.2)
    assert len(store.at) == tries
    writer.stop()
    assert not writer._thread.is_alive()
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
