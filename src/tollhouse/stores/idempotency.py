"""The rows behind ``Idempotency-Key``: which requests were begun under a name, and what they were answered.

Every function runs on a connection inside a transaction; `gateway.idempotency` calls them through the ledger's writer,
in whose order a row is seen as the last call left it. A row belongs to one API key: no query is without its number.

A row without a status is a request that has begun. What became of it is the ledger's to say: the hold of the same
request id tells whether it was ever paid for.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import apsw

_FIND = (
    "SELECT fingerprint, request_id, started_at, status, content_type, body FROM idempotency WHERE key = ? AND name = ?"
)
_CLAIM = (
    "INSERT INTO idempotency (key, name, fingerprint, request_id, started_at) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint, request_id = excluded.request_id,"
    " started_at = excluded.started_at, status = NULL, content_type = NULL, body = NULL"
)
_FINISH = "UPDATE idempotency SET status = ?, content_type = ?, body = ? WHERE key = ? AND name = ?"
_DROP = "DELETE FROM idempotency WHERE key = ? AND name = ?"
# A client may give several requests one id: if any of them runs or was paid for, it may have been this one.
_HOLD = (
    "SELECT state FROM hold WHERE request_id = ? AND key = ? ORDER BY state = 'released', state <> 'open', id LIMIT 1"
)
_EXPIRED = "SELECT key, name, started_at FROM idempotency WHERE started_at <= ? LIMIT ?"
_REMOVE = "DELETE FROM idempotency WHERE key = ? AND name = ? AND started_at = ?"


@dataclass(frozen=True, slots=True)
class Stored:
    """A row. ``status`` is None while there is no answer; ``body`` is None where it was too large to keep. ``hold`` is
    the state of the request's hold, None where it never had one. Times are Unix seconds.
    """

    fingerprint: bytes
    request_id: str
    started_at: int
    status: int | None
    content_type: str
    body: bytes | None
    hold: str | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request wants to be known by. Rows that started at or before ``expired_at`` no longer count."""

    key: int
    name: str
    fingerprint: bytes
    request_id: str
    started_at: int
    expired_at: int


def claim(db: apsw.Connection, wanted: Claim) -> Stored | None:
    """Takes the name for a request. None when it is taken; else the row of an earlier request that stands in the way.

    A row that has expired does not, nor one of a request that was never paid for: it is overwritten.
    """
    found = _find(db, wanted.key, wanted.name)
    if found is not None and found.started_at > wanted.expired_at and (found.status, found.hold) not in _FREE:
        return found
    db.execute(_CLAIM, (wanted.key, wanted.name, wanted.fingerprint, wanted.request_id, wanted.started_at))
    return None


_FREE = {(None, None), (None, "released")}
"""Begun, and cut off by a crash before anything was spent."""


def _find(db: apsw.Connection, key: int, name: str) -> Stored | None:
    row = db.execute(_FIND, (key, name)).fetchone()
    if row is None:
        return None
    fingerprint, request_id, started_at, status, content_type, body = row
    hold = db.execute(_HOLD, (request_id, key)).fetchone() if status is None else None
    return Stored(fingerprint, request_id, started_at, status, content_type or "", body, hold[0] if hold else None)


def finish(db: apsw.Connection, wanted: Claim, status: int, content_type: str, body: bytes | None) -> None:
    """Keeps the answer of the request that holds the name."""
    db.execute(_FINISH, (status, content_type, body, wanted.key, wanted.name))


def drop(db: apsw.Connection, wanted: Claim) -> None:
    """Gives back the name that a request holds, with whatever it was answered."""
    db.execute(_DROP, (wanted.key, wanted.name))


def expired(db: apsw.Connection, expired_at: int, limit: int) -> list[tuple[int, str, int]]:
    """Up to ``limit`` rows that no longer count, as `remove` takes them. Reads only."""
    return [(key, name, at) for key, name, at in db.execute(_EXPIRED, (expired_at, limit))]


def remove(db: apsw.Connection, rows: Iterable[tuple[int, str, int]]) -> None:
    """Deletes rows that `expired` found, unless the name was taken again meanwhile."""
    db.executemany(_REMOVE, rows)
