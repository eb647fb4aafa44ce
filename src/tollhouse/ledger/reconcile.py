"""A provider's invoice against our own rows: what is missing on either side, and where counts or costs differ.

Lines are matched by the upstream's request id, which every attempt keeps; an invoice without ids is compared by day and
model. Our cost of an answer is its price before clipping, our cost of a failed attempt what was entered for it. A cost
differs when it does by more than the invoice's own rounding and the one nano-USD that a charge is rounded up by.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import msgspec

from tollhouse.ledger.invoice import Line
from tollhouse.stores.reader import Reader, Row
from tollhouse.types.ledger import AttemptRecord

Days = tuple[date, date]
_ALWAYS = date(1970, 1, 1), date(9999, 12, 30)
_DAY_US = 86_400_000_000
_HOLDS = """
    SELECT id, opened_at, state, target, attempts, charge + clipped,
        input + cache_read + cache_write + cache_write_1h + input_audio, output + output_audio
    FROM hold WHERE state <> 'open' AND opened_at >= ? AND opened_at < ? ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Ours:
    """One attempt at the provider, as the ledger has it. ``request`` is the upstream's id; None where none was seen."""

    hold: int
    request: str | None
    model: str
    day: date
    input: int
    output: int
    cost_nusd: int


@dataclass(slots=True)
class Sums:
    """What a side comes to. ``slack_nusd`` is what rounding may hide."""

    requests: int = 0
    input: int = 0
    output: int = 0
    cost_nusd: Fraction = Fraction(0)
    slack_nusd: Fraction = Fraction(0)

    def add(self, one: Line | Ours) -> None:
        """One more."""
        self.requests += 1
        self.input += one.input or 0
        self.output += one.output or 0
        self.cost_nusd += one.cost_nusd or 0
        self.slack_nusd += one.slack_nusd if isinstance(one, Line) else 1

    def as_json(self) -> dict[str, Any]:
        """Counts, and the cost in whole nano-USD."""
        cost = round(self.cost_nusd)
        return {"requests": self.requests, "input": self.input, "output": self.output, "cost_nusd": cost}


@dataclass(frozen=True, slots=True)
class Difference:
    """``kind`` is ``not_ours`` (on the invoice alone), ``not_theirs`` (in the ledger alone), ``tokens`` or ``cost``;
    ``what`` names the request, or the day and model.
    """

    kind: str
    what: str
    theirs: Sums
    ours: Sums

    def as_json(self) -> dict[str, Any]:
        """One flat object."""
        return {"kind": self.kind, "what": self.what, "theirs": self.theirs.as_json(), "ours": self.ours.as_json()}


@dataclass(slots=True)
class Outcome:
    """The whole comparison. ``by`` is ``request`` or ``day``."""

    by: str
    differences: list[Difference] = field(default_factory=list)
    matched: int = 0
    theirs: Sums = field(default_factory=Sums)
    ours: Sums = field(default_factory=Sums)
    unnamed: int = 0
    """Our answers of which no upstream id is known: a crash cut them off, or the upstream gave none."""

    def as_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "by": self.by,
            "matched": self.matched,
            "theirs": self.theirs.as_json(),
            "ours": self.ours.as_json(),
            "ours_without_id": self.unnamed,
            "differences": [difference.as_json() for difference in self.differences],
        }


def reconcile(
    reader: Reader, lines: Iterable[Line], provider: str, *, by: str = "auto", models: Mapping[str, str] | None = None
) -> Outcome:
    """Compares. ``provider`` is the host's name in the configuration; ``models`` maps the invoice's names to ours.

    Raises `StorageUnavailable`, and what the lines raise.
    """
    listed = list(lines)
    if by == "auto":
        by = "request" if any(line.request for line in listed) else "day"
    if by == "request":
        return _by_request(reader, provider, listed)
    return _by_day(listed, _ours(reader, provider, _days(listed) or _ALWAYS), models or {})


def _days(lines: Iterable[Line | Ours]) -> Days | None:
    """The first and the last day of some lines; None where they do not say."""
    days = [line.day for line in lines if line.day is not None]
    return (min(days), max(days)) if days else None


def _ours(reader: Reader, provider: str, days: Days) -> Iterator[Ours]:
    """Our attempts at the provider in these days."""
    span = (_day_us(days[0]), _day_us(days[1]) + _DAY_US)
    for row in reader.rows(_HOLDS, span):
        yield from _attempts(row, provider)


