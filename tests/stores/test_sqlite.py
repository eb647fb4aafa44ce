"""The SQLite file: how it is opened, what it survives, what it refuses."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import pytest

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.protocol import Batch, Call
from tollhouse.stores.schema import MIGRATIONS
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import AddAccount


def names(store: SqliteStore) -> list[Any]:
    """The accounts that a reader sees."""
    return store.read_now(lambda db: [name for (name,) in db.execute("SELECT name FROM account ORDER BY id")])


def adding(*numbers: int) -> Batch:
    """A batch that makes accounts."""
    return Batch([(AddAccount(number, f"a{number}", allow_debt=True),) for number in numbers])


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    """A second opening finds the rows of the first."""
    store = SqliteStore(tmp_path / "t.db")
    assert store.apply(adding(1, 2)) == {}
    store.close()
    store = SqliteStore(tmp_path / "t.db")
    assert names(store) == ["a1", "a2"]
    store.close()


def test_the_file_is_durable_by_its_settings(tmp_path: Path) -> None:
    """The writer is in WAL mode with synchronous=FULL and foreign keys; SQLite is one without the WAL-reset bug."""
    store = SqliteStore(tmp_path / "t.db")
    found = [store._db.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "mmap_size")]
    assert found == ["wal", 2, 1, 0]
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)
    store.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """What runs on the reader is refused a change, and told so as a store that does not answer."""
    store = SqliteStore(tmp_path / "t.db")
    with pytest.raises(StorageUnavailable, match="ReadOnlyError"):
        store.read_now(lambda db: db.execute("DELETE FROM mark").fetchall())
    assert store.read_now(lambda db: db.execute("SELECT 1").fetchall()) == [(1,)]
    store.close()


def test_a_batch_whose_commit_is_unknown_is_looked_up(tmp_path: Path) -> None:
    """I14: the same batch, applied again after it had landed, changes nothing; a new one is not taken for it."""
    store = SqliteStore(tmp_path / "t.db")
    batch = adding(1)
    store.apply(batch)
    assert store.apply(batch) == {}
    assert names(store) == ["a1"]
    tried = adding(2)
    tried.number = 99
    store.apply(tried)
    assert names(store) == ["a1", "a2"]
    store.close()


def test_a_batch_that_had_broken_groups_answers_the_same_again(tmp_path: Path) -> None:
    """Which groups were refused is remembered for a second try of the same batch."""
    store = SqliteStore(tmp_path / "t.db")
    batch = Batch([*adding(1).groups, *adding(1).groups, *adding(2).groups])
    broken = store.apply(batch)
    assert list(broken) == [1]
    assert store.apply(batch) == broken
    assert names(store) == ["a1", "a2"]
    store.close()


@pytest.mark.parametrize(
    "fault", [apsw.BusyError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.NoMemError, apsw.CorruptError]
)
def test_a_call_that_meets_a_failing_database_fails_the_batch(tmp_path: Path, fault: type[apsw.Error]) -> None:
    """A full disk inside a function is not the function's fault: the whole batch is to be tried again."""
    store = SqliteStore(tmp_path / "t.db")

    def full(db: apsw.Connection) -> None:
        assert db
        raise fault("disk full")

    call = Call(full)
    with pytest.raises(StorageUnavailable, match=fault.__name__):
        store.apply(Batch([*adding(1).groups, (call,)]))
    assert call.error is None
    assert names(store) == []
    store.close()


def test_what_a_call_raised_in_a_try_that_failed_is_forgotten(tmp_path: Path) -> None:
    """Its outcome is that of the try that landed."""
    store = SqliteStore(tmp_path / "t.db")
    faults: list[Exception] = [apsw.FullError("disk full"), ValueError("not yet")]

    def moody(db: apsw.Connection) -> str:
        assert db
        if faults:
            raise faults.pop()
        return "done"

    first, second = Call(moody), Call(moody)
    batch = Batch([(first,), (second,)])
    with pytest.raises(StorageUnavailable):
        store.apply(batch)
    assert isinstance(first.error, ValueError)
    assert store.apply(batch) == {}
    assert [(call.error, call.result) for call in (first, second)] == [(None, "done")] * 2
    store.close()


