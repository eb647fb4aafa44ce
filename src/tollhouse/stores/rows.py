"""Inserts of many rows in few statements. Called by `stores.batches` on the writer thread.

Each statement that runs lets go of the interpreter's lock and has to ask for it again, from an event loop that is busy:
that costs more than writing a row does. So rows go in together, as many as there are, in statements of 32, 16, 8, 4, 2
and 1. Their texts are few, so that SQLite compiles each once.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import apsw

_SIZES = (32, 16, 8, 4, 2, 1)
_Row = Sequence[Any]


class Insert:
    """``INSERT INTO`` a table, of any number of rows. ``conflict`` is the clause behind the values."""

    __slots__ = ("_statements",)

    def __init__(self, table: str, columns: Sequence[str], conflict: str = "") -> None:
        row = f"({','.join('?' * len(columns))})"
        head = f"INSERT INTO {table} ({','.join(columns)}) VALUES "  # noqa: S608 - our names
        self._statements = tuple([(size, head + ",".join([row] * size) + conflict) for size in _SIZES])

    def run(self, db: apsw.Connection, rows: Sequence[_Row]) -> None:
        """Inserts the rows in their order. Raises what apsw does."""
        at, left = 0, len(rows)
        for size, statement in self._statements:
            while left >= size:
                db.execute(statement, tuple(chain.from_iterable(rows[at : at + size])))
                at += size
                left -= size
