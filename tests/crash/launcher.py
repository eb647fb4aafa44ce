"""``tollhouse up`` in a process that kills itself, with SIGKILL, as it passes a chosen point for the n-th time.

The rig starts it as ``python -m tests.crash.launcher POINT N up --json ...``. The points are put around the real parts
here, in this process alone: the product knows nothing of them. `POINTS` are those of F80, `RECOVERY` those of F82.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import tollhouse.books
from tollhouse.cli import main
from tollhouse.gateway.gate import Gate
from tollhouse.ledger.holds import Hold
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import CloseHold, OpenHold
from tollhouse.upstream.pool import Pool
from tollhouse.web.exchange import Exchange

_SENDING_S = 0.002
"""What was written is on the wire after this."""
_THIRD = 3


class Fuse:
    """Counts the passes of the point."""

    def __init__(self, passes: int) -> None:
        self._left = passes

    def passed(self) -> bool:
        """One more pass. True on the last one."""
        self._left -= 1
        return self._left == 0

    def burn(self, counts: bool = True) -> None:
        """One more pass, if it counts; the last one is the end of this process."""
        if counts and self.passed():
            die()


def die() -> None:
    """As a power cut does it: no handler, no buffer, no farewell."""
    os.kill(os.getpid(), signal.SIGKILL)


def _around(owner: Any, name: str, before: Callable[..., object] | None, after: Callable[..., object] | None) -> None:
    """Calls something before and after a function of a class or module."""
    real = getattr(owner, name)

    def around(*values: Any, **named: Any) -> Any:
        if before is not None:
            before(*values)
        result = real(*values, **named)
        if after is not None:
            after(*values)
        return result

    setattr(owner, name, around)


def _writes(batch: Batch, kind: type) -> bool:
    return any(isinstance(op, kind) for group in batch.groups for op in group)


def _admitted(fuse: Fuse) -> None:
    _around(Gate, "admit", None, lambda *_: fuse.burn())


def _hold_committed(fuse: Fuse) -> None:
    _around(SqliteStore, "apply", None, lambda _, batch: fuse.burn(_writes(batch, OpenHold)))


def _upstream_sent(fuse: Fuse) -> None:
    real = Pool.send

    async def send(*values: Any) -> Any:
        reply = await real(*values)
        if fuse.passed():
            asyncio.get_running_loop().call_later(_SENDING_S, die)
        return reply

    Pool.send = send  # type: ignore[assignment, method-assign]


def _written(fuse: Fuse, which: int) -> None:
    """The n-th stream of which this many pieces were written."""
    counts: dict[int, int] = {}

    def after(exchange: Exchange, *_: object) -> None:
        counts[id(exchange)] = counts.get(id(exchange), 0) + 1
        if counts[id(exchange)] == which and fuse.passed():
            asyncio.get_running_loop().call_later(_SENDING_S, die)

    _around(Exchange, "write", None, after)
    _around(Exchange, "end", lambda exchange, *_: counts.pop(id(exchange), None), None)


def _usage_seen(fuse: Fuse) -> None:
    _around(Hold, "settle", lambda *_: fuse.burn(), None)


def _settle_queued(fuse: Fuse) -> None:
    _around(Hold, "settle", None, lambda *_: fuse.burn())


def _mid_commit(fuse: Fuse) -> None:
    """Everything is written into the transaction, and COMMIT is not."""
    _around(SqliteStore, "_number", lambda _, batch: fuse.burn(_writes(batch, CloseHold)), None)


def _after_commit(fuse: Fuse) -> None:
    _around(SqliteStore, "apply", None, lambda _, batch: fuse.burn(_writes(batch, CloseHold)))


def _recovery_begun(fuse: Fuse) -> None:
    _around(tollhouse.books, "recover", lambda *_: fuse.burn(), None)


def _recovery_done(fuse: Fuse) -> None:
    _around(tollhouse.books, "recover", None, lambda *_: fuse.burn())


POINTS: dict[str, Callable[[Fuse], None]] = {
    "admitted": _admitted,
    "hold-committed": _hold_committed,
    "upstream-sent": _upstream_sent,
    "first-token": lambda fuse: _written(fuse, 1),
    "mid-stream": lambda fuse: _written(fuse, _THIRD),
    "usage-seen": _usage_seen,
    "settle-queued": _settle_queued,
    "mid-commit": _mid_commit,
    "after-commit": _after_commit,
}
RECOVERY: dict[str, Callable[[Fuse], None]] = {
    "recovery-begun": _recovery_begun,
    "recovery-mid-commit": _mid_commit,
    "recovery-after-commit": _after_commit,
    "recovery-done": _recovery_done,
}


async def _at_once(_: Hold) -> None:
    """Does not wait."""


def _answers_early(fuse: Fuse) -> None:
    """Answers are shown before their charge is on disk."""
    Hold.durable = _at_once  # type: ignore[assignment, method-assign]
    _settle_queued(fuse)


def _forgets_open_holds(fuse: Fuse) -> None:
    """Nothing is recovered."""
    tollhouse.books.recover = lambda *_: None  # type: ignore[attr-defined, assignment]
    _settle_queued(fuse)


SABOTAGE: dict[str, Callable[[Fuse], None]] = {
    "answers-early": _answers_early,
    "forgets-open-holds": _forgets_open_holds,
}
"""Gateways that are wrong: the rig has to see it."""


if __name__ == "__main__":
    point, passes = sys.argv[1], int(sys.argv[2])
    if install := (POINTS | RECOVERY | SABOTAGE).get(point):
        install(Fuse(passes))
    main(sys.argv[3:], prog_name="tollhouse")
