"""A disk that is slow, fails, fills up and loses its acknowledgements, under the real SQLite store; and its writer.

A batch is written at one instant of virtual time, between two delays. It may fail before the commit, or the commit may
land and the word of it be lost (I14). A process that dies leaves exactly what was committed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from tests.simulator.loop import VirtualLoop
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.journal import Group, Journal
from tollhouse.stores.protocol import Batch, Opening
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import CloseHold, OpenHold

T = TypeVar("T")
_RETRY_S = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_PERCENT = 100


@dataclass
class Condition:
    """How the disk is at the moment. Shares are in percent; ``full_until`` is in the loop's time."""

    fail: int = 0
    lose_word: int = 0
    slow: int = 0
    full_until: float = 0.0


class SimDisk:
    """See `JournalStore`. ``committed`` notes at which step each hold was opened and closed for good."""

    def __init__(self, path: Path, loop: VirtualLoop, chance: Random, condition: Condition) -> None:
        self.inner = SqliteStore(path)
        self.alive = True
        self.condition = condition
        self._loop = loop
        self._chance = chance
        self.on_commit: Callable[[list[Group]], None] = lambda _groups: None

    def load(self) -> Opening:
        """See `JournalStore`."""
        return self.inner.load()

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        condition = self.condition
        if self._loop.time() < condition.full_until or self._chance.randrange(_PERCENT) < condition.fail:
            raise self._failed(batch)
        inner = self.inner
        before, known = inner._mark(), inner._batches
        broken = inner.apply(batch)
        if inner._mark() != before:
            self.on_commit(batch.groups)
        if self._chance.randrange(_PERCENT) < condition.lose_word:
            inner._batches, inner._in_doubt = known, True  # as where COMMIT itself raises
            raise StorageUnavailable("The word of the commit was lost.")
        return broken

    def _failed(self, batch: Batch) -> StorageUnavailable:
        """Of a commit that did not happen the store knows only that it tried; in doubt, it does not come to trying."""
        if not self.inner._in_doubt:
            batch.number = self.inner._batches + 1
            self.inner._in_doubt = True
        return StorageUnavailable("The disk did not take it.")

    def read_now(self, function: Callable[[Any], T]) -> T:
        """See `JournalStore`."""
        if not self.alive:
            raise StorageUnavailable("The process is dead.")
        return self.inner.read_now(function)

    def close(self) -> None:
        """See `JournalStore`."""
        self.alive = False
        self.inner.close()


class SimWriter:
    """See `Writer`: one batch at a time, on virtual time."""

    def __init__(self, disk: SimDisk, loop: VirtualLoop, chance: Random) -> None:
        self._disk = disk
        self._loop = loop
        self._chance = chance
        self._busy = self._called = False
        self.alive = True

    def start(self, journal: Journal) -> None:
        """See `Writer`."""
        self._journal = journal

    def kick(self) -> None:
        """See `Writer`."""
        self._called = True
        if not self._busy and self.alive:
            self._busy = True
            self._loop.call_later(self._chance.choice((0.0, 0.0005, 0.0008)), self._begin)

    def stop(self) -> None:
        """See `Writer`."""
        self.alive = False

    def _begin(self) -> None:
        self._called = False
        groups = self._journal.take()
        if not groups:
            self._busy = False
        else:
            self._loop.call_later(self._delay_s(), self._write, Batch(groups), 0)

    def _delay_s(self) -> float:
        slow = self._chance.randrange(_PERCENT) < self._disk.condition.slow
        return self._chance.choice((0.5, 1.5)) if slow else self._chance.choice((0.0002, 0.001, 0.004))

    def _write(self, batch: Batch, tries: int) -> None:
        if not self.alive:
            return
        try:
            broken = self._disk.apply(batch)
        except StorageUnavailable as fault:
            self._loop.call_soon(self._journal.fail, fault)
            self._loop.call_later(_RETRY_S[min(tries, len(_RETRY_S) - 1)], self._write, batch, tries + 1)
        else:
            self._loop.call_later(self._chance.choice((0.0, 0.0003)), self._land, len(batch.groups), broken)

    def _land(self, count: int, broken: dict[int, str]) -> None:
        if not self.alive:
            return
        self._busy = False
        self._journal.land(count, broken)
        if self._called:
            self.kick()


def summary(groups: list[Group]) -> list[str]:
    """What a batch says of holds, for the trace."""
    lines = []
    for group in groups:
        for op in group:
            if isinstance(op, OpenHold):
                lines.append(f"open {op.id} {op.request_id} {op.amount} {op.opened_at}")
            elif isinstance(op, CloseHold):
                lines.append(f"close {op.id} {op.state} {op.charge} {op.interrupted:d} {op.usage}")
            else:
                lines.append(type(op).__name__)
    return lines
