"""Inserts of many rows in few statements. Called by `stores.batches` on the writer thread.

Each statement that runs lets go of the interpreter's lock and has to ask for it again, from an event loop that is busy:
that costs more than writing a row does. So rows go in together, as many as there are: up to 40 in at most two
statements. The texts are few, so that SQLite compiles each once (`stores.sqlite` keeps them all).
"""

from collections.abc import Sequence
from typing import Any, Final

import apsw

_SIZES: Final = (64, 48, 32, 28, 24, 20, 16, 12, 8, 7, 6, 5, 4, 3, 2, 1)


class Insert:
    """``INSERT INTO`` a table, of any number of rows. ``conflict`` is the clause behind the values."""

    __slots__ = ("_statements",)

    def __init__(self, table: str, columns: Sequence[str], conflict: str = "") -> None:
        width = len(columns)
        row = f"({','.join('?' * width)})"
        head = f"INSERT INTO {table} ({','.join(columns)}) VALUES "  # noqa: S608 - our names
        self._statements: list[tuple[int, str]] = [
            (size * width, head + ",".join([row] * size) + conflict) for size in _SIZES
        ]
        """How many values each takes, and its text."""

    def run(self, db: apsw.Connection, values: list[Any]) -> None:
        """Inserts the rows whose values these are, row after row, in their order. Raises what apsw does."""
        at, end = 0, len(values)
        for size, statement in self._statements:
            while end - at >= size:
                db.execute(statement, values if size == end else values[at : at + size])
                at += size
