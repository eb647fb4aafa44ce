"""The embedded store: one SQLite file, written by the server and by the command line beside it.

apsw carries its own SQLite (3.51.3 or newer: older ones can corrupt a WAL, sqlite.org/wal.html#walresetbug). The file
is in WAL mode with synchronous=FULL: what was acknowledged survives a power cut. Tables are STRICT; migrations are a
list of scripts, each applied once, by `user_version`, all that are due in one transaction.
"""

import time
from pathlib import Path

import apsw

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.protocol import KeyRecord

_MIGRATIONS = (
    """
    CREATE TABLE key (
        id TEXT PRIMARY KEY,
        digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
        hint TEXT NOT NULL,
        name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        revoked_at INTEGER
    ) STRICT;
    """,
)

_PATIENCE_S = 2.0
_PACE_S = 0.01


class SqliteStore:
    """See `KeyStore`. Raises `StorageUnavailable` for every failure of the database."""

    def __init__(self, path: Path) -> None:
        path.touch(0o600)  # SQLite gives the files beside it the same mode
        try:
            self._db = apsw.Connection(str(path))
            self._db.set_busy_timeout(int(_PATIENCE_S * 1000))
            self._enter_wal()
            for pragma in ("synchronous=FULL", "foreign_keys=ON", "mmap_size=0"):
                self._db.execute(f"PRAGMA {pragma}")
            self._migrate()
        except apsw.Error as error:
            raise _unavailable(error) from error
        self._written = 0

    def _enter_wal(self) -> None:
        """Two processes that make the file at once may each hold what the other needs: SQLite does not wait then."""
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
            except apsw.BusyError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PACE_S)
            else:
                return

    def _migrate(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")  # of two processes that start at once the second waits, and finds it done
        try:
            done = int(self._db.pragma("user_version"))
            if done > len(_MIGRATIONS):
                raise StorageUnavailable(
                    "The database was written by a newer Tollhouse. Install that version to open it."
                )
            for number, script in enumerate(_MIGRATIONS[done:], start=done + 1):
                self._db.execute(script)
                self._db.pragma("user_version", number)
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def keys(self) -> list[KeyRecord]:
        """See `KeyStore`."""
        query = "SELECT id, digest, hint, name, created_at, revoked_at FROM key ORDER BY created_at, id"
        try:
            return [KeyRecord(*row) for row in self._db.execute(query)]
        except apsw.Error as error:
            raise _unavailable(error) from error

    def add_key(self, record: KeyRecord) -> None:
        """See `KeyStore`."""
        row = (record.id, record.digest, record.hint, record.name, record.created_at, record.revoked_at)
        try:
            self._db.execute("INSERT INTO key VALUES (?, ?, ?, ?, ?, ?)", row)
        except apsw.ConstraintError as error:
            raise ValueError(f"A key with the id {record.id!r} or the same text exists.") from error
        except apsw.Error as error:
            raise _unavailable(error) from error
        self._written += 1

    def revoke_key(self, key_id: str, revoked_at: int) -> bool:
        """See `KeyStore`."""
        statement = "UPDATE key SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL RETURNING id"
        try:
            changed = self._db.execute(statement, (revoked_at, key_id)).fetchall()
        except apsw.Error as error:
            raise _unavailable(error) from error
        self._written += len(changed)
        return bool(changed)

    def version(self) -> int:
        """See `KeyStore`. `data_version` moves when another connection has committed."""
        try:
            return int(self._db.pragma("data_version")) * 1_000_003 + self._written
        except apsw.Error as error:
            raise _unavailable(error) from error

    def close(self) -> None:
        """See `KeyStore`."""
        self._db.close()


def _unavailable(error: apsw.Error) -> StorageUnavailable:
    """The one place that maps the driver's errors. Its text may hold a path, so only its class is told."""
    return StorageUnavailable(f"The database does not answer ({type(error).__name__}). Try again shortly.")
