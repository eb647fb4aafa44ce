"""GET /v1/usage and /v1/usage/{request_id}: what was used and what it cost, as JSON or CSV.

A key sees what it used itself. A key with the permission ``admin`` sees the whole subtree of its parent: all keys of
its user, team or organisation. What lies beyond is answered as what does not exist (S09).
"""

import asyncio
import csv
import io
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from tollhouse.dialects.usage import usd_json
from tollhouse.errors import InvalidRequest, ObjectNotFound
from tollhouse.gateway.annotate import amounts
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.receipts import describe_request
from tollhouse.ledger import reports
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.reports import GROUPS, Line, Query, Report
from tollhouse.snapshot import Live
from tollhouse.tenancy.directory import Directory
from tollhouse.types.money import format_usd
from tollhouse.types.tenancy import Principal
from tollhouse.validate.spelling import shorten
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

DEFAULT_DAYS, MOST_DAYS = 30, 366
DEFAULT_LINES, MOST_LINES = 1000, 10_000
MOST_RECENT = 100
_EPOCH = date(1970, 1, 1)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PARAMETERS = ("from", "to", "group_by", "limit", "format", "recent")
_CSV = "text/csv"


class Form(Struct, frozen=True):
    """What a page of sums can be asked for: its groups, those it has unless others are named, its parameters."""

    groups: tuple[str, ...]
    default_groups: str
    parameters: tuple[str, ...]


USAGE = Form(GROUPS, "day", _PARAMETERS)


class Asked(Struct, frozen=True):
    """The query of a URL, read. Days are included."""

    first: date
    last: date
    group_by: tuple[str, ...]
    limit: int
    recent: int
    csv: bool


