"""The ledger on a real database: the invariants that hold for each movement."""

import asyncio
from pathlib import Path

import apsw
import pytest

from tests.ledger.kit import KEY, NOON_US, ORG, OTHER_KEY, TEAM, USER, bid, opened, price
from tollhouse.errors import ClientFault
from tollhouse.ledger.wallet import Shortage
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.tenancy import Budget

CHARGED = """
    SELECT tx.kind, account.name, entry.amount FROM entry JOIN tx ON tx.id = entry.tx
    JOIN account ON account.id = entry.account ORDER BY tx.id, account.name
"""
DAY_US = 86_400_000_000


async def test_i1_every_transaction_sums_to_zero(tmp_path: Path) -> None:
    """I1: a grant and a charge are two balanced transactions, and so is the whole."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        bench.reserve(500_000).settle(bid(500_000), Usage(input=10, output=20))
        await bench.landed()
        assert bench.rows(CHARGED) == [
            ("grant", "org:org_acme", 1_000_000),
            ("grant", "sys:topup", -1_000_000),
            ("charge", "org:org_acme", -50_000),
            ("charge", "sys:revenue", 50_000),
        ]
        assert bench.rows("SELECT tx FROM entry GROUP BY tx HAVING sum(amount) <> 0") == []


async def test_i2_a_balance_is_the_fold_of_its_entries(tmp_path: Path) -> None:
    """I2: the stored balance, the one in memory and the sum of the entries are one number."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        for _ in range(5):
            bench.reserve(100_000).settle(bid(100_000), Usage(input=3, output=1))
        await bench.landed()
        folds = bench.rows(
            "SELECT account.name, account.posted, coalesce(sum(entry.amount), 0) FROM account"
            " LEFT JOIN entry ON entry.account = account.id GROUP BY account.id"
        )
        assert all(posted == fold for _, posted, fold in folds)
        assert ("org:org_acme", 975_000, 975_000) in folds
        assert bench.ledger.standing(bench.principal()).balance_nusd == 975_000


async def test_i3_a_hold_beyond_the_balance_is_not_taken(tmp_path: Path) -> None:
    """I3: what is held and what is charged never exceed what was credited; a refusal takes nothing."""
    async with opened(tmp_path) as bench:
        await bench.credit(100)
        first = bench.reserve(60)
        with pytest.raises(Shortage) as short:
            bench.reserve(41)
        assert (short.value.available, short.value.window) == (40, None)
        bench.reserve(40)
        assert bench.available() == 0
        first.release()
        assert bench.available() == 60


async def test_i3_the_database_itself_refuses_a_debt(tmp_path: Path) -> None:
    """I3: a prepaid account below zero breaks a rule of the table, whatever program writes it."""
    async with opened(tmp_path) as bench:
        await bench.credit(100)
        with pytest.raises(apsw.ConstraintError):
            await bench.ledger.write(
                lambda db: db.execute("UPDATE account SET posted = -1 WHERE name = 'org:org_acme'").fetchall()
            )


async def test_i4_a_hold_is_on_disk_when_it_says_so(tmp_path: Path) -> None:
    """I4: when `durable` returns, another connection reads the hold."""
    async with opened(tmp_path) as bench:
        await bench.credit(100)
        hold = bench.reserve(60)
        await hold.durable()
        assert bench.rows("SELECT state, amount FROM hold") == [("open", 60)]
        hold.release()


async def test_i5_a_hold_is_resolved_once(tmp_path: Path) -> None:
    """I5: neither a second settlement nor a release after it is taken, and one charge is written."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        hold = bench.reserve(100_000)
        hold.settle(bid(100_000), Usage(input=1))
        with pytest.raises(RuntimeError, match="settled already"):
            hold.settle(bid(100_000), Usage(input=1))
        with pytest.raises(RuntimeError, match="settled already"):
            hold.release()
        await bench.landed()
        assert bench.rows("SELECT count(*) FROM tx WHERE kind = 'charge'") == [(1,)]


async def test_i5_the_database_resolves_a_hold_once(tmp_path: Path) -> None:
    """I5: a resolved hold cannot be changed or deleted, whatever program tries."""
    async with opened(tmp_path) as bench:
        bench.reserve(0).release()
        await bench.landed()
        for statement in ("UPDATE hold SET charge = 0", "DELETE FROM hold"):
            with pytest.raises(apsw.ConstraintError):
                await bench.ledger.write(lambda db, statement=statement: db.execute(statement).fetchall())  # type: ignore[misc]


async def test_i7_the_customer_pays_at_most_the_hold(tmp_path: Path) -> None:
    """I7: usage beyond the hold is written down as clipped, and not charged."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        hold = bench.reserve(5_000)
        assert hold.settle(bid(5_000), Usage(input=10, output=10)) == 5_000
        await bench.landed()
        assert bench.rows("SELECT charge, clipped, amount FROM hold") == [(5_000, 25_000, 5_000)]
        assert bench.available() == 995_000


