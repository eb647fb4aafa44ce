"""A copy of a database while it is written: one instant of it, whole or not there at all.

`tollhouse ledger backup` calls it and has the copy verified before it gets its name. SQLite's own backup reads the
pages of one snapshot: writers neither wait nor make it start again. The copy is one file without WAL, for its owner.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import apsw

from tollhouse.stores.reader import Reader, unreadable

_STEP_PAGES = 4096


def copy_snapshot(reader: Reader, path: Path, progress: Callable[[float], None] = lambda _share: None) -> None:
    """Writes what the reader sees to a new file, durably. ``progress`` is told the share that is done, 0 to 1.

    Raises OSError where the file cannot be made or exists, `StorageUnavailable` where the database cannot be read.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with ExitStack() as undo:
        for suffix in ("", "-journal", "-wal", "-shm"):
            undo.callback(path.with_name(path.name + suffix).unlink, missing_ok=True)
        try:
            _copy(reader, path, progress)
        except apsw.Error as error:
            raise unreadable(error) from error
        sync(path)
        sync(path.parent)
        undo.pop_all()


def _copy(reader: Reader, path: Path, progress: Callable[[float], None]) -> None:
    copy = apsw.Connection(str(path))
    try:
        with copy.backup("main", reader.db, "main") as backup:
            while not backup.done:
                backup.step(_STEP_PAGES)
                progress(1 - backup.remaining / max(1, backup.page_count))
        copy.pragma("journal_mode", "delete")
    finally:
        copy.close()


def sync(path: Path) -> None:
    """Has a file, or the entries of a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
