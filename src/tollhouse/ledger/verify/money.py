"""Conservation and balances: `Books`.

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
        SELECT sum(amount) AS total FROM entry WHERE tx > ? AND tx <= ? GROUP BY tx
    )
"""
_UNBALANCED = """
    SELECT tx, 'sum ' || sum(amount) FROM entry WHERE tx > ? AND tx <= ?
    GROUP BY tx HAVING sum(amount) <> 0 ORDER BY tx LIMIT 1
"""
_ORPHANS = """
    SELECT tx, 'no such movement' FROM entry
    WHERE tx > ? AND tx <= ? AND tx NOT IN (SELECT id FROM tx) ORDER BY tx LIMIT 1
"""
_EMPTY = """
    SELECT id, kind || ' without entries' FROM tx
    WHERE id > ? AND id <= ? AND id NOT IN (SELECT tx FROM entry) ORDER BY id LIMIT 1
"""
_EVENT_TWICE = """
    SELECT max(id), count(*) || ' of ' || source || ' ' || external_id FROM tx
    WHERE external_id IS NOT NULL GROUP BY source, external_id HAVING count(*) > 1 ORDER BY max(id) LIMIT 1
"""
_BY_ACCOUNT = "SELECT account, sum(amount) FROM entry WHERE tx > ? AND tx <= ? GROUP BY account"
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

    def postings(self, span: Span) -> Iterator[Finding]:
        """See `Part`."""
        keys = (span.low, span.high)
        for account, amount in self.reader.rows(_BY_ACCOUNT, keys):
            self._sums[account] += amount
        groups, unbalanced = self.reader.row(_GROUPS, keys) or (0, 0)
        if unbalanced:
            yield from self.first(CONSERVED, "entry", _UNBALANCED, "sum 0", span)
        if (groups,) != self.reader.row("SELECT count(*) FROM tx WHERE id > ? AND id <= ?", keys):
            yield from self.first(CONSERVED, "entry", _ORPHANS, "a movement for every entry", span)
            yield from self.first(CONSERVED, "tx", _EMPTY, "entries for every movement", span)

    def end(self) -> Iterator[Finding]:
        """See `Part`."""
        total = sum(self._sums.values())
        if total:
            yield Finding(CONSERVED, "entry", "all", "sum 0", f"sum {total}")
        for number, name, posted in self.reader.rows("SELECT id, name, posted FROM account ORDER BY id"):
            if (entered := self._sums.pop(number, 0)) != posted:
                yield Finding(BALANCES, "account", str(number), f"{name}: posted {entered}", f"posted {posted}")
        for number in sorted(self._sums):
            yield Finding(BALANCES, "entry", f"account {number}", "an account", "no such account")
        yield from self.first(SOLVENT, "account", _UNDECIDED, "allow_debt 0 or 1")
        yield from self.first(SOLVENT, "account", _OWING, "posted 0 or more")
        yield from self.first(SOLVENT, "account", _STRETCHED, "posted no less than open holds")
        yield from self.first(ONCE, "tx", _EVENT_TWICE, "one movement for each event")
