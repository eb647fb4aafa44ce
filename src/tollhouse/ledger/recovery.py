"""What becomes of the holds that a process left open when it died. Called once, before the ledger starts.

The policy, in the customer's favour: a hold without progress was for an answer of which nothing had been shown, so it
is released; one with progress is charged for the prompt and for what was last known to have been given, and marked as
estimated and interrupted. Resolving is one transaction, so that a second death in the middle of it changes nothing.
"""

from collections.abc import Mapping

from msgspec import Struct

from tollhouse.ledger.budgets import day_number, window_of
from tollhouse.ledger.prices import read_price
from tollhouse.stores.protocol import Batch, JournalStore, Opening, OpenRow
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import EXPIRED, RELEASED, REVENUE, AddAccount, Charge, CloseHold, Op, Spend
from tollhouse.types.tenancy import Node

_US = 1_000_000


class Recovered(Struct, frozen=True):
    """How many holds were found open, and what became of them."""

    charged: int
    released: int


def recover(store: JournalStore, nodes: Mapping[int, Node], now_us: int) -> Recovered:
    """Resolves every open hold, durably. Raises `StorageUnavailable`."""
    opening = store.load()
    if not opening.holds:
        return Recovered(0, 0)
    resolver = _Resolver(opening, nodes, now_us)
    groups = [resolver.resolve(row) for row in opening.holds]
    store.apply(Batch([*resolver.accounts, *groups]))
    charged = sum(1 for group in groups if len(group) > 1)
    return Recovered(charged, len(groups) - charged)


class _Resolver:
    """Makes the operations for each row."""

    def __init__(self, opening: Opening, nodes: Mapping[int, Node], now_us: int) -> None:
        self._opening = opening
        self._nodes = nodes
        self._now_us = now_us
        self._bodies = dict(opening.prices.values())
        self._numbers = {name: number for name, (number, _, _) in opening.accounts.items()}
        self.accounts: list[tuple[Op, ...]] = []

    def resolve(self, row: OpenRow) -> tuple[Op, ...]:
        if not row.progress or row.price is None:
            return (CloseHold(row.id, RELEASED, self._now_us),)
        price = read_price(self._bodies[row.price])
        usage = Usage(input=row.input, output=row.progress, estimated=True)
        due = price.charge(usage)
        charge = min(due, row.amount)
        close = CloseHold(
            id=row.id,
            state=EXPIRED,
            closed_at=self._now_us,
            charge=charge,
            target=row.target,
            price=row.price,
            usage=usage,
            interrupted=True,
            clipped=due - charge,
        )
        spend = Spend(charge, self._windows(row), day_number(row.opened_at), row.key, row.target, row.kind, close)
        if not charge:
            return close, spend
        payer = self._account(f"org:{self._nodes[row.payer].id}")
        return close, Charge(row.id, self._now_us, payer, self._account(REVENUE), charge), spend

    def _windows(self, row: OpenRow) -> tuple[tuple[int, int], ...]:
        """The windows of the budgets on the hold's chain, at the time at which it was taken."""
        chain, _ = self._opening.chains[row.chain]
        bound = [(node, self._nodes[node].budget) for node in chain]
        return tuple([(node, window_of(budget, row.opened_at / _US)[0]) for node, budget in bound if budget])

    def _account(self, name: str) -> int:
        if name not in self._numbers:
            number = self._numbers[name] = max(self._numbers.values(), default=0) + 1
            self.accounts.append((AddAccount(number, name, allow_debt=True),))
        return self._numbers[name]
