"""A sliding window of sixty seconds, exact, in bounded memory. `gateway.limits` keeps one for each limit per minute.

Theory of operation
-------------------
A window is the log of what was admitted in the last minute and the log's sum. What arrives is admitted when sum and
arrival together are within the limit, so no sixty seconds, wherever they begin, ever hold more than the limit. A bucket
that refills, or a counter that starts again each minute, cannot promise that: both let twice the limit pass within
seconds.

The log is made of cells. While a window has fewer than `EXACT_CELLS`, each moment has a cell of its own. Past that a
cell stands for a quantum of `QUANTUM_NS` and counts as if all of it had come at the quantum's end: late, never early,
so the promise holds, and an entry stays at most a quantum longer than its minute, 0.42 % of it. A window never has more
than `MOST_CELLS` cells, about 30 KB. A cell keeps its moment, and what comes to nothing is not kept: to
take out again what was just put in leaves the window as it was before.

The clock is integer nanoseconds that never go back: there is no rounding, and a wait that was named is true. A clock
that stands still admits up to the limit and then nothing; one that steps back all the same adds to the newest cell.
"""

from collections import deque
from functools import lru_cache
from typing import Final

WINDOW_NS: Final = 60 * 10**9
QUANTUM_NS: Final = WINDOW_NS // 240
EXACT_CELLS: Final = 120
MOST_CELLS: Final = EXACT_CELLS + WINDOW_NS // QUANTUM_NS + 2
UNBOUND: Final = 1 << 62


class Cell:
    """What was admitted at one moment, or in one quantum. ``window`` is None once its minute is over."""

    __slots__ = ("amount", "at", "window")

    def __init__(self, window: "Window", at: int, amount: int) -> None:
        self.window: Window | None = window
        self.at = at
        self.amount = amount


class Window:
    """The last minute of one limit. ``bound`` is what binds: the limit, or nothing where the limit is soft."""

    __slots__ = ("_cells", "before_remaining", "before_reset", "bound", "limit", "used")

    def __init__(self, limit: int, *, soft: bool = False) -> None:
        self._cells: deque[Cell] = deque()
        self.used = 0
        """What the minute holds, as of the last call."""
        self.limit = limit
        self.bound = UNBOUND if soft else limit
        self.before_remaining = self.before_reset = ""
        """What `gateway.scopes` writes before these figures, which says the limit too."""

    def set_limit(self, limit: int, *, soft: bool = False) -> None:
        """A new limit for a minute that goes on: what was used stays used."""
        self.limit = limit
        self.bound = UNBOUND if soft else limit

    @property
    def soft(self) -> bool:
        """Whether the limit is only watched."""
        return self.bound == UNBOUND

    def room(self, now: int) -> int:
        """How much more may be admitted now; less than nothing when corrections have gone over the limit."""
        cells = self._cells
        if cells and cells[0].at <= now - WINDOW_NS:
            self._forget(now - WINDOW_NS)
        return self.bound - self.used

    def _forget(self, horizon: int) -> None:
        """Lets go of what is over."""
        cells = self._cells
        while cells and cells[0].at <= horizon:
            cell = cells.popleft()
            self.used -= cell.amount
            cell.window = None

    def add(self, now: int, amount: int) -> Cell:
        """Admits an amount. Whether there is `room` for it is the caller's to look at first."""
        self.used += amount
        cells = self._cells
        if cells and now <= (last := cells[-1]).at:
            last.amount += amount
            return last
        cell = Cell(self, now if len(cells) < EXACT_CELLS else now - now % QUANTUM_NS + QUANTUM_NS, amount)
        cells.append(cell)
        return cell

    def change(self, cell: Cell, delta: int) -> None:
        """Corrects what was admitted in a cell of this window. Newest cells that are empty then were never there."""
        cell.amount += delta
        self.used += delta
        cells = self._cells
        while cells and not cells[-1].amount:
            cells.pop().window = None

    def wait(self, now: int, amount: int) -> int:
        """Nanoseconds until an amount of at most the limit will fit, if nothing else is admitted."""
        excess, until = amount - self.room(now), now
        for cell in self._cells:
            if excess <= 0:
                break
            excess -= cell.amount
            until = cell.at + WINDOW_NS
        return until - now

    def reset(self, now: int) -> int:
        """Nanoseconds until the window is empty, if nothing else is admitted."""
        cells = self._cells
        if not cells:
            return 0
        last = cells[-1]
        if not last.amount:
            last = next((cell for cell in reversed(cells) if cell.amount), last)
        return max(0, last.at + WINDOW_NS - now) if last.amount else 0

    def __len__(self) -> int:
        return len(self._cells)


def go_duration(duration_ns: int) -> str:
    """A duration below an hour as Go prints it, milliseconds rounded up: ``0s``, ``12ms``, ``1.5s``, ``6m0s``."""
    return _known_text(-(-duration_ns // 1_000_000))


def _go_text(ms: int) -> str:
    if ms < 1000:
        return f"{ms}ms" if ms else "0s"
    if ms < 60_000:
        return f"{ms / 1000:g}s"
    return f"{ms // 60_000}m{ms % 60_000 / 1000:g}s"


_known_text: Final = lru_cache(maxsize=4096)(_go_text)
"""`_go_text`, kept for a while: under load, the requests of a key follow each other within a millisecond."""
