"""Money that is moved by people and by payment events, not by requests: functions of the database connection.

`ledger.ledger` runs them on the writer, inside its transaction. A movement with an external id happens once: whether it
is there is looked up where it is recorded.
"""

from zlib import crc32

import apsw
from msgspec import Struct

from tollhouse.ledger.budgets import FOREVER_S
from tollhouse.ledger.prices import ADMIN, PriceVersion, read_price
from tollhouse.stores.tenancy import AuditRow, insert_audit
from tollhouse.types.tenancy import Budget

_US = 1_000_000
_COUNTED = "counted:"
_SPENT = """
    SELECT coalesce(sum(hold.charge - coalesce((
        SELECT sum(posting.amount) FROM movement JOIN posting ON posting.movement = movement.id
        WHERE movement.hold = hold.id AND movement.kind = 'reversal' AND posting.amount > 0
    ), 0)), 0)
    FROM hold
    WHERE hold.opened_at >= ? AND hold.opened_at < ? AND hold.charge > 0
        AND hold.chain IN (SELECT chain.id FROM chain, json_each(chain.nodes) AS node WHERE node.value = ?)
"""


class Movement(Struct, frozen=True):
    """A credit (positive) or a debit (negative) of one organisation's account, against a system account."""

    tx: int
    kind: str
    account: int
    against: int
    amount_nusd: int
    at_us: int
    actor: str
    reason: str
    subject: str
    event: tuple[str, str] | None = None
    """Who tells of it, and the id by which they do."""


class Posted(Struct, frozen=True):
    """A movement that is in the ledger. ``created`` is False when it was there before this time."""

    tx: int
    created: bool
    balance_nusd: int


def record(db: apsw.Connection, move: Movement) -> tuple[int, bool]:
    """Writes a movement and its audit row, or finds it. Returns its transaction's number, and whether it is new."""
    if move.event is not None:
        query = "SELECT id FROM movement WHERE source = ? AND external_id = ?"
        if (row := db.execute(query, move.event).fetchone()) is not None:
            return int(row[0]), False
    source, external_id = move.event or (None, None)
    db.execute(
        "INSERT INTO movement (id, kind, at, actor, reason, source, external_id) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (move.tx, move.kind, move.at_us, move.actor, move.reason, source, external_id),
    )
    for account, amount in ((move.account, move.amount_nusd), (move.against, -move.amount_nusd)):
        db.execute("INSERT INTO posting (movement, account, amount) VALUES (?, ?, ?)", (move.tx, account, amount))
        db.execute("UPDATE account SET posted = posted + ? WHERE id = ?", (amount, account))
    detail = {"amount_nusd": move.amount_nusd, "reason": move.reason, "tx": move.tx}
    insert_audit(db, AuditRow(0, move.at_us // _US, move.actor, f"credits.{move.kind}", move.subject, detail))
    return move.tx, True


def audit_price(db: apsw.Connection, price: PriceVersion, at_s: int, actor: str) -> None:
    """Writes down who set a price, in the transaction that adds it."""
    detail = {"digest": price.digest.hex(), "effective_from": price.effective_from}
    insert_audit(db, AuditRow(0, at_s, actor, "price.set", f"{price.host}/{price.model}", detail))


def spent_in_window(db: apsw.Connection, node: int, start_s: int, end_s: int) -> tuple[int, int]:
    """What the ledger says a node has spent in a window, and how much of it its row of ``spend`` counts already."""
    span_us = (start_s * _US, min(end_s * _US, FOREVER_S))
    query = "SELECT coalesce(sum(amount), 0) FROM spend WHERE node = ? AND window_start = ?"
    ((total,),) = db.execute(_SPENT, (*span_us, node)).fetchall()
    ((counted,),) = db.execute(query, (node, start_s)).fetchall()
    return int(total), int(counted)  # type: ignore[arg-type]  # both are integers


def forget_spending(db: apsw.Connection, node: int) -> None:
    """Removes the sums of a node whose budget is gone, or counts by other periods now."""
    db.execute("DELETE FROM spend WHERE node = ?", (node,))
    db.execute("DELETE FROM mark WHERE name = ?", (f"{_COUNTED}{node}",))


def add_spending(db: apsw.Connection, node: int, start_s: int, amount: int, periods: int) -> None:
    """Adds to the sum of a window what was spent before it was counted. From here on the sum is whole, which a mark
    says: it names the periods (`stamp`) by which it was counted.
    """
    db.execute(
        "INSERT INTO spend (node, window_start, amount) VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        (node, start_s, amount),
    )
    db.execute("INSERT OR REPLACE INTO mark (name, value) VALUES (?, ?)", (f"{_COUNTED}{node}", periods))


def recount(db: apsw.Connection, node: int, span: tuple[int, int], periods: int) -> int:
    """Counts a window anew, while nothing else is being written. Returns its sum."""
    forget_spending(db, node)
    total, _ = spent_in_window(db, node, *span)
    add_spending(db, node, span[0], total, periods)
    return total


def read_counted(db: apsw.Connection) -> dict[int, int]:
    """The nodes whose sums are whole, and by which periods they were counted."""
    rows = db.execute("SELECT name, value FROM mark WHERE name GLOB ?", (f"{_COUNTED}*",))
    return {int(str(name).removeprefix(_COUNTED)): int(value) for name, value in rows}


def stamp(budget: Budget) -> int:
    """A number for the periods of a budget: the same for two that count alike."""
    return crc32(f"{budget.period} {budget.zone}".encode())


def read_admin_prices(db: apsw.Connection) -> list[PriceVersion]:
    """The versions that admins have set, oldest first."""
    query = "SELECT body FROM price WHERE source = ? ORDER BY id"
    return [read_price(str(body)) for (body,) in db.execute(query, (ADMIN,))]