async def test_i8_a_row_holds_all_that_its_charge_is_computed_from(tmp_path: Path) -> None:
    """I8: token classes and price version are in the row, and a later price changes nothing of it."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        hold = bench.reserve(100_000, version=price(3_000_000, 5_000_000))
        bench.reserve(10, version=price(9, 9)).release()
        usage = Usage(input=1, cache_read=2, cache_write=3, output=4, reasoning=1, cache_write_1h=5, input_audio=6)
        charge = hold.settle(hold.bids[0], usage)
        await bench.landed()
        names = "input, cache_read, cache_write, output, reasoning, cache_write_1h, input_audio, output_audio, images"
        row = bench.rows(f"SELECT {names}, price.body, charge FROM hold JOIN price ON price.id = price WHERE charge")  # noqa: S608
        assert row[0][:9] == (1, 2, 3, 4, 1, 5, 6, 0, 0)
        assert '"input":3000000' in row[0][9]
        assert row[0][10] == charge == 17 * 3_000 + 4 * 5_000


async def test_i9_what_delivers_nothing_costs_nothing(tmp_path: Path) -> None:
    """I9: a released hold leaves no entry and no line of usage."""
    async with opened(tmp_path) as bench:
        await bench.credit(100)
        bench.reserve(60).release((AttemptRecord("host/m", "upstream_timeout"),))
        await bench.landed()
        assert bench.rows("SELECT state, charge, attempts FROM hold") == [
            ("released", 0, '[{"target":"host/m","outcome":"upstream_timeout"}]')
        ]
        assert bench.rows("SELECT count(*) FROM tx WHERE kind <> 'grant'") == [(0,)]
        assert bench.rows("SELECT count(*) FROM usage_day") == [(0,)]


async def test_i10_free_work_has_a_row_too(tmp_path: Path) -> None:
    """I10: zero-priced work passes at zero balance; it is counted, and no money moves."""
    async with opened(tmp_path) as bench:
        hold = bench.reserve(0, version=price(0, 0))
        hold.settle(hold.bids[0], Usage(input=7, output=2))
        await bench.landed()
        assert bench.rows("SELECT state, charge, input, output FROM hold") == [("settled", 0, 7, 2)]
        assert bench.rows("SELECT requests, input, output, charge FROM usage_day") == [(1, 7, 2, 0)]
        assert bench.rows("SELECT count(*) FROM entry") == [(0,)]
        assert bench.meter.usages == [Usage(input=7, output=2)]


async def test_i12_what_failed_attempts_cost_is_the_operators(tmp_path: Path) -> None:
    """I12: the customer pays for the attempt that answered; the others' cost is entered by provider."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        attempts = (
            AttemptRecord("alpha/m", "upstream_interrupted", cost_nusd=300),
            AttemptRecord("beta/m", "upstream_timeout", cost_nusd=40),
            AttemptRecord("alpha/n", "upstream_timeout", cost_nusd=2),
            AttemptRecord("host/m", "ok"),
        )
        bench.reserve(10_000).settle(bid(10_000), Usage(input=1), attempts)
        await bench.landed()
        assert [row for row in bench.rows(CHARGED) if row[0] == "cost"] == [
            ("cost", "provider:alpha:cost", 302),
            ("cost", "provider:beta:cost", 40),
            ("cost", "sys:absorbed", -342),
        ]
        assert bench.available() == 999_000


async def test_i19_entries_are_never_changed(tmp_path: Path) -> None:
    """I19: the database refuses to change or delete what was entered."""
    async with opened(tmp_path) as bench:
        await bench.credit(100)
        bench.reserve(100).settle(bid(100), Usage(input=1))
        changes = ("UPDATE charge SET amount = 1", "UPDATE movement SET at = 1", "UPDATE posting SET amount = 1")
        for statement in (*changes, "DELETE FROM charge", "DELETE FROM movement", "DELETE FROM posting"):
            with pytest.raises(apsw.ConstraintError, match="append-only"):
                await bench.ledger.write(lambda db, statement=statement: db.execute(statement).fetchall())  # type: ignore[misc]


