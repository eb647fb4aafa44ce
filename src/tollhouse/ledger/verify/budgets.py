"""What budgets count as spent, folded again from the holds: `Budgets`.

A window is known here by its label: the local date on which its day, its Monday or its month begins; the date and time
arithmetic is zoneinfo's alone. Holds are first added up by chain and quarter of an hour, at whose edges every zone's
days begin. A node's windows are compared from the first that has a row on: before it the node had no such budget.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span
from tollhouse.stores.reader import Reader, Row

SPENT = Check("I2", "budgets", "what a budget has spent is the sum of the charges in its window")

_QUARTER_S = 900
_BUDGETS = """
    SELECT number, budget_period, budget_zone FROM node WHERE budget_nusd IS NOT NULL ORDER BY number
"""
_FROM_HOLDS = """
    SELECT chain, opened_at / 900000000, sum(charge) FROM hold
    WHERE id > ? AND id <= ? AND charge > 0 GROUP BY 1, 2
"""
_GIVEN_BACK = """
    SELECT hold.chain, hold.opened_at / 900000000, -sum(posting.amount)
    FROM movement JOIN hold ON hold.id = movement.hold JOIN posting ON posting.movement = movement.id
    WHERE movement.id > ? AND movement.id <= ? AND movement.kind = 'reversal' AND posting.amount > 0 GROUP BY 1, 2
"""
_STORED = "SELECT node, window_start, amount FROM spend ORDER BY node, window_start"
_TOTAL, _NO_DAY = date.min, date.max
"""The label of a budget that counts in total, and that of a moment which no calendar has."""


class Budgets(Part):
    """Windows."""

    checks = (SPENT,)

    def __init__(self, reader: Reader, now_s: int) -> None:
        super().__init__(reader)
        self._now_s = now_s
        self._periods: dict[int, tuple[str, str]] = {}
        self._members: dict[int, list[int]] = {}
        """The nodes with budgets of each chain."""
        self._spent: defaultdict[int, defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
        """By node and label."""

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        for node, period, zone in self.reader.rows(_BUDGETS):
            try:
                ZoneInfo(zone or "UTC")
            except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
                yield Finding(SPENT, "node", str(node), "a zone that there is", f"{zone}")
            else:
                self._periods[node] = (period or "total", zone or "UTC")
        for chain, nodes in self.reader.rows("SELECT id, nodes FROM chain"):
            self._members[chain] = [node for node in _numbers(nodes) if node in self._periods]

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        if self._periods:
            self._add(self.reader.rows(_FROM_HOLDS, (span.low, span.high)))
        return iter(())

    def movements(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        if self._periods:
            self._add(self.reader.rows(_GIVEN_BACK, (span.low, span.high)))
        return iter(())

    def _add(self, rows: Iterator[Row]) -> None:
        for chain, quarter, amount in rows:
            for node in self._members.get(chain, ()):
                self._spent[node][window_label(quarter * _QUARTER_S, *self._periods[node])] += amount

    def end(self) -> Iterator[Finding]:
        """See `Part`."""
        stored: defaultdict[int, dict[date, tuple[int, int]]] = defaultdict(dict)
        for node, start_s, amount in self.reader.rows(_STORED):
            if node not in self._periods:
                continue
            label = window_label(start_s, *self._periods[node])
            if begins_window(start_s, *self._periods[node]):
                stored[node][label] = (start_s, amount)
            else:
                yield Finding(SPENT, "spend", _named(node, start_s), "the first moment of a window", f"{start_s}")
        for node, (period, zone) in self._periods.items():
            spent, rows = self._spent[node], stored[node]
            first = min(rows, default=window_label(self._now_s, period, zone))
            for label in sorted(rows.keys() | {one for one in spent if one >= first}):
                start_s, amount = rows.get(label, (None, 0))
                if amount != spent.get(label, 0):
                    row = _named(node, start_s) if start_s is not None else f"node {node}, window of {label}"
                    yield Finding(SPENT, "spend", row, f"{spent.get(label, 0)} spent", f"{amount} spent")


def _numbers(nodes: str) -> list[int]:
    """The nodes of a chain; none where that cannot be read, which `tree` says."""
    try:
        read = json.loads(nodes)
    except ValueError:
        return []
    return [node for node in read if type(node) is int] if isinstance(read, list) else []


def _named(node: int, start_s: int) -> str:
    return f"node {node}, window_start {start_s}"


@lru_cache(maxsize=1 << 16)
def window_label(at_s: int, period: str, zone: str) -> date:
    """The local date on which the window of a moment begins; one for all of them where it is ``total``."""
    if period == "total":
        return _TOTAL
    try:
        day = datetime.fromtimestamp(at_s, ZoneInfo(zone)).date()
    except (ValueError, OverflowError, OSError):
        return _NO_DAY
    if period == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period == "month" else day


def begins_window(at_s: int, period: str, zone: str) -> bool:
    """Whether a moment is the first of its window; that of ``total`` is 0."""
    if period == "total":
        return at_s == 0
    return window_label(at_s - 1, period, zone) != window_label(at_s, period, zone)
