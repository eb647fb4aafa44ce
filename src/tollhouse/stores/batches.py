"""Writes a batch of ledger operations into an open transaction. Called by `stores.sqlite` on the writer thread.

Operations of one kind go in together (`stores.rows`), in an order in which no row comes before what it refers to; sums
that many operations touch (an account's balance, a day's usage) are added up first and written once. That is what makes
a commit of many requests cheap.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

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
    Charge,
    CloseHold,
    CountFindings,
    MarkProgress,
    Op,
    OpenHold,
    Post,
    Spend,
)

Group = tuple[Op | Call, ...]

_Ops = dict[type, list[Any]]
"""Operations by their kind, those of each in their order."""

_USAGE_CLASSES: Final = Usage.__struct_fields__
"""The columns of usage are named as its fields, and stand in their order."""
_OPENED: Final = OpenHold.__struct_fields__
"""So are those of a hold that is opened; the last, its price, is the closing row's own where both come together."""
_ENDED: Final = ("state", "closed_at", "charge", "target", "price")
"""So are these of `CloseHold`, from its second on."""
_CLOSED: Final = (*_ENDED, *_USAGE_CLASSES, "interrupted", "clipped", "attempts", "safety")
_OPEN: Final = Insert("hold", _OPENED)
_WHOLE: Final = Insert("hold", (*_OPENED[:-1], *_CLOSED))
_PLAIN: Final = Insert("hold", (*_OPENED[:-1], *_ENDED, "input", "output", "attempts"))
"""A hold of whose end the other columns have their defaults, as of most."""
_PROGRESS: Final = "UPDATE hold SET progress = ?, input = ?, price = ?, target = ? WHERE id = ? AND state = 'open'"
_CLOSE: Final = f"UPDATE hold SET {', '.join(f'{name} = ?' for name in _CLOSED)} WHERE id = ?"  # noqa: S608 - our names
_CHARGE: Final = Insert("charge", Charge.__struct_fields__)
_MOVEMENT: Final = Insert("movement", [name for name in Post.__struct_fields__ if name != "entries"])
"""Its columns are named as the fields too; the entries, the fourth, have rows of their own."""
_POSTING: Final = Insert("posting", ("movement", "account", "amount"))
_POSTED: Final = "UPDATE account SET posted = posted + ? WHERE id = ?"
_SPEND: Final = Insert(
    "spend", ("node", "window_start", "amount"), " ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
)
_USED: Final = ("requests", *_USAGE_CLASSES, "charge")
_USAGE: Final = Insert(
    "usage_day",
    ("day", "key", "target", "kind", *_USED),
    f" ON CONFLICT DO UPDATE SET {', '.join(f'{name} = {name} + excluded.{name}' for name in _USED)}",
)
_FOUND: Final = Insert(
    "safety_day",
    ("day", "key", "side", "category", "level", "filtered", "requests"),
    " ON CONFLICT DO UPDATE SET requests = requests + excluded.requests",
)
_ACCOUNT: Final = "INSERT INTO account (id, name, allow_debt) VALUES (?, ?, ?)"
_PRICE: Final = (
    "INSERT INTO price (id, host, model, source, body, digest, effective_from) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (digest) DO NOTHING"
)
_CHAIN: Final = "INSERT INTO chain (id, nodes, payer) VALUES (?, ?, ?)"
_INPUT: Final = _USAGE_CLASSES.index("input")
_OUTPUT: Final = _USAGE_CLASSES.index("output")
_NOTHING: Final = Usage()
_NO_USAGE: Final = astuple(_NOTHING)
_encode: Final = msgspec.json.Encoder().encode


def write_groups(db: apsw.Connection, groups: Iterable[Group]) -> None:
    """Writes groups in their order. A `Call` runs after all that was appended before it. Raises what apsw does."""
    ops: _Ops = {}
    for group in groups:
        for op in group:
            kind = type(op)
            if kind is Call:
                _write(db, ops)
                ops = {}
                run_call(db, op)  # type: ignore[arg-type]  # as its type says
                continue
            found = ops.get(kind)
            if found is None:
                ops[kind] = [op]
            else:
                found.append(op)
    _write(db, ops)


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


def _write(db: apsw.Connection, ops: _Ops) -> None:
    """Each kind in its turn: no row comes before what it refers to."""
    for kind, write in _BEFORE_HOLDS:
        if kind in ops:
            write(db, ops[kind])
    _held(db, ops.get(OpenHold, []), ops.get(CloseHold, []))
    for kind, write in _AFTER_HOLDS:
        if kind in ops:
            write(db, ops[kind])


def _accounts(db: apsw.Connection, ops: list[AddAccount]) -> None:
    db.executemany(_ACCOUNT, [(op.id, op.name, op.allow_debt) for op in ops])


def _prices(db: apsw.Connection, ops: list[AddPrice]) -> None:
    rows = [(op.id, op.host, op.model, op.source, op.body, op.digest, op.effective_from) for op in ops]
    db.executemany(_PRICE, rows)


def _chains(db: apsw.Connection, ops: list[AddChain]) -> None:
    db.executemany(_CHAIN, [(op.id, _encode(op.nodes).decode(), op.payer) for op in ops])


