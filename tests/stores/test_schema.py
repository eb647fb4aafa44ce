"""What an older database holds is the same money after its migration."""
# ruff: noqa: S608 - tables and columns named by the tests themselves

import json
from pathlib import Path

import apsw
import pytest

from tests.ledger.books import ABSORBED, ACME, CHARGES, HOST_COST, MARCH_29, NOW_S, REVENUE, TOPUP, insert, write_books
from tollhouse.ledger.export import TABLES, read_rows
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader
from tollhouse.stores.schema import MIGRATIONS
from tollhouse.stores.sqlite import SqliteStore

_OLD = 4
"""The scripts before charges had a table of their own: every movement was a row of ``tx``, with two of ``entry``."""
_KEPT = ("node", "account", "chain", "price", "hold", "spend", "usage_day", "idempotency")
_CHARGED = {hold: ({"kind": "charge", "hold": hold}, {who: -amount, REVENUE: amount}) for hold, who, amount in CHARGES}
_ENTERED = (
    (1, 8, {"kind": "grant", "actor": "ada", "reason": "welcome"}, {ACME: 1_000_000, TOPUP: -1_000_000}),
    (2, 9, {"kind": "topup", "source": "stripe", "external_id": "evt_1"}, {ACME: 7_000_000, TOPUP: -7_000_000}),
    (3, 1, *_CHARGED[1]),
    (4, 2, *_CHARGED[2]),
    (5, 10, {"kind": "cost", "hold": 3}, {HOST_COST: 450, ABSORBED: -450}),
    (6, 5, *_CHARGED[5]),
    (7, 7, *_CHARGED[7]),
    (8, 11, {"kind": "reversal", "hold": 7, "reverses": 7, "reason": "lost"}, {ACME: 30_000, REVENUE: -30_000}),
)
"""The movements of `tests.ledger.books`: the number they had, and the second at which they were entered."""
_BEYOND = 7
"""The last hold: what is no charge is numbered from here on."""


def write_old_books(path: Path, new: Path) -> None:
    """The books in the tables of before."""
    db = apsw.Connection(str(path))
    db.execute("ATTACH ? AS new", (str(new),))
    with db:
        for number, script in enumerate(MIGRATIONS[:_OLD], start=1):
            db.execute(script)
            db.pragma("user_version", number)
        for table in _KEPT:
            db.execute(f"INSERT OR REPLACE INTO main.{table} SELECT * FROM new.{table}")
        for number, second, movement, entries in _ENTERED:
            insert(db, "tx", {"id": number, "at": (MARCH_29 + second) * 1_000_000, **movement})
            for account, amount in entries.items():
                insert(db, "entry", {"tx": number, "account": account, "amount": amount})
        for number in (1, 2):
            row = {"at": MARCH_29, "actor": "ada", "action": "credits.grant", "subject": "org_acme"}
            insert(db, "audit", {**row, "detail": json.dumps({"tx": number, "reason": "welcome"})})
        insert(db, "audit", {**row, "action": "key.create", "detail": "{}"})
    db.close()


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """The old books, opened once by the store of today."""
    write_books(tmp_path / "new")
    write_old_books(tmp_path / "old", tmp_path / "new")
    SqliteStore(tmp_path / "old").close()
    return tmp_path / "old"


def test_migrated_books_are_sound(migrated: Path) -> None:
    """Every check passes, SQLite's own too, and the next number is beyond all that are taken."""
    with open_reader(migrated) as reader:
        report = verify(reader, now_s=NOW_S, thorough=True)
    assert report.findings == []
    store = SqliteStore(migrated)
    assert store.load().last_number == _BEYOND + len(_ENTERED)
    store.close()


@pytest.mark.parametrize("table", TABLES)
def test_migrated_books_say_the_same(migrated: Path, tmp_path: Path, table: str) -> None:
    """Every export says of each movement and hold what it says of books that were written today, but its number."""
    said = []
    for path in (tmp_path / "new", migrated):
        with open_reader(path) as reader:
            rows = [{name: row[name] for name in row if name != "tx"} for row in read_rows(reader, table)]
        said.append(sorted(map(json.dumps, rows)))
    assert said[0] == said[1]
    assert said[0]


def test_the_audit_names_movements_by_their_numbers(migrated: Path) -> None:
    """Those that have new ones; other rows of the audit stay as they are."""
    with open_reader(migrated) as reader:
        details = [detail for (detail,) in reader.rows("SELECT detail FROM audit ORDER BY id")]
        numbers: dict[str, int] = dict(reader.rows("SELECT kind, id FROM movement"))
    assert [json.loads(detail).get("tx") for detail in details] == [numbers["grant"], numbers["topup"], None]
    assert json.loads(details[0])["reason"] == "welcome"


def test_an_old_database_without_movements_is_migrated(tmp_path: Path) -> None:
    """A gateway that was started and never used."""
    db = apsw.Connection(str(tmp_path / "old"))
    for number, script in enumerate(MIGRATIONS[:_OLD], start=1):
        db.execute(script)
        db.pragma("user_version", number)
    db.close()
    store = SqliteStore(tmp_path / "old")
    assert store.load().last_number == 0
    store.close()
