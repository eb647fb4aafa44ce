"""Makes a ledger of millions of entries in a minute: the books of an imaginary year, sound in every row.

Rows are made inside SQLite, a chunk at a time; what must fit together (charges, entries, balances, days) is computed
from the same few columns. Used by `bench.ledger_size` and by tests of the verifier.
"""

import hashlib
import json
from pathlib import Path

import apsw

from tollhouse.stores.schema import MIGRATIONS

CHUNK = 250_000
KEYS = 200
DAY_US = 86_400_000_000
_RATES = (
    {"input": 2_500_000, "cache_read": 1_250_000, "output": 10_000_000},
    {"input": 150_000, "cache_read": 75_000, "output": 600_000},
    {"input": 3_000_000, "cache_read": 300_000, "output": 15_000_000},
    {"input": 37_500, "cache_read": 37_500, "output": 150_000},
)
_HOLDS = """
    WITH RECURSIVE n (i) AS (VALUES (?1) UNION ALL SELECT i + 1 FROM n WHERE i < ?2),
    made AS (
        SELECT i, 2 + i * 31 % {keys} AS key, 1 + i % 4 AS price, 80 + i * 7919 % 3000 AS input,
            iif(i % 5, 0, i * 104729 % 2048) AS cached, 1 + i * 15485863 % 900 AS output, i % 40 = 0 AS released
        FROM n
    ),
    priced AS (
        SELECT made.*, iif(
            released, 0, (made.input * rate.input + cached * rate.cache_read + made.output * rate.output + 999) / 1000
        ) AS charge
        FROM made JOIN temp.rate ON rate.price = made.price
    )
    INSERT INTO hold (id, request_id, key, chain, payer, kind, requested, amount, opened_at, input_bound, state,
        closed_at, charge, target, price, input, cache_read, output, attempts)
    SELECT i, 'req_' || format('%014x', ?3 + i * ?4) || lower(hex(randomblob(9))), key, key - 1, 1, 'chat', 'gpt-4o',
        charge + 1000000, ?3 + i * ?4, input + cached,
        iif(released, 'released', 'settled'), ?3 + i * ?4 + 900000, charge,
        iif(released, '', format('host/m%d', price)),
        iif(released, NULL, price), iif(released, 0, input), iif(released, 0, cached), iif(released, 0, output),
        format('[{{"target":"host/m%d","outcome":"%s","upstream_id":"chatcmpl-%d","ms":900}}]', price,
            iif(released, 'upstream_timeout', 'ok'), i)
    FROM priced
"""
_CHARGES = """
    INSERT INTO charge (hold, at, debit, credit, amount)
    SELECT id, closed_at, 2, 1, charge FROM hold WHERE id >= ?1 AND id <= ?2 AND charge > 0
"""
_DAYS = """
    INSERT INTO usage_day
    SELECT opened_at / 86400000000, key, target, kind, count(*), sum(input), sum(cache_read), 0, 0, sum(output),
        0, 0, 0, 0, 0, sum(charge)
    FROM hold WHERE id >= ?1 AND id <= ?2 AND state = 'settled' GROUP BY 1, 2, 3, 4
    ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, input = input + excluded.input,
        cache_read = cache_read + excluded.cache_read, output = output + excluded.output,
        charge = charge + excluded.charge
"""


def make_books(path: Path, entries: int, *, first_us: int = 1_767_225_600_000_000, days: int = 300) -> None:
    """Writes a database with about this many entries, spread over ``days`` from ``first_us``, in WAL mode."""
    db = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-200000"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    db.execute("BEGIN")
    for number, script in enumerate(MIGRATIONS, start=1):
        db.execute(script)
        db.pragma("user_version", number)
    _populate(db, first_us)
    ((by_request,),) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'hold_by_request'")
    db.execute("DROP INDEX hold_by_request")  # its keys are random: it is made much faster at once
    holds = entries * 20 // 39  # one of 40 is released
    step_us = days * DAY_US // max(holds, 1)
    for first in range(1, holds + 1, CHUNK):
        last = min(holds, first + CHUNK - 1)
        db.execute(_HOLDS.format(keys=KEYS), (first, last, first_us, step_us))
        db.execute(_CHARGES, (first, last))
        db.execute(_DAYS, (first, last))
    db.execute(str(by_request))
    db.execute("UPDATE account SET posted = (SELECT coalesce(sum(charge), 0) FROM hold) WHERE id = 1")
    db.execute("UPDATE account SET posted = -(SELECT coalesce(sum(charge), 0) FROM hold) WHERE id = 2")
    db.execute("COMMIT")
    db.execute("PRAGMA locking_mode=NORMAL").fetchall()
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    db.close()


def _populate(db: apsw.Connection, first_us: int) -> None:
    """Keys, chains, prices and accounts."""
    db.execute("CREATE TEMP TABLE rate (price INTEGER PRIMARY KEY, input INTEGER, cache_read INTEGER, output INTEGER)")
    made_at = first_us // 1_000_000
    for number in range(2, KEYS + 2):
        row = (number, f"key_{number}", f"key {number}", made_at)
        db.execute("INSERT INTO node (number, id, kind, parent, name, created_at) VALUES (?, ?, 'key', 1, ?, ?)", row)
        db.execute("INSERT INTO key_details (number, permission) VALUES (?, 'write')", (number,))
        db.execute("INSERT INTO chain VALUES (?, ?, 1)", (number - 1, f"[{number},1]"))
    for number, rates in enumerate(_RATES, start=1):
        body = price_body(f"m{number}", rates)
        digest = hashlib.sha256(body.encode()).digest()
        db.execute(
            "INSERT INTO price VALUES (?, 'host', ?, 'catalogue', ?, ?, 0)", (number, f"m{number}", body, digest)
        )
        columns = (number, rates["input"], rates["cache_read"], rates["output"])
        db.execute("INSERT INTO temp.rate VALUES (?, ?, ?, ?)", columns)
    for number, name in enumerate(("sys:revenue", "org:org_default"), start=1):
        db.execute("INSERT INTO account (id, name, allow_debt) VALUES (?, ?, 1)", (number, name))


def price_body(model: str, rates: dict[str, int]) -> str:
    """The canonical JSON of a price version: every class has a rate, names are sorted, no spaces."""
    full = {
        "cache_write": rates["input"],
        "cache_write_1h": rates["input"],
        "input_audio": rates["input"],
        "output_audio": rates["output"],
        "reasoning": rates["output"],
        **rates,
    }
    body = {
        "host": "host",
        "model": model,
        "source": "catalogue",
        "effective_from": 0,
        "free": False,
        "rates": full,
        "tiers": [],
        "image": 0,
        "request": 0,
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"))
