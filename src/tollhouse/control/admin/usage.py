"""What was used and what it cost, by whom, for the operator: sums as JSON or CSV, and single requests.

The numbers are those of `ledger.reports`, as clients see them, but over all keys or any subtree, and with what failed
attempts cost the operator.
"""

import csv
import io
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import apsw
import msgspec
from msgspec import Meta, Struct

from tollhouse.control.admin.shapes import Usd
from tollhouse.control.admin.table import Call, Endpoint, Text
from tollhouse.errors import InvalidRequest, ObjectNotFound
from tollhouse.ledger import reports
from tollhouse.ledger.ledger import Ledger
from tollhouse.tenancy.directory import Directory, not_found
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.money import credits_number, format_usd
from tollhouse.validate.spelling import shorten

DEFAULT_DAYS, MOST_DAYS = 30, 366
MOST_LINES = 10_000
_EPOCH = date(1970, 1, 1)
_DAY_CHARS = len("2026-01-31")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_TOKENS = tuple(name for name in reports.COUNTS if name not in {"requests", "estimated", "images", "charge"})
_US = 1_000_000
_attempts = msgspec.json.Decoder(tuple[AttemptRecord, ...]).decode

DayText = Annotated[str, Meta(description="A UTC day.", examples=["2026-01-31"])]


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}):
    """Which days, of whom, in which lines."""

    first: DayText | None = None
    last: DayText | None = None
    group_by: Annotated[
        str, Meta(description="Any of day, model, kind, key, with commas between; empty gives the totals alone.")
    ] = "day"
    under: Annotated[str, Meta(description="The organisation, team, user or key whose usage is wanted.")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST_LINES)] = 1000
    format: Literal["json", "csv"] = "json"


class Sums(Struct, frozen=True, kw_only=True):
    """What some requests took. ``reasoning_tokens`` are part of ``output_tokens``."""

    requests: int
    estimated_requests: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    output_tokens: int
    reasoning_tokens: int
    input_audio_tokens: int
    output_audio_tokens: int
    images: int
    cost_usd: Usd
    cost_credits: float


class UsageLine(Sums, frozen=True, kw_only=True, omit_defaults=True):
    """One line, with the names of its groups."""

    day: str | None = None
    model: str | None = None
    kind: str | None = None
    key: str | None = None
    key_name: str | None = None


class OpenRequests(Struct, frozen=True):
    """What is running now, and is in no sum yet."""

    requests: int
    held_usd: Usd


class UsageReport(Struct, frozen=True, kw_only=True, rename={"first": "from", "last": "to"}):
    """Lines in the order of their names, and the sums of all of them, also of those beyond the limit."""

    first: str
    last: str
    group_by: list[str]
    data: list[UsageLine]
    has_more: bool
    totals: Sums
    open: OpenRequests
    object: Literal["usage"] = "usage"


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt. ``cost_usd`` is what it cost the operator when it failed; the customer never pays for it."""

    target: str
    outcome: str
    upstream_request_id: str | None
    duration_ms: int
    cost_usd: Usd


class Entry(Struct, frozen=True, kw_only=True):
    """One side of a movement of money."""

    transaction: int
    kind: str
    at: int
    account: str
    amount_usd: Usd


class UsedRequest(Struct, frozen=True, kw_only=True):
    """All that is known of one request."""

    id: str
    hold: int
    state: Literal["open", "settled", "released", "expired"]
    kind: str
    model: str
    target: str | None
    key: str
    key_name: str
    created_at: int
    duration_ms: int | None
    held_usd: Usd
    cost_usd: Usd
    written_off_usd: Usd
    estimated: bool
    interrupted: bool
    tokens: dict[str, int]
    safety: dict[str, Any] | None
    """What was found in its texts, and what came of it; None where nobody looked."""
    price_version: int | None
    price: dict[str, Any] | None
    attempts: list[Attempt]
    entries: list[Entry]
    object: Literal["usage.request"] = "usage.request"


class UsagePages:
    """The handlers."""

    def __init__(
        self,
        ledger: Ledger,
        directory: Callable[[], Directory],
        credits_per_usd: Callable[[], int],
        clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._directory = directory
        self._credits_per_usd = credits_per_usd
        self._clock_s = clock_s

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of this module."""
        return (
            Endpoint(
                *("GET", "/admin/usage", "get_usage", "What was used, by day, model, kind, key.", self.sums),
                UsageReport,
                query=Asked,
                csv=True,
            ),
            Endpoint(
                *("GET", "/admin/usage/{request_id}", "get_request", "One request: attempts, tokens, price, entries."),
                *(self.one, UsedRequest),
            ),
        )

    async def sums(self, call: Call) -> UsageReport | Text:
        """The sums of some days."""
        asked = call.query
        first, last = read_days(asked.first, asked.last, datetime.fromtimestamp(self._clock_s(), UTC).date())
        groups = read_groups(asked.group_by, reports.GROUPS)
        since, until = ((day - _EPOCH).days for day in (first, last))
        query = reports.Query(keys_under(self._directory(), asked.under), since, until, groups, asked.limit)
        report = await self._ledger.report(lambda db: reports.usage(db, query))
        rate = self._credits_per_usd()
        data = [UsageLine(**named(line, groups), **_sums(line.counts, rate)) for line in report.lines]
        if asked.format == "csv":
            name = f"tollhouse-usage-{first}-{last}.csv"
            table = to_csv(data, (*reports.names_of(groups), *Sums.__struct_fields__))
            return Text(table, "text/csv; charset=utf-8", name)
        return UsageReport(
            first=first.isoformat(),
            last=last.isoformat(),
            group_by=list(groups),
            data=data,
            has_more=report.more,
            totals=Sums(**_sums(report.totals, rate)),
            open=OpenRequests(report.open_requests, format_usd(report.open_nusd)),
        )

    async def one(self, call: Call) -> UsedRequest:
        """One request of any key."""
        keys = keys_under(self._directory(), None)
        found = await self._ledger.report(lambda db: _read_request(db, call.id, keys))
        if found is None:
            raise ObjectNotFound(f"There is no request '{shorten(call.id)}'.", param="request_id")
        return show_request(*found)


