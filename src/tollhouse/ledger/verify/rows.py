"""What one row must say by itself: `Rows` finds the first hold and the first movement that does not."""

from collections.abc import Iterator
from dataclasses import dataclass

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span
from tollhouse.stores.reader import Reader

SANE = Check("I20", "sane numbers", "every count and amount is an integer within its range")
WITHIN = Check("I7", "charge within hold", "nobody is charged more than was held")
NOTHING = Check("I9", "nothing for nothing", "what delivered nothing costs nothing")
STATES = Check("I5", "states of a hold", "a hold is open, or was closed once with all that belongs to it")
LEFT_OPEN = Check("I6", "resolved in time", "no hold stays open longer than a request can take")
ATTEMPTS = Check("I12", "one answer", "a request is charged for at most one of its attempts")
MOVEMENTS = Check("I28", "accounted for", "what an operator moves names who did it and why, and is in the audit")

_TOKENS = (
    *("input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning", "input_audio", "output_audio"),
    *("images", "input_bound", "progress"),
)
_LARGEST = 10**18
_ONE_ANSWER = """
    CASE WHEN json_valid(attempts) AND json_type(attempts) = 'array' AND json_array_length(attempts) > 1
        THEN (SELECT count(*) FROM json_each(attempts) WHERE value ->> 'outcome' = 'ok') < 2 ELSE 1 END
"""
_LIST = "CASE WHEN json_valid(attempts) THEN json_type(attempts) = 'array' END"


@dataclass(frozen=True, slots=True)
class Rule:
    """``must`` is an SQL condition, true of every row of a table; ``shows`` are the columns that tell why it is not."""

    check: Check
    must: str
    expected: str
    shows: tuple[str, ...]

    def query(self, table: str) -> str:
        """The first row of a span that breaks the rule."""
        shown = " || ', ' || ".join(f"'{name} ' || coalesce({name}, 'NULL')" for name in self.shows)
        where = f"id > ? AND id <= ? AND ({self.must}) IS NOT TRUE"
        return f"SELECT id, {shown} FROM {table} WHERE {where} ORDER BY id LIMIT 1"  # noqa: S608 - constants of this file


def _between(name: str, least: int, most: int) -> Rule:
    return Rule(SANE, f"{name} BETWEEN {least} AND {most}", f"{name} from {least} to {most}", (name,))


HOLD_RULES = (
    *(_between(name, 0, 2**31) for name in _TOKENS),
    *(_between(name, 0, _LARGEST) for name in ("amount", "charge", "clipped")),
    *(_between(name, 0, 1) for name in ("estimated", "interrupted")),
    _between("opened_at", 0, 1 << 60),
    Rule(SANE, _LIST, "attempts: a list", ("attempts",)),
    Rule(
        ATTEMPTS,
        _ONE_ANSWER,
        "at most one attempt that ended well",
        ("attempts",),
    ),
    Rule(WITHIN, "charge <= amount", "charge <= amount", ("charge", "amount")),
    Rule(WITHIN, "clipped = 0 OR charge = amount", "all of the hold charged before anything is clipped", ("charge",)),
    Rule(NOTHING, "state <> 'released' OR (charge = 0 AND clipped = 0)", "released: charge 0", ("charge", "clipped")),
    Rule(STATES, "state IN ('open', 'settled', 'released', 'expired')", "a state that there is", ("state",)),
    Rule(STATES, "(state = 'open') = (closed_at IS NULL)", "a time of closing unless open", ("state", "closed_at")),
    Rule(STATES, "state <> 'open' OR (charge = 0 AND clipped = 0)", "open: charge 0", ("charge", "clipped")),
    Rule(STATES, "state NOT IN ('settled', 'expired') OR target <> ''", "the target that answered", ("state",)),
)
MOVEMENT_RULES = (
    Rule(SANE, "at >= 0", "a time", ("at",)),
    Rule(
        STATES,
        "(kind IN ('cost', 'reversal')) = (hold IS NOT NULL)",
        "a hold for costs and reversals, and for nothing else",
        ("kind", "hold"),
    ),
    Rule(
        MOVEMENTS,
        "kind NOT IN ('grant', 'refund', 'adjustment', 'writeoff') OR actor <> '' AND (kind = 'grant' OR reason <> '')",
        "an actor, and a reason unless it is a grant",
        ("kind", "actor", "reason"),
    ),
    Rule(
        MOVEMENTS,
        "kind <> 'topup' OR (source IS NOT NULL AND external_id IS NOT NULL)",
        "the payment's source and id",
        ("kind", "source", "external_id"),
    ),
)


def _sieve(table: str, rules: tuple[Rule, ...]) -> str:
    """Whether any row of a span breaks any rule: one look at each row for all of them."""
    every = " AND ".join(f"({rule.must})" for rule in rules)
    return f"SELECT 1 FROM {table} WHERE id > ? AND id <= ? AND ({every}) IS NOT TRUE LIMIT 1"  # noqa: S608 - as above


class Rows(Part):
    """Rows by themselves."""

    checks = (SANE, WITHIN, NOTHING, STATES, ATTEMPTS, MOVEMENTS)
    _tables = (("hold", HOLD_RULES), ("movement", MOVEMENT_RULES))
    _sieves = tuple(_sieve(*one) for one in _tables)

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        return self._sift(0, span)

    def movements(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        return self._sift(1, span)

    def _sift(self, place: int, span: Span) -> Iterator[Finding]:
        if self.reader.row(self._sieves[place], (span.low, span.high)) is None:
            return
        table, rules = self._tables[place]
        for rule in rules:
            yield from self.first(rule.check, table, rule.query(table), rule.expected, span)


class Open(Part):
    """Holds that are open."""

    checks = (LEFT_OPEN,)

    def __init__(self, reader: Reader, before_us: int) -> None:
        super().__init__(reader)
        self._before_us = before_us

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        query = "SELECT id, opened_at FROM hold WHERE state = 'open' AND opened_at < ? ORDER BY id LIMIT 1"
        row = self.reader.row(query, (self._before_us,))
        if row is not None:
            expected = f"open since {self._before_us} or later"
            yield Finding(LEFT_OPEN, "hold", str(row[0]), expected, f"open since {row[1]}")
