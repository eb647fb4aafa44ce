"""Conservation and balances: `Books`.

A charge is one row of one amount, so its two entries cannot but balance; every other movement has rows to be added up.

``temp.purse`` says whose money is in which account: the organisation's node and its account, ``org:`` and its id.
"""

from collections import defaultdict
from collections.abc import Iterator

from tollhouse.ledger.verify.report import Check, Finding
from tollhouse.ledger.verify.walk import Part, Span
from tollhouse.stores.reader import Reader

CONSERVED = Check("I1", "conservation", "the entries of every movement sum to zero, and so do all together")
BALANCES = Check("I2", "balances", "an account's balance is the sum of its entries")
SOLVENT = Check("I3", "no negative", "only who may owe owes, and what is held is there")
ONCE = Check("I21", "once per event", "a payment event is entered once")

_PURSES = """
    CREATE TEMP TABLE purse AS
    SELECT node.number AS node, account.id AS account, account.allow_debt AS allow_debt
    FROM node JOIN account ON account.name = 'org:' || node.id WHERE node.kind = 'org'
"""
_GROUPS = """
    SELECT count(*), coalesce(sum(total <> 0), 0) FROM (
        SELECT sum(amount) AS total FROM posting WHERE movement > ? AND movement <= ? GROUP BY movement
    )
"""
_UNBALANCED = """
    SELECT movement, 'sum ' || sum(amount) FROM posting WHERE movement > ? AND movement <= ?
    GROUP BY movement HAVING sum(amount) <> 0 ORDER BY movement LIMIT 1
"""
_ORPHANS = """
    SELECT movement, 'no such movement' FROM posting
    WHERE movement > ? AND movement <= ? AND movement NOT IN (SELECT id FROM movement) ORDER BY movement LIMIT 1
"""
_EMPTY = """
    SELECT id, kind || ' without entries' FROM movement
    WHERE id > ? AND id <= ? AND id NOT IN (SELECT movement FROM posting) ORDER BY id LIMIT 1
"""
_EVENT_TWICE = """
    SELECT max(id), count(*) || ' of ' || source || ' ' || external_id FROM movement
    WHERE external_id IS NOT NULL GROUP BY source, external_id HAVING count(*) > 1 ORDER BY max(id) LIMIT 1
"""
_CHARGED = """
    SELECT debit, credit, sum(amount) FROM charge WHERE hold > ? AND hold <= ? GROUP BY debit, credit
"""
_POSTED = "SELECT account, sum(amount) FROM posting WHERE movement > ? AND movement <= ? GROUP BY account"
_UNDECIDED = "SELECT id, 'allow_debt ' || allow_debt FROM account WHERE allow_debt NOT IN (0, 1) ORDER BY id LIMIT 1"
_OWING = """
    SELECT id, name || ' has ' || posted FROM account WHERE allow_debt = 0 AND posted < 0 ORDER BY id LIMIT 1
"""
_STRETCHED = """
    SELECT account.id, name || ' has ' || posted || ', open holds ' || held FROM account JOIN temp.purse
        ON purse.account = account.id
    JOIN (SELECT payer, sum(amount) AS held FROM hold WHERE state = 'open' GROUP BY payer) ON payer = purse.node
    WHERE account.allow_debt = 0 AND posted < held ORDER BY account.id LIMIT 1
"""


def name_purses(reader: Reader) -> None:
    """Makes ``temp.purse``."""
    reader.run(_PURSES)
    reader.run("CREATE UNIQUE INDEX temp.purse_of_node ON purse (node)")


class Books(Part):
    """Entries, movements and accounts."""

    checks = (CONSERVED, BALANCES, SOLVENT, ONCE)

    def __init__(self, reader: Reader) -> None:
        super().__init__(reader)
        self._sums: defaultdict[int, int] = defaultdict(int)

    def holds(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        for debit, credit, amount in self.reader.rows(_CHARGED, (span.low, span.high)):
            self._sums[debit] -= amount
            self._sums[credit] += amount
        return iter(())

    def movements(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        keys = (span.low, span.high)
        for account, amount in self.reader.rows(_POSTED, keys):
            self._sums[account] += amount
        groups, unbalanced = self.reader.row(_GROUPS, keys) or (0, 0)
        if unbalanced:
            yield from self.first(CONSERVED, "posting", _UNBALANCED, "sum 0", span)
        if (groups,) != self.reader.row("SELECT count(*) FROM movement WHERE id > ? AND id <= ?", keys):
            yield from self.first(CONSERVED, "posting", _ORPHANS, "a movement for every entry", span)
            yield from self.first(CONSERVED, "movement", _EMPTY, "entries for every movement", span)

    def end(self) -> Iterator[Finding]:
        """See `Part`."""
        for number, name, posted in self.reader.rows("SELECT id, name, posted FROM account ORDER BY id"):
            if (entered := self._sums.pop(number, 0)) != posted:
                yield Finding(BALANCES, "account", str(number), f"{name}: posted {entered}", f"posted {posted}")
        for number in sorted(self._sums):
            yield Finding(BALANCES, "posting", f"account {number}", "an account", "no such account")
        yield from self.first(SOLVENT, "account", _UNDECIDED, "allow_debt 0 or 1")
        yield from self.first(SOLVENT, "account", _OWING, "posted 0 or more")
        yield from self.first(SOLVENT, "account", _STRETCHED, "posted no less than open holds")
        yield from self.first(ONCE, "movement", _EVENT_TWICE, "one movement for each event")
