"""A provider's invoice or usage export, read from CSV: what each line is, whatever its columns are called.

Columns are found by name, compared as lower-case letters and digits. A total of input tokens is taken where there is
one, else its parts (uncached, cached, written) are added up, since exports give one or the other. Costs are US dollars.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import TextIO

ROLES = ("request", "model", "input", "output", "cost", "date")
_NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "request": (
        ("requestid", "upstreamrequestid", "providerrequestid", "generationid", "completionid", "responseid"),
        ("xrequestid", "messageid", "id"),
    ),
    "model": (("model", "modelid", "modelname", "snapshotid", "modelversion"),),
    "input": (
        ("inputtokens", "prompttokens", "ncontexttokenstotal", "tokensprompt", "inputtokencount", "totalinputtokens"),
        (
            *("usageinputtokensnocache", "usageinputtokenscacheread", "usageinputtokenscachewrite5m"),
            *("usageinputtokenscachewrite1h", "uncachedinputtokens", "cachereadinputtokens"),
            *("cachecreationinputtokens", "inputuncachedtokens", "inputcachedtokens"),
        ),
    ),
    "output": (
        ("outputtokens", "completiontokens", "ngeneratedtokenstotal", "tokenscompletion", "usageoutputtokens"),
        ("outputtokencount", "totaloutputtokens"),
    ),
    "cost": (("cost", "costusd", "amount", "amountusd", "totalcost", "usagecost", "amountvalue", "price", "total"),),
    "date": (
        ("date", "day", "usagedateutc", "timestamp", "createdat", "time", "datetime", "usagedate", "starttime"),
        ("starttimeiso", "startdate", "bucketstarttime"),
    ),
}
_SUMMED = "input"
_UNIX = re.compile(r"[0-9]{9,13}(\.[0-9]+)?")
_MILLISECONDS = 10**11
_NANO = 10**9


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice. What it does not say is None. ``slack_nusd`` is what its rounding may hide."""

    number: int
    request: str | None
    model: str | None
    day: date | None
    input: int | None
    output: int | None
    cost_nusd: Fraction | None
    slack_nusd: Fraction = Fraction(0)


class InvoiceUnreadable(ValueError):
    """The file is no CSV with the columns that are needed. The text says which."""


def read_invoice(file: TextIO, chosen: Mapping[str, str] | None = None) -> Iterator[Line]:
    """The lines. ``chosen`` names columns for `ROLES` where their names are not known here.

    Raises `InvoiceUnreadable`.
    """
    reader = csv.DictReader(file, strict=True)
    try:
        columns = find_columns(reader.fieldnames or (), chosen or {})
        for row in reader:
            if any(row.get(name) for names in columns.values() for name in names):
                yield _line(reader.line_num, row, columns)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InvoiceUnreadable(f"This is not a CSV file in UTF-8: {error}.") from error


def find_columns(names: Sequence[str], chosen: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The columns of each role. Raises `InvoiceUnreadable` where a line could not be told from another."""
    found: dict[str, tuple[str, ...]] = {}
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    for role in ROLES:
        if role in chosen:
            if chosen[role] not in names:
                raise InvoiceUnreadable(f"There is no column {chosen[role]!r}. There are: {', '.join(names)}.")
            found[role] = (chosen[role],)
            continue
        for known in _NAMES[role]:
            there = tuple(plain[name] for name in known if name in plain)
            if there:
                found[role] = there if role == _SUMMED and known is _NAMES[role][1] else there[:1]
                break
    if "request" not in found and not {"model", "date"} <= found.keys():
        raise InvoiceUnreadable(
            "The file needs a column of request ids, or one of models and one of dates. "
            f"Name them with --column, such as --column request=ID. There are: {', '.join(names) or 'none'}."
        )
    return found


def _line(number: int, row: Mapping[str, str | None], columns: Mapping[str, tuple[str, ...]]) -> Line:
    def text(role: str) -> str:
        names = columns.get(role, ())
        return (row.get(names[0]) or "").strip() if names else ""

    def count(role: str) -> int | None:
        cells = [(row.get(name) or "").strip() for name in columns.get(role, ())]
        return sum(_count(number, cell) for cell in cells if cell) if any(cells) else None

    cost, slack = _dollars(number, text("cost"))
    return Line(
        number=number,
        request=text("request") or None,
        model=text("model") or None,
        day=_day(number, text("date")),
        input=count("input"),
        output=count("output"),
        cost_nusd=cost,
        slack_nusd=slack,
    )


def _count(number: int, cell: str) -> int:
    try:
        value = Decimal(cell.replace(",", ""))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value != int(value) or value < 0:
        raise InvoiceUnreadable(f"Line {number}: {cell!r} is not a number of tokens.")
    return int(value)


def _dollars(number: int, cell: str) -> tuple[Fraction | None, Fraction]:
    """An amount in nano-USD, and half of the last decimal that it is written with."""
    if not cell:
        return None, Fraction(0)
    try:
        value = Decimal(cell.replace("$", "").replace(",", "").strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise InvoiceUnreadable(f"Line {number}: {cell!r} is not an amount of dollars.")
    exponent = value.as_tuple().exponent
    return Fraction(value) * _NANO, Fraction(10) ** int(exponent) * _NANO / 2


def _day(number: int, cell: str) -> date | None:
    """The UTC day of a date, a time, or Unix seconds or milliseconds."""
    if not cell:
        return None
    try:
        if _UNIX.fullmatch(cell):
            value = float(cell)
            return datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC).date()
        at = datetime.fromisoformat(cell.replace(" UTC", "+00:00"))
        return (at.astimezone(UTC) if at.tzinfo is not None else at).date()
    except (ValueError, OverflowError) as error:
        raise InvoiceUnreadable(f"Line {number}: {cell!r} is not a date.") from error
