"""What was decided becomes durable: a queue, one writer, and those who wait.

Theory of operation
-------------------
The event loop decides in memory and appends a *group* of operations: what belongs together, written whole or not at
all. A single writer takes every group that is queued, writes them in one transaction with one fsync, and says how many
it has landed. Under load a commit carries many groups, so durability costs a fraction of an fsync each.

Nothing is written before somebody needs it to be: `durable` calls the writer, and without a waiter a group rests for at
most `REST_S`, or `LONG_REST_S` where it is deferred. The hold and the charge of a short request so become durable in
one commit, not two.

The order of appending is the order of writing. When the store fails, the writer keeps its batch and tries again; new
work is refused meanwhile (`check`), and what was decided before waits in memory. A group that the database refuses for
what it says (a program error: it cannot happen) fails alone, and its waiters with it.

The writer is a seam: `WriterThread` here, a virtual disk in the simulator.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar

from tollhouse.errors import InternalError, StorageUnavailable
from tollhouse.stores.protocol import Batch, Call, JournalStore
from tollhouse.types.ledger import Op

REST_S: Final = 0.02
LONG_REST_S: Final = 0.25
"""How long a group rests that only a crash makes worth anything."""
PATIENCE_S: Final = 5.0
"""How long a waiter waits for a store that does not write."""
MAX_GROUPS: Final = 50_000
"""More than this waiting means that the store has not kept up for seconds: new work is refused."""
FEW_GROUPS: Final = 8
SPACING_S: Final = 0.0001
MOST_SPACING_S: Final = 0.003
"""A commit that carried more than a few groups is followed by a rest of so much for each, at most. Below that, up to
some thousand requests a second, nobody waits for anything but the disk; above it, where requests wait for the processor
anyway, each commit carries dozens, and its fixed cost (some 100 us) is shared by them.
"""
MAX_BATCH: Final = 1024
_RETRY_S: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
T = TypeVar("T")
Group = tuple[Op | Call, ...]


class Writer(Protocol):
    """Writes what the journal queues."""

    def start(self, journal: "Journal") -> None:
        """Begins; called once, on the event loop."""

    def kick(self) -> None:
        """Something waits to be written. Cheap, and may be called again before it was."""

    def stop(self) -> None:
        """Returns when the last batch has landed or cannot."""


class Journal:
    """The loop's side. ``failing`` is the store's fault while it cannot write."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._groups: deque[Group] = deque()
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._broken: dict[int, str] = {}
        self._resting: asyncio.TimerHandle | None = None
        self._resting_long: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._now: Callable[[], float] = time.monotonic
        self.appended = 0
        self.landed = 0
        self.commits = 0
        self.failing: StorageUnavailable | None = None
        self._failing_since = 0.0
        self._is_dead = False
        self.on_broken: Callable[[str], None] = lambda _why: None
        """Told when the database refused a group: a program error."""

    def start(self) -> None:
        """Begins to write. Call it on the event loop."""
        self._loop = asyncio.get_running_loop()
        self._now = self._loop.time
        self._writer.start(self)
        if self.appended:
            self._writer.kick()

    async def stop(self) -> None:
        """Writes what is queued and ends. What a failing store does not take is lost, and nobody was told of it."""
        if self.failing is None:
            with suppress(StorageUnavailable, InternalError):  # whoever waits for it is told
                await self.durable(self.appended)
        self._writer.stop()

    def check(self) -> None:
        """Raises `StorageUnavailable` while nothing new can be promised."""
        if self.failing is not None:
            raise StorageUnavailable(self.failing.message, headers={"retry-after": "1"})
        if self.appended - self.landed > MAX_GROUPS:
            raise StorageUnavailable("The ledger has fallen behind.", headers={"retry-after": "1"})

    def append(self, group: Group) -> int:
        """Queues a group. Returns its number, for `durable`."""
        self._groups.append(group)
        self.appended += 1
        if self._resting is None and self._loop is not None:
            self._resting = self._loop.call_later(REST_S, self._rested)
        return self.appended

    def defer(self, group: Group) -> None:
        """Queues a group that nobody will wait for and a crash may lose: it goes with the next commit that somebody
        needs, or after `LONG_REST_S`.
        """
        self._groups.append(group)
        self.appended += 1
        if self._resting_long is None and self._loop is not None:
            self._resting_long = self._loop.call_later(LONG_REST_S, self._rested_long)

    def _rested(self) -> None:
        self._resting = None
        self.flush()

    def _rested_long(self) -> None:
        self._resting_long = None
        self.flush()

    def flush(self) -> None:
        """Calls the writer for what is queued, without waiting for it."""
        if self.appended > self.landed and self._loop is not None:
            self._writer.kick()

    def later(self, wait_s: float, function: Callable[[], None]) -> bool:
        """Calls a function after a while. False, and no call, where the journal has not been started."""
        if self._loop is None:
            return False
        self._loop.call_later(wait_s, function)
        return True

    async def durable(self, number: int) -> None:
        """Returns when a group is on disk. Raises `StorageUnavailable` where that is not to be had soon, though it may
        come true later; `InternalError` where the database refused the group.
        """
        if number > self.landed:
            if self._loop is None:
                raise RuntimeError("the journal has not been started")
            if self._is_dead:
                self.check()
            waiter = self._loop.create_future()
            self._waiters.append((number, waiter))
            self._writer.kick()
            await waiter
        if self._broken and number in self._broken:
            raise InternalError("The ledger could not record this request.")

    async def call(self, function: Callable[[Any], T]) -> T:
        """Runs a function of the database connection inside the writer's transaction, in its turn, and returns what it
        returned once that is durable. What it raises undoes it alone, and is raised here.
        """
        call = Call(function)
        await self.durable(self.append((call,)))
        if call.error is not None:
            raise call.error
        result: T = call.result
        return result

    # --- the writer's side -----------------------------------------------------------------------------------

    def take(self) -> list[Group]:
        """The groups that wait, oldest first. Called by the writer, from its own thread."""
        taken: list[Group] = []
        groups = self._groups
        while groups and len(taken) < MAX_BATCH:  # one consumer: what is there stays there
            taken.append(groups.popleft())
        return taken

    def land(self, count: int, broken: dict[int, str]) -> None:
        """A batch of ``count`` groups is durable, but for those whose place in it is in ``broken``."""
        for place, why in broken.items():
            self._broken[self.landed + 1 + place] = why
            self.on_broken(why)
        self.failing = None
        self.landed += count
        self.commits += 1
        waiters = self._waiters
        kept: deque[tuple[int, asyncio.Future[None]]] = deque()
        while waiters:
            number, waiter = waiters.popleft()
            if number > self.landed:
                kept.append((number, waiter))
            elif not waiter.done():
                waiter.set_result(None)
        self._waiters = kept
        if count == MAX_BATCH:  # there may be more, and whoever waits for it has called already
            self._writer.kick()

    def die(self) -> None:
        """The writer has ended, by an error of the program or the system. Nothing can be promised until a restart."""
        self._is_dead = True
        self._failing_since = -PATIENCE_S
        self.failing = StorageUnavailable("The ledger's writer has stopped. Restart the gateway.")
        self.fail(self.failing)

    def fail(self, fault: StorageUnavailable) -> None:
        """The store does not take a batch; the writer will try again. Whoever has waited for `PATIENCE_S` is told."""
        now = self._now()
        if self.failing is None:
            self._failing_since = now
        self.failing = fault
        if now - self._failing_since >= PATIENCE_S:
            for _, waiter in self._waiters:
                if not waiter.done():
                    waiter.set_exception(StorageUnavailable(fault.message, headers={"retry-after": "1"}))
            self._waiters.clear()


