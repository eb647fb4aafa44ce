"""The store of answers that are given again: found for a wish, kept for the next one, swept when they end.

One `Replays` is the gate's; `gateway.replaying` is what one request does with it. An answer is written by the ledger's
writer, after the settlement of the request that it was given to, and is on disk before that client has all of it: so
whoever saw an answer gets it again, and after a crash an answer is there whole or not at all. Of two that were made at
once the first that was written stands, for both.
"""

import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.dialects.client import Identity
from tollhouse.gateway.replay_wishes import Wish
from tollhouse.ledger.ledger import Ledger
from tollhouse.settings.replay import Replay
from tollhouse.stores import replays as rows
from tollhouse.stores.replays import Entry, Room, Sought
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Loss, Usage

INNER, WHOLE, EVENTS = "inner", "whole", "events"
"""The forms of an answer: a ``chat.completion``; a host's own whole answer; a host's own stream."""
SWEEP_S = 600
_SWEEP_ROWS = 50


class Record(Struct, frozen=True, omit_defaults=True):
    """An answer as it is kept."""

    form: str
    identity: Identity
    target: str
    usage: Usage
    raw: dict[str, Any] | None
    """The host's own usage object, as `Account` has it."""
    price: str
    """The canonical JSON of the version that its first client was charged by."""
    answer: msgspec.Raw
    losses: tuple[Loss, ...] = ()


class Kept(Struct, frozen=True):
    """An answer that was found. ``request_id`` is whose it was first; ``age_s`` how long ago that was."""

    record: Record
    request_id: str
    age_s: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


class Replays:
    """Every answer that is kept. ``now`` is the Unix time."""

    def __init__(self, ledger: Ledger, metrics: Metrics, now: Callable[[], float] = time.time) -> None:
        self.metrics = metrics
        self._ledger = ledger
        self._now = now
        self._swept_at = 0

    async def find(self, wish: Wish) -> Kept | None:
        """The answer for a wish. Raises `StorageUnavailable`."""
        sought = _sought(wish, now_s := int(self._now()))
        row = await self._ledger.read(lambda db: rows.find(db, sought))
        if row is None:
            return None
        try:
            record = _decode(row.answer)
        except msgspec.MsgspecError:  # of a version that wrote it otherwise: it ends by itself
            return None
        return Kept(record, row.request_id, max(0, now_s - row.stored_at))

    async def keep(self, wish: Wish, record: Record, request_id: str, keys: Replay) -> None:
        """Keeps an answer, durably, and with it all that was appended before. Raises `StorageUnavailable`."""
        digest = wish.inner if record.form == INNER else wish.native
        digest = digest or wish.native
        if digest is None or len(record.answer) > keys.max_answer_bytes:
            return
        now_s = int(self._now())
        entry = Entry(wish.scope, digest, request_id, now_s, now_s + wish.age_s, _encode(record))
        room = Room(keys.max_scope_bytes, keys.max_bytes)
        sought = _sought(wish, now_s)
        ledger = self._ledger
        number = ledger.append_call(lambda db: rows.keep(db, entry, sought, room, anew=wish.anew))
        await ledger.journal.durable(number)

    async def sweep(self) -> int:
        """Deletes what has ended; returns how many answers. Looks no more often than every `SWEEP_S`, on a reader, and
        deletes in small pieces: commits go on.
        """
        now_s = int(self._now())
        if 0 <= now_s - self._swept_at < SWEEP_S:
            return 0
        self._swept_at = now_s
        removed = 0
        while found := await self._ledger.read(lambda db: rows.expired(db, now_s, _SWEEP_ROWS)):
            await self._remove(found, now_s)
            removed += len(found)
            if len(found) < _SWEEP_ROWS:
                break
        return removed

    async def _remove(self, found: list[int], now_s: int) -> None:
        await self._ledger.write(lambda db: rows.remove(db, found, now_s))


def _sought(wish: Wish, now_s: int) -> Sought:
    first = wish.native or wish.inner or b""
    return Sought(wish.scope, (first, wish.inner or first), now_s - wish.age_s, now_s)
