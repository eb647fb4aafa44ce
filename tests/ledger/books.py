"""A small ledger with one of everything, written by hand: no line of the writer's takes part.

The sums that must agree are stated below as numbers, worked out on paper from the rows; the verifier must find them
right, and name each way to damage them. Amounts are nano-USD, prices pico-USD.
"""
# ruff: noqa: S608 - tables and columns named by the tests themselves

import hashlib
import json
from pathlib import Path
from typing import Any

import apsw

from tollhouse.stores.schema import MIGRATIONS

MARCH_29 = 1_774_742_400
"""2026-03-29 00:00 UTC. That night the clocks of Berlin go forward; a month begins there two days later."""
NOW_S = MARCH_29 + 3 * 86_400
MARCH_IN_BERLIN, APRIL_IN_BERLIN = 1_772_319_600, 1_774_994_400
"""Midnights of Berlin: before the change 23:00 UTC of the day before, after it 22:00 UTC."""
MARCH_28_IN_NEW_YORK, MARCH_31_IN_NEW_YORK = 1_774_670_400, 1_774_929_600

REVENUE, TOPUP, ABSORBED, DEFAULT_ORG, ACME, HOST_COST = 1, 2, 3, 4, 5, 6
ACCOUNTS = (
    (REVENUE, "sys:revenue", 1_580_504, 1),
    (TOPUP, "sys:topup", -8_000_000, 1),
    (ABSORBED, "sys:absorbed", -450, 1),
    (DEFAULT_ORG, "org:org_default", -70_000, 1),
    (ACME, "org:org_acme", 6_489_496, 0),
    (HOST_COST, "provider:host:cost", 450, 1),
)
NODES = (
    (2, "org_acme", "org", None, "prepaid", 9_000_000, "total", None),
    (3, "team_a", "team", 2, None, 5_000_000, "month", "Europe/Berlin"),
    (4, "user_u", "user", 3, None, None, None, None),
    (5, "key_k", "key", 4, None, 2_000_000, "day", "America/New_York"),
    (6, "key_d", "key", 1, None, None, None, None),
)
CHAINS = ((1, "[5,4,3,2]", 2), (2, "[6,1]", 1))
SPEND = (
    (2, 0, 1_510_504),
    (3, MARCH_IN_BERLIN, 1_500_503),
    (3, APRIL_IN_BERLIN, 10_001),
    (5, MARCH_28_IN_NEW_YORK, 1_500_503),
    (5, MARCH_31_IN_NEW_YORK, 10_001),
)


def rates(text_in: int, text_out: int, **other: int) -> dict[str, int]:
    """Every class's price: as text, unless it is given."""
    classes_in, classes_out = (
        ("cache_read", "cache_write", "cache_write_1h", "input_audio"),
        ("reasoning", "output_audio"),
    )
    full = dict.fromkeys(("input", *classes_in), text_in) | dict.fromkeys(("output", *classes_out), text_out)
    return full | other


def body(model: str, of: dict[str, int], **other: Any) -> str:
    """The canonical JSON of a price."""
    named = {"host": "host", "model": model, "source": "catalogue", "effective_from": 0, "free": False}
    full = named | {"rates": of, "tiers": [], "image": 0, "request": 0} | other
    return json.dumps(full, sort_keys=True, separators=(",", ":"))


PRICES = (
    body("tiered", rates(1000, 3000), tiers=[{"above_tokens": 200, "rates": rates(2000, 5003)}]),
    body("plain", rates(100_000, 200_000, cache_read=10_000, reasoning=300_000)),
    body("free", rates(0, 0), source="free", free=True),
    body("pictures", rates(0, 0), image=40_000_000, request=500),
)
FAILED = '[{"target":"host/plain","outcome":"upstream_interrupted","upstream_id":"up-3","cost_nusd":450}]'


def hold(number: int, target: str = "", **columns: Any) -> dict[str, Any]:
    """A row of ``hold``: settled, chat, of the prepaid organisation's key, unless ``columns`` say otherwise."""
    attempts = json.dumps([{"target": target, "outcome": "ok", "upstream_id": f"up-{number}"}] if target else [])
    row = {"id": number, "request_id": f"req_{number}", "key": 5, "chain": 1, "payer": 2, "kind": "chat"}
    row |= {"requested": "gpt", "amount": 2_000_000, "opened_at": MARCH_29 * 1_000_000, "input_bound": 500}
    row |= {"state": "settled", "closed_at": MARCH_29 * 1_000_000 + 5, "target": target, "attempts": attempts}
    return row | columns