class WriterThread:
    """The writer of a real store."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._called = False
        self._stopping = threading.Event()
        self._runner = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self, journal: Journal) -> None:
        """See `Writer`."""
        self._journal = journal
        self._loop = asyncio.get_running_loop()
        self._runner.start()

    def kick(self) -> None:
        """See `Writer`."""
        if not self._called:
            self._called = True
            self._calls.put(True)

    def stop(self) -> None:
        """See `Writer`."""
        self._stopping.set()
        self._calls.put(False)
        if self._runner.ident is not None:
            self._runner.join(timeout=2.0)

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            if not self._stopping.is_set():
                self._tell(self._journal.die)

    def _serve(self) -> None:
        while self._calls.get():
            self._called = False
            if groups := self._journal.take():
                self._write(groups)
                if len(groups) > FEW_GROUPS:
                    time.sleep(min(SPACING_S * len(groups), MOST_SPACING_S))

    def _write(self, groups: list[Group]) -> None:
        """Writes one batch, however long it takes."""
        batch = Batch(groups)
        tries = 0
        while True:
            try:
                broken = self._store.apply(batch)
            except StorageUnavailable as fault:
                self._tell(self._journal.fail, fault)
                if self._stopping.wait(_RETRY_S[min(tries, len(_RETRY_S) - 1)]):
                    return
                tries += 1
            else:
                self._tell(self._journal.land, len(groups), broken)
                return

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._stopping.set()
