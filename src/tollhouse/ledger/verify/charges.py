"""Every charge, reversal and cost against its hold: `Charges`.

A hold that cost something has one charge, under its own number, from the payer's account to revenue. Each is compared
with its hold as the walk comes by; that every such hold has one follows from there being as many of them.
"""

from collections.abc import Iterator

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span

CHARGED = Check("I5", "one charge", "a charge is of one closed hold and moves exactly its charge, once")
COUNTED = Check("I10", "no free success", "every hold that cost something has its charge")
COSTS = Check("I12", "costs of failures", "what failed attempts cost is entered, and nowhere charged")
REVERSED = Check("I5", "reversals", "a reversal undoes one charge, once and not beyond it")

_WRONG_CHARGE = """
    SELECT charge.hold, 'hold ' || coalesce(hold.state, 'NULL') || ' charge ' || coalesce(hold.charge, 'NULL')
        || ', ' || charge.amount || ' from account ' || charge.debit || ' to ' || charge.credit
    FROM charge LEFT JOIN hold ON hold.id = charge.hold LEFT JOIN temp.purse ON purse.node = hold.payer
    WHERE charge.hold > ? AND charge.hold <= ? AND (
        hold.state IN ('settled', 'expired') AND hold.charge > 0 AND charge.amount = hold.charge
        AND charge.debit = purse.account AND charge.credit = (SELECT id FROM account WHERE name = 'sys:revenue')
    ) IS NOT TRUE
    ORDER BY charge.hold LIMIT 1
"""
_UNPAID = """
    SELECT hold.id, 'charge ' || hold.charge || ', not entered' FROM hold LEFT JOIN charge ON charge.hold = hold.id
    WHERE hold.id > ? AND hold.id <= ? AND hold.charge > 0 AND charge.hold IS NULL ORDER BY hold.id LIMIT 1
"""
_EXTRA_POSTINGS = """
    SELECT id, (SELECT count(*) FROM posting WHERE movement = id) || ' entries' AS found FROM movement
    WHERE id > ? AND id <= ? AND kind = 'reversal' AND found <> '2 entries' ORDER BY id LIMIT 1
"""
_WRONG_REVERSAL = """
    SELECT movement.id, 'of hold ' || coalesce(movement.hold, 'NULL') || ', to the payer '
        || coalesce(back.amount, 'NULL') || ', charged ' || coalesce(charge.amount, 'NULL')
    FROM movement
    LEFT JOIN hold ON hold.id = movement.hold
    LEFT JOIN charge ON charge.hold = movement.hold
    LEFT JOIN temp.purse ON purse.node = hold.payer
    LEFT JOIN posting AS back ON back.movement = movement.id AND back.account = purse.account
    LEFT JOIN posting AS given ON given.movement = movement.id
        AND given.account = (SELECT id FROM account WHERE name = 'sys:revenue')
    WHERE movement.id > ? AND movement.id <= ? AND movement.kind = 'reversal' AND (
        back.amount BETWEEN 1 AND charge.amount AND given.amount = -back.amount
    ) IS NOT TRUE
    ORDER BY movement.id LIMIT 1
"""
_WRONG_COST = """
    SELECT hold.id, 'attempts cost ' || hold.costs || ', entered ' || coalesce((
        SELECT sum(posting.amount) FROM movement JOIN posting ON posting.movement = movement.id
            JOIN account ON account.id = posting.account
        WHERE movement.hold = hold.id AND movement.kind = 'cost' AND account.name LIKE 'provider:%:cost'
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
_TWICE = """
    SELECT max(id), count(*) || ' of kind ' || kind || ' for hold ' || hold FROM movement
    WHERE hold IS NOT NULL GROUP BY hold, kind HAVING count(*) > 1 ORDER BY max(id) LIMIT 1
"""

_COSTS = "CREATE TEMP TABLE cost AS SELECT hold FROM movement WHERE kind = 'cost'"
_COUNT_CHARGES = "SELECT count(*) FROM charge WHERE hold > ? AND hold <= ?"
_COUNT_CHARGED = "SELECT coalesce(sum(charge > 0), 0) FROM hold WHERE id > ? AND id <= ?"


class Charges(Part):
    """Charges, and movements of holds."""

    checks = (CHARGED, COUNTED, COSTS, REVERSED)

    def begin(self) -> Iterator[Finding]:
        """See `Part`."""
        self.reader.run(_COSTS)
        self.reader.run("CREATE INDEX temp.cost_of_hold ON cost (hold)")
        return iter(())

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        keys = (span.low, span.high)
        yield from self.first(CHARGED, "charge", _WRONG_CHARGE, "the charge of a settled or expired hold", span)
        if self.reader.row(_COUNT_CHARGES, keys) != self.reader.row(_COUNT_CHARGED, keys):
            yield from self.first(COUNTED, "hold", _UNPAID, "a charge of its number", span)
        yield from self.first(COSTS, "hold", _WRONG_COST, "the costs of its attempts", span)

    def movements(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        yield from self.first(REVERSED, "movement", _EXTRA_POSTINGS, "2 entries", span)
        yield from self.first(REVERSED, "movement", _WRONG_REVERSAL, "at most the charge, of the same hold", span)

    def end(self) -> Iterator[Finding]:
        """See `Part`."""
        return self.first(REVERSED, "movement", _TWICE, "one of a kind for each hold")
