"""Recovery at its edges: windows, numbers, and rows that lack something."""

from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.ledger.kit import KEY, NOON_US, ORG, TEAM, plant, price, read_nodes
from tollhouse.ledger.recovery import Recovered, recover
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.tenancy import Budget

MIDNIGHT_S = NOON_US // 1_000_000 - 43_200
HOLD = (
    "INSERT INTO hold (id, request_id, key, chain, payer, kind, requested, amount, opened_at, input_bound, progress,"
    " input, price, target) VALUES (?, 'r', 5, 1, 2, 'chat/completions', 'm', ?, ?, 9, ?, ?, ?, 'host/m')"
)


def left_open(tmp_path: Path, *holds: tuple[int, int, int, int, int, int | None]) -> SqliteStore:
    """A store with holds that a process left open: number, amount, opened at, progress, input, price."""
    store = SqliteStore(tmp_path / "ledger.db")

    def fill(db: apsw.Connection) -> None:
        plant(db, {KEY: Budget(10**9, "day"), TEAM: Budget(10**9)})
        db.execute("INSERT INTO chain VALUES (1, '[5,4,3,2]', 2)")
        one = price()
        row = (one.host, one.model, one.source, one.body, one.digest)
        db.execute("INSERT INTO price VALUES (1, ?, ?, ?, ?, ?, 0)", row)
        for hold in holds:
            db.execute(HOLD, hold)

    store.write_now(fill)
    return store


def rows(store: SqliteStore, query: str) -> list[Any]:
    """What a query finds."""
    return store.read_now(lambda db: db.execute(query).fetchall())


@pytest.mark.parametrize(("second", "day"), [(1, 0), (86_399, 0), (-1, -1)])
def test_a_charge_counts_where_its_hold_was_taken(tmp_path: Path, second: int, day: int) -> None:
    """In the window and on the day of its opening, to the second."""
    store = left_open(tmp_path, (1, 10**6, (MIDNIGHT_S + second) * 1_000_000, 5, 10, 1))
    assert recover(store, read_nodes(store), NOON_US) == Recovered(1, 0)
    assert rows(store, "SELECT * FROM spend ORDER BY node") == [
        (TEAM, 0, 20_000),
        (KEY, MIDNIGHT_S + day * 86_400, 20_000),
    ]
    assert rows(store, "SELECT day FROM usage_day") == [(MIDNIGHT_S // 86_400 + day,)]
    store.close()


def test_what_cannot_be_priced_is_released(tmp_path: Path) -> None:
    """Progress without a price, and a price without progress: nothing is charged, the end is now."""
    store = left_open(tmp_path, (1, 10**6, NOON_US, 5, 10, None), (2, 10**6, NOON_US, 0, 10, 1))
    assert recover(store, read_nodes(store), NOON_US + 7) == Recovered(0, 2)
    assert rows(store, "SELECT state, charge, closed_at FROM hold") == [("released", 0, NOON_US + 7)] * 2
    assert rows(store, "SELECT count(*) FROM usage_day") == [(0,)]
    store.close()


def test_charges_have_their_holds_numbers_and_accounts_the_next(tmp_path: Path) -> None:
    """After the last that there is, whatever is missing before it; each hold has its own charge."""
    store = left_open(tmp_path, (1, 10**6, NOON_US, 5, 10, 1), (2, 15_000, NOON_US, 5, 10, 1), (3, 1, NOON_US, 0, 0, 1))

    def before(db: apsw.Connection) -> None:
        db.execute("INSERT INTO movement (id, kind, at) VALUES (4, 'grant', 1), (8, 'grant', 1)")
        db.execute("INSERT INTO account VALUES (2, 'sys:topup', 0, 1), (6, 'sys:adjust', 0, 1)")

    store.write_now(before)
    assert recover(store, read_nodes(store), NOON_US + 7) == Recovered(2, 1)
    assert rows(store, "SELECT id, kind, hold, at FROM tx WHERE kind = 'charge' ORDER BY id") == [
        (1, "charge", 1, NOON_US + 7),
        (2, "charge", 2, NOON_US + 7),
    ]
    assert rows(store, "SELECT id, name, posted, allow_debt FROM account WHERE id > 6 ORDER BY id") == [
        (7, "org:org_acme", -35_000, 1),
        (8, "sys:revenue", 35_000, 1),
    ]
    row = "SELECT state, charge, clipped, price, target, input, output, estimated, interrupted, payer FROM hold"
    assert rows(store, f"{row} ORDER BY id")[:2] == [
        ("expired", 20_000, 0, 1, "host/m", 10, 5, 1, 1, ORG),
        ("expired", 15_000, 5_000, 1, "host/m", 10, 5, 1, 1, ORG),
    ]
    store.close()


def test_the_first_account_of_all_has_the_first_number(tmp_path: Path) -> None:
    """An empty ledger of accounts is filled from 1."""
    store = left_open(tmp_path, (1, 10**6, NOON_US, 5, 10, 1))
    recover(store, read_nodes(store), NOON_US)
    assert rows(store, "SELECT id, name FROM account ORDER BY id") == [(1, "org:org_acme"), (2, "sys:revenue")]
    store.close()
