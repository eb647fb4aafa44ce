"""``Idempotency-Key``: however often a client sends a request under one name, it runs once and is charged once.

Theory of operation
-------------------
A name belongs to an API key and stands for one request for 24 hours. `Idempotency.begin` takes it: first in memory,
without a wait, so that of two duplicates in one process one is always first; then in the database, by a call in the
ledger's own order of writing, durable before anything is reserved or sent. The row names the request's id, so that the
hold that follows can always be found from it, and the other way round nothing has to be written together. (A client may
choose the ids of its requests, and give one to several: any hold of that id and key that was paid for then counts.)

What becomes of the name depends on what became of the money:

=====================================================  ==========================================================
the request                                            the same request again
=====================================================  ==========================================================
runs                                                   409 ``idempotency_in_progress``, ``retry-after: 1``
was answered whole (`Running.finish`)                  the same status, type and bytes; nothing runs
was answered whole, in more than 8 MiB                 409 ``idempotency_too_large``
was charged, and its answer broke off or was lost      409 ``idempotency_interrupted``, naming the first request
was refused, or failed, and nothing was charged        runs
was cut off by a crash before anything was held        runs
=====================================================  ==========================================================

A second charge is possible in none of them. Refusals and failures that cost nothing are forgotten on purpose (Stripe
keeps even its 500s): what a retry is for is to do better than they did.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol, TypeVar

import apsw
import msgspec

from tollhouse.errors import IdempotencyConflict, IdempotencyMismatch, InvalidRequest
from tollhouse.stores import idempotency as rows
from tollhouse.stores.idempotency import Claim, Stored
from tollhouse.types.tenancy import Principal
from tollhouse.web.exchange import EVENTS, Exchange
from tollhouse.web.heads import header_line

HEADER = b"idempotency-key"
REPLAYED_HEADER, ORIGINAL_HEADER = "idempotent-replayed", "x-tollhouse-original-request-id"
MAX_NAME_CHARS = 255
LIFETIME_S = 24 * 3600
MAX_KEPT_BYTES = 8 << 20
MAX_KEPT_BYTES_A_DAY = 256 << 20
"""Of one API key's answers in a day: what is past it is not kept, and repeats get 409 as for one that is too large."""
SWEEP_S = 600
_SWEEP_ROWS = 200
_VISIBLE = re.compile(rb"[\x21-\x7e]{1,%d}" % MAX_NAME_CHARS)
_canonical = msgspec.json.Encoder(order="sorted").encode
T = TypeVar("T")


class Books(Protocol):
    """The part of the ledger that is needed here."""

    async def write(self, function: Callable[[apsw.Connection], T]) -> T:
        """Runs a function in the writer's transaction, after all that was appended; returns when it is durable."""

    async def read(self, function: Callable[[apsw.Connection], T]) -> T:
        """Runs a function on a connection that cannot write."""

    def append_call(self, function: Callable[[apsw.Connection], object]) -> object:
        """Queues a function for the writer's transaction and returns at once."""


def read_name(headers: Mapping[bytes, bytes]) -> str | None:
    """The name that a client gives its request; None without one. Raises `InvalidRequest`."""
    given = headers.get(HEADER)
    if given is None:
        return None
    given = given.strip()
    if not _VISIBLE.fullmatch(given):
        raise InvalidRequest(
            f"Idempotency-Key takes 1 to {MAX_NAME_CHARS} visible ASCII characters, such as a UUID.",
            param="Idempotency-Key",
            code="invalid_idempotency_key",
        )
    return given.decode("ascii")


def fingerprint(kind: str, body: Mapping[str, Any]) -> bytes:
    """What tells one request from another: its endpoint and its parsed body, whatever the order and the spaces."""
    return sha256(kind.encode() + b"\0" + _canonical(body)).digest()


