"""Inserts of many rows in few statements."""

import apsw
import pytest

from tollhouse.stores.rows import Insert


@pytest.fixture
def db() -> apsw.Connection:
    """A table of two columns."""
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE pair (id INTEGER PRIMARY KEY, amount INTEGER NOT NULL) STRICT")
    return db


@pytest.mark.parametrize("count", [0, 1, 2, 3, 31, 32, 33, 63, 64, 100])
def test_every_row_is_inserted_once_and_in_its_order(db: apsw.Connection, count: int) -> None:
    """However many there are, and however they fall into statements."""
    rows = [(count - number, number) for number in range(count)]
    seen: list[int] = []
    db.set_update_hook(lambda _kind, _database, _table, row: seen.append(row))
    Insert("pair", ("id", "amount")).run(db, [value for row in rows for value in row])
    assert seen == [row for row, _ in rows]
    assert sorted(db.execute("SELECT id, amount FROM pair")) == sorted(rows)


def test_a_hundred_rows_are_few_statements(db: apsw.Connection) -> None:
    """64 + 32 + 4."""
    ran: list[str] = []
    db.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: ran.append(event["sql"]))
    Insert("pair", ("id", "amount")).run(db, [number // 2 for number in range(200)])
    assert [statement.count("(?,?)") for statement in ran] == [64, 32, 4]


def test_a_row_that_is_there_is_added_to(db: apsw.Connection) -> None:
    """By the clause for conflicts, which stands behind the values of each statement."""
    insert = Insert("pair", ("id", "amount"), " ON CONFLICT DO UPDATE SET amount = amount + excluded.amount")
    for _ in range(2):
        insert.run(db, [number // 2 for number in range(10)])
    assert list(db.execute("SELECT id, amount FROM pair ORDER BY id")) == [(number, 2 * number) for number in range(5)]


def test_a_row_that_is_refused_is_the_callers(db: apsw.Connection) -> None:
    """The driver's error passes."""
    with pytest.raises(apsw.ConstraintError):
        Insert("pair", ("id", "amount")).run(db, [1, 1, 1, 1])