class UsagePages:
    """Both pages. ``now`` is the Unix time."""

    def __init__(
        self,
        live: Live,
        keyring: Keyring,
        ledger: Ledger,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._live = live
        self._keyring = keyring
        self._ledger = ledger
        self._now = now
        self._turn = asyncio.Lock()
        """One report at a time: whoever asks for many keeps no thread from the rest of the gateway."""

    async def list(self, exchange: Exchange) -> None:
        """Sums by day, model, kind and key. Raises `Fault`."""
        principal = self._identify(exchange)
        today = datetime.fromtimestamp(self._now(), UTC).date()
        asked = read_query(exchange.query, exchange.headers.get(b"accept", b""), today)
        keys = visible_keys(principal, self._keyring.directory)
        query = query_of(asked, keys)
        async with self._turn:
            report, newest = await self._ledger.report(
                lambda db: (reports.usage(db, query), reports.recent(db, keys, asked.recent))
            )
        if asked.csv:
            reply_csv(exchange, "usage", asked, to_csv(report, asked.group_by))
            return
        rate = self._live.snapshot.settings.billing.credits_per_usd
        page = describe_report(report, asked, rate)
        if asked.recent:
            page["recent"] = [describe_request(one, rate) for one in newest]
        exchange.reply(200, json_body(page))

    async def retrieve(self, exchange: Exchange) -> None:
        """One request with its attempts, tokens, price and entries. Raises `ObjectNotFound`."""
        principal = self._identify(exchange)
        request_id = exchange.rest.decode("latin-1")
        keys = visible_keys(principal, self._keyring.directory)
        found = await self._ledger.report(lambda db: reports.request(db, request_id, keys))
        if found is None:
            raise ObjectNotFound(f"There is no request '{shorten(request_id)}' of yours.", param="request_id")
        exchange.reply(200, json_body(describe_request(found, self._live.snapshot.settings.billing.credits_per_usd)))

    def _identify(self, exchange: Exchange) -> Principal:
        principal = self._keyring.identify(exchange.headers, exchange.client)
        exchange.notes["key"] = principal.key_id
        return principal


def visible_keys(principal: Principal, directory: Directory) -> tuple[int, ...]:
    """The numbers of the keys whose usage a caller may see, those that were revoked too."""
    nodes = principal.chain.nodes
    if principal.permission != "admin" or len(nodes) < 2:
        return (principal.number,)
    return tuple([node.number for node in directory.subtree(nodes[1]) if node.kind == "key"])


# --- the query ---------------------------------------------------------------------------------------------------


def read_query(query: bytes, accept: bytes, today: date, form: Form = USAGE) -> Asked:
    """What is asked for. Raises `InvalidRequest`, naming the parameter."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=32)
    except ValueError as error:
        raise InvalidRequest("The query of the URL cannot be read.") from error
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in form.parameters:
            raise InvalidRequest(
                f"Unknown parameter: '{shorten(name)}'. There are {', '.join(form.parameters)}.",
                param=shorten(name),
                code="unknown_parameter",
            )
        if name in given:
            _refuse(name, "it is given twice")
        given[name] = value
    last = _day(given, "to") or today
    first = _day(given, "from") or last - timedelta(days=min(DEFAULT_DAYS - 1, (last - _EPOCH).days))
    if first > last:
        _refuse("from", "it is after 'to'")
    if (last - first).days >= MOST_DAYS:
        _refuse("from", f"at most {MOST_DAYS} days can be asked for at once")
    wanted = given.get("format", "csv" if _wants_csv(accept) else "json")
    if wanted not in ("json", "csv"):
        _refuse("format", "it is json or csv")
    return Asked(
        first,
        last,
        _groups(given.get("group_by", form.default_groups), form.groups),
        _count(given, "limit", DEFAULT_LINES, 1, MOST_LINES),
        _count(given, "recent", 0, 0, MOST_RECENT),
        wanted == "csv",
    )


def query_of(asked: Asked, keys: Sequence[int]) -> Query:
    """The same, as the ledger is asked it."""
    return Query(keys, (asked.first - _EPOCH).days, (asked.last - _EPOCH).days, asked.group_by, asked.limit)


def _wants_csv(accept: bytes) -> bool:
    return accept.partition(b",")[0].partition(b";")[0].strip().lower() == _CSV.encode()


def _day(given: dict[str, str], name: str) -> date | None:
    if name not in given:
        return None
    text = given[name]
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-01-31") else None
    except ValueError:
        day = None
    if day is None or day < _EPOCH:
        _refuse(name, "it is a UTC day such as 2026-01-31")
    return day


def _groups(text: str, groups: Sequence[str]) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    if len(set(names)) != len(names) or not set(names) <= set(groups):
        _refuse("group_by", f"it takes {', '.join(groups)}, with commas between")
    return tuple([group for group in groups if group in names])


def _count(given: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = given.get(name, str(default))
    value = int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else -1
    if not least <= value <= most:
        _refuse(name, f"it is a number from {least} to {most}")
    return value


def _refuse(name: str, why: str) -> None:
    raise InvalidRequest(f"Invalid '{name}': {why}.", param=name, code="invalid_value")


# --- the answer --------------------------------------------------------------------------------------------------


def describe_report(report: Report, asked: Asked, credits_per_usd: int) -> dict[str, Any]:
    """The page of sums, as JSON has it."""
    return {
        "object": "usage",
        "from": asked.first.isoformat(),
        "to": asked.last.isoformat(),
        "group_by": asked.group_by,
        "data": [{**named(line, asked.group_by), **_sums(line.counts, credits_per_usd)} for line in report.lines],
        "has_more": report.more,
        "totals": _sums(report.totals, credits_per_usd),
        "open": {"requests": report.open_requests, **amounts("held", report.open_nusd, credits_per_usd)},
    }


def named(line: Line, group_by: Sequence[str]) -> dict[str, Any]:
    """The groups of a line, by their names."""
    names = dict(zip(reports.names_of(group_by), line.names, strict=True))
    if "day" in names:
        names["day"] = (_EPOCH + timedelta(days=int(names["day"]))).isoformat()
    return names


def _columns(counts: tuple[int, ...]) -> dict[str, int]:
    """A line's counts by the names that clients see: ``requests``, ``input_tokens`` ..., without the charge."""
    named = dict(zip(reports.COUNTS, counts, strict=True))
    plain = ("requests", "estimated", "images")
    return {
        {"estimated": "estimated_requests"}.get(name, name if name in plain else f"{name}_tokens"): count
        for name, count in named.items()
        if name != "charge"
    }


def _sums(counts: tuple[int, ...], credits_per_usd: int) -> dict[str, Any]:
    charge = counts[-1]
    return {**_columns(counts), "cost": usd_json(charge), **amounts("cost", charge, credits_per_usd)}


def to_csv(report: Report, group_by: Sequence[str]) -> bytes:
    """The same lines as RFC 4180 has them, without totals: a spreadsheet makes its own."""
    rows = (
        [*named(line, group_by).values(), *_columns(line.counts).values(), format_usd(line.counts[-1])]
        for line in report.lines
    )
    return write_csv([*reports.names_of(group_by), *_columns(report.totals), "cost_usd"], rows)


def write_csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A table as RFC 4180 has it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(heads)
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return text.getvalue().encode()


def reply_csv(exchange: Exchange, what: str, asked: Asked, table: bytes) -> None:
    """Answers with a table that browsers keep as a file."""
    name = f"tollhouse-{what}-{asked.first}-{asked.last}.csv"
    attached = f'content-disposition: attachment; filename="{name}"\r\n'
    exchange.reply(200, table, attached, f"{_CSV}; charset=utf-8")


def safe_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: a quote stands before what could begin one (S55)."""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