def fingerprint_form(kind: str, boundary: bytes, body: bytes) -> bytes:
    """The same of a multipart body: its bytes without the boundary, which clients draw anew for every try."""
    digest = sha256(kind.encode() + b"\0")
    for part in body.split(b"--" + boundary):
        digest.update(b"%d\0" % len(part))
        digest.update(part)
    return digest.digest()


class Replay:
    """The answer of the first request of a name, to be given again."""

    __slots__ = ("body", "content_type", "request_id", "status")

    def __init__(self, stored: Stored, status: int, body: bytes) -> None:
        self.status = status
        self.content_type = stored.content_type
        self.body = body
        self.request_id = stored.request_id

    def send(self, exchange: Exchange) -> None:
        """Answers with it; a stream as one stream."""
        exchange.notes["replayed"] = self.request_id
        headers = header_line(REPLAYED_HEADER, "true") + header_line(ORIGINAL_HEADER, self.request_id)
        if self.content_type.startswith(EVENTS):
            exchange.begin_stream(headers)
            exchange.end(self.body)
        else:
            exchange.reply(self.status, self.body, headers, self.content_type)


class Running:
    """A request that has its name. Whatever happens to it, `close` is called in the end."""

    __slots__ = ("_desk", "_kept", "_size", "claim")

    def __init__(self, desk: "Idempotency", claim: Claim) -> None:
        self._desk = desk
        self._kept: list[bytes] = []
        self._size = 0
        self.claim = claim

    def record(self, data: bytes) -> None:
        """Keeps some bytes of the answer's body, in the order in which they are sent."""
        self._size += len(data)
        if self._size <= MAX_KEPT_BYTES:
            self._kept.append(data)
        else:
            self._kept.clear()

    def finish(self, status: int, content_type: str) -> None:
        """The answer is whole. Call it beside the settlement, with no wait between: both go to the writer together. A
        crash in that instant leaves a charge without an answer, never an answer without its charge.
        """
        claim = self.claim
        fits = self._size <= MAX_KEPT_BYTES and self._desk.may_keep(claim.key, self._size)
        body = b"".join(self._kept) if fits else None
        self._desk.books.append_call(lambda db: rows.finish(db, claim, status, content_type, body))

    def close(self, *, charged: bool) -> None:
        """The request is over. ``charged`` is whether its hold was settled, and stayed so: then the name stays taken,
        with or without an answer to give again. Otherwise it is free, and an answer that was kept is gone.
        """
        self._kept.clear()
        self._desk.leave(self.claim, forget=not charged)


class _First:
    """The request that has a name in this process. ``found`` is what the store knows of an earlier one: whoever comes
    while that is being found out waits for it too. ``taken`` is set by the writer when the row is this request's.
    """

    __slots__ = ("claim", "found", "taken")

    def __init__(self, claim: Claim, found: "asyncio.Future[Stored | None]") -> None:
        self.claim = claim
        self.found = found
        self.taken = False

    def take(self, db: apsw.Connection) -> Stored | None:
        """Takes the name in the store, or finds who has it."""
        stored = rows.claim(db, self.claim)
        self.taken = stored is None
        return stored

    def give_back(self, db: apsw.Connection) -> None:
        """Undoes `take`, which may have been on its way when its caller left."""
        if self.taken:
            rows.drop(db, self.claim)


