"""What was found in prompts and answers, for the operator: counts over all keys or any subtree, as JSON or CSV.

The numbers are those of `ledger.safety_reports`, as clients see them at ``GET /v1/safety``.
"""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tollhouse.control.admin.table import Call, Endpoint, Text
from tollhouse.control.admin.usage import MOST_LINES, DayText, keys_under, named, read_days, read_groups, to_csv
from tollhouse.ledger import safety_reports
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.reports import Query, names_of
from tollhouse.ledger.safety_reports import COUNTS, GROUPS
from tollhouse.tenancy.directory import Directory

_EPOCH = date(1970, 1, 1)


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}):
    """Which days, of whom, in which lines."""

    first: DayText | None = None
    last: DayText | None = None
    group_by: Annotated[
        str, Meta(description=f"Any of {', '.join(GROUPS)}, with commas between; empty gives the totals alone.")
    ] = "side,category,severity"
    under: (
        Annotated[str, Meta(description="The organisation, team, user or key whose requests are counted.")] | None
    ) = None
    limit: Annotated[int, Meta(ge=1, le=MOST_LINES)] = 1000
    format: Literal["json", "csv"] = "json"


class Found(Struct, frozen=True, kw_only=True):
    """A finding is one category on one side of one request. ``filtered`` are those that were not let through."""

    findings: int
    filtered: int


class FoundLine(Found, frozen=True, kw_only=True, omit_defaults=True):
    """One line, with the names of its groups."""

    day: str | None = None
    key: str | None = None
    key_name: str | None = None
    side: str | None = None
    category: str | None = None
    severity: str | None = None
    outcome: str | None = None


class FoundReport(Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """Lines, and the sums of all of them, also of those beyond the limit. ``answered_requests`` are those of the same
    days and keys that were answered, of every kind, judged or not.
    """

    first: str
    last: str
    group_by: list[str]
    data: list[FoundLine]
    has_more: bool
    totals: Found
    answered_requests: int
    object: Literal["safety"] = "safety"


class SafetyPages:
    """The handler."""

    def __init__(
        self, ledger: Ledger, directory: Callable[[], Directory], clock_s: Callable[[], float] = time.time
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._clock_s = clock_s

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of this module."""
        summary = "What was found in prompts and answers, by day, key, side, category, severity, outcome."
        return (
            Endpoint("GET", "/admin/safety", "get_safety", summary, self.counts, FoundReport, query=Asked, csv=True),
        )

    async def counts(self, call: Call) -> FoundReport | Text:
        """The counts of some days."""
        asked = call.query
        first, last = read_days(asked.first, asked.last, datetime.fromtimestamp(self._clock_s(), UTC).date())
        groups = read_groups(asked.group_by, GROUPS)
        since, until = ((day - _EPOCH).days for day in (first, last))
        query = Query(keys_under(self._directory(), asked.under), since, until, groups, asked.limit)
        report = await self._ledger.report(lambda db: safety_reports.findings(db, query))
        data = [FoundLine(**named(line, groups), **_found(line.counts)) for line in report.lines]
        if asked.format == "csv":
            name = f"tollhouse-safety-{first}-{last}.csv"
            return Text(to_csv(data, (*names_of(groups), *COUNTS)), "text/csv; charset=utf-8", name)
        return FoundReport(
            first=first.isoformat(),
            last=last.isoformat(),
            group_by=list(groups),
            data=data,
            has_more=report.more,
            totals=Found(**_found(report.totals)),
            answered_requests=report.answered_requests,
        )


def _found(counts: tuple[int, ...]) -> dict[str, Any]:
    return dict(zip(COUNTS, counts, strict=True))
