"""The journal, step by step, with a writer that does what the test says: nothing depends on time."""

import asyncio

import pytest

from tollhouse.errors import InternalError, StorageUnavailable
from tollhouse.ledger.journal import LONG_REST_S, MAX_BATCH, MAX_GROUPS, PATIENCE_S, REST_S, Journal
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


async def test_a_deferred_group_rests_longer_and_goes_with_any_other() -> None:
    """The writer is not called for it soon; whoever waits for something later takes it along, in its turn."""
    journal, hand = begun()
    journal.defer(account(1))
    await asyncio.sleep(2 * REST_S)
    assert (hand.kicks, journal.appended) == (0, 1)
    waiter = await waiting(journal, journal.append(account(2)))
    assert (hand.kicks, journal.take()) == (1, [account(1), account(2)])
    journal.land(2, {})
    await waiter


async def test_a_deferred_group_is_written_in_the_end() -> None:
    """Also where nobody ever waits for anything; once for all that were deferred meanwhile."""
    journal, hand = begun()
    journal.defer(account(1))
    journal.defer(account(2))
    await asyncio.sleep(1.5 * LONG_REST_S)
    assert hand.kicks == 1
    journal.land(2, {})
    journal.defer(account(3))
    journal.land(1, {})
    await asyncio.sleep(1.5 * LONG_REST_S)
    assert hand.kicks == 1
    journal.defer(account(4))
    await asyncio.sleep(1.5 * LONG_REST_S)
    assert hand.kicks == 2


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
    journal.flush()
    called: list[int] = []
    assert journal.later(0, lambda: called.append(1)) is False
    await asyncio.sleep(0.05)
    assert called == []
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


async def test_who_comes_while_the_store_fails_waits_for_it() -> None:
    """Nobody is told of a fault before their patience has ended, and a store that comes back is in time."""
    journal, _ = begun()
    journal.fail(DOWN)
    waiter = await waiting(journal, journal.append(account(1)))
    assert not waiter.done()
    journal.land(1, {})
    await waiter


async def test_what_is_deferred_before_the_start_goes_with_it() -> None:
    """There is no loop yet that could write it down later."""
    hand = Hand()
    journal = Journal(hand)
    journal.defer(account(1))
    journal.start()
    assert (hand.kicks, journal.take()) == (1, [account(1)])


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


async def test_a_group_that_was_refused_does_not_stop_the_stop() -> None:
    """The writer is stopped also when the last group of all was a program error."""
    journal, hand = begun()
    journal.append(account(1))
    stopping = asyncio.create_task(journal.stop())
    await asyncio.sleep(0)
    journal.land(1, {0: "why not"})
    await asyncio.wait_for(stopping, 1)
    assert hand.stops == 1
    await journal.stop()
    assert hand.stops == 2


async def test_patience_is_counted_by_the_clock_of_the_loop() -> None:
    """Which is virtual in the simulator."""
    journal = Journal(Hand())
    journal.start()
    assert journal._now == asyncio.get_running_loop().time


async def test_when_the_writer_is_dead_everybody_is_told() -> None:
    """Those who wait, those who come later, and those who want something new; who asks for what has landed is not."""
    journal, hand = begun()
    journal.append(account(1))
    journal.land(1, {})
    waiter = await waiting(journal, journal.append(account(2)))
    journal.die()
    for told in (waiter, journal.durable(2), journal.durable(journal.append(account(3)))):
        with pytest.raises(StorageUnavailable, match="Restart"):
            await asyncio.wait_for(told, 1)
    with pytest.raises(StorageUnavailable, match="Restart") as refused:
        journal.check()
    assert refused.value.headers == {"retry-after": "1"}
    await journal.durable(1)
    await asyncio.wait_for(journal.stop(), 1)
    assert hand.stops == 1