async def test_i21_a_payment_event_is_credited_once(tmp_path: Path) -> None:
    """I21: ten deliveries of one event, at once and after a restart, credit it once."""
    async with opened(tmp_path) as bench:
        balances = await asyncio.gather(*[bench.credit(500, "evt_1", kind="topup") for _ in range(10)])
        assert set(balances) == {500}
    async with opened(tmp_path) as bench:
        assert await bench.credit(500, "evt_1", kind="topup") == 500
        assert await bench.credit(500, "evt_2", kind="topup") == 1000


async def test_i22_a_hold_binds_every_budget_or_none(tmp_path: Path) -> None:
    """I22: one budget that lacks the amount refuses it, and the others are left as they were."""
    budgets = {KEY: Budget(500), USER: Budget(400, "day"), TEAM: Budget(300, "month"), ORG: Budget(10_000)}
    async with opened(tmp_path, budgets) as bench:
        await bench.credit(1_000)
        with pytest.raises(Shortage) as short:
            bench.reserve(301)
        assert short.value.window is not None
        assert short.value.window.node == TEAM
        assert [budget.held_nusd for budget in bench.ledger.standing(bench.principal()).budgets] == [0, 0, 0, 0]
        bench.reserve(300)
        assert [budget.held_nusd for budget in bench.ledger.standing(bench.principal()).budgets] == [300] * 4
        assert bench.available() == 0
        assert bench.available(OTHER_KEY) == 700


async def test_i25_usage_holds_and_entries_agree(tmp_path: Path) -> None:
    """I25: for each key, the day's usage, the holds and the charges have the same sums."""
    async with opened(tmp_path) as bench:
        await bench.credit(10_000_000)
        for number in range(1, 9):
            key = KEY if number % 2 else OTHER_KEY
            bench.reserve(100_000, key=key).settle(bid(100_000), Usage(input=number, output=number * 2))
        await bench.landed()
        used = bench.rows("SELECT key, requests, input, output, charge FROM usage_day ORDER BY key")
        held = bench.rows("SELECT key, count(*), sum(input), sum(output), sum(charge) FROM hold GROUP BY key")
        paid = bench.rows(
            "SELECT hold.key, sum(entry.amount) FROM entry JOIN tx ON tx.id = entry.tx JOIN hold ON hold.id = tx.hold"
            " WHERE entry.amount > 0 GROUP BY hold.key"
        )
        assert used == held
        assert [(row[0], row[4]) for row in used] == paid


async def test_i26_a_wall_clock_step_changes_no_balance(tmp_path: Path) -> None:
    """I26: a day forward and a day back leave money as it was, and each day's budget finds what it spent."""
    async with opened(tmp_path, {KEY: Budget(1_000, "day")}) as bench:
        await bench.credit(10_000)
        bench.reserve(1_000).settle(bid(1_000), Usage(input=1))
        hold = bench.reserve(0)
        bench.now_us += DAY_US
        assert bench.available() == 1_000
        bench.reserve(400).release()
        bench.now_us -= DAY_US
        assert bench.available() == 0
        hold.settle(bid(0, price(0, 0)), Usage())
        assert bench.ledger.standing(bench.principal(OTHER_KEY)).balance_nusd == 9_000


async def test_i28_credits_are_audited_in_their_transaction(tmp_path: Path) -> None:
    """I28: each movement by a person has one audit row with actor, amount and reason; a repeated one has no second."""
    async with opened(tmp_path) as bench:
        await bench.credit(500, "a")
        await bench.credit(500, "a")
        await bench.credit(-200, kind="adjustment")
        rows = bench.rows("SELECT actor, action, subject, json_extract(detail, '$.amount_nusd') FROM audit ORDER BY id")
        assert rows == [
            ("me", "credits.grant", "org_acme", 500),
            ("me", "credits.adjustment", "org_acme", -200),
        ]


async def test_more_than_there_is_cannot_be_taken_back(tmp_path: Path) -> None:
    """A debit of a prepaid organisation takes only what is neither spent nor held."""
    async with opened(tmp_path) as bench:
        await bench.credit(500)
        bench.reserve(200)
        with pytest.raises(ClientFault, match="only"):
            await bench.credit(-301, kind="refund")
        assert await bench.credit(-300, kind="refund") == 200
        assert bench.available() == 0


