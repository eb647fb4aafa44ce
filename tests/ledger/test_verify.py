"""The verifier against every way to damage a ledger: each is found, named by its row, and nothing else is."""
# ruff: noqa: S608 - tables and columns named by the tests themselves

import ast
from pathlib import Path

import apsw
import pytest
from bench.ledger_books import make_books

from tests.ledger.books import NOW_S, damage, write_books
from tests.ledger.damages import DAMAGE
from tollhouse.ledger.verify import report as report_module
from tollhouse.ledger.verify import walk
from tollhouse.ledger.verify.report import Report
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader


def look(path: Path, *, thorough: bool = False) -> Report:
    """All that the verifier says of a file."""
    with open_reader(path) as reader:
        return verify(reader, now_s=NOW_S, thorough=thorough)


def named(report: Report) -> set[tuple[str, str, str]]:
    """The findings, without what was expected."""
    return {(f"{one.check.code} {one.check.name}", one.table, one.row) for one in report.findings}


def test_sound_books_pass(tmp_path: Path) -> None:
    """Prices of tiers, clipped charges, failures, reversals, recovery, zones and free models are as they should be."""
    write_books(tmp_path / "db")
    report = look(tmp_path / "db", thorough=True)
    assert report.findings == []
    assert report.counts == {"entry": 16, "tx": 8, "hold": 7, "account": 6, "price": 4, "node": 6}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named(tmp_path: Path, name: str) -> None:
    """The checks that a damage concerns name its row, and no other check says anything."""
    write_books(tmp_path / "db")
    statements, expected = DAMAGE[name]
    damage(tmp_path / "db", *statements)
    assert named(look(tmp_path / "db")) == expected


def test_the_verifier_shares_nothing_with_the_writer() -> None:
    """It imports the text of the tables, the reader, the error that says what cannot be read, and itself."""
    folder = Path(report_module.__file__).parent
    imported = {
        node.module
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("tollhouse")
    }
    own = {name for name in imported if name.startswith("tollhouse.ledger.verify")}
    assert imported - own == {"tollhouse.errors", "tollhouse.stores.reader", "tollhouse.stores.schema"}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_no_row_is_counted_twice_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """However few rows a span of the walk has, all sums come out."""
    monkeypatch.setattr(walk, "SPAN_ROWS", rows)
    write_books(tmp_path / "db")
    assert look(tmp_path / "db").findings == []


@pytest.mark.parametrize("damaged", DAMAGE)
def test_damage_is_named_in_spans_of_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str) -> None:
    """Each part sees the row that is wrong, wherever its spans begin and end."""
    monkeypatch.setattr(walk, "SPAN_ROWS", 1)
    statements, expected = DAMAGE[damaged]
    write_books(tmp_path / "db")
    damage(tmp_path / "db", *statements)
    assert expected <= named(look(tmp_path / "db"))


# --- the file and its guards ---------------------------------------------------------------------------------------

GUARDED = ("hold", "charge", "movement", "posting", "audit")


def run(path: Path, *statements: str) -> None:
    """Runs SQL as any program could."""
    db = apsw.Connection(str(path))
    for statement in statements:
        db.execute(statement)
    db.close()


@pytest.mark.parametrize("name", [f"{table}_kept_{number}" for table in GUARDED for number in (1, 2)])
def test_a_guard_that_is_gone_is_named(tmp_path: Path, name: str) -> None:
    """Every trigger that refuses change is missed when it is dropped."""
    write_books(tmp_path / "db")
    run(tmp_path / "db", f"DROP TRIGGER {name}")
    report = look(tmp_path / "db")
    assert named(report) == {("I19 append-only", "sqlite_schema", name)}
    assert report.findings[0].found == "nothing of this name"


