"""The ledger as files for other programs: entries, movements and holds of a span of time, as CSV or JSON lines.

`tollhouse ledger export` calls it. Rows stream in the order of their keys, so that two exports of one snapshot are the
same bytes. Amounts are whole nano-USD, and in dollars as exact decimals; times are UTC. A CSV cell of text never begins
as a formula does, since names and reasons come from people and are opened in spreadsheets.
"""

import csv
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from tollhouse.stores.reader import Reader
from tollhouse.types.money import format_usd

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
# Each part is in the order of its keys, so that SQLite merges them without keeping the whole: as the view ``entry`` is
# written, it would have to be sorted.
_CHARGED = """
    SELECT charge.hold AS tx, charge.at AS at, 'charge' AS kind, account.name AS account,
        {sign}charge.amount AS amount_nusd, charge.hold AS hold, hold.request_id AS request_id, '' AS actor,
        '' AS reason, NULL AS source, NULL AS external_id, NULL AS reverses
    FROM charge JOIN account ON account.id = charge.{side} LEFT JOIN hold ON hold.id = charge.hold
    WHERE charge.at >= ?1 AND charge.at < ?2
"""
_POSTED = """
    SELECT movement.id, movement.at, movement.kind, account.name, posting.amount, movement.hold, hold.request_id,
        movement.actor, movement.reason, movement.source, movement.external_id,
        iif(movement.kind = 'reversal', movement.hold, NULL)
    FROM movement JOIN posting ON posting.movement = movement.id JOIN account ON account.id = posting.account
        LEFT JOIN hold ON hold.id = movement.hold
    WHERE movement.at >= ?1 AND movement.at < ?2
"""
_ENTRIES = " UNION ALL ".join(
    [
        _CHARGED.format(sign="-", side="debit"),
        _CHARGED.format(sign="", side="credit"),
        f"{_POSTED} ORDER BY tx, account",
    ]
)
_MOVEMENTS = """
    SELECT hold AS tx, at AS at, 'charge' AS kind, amount AS amount_nusd, hold AS hold, '' AS actor, '' AS reason,
        NULL AS source, NULL AS external_id, NULL AS reverses
    FROM charge WHERE at >= ?1 AND at < ?2
    UNION ALL
    SELECT id, at, kind, (
            SELECT coalesce(sum(max(amount, 0)), 0) FROM posting WHERE movement = movement.id
        ), hold, actor, reason, source, external_id, iif(kind = 'reversal', hold, NULL)
    FROM movement WHERE at >= ?1 AND at < ?2 ORDER BY tx
"""
_HOLDS = """
    SELECT hold.id AS hold, hold.opened_at AS opened_at, hold.closed_at AS closed_at, hold.request_id AS request_id,
        key.id AS key, payer.id AS organisation, hold.kind AS kind, hold.requested AS requested,
        hold.target AS target, hold.state AS state, hold.amount AS held_nusd, hold.charge AS charge_nusd,
        hold.clipped AS clipped_nusd, hold.input AS input, hold.cache_read AS cache_read,
        hold.cache_write AS cache_write, hold.cache_write_1h AS cache_write_1h, hold.output AS output,
        hold.reasoning AS reasoning, hold.input_audio AS input_audio, hold.output_audio AS output_audio,
        hold.images AS images, hold.estimated AS estimated, hold.interrupted AS interrupted, hold.price AS price,
        hold.attempts AS attempts
    FROM hold LEFT JOIN node AS key ON key.number = hold.key LEFT JOIN node AS payer ON payer.number = hold.payer
    WHERE hold.opened_at >= ? AND hold.opened_at < ? ORDER BY hold.id
"""
TABLES = {"entries": _ENTRIES, "tx": _MOVEMENTS, "holds": _HOLDS}
_ALWAYS = -(1 << 62), 1 << 62


def read_rows(reader: Reader, table: str, span_us: tuple[int, int] = _ALWAYS) -> Iterator[dict[str, Any]]:
    """The rows of one of `TABLES` whose time is within [start, end), Unix microseconds. Raises `StorageUnavailable`."""
    for row in reader.named_rows(TABLES[table], span_us):
        yield dict(_columns(row))


def _columns(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if name in {"at", "opened_at", "closed_at"}:
            yield name, None if value is None else moment(value)
            continue
        yield name, value
        if name.endswith("_nusd"):
            yield f"{name[:-5]}_usd", format_usd(value)


def moment(at_us: int) -> str:
    """Unix microseconds as ISO 8601, UTC."""
    seconds, micros = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def write_csv(rows: Iterator[dict[str, Any]], file: TextIO) -> int:
    """Writes rows under their names, as RFC 4180 has it. Returns how many; nothing is written where there are none."""
    writer = csv.writer(file)
    count = 0
    for row in rows:
        if not count:
            writer.writerow(row)
        writer.writerow([safe_cell(value) for value in row.values()])
        count += 1
    return count


def write_json_lines(rows: Iterator[dict[str, Any]], file: TextIO) -> int:
    """Writes one object a line. Returns how many."""
    count = 0
    for row in rows:
        attempts = {"attempts": _parsed(row["attempts"])} if "attempts" in row else {}
        file.write(json.dumps({**row, **attempts}, separators=(",", ":"), ensure_ascii=False) + "\n")
        count += 1
    return count


def _parsed(text: str) -> Any:
    """JSON that is stored as text; the text itself where it is damaged: an export keeps what there is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def safe_cell(value: object) -> str:
    """A cell that no spreadsheet takes for a formula: a quote stands before what could begin one (S55). Numbers stay
    numbers, and nothing is an empty cell.
    """
    if value is None:
        return ""
    text = str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text