class Idempotency:
    """Every name in use."""

    def __init__(self, books: Books, now: Callable[[], float] = time.time) -> None:
        self.books = books
        self._now = now
        self._day = 0
        self._kept_bytes: dict[int, int] = {}
        self._running: dict[tuple[int, str], _First] = {}
        self._swept_at = 0

    def __len__(self) -> int:
        return len(self._running)

    async def begin(self, principal: Principal, name: str, fingerprint: bytes, request_id: str) -> Running | Replay:
        """Takes a name for a request, or finds what it was answered before.

        Raises `IdempotencyConflict`, `IdempotencyMismatch`, `StorageUnavailable`. Call it before anything is reserved.
        """
        place = principal.number, name
        first = self._running.get(place)
        if first is not None:
            _compare(first.claim.fingerprint, fingerprint)
            stored = await asyncio.shield(first.found)
            if stored is None:
                raise _in_progress(first.claim.request_id)
            return _replay(stored, fingerprint)
        now_s = int(self._now())
        claim = Claim(principal.number, name, fingerprint, request_id, now_s, now_s - LIFETIME_S)
        first = self._running[place] = _First(claim, asyncio.get_running_loop().create_future())
        stored, known = None, False
        try:
            stored = await self.books.write(first.take)
            known = True
        finally:
            first.found.set_result(stored)
            if not known or stored is not None:
                self.leave(claim, forget=not known)
        return Running(self, claim) if stored is None else _replay(stored, fingerprint)

    def may_keep(self, key: int, size: int) -> bool:
        """Whether one more answer of this size is kept for a key today, counting it."""
        day = int(self._now()) // LIFETIME_S
        if day != self._day:
            self._day = day
            self._kept_bytes.clear()
        total = self._kept_bytes.get(key, 0) + size
        if total > MAX_KEPT_BYTES_A_DAY:
            return False
        self._kept_bytes[key] = total
        return True

    def leave(self, claim: Claim, *, forget: bool) -> None:
        """A request no longer runs; its row goes too where ``forget`` says so."""
        first = self._running.pop((claim.key, claim.name))
        if forget:
            self.books.append_call(first.give_back)

    async def sweep(self) -> int:
        """Deletes what has expired; returns how many names. Looks no more often than every `SWEEP_S`, on a reader, and
        deletes in small pieces: commits go on. An expired name that is still there is in nobody's way.
        """
        now_s = int(self._now())
        if 0 <= now_s - self._swept_at < SWEEP_S:
            return 0
        self._swept_at = now_s
        expired_at = now_s - LIFETIME_S
        removed = 0
        while found := await self.books.read(lambda db: rows.expired(db, expired_at, _SWEEP_ROWS)):
            await self._remove(found)
            removed += len(found)
            if len(found) < _SWEEP_ROWS:
                break
        return removed

    async def _remove(self, found: list[tuple[int, str, int]]) -> None:
        await self.books.write(lambda db: rows.remove(db, found))


def _replay(stored: Stored, fingerprint: bytes) -> Replay:
    _compare(stored.fingerprint, fingerprint)
    if stored.status is not None and stored.body is not None:
        return Replay(stored, stored.status, stored.body)
    if stored.status is not None:
        raise _lost(stored.request_id, "idempotency_too_large", "was answered in more than can be kept here")
    if stored.hold == "open":
        raise _in_progress(stored.request_id)
    raise _lost(stored.request_id, "idempotency_interrupted", "was charged, but its answer broke off")


def _compare(known: bytes, given: bytes) -> None:
    """Digests of the caller's own requests: nothing is learnt from the time that this takes."""
    if known != given:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for another request. A new request needs a new key.",
            param="Idempotency-Key",
            headers={"x-should-retry": "false"},
        )


def _in_progress(request_id: str) -> IdempotencyConflict:
    return IdempotencyConflict(
        f"The first request with this Idempotency-Key, {request_id}, is still running.",
        param="Idempotency-Key",
        headers={"retry-after": "1", ORIGINAL_HEADER: request_id},
    )


def _lost(request_id: str, code: str, why: str) -> IdempotencyConflict:
    """A retry would never do better: SDKs repeat a 409 unless they are told so."""
    return IdempotencyConflict(
        f"The first request with this Idempotency-Key, {request_id}, {why}. It is not run again:"
        f" GET /v1/usage/{request_id} tells what it cost. A new request needs a new key.",
        param="Idempotency-Key",
        code=code,
        headers={"x-should-retry": "false", ORIGINAL_HEADER: request_id},
    )
