"""What was used and what it cost, read from the database: for the usage pages and the admin's.

Each function runs on a reader's connection, in one snapshot, and is told whose keys it may look at: nothing here knows
who asks. None of them reads the whole ledger: days come from their rollups, which the settlement itself keeps exact,
one request by its index, open ones by theirs, and recent ones from the newest `RECENT_HOLDS` holds.
"""

from collections.abc import Sequence
from itertools import compress
from typing import Any

import apsw
import msgspec
from msgspec import Struct

from tollhouse.types.ledger import AttemptRecord

GROUPS = ("day", "model", "kind", "key")
COUNTS = (
    *("requests", "estimated", "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("input_audio", "output_audio", "images", "charge"),
)
"""The sums of a line, by the names of their columns. ``reasoning`` is part of ``output``."""
TOKENS = (
    *("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio", "output_audio"),
    "images",
)
"""What one request took, likewise."""
RECENT_HOLDS = 10_000

_SUMS = ", ".join([f"coalesce(sum({name}), 0)" for name in COUNTS])
# The days drive the join, so that each day and key is one seek in the table's primary key.
_DAYS = "WITH RECURSIVE days (n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM days WHERE n < ?2)"
_FROM = (
    "FROM days CROSS JOIN usage_day ON usage_day.day = days.n WHERE usage_day.key IN (SELECT value FROM json_each(?3))"
)
_TOTALS = f"{_DAYS} SELECT {_SUMS} {_FROM}"
# What is not grouped by is the same in every row: ?4 to ?7 say for each of GROUPS whether it is.
_LINES = f"""
    {_DAYS} SELECT
        iif(?4, day, 0) AS by_day, iif(?5, target, '') AS by_model, iif(?6, usage_day.kind, '') AS by_kind,
        iif(?7, (SELECT id FROM node WHERE number = key), '') AS by_key,
        iif(?7, (SELECT name FROM node WHERE number = key), '') AS key_name, {_SUMS}
    {_FROM} GROUP BY 1, 2, 3, iif(?7, key, 0) ORDER BY 1, 2, 3, iif(?7, key, 0) LIMIT ?8
"""  # noqa: S608 - constants

_REQUEST = """
    SELECT hold.id, request_id, node.id, node.name, hold.kind, requested, target, state, amount, opened_at, closed_at,
        charge, estimated, interrupted, clipped, attempts, input, cache_read, cache_write, cache_write_1h, output,
        reasoning, input_audio, output_audio, images, price.id, price.body, hold.safety
    FROM hold JOIN node ON node.number = hold.key LEFT JOIN price ON price.id = hold.price
"""
_ONE = f"{_REQUEST} WHERE request_id = ?1 AND key IN (SELECT value FROM json_each(?2)) ORDER BY hold.id DESC LIMIT 1"  # noqa: S608 - constants
_RECENT = (
    f"{_REQUEST} WHERE hold.id > (SELECT max(id) FROM hold) - ?1 AND key IN (SELECT value FROM json_each(?2))"  # noqa: S608 - constants
    " ORDER BY hold.id DESC LIMIT ?3"
)
_OPEN = (
    "SELECT count(*), coalesce(sum(amount), 0) FROM hold"
    " WHERE state = 'open' AND key IN (SELECT value FROM json_each(?))"
)
_ENTRIES = """
    SELECT tx, kind, at, account.name, amount FROM entry JOIN account ON account.id = entry.account
    WHERE hold = ? AND kind IN ('charge', 'reversal') ORDER BY tx, amount
"""
_attempts = msgspec.json.Decoder(tuple[AttemptRecord, ...]).decode
_body = msgspec.json.Decoder(dict[str, object]).decode
_numbers = msgspec.json.Encoder().encode


class Query(Struct, frozen=True):
    """Which days (numbers since 1970-01-01 UTC, both included) of which keys, in lines of which of `GROUPS`, in
    their order.
    """

    keys: Sequence[int]
    first_day: int
    last_day: int
    group_by: tuple[str, ...]
    limit: int


class Line(Struct, frozen=True):
    """Sums over settled requests. ``names`` are what `names_of` calls them; ``counts`` those of `COUNTS`."""

    names: tuple[int | str, ...]
    counts: tuple[int, ...]


class Report(Struct, frozen=True):
    """Lines in the order of their names, and the sums of all lines, also of those beyond the limit."""

    lines: tuple[Line, ...]
    totals: tuple[int, ...]
    more: bool
    open_requests: int
    open_nusd: int


class Entry(Struct, frozen=True):
    """One side of a movement that a request made. Unix microseconds, nano-USD."""

    tx: int
    kind: str
    at_us: int
    account: str
    amount_nusd: int


class Request(Struct, frozen=True):
    """All that is known of one request. What its failed attempts cost the operator is the operator's, and not here."""

    hold: int
    request_id: str
    key_id: str
    key_name: str
    kind: str
    requested: str
    target: str
    state: str
    amount_nusd: int
    opened_at_us: int
    closed_at_us: int | None
    charge_nusd: int
    estimated: bool
    interrupted: bool
    clipped_nusd: int
    attempts: tuple[AttemptRecord, ...]
    tokens: dict[str, int]
    price: int | None
    price_body: dict[str, object]
    """Empty where there is no price; else the canonical JSON of `ledger.prices`."""
    safety: dict[str, object] | None
    """What was found in its texts (`types.ledger.CloseHold`); None where nobody looked."""
    entries: tuple[Entry, ...] = ()


def names_of(group_by: Sequence[str]) -> tuple[str, ...]:
    """The names of a line's columns: a key has two."""
    return tuple([name for group in group_by for name in (("key", "key_name") if group == "key" else (group,))])


def usage(db: apsw.Connection, query: Query) -> Report:
    """The sums of some days, in the order of `GROUPS`."""
    scope = query.first_day, query.last_day, _array(query.keys)
    totals: Any = db.execute(_TOTALS, scope).fetchone()
    lines: list[Line] = []
    if query.group_by:
        grouped = [group in query.group_by for group in GROUPS]
        rows = db.execute(_LINES, (*scope, *grouped, query.limit + 1))
        shown = [*grouped, grouped[-1]]
        lines = [Line(tuple(compress(row, shown)), row[len(shown) :]) for row in rows]
    running: Any = db.execute(_OPEN, (scope[2],)).fetchone()
    return Report(tuple(lines[: query.limit]), totals, len(lines) > query.limit, *running)


def request(db: apsw.Connection, request_id: str, keys: Sequence[int]) -> Request | None:
    """One request of these keys, with its entries; None where none of them made it."""
    row = db.execute(_ONE, (request_id, _array(keys))).fetchone()
    if row is None:
        return None
    found = _request(row)
    entries = tuple([Entry(*entry) for entry in db.execute(_ENTRIES, (found.hold,))])
    return msgspec.structs.replace(found, entries=entries)


def recent(db: apsw.Connection, keys: Sequence[int], limit: int) -> tuple[Request, ...]:
    """The newest requests of these keys, newest first, without their entries."""
    return tuple([_request(row) for row in db.execute(_RECENT, (RECENT_HOLDS, _array(keys), limit))])


def _array(keys: Sequence[int]) -> str:
    return _numbers(list(keys)).decode()


def _request(row: tuple[Any, ...]) -> Request:
    *plain, estimated, interrupted, clipped, attempts = row[:16]
    tried = [msgspec.structs.replace(attempt, cost_nusd=0) for attempt in _attempts(attempts)]
    tokens = dict(zip(TOKENS, row[16:25], strict=True))
    price, body, safety = row[25:]
    stated = _body(body) if body is not None else {}
    found = _body(safety) if safety else None
    told: list[Any] = [*plain, bool(estimated), bool(interrupted), clipped, tuple(tried), tokens, price, stated, found]
    return Request(*told)