HOLDS = (
    # 7000 * 0.1 + 1000 * 0.01 + (4000 - 2000) * 0.2 + 2000 * 0.3 = 1710 micro-USD, of which 1500 were held.
    hold(1, "host/plain", price=2, amount=1_500_000, charge=1_500_000, clipped=210_000)
    | {"input": 7000, "cache_read": 1000, "output": 4000, "reasoning": 2000},
    # 201 tokens of prompt are above 200: 201 * 2 + 20 * 5.003 = 502.06, rounded up.
    hold(2, "host/tiered", price=1, charge=503, input=200, cache_write=1, output=20),
    hold(3, state="released", attempts=FAILED),
    hold(4, state="open", closed_at=None, opened_at=(NOW_S - 60) * 1_000_000, amount=1000),
    # Resolved after a crash: 100 * 100 + 300 * 200 = 70,000, on the postpaid organisation's key, a day later.
    hold(5, "host/plain", state="expired", price=2, charge=70_000, input=100, output=300, estimated=1, interrupted=1)
    | {"key": 6, "chain": 2, "payer": 1, "opened_at": (MARCH_29 + 86_400) * 1_000_000, "attempts": "[]"},
    hold(6, "host/free", price=3, input=10, output=20, safety="{}"),
    # An image and half a nano-USD for the request, in the first second of April in Berlin; 30,000 were given back.
    hold(7, "host/pictures", price=4, charge=40_001, images=1)
    | {"kind": "images/generations", "opened_at": (APRIL_IN_BERLIN + 1) * 1_000_000, "safety": '{"policy":"p"}'},
)
DAY = MARCH_29 // 86_400
USAGE = (
    {"key": 5, "target": "host/plain", "input": 7000, "cache_read": 1000, "output": 4000, "reasoning": 2000}
    | {"charge": 1_500_000},
    {"key": 5, "target": "host/tiered", "input": 200, "cache_write": 1, "output": 20, "charge": 503},
    {"key": 5, "target": "host/free", "input": 10, "output": 20},
    {"day": DAY + 1, "key": 6, "target": "host/plain", "input": 100, "output": 300, "estimated": 1, "charge": 70_000},
    {"day": DAY + 2, "key": 5, "target": "host/pictures", "kind": "images/generations", "images": 1, "charge": 10_001},
)
COUNTS = (
    *("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("input_audio", "output_audio", "images", "estimated", "charge"),
)
CHARGES = ((1, ACME, 1_500_000), (2, ACME, 503), (5, DEFAULT_ORG, 70_000), (7, ACME, 40_001))
"""Hold, who pays, how much."""
MOVEMENTS: tuple[tuple[int, dict[str, Any], dict[int, int]], ...] = (
    (8, {"kind": "grant", "actor": "ada", "reason": "welcome"}, {ACME: 1_000_000, TOPUP: -1_000_000}),
    (9, {"kind": "topup", "source": "stripe", "external_id": "evt_1"}, {ACME: 7_000_000, TOPUP: -7_000_000}),
    (10, {"kind": "cost", "hold": 3}, {HOST_COST: 450, ABSORBED: -450}),
    (11, {"kind": "reversal", "hold": 7, "reason": "lost"}, {ACME: 30_000, REVENUE: -30_000}),
)
"""Number, what it is, entries."""


def write_books(path: Path) -> None:
    """Makes the file."""
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    with db:
        for number, script in enumerate(MIGRATIONS, start=1):
            db.execute(script)
            db.pragma("user_version", number)
        for number, name, kind, parent, billing, *budget in NODES:
            columns = dict(zip(("budget_nusd", "budget_period", "budget_zone"), budget, strict=True))
            row = {"number": number, "id": name, "kind": kind, "parent": parent, "name": name, "billing": billing}
            insert(db, "node", {**row, "created_at": MARCH_29, **columns})
        for table, rows in (("chain", CHAINS), ("account", ACCOUNTS), ("spend", SPEND)):
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
        for number, text in enumerate(PRICES, start=1):
            price = {name: json.loads(text)[name] for name in ("host", "model", "source", "effective_from")}
            digest = hashlib.sha256(text.encode()).digest()
            insert(db, "price", {"id": number, **price, "body": text, "digest": digest})
        for one in HOLDS:
            insert(db, "hold", one)
        for line in USAGE:
            insert(db, "usage_day", {"day": DAY, "kind": "chat", "requests": 1, **dict.fromkeys(COUNTS, 0), **line})
        for number, debit, amount in CHARGES:
            charge = {"hold": number, "debit": debit, "credit": REVENUE, "amount": amount}
            insert(db, "charge", {"at": (MARCH_29 + number) * 1_000_000, **charge})
        for number, movement, entries in MOVEMENTS:
            insert(db, "movement", {"id": number, "at": (MARCH_29 + number) * 1_000_000, **movement})
            for account, amount in entries.items():
                insert(db, "posting", {"movement": number, "account": account, "amount": amount})
        for number in (8, 9):
            row = {"at": MARCH_29, "actor": "ada", "action": "credits.grant", "subject": "org_acme"}
            insert(db, "audit", {**row, "detail": json.dumps({"tx": number})})
        row = {"key": 5, "name": "once", "fingerprint": b"x", "request_id": "req_2", "started_at": MARCH_29}
        insert(db, "idempotency", {**row, "status": 200})
    db.close()


def insert(db: apsw.Connection, table: str, row: dict[str, Any]) -> None:
    """Writes one row."""
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
    db.execute(statement, tuple(row.values()))


def damage(path: Path, *statements: str) -> None:
    """Runs SQL on a file of which nothing guards the rows any more: no trigger, CHECK or foreign key."""
    db = apsw.Connection(str(path))
    db.execute("PRAGMA ignore_check_constraints=ON")
    triggers = list(db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
    with db:
        for name, _ in triggers:
            db.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            db.execute(statement)
        for _, sql in triggers:
            db.execute(str(sql))
    db.close()
