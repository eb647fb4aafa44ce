"""Money that people and payments move, prices that admins set, and what a caller is told: every row and number."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.kit import KEY, NOON_US, ORG, OTHER_KEY, TEAM, Bench, bid, eventually, opened, plant, price
from tollhouse.errors import ClientFault, StorageUnavailable
from tollhouse.ledger.journal import Journal, WriterThread
from tollhouse.ledger.ledger import BudgetStanding, Ledger, Standing, wall_clock_us
from tollhouse.ledger.movements import Posted, read_admin_prices
from tollhouse.ledger.prices import PriceVersion, make_price
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Prices, Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.tenancy import Budget

NOON_S = NOON_US // 1_000_000
MIDNIGHT_S = NOON_S - 43_200


class Failing(SqliteStore):
    """A disk that is full so many times."""

    failures = 0

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("The disk is full.")
        return super().apply(batch)


async def post(bench: Bench, kind: str, amount: int, event: tuple[str, str] | None = None) -> Posted:
    """A movement of the organisation."""
    return await bench.ledger.post(kind, ORG, amount, actor="ada", reason="because", event=event)


def set_by_admin(rate: int, effective_from: int = 0) -> PriceVersion:
    """A price."""
    made = make_price("host", "m", Prices(rate, rate), source="admin", effective_from=effective_from)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("kind", "amount", "against"),
    [
        ("grant", 700, "sys:topup"),
        ("topup", 700, "sys:topup"),
        ("refund", -300, "sys:topup"),
        ("adjustment", -300, "sys:adjust"),
    ],
)
async def test_each_kind_has_its_other_side(tmp_path: Path, kind: str, amount: int, against: str) -> None:
    """A movement is one transaction, its two entries, and one audit row, with all that was said of it."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000)
        bench.now_us += 5_000_000
        assert await post(bench, kind, amount, ("stripe", "evt_1")) == Posted(2, True, 1_000 + amount)
        query = "SELECT kind, at, hold, actor, reason, source, external_id, reverses FROM tx WHERE id = 2"
        assert bench.rows(query) == [(kind, NOON_US + 5_000_000, None, "ada", "because", "stripe", "evt_1", None)]
        query = "SELECT name, amount FROM entry JOIN account ON account.id = entry.account WHERE tx = 2 ORDER BY name"
        assert bench.rows(query) == [("org:org_acme", amount), (against, -amount)]
        ((at, actor, action, subject, detail),) = bench.rows(
            "SELECT at, actor, action, subject, detail FROM audit WHERE id = 2"
        )
        assert (at, actor, action, subject) == (NOON_S + 5, "ada", f"credits.{kind}", "org_acme")
        assert json.loads(detail) == {"amount_nusd": amount, "reason": "because", "tx": 2}


async def test_what_was_posted_before_is_said_to_be_there(tmp_path: Path) -> None:
    """A repeated event names the first transaction and the balance now; another source's event is another event."""
    async with opened(tmp_path) as bench:
        assert await post(bench, "topup", 500, ("stripe", "evt_1")) == Posted(1, True, 500)
        assert await post(bench, "topup", 500, ("stripe", "evt_1")) == Posted(1, False, 500)
        assert await post(bench, "topup", 500, ("paypal", "evt_1")) == Posted(3, True, 1_000)
        assert await post(bench, "topup", 500, ("stripe", "evt_2")) == Posted(4, True, 1_500)
        assert await post(bench, "topup", 500) == Posted(5, True, 2_000)
        assert bench.rows("SELECT id, source FROM tx WHERE external_id IS NULL") == [(5, None)]
        assert bench.available() == 2_000


async def test_an_unknown_organisation_gets_nothing(tmp_path: Path) -> None:
    """And neither does a kind of movement that there is not."""
    async with opened(tmp_path) as bench:
        with pytest.raises(KeyError):
            await bench.ledger.post("grant", KEY, 1, actor="a", reason="r")
        with pytest.raises(KeyError):
            await post(bench, "charge", 1)


async def test_what_cannot_be_taken_is_said_in_dollars(tmp_path: Path) -> None:
    """The fault names the field and what there is; nothing is written."""
    async with opened(tmp_path) as bench:
        await bench.credit(2_500_000_000)
        with pytest.raises(ClientFault, match=r"only \$2\.50? that") as fault:
            await post(bench, "refund", -2_500_000_001)
        assert fault.value.param == "amount_usd"
        await bench.landed()
        assert bench.rows("SELECT count(*) FROM tx") == [(1,)]
        assert (await post(bench, "refund", -2_500_000_000)).balance_nusd == 0


