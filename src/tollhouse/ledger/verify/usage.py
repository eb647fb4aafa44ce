"""The daily sums that clients are shown, three ways: what ``usage_day`` says, what the holds say, what was entered."""

from collections import defaultdict
from collections.abc import Iterator

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span
from tollhouse.stores.reader import Reader, Row

DAYS = Check("I25", "usage of a day", "a line of usage is the sum of its holds, less what was given back")
ENTERED = Check("I25", "three ways", "a key's day is the same in usage, holds and entries")

_COUNTED = (
    *("requests", "input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"),
    *("input_audio", "output_audio", "images", "estimated", "charge"),
)
_FROM_HOLDS = """
    SELECT opened_at / 86400000000 AS day, key, target, kind, count(*), sum(input), sum(cache_read), sum(cache_write),
        sum(cache_write_1h), sum(output), sum(reasoning), sum(input_audio), sum(output_audio), sum(images),
        sum(estimated), sum(charge)
    FROM hold WHERE id > ? AND id <= ? AND state IN ('settled', 'expired') GROUP BY day, key, target, kind
"""
_GIVEN_BACK = """
    SELECT hold.opened_at / 86400000000, hold.key, hold.target, hold.kind, sum(posting.amount)
    FROM movement JOIN hold ON hold.id = movement.hold JOIN posting ON posting.movement = movement.id
    WHERE movement.id > ? AND movement.id <= ? AND movement.kind = 'reversal' AND posting.amount > 0
    GROUP BY 1, 2, 3, 4
"""
_EARNED = """
    SELECT hold.opened_at / 86400000000, hold.key, sum(charge.amount) FROM charge JOIN hold ON hold.id = charge.hold
    WHERE charge.hold > ? AND charge.hold <= ? AND charge.credit = (SELECT id FROM account WHERE name = 'sys:revenue')
    GROUP BY 1, 2
"""
_RETURNED = """
    SELECT hold.opened_at / 86400000000, hold.key, sum(posting.amount)
    FROM movement JOIN hold ON hold.id = movement.hold JOIN posting ON posting.movement = movement.id
        AND posting.account = (SELECT id FROM account WHERE name = 'sys:revenue')
    WHERE movement.id > ? AND movement.id <= ? AND movement.kind = 'reversal' GROUP BY 1, 2
"""
_LINES = """
    SELECT day, key, target, kind, requests, input, cache_read, cache_write, cache_write_1h, output, reasoning,
        input_audio, output_audio, images, estimated, charge
    FROM usage_day ORDER BY day, key, target, kind
"""
Line = tuple[int, int, str, str]


class Usage(Part):
    """Days."""

    checks = (DAYS, ENTERED)

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._lines: dict[Line, list[int]] = {}
        self._entered: defaultdict[tuple[int, int], int] = defaultdict(int)

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        for row in self.reader.rows(_FROM_HOLDS, (span.low, span.high)):
            self._add(row[:4], row[4:])
        self._enter(_EARNED, span)
        return iter(())

    def movements(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        for *line, amount in self.reader.rows(_GIVEN_BACK, (span.low, span.high)):
            self._add(tuple(line), (*([0] * (len(_COUNTED) - 1)), -amount))
        self._enter(_RETURNED, span)
        return iter(())

    def _enter(self, query: str, span: Span) -> None:
        for day, key, amount in self.reader.rows(query, (span.low, span.high)):
            self._entered[day, key] += amount

    def _add(self, line: Row, counts: Row) -> None:
        known = self._lines.get((line[0], line[1], line[2], line[3]))
        if known is None:
            self._lines[line[0], line[1], line[2], line[3]] = list(counts)
        else:
            known[:] = [one + other for one, other in zip(known, counts, strict=True)]

    def end(self) -> Iterator[Finding]:
        """See `Part`."""
        shown: defaultdict[tuple[int, int], int] = defaultdict(int)
        for row in self.reader.rows(_LINES):
            counts = self._lines.pop(row[:4], None) or [0] * len(_COUNTED)
            shown[row[0], row[1]] += row[-1]
            for name, expected, found in zip(_COUNTED, counts, row[4:], strict=True):
                if expected != found:
                    yield Finding(DAYS, "usage_day", _named(row[:4]), f"{name} {expected}", f"{name} {found}")
        for line, counts in sorted(self._lines.items()):
            yield Finding(DAYS, "usage_day", _named(line), f"requests {counts[0]}, charge {counts[-1]}", "no line")
        for place in sorted(shown.keys() | self._entered.keys()):
            if shown[place] != self._entered[place]:
                where, entered = f"day {place[0]}, key {place[1]}", f"charge {self._entered[place]}, as entered"
                yield Finding(ENTERED, "usage_day", where, entered, f"charge {shown[place]}")


def _named(line: Row) -> str:
    """The key of a row of ``usage_day``."""
    return f"day {line[0]}, key {line[1]}, target {line[2]}, kind {line[3]}"