def _attempts(row: Row, provider: str) -> Iterator[Ours]:
    number, opened_at, state, target, text, cost, prompt, output = row
    day = datetime.fromtimestamp(opened_at / 1_000_000, UTC).date()
    attempts = msgspec.json.decode(text, type=list[AttemptRecord])
    answered = state in {"settled", "expired"}
    for place, attempt in enumerate(attempts):
        host, _, model = attempt.target.partition("/")
        if host != provider:
            continue
        known = attempt.upstream_id
        if answered and place == len(attempts) - 1:  # the last attempt is the one whose answer was delivered
            yield Ours(number, known, model or host, day, prompt, output, cost)
        elif known or attempt.cost_nusd:
            yield Ours(number, known, model or host, day, 0, 0, attempt.cost_nusd)
    host, _, model = target.partition("/")
    if answered and not attempts and host == provider:  # resolved by recovery
        yield Ours(number, None, model or host, day, prompt, output, cost)


def _by_request(reader: Reader, provider: str, lines: list[Line]) -> Outcome:
    outcome = Outcome("request")
    billed: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        outcome.theirs.add(line)
        billed[line.request or f"line {line.number}"].append(line)
    days = _days(lines) or _days(one for one in _ours(reader, provider, _ALWAYS) if one.request in billed) or _ALWAYS
    mine: defaultdict[str, Sums] = defaultdict(Sums)
    for one in _ours(reader, provider, _widened(days)):
        if one.request is not None and one.request in billed:
            mine[one.request].add(one)
            outcome.ours.add(one)
        elif days[0] <= one.day <= days[1]:
            outcome.ours.add(one)
            outcome.unnamed += one.request is None
            if one.input or one.output or one.cost_nusd:  # a failure that cost nothing need not be billed
                what = one.request or f"hold {one.hold}"
                outcome.differences.append(Difference("not_theirs", what, Sums(), _total((one,))))
    for name, group in billed.items():
        theirs = _total(group)
        kind = _kind(group, theirs, mine[name]) if mine[name].requests else "not_ours"
        outcome.matched += bool(mine[name].requests)
        if kind is not None:
            outcome.differences.append(Difference(kind, name, theirs, mine[name]))
    return outcome


def _widened(days: Days) -> Days:
    """A day more at either end: an answer may have been asked for before midnight and billed after it."""
    first, last = max(days[0], _ALWAYS[0] + timedelta(1)), min(days[1], _ALWAYS[1] - timedelta(1))
    return first - timedelta(1), last + timedelta(1)


def _by_day(lines: list[Line], ours: Iterator[Ours], models: Mapping[str, str]) -> Outcome:
    outcome = Outcome("day")
    billed: defaultdict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in lines:
        outcome.theirs.add(line)
        model = models.get(line.model or "", line.model or "")
        billed[str(line.day), model].append(line)
    mine: defaultdict[tuple[str, str], Sums] = defaultdict(Sums)
    for one in ours:
        outcome.ours.add(one)
        mine[str(one.day), one.model].add(one)
    for place in sorted(billed.keys() | mine.keys()):
        group = billed.get(place, [])
        theirs = _total(group)
        if place not in mine or not group:
            kind: str | None = "not_ours" if group else "not_theirs"
        else:
            outcome.matched += 1
            kind = _kind(group, theirs, mine[place])
        if kind is not None:
            outcome.differences.append(Difference(kind, " ".join(place), theirs, mine[place]))
    return outcome


def _kind(lines: list[Line], theirs: Sums, ours: Sums) -> str | None:
    """What differs of what the invoice says; None where nothing does."""
    counted = any(line.input is not None for line in lines) and theirs.input != ours.input
    counted |= any(line.output is not None for line in lines) and theirs.output != ours.output
    if counted:
        return "tokens"
    costed = any(line.cost_nusd is not None for line in lines)
    apart = abs(theirs.cost_nusd - ours.cost_nusd)
    return "cost" if costed and apart > theirs.slack_nusd + ours.slack_nusd else None


def _total(parts: Iterable[Line | Ours]) -> Sums:
    sums = Sums()
    for part in parts:
        sums.add(part)
    return sums


def _day_us(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