async def test_a_postpaid_organisation_may_owe(tmp_path: Path) -> None:
    """Without prepayment nothing bounds a request but budgets; the balance goes below zero."""
    async with opened(tmp_path) as bench:
        await bench.set_node(ORG, billing="postpaid")
        await bench.ledger.write(
            lambda db: db.execute("UPDATE account SET allow_debt = 1 WHERE name = 'org:org_acme'").fetchall()
        )
        assert bench.available() is None
        bench.reserve(5_000).settle(bid(5_000), Usage(input=2))
        await bench.landed()
        assert bench.ledger.standing(bench.principal()).balance_nusd == -2_000


async def test_an_answer_that_never_arrived_is_given_back_by_entries(tmp_path: Path) -> None:
    """What could not be delivered is reversed: the charge stays in the books, with its opposite beside it. Once."""
    async with opened(tmp_path, {KEY: Budget(10_000)}) as bench:
        await bench.credit(10_000)
        hold = bench.reserve(5_000)
        hold.settle(bid(5_000), Usage(input=2))
        hold.undo()
        hold.undo()
        await hold.durable()
        assert bench.rows("SELECT kind FROM tx ORDER BY id") == [("grant",), ("charge",), ("reversal",)]
        assert bench.rows("SELECT requests, charge FROM usage_day") == [(1, 0)]
        assert bench.rows("SELECT amount FROM spend") == [(0,)]
        assert bench.available() == 10_000
        free = bench.reserve(0, version=price(0, 0))
        free.undo()
        free.release()
        free.undo()
        assert bench.rows("SELECT count(*) FROM tx WHERE kind = 'reversal'") == [(1,)]


async def test_a_new_budget_knows_what_was_spent_before_it(tmp_path: Path) -> None:
    """A budget set in the middle of its period counts what the period's charges were, whoever settles meanwhile."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000_000)
        bench.now_us -= DAY_US
        bench.reserve(7_000).settle(bid(7_000), Usage(input=7))
        bench.now_us += DAY_US
        bench.reserve(2_000).settle(bid(2_000), Usage(input=2))
        bench.reserve(9_000).release()
        undone = bench.reserve(1_000)
        undone.settle(bid(1_000), Usage(input=1))
        undone.undo()
        late = bench.reserve(3_000)
        await bench.set_node(TEAM, budget_nusd=10_000, budget_period="day", budget_zone="UTC")
        assert bench.available() == 10_000 - 2_000 - 3_000
        late.settle(bid(3_000), Usage(input=3))
        bench.reserve(500).settle(bid(500, price(500_000, 0)), Usage(input=1))
        await bench.landed()
        standing = bench.ledger.standing(bench.principal()).budgets[0]
        assert (standing.node, standing.spent_nusd, standing.held_nusd) == (TEAM, 5_500, 0)
        assert bench.rows("SELECT node, amount FROM spend") == [(TEAM, 5_500)]
        await bench.set_node(TEAM, budget_period="month")
        standing = bench.ledger.standing(bench.principal()).budgets[0]
        assert standing.spent_nusd == 12_500
        assert standing.window_start_s * 1_000_000 <= NOON_US - 20 * DAY_US


async def test_a_changed_limit_binds_the_running_period(tmp_path: Path) -> None:
    """A limit that is lowered or raised keeps what was spent; one that is removed binds nobody."""
    async with opened(tmp_path, {KEY: Budget(10_000, "week")}) as bench:
        await bench.credit(1_000_000)
        bench.reserve(6_000).settle(bid(6_000), Usage(input=6))
        await bench.set_node(KEY, budget_nusd=7_000)
        assert bench.available() == 1_000
        await bench.set_node(KEY, budget_nusd=5_000)
        assert bench.available() == 0
        await bench.set_node(KEY, budget_nusd=None, budget_period=None, budget_zone=None)
        assert bench.available() == 994_000


async def test_a_restart_finds_everything_as_it_was(tmp_path: Path) -> None:
    """I17: balance, budgets and numbers after a restart are the fold of what was durable."""
    async with opened(tmp_path, {KEY: Budget(10_000, "day")}) as bench:
        await bench.credit(100_000)
        bench.reserve(6_000).settle(bid(6_000), Usage(input=6))
    async with opened(tmp_path) as bench:
        assert bench.available() == 4_000
        bench.reserve(1_000).settle(bid(1_000), Usage(input=1))
        await bench.landed()
        assert bench.rows("SELECT id, state FROM hold ORDER BY id") == [(2, "settled"), (3, "settled")]
        assert bench.rows("SELECT count(*) FROM price") == [(1,)]
        assert bench.rows("SELECT count(*) FROM chain") == [(1,)]
        assert bench.available() == 3_000
