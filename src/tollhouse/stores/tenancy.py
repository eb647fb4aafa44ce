"""The rows of the tree (node, key_details, key_secret) and of the audit, as functions over a connection.

Each does one thing with one constant statement; values are bound, never written into SQL (CVE-2026-42208). None
commits: `tenancy.desk` calls them inside the writer's transaction, readers inside a snapshot. `stores.sqlite` maps the
driver's errors.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import apsw

from tollhouse.types.tenancy import Budget, KeyDetails, KeySecret, Node

_ALL_NODES = """
    SELECT number, id, kind, parent, name, created_at, budget_nusd, budget_period, budget_zone, models, kinds, tier,
        billing, disabled_at, disabled_reason, safety
    FROM node ORDER BY number
"""
_LINE = """
    WITH RECURSIVE line (n, height) AS (
        SELECT number, 0 FROM node WHERE id = ?
        UNION ALL SELECT node.parent, height + 1 FROM line JOIN node ON node.number = n WHERE node.parent IS NOT NULL
    )
    SELECT number, id, kind, parent, name, created_at, budget_nusd, budget_period, budget_zone, models, kinds, tier,
        billing, disabled_at, disabled_reason, safety
    FROM line JOIN node ON number = n ORDER BY height
"""
_SUBTREE = """
    WITH RECURSIVE below (n) AS (
        SELECT ?
        UNION ALL SELECT node.number FROM node JOIN below ON node.parent = n
    )
    SELECT number, id, kind, parent, name, created_at, budget_nusd, budget_period, budget_zone, models, kinds, tier,
        billing, disabled_at, disabled_reason, safety
    FROM below JOIN node ON number = n ORDER BY number