async def test_what_is_being_taken_back_cannot_be_spent_meanwhile(tmp_path: Path) -> None:
    """A debit that is not yet on disk holds its amount; a credit counts when it is durable, not before."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000)
        debit = asyncio.create_task(post(bench, "refund", -400))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (bench.available(), bench.ledger.standing(bench.principal()).balance_nusd) == (600, 1_000)
        await debit
        credit = asyncio.create_task(post(bench, "grant", 100))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert bench.available() == 600
        await credit
        assert bench.available() == 700


async def test_a_movement_whose_writing_is_late_counts_when_it_lands(tmp_path: Path) -> None:
    """Whoever asked is told that the store does not answer; memory holds the amount until the disk has it."""
    store = Failing(tmp_path / "ledger.db")
    store.write_now(lambda db: plant(db, {}))
    async with opened(tmp_path, store=store) as bench:
        await bench.credit(1_000)
        clock = iter(range(0, 100_000, 3))
        bench.journal._now = lambda: next(clock)  # each try of the store takes three seconds
        store.failures = 8
        results = await asyncio.gather(
            post(bench, "refund", -400), post(bench, "grant", 50, ("stripe", "e")), return_exceptions=True
        )
        assert [type(result) for result in results] == [StorageUnavailable] * 2
        assert bench.available() == 600
        with pytest.raises(StorageUnavailable):
            await post(bench, "grant", 1)
        with pytest.raises(StorageUnavailable):
            await bench.ledger.write(lambda db: db.execute("INSERT INTO mark VALUES ('never', 1)").fetchall())
        with pytest.raises(StorageUnavailable):
            await bench.ledger.set_price(set_by_admin(1), "ada")
        with pytest.raises(StorageUnavailable):
            bench.reserve(1)
        await eventually(lambda: bench.journal.failing is None)
        await bench.landed()
        await eventually(lambda: not bench.ledger._tasks)
        standing = bench.ledger.standing(bench.principal())
        assert (standing.balance_nusd, standing.held_nusd, bench.available()) == (650, 0, 650)
        assert bench.rows("SELECT posted FROM account WHERE name = 'org:org_acme'") == [(650,)]
        assert (await post(bench, "grant", 50, ("stripe", "e"))).created is False
        assert bench.rows("SELECT count(*) FROM tx") == [(3,)]
        assert bench.rows("SELECT count(*) FROM price") == [(0,)]
        assert bench.rows("SELECT count(*) FROM mark WHERE name = 'never'") == [(0,)]


async def test_a_movement_that_the_database_refuses_moves_nothing(tmp_path: Path) -> None:
    """Its error is its caller's, and what it held is free again."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000)
        await bench.ledger.write(
            lambda db: db.execute(
                "CREATE TEMP TRIGGER t BEFORE INSERT ON movement BEGIN SELECT RAISE(ABORT, 'x'); END"
            ).close()
        )
        for kind, amount in (("refund", -400), ("grant", 400)):
            with pytest.raises(Exception, match="x"):
                await post(bench, kind, amount)
        standing = bench.ledger.standing(bench.principal())
        assert (standing.balance_nusd, standing.held_nusd, bench.available()) == (1_000, 0, 1_000)


async def test_a_caller_who_leaves_does_not_undo_a_movement(tmp_path: Path) -> None:
    """It is on disk then, and memory knows it."""
    async with opened(tmp_path) as bench:
        task = asyncio.create_task(post(bench, "grant", 700))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        assert bench.ledger._tasks  # or it might be collected
        await eventually(lambda: bench.available() == 700)
        assert bench.rows("SELECT count(*) FROM tx") == [(1,)]
        await eventually(lambda: not bench.ledger._tasks)


# --- prices --------------------------------------------------------------------------------------------------------


async def test_a_price_that_an_admin_sets_is_written_once_and_audited_each_time(tmp_path: Path) -> None:
    """Its row, its number, and who set it when; the same version again is the same number."""
    async with opened(tmp_path) as bench:
        first, second = set_by_admin(5), set_by_admin(7, 99)
        assert await bench.ledger.set_price(first, "ada") == 1
        bench.now_us += 1_000_000
        assert await bench.ledger.set_price(second, "bob") == 2
        assert await bench.ledger.set_price(first, "eve") == 1
        assert bench.ledger.price_number(second) == 2
        assert bench.rows("SELECT id, host, model, source, body, digest, effective_from FROM price ORDER BY id") == [
            (number, "host", "m", "admin", one.body, one.digest, one.effective_from)
            for number, one in ((1, first), (2, second))
        ]
        rows = bench.rows("SELECT at, actor, action, subject, detail FROM audit ORDER BY id")
        assert [row[:4] for row in rows] == [
            (NOON_S, "ada", "price.set", "host/m"),
            (NOON_S + 1, "bob", "price.set", "host/m"),
            (NOON_S + 1, "eve", "price.set", "host/m"),
        ]
        assert json.loads(rows[1][4]) == {"digest": second.digest.hex(), "effective_from": 99}
    async with opened(tmp_path) as bench:
        assert await bench.ledger.set_price(second, "ada") == 2
        assert await bench.ledger.set_price(set_by_admin(8), "ada") == 3


async def test_the_prices_of_admins_are_read_in_the_order_in_which_they_were_set(tmp_path: Path) -> None:
    """And no others: the last of two for one moment counts."""
    async with opened(tmp_path) as bench:
        await bench.ledger.set_price(set_by_admin(7), "ada")
        bench.reserve(0, version=price(3, 4)).release()
        await bench.ledger.set_price(set_by_admin(5), "ada")
        await bench.landed()
        found = bench.store.read_now(read_admin_prices)
        assert [version.rates.input for version in found] == [7, 5]
        assert found[0].digest == set_by_admin(7).digest