def _held(db: apsw.Connection, opens: list[OpenHold], closes: list[CloseHold]) -> None:
    """Holds that are opened, closed, or both within the batch, as most are: these are one insert."""
    closing: dict[int, CloseHold] = {op.id: op for op in closes}
    opened: list[Any] = []
    plain: list[Any] = []
    whole: list[Any] = []
    for op in opens:
        values = astuple(op)
        close = closing.pop(op.id, None)
        if close is None:
            opened.extend(values)
            continue
        ended, usage, rest = _end(close)
        if _is_plain(close):
            rows, rest = plain, (usage[_INPUT], usage[_OUTPUT], rest[2])
        else:
            rows, rest = whole, usage + rest
        rows.extend(values[:-1])
        rows.extend(ended)
        rows.extend(rest)
    _OPEN.run(db, opened)
    _PLAIN.run(db, plain)
    _WHOLE.run(db, whole)
    if closing:
        _close(db, list(closing.values()))


def _is_plain(op: CloseHold) -> bool:
    """Whether all that `_PLAIN` leaves out has its default."""
    usage = op.usage or _NOTHING
    return usage == Usage(input=usage.input, output=usage.output) and not (op.interrupted or op.clipped or op.safety)


def _end(op: CloseHold) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """The values of `_CLOSED`: before those of usage, of usage, and after them."""
    values = astuple(op)
    attempts = _encode(op.attempts).decode() if op.attempts else "[]"
    return values[1:6], astuple(op.usage or _NOTHING), (values[7], values[8], attempts, values[10])


def _close(db: apsw.Connection, ops: list[CloseHold]) -> None:
    """Holds that were opened by a batch before."""
    before = db.total_changes()
    rows = []
    for op in ops:
        ended, usage, rest = _end(op)
        rows.append(ended + usage + rest + (op.id,))
    db.executemany(_CLOSE, rows)
    if db.total_changes() - before != len(ops):
        raise apsw.ConstraintError("a hold that is to be resolved is not there")


def _progressed(db: apsw.Connection, ops: list[MarkProgress]) -> None:
    db.executemany(_PROGRESS, [(op.output_tokens, op.prompt_tokens, op.price, op.target, op.id) for op in ops])


def _charged(db: apsw.Connection, ops: list[Charge]) -> None:
    rows: list[Any] = []
    sums: dict[int, int] = {}
    for op in ops:
        values = astuple(op)
        rows.extend(values)
        debit, credit, amount = values[2:]
        sums[debit] = sums.get(debit, 0) - amount
        sums[credit] = sums.get(credit, 0) + amount
    _CHARGE.run(db, rows)
    _balance(db, sums)


def _posted(db: apsw.Connection, ops: list[Post]) -> None:
    movements: list[Any] = []
    postings: list[Any] = []
    sums: dict[int, int] = {}
    for op in ops:
        values = astuple(op)
        movements.extend(values[:3])
        movements.extend(values[4:])
        for account, amount in op.entries:
            postings.extend((op.id, account, amount))
            sums[account] = sums.get(account, 0) + amount
    _MOVEMENT.run(db, movements)
    _POSTING.run(db, postings)
    _balance(db, sums)


def _balance(db: apsw.Connection, sums: dict[int, int]) -> None:
    """Moves the balances of accounts by so much."""
    db.executemany(_POSTED, [(amount, account) for account, amount in sums.items()])


class _Line:
    """What a line of ``usage_day`` grows by."""

    __slots__ = ("charge", "requests", "usages")

    def __init__(self) -> None:
        self.requests = 0
        self.usages: list[tuple[int, ...]] = []
        self.charge = 0


def _spent(db: apsw.Connection, ops: list[Spend]) -> None:
    spent: dict[tuple[tuple[int, int], ...], int] = {}
    lines: dict[tuple[Any, ...], _Line] = {}
    for op in ops:
        values = astuple(op)
        amount: int = values[0]
        spent[values[1]] = spent.get(values[1], 0) + amount
        place = values[2:6]
        line = lines.get(place)
        if line is None:
            line = lines[place] = _Line()
        line.charge += amount
        if op.close is not None:
            line.requests += 1
            line.usages.append(astuple(op.close.usage or _NOTHING))
    sums: dict[tuple[int, int], int] = {}
    for windows, amount in spent.items():  # many requests have the same windows
        for window in windows:
            sums[window] = sums.get(window, 0) + amount
    rows: list[Any] = []
    for window, amount in sums.items():
        rows.extend((*window, amount))
    _SPEND.run(db, rows)
    rows = []
    for place, line in lines.items():
        usage = [sum(column) for column in zip(*(line.usages or [_NO_USAGE]), strict=True)]
        rows.extend((*place, line.requests, *usage, line.charge))
    _USAGE.run(db, rows)


def _found(db: apsw.Connection, ops: list[CountFindings]) -> None:
    counts: dict[tuple[Any, ...], int] = {}
    for op in ops:
        for row in op.rows:
            place = (op.day, op.key, *row)
            counts[place] = counts.get(place, 0) + 1
    values: list[Any] = []
    for place, count in counts.items():
        values += (*place, count)
    _FOUND.run(db, values)


_Writers = tuple[tuple[type, Callable[[apsw.Connection, list[Any]], None]], ...]
_BEFORE_HOLDS: Final[_Writers] = ((AddAccount, _accounts), (AddPrice, _prices), (AddChain, _chains))
_AFTER_HOLDS: Final[_Writers] = (
    *((MarkProgress, _progressed), (Charge, _charged), (Post, _posted)),
    *((Spend, _spent), (CountFindings, _found)),
)
