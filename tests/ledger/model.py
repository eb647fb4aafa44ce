"""What the ledger means, in a few lines without any of its code: balances are sums, a hold is taken whole or not."""

from dataclasses import dataclass, field


@dataclass
class Account:
    """An organisation's money, or one total budget: ``limit`` is what was credited, or the budget."""

    limit: int
    spent: int = 0
    held: int = 0

    def free(self) -> int:
        """What can still be held."""
        return max(0, self.limit - self.spent - self.held)


@dataclass
class Model:
    """The books: accounts by name, open holds with the names that they bind."""

    accounts: dict[str, Account]
    holds: dict[int, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    charged: dict[int, int] = field(default_factory=dict)

    def credit(self, org: str, amount: int, event: str) -> None:
        """Money comes in, once for each event; what goes out must be there."""
        if event not in self.events and self.accounts[org].free() >= -amount:
            self.events.add(event)
            self.accounts[org].limit += amount

    def hold(self, number: int, amount: int, names: tuple[str, ...]) -> bool:
        """Takes the amount of every account, or of none."""
        if amount and any(amount > self.accounts[name].free() for name in names):
            return False
        for name in names:
            self.accounts[name].held += amount
        self.holds[number] = amount, names
        return True

    def resolve(self, number: int, due: int) -> int:
        """Ends a hold: at most what is held is spent."""
        amount, names = self.holds.pop(number)
        charge = min(due, amount)
        for name in names:
            self.accounts[name].held -= amount
            self.accounts[name].spent += charge
        self.charged[number] = charge
        return charge
