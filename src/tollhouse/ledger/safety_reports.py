"""What was found in prompts and answers, counted: for the pages of safety, the callers' and the admin's.

As `ledger.reports`: each function runs on a reader's connection and is told whose keys it may look at. The counts come
from rollups that the transaction which resolves a request keeps exact, and hold no word of a text.
"""

from itertools import compress
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from tollhouse.ledger.reports import Line, Query
from tollhouse.types.safety import SEVERITIES

GROUPS = ("day", "key", "side", "category", "severity", "outcome")
COUNTS = ("findings", "filtered")
"""The sums of a line. A finding is one category on one side of one request; where its choices differ, each severity and
outcome counts once. ``filtered`` are those of them that were not let through.
"""
OUTCOMES = ("annotated", "filtered")

# The days drive the join, so that each day and key is one seek in the table's primary key.
_DAYS = "WITH RECURSIVE days (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM days WHERE n < ?2)"
_SUMS = "coalesce(sum(requests), 0), coalesce(sum(requests * filtered), 0)"
_FROM = (
    "FROM days CROSS JOIN safety_day ON safety_day.day = days.n WHERE safety_day.key IN"
    " (SELECT value FROM json_each(?3))"
)
_TOTALS = f"{_DAYS} SELECT {_SUMS} {_FROM}"
# What is not grouped by is the same in every row: ?4 to ?9 say for each of GROUPS whether it is.
_LINES = f"""
    {_DAYS} SELECT
        iif(?4, day, 0) AS by_day,
        iif(?5, (SELECT id FROM node WHERE number = key), '') AS by_key,
        iif(?5, (SELECT name FROM node WHERE number = key), '') AS key_name,
        iif(?6, side, '') AS by_side, iif(?7, category, '') AS by_category, iif(?8, level, 0) AS by_level,
        iif(?9, filtered, 0) AS by_outcome, {_SUMS}
    {_FROM} GROUP BY 1, iif(?5, key, 0), 4, 5, 6, 7 ORDER BY 1, iif(?5, key, 0), 4 DESC, 5, 6, 7 LIMIT ?10
"""  # noqa: S608 - constants
_ANSWERED = (
    f"{_DAYS} SELECT coalesce(sum(requests), 0) FROM days CROSS JOIN usage_day ON usage_day.day = days.n"  # noqa: S608
    " WHERE usage_day.key IN (SELECT value FROM json_each(?3))"
)
_numbers = msgspec.json.Encoder().encode


class SafetyReport(Struct, frozen=True):
    """Lines in the order of `GROUPS`, prompts before answers, and the sums of all lines, also of those beyond the
    limit.
    """

    lines: tuple[Line, ...]
    totals: tuple[int, ...]
    more: bool
    answered_requests: int
    """Those of the same keys and days that something was delivered for, of every kind, judged or not: what
    `reports.usage` counts. One whose prompt was blocked is none of them.
    """


def findings(db: apsw.Connection, query: Query) -> SafetyReport:
    """The counts of some days; ``query.group_by`` names `GROUPS`, in their order."""
    scope = query.first_day, query.last_day, _numbers(list(query.keys)).decode()
    totals: Any = db.execute(_TOTALS, scope).fetchone()
    lines: list[Line] = []
    if query.group_by:
        day, key, *others = [group in query.group_by for group in GROUPS]
        shown = [day, key, key, *others]  # a key has two names
        rows = db.execute(_LINES, (*scope, day, key, *others, query.limit + 1))
        lines = [Line(tuple(compress(_named(row), shown)), row[len(shown) :]) for row in rows]
    answered: Any = db.execute(_ANSWERED, scope).fetchone()
    return SafetyReport(tuple(lines[: query.limit]), totals, len(lines) > query.limit, *answered)


def _named(row: tuple[Any, ...]) -> tuple[Any, ...]:
    *plain, level, filtered = row[: len(GROUPS) + 1]
    return (*plain, SEVERITIES[level], OUTCOMES[filtered])