@pytest.mark.parametrize(
    ("name", "statements"),
    [
        ("charge_kept_1", ["DROP TRIGGER charge_kept_1",
            "CREATE TRIGGER charge_kept_1 BEFORE UPDATE ON charge BEGIN SELECT 1; END"]),
        ("skim", ["CREATE TRIGGER skim AFTER INSERT ON charge BEGIN UPDATE account SET posted = 0; END"]),
        ("movement_of_hold", ["DROP INDEX movement_of_hold",
            "CREATE INDEX movement_of_hold ON movement (hold, kind)"]),
        ("entry", ["DROP VIEW entry", "CREATE VIEW entry AS SELECT hold AS tx, 0 AS amount FROM charge"]),
        ("hidden", ["CREATE TABLE hidden (x)"]),
    ],
)  # fmt: skip
def test_guards_are_those_of_the_schema(tmp_path: Path, name: str, statements: list[str]) -> None:
    """A trigger that was weakened, one that was added, an index that is no longer unique: each is named."""
    write_books(tmp_path / "db")
    run(tmp_path / "db", *statements)
    assert ("I19 append-only", "sqlite_schema", name) in named(look(tmp_path / "db"))


def test_a_file_that_breaks_off_is_a_finding(tmp_path: Path) -> None:
    """A page of rubbish in the middle of a table is said to be that, and every check before it still counts."""
    make_books(tmp_path / "db", 20_000)
    run(tmp_path / "db", "PRAGMA journal_mode=DELETE")
    size = (tmp_path / "db").stat().st_size
    with (tmp_path / "db").open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    report = look(tmp_path / "db")
    assert [(one.check.name, one.table) for one in report.findings if one.check.code == "I17"] == [("the file", "file")]
    assert "malformed" in report.findings[-1].found


def test_an_index_that_lies_is_found_when_asked_for(tmp_path: Path) -> None:
    """An index that misses a row of its table: the thorough check says so."""
    write_books(tmp_path / "db")
    db = apsw.Connection(str(tmp_path / "db"))
    db.execute("PRAGMA writable_schema=ON")
    db.execute(
        "UPDATE sqlite_schema SET sql = replace(sql, '(request_id)', '(requested)') WHERE name = 'hold_by_request'"
    )
    db.close()
    assert ("I17 the file", "file", "-") in named(look(tmp_path / "db", thorough=True))
    assert ("I17 the file", "file", "-") not in named(look(tmp_path / "db"))


def test_a_reference_to_nothing_is_found_when_asked_for(tmp_path: Path) -> None:
    """A foreign key that leads nowhere: the thorough check names table and row."""
    write_books(tmp_path / "db")
    damage(tmp_path / "db", "INSERT INTO key_details (number, permission) VALUES (77, 'write')")
    report = look(tmp_path / "db", thorough=True)
    assert [(one.table, one.found) for one in report.findings] == [("foreign keys", "key_details 77 node 0")]


# --- everything counts ---------------------------------------------------------------------------------------------

FREE = {"hold": {"amount", "closed_at", "input_bound", "opened_at", "progress"}, "charge": {"at"}, "movement": {"at"}}
"""What may be one more: times within their day, and what was held where less was charged."""


@pytest.mark.parametrize(
    "table", ["account", "chain", "charge", "hold", "movement", "posting", "price", "spend", "usage_day"]
)
def test_no_number_can_be_changed_unseen(tmp_path: Path, table: str) -> None:
    """Whichever number of the ledger is one more in the last of its rows, some check names it."""
    write_books(tmp_path / "db")
    db = apsw.Connection(str(tmp_path / "db"))
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})") if row[2] == "INTEGER"]
    db.close()
    unseen = set()
    for column in columns:
        copy = tmp_path / f"{column}.db"
        write_books(copy)
        last = f"(SELECT max({column}) FROM {table} WHERE {column} IS NOT NULL)"
        damage(copy, f"UPDATE {table} SET {column} = {column} + 1 WHERE {column} = {last}")
        if look(copy).ok:
            unseen.add(column)
    assert unseen == FREE.get(table, set())
