"""The SQLite file at its edges: what is refused, who waits for whom, what a failure leaves behind."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tollhouse.errors import StorageUnavailable
from tollhouse.stores import sqlite
from tollhouse.stores.protocol import Batch, Call
from tollhouse.stores.schema import MIGRATIONS
from tollhouse.stores.sqlite import SqliteStore, unavailable
from tollhouse.types.ledger import AddAccount, AddChain, MarkProgress


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A new database."""
    opened = SqliteStore(tmp_path / "t.db")
    yield opened
    opened.close()


def account(number: int) -> tuple[AddAccount]:
    """A group that makes an account."""
    return (AddAccount(number, f"a{number}", allow_debt=True),)


def accounts(store: SqliteStore) -> list[int]:
    """The accounts that a reader sees."""
    return store.read_now(lambda db: [int(number) for (number,) in db.execute("SELECT id FROM account ORDER BY id")])


@pytest.mark.parametrize(
    "bad",
    [
        AddAccount(1 << 64, "too large", allow_debt=True),
        AddAccount(9, "\ud800", allow_debt=True),
        AddAccount(9, ("no", "text"), allow_debt=True),  # type: ignore[arg-type]
        AddAccount(9, None, allow_debt=True),  # type: ignore[arg-type]
        AddChain(1, (1,), 404),
    ],
    ids=["overflow", "unicode", "type", "null", "foreign key"],
)
def test_what_no_database_can_hold_fails_alone(store: SqliteStore, bad: AddAccount | AddChain) -> None:
    """A group with a value that SQLite has no place for is refused by itself; the writer lives on."""
    before: tuple[AddAccount] = (AddAccount(2, "half", allow_debt=True),)
    broken = store.apply(Batch([account(1), (*before, bad), account(3)]))
    assert list(broken) == [1]
    assert broken[1]
    assert accounts(store) == [1, 3]
    assert store.apply(Batch([account(4)])) == {}


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    """The database and the files beside it are the owner's alone, whatever the umask is."""
    before = os.umask(0)
    try:
        opened = SqliteStore(tmp_path / "t.db")
        opened.apply(Batch([account(1)]))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"t.db": 0o600, "t.db-wal": 0o600, "t.db-shm": 0o600}
    opened.close()


def test_a_batch_that_another_store_landed_is_known(tmp_path: Path) -> None:
    """The number is in the file: the outcome does not depend on who asks."""
    first = SqliteStore(tmp_path / "t.db")
    batch = Batch([account(1)])
    first.apply(batch)
    first.close()
    second = SqliteStore(tmp_path / "t.db")
    assert second.apply(batch) == {}
    assert (accounts(second), batch.number) == ([1], 1)
    after = Batch([account(2)])
    second.apply(after)
    assert after.number == 2
    second.close()


def test_batches_are_numbered_one_after_the_other(store: SqliteStore) -> None:
    """No two have one number, so that none is taken for another that has landed."""
    batches = [Batch([account(number)]) for number in range(1, 5)]
    for batch in batches:
        store.apply(batch)
    assert [batch.number for batch in batches] == [1, 2, 3, 4]
    assert store.read_now(lambda db: db.execute("SELECT value FROM mark").fetchall()) == [(4,)]


def test_a_batch_that_failed_leaves_no_lock_and_no_row(store: SqliteStore) -> None:
    """After a failure in the middle of a batch another connection can write, and the next try writes everything."""
    faults: list[Exception] = [apsw.IOError("gone")]

    def fails(db: apsw.Connection) -> None:
        assert db
        if faults:
            raise faults.pop()

    batch = Batch([account(1), (Call(fails),)])
    with pytest.raises(StorageUnavailable):
        store.apply(batch)
    other = apsw.Connection(str(store.path))
    other.execute("INSERT INTO mark VALUES ('other', 1)")
    other.close()
    assert store.apply(batch) == {}
    assert accounts(store) == [1]


def test_a_later_batch_is_not_taken_for_one_that_failed(store: SqliteStore) -> None:
    """A batch that was given up, and another after it: only the other is there, under a number of its own."""

    def fails(db: apsw.Connection) -> None:
        assert db
        raise apsw.IOError("gone")

    given_up, other = Batch([account(1), (Call(fails),)]), Batch([account(2)])
    with pytest.raises(StorageUnavailable):
        store.apply(given_up)
    reopened = store._db
    assert store.apply(other) == {}
    assert store._db is not reopened
    assert (given_up.number, other.number, accounts(store)) == (1, 1, [2])
    assert store.apply(Batch([account(3)])) == {}


class Busy:
    """A connection that is locked out so many times."""

    def __init__(self, times: int) -> None:
        self.times = times
        self.asked = 0

    def execute(self, statement: str) -> None:
        """Refuses, or not."""
        assert statement == "PRAGMA journal_mode=WAL"
        self.asked += 1
        if self.asked <= self.times:
            raise apsw.BusyError("locked")


def test_two_who_make_the_file_at_once_wait_for_each_other(store: SqliteStore) -> None:
    """Where SQLite gives up at once it is asked again, at intervals, and not for ever."""
    patient: Any = Busy(3)
    store._enter_wal(patient)
    assert patient.asked == 4
    hopeless: Any = Busy(10**9)
    with pytest.raises(apsw.BusyError):
        store._enter_wal(hopeless)
    assert 10 < hopeless.asked <= sqlite._PATIENCE_S / sqlite._PACE_S + 1


def test_a_connection_waits_for_another_writer(store: SqliteStore) -> None:
    """For two seconds, the writer and the readers."""
    found = [
        store.write_now(lambda db: db.pragma("busy_timeout")),
        store.read_now(lambda db: db.pragma("busy_timeout")),
    ]
    assert found == [2000, 2000]


