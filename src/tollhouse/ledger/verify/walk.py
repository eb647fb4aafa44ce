"""How the checks go over the big tables: in spans of primary keys, each small enough to be sorted and kept in memory.

Every part sees the same spans in the same order, so that a span's pages are read once. The spans of a table touch and
cover every integer, also beyond its first and last key: a row that refers to a key that is not there is in some span.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.stores.reader import Reader

SPAN_ROWS = 50_000
_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_SIZES = "SELECT count(*) FROM hold UNION ALL SELECT count(*) FROM movement"
NEXT_HOLD = "SELECT id FROM hold WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"
NEXT_MOVEMENT = "SELECT id FROM movement WHERE id > ? ORDER BY id LIMIT 1 OFFSET ?"


@dataclass(frozen=True, slots=True)
class Span:
    """Keys above ``low``, up to and with ``high``."""

    low: int
    high: int


class Part:
    """Some checks that are made together. A subclass overrides what it looks at."""

    checks: ClassVar[tuple[Check, ...]] = ()

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def begin(self) -> Iterator[Finding]:
        """Before the walk: small tables, and what is needed later."""
        return iter(())

    def holds(self, span: Span) -> Iterator[Finding]:
        """Looks at a span of ``hold``, and of ``charge`` by its ``hold``. All of them come before the first of
        `movements`.
        """
        del span
        return iter(())

    def movements(self, span: Span) -> Iterator[Finding]:
        """Looks at a span of ``movement``, and of ``posting`` by its ``movement``."""
        del span
        return iter(())

    def end(self) -> Iterator[Finding]:
        """After the walk: compares what was added up."""
        return iter(())

    def first(self, check: Check, table: str, sql: str, expected: str, span: Span | None = None) -> Iterator[Finding]:
        """The first row of a query, as a finding: its first column is the key, the second what was found."""
        row = self.reader.row(sql, (span.low, span.high) if span is not None else None)
        if row is not None:
            yield Finding(check, table, str(row[0]), expected, str(row[1]))


def spans(reader: Reader, query: str, rows: int) -> Iterator[Span]:
    """The spans of a table with about ``rows`` rows each."""
    low = _LEAST
    while (row := reader.row(query, (low, rows - 1))) is not None:
        yield Span(low, row[0])
        low = row[0]
    yield Span(low, _MOST)


def walk(reader: Reader, parts: list[Part], progress: Callable[[float], None]) -> Iterator[Finding]:
    """Every finding of every part. ``progress`` is told what share of the way is done."""
    for part in parts:
        yield from part.begin()
    done, rows = 0, sum(count for (count,) in reader.rows(_SIZES))
    for table, query in (("hold", NEXT_HOLD), ("movement", NEXT_MOVEMENT)):
        for span in spans(reader, query, SPAN_ROWS):
            for part in parts:
                yield from part.holds(span) if table == "hold" else part.movements(span)
            done += SPAN_ROWS
            progress(min(1.0, done / max(rows, 1)))
    for part in parts:
        yield from part.end()
