"""Writes a batch of ledger operations into an open transaction. Called by `stores.sqlite` on the writer thread.

Operations of one kind go in together (`stores.rows`), in an order in which no row comes before what it refers to; sums
that many operations touch (an account's balance, a day's usage) are added up first and written once. That is what makes
a commit of many requests cheap.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import apsw
import msgspec
from msgspec.structs import astuple

from tollhouse.stores.protocol import Call
from tollhouse.stores.rows import Insert
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import (
    AddAccount,
    AddChain,
    AddPrice,
    CloseHold,
    CountFindings,
    MarkProgress,
    Op,
    OpenHold,
    Post,
    Spend,
)

Group = tuple[Op | Call, ...]

_USAGE_CLASSES = Usage.__struct_fields__
"""The columns of usage are named as its fields, and stand in their order."""
_OPENED = OpenHold.__struct_fields__
"""So are those of a hold that is opened; the last, its price, is the closing row's own where both come together."""
_CLOSED = (
    *("state", "closed_at", "charge", "target", "price"),
    *_USAGE_CLASSES,
    *("interrupted", "clipped", "attempts", "safety"),
)
_OPEN = Insert("hold", _OPENED)
_WHOLE = Insert("hold", (*_OPENED[:-1], *_CLOSED))
_PROGRESS = "UPDATE hold SET progress = ?, input = ?, price = ?, target = ? WHERE id = ? AND state = 'open'"
_CLOSE = f"UPDATE hold SET {', '.join(f'{name} = ?' for name in _CLOSED)} WHERE id = ?"  # noqa: S608 - our names
_TX = Insert("tx", ("id", "kind", "at", "hold", "actor", "reason", "source", "external_id", "reverses"))
_ENTRY = Insert("entry", ("tx", "account", "amount"))
_POSTED = "UPDATE account SET posted = posted + ? WHERE id = ?"
_SPEND = Insert(
    "spend", ("node", "window_start", "amount"), " ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
)
_USED = ("requests", *_USAGE_CLASSES, "charge")
_USAGE = Insert(
    "usage_day",
    ("day", "key", "target", "kind", *_USED),
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _USED)}",
)
_FOUND = Insert(
    "safety_day",
    ("day", "key", "side", "category", "level", "filtered", "requests"),
    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests",
)
_ACCOUNT = "INSERT INTO account (id, name, allow_debt) VALUES (?, ?, ?)"
_PRICE = (
    "INSERT INTO price (id, host, model, source, body, digest, effective_from) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (digest) DO NOTHING"
)
_CHAIN = "INSERT INTO chain (id, nodes, payer) VALUES (?, ?, ?)"
_NOTHING = Usage()
_encode = msgspec.json.Encoder().encode


def write_groups(db: apsw.Connection, groups: Iterable[Group]) -> None:
    """Writes groups in their order. A `Call` runs after all that was appended before it."""
    plain: list[Op] = []
    for op in chain.from_iterable(groups):
        if type(op) is Call:
            write_ops(db, plain)
            plain = []
            run_call(db, op)
        else:
            plain.append(op)  # type: ignore[arg-type]  # all that is not a Call
    write_ops(db, plain)


def run_call(db: apsw.Connection, call: Call) -> None:
    """Runs a function in a savepoint: what it raises undoes it alone, and is its caller's. A fault of the database
    itself is the whole batch's.
    """
    call.error = None
    try:
        with db:
            call.result = call.function(db)
    except (apsw.BusyError, apsw.FullError, apsw.IOError, apsw.ReadOnlyError, apsw.NoMemError, apsw.CorruptError):
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller, who waits for it
        call.error = error


def write_ops(db: apsw.Connection, ops: list[Op]) -> None:
    """Writes operations. Raises what apsw does."""
    by_kind: defaultdict[type, list[Op]] = defaultdict(list)
    for op in ops:
        kind = type(op)
        by_kind[OpenHold if kind is CloseHold else kind].append(op)
    for kind, write in _WRITERS:
        if found := by_kind.get(kind):
            write(db, found)


