"""When a budget's period began and when it ends. Pure: `ledger.wallet` brings the time.

Windows are derived from the wall clock in the budget's own zone, never reset by a job: a day begins at the first
instant whose local date is that day, whatever the zone does to its clocks that night. Weeks begin on Monday (ISO 8601).
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from tollhouse.types.tenancy import Budget

FOREVER_S: Final = 1 << 62


@lru_cache(maxsize=4096)
def day_start_s(day: date, zone: str) -> int:
    """The Unix second at which a date begins in a zone.

    Midnight does not exist where clocks jump over it (America/Sao_Paulo did); the day begins after the gap then. Where
    it happens twice, it begins with the first.
    """
    start_s = int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp())
    # PEP 495: of a time inside a gap, fold=0 reckons with the offset before it, and lands after the gap by as much as
    # midnight lies inside it. The minute before the gap is of the day before.
    while datetime.fromtimestamp(start_s - 60, ZoneInfo(zone)).date() == day:
        start_s -= 60
    return start_s


def window_of(budget: Budget, now_s: float) -> tuple[int, int]:
    """Start and end of the period that a moment lies in, in Unix seconds. The end belongs to the next period."""
    if budget.period == "total":
        return 0, FOREVER_S
    today = datetime.fromtimestamp(now_s, ZoneInfo(budget.zone)).date()
    if budget.period == "day":
        first, after = today, today + timedelta(days=1)
    elif budget.period == "week":
        first = today - timedelta(days=today.weekday())
        after = first + timedelta(days=7)
    else:
        first = today.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
    return day_start_s(first, budget.zone), day_start_s(after, budget.zone)


def day_number(at_us: int) -> int:
    """The number of a moment's UTC day since 1970-01-01."""
    return at_us // 86_400_000_000


def day_text(day: int) -> str:
    """A UTC day as ``2026-11-21``."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
