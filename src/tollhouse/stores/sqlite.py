"""The embedded store: one SQLite file, written by one connection, that the ledger's writer thread uses.

apsw carries its own SQLite (3.51.3 or newer: older ones can corrupt a WAL, sqlite.org/wal.html#walresetbug). The file
is in WAL mode with synchronous=FULL: what was acknowledged survives a power cut. Tables are STRICT; `stores.schema` has
the scripts, each applied once, by `user_version`, all that are due in one transaction. Readers have a connection of
their own, which cannot write, and see one snapshot.

A commit that fails may yet have happened. Each batch therefore writes its number into ``mark``; the next try looks
there first, on a fresh connection, since after a failed fsync nothing in the page cache can be believed.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import apsw
import msgspec

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.batches import Group, write_groups
from tollhouse.stores.protocol import Batch, Opening, OpenRow
from tollhouse.stores.schema import MIGRATIONS

_PATIENCE_S = 2.0
_PACE_S = 0.01
_WAL_PAGES = 4000
_STATEMENTS = 200
"""More than the statements of a batch (`stores.rows`): each is compiled once."""
_REFUSED = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError, apsw.SQLError)
"""What a statement is refused for by what it says; every other error is the database's condition."""
_UNFIT = (OverflowError, TypeError, ValueError)
"""What the driver says of a value that no column takes: an integer of more than 64 bits, half of a surrogate pair. One
such row must not end the writer, and with it every request.
"""
_DAMAGED = (apsw.NotADBError, apsw.CorruptError)
T = TypeVar("T")


class SqliteStore:
    """See `JournalStore`. Raises `StorageUnavailable` for every failure of the database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(0o600)  # SQLite gives the files beside it the same mode
        self._reading = threading.Lock()
        self._reader: apsw.Connection | None = None
        try:
            self._db = self._connect()
            self._migrate()
            self._batches = self._mark()
        except apsw.Error as error:
            raise unavailable(error) from error
        self._broken: dict[int, str] = {}
        """The groups that the last batch was refused, kept for the case that its commit is in doubt."""
        self._in_doubt = False

    def _connect(self) -> apsw.Connection:
        db = apsw.Connection(str(self.path), statementcachesize=_STATEMENTS)
        db.set_busy_timeout(int(_PATIENCE_S * 1000))
        self._enter_wal(db)
        pragmas = ("synchronous=FULL", "foreign_keys=ON", "mmap_size=0", "temp_store=MEMORY")
        for pragma in (*pragmas, f"wal_autocheckpoint={_WAL_PAGES}"):
            db.execute(f"PRAGMA {pragma}")
        return db

    def _enter_wal(self, db: apsw.Connection) -> None:
        """Two processes that make the file at once may each hold what the other needs: SQLite does not wait then."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                db.execute("PRAGMA journal_mode=WAL")
            except apsw.BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PACE_S)
            else:
                return

    def _migrate(self) -> None:
        db = self._db
        db.execute("BEGIN IMMEDIATE")  # of two processes that start at once the second waits, and finds it done
        try:
            done = int(db.pragma("user_version"))
            if done > len(MIGRATIONS):
                raise StorageUnavailable(
                    "The database was written by a newer Tollhouse. Install that version to open it."
                )
            for number, script in enumerate(MIGRATIONS[done:], start=done + 1):
                db.execute(script)
                db.pragma("user_version", number)
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")

    def _mark(self) -> int:
        row = self._db.execute("SELECT value FROM mark WHERE name = 'batch'").fetchone()
        return int(row[0]) if row is not None else 0

    # --- writing ---------------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        try:
            if self._in_doubt or batch.number:
                self._reopen()
                self._batches = self._mark()
                if batch.number and self._batches >= batch.number:
                    self._in_doubt = False
                    return self._broken
            self._in_doubt = True
            self._broken = {}
            batch.number = self._batches + 1
            self._write(batch)
        except apsw.Error as error:
            raise unavailable(error) from error
        self._batches = batch.number
        self._in_doubt = False
        return self._broken

    def _write(self, batch: Batch) -> None:
        """All groups together; where one of them is refused, each by itself."""
        try:
            with _Transaction(self._db):
                write_groups(self._db, batch.groups)
                self._number(batch)
        except (*_REFUSED, *_UNFIT):
            with _Transaction(self._db):
                refused = [self._write_alone(group) for group in batch.groups]
                self._number(batch)
                self._broken = {place: why for place, why in enumerate(refused) if why is not None}

    def _write_alone(self, group: Group) -> str | None:
        """Writes one group in a savepoint; why the database refused it, or None."""
        try:
            with self._db:
                write_groups(self._db, (group,))
        except (*_REFUSED, *_UNFIT) as error:
            return str(error)
        return None

    def _number(self, batch: Batch) -> None:
        self._db.execute(
            "INSERT INTO mark VALUES ('batch', ?) ON CONFLICT DO UPDATE SET value = excluded.value", (batch.number,)
        )

    def _reopen(self) -> None:
        self._db.close(force=True)
        self._db = self._connect()

    def write_now(self, function: Callable[[apsw.Connection], T]) -> T:
        """Runs a function in a transaction of its own. For programs without a server: the caller is the one writer."""
        try:
            with _Transaction(self._db):
                return function(self._db)
        except apsw.Error as error:
            raise unavailable(error) from error

    # --- reading ---------------------------------------------------------------------------------------------

    def read_now(self, function: Callable[[apsw.Connection], T]) -> T:
        """See `JournalStore`."""
        with self._reading:
            try:
                if self._reader is None:
                    self._reader = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
                    self._reader.set_busy_timeout(int(_PATIENCE_S * 1000))
                with _Transaction(self._reader, "BEGIN"):
                    return function(self._reader)
            except apsw.Error as error:
                raise unavailable(error) from error

    def load(self) -> Opening:
        """See `JournalStore`."""
        return self.read_now(_opening)

    def close(self) -> None:
        """See `JournalStore`."""
        with self._reading:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        self._db.close()


