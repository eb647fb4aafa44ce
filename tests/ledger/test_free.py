"""What costs nothing waits for nothing: its record follows its answer."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from tests.fakes.door import HELLO
from tests.fakes.door import opened as opened_door
from tests.ledger.kit import (
    KEY,
    NOON_US,
    ORG,
    TEAM,
    USER,
    Counted,
    bid,
    eventually,
    opened,
    plant,
    price,
    read_nodes,
)
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.holds import Books, Hold
from tollhouse.ledger.journal import Journal
from tollhouse.ledger.ledger import Ledger
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.tenancy import Chain, Principal

FAILED = (AttemptRecord("host/m", "upstream_timeout", "up-1", 30, 7), AttemptRecord("host/m", "ok"))
SIM = {"model": "tollhouse/sim", **HELLO}


def waits(step: Awaitable[None]) -> bool:
    """Whether a step has to wait for the disk."""
    running = step.__await__()
    try:
        next(running)
    except StopIteration:
        return False
    return True


async def test_a_free_request_waits_at_no_step(tmp_path: Path) -> None:
    """Neither when it is held nor when it is settled or released; its record lands by itself."""
    async with opened(tmp_path) as bench:
        await bench.landed()  # the writer is called for what was there at the start, and is to have come and gone
        free = bench.reserve(0)
        assert not waits(free.durable())
        free.settle(bid(0), Usage(input=3))
        released = bench.reserve(0)
        released.release()
        assert not waits(free.durable())
        assert not waits(released.durable())
        assert bench.rows("SELECT count(*) FROM hold") == [(0,)]
        await eventually(lambda: bench.rows("SELECT state FROM hold") == [("settled",), ("released",)])


async def test_what_may_cost_something_waits(tmp_path: Path) -> None:
    """Also where it cost nothing in the end."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        for usage in (Usage(), Usage(input=1)):
            hold = bench.reserve(100_000)
            assert waits(hold.durable())
            hold.settle(bid(100_000), usage)
            assert waits(hold.durable())


async def test_a_single_nano_usd_is_waited_for(tmp_path: Path) -> None:
    """The least that may be charged is money too."""
    async with opened(tmp_path) as bench:
        await bench.credit(1)
        hold = bench.reserve(1)
        assert waits(hold.durable())
        hold.release()


@pytest.mark.parametrize("end", ["settled", "released"])
async def test_what_cost_the_operator_waits(tmp_path: Path, end: str) -> None:
    """A free answer after an attempt that was paid for, or a judge that was: the cost is money."""
    async with opened(tmp_path) as bench:
        hold = bench.reserve(0)
        if end == "settled":
            hold.settle(bid(0), Usage(), FAILED)
        else:
            hold.release(FAILED)
        assert waits(hold.durable())
        await bench.landed()
        assert bench.rows("SELECT kind FROM movement") == [("cost",)]


async def test_a_report_has_what_still_rests(tmp_path: Path) -> None:
    """Open requests and free ones that were answered an instant ago, whether anybody waited for them or not."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000)
        bench.reserve(0).settle(bid(0), Usage(input=3))
        running = bench.reserve(500)
        found = await bench.ledger.report(lambda db: list(db.execute("SELECT state FROM hold ORDER BY id")))
        assert found == [("settled",), ("open",)]
        assert bench.ledger.wallet.purses[ORG].held == 500
        running.release()


class Stuck:
    """A writer whose disk never answers."""

    def start(self, journal: Journal) -> None:
        """See `Writer`."""

    def kick(self) -> None:
        """See `Writer`."""

    def stop(self) -> None:
        """See `Writer`."""


def stuck_ledger(store: SqliteStore) -> Ledger:
    """A ledger of the tree of `plant`, none of whose decisions is ever written."""
    store.write_now(lambda db: plant(db, {}))
    ledger = Ledger(store, Journal(Stuck()), Counted(), lambda: NOON_US)
    ledger.prime(read_nodes(store))
    return ledger


def hold_free(ledger: Ledger) -> Hold:
    """A request that costs nothing."""
    chain = (KEY, USER, TEAM, ORG)
    caller = Principal("key_one", "", KEY, Chain(ledger.chain_number(chain, ORG), chain, ORG))
    return ledger.reserve("req_1", caller, "chat/completions", "m", (bid(0),))


async def test_a_report_of_a_store_that_fails_is_of_what_it_has(tmp_path: Path) -> None:
    """Nobody waits for what cannot be written now."""
    store = SqliteStore(tmp_path / "ledger.db")
    ledger = stuck_ledger(store)
    ledger.journal.start()
    hold_free(ledger).settle(bid(0), Usage(input=3))
    ledger.journal.failing = StorageUnavailable("The disk is full.")
    found = ledger.report(lambda db: list(db.execute("SELECT state FROM hold")))
    assert await asyncio.wait_for(found, 10) == []
    store.close()


def test_before_the_start_a_hold_rests_nowhere(tmp_path: Path) -> None:
    """There is no loop yet that could write it down later."""
    store = SqliteStore(tmp_path / "ledger.db")
    ledger = stuck_ledger(store)
    hold = hold_free(ledger)
    appended = ledger.journal.appended
    hold.write()
    assert ledger.journal.appended == appended
    store.close()


def test_the_books_that_a_hold_names_are_a_ledgers() -> None:
    """By themselves they do nothing."""
    books = Books()
    for call in (
        lambda: books.price_number(price()),
        books.next_number,
        lambda: books.costs(1, 0, ()),
        lambda: books.resolved(1),
    ):
        with pytest.raises(NotImplementedError):
            call()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_free_answer_has_its_receipt_at_once(streamed: bool) -> None:
    """Whoever has been answered may ask what it took, without a wait."""
    async with opened_door() as door:
        for _ in range(5):
            answer = await door.post({**SIM, "stream": streamed})
            receipt = await door.get(f"/v1/usage/{answer.headers['x-request-id']}")
            assert (receipt.status, receipt.json["state"], receipt.json["cost_usd"]) == (200, "settled", "0.00")
        total = (await door.get("/v1/usage")).json["totals"]
        assert total["requests"] == 5


async def test_a_free_answer_that_is_kept_is_on_disk_first() -> None:
    """Under an ``Idempotency-Key`` a crash after the answer must not run the request again."""
    async with opened_door() as door:
        store = door.app.parts.books.store
        query = "SELECT count(*) FROM idempotency WHERE status = 200"
        for number in range(5):
            answer = await door.post(SIM, idempotency_key=f"k{number}")
            assert answer.status == 200
            assert store.read_now(lambda db: db.execute(query).fetchall()) == [(number + 1,)]
