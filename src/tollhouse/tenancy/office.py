"""The operator's hand in a running server: operations of `tenancy.desk` run in the writer's transaction, and the
directory that follows them. Called by the admin API.

`act` returns when the change is durable and in force in this process, and a caller that goes away meanwhile does not
keep it from being so. After a write of unknown outcome the directory is `stale`, and the tick reads it anew.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import apsw

from tollhouse.errors import StorageUnavailable
from tollhouse.stores.tenancy import AuditRow, Rows, read_all, read_audit
from tollhouse.tenancy.desk import Desk, House
from tollhouse.tenancy.directory import Directory

T = TypeVar("T")


class Run(Protocol):
    """Runs a function on a connection: `Ledger.write` in the writer's transaction, `Ledger.read` in a snapshot."""

    def __call__(self, function: Callable[[apsw.Connection], T], /) -> Awaitable[T]:
        """What the function returns. Raises what it raises, having kept nothing of it, and `StorageUnavailable`."""


class Office:
    """``directory`` is the tree as this process knows it. ``on_change`` is called on the event loop with each version,
    the first from `refresh`, before the one who asked for the change hears of it; ``adopt`` is awaited after it, for
    those who need to look something up before a change binds (the wallet: what a new budget has spent).
    """

    def __init__(
        self,
        write: Run,
        read: Run,
        house: House,
        on_change: Callable[[Directory], None],
        adopt: Callable[[Directory], Awaitable[None]] | None = None,
    ) -> None:
        self._write = write
        self._read = read
        self._house = house
        self._on_change = on_change
        self._adopt = adopt
        self._turn = asyncio.Lock()
        self._running: set[asyncio.Task[object]] = set()
        self.directory = Directory()
        self.stale = True
        """Whether the database may know more than the directory: before the first `refresh`, and after a write of
        unknown outcome. `refresh` is due.
        """

    async def refresh(self) -> None:
        """Reads the whole tree. At start, and while `stale`. Raises `StorageUnavailable`, keeping what was read."""
        async with self._turn:
            rows = await self._read(read_all)
            self.stale = False
            await self._publish(Directory().revise(rows))

    async def act(self, actor: str, work: Callable[[Desk], T]) -> T:
        """Does what ``work`` asks of a desk, in one transaction: ``await office.act(actor, lambda desk:
        desk.revoke(key_id))``. Raises what the desk raises, and `StorageUnavailable`: then it may have happened.
        """
        task = asyncio.ensure_future(self._act(actor, work))  # a caller that is cancelled must not stop the revision
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def audit(self, *, before: int = 1 << 62, limit: int = 100, subject: str = "") -> list[AuditRow]:
        """A page of what operators did, newest first."""
        return await self._read(lambda db: read_audit(db, before=before, limit=limit, subject=subject))

    async def _act(self, actor: str, work: Callable[[Desk], T]) -> T:
        async with self._turn:
            try:
                result, rows = await self._write(lambda db: operate(db, self._house, actor, work))
            except StorageUnavailable:
                self.stale = True
                raise
            await self._publish(self.directory.revise(rows))
            return result

    async def _publish(self, directory: Directory) -> None:
        self.directory = directory
        self._on_change(directory)
        if self._adopt is None:
            return
        try:
            await self._adopt(directory)
        except StorageUnavailable:
            self.stale = True
            raise


def operate(db: apsw.Connection, house: House, actor: str, work: Callable[[Desk], T]) -> tuple[T, Rows]:
    """Does work at a desk on a connection, inside the caller's transaction: its result, and the rows it concerned. The
    command line calls it without a server: ``store.write_now(lambda db: operate(db, house, actor, work))``.
    """
    desk = Desk(db, house, actor)
    return work(desk), desk.rows()