class _Transaction:
    """BEGIN, and COMMIT or ROLLBACK."""

    __slots__ = ("_begin", "_db")

    def __init__(self, db: apsw.Connection, begin: str = "BEGIN IMMEDIATE") -> None:
        self._db = db
        self._begin = begin

    def __enter__(self) -> None:
        self._db.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def _opening(db: apsw.Connection) -> Opening:
    def rows(query: str) -> list[tuple[Any, ...]]:
        return list(db.execute(query))

    holds = (
        "SELECT id, key, chain, payer, kind, amount, opened_at, progress, input, price, target"
        " FROM hold WHERE state = 'open' ORDER BY id"
    )
    last = (
        "SELECT max((SELECT coalesce(max(id), 0) FROM hold), (SELECT coalesce(max(id), 0) FROM movement)),"
        " (SELECT coalesce(max(id), 0) FROM price)"
    )
    last_number, last_price = rows(last)[0]
    return Opening(
        accounts={
            name: (number, posted, bool(debt))
            for name, number, posted, debt in rows("SELECT name, id, posted, allow_debt FROM account")
        },
        chains={
            number: (tuple(msgspec.json.decode(nodes)), payer)
            for number, nodes, payer in rows("SELECT id, nodes, payer FROM chain")
        },
        prices={digest: (number, body) for digest, number, body in rows("SELECT digest, id, body FROM price")},
        spends={(node, start): amount for node, start, amount in rows("SELECT node, window_start, amount FROM spend")},
        holds=tuple(OpenRow(*row) for row in rows(holds)),
        last_number=last_number,
        last_price=last_price,
    )


def unavailable(error: apsw.Error) -> StorageUnavailable:
    """The one place that maps the driver's errors. Its text may hold a path, so only its class is told."""
    if isinstance(error, _DAMAGED):
        return StorageUnavailable(f"The database is damaged ({type(error).__name__}). Put it back from a backup.")
    return StorageUnavailable(f"The database does not answer ({type(error).__name__}). Try again shortly.")
