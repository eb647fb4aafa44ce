"""A disk that can be made to fail, slow down, fill up or turn read-only, under a real SQLite in real files.

    with FaultyDisk() as disk:
        store = SqliteStore(path)            # unchanged: it opens its files through the process's default VFS
        disk.full = True                     # from now on every write that would need room is SQLITE_FULL

The shim sits where the kernel does: SQLite sees the codes that it would see of a real disk, and does what it does then.
"""

import threading
from random import Random
from types import TracebackType
from typing import Any, Self

import apsw

_WRITABLE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
_KINDS = (apsw.SQLITE_OPEN_MAIN_DB, apsw.SQLITE_OPEN_WAL)
_PATIENCE_S = 20.0
_BASE = apsw.vfs_names()[0]


class FaultyDisk:
    """The default VFS of this process for as long as the context lasts."""

    def __init__(self, seed: int = 0) -> None:
        self.chance = Random(seed)  # noqa: S311 - faults that can be repeated
        self.full = False
        self.read_only = False
        self.failing_syncs = 0.0
        """The share of fsyncs that fail with EIO."""
        self.failing_writes = 0.0
        """The share of writes that do."""
        self.syncs_go = threading.Event()
        """Cleared, every fsync hangs until it is set."""
        self.syncs_go.set()
        self.opened = 0
        """How often the database was opened."""
        self.failed = 0
        """How many calls were failed."""
        self.synced = 0
        """How many fsyncs went through."""

    def __enter__(self) -> Self:
        self._vfs = _Shim(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.heal()
        self._vfs.unregister()

    def heal(self) -> None:
        """Every fault is gone."""
        self.full = self.read_only = False
        self.failing_syncs = self.failing_writes = 0.0
        self.syncs_go.set()

    def before_write(self) -> None:
        """Raises what the disk says to a write."""
        if self.full:
            self._fail(apsw.FullError("no space left on device"), None)
        if self.read_only:
            self._fail(apsw.IOError("read-only file system"), apsw.SQLITE_IOERR_WRITE)
        if self.chance.random() < self.failing_writes:
            self._fail(apsw.IOError("input/output error"), apsw.SQLITE_IOERR_WRITE)

    def before_sync(self) -> None:
        """Raises what the disk says to an fsync."""
        self.syncs_go.wait(_PATIENCE_S)
        if self.chance.random() < self.failing_syncs:
            self._fail(apsw.IOError("input/output error"), apsw.SQLITE_IOERR_FSYNC)
        self.synced += 1

    def _fail(self, error: apsw.Error, extended: int | None) -> None:
        self.failed += 1
        if extended is not None:
            error.extendedresult = extended  # type: ignore[attr-defined]  # apsw's stubs lack it
        raise error


class _Shim(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        self._disk = disk
        super().__init__(f"faulty-{id(disk)}", _BASE, makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> "_ShimFile":  # noqa: N802 - SQLite's name
        """A file; on a read-only disk one that can only be read, as for any program."""
        return _ShimFile(self._disk, name, flags)


class _ShimFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        self._watched = any(flags[0] & kind for kind in _KINDS)
        disk.opened += bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)
        if disk.read_only and self._watched:
            flags[0] = flags[0] & ~_WRITABLE | apsw.SQLITE_OPEN_READONLY
        super().__init__(_BASE, name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        if self._watched:
            self._disk.before_write()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._watched:
            self._disk.before_sync()
        super().xSync(flags)
