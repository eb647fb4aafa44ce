"""The rows of answers that are given again: one for each request of a scope, by a digest of what was asked.

Every function runs on a connection inside a transaction; `gateway.replays` calls `keep` and `remove` through the
ledger's writer, the others on a reader. A scope is the number of a node, a key's or an organisation's: no query is
without it, so that no tenant meets another's answers. ``replay_size`` holds what each scope takes, and under 0 what all
take; triggers keep it. The first answer that is stored stands until it ends or is to be replaced.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import apsw

ROW_BYTES = 256
"""What a row takes beside its answer, about."""
_MOST_EVICTED = 64

_FIND = (
    "SELECT request_id, stored_at, answer FROM replay"
    " WHERE scope = ?1 AND digest IN (?2, ?3) AND stored_at > ?4 AND expires_at > ?5 ORDER BY id LIMIT 1"
)
_DROP = "DELETE FROM replay WHERE scope = ?1 AND digest = ?2"
_DROP_OLD = f"{_DROP} AND (stored_at <= ?3 OR expires_at <= ?4)"
_KNOWN = "SELECT 1 FROM replay WHERE scope = ? AND digest = ?"
_SIZE = "SELECT bytes FROM replay_size WHERE scope = ?"
_OLDEST = "SELECT id, size FROM replay WHERE scope = ? ORDER BY id LIMIT ?"
_INSERT = (
    "INSERT INTO replay (scope, digest, request_id, stored_at, expires_at, size, answer) VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_EXPIRED = "SELECT id FROM replay WHERE expires_at <= ? LIMIT ?"
_EVICT = "DELETE FROM replay WHERE id = ?"
_REMOVE = f"{_EVICT} AND expires_at <= ?"
_EVERYBODY = 0


@dataclass(frozen=True, slots=True)
class Sought:
    """Which answers would do: of one scope, under any of two digests, stored after a moment. Unix seconds."""

    scope: int
    digests: tuple[bytes, bytes]
    stored_after: int
    now: int


@dataclass(frozen=True, slots=True)
class Found:
    """A row."""

    request_id: str
    stored_at: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be. ``answer`` is as `gateway.replays` writes it; times are Unix seconds."""

    scope: int
    digest: bytes
    request_id: str
    stored_at: int
    expires_at: int
    answer: bytes

    @property
    def size(self) -> int:
        """What it takes."""
        return len(self.answer) + ROW_BYTES


@dataclass(frozen=True, slots=True)
class Room:
    """The most bytes of one scope, and of all."""

    scope: int
    all: int


def find(db: apsw.Connection, sought: Sought) -> Found | None:
    """The oldest answer that would do."""
    row = db.execute(_FIND, (sought.scope, *sought.digests, sought.stored_after, sought.now)).fetchone()
    return Found(*row) if row is not None else None


def keep(db: apsw.Connection, entry: Entry, sought: Sought, room: Room, *, anew: bool) -> bool:
    """Keeps an answer; whether it did. It does not where there is one that ``sought`` finds (the first stands), or no
    room. With ``anew`` it takes the place of every answer that ``sought`` would find.
    """
    for digest in sought.digests if anew else (entry.digest,):
        if anew:
            db.execute(_DROP, (entry.scope, digest))
        else:
            db.execute(_DROP_OLD, (entry.scope, digest, sought.stored_after, sought.now))
    if db.execute(_KNOWN, (entry.scope, entry.digest)).fetchone() is not None:
        return False
    if not _make_room(db, entry, room):
        return False
    values = (entry.scope, entry.digest, entry.request_id, entry.stored_at, entry.expires_at, entry.size, entry.answer)
    db.execute(_INSERT, values)
    return True


def _make_room(db: apsw.Connection, entry: Entry, room: Room) -> bool:
    """Deletes the scope's oldest answers as far as they are in the way, a few at most; whether there is room now."""
    if entry.size > room.scope:
        return False
    over = _size(db, entry.scope) + entry.size - room.scope
    gone = []
    for number, size in db.execute(_OLDEST, (entry.scope, _MOST_EVICTED)) if over > 0 else ():
        if over <= 0:
            break
        gone.append((number,))
        over -= size
    db.executemany(_EVICT, gone)
    return over <= 0 and _size(db, _EVERYBODY) + entry.size <= room.all


def _size(db: apsw.Connection, scope: int) -> int:
    row = db.execute(_SIZE, (scope,)).fetchone()
    return int(row[0]) if row is not None else 0


def expired(db: apsw.Connection, now: int, limit: int) -> list[int]:
    """Up to ``limit`` rows that have ended, as `remove` takes them. Reads only."""
    return [number for (number,) in db.execute(_EXPIRED, (now, limit))]


def remove(db: apsw.Connection, numbers: Iterable[int], now: int) -> None:
    """Deletes rows that `expired` found, unless another has taken the place meanwhile."""
    db.executemany(_REMOVE, [(number, now) for number in numbers])
