"""What a payment service has told of its payments: what was credited for one, and what was claimed back of it.

`gateway.webhooks` calls these, `claim` on the ledger's writer, `standing` on a reader. A claim may be known before the
payment it is about: events come in any order. What was credited and taken back is in the ledger alone (``movement``,
``posting``); a payment's own id is the external id of its top-up, and the beginning of those of its refunds, before a
colon.
"""

import apsw
from msgspec import Struct

_CLAIM = (
    "INSERT INTO payment_claim (source, payment, name, amount) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET amount = max(amount, excluded.amount)"
)
_CREDITED = """
    SELECT node.number, node.id, posting.amount
    FROM movement JOIN posting ON posting.movement = movement.id JOIN account ON account.id = posting.account
        JOIN node ON node.id = substr(account.name, 5)
    WHERE movement.source = ? AND movement.external_id = ? AND movement.kind = 'topup' AND account.name GLOB 'org:*'
"""
_TAKEN = """
    SELECT coalesce(-sum(posting.amount), 0)
    FROM movement JOIN posting ON posting.movement = movement.id JOIN account ON account.id = posting.account
    WHERE movement.source = ?1 AND movement.external_id >= ?2 || ':' AND movement.external_id < ?2 || ';'
        AND movement.kind = 'refund' AND account.name GLOB 'org:*'
"""
_CLAIMED = "SELECT coalesce(sum(amount), 0) FROM payment_claim WHERE source = ? AND payment = ?"


class Payment(Struct, frozen=True):
    """A payment that was credited. Amounts are nano-USD."""

    org: int
    org_id: str
    credited_nusd: int
    taken_nusd: int
    claimed_nusd: int
    """By all claims together; a payer may claim more than was paid."""

    @property
    def due_nusd(self) -> int:
        """What is still to be taken back."""
        return max(0, min(self.claimed_nusd, self.credited_nusd) - self.taken_nusd)


def claim(db: apsw.Connection, source: str, payment: str, name: str, amount_nusd: int) -> None:
    """Writes down that so much of a payment is claimed back under a name; of one name the largest amount counts."""
    db.execute(_CLAIM, (source, payment, name, amount_nusd))


def standing(db: apsw.Connection, source: str, payment: str) -> Payment | None:
    """What became of a payment; None where it was never credited."""
    credited = db.execute(_CREDITED, (source, payment)).fetchone()
    if credited is None:
        return None
    sums = [number for query in (_TAKEN, _CLAIMED) for (number,) in db.execute(query, (source, payment))]
    return Payment(*credited, *sums)
