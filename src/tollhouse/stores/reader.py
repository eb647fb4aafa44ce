"""One instant of a database file, read beside whatever writes it: for `ledger.verify`, export, reconcile and backup.

The connection is read-only (``mode=ro``) and keeps one read transaction from `open_reader` to `close`, so that every
query sees the same instant. A reader in WAL mode blocks no writer, but the WAL grows for as long as it reads. Temporary
tables, its own and in memory, are all it can write.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import apsw

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.schema import MIGRATIONS

Row = tuple[Any, ...]

_PATIENCE_MS = 5000
_CACHE_KIB = 32768


class Reader:
    """A snapshot. Every method may raise `StorageUnavailable`."""

    def __init__(self, path: Path, db: apsw.Connection) -> None:
        self.path = path
        self.db = db

    def rows(self, sql: str, values: Row | None = None) -> Iterator[Row]:
        """The rows of a query, as they are found."""
        try:
            yield from self.db.execute(sql, values)
        except apsw.Error as error:
            raise unreadable(error) from error

    def named_rows(self, sql: str, values: Row | None = None) -> Iterator[dict[str, Any]]:
        """The rows of a query, each by the names of its columns."""
        try:
            cursor = self.db.execute(sql, values)
            for row in cursor:
                yield dict(zip([column[0] for column in cursor.description], row, strict=True))
        except apsw.Error as error:
            raise unreadable(error) from error

    def row(self, sql: str, values: Row | None = None) -> Row | None:
        """The first row of a query."""
        return next(self.rows(sql, values), None)

    def run(self, sql: str, values: Row | None = None) -> None:
        """Runs a statement, such as one that makes or fills a temporary table."""
        for _ in self.rows(sql, values):
            pass

    def close(self) -> None:
        """Ends the snapshot."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def open_reader(path: Path) -> Reader:
    """The file as it is now. Raises `StorageUnavailable`: no such file, no database, or one of another version."""
    if not path.is_file():
        raise StorageUnavailable(f"{path} is not a file.")
    wal = path.with_name(f"{path.name}-wal")
    try:
        db = _connect(path, "mode=ro")
    except (apsw.CantOpenError, apsw.ReadOnlyError) as error:  # the files of WAL mode cannot be made on such a medium
        if wal.exists():
            raise unreadable(error) from error
        db = _connect(path, "mode=ro&immutable=1")
    except apsw.Error as error:
        raise unreadable(error) from error
    return Reader(path, db)


def _connect(path: Path, options: str) -> apsw.Connection:
    uri = f"{path.absolute().as_uri()}?{options}"
    db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
    with ExitStack() as undo:
        undo.callback(db.close)
        db.set_busy_timeout(_PATIENCE_MS)
        for pragma in ("mmap_size=0", f"cache_size=-{_CACHE_KIB}", "temp_store=MEMORY"):
            db.execute(f"PRAGMA {pragma}")
        db.execute("BEGIN")
        _check_version(int(db.pragma("user_version")))  # a first read: it pins the snapshot
        undo.pop_all()
    return db


def _check_version(version: int) -> None:
    wanted = len(MIGRATIONS)
    if version > wanted:
        raise StorageUnavailable("The database was written by a newer Tollhouse. Read it with that version.")
    if version < wanted:
        raise StorageUnavailable("The database has no ledger of this version. Start the gateway on it once.")


def unreadable(error: apsw.Error) -> StorageUnavailable:
    """The one mapping of the driver's errors here; SQLite's own texts hold neither paths nor values."""
    return StorageUnavailable(f"The database cannot be read or copied ({type(error).__name__}: {error}).")