def test_a_file_that_is_refused_is_left_free(tmp_path: Path) -> None:
    """Whoever is told that the version is newer holds no lock on the file any more."""
    SqliteStore(tmp_path / "t.db").close()
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StorageUnavailable) as caught:
        SqliteStore(tmp_path / "t.db")
    other = apsw.Connection(str(tmp_path / "t.db"))
    other.execute("INSERT INTO mark VALUES ('x', 1)")
    other.close()
    assert caught.tb is not None  # which keeps the connection


def test_a_commit_that_is_refused_is_undone(store: SqliteStore) -> None:
    """Where COMMIT itself fails nothing stays open: what comes next is written."""

    def orphan(db: apsw.Connection) -> None:
        db.execute("PRAGMA defer_foreign_keys=ON")
        db.execute("INSERT INTO chain VALUES (1, '[]', 404)")

    with pytest.raises(StorageUnavailable, match="ConstraintError"):
        store.write_now(orphan)
    store.write_now(lambda db: db.execute("INSERT INTO mark VALUES ('x', 1)").fetchall())
    assert store.read_now(lambda db: db.execute("SELECT count(*) FROM chain").fetchall()) == [(0,)]


def test_a_reader_sees_one_snapshot(store: SqliteStore) -> None:
    """Both of its queries see the same, whatever was written between them; the next reader sees the new."""

    def twice(db: apsw.Connection) -> list[Any]:
        first = db.execute("SELECT count(*) FROM account").fetchall()
        store.apply(Batch([account(1)]))
        return [*first, *db.execute("SELECT count(*) FROM account").fetchall()]

    assert store.read_now(twice) == [(0,), (0,)]
    assert accounts(store) == [1]
    reader = store._reader
    assert accounts(store) == [1]
    assert store._reader is reader


def test_a_store_that_was_never_read_is_closed(tmp_path: Path) -> None:
    """Closing needs no reader; after it the file is nobody's, and a reader is opened anew."""
    opened = SqliteStore(tmp_path / "t.db")
    opened.close()
    assert not (tmp_path / "t.db-wal").exists()
    assert opened._reader is None
    reader = SqliteStore(tmp_path / "t.db")
    accounts(reader)
    reader.close()
    assert reader._reader is None
    assert not (tmp_path / "t.db-wal").exists()


@pytest.mark.parametrize("error", [apsw.NotADBError, apsw.CorruptError])
def test_damage_is_called_damage(error: type[apsw.Error]) -> None:
    """It asks for a backup, other failures for patience; neither says where the file is."""
    damaged = unavailable(error("/secret/path")).message
    assert ("is damaged" in damaged, "backup" in damaged, "/secret" in damaged) == (True, True, False)
    passing = unavailable(apsw.BusyError("/secret/path")).message
    assert ("BusyError" in passing, "Try again" in passing, "/secret" in passing) == (True, True, False)


def test_what_the_store_knows_at_the_start(store: SqliteStore) -> None:
    """Accounts, chains, prices and sums by what they are looked up by; open holds in their order; the last numbers."""
    empty = store.load()
    assert (empty.last_number, empty.last_price, empty.holds) == (0, 0, ())

    def fill(db: apsw.Connection) -> None:
        hold = "INSERT INTO hold (id, request_id, key, chain, payer, kind, requested, amount, opened_at, input_bound)"
        db.execute("INSERT INTO account VALUES (3, 'a', 5, 0), (4, 'b', -5, 1)")
        db.execute("INSERT INTO chain VALUES (7, '[1]', 1)")
        db.execute("INSERT INTO price VALUES (2, 'h', 'm', 's', 'body', x'aa', 0), (9, 'h', 'm', 's', 'b2', x'ab', 0)")
        db.execute("INSERT INTO spend VALUES (1, 60, 11)")
        for number in (12, 11, 10):
            db.execute(f"{hold} VALUES (?, 'r', 1, 7, 1, 'k', 'm', 6, 100, 1)", (number,))
        db.execute("UPDATE hold SET state = 'released', closed_at = 1 WHERE id = 12")
        db.execute("UPDATE hold SET progress = 8, input = 9, price = 2, target = 'h/m' WHERE id = 11")
        db.execute("INSERT INTO movement (id, kind, at) VALUES (11, 'grant', 1)")

    store.write_now(fill)
    found = store.load()
    assert found.accounts == {"a": (3, 5, False), "b": (4, -5, True)}
    assert found.chains == {7: ((1,), 1)}
    assert found.prices == {b"\xaa": (2, "body"), b"\xab": (9, "b2")}
    assert found.spends == {(1, 60): 11}
    assert (found.last_number, found.last_price) == (12, 9)
    store.write_now(lambda db: db.execute("INSERT INTO movement (id, kind, at) VALUES (21, 'grant', 1)").close())
    assert store.load().last_number == 21
    first, second = found.holds
    assert (first.id, first.key, first.chain, first.payer, first.kind, first.amount) == (10, 1, 7, 1, "k", 6)
    assert (first.opened_at, first.progress, first.input, first.price, first.target) == (100, 0, 0, None, "")
    assert (second.id, second.progress, second.input, second.price, second.target) == (11, 8, 9, 2, "h/m")


def test_progress_is_for_open_holds_alone(store: SqliteStore) -> None:
    """Progress of a hold that is not there, or is resolved, changes nothing and refuses nothing."""
    assert store.apply(Batch([(MarkProgress(404, 1, 1, None, "h/m"),), account(1)])) == {}
    assert accounts(store) == [1]
