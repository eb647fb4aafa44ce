"""Every charge, reversal and cost against its hold: `Charges`.

A hold with a charge has one movement of kind ``charge``, from the payer's account to revenue. Each such movement is
compared with its hold as the walk comes by; that every hold has one follows from there being as many of them, and no
two of one hold.
"""

from collections.abc import Iterator

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span
from tollhouse.stores.reader import Reader

CHARGED = Check("I5", "one charge", "a charge is of one closed hold and moves exactly its charge, once")
COUNTED = Check("I10", "no free success", "every hold with a charge has its movement")
COSTS = Check("I12", "costs of failures", "what failed attempts cost is entered, and nowhere charged")
REVERSED = Check("I5", "reversals", "a reversal undoes one charge, once and not beyond it")

_WRONG_CHARGE = """
    SELECT tx.id, 'hold ' || coalesce(hold.id, 'NULL') || ' ' || coalesce(hold.state, '') || ' charge '
        || coalesce(hold.charge, 'NULL') || ', from the payer ' || coalesce(paid.amount, 'NULL')
        || ', to revenue ' || coalesce(got.amount, 'NULL')
    FROM tx
    LEFT JOIN hold ON hold.id = tx.hold
    LEFT JOIN temp.purse ON purse.node = hold.payer
    LEFT JOIN entry AS paid ON paid.tx = tx.id AND paid.account = purse.account
    LEFT JOIN entry AS got ON got.tx = tx.id AND got.account = (SELECT id FROM account WHERE name = 'sys:revenue')
    WHERE tx.id > ? AND tx.id <= ? AND tx.kind = 'charge' AND (
        hold.state IN ('settled', 'expired') AND hold.charge > 0 AND paid.amount = -hold.charge
        AND got.amount = hold.charge
    ) IS NOT TRUE
    ORDER BY tx.id LIMIT 1
"""
_EXTRA_ENTRIES = """
    SELECT entry.tx, count(*) || ' entries' FROM entry JOIN tx ON tx.id = entry.tx AND tx.kind IN ('charge', 'reversal')
    WHERE entry.tx > ? AND entry.tx <= ? GROUP BY entry.tx HAVING count(*) <> 2 ORDER BY entry.tx LIMIT 1
"""
_WRONG_REVERSAL = """
    SELECT tx.id, 'of movement ' || coalesce(tx.reverses, 'NULL') || ', to the payer ' || coalesce(back.amount, 'NULL')
        || ', charged ' || coalesce(hold.charge, 'NULL')
    FROM tx
    LEFT JOIN hold ON hold.id = tx.hold
    LEFT JOIN tx AS charge ON charge.hold = tx.hold AND charge.kind = 'charge' AND charge.id = tx.reverses
    LEFT JOIN temp.purse ON purse.node = hold.payer
    LEFT JOIN entry AS back ON back.tx = tx.id AND back.account = purse.account
    LEFT JOIN entry AS given ON given.tx = tx.id AND given.account = (SELECT id FROM account WHERE name = 'sys:revenue')
    WHERE tx.id > ? AND tx.id <= ? AND tx.kind = 'reversal' AND (
        charge.id IS NOT NULL AND back.amount BETWEEN 1 AND hold.charge AND given.amount = -back.amount
    ) IS NOT TRUE
    ORDER BY tx.id LIMIT 1
"""
_WRONG_COST = """
    SELECT hold.id, 'attempts cost ' || hold.costs || ', entered ' || coalesce((
        SELECT sum(entry.amount) FROM tx JOIN entry ON entry.tx = tx.id JOIN account ON account.id = entry.account
        WHERE tx.hold = hold.id AND tx.kind = 'cost' AND account.name LIKE 'provider:%:cost'
    ), 0) AS found
    FROM (
        SELECT id, (SELECT coalesce(sum(value ->> 'cost_nusd'), 0) FROM json_each(attempts)) AS costs FROM hold
        WHERE id > ? AND id <= ? AND json_valid(attempts) AND (
            instr(attempts, 'cost_nusd') OR id IN (SELECT hold FROM temp.cost)
        )
    ) AS hold
    WHERE found <> 'attempts cost ' || hold.costs || ', entered ' || hold.costs
    ORDER BY hold.id LIMIT 1
"""
_UNPAID = """
    SELECT hold.id, 'charge ' || hold.charge || ', no movement'
    FROM hold LEFT JOIN tx ON tx.hold = hold.id AND tx.kind = 'charge'
    WHERE hold.charge > 0 AND tx.id IS NULL ORDER BY hold.id LIMIT 1
"""
_TWICE = """
    SELECT max(id), count(*) || ' of kind ' || kind || ' for hold ' || hold FROM tx
    WHERE hold IS NOT NULL GROUP BY hold, kind HAVING count(*) > 1 ORDER BY max(id) LIMIT 1
"""

_COSTS = "CREATE TEMP TABLE cost AS SELECT hold FROM tx WHERE kind = 'cost'"
_COUNT_CHARGES = "SELECT coalesce(sum(kind = 'charge'), 0) FROM tx WHERE id > ? AND id <= ?"
_COUNT_CHARGED = "SELECT coalesce(sum(charge > 0), 0) FROM hold WHERE id > ? AND id <= ?"
_UNIQUE = "SELECT 1 FROM sqlite_schema WHERE name = 'tx_of_hold' AND sql LIKE 'CREATE UNIQUE INDEX%'"


class Charges(Part):
    """Movements of holds."""

    checks = (CHARGED, COUNTED, COSTS, REVERSED)

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._charged = self._charges = 0

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        self.reader.run(_COSTS)
        self.reader.run("CREATE INDEX temp.cost_of_hold ON cost (hold)")
        return iter(())

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        self._charged += self._count(_COUNT_CHARGED, span)
        yield from self.first(COSTS, "hold", _WRONG_COST, "the costs of its attempts", span)

    def postings(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        self._charges += self._count(_COUNT_CHARGES, span)
        yield from self.first(CHARGED, "tx", _WRONG_CHARGE, "the charge of a settled or expired hold", span)
        yield from self.first(CHARGED, "tx", _EXTRA_ENTRIES, "2 entries", span)
        yield from self.first(REVERSED, "tx", _WRONG_REVERSAL, "at most the charge, of the same hold", span)

    def end(self) -> Iterator[Finding]:
        """See `Part`."""
        if self._charges == self._charged and self.reader.row(_UNIQUE) is not None:
            return
        yield from self.first(COUNTED, "hold", _UNPAID, "one movement of kind charge")
        yield from self.first(CHARGED, "tx", _TWICE, "one of a kind for each hold")

    def _count(self, query: str, span: Span) -> int:
        row = self.reader.row(query, (span.low, span.high))
        return int(row[0]) if row is not None else 0