# --- reading -----------------------------------------------------------------------------------------------------


def keys_under(directory: Directory, under: str | None) -> tuple[int, ...]:
    """The numbers of the keys of a subtree, revoked ones too; of all of them for None. Raises `ObjectNotFound`."""
    if under is None:
        return tuple(node.number for node in directory.nodes.values() if node.kind == "key")
    root = directory.find(under)
    if root is None:
        raise not_found(under)
    return tuple(node.number for node in directory.subtree(root.number) if node.kind == "key")


def read_days(first: str | None, last: str | None, today: date) -> tuple[date, date]:
    """The first and the last day. Raises `InvalidRequest`."""
    until = today if last is None else _read_day("to", last)
    if first is None:
        return max(_EPOCH, until - timedelta(days=DEFAULT_DAYS - 1)), until
    since = _read_day("from", first)
    if since > until or (until - since).days >= MOST_DAYS:
        raise _invalid("from", f"it must be before 'to', and at most {MOST_DAYS} days of it")
    return since, until


def _read_day(name: str, text: str) -> date:
    try:
        day = date.fromisoformat(text) if len(text) == _DAY_CHARS else None
    except ValueError:
        day = None
    if day is None or day < _EPOCH:
        raise _invalid(name, "it is a UTC day such as 2026-01-31")
    return day


def read_groups(text: str, groups: Sequence[str]) -> tuple[str, ...]:
    """Those of a comma-separated list, in the order of ``groups``, which lines have. Raises `InvalidRequest`."""
    names = tuple(text.split(",")) if text else ()
    if len(set(names)) != len(names) or not set(names) <= set(groups):
        raise _invalid("group_by", f"it takes {', '.join(groups)}, with commas between")
    return tuple(group for group in groups if group in names)


def _invalid(name: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid '{name}': {why}.", param=name, code="invalid_value")


def _read_request(
    db: apsw.Connection, request_id: str, keys: tuple[int, ...]
) -> tuple[reports.Request, tuple[AttemptRecord, ...], list[Any]] | None:
    """A request, its attempts with what they cost, and every entry that names it, of one instant."""
    found = reports.request(db, request_id, keys)
    if found is None:
        return None
    (attempts,) = db.execute("SELECT attempts FROM hold WHERE id = ?", (found.hold,)).fetchone() or ("[]",)
    query = """
        SELECT tx, kind, at, account.name, amount FROM entry JOIN account ON account.id = entry.account
        WHERE hold = ? ORDER BY tx, amount
    """
    return found, _attempts(str(attempts)), db.execute(query, (found.hold,)).fetchall()


# --- showing -----------------------------------------------------------------------------------------------------


def named(line: reports.Line, groups: tuple[str, ...]) -> dict[str, Any]:
    """The groups of a line, by their names."""
    names: dict[str, Any] = dict(zip(reports.names_of(groups), line.names, strict=True))
    if "day" in names:
        names["day"] = (_EPOCH + timedelta(days=names["day"])).isoformat()
    return names


def _sums(counts: tuple[int, ...], credits_per_usd: int) -> dict[str, Any]:
    named = dict(zip(reports.COUNTS, counts, strict=True))
    return {
        "requests": named["requests"],
        "estimated_requests": named["estimated"],
        "images": named["images"],
        **{f"{name}_tokens": named[name] for name in _TOKENS},
        "cost_usd": format_usd(named["charge"]),
        "cost_credits": credits_number(named["charge"], credits_per_usd),
    }


def show_request(
    request: reports.Request, attempts: tuple[AttemptRecord, ...], entries: list[tuple[int, str, int, str, int]]
) -> UsedRequest:
    """A request as it is answered."""
    closed = request.closed_at_us
    return UsedRequest(
        id=request.request_id,
        hold=request.hold,
        state=request.state,  # type: ignore[arg-type]  # one of the four words
        kind=request.kind,
        model=request.requested,
        target=request.target or None,
        key=request.key_id,
        key_name=request.key_name,
        created_at=request.opened_at_us // _US,
        duration_ms=None if closed is None else max(0, closed - request.opened_at_us) // 1000,  # the clock may step
        held_usd=format_usd(request.amount_nusd),
        cost_usd=format_usd(request.charge_nusd),
        written_off_usd=format_usd(request.clipped_nusd),
        estimated=request.estimated,
        interrupted=request.interrupted,
        tokens=request.tokens,
        safety=request.safety,
        price_version=request.price,
        price=request.price_body or None,
        attempts=[
            Attempt(
                target=one.target,
                outcome=one.outcome,
                upstream_request_id=one.upstream_id,
                duration_ms=one.ms,
                cost_usd=format_usd(one.cost_nusd),
            )
            for one in attempts
        ],
        entries=[
            Entry(transaction=tx, kind=kind, at=at // _US, account=account, amount_usd=format_usd(amount))
            for tx, kind, at, account, amount in entries
        ],
    )


def to_csv(lines: Iterable[Struct], columns: Sequence[str]) -> bytes:
    """Lines as RFC 4180 has them, without totals: a spreadsheet makes its own."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for line in lines:
        writer.writerow([safe_cell(getattr(line, column)) for column in columns])
    return text.getvalue().encode()


def safe_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: a quote stands before what could begin one (S55)."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