def test_f92_a_lock_of_another_program_is_waited_for_and_then_told(tmp_path: Path) -> None:
    """F92: while another program writes for long, a batch fails with 503 and nothing is taken for committed."""
    store = SqliteStore(tmp_path / "t.db")
    store._db.set_busy_timeout(50)
    holder = (  # another process: locks of one process do not shut out itself
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(  # noqa: S603 - our own words
        [sys.executable, "-c", holder, str(tmp_path / "t.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    batch = adding(1)
    with pytest.raises(StorageUnavailable, match="BusyError"):
        store.apply(batch)
    other.communicate()
    assert names(store) == []
    assert store.apply(batch) == {}
    assert names(store) == ["a1"]
    store.close()


def test_f94_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """F94: a database that a newer Tollhouse wrote is not touched."""
    SqliteStore(tmp_path / "t.db").close()
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(StorageUnavailable, match="newer Tollhouse"):
        SqliteStore(tmp_path / "t.db")


def test_f94_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """F94: garbage is never rebuilt in silence."""
    (tmp_path / "t.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageUnavailable, match="NotADBError"):
        SqliteStore(tmp_path / "t.db")
    assert (tmp_path / "t.db").read_bytes().startswith(b"not a database")


def test_several_programs_that_start_at_once_agree(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; the others find them."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: SqliteStore(tmp_path / "t.db"), range(8)))
    for store in stores:
        assert names(store) == []
        store.close()


def test_write_now_keeps_all_or_nothing(tmp_path: Path) -> None:
    """A function that raises has written nothing; what it raises reaches its caller."""
    store = SqliteStore(tmp_path / "t.db")

    def fails(db: apsw.Connection) -> None:
        db.execute("INSERT INTO mark VALUES ('x', 1)")
        raise KeyError("no")

    with pytest.raises(KeyError):
        store.write_now(fails)
    assert store.write_now(lambda db: db.execute("SELECT * FROM mark WHERE name = 'x'").fetchall()) == []
    store.close()


def test_keys_of_the_first_version_go_on_working(tmp_path: Path) -> None:
    """The migration makes nodes of the keys that were there, below the default organisation; revoked ones stay so."""
    with sqlite3.connect(tmp_path / "t.db") as db:
        db.executescript(MIGRATIONS[0])
        db.execute("PRAGMA user_version = 1")
        for number, revoked in ((1, None), (2, 99)):
            row = (f"key_{number}", bytes([number]) * 32, f"sk-...{number}", f"name {number}", number, revoked)
            db.execute("INSERT INTO key VALUES (?, ?, ?, ?, ?, ?)", row)
    db.close()
    store = SqliteStore(tmp_path / "t.db")
    query = (
        "SELECT node.id, node.name, node.parent, disabled_at, disabled_reason, permission, hex(digest), hint"
        " FROM node JOIN key_details USING (number) JOIN key_secret ON key = number ORDER BY number"
    )
    assert store.read_now(lambda db: db.execute(query).fetchall()) == [
        ("key_1", "name 1", 1, None, "", "write", "01" * 32, "sk-...1"),
        ("key_2", "name 2", 1, 99, "revoked", "write", "02" * 32, "sk-...2"),
    ]
    store.close()


class _Wordless(SqliteStore):
    """Loses the word of a commit once: it has landed, and the store is told that it has not."""

    silent = False

    def _write(self, batch: Batch) -> None:
        super()._write(batch)
        if self.silent:
            self.silent = False
            raise apsw.IOError("after the commit")


def test_a_new_batch_is_not_taken_for_one_whose_word_was_lost(tmp_path: Path) -> None:
    """I14: a batch that landed unheard and was given up leaves its number behind; the next one is written all the same,
    also when its own first try fails.
    """
    store = _Wordless(tmp_path / "t.db")
    store.silent = True
    with pytest.raises(StorageUnavailable):
        store.apply(adding(1))
    store.silent = True
    second = adding(2)
    with pytest.raises(StorageUnavailable):
        store.apply(second)
    assert store.apply(second) == {}
    assert store.apply(adding(3)) == {}
    assert names(store) == ["a1", "a2", "a3"]
    store.close()


def test_what_a_batch_was_refused_is_known_when_its_word_was_lost(tmp_path: Path) -> None:
    """The second try of a batch that landed without a word tells which of its groups were refused."""
    store = _Wordless(tmp_path / "t.db")
    store.apply(adding(1))
    store.silent = True
    batch = Batch([*adding(1).groups, *adding(2).groups])
    with pytest.raises(StorageUnavailable):
        store.apply(batch)
    assert list(store.apply(batch)) == [0]
    assert names(store) == ["a1", "a2"]
    store.close()
