"""Writes a batch of ledger operations into an open transaction. Called by `stores.sqlite` on the writer thread.

Operations of one kind go in one `executemany`, in an order in which no row comes before what it refers to; sums that
many operations touch (an account's balance, a day's usage) are added up first and written once. That is what makes a
commit of many requests cheap: about 5 us each.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import apsw
import msgspec

from tollhouse.stores.protocol import Call
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import (
    AddAccount,
    AddChain,
    AddPrice,
    CloseHold,
    MarkProgress,
    Op,
    OpenHold,
    Post,
    Spend,
)

Group = tuple[Op | Call, ...]

_OPENED = (*("id", "request_id", "key", "chain", "payer", "kind", "requested", "amount", "opened_at", "input_bound"),)
_CLOSED = (
    *("state", "closed_at", "charge", "target", "price", "input", "cache_read", "cache_write", "cache_write_1h"),
    *(
        "output",
        "reasoning",
        "input_audio",
        "output_audio",
        "images",
        "estimated",
        "interrupted",
        "clipped",
        "attempts",
    ),
)


def _insert(*columns: str) -> str:
    return f"INSERT INTO hold ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - our names


_OPEN = _insert(*_OPENED, "price")
_WHOLE = _insert(*_OPENED, *_CLOSED)
_PROGRESS = "UPDATE hold SET progress = ?, input = ?, price = ?, target = ? WHERE id = ? AND state = 'open'"
_CLOSE = f"UPDATE hold SET {', '.join(f'{name} = ?' for name in _CLOSED)} WHERE id = ?"  # noqa: S608 - our names
_TX = (
    "INSERT INTO tx (id, kind, at, hold, actor, reason, source, external_id, reverses)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_ENTRY = "INSERT INTO entry (tx, account, amount) VALUES (?, ?, ?)"
_POSTED = "UPDATE account SET posted = posted + ? WHERE id = ?"
_SPEND = (
    "INSERT INTO spend (node, window_start, amount) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
)
_USED = (
    *("requests", "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("input_audio", "output_audio", "images", "estimated", "charge"),
)
_USAGE = (
    f"INSERT INTO usage_day (day, key, target, kind, {', '.join(_USED)}) VALUES ({', '.join('?' * (len(_USED) + 4))})"  # noqa: S608 - names of our own
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _USED)}"
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
        if type(op) is not OpenHold:
            continue
        close = closing.pop(op.id, None)
        row = (
            *(op.id, op.request_id, op.key, op.chain, op.payer, op.kind, op.requested, op.amount, op.opened_at),
            op.input_bound,
        )
        if close is None:
            opened.append((*row, op.price))
        else:
            whole.append((*row, *_close_row(close)))
    db.executemany(_OPEN, opened)
    db.executemany(_WHOLE, whole)
    if closing:
        before = db.total_changes()
        db.executemany(_CLOSE, [(*_close_row(op), op.id) for op in closing.values()])
        if db.total_changes() - before != len(closing):
            raise apsw.ConstraintError("a hold that is to be resolved is not there")


def _close_row(op: CloseHold) -> tuple[Any, ...]:
    usage = op.usage or _NOTHING
    return (
        *(op.state, op.closed_at, op.charge, op.target, op.price, usage.input, usage.cache_read, usage.cache_write),
        *(usage.cache_write_1h, usage.output, usage.reasoning, usage.input_audio, usage.output_audio, usage.images),
        *(usage.estimated, op.interrupted, op.clipped, _encode(op.attempts).decode() if op.attempts else "[]"),
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
    db.executemany(_TX, txs)
    db.executemany(_ENTRY, entries)
    db.executemany(_POSTED, [(amount, account) for account, amount in sums.items()])


def _spent(db: apsw.Connection, ops: list[Spend]) -> None:
    windows: defaultdict[tuple[int, int], int] = defaultdict(int)
    used: defaultdict[tuple[int, int, str, str], list[int]] = defaultdict(lambda: [0] * len(_USED))
    for op in ops:
        for place in op.windows:
            windows[place] += op.amount
        line = used[op.day, op.key, op.target, op.kind]
        if (close := op.close) is not None:
            usage = close.usage or _NOTHING
            counts = (
                *(1, usage.input, usage.cache_read, usage.cache_write, usage.cache_write_1h, usage.output),
                *(usage.reasoning, usage.input_audio, usage.output_audio, usage.images, usage.estimated),
            )
            line[:-1] = [one + other for one, other in zip(line, counts, strict=False)]
        line[-1] += op.amount
    db.executemany(_SPEND, [(*place, amount) for place, amount in windows.items()])
    db.executemany(_USAGE, [(*place, *counts) for place, counts in used.items()])


_WRITERS: tuple[tuple[type, Callable[[apsw.Connection, list[Any]], None]], ...] = (
    (AddAccount, _accounts),
    (AddPrice, _prices),
    (AddChain, _chains),
    (OpenHold, _held),
    (MarkProgress, _progressed),
    (Post, _posted),
    (Spend, _spent),
)
