"""What an operator did, told in rows that are written in the transaction that does it (I28) and never changed.

The actions: ``org.create``, ``team.create``, ``user.create``, ``key.create``, and of each kind ``.change``,
``.disable``, ``.enable``; ``key.revoke``, ``key.rotate``. A detail holds what was given or changed, as JSON: a change
as ``{"field": [before, after]}``. No key's text is ever in it.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import apsw

from tollhouse.stores.tenancy import AuditRow, insert_audit
from tollhouse.types.tenancy import Budget


def record(db: apsw.Connection, at: int, actor: str, action: str, subject: str, detail: Mapping[str, Any]) -> None:
    """Writes one row."""
    plain = {name: _plain(value) for name, value in detail.items()}
    insert_audit(db, AuditRow(0, at, actor, action, subject, plain))


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Budget):
        return dataclasses.asdict(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