# --- what a caller is told -----------------------------------------------------------------------------------------


async def test_a_caller_is_told_balance_holds_and_budgets(tmp_path: Path) -> None:
    """In the order of the chain; a total never resets, a day does at its end."""
    async with opened(tmp_path, {KEY: Budget(900, "day"), TEAM: Budget(5_000)}) as bench:
        await bench.credit(10_000)
        bench.reserve(300).settle(bid(300), Usage(input=1))
        bench.reserve(200)
        assert bench.ledger.standing(bench.principal()) == Standing(
            available_nusd=400,
            balance_nusd=9_700,
            held_nusd=200,
            prepaid=True,
            budgets=(
                BudgetStanding(KEY, 900, 300, 200, MIDNIGHT_S, MIDNIGHT_S + 86_400),
                BudgetStanding(TEAM, 5_000, 300, 200, 0, None),
            ),
        )
        assert bench.ledger.standing(bench.principal(OTHER_KEY)) == Standing(9_500, 9_700, 200, True, ())
        assert bench.ledger.open_holds == 1


async def test_a_postpaid_organisation_has_no_bound(tmp_path: Path) -> None:
    """Whether it prepays follows the tree, also for an organisation that is new."""
    async with opened(tmp_path) as bench:
        await bench.set_node(ORG, billing="postpaid")
        assert bench.ledger.standing(bench.principal()) == Standing(None, 0, 0, False, ())
        assert bench.rows("SELECT name, allow_debt FROM account WHERE name LIKE 'org:%' ORDER BY name") == [
            ("org:org_acme", 0),
            ("org:org_default", 1),
        ]
        await bench.set_node(ORG, billing="prepaid")
        assert bench.available() == 0
        nodes = dict(bench.nodes)
        nodes[77] = replace(nodes[ORG], number=77, id="org_new")
        nodes[78] = replace(nodes[ORG], number=78, id="org_trusted", billing="postpaid")
        bench.ledger.adopt_orgs(nodes)
        await bench.landed()
        assert bench.rows("SELECT name, allow_debt FROM account WHERE name IN ('org:org_new', 'org:org_trusted')") == [
            ("org:org_new", 0),
            ("org:org_trusted", 1),
        ]
        assert (bench.ledger.wallet.purses[77].available, bench.ledger.wallet.purses[78].available) == (0, None)


async def test_accounts_and_chains_are_numbered_without_gaps_across_restarts(tmp_path: Path) -> None:
    """Each is made once; what is new after a restart has the next number."""
    async with opened(tmp_path) as bench:
        bench.reserve(0).release((AttemptRecord("alpha/m", "x", cost_nusd=1),))
    async with opened(tmp_path) as bench:
        bench.reserve(0).release(
            (AttemptRecord("alpha/m", "x", cost_nusd=1), AttemptRecord("beta/m", "x", cost_nusd=2))
        )
        bench.reserve(0, key=OTHER_KEY).release()
        await bench.landed()
        names = [name for (name,) in bench.rows("SELECT name FROM account ORDER BY id")]
        system = ["sys:topup", "sys:revenue", "sys:writeoff", "sys:adjust", "sys:absorbed"]
        assert names == [*system, "org:org_default", "org:org_acme", "provider:alpha:cost", "provider:beta:cost"]
        assert bench.rows("SELECT max(id) FROM account") == [(len(names),)]
        assert bench.rows("SELECT id, nodes FROM chain ORDER BY id") == [(1, "[5,4,3,2]"), (2, "[6,2]")]
        debts = bench.rows("SELECT DISTINCT allow_debt FROM account WHERE name NOT LIKE 'org:%'")
        assert debts == [(1,)]


async def test_functions_are_run_in_their_turn(tmp_path: Path) -> None:
    """`append_call` queues, `write` waits and returns, `read` sees what is durable."""
    async with opened(tmp_path) as bench:
        number = bench.ledger.append_call(lambda db: db.execute("INSERT INTO mark VALUES ('x', 1)"))
        assert number == bench.journal.appended
        found: list[Any] = await bench.ledger.write(
            lambda db: db.execute("SELECT value FROM mark WHERE name = 'x'").fetchall()
        )
        assert found == [(1,)]
        found = await bench.ledger.read(lambda db: db.execute("SELECT value FROM mark WHERE name = 'x'").fetchall())
        assert found == [(1,)]


async def test_the_clock_is_the_wall_clock(tmp_path: Path) -> None:
    """Unless another is given, times are Unix microseconds of now."""
    async with opened(tmp_path) as bench:
        clock = Ledger(bench.store, Journal(WriterThread(bench.store)), bench.meter).clock_us
        assert clock is wall_clock_us
        before = time.time_ns() // 1000
        assert before <= clock() <= time.time_ns() // 1000
