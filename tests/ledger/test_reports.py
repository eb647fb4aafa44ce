"""Reports read little: their cost does not grow with the ledger."""

from pathlib import Path

import apsw
import pytest

from tollhouse.ledger import reports
from tollhouse.ledger.reports import GROUPS, RECENT_HOLDS, Query
from tollhouse.stores.sqlite import SqliteStore

KEYS = (2, 3)
QUERY = Query(KEYS, 20_000, 20_030, GROUPS, 100)


def steps(db: apsw.Connection, query: str, values: tuple[object, ...]) -> list[str]:
    """How SQLite goes about a query."""
    return [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values)]


class Watched:
    """A connection that notes how each query is gone about."""

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self.steps: list[str] = []

    def execute(self, query: str, values: tuple[object, ...] = ()) -> apsw.Cursor:
        """See `apsw.Connection`."""
        self.steps += steps(self.db, query, values)
        return self.db.execute(query, values)


@pytest.mark.parametrize("what", ["usage", "request", "recent"])
def test_no_report_scans_a_table_that_grows(tmp_path: Path, what: str) -> None:
    """Holds, entries and days are found by their keys, whatever is asked for."""
    store = SqliteStore(tmp_path / "a.db")

    def read(db: apsw.Connection) -> list[str]:
        watched = Watched(db)
        if what == "usage":
            reports.usage(watched, QUERY)  # type: ignore[arg-type]
        elif what == "request":
            reports.request(watched, "req_1", KEYS)  # type: ignore[arg-type]
            watched.execute(reports._ENTRIES, (1,))
        else:
            reports.recent(watched, KEYS, 5)  # type: ignore[arg-type]
        return watched.steps

    found = store.read_now(read)
    store.close()
    assert found
    for table in ("hold", "usage_day", "charge", "movement", "posting"):
        assert not [step for step in found if step.startswith(f"SCAN {table}") and "hold_open" not in step], found


def test_an_empty_ledger_has_an_empty_report(tmp_path: Path) -> None:
    """Where nothing was used the sums are zero, not missing."""
    store = SqliteStore(tmp_path / "a.db")
    report = store.read_now(lambda db: reports.usage(db, QUERY))
    assert report.lines == ()
    assert report.totals == (0,) * len(reports.COUNTS)
    assert (report.more, report.open_requests, report.open_nusd) == (False, 0, 0)
    assert store.read_now(lambda db: reports.request(db, "req_1", KEYS)) is None
    assert store.read_now(lambda db: reports.recent(db, KEYS, 5)) == ()
    store.close()


@pytest.mark.parametrize(("newest", "seen"), [(RECENT_HOLDS, ["req_old"]), (RECENT_HOLDS + 1, [])])
def test_recent_requests_are_looked_for_among_the_newest(tmp_path: Path, newest: int, seen: list[str]) -> None:
    """A key's recent requests are those among the newest ten thousand of the installation, so that looking is cheap."""
    store = SqliteStore(tmp_path / "a.db")
    insert = (
        "INSERT INTO hold (id, request_id, key, chain, payer, kind, requested, amount, opened_at, input_bound)"
        " VALUES (?, ?, ?, 1, 1, 'chat/completions', 'm', 1, 1, 1)"
    )

    def fill(db: apsw.Connection) -> None:
        for number in KEYS:
            db.execute(
                "INSERT INTO node (number, id, kind, parent, name, created_at) VALUES (?1, ?1, 'key', 1, '', 0)",
                (number,),
            )
        db.execute("INSERT INTO chain VALUES (1, '[]', 1)")
        db.execute(insert, (1, "req_old", KEYS[0]))
        db.execute(insert, (newest, "req_new", KEYS[1]))

    store.write_now(fill)
    found = store.read_now(lambda db: reports.recent(db, KEYS[:1], 5))
    assert [one.request_id for one in found] == seen
    store.close()