def _accounts(db: apsw.Connection, ops: list[AddAccount]) -> None:
    db.executemany(_ACCOUNT, [(op.id, op.name, op.allow_debt) for op in ops])


def _prices(db: apsw.Connection, ops: list[AddPrice]) -> None:
    rows = [(op.id, op.host, op.model, op.source, op.body, op.digest, op.effective_from) for op in ops]
    db.executemany(_PRICE, rows)


def _chains(db: apsw.Connection, ops: list[AddChain]) -> None:
    db.executemany(_CHAIN, [(op.id, _encode(op.nodes).decode(), op.payer) for op in ops])


def _held(db: apsw.Connection, ops: list[OpenHold | CloseHold]) -> None:
    """Holds that are opened, closed, or both within the batch, as most are: these are one insert."""
    closing = {op.id: op for op in ops if type(op) is CloseHold}
    opened, whole = [], []
    for op in ops:
        if type(op) is OpenHold:
            close = closing.pop(op.id, None)
            if close is None:
                opened.append(astuple(op))
            else:
                whole.append((*astuple(op)[:-1], *_close_row(close)))
    _OPEN.run(db, opened)
    _WHOLE.run(db, whole)
    if closing:
        before = db.total_changes()
        db.executemany(_CLOSE, [(*_close_row(op), op.id) for op in closing.values()])
        if db.total_changes() - before != len(closing):
            raise apsw.ConstraintError("a hold that is to be resolved is not there")


def _close_row(op: CloseHold) -> tuple[Any, ...]:
    attempts = _encode(op.attempts).decode() if op.attempts else "[]"
    return (
        *(op.state, op.closed_at, op.charge, op.target, op.price),
        *astuple(op.usage or _NOTHING),
        *(op.interrupted, op.clipped, attempts, op.safety),
    )


def _progressed(db: apsw.Connection, ops: list[MarkProgress]) -> None:
    db.executemany(_PROGRESS, [(op.output_tokens, op.prompt_tokens, op.price, op.target, op.id) for op in ops])


def _posted(db: apsw.Connection, ops: list[Post]) -> None:
    txs, entries = [], []
    sums: defaultdict[int, int] = defaultdict(int)
    for op in ops:
        txs.append((op.id, op.kind, op.at, op.hold, op.actor, op.reason, op.source, op.external_id, op.reverses))
        for account, amount in op.entries:
            entries.append((op.id, account, amount))
            sums[account] += amount
    _TX.run(db, txs)
    _ENTRY.run(db, entries)
    db.executemany(_POSTED, [(amount, account) for account, amount in sums.items()])


def _spent(db: apsw.Connection, ops: list[Spend]) -> None:
    windows: defaultdict[tuple[int, int], int] = defaultdict(int)
    used: defaultdict[tuple[int, int, str, str], list[tuple[int, ...]]] = defaultdict(list)
    for op in ops:
        amount, close = op.amount, op.close
        for place in op.windows:
            windows[place] += amount
        usage = close.usage if close is not None else None
        used[op.day, op.key, op.target, op.kind].append((close is not None, *astuple(usage or _NOTHING), amount))
    _SPEND.run(db, [(*place, amount) for place, amount in windows.items()])
    _USAGE.run(db, [(*place, *map(sum, zip(*rows, strict=True))) for place, rows in used.items()])


def _found(db: apsw.Connection, ops: list[CountFindings]) -> None:
    counts: defaultdict[tuple[Any, ...], int] = defaultdict(int)
    for op in ops:
        for row in op.rows:
            counts[op.day, op.key, *row] += 1
    _FOUND.run(db, [(*place, count) for place, count in counts.items()])


_WRITERS: tuple[tuple[type, Callable[[apsw.Connection, list[Any]], None]], ...] = (
    (AddAccount, _accounts),
    (AddPrice, _prices),
    (AddChain, _chains),
    (OpenHold, _held),
    (MarkProgress, _progressed),
    (Post, _posted),
    (Spend, _spent),
    (CountFindings, _found),
)