"""
_UPDATES = {
    "name": "UPDATE node SET name = ? WHERE number = ?",
    "budget": "UPDATE node SET budget_nusd = ?, budget_period = ?, budget_zone = ? WHERE number = ?",
    "models": "UPDATE node SET models = ? WHERE number = ?",
    "kinds": "UPDATE node SET kinds = ? WHERE number = ?",
    "tier": "UPDATE node SET tier = ? WHERE number = ?",
    "billing": "UPDATE node SET billing = ? WHERE number = ?",
    "safety": "UPDATE node SET safety = ? WHERE number = ?",
    "permission": "UPDATE key_details SET permission = ? WHERE number = ?",
    "expires_at": "UPDATE key_details SET expires_at = ? WHERE number = ?",
    "owner": "UPDATE key_details SET owner = ? WHERE number = ?",
}
"""What may be changed, and how. All else about a node is for ever: its number, id, kind, parent, time of making."""

DEFAULT_ORG = "org_default"


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of the tree, as they are stored."""

    nodes: tuple[Node, ...] = ()
    secrets: tuple[KeySecret, ...] = ()
    details: tuple[KeyDetails, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One thing that an operator did. ``at`` is in Unix seconds, ``subject`` the id it was done to."""

    id: int
    at: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


# --- reading -----------------------------------------------------------------------------------------------------


def read_all(db: apsw.Connection) -> Rows:
    """The whole tree."""
    nodes = db.execute(_ALL_NODES)
    secrets = db.execute("SELECT digest, key, hint, created_at, expires_at FROM key_secret ORDER BY created_at, digest")
    details = db.execute("SELECT number, permission, expires_at, owner FROM key_details")
    return Rows(
        tuple(_node(row) for row in nodes),
        tuple(KeySecret(*row) for row in secrets),
        tuple(KeyDetails(*row) for row in details),
    )


def read_line(db: apsw.Connection, node_id: str) -> tuple[Node, ...]:
    """The node with an id and all above it, the organisation last. Empty where nothing has the id."""
    return tuple(_node(row) for row in db.execute(_LINE, (node_id,)))


def read_subtree(db: apsw.Connection, number: int) -> tuple[Node, ...]:
    """A node and all below it, in the order of their making."""
    return tuple(_node(row) for row in db.execute(_SUBTREE, (number,)))


def read_details(db: apsw.Connection, number: int) -> KeyDetails | None:
    """What a key has beside its node; None for other nodes."""
    query = "SELECT number, permission, expires_at, owner FROM key_details WHERE number = ?"
    row = db.execute(query, (number,)).fetchone()
    return KeyDetails(*row) if row else None


def read_secrets(db: apsw.Connection, number: int) -> tuple[KeySecret, ...]:
    """The texts of a key, oldest first, those that have expired too."""
    query = "SELECT digest, key, hint, created_at, expires_at FROM key_secret WHERE key = ? ORDER BY created_at, digest"
    return tuple(KeySecret(*row) for row in db.execute(query, (number,)))


def read_audit(db: apsw.Connection, *, before: int = 1 << 62, limit: int = 100, subject: str = "") -> list[AuditRow]:
    """A page of the audit, newest first: rows with an id below ``before``, of one subject where it is given."""
    query = """
        SELECT id, at, actor, action, subject, detail FROM audit
        WHERE id < ?1 AND (?2 = '' OR subject = ?2) ORDER BY id DESC LIMIT ?3
    """
    rows = db.execute(query, (before, subject, limit))
    return [
        AuditRow(id_, at, actor, action, about, json.loads(detail)) for id_, at, actor, action, about, detail in rows
    ]


# --- writing -----------------------------------------------------------------------------------------------------


def insert_node(db: apsw.Connection, node: Node) -> int:
    """Stores a new node. Returns its number, which the database gives; that of ``node`` is not read."""
    values = (
        node.id,
        node.kind,
        node.parent,
        node.name,
        node.created_at,
        *_budget(node.budget),
        _words(node.models),
        _words(node.kinds),
        node.tier,
        node.billing,
        node.safety,
    )
    statement = """
        INSERT INTO node (id, kind, parent, name, created_at, budget_nusd, budget_period, budget_zone, models, kinds,
            tier, billing, safety) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    """
    db.execute(statement, values)
    return db.last_insert_rowid()


def insert_details(db: apsw.Connection, details: KeyDetails) -> None:
    """Stores what a new key has beside its node."""
    row = (details.number, details.permission, details.expires_at, details.owner)
    db.execute("INSERT INTO key_details (number, permission, expires_at, owner) VALUES (?, ?, ?, ?)", row)


def add_secret(db: apsw.Connection, secret: KeySecret) -> None:
    """Gives a key a text, its first or a further one."""
    row = (secret.digest, secret.key, secret.hint, secret.created_at, secret.expires_at)
    db.execute("INSERT INTO key_secret (digest, key, hint, created_at, expires_at) VALUES (?, ?, ?, ?, ?)", row)


def expire_secrets(db: apsw.Connection, number: int, expires_at: int) -> None:
    """Lets all texts of a key expire at a moment; those that expire sooner stay as they are."""
    statement = "UPDATE key_secret SET expires_at = ?1 WHERE key = ?2 AND (expires_at IS NULL OR expires_at > ?1)"
    db.execute(statement, (expires_at, number))


def update_node(db: apsw.Connection, number: int, fields: Mapping[str, Any]) -> None:
    """Changes some fields, those that `_UPDATES` names. Raises KeyError for any other, before anything is written."""
    statements = [(_UPDATES[name], _columns(name, value)) for name, value in fields.items()]
    for statement, values in statements:
        db.execute(statement, (*values, number))


def disable_node(db: apsw.Connection, number: int, at: int, reason: str) -> None:
    """Switches a node off, and so every key below it."""
    db.execute("UPDATE node SET disabled_at = ?, disabled_reason = ? WHERE number = ?", (at, reason, number))


def enable_node(db: apsw.Connection, number: int) -> None:
    """Switches a node on again."""
    db.execute("UPDATE node SET disabled_at = NULL, disabled_reason = '' WHERE number = ?", (number,))


def allow_debt(db: apsw.Connection, org_id: str) -> None:
    """Lifts the database's own floor under an organisation's account, where it has one by now."""
    db.execute("UPDATE account SET allow_debt = 1 WHERE name = 'org:' || ?", (org_id,))


def insert_audit(db: apsw.Connection, row: AuditRow) -> None:
    """Writes down what was done, in the transaction that does it (I28). The database gives the id."""
    values = (row.at, row.actor, row.action, row.subject, json.dumps(row.detail, separators=(",", ":")))
    db.execute("INSERT INTO audit (at, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)", values)


# --- rows and values ---------------------------------------------------------------------------------------------


def _node(row: tuple[Any, ...]) -> Node:
    number, id_, kind, parent, name, created_at, limit, period, zone, models, kinds, *rest = row
    budget = Budget(limit, period, zone) if limit is not None else None
    return Node(number, id_, kind, parent, name, created_at, budget, _tuple(models), _tuple(kinds), *rest)


def _tuple(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(json.loads(text))


def _words(words: tuple[str, ...] | None) -> str | None:
    return None if words is None else json.dumps(words, separators=(",", ":"))


def _budget(budget: Budget | None) -> tuple[int | None, str | None, str | None]:
    return (None, None, None) if budget is None else (budget.limit_nusd, budget.period, budget.zone)


def _columns(name: str, value: Any) -> tuple[Any, ...]:
    if name == "budget":
        return _budget(value)
    return (_words(value),) if name in {"models", "kinds"} else (value,)
