"""The real wallet, journal and database against the model, in any order of operations, with a disk that fails.

Each run is a random sequence of credits, holds, settlements, releases, reversals, repeated events, failing commits,
budget changes and restarts. After every step the ledger in memory agrees with the model; after every restart so does
what is on disk, and the database's own sums hold.
"""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.ledger.kit import KEY, ORG, OTHER_KEY, TEAM, Bench, bid, opened, price
from tests.ledger.model import Account, Model
from tollhouse.errors import ClientFault, StorageUnavailable
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.wallet import Shortage
from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Budget

AMOUNTS = st.integers(0, 60)
NANO = price(1_000, 0)
"""One nano-USD for each token of input."""
BINDS = {KEY: ("key", "team", "org"), OTHER_KEY: ("org",)}
SUMS = """
    SELECT (SELECT coalesce(sum(amount), 0) FROM entry),
           (SELECT count(*) FROM account WHERE posted <> (
               SELECT coalesce(sum(amount), 0) FROM entry WHERE entry.account = account.id)),
           (SELECT coalesce(sum(charge), 0) FROM usage_day) - (SELECT coalesce(sum(posted), 0) FROM account
               WHERE name = 'sys:revenue'),
           (SELECT count(*) FROM hold WHERE charge > amount)
"""


class Flaky(SqliteStore):
    """A disk that fails as often as it is told to, before or after the commit."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failures: list[bool] = []

    def apply(self, batch: Batch) -> dict[int, str]:
        """See `JournalStore`."""
        if not self.failures:
            return super().apply(batch)
        if self.failures.pop():
            super().apply(batch)
        raise StorageUnavailable("no")


class Machine(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model({"org": Account(0), "team": Account(150), "key": Account(100)})
        self.holds: list[tuple[int, Hold]] = []
        self.settled: list[tuple[int, Hold]] = []
        self.number = 0
        self.open()

    def open(self) -> None:
        """Starts the ledger on what is on disk."""
        store = Flaky(Path(self.folder.name) / "ledger.db")
        if not store.read_now(lambda db: db.execute("SELECT 1 FROM node WHERE number = 2").fetchall()):
            store.close()
            (Path(self.folder.name) / "ledger.db").unlink()
            store = None  # type: ignore[assignment]
        self.context = opened(Path(self.folder.name), {KEY: Budget(100), TEAM: Budget(150)}, store=store)
        self.bench: Bench = self.runner.run(self.context.__aenter__())
        if not isinstance(self.bench.store, Flaky):  # the first time: the tree was planted, now with a disk that fails
            self.runner.run(self.context.__aexit__(None, None, None))
            self.open()

    def run(self, work: Any) -> Any:
        """Runs a coroutine on the ledger's loop."""
        return self.runner.run(work)

    @rule(amount=st.integers(-50, 100), event=st.integers(0, 30))
    def credit(self, amount: int, event: int) -> None:
        """An event moves money, the first time."""
        if amount == 0:
            return
        self.model.credit("org", amount, f"e{event}")
        try:
            self.run(self.bench.credit(amount, f"e{event}", kind="adjustment"))
        except ClientFault:
            assert amount < 0

    @rule(amount=AMOUNTS, key=st.sampled_from([KEY, OTHER_KEY]))
    def reserve(self, amount: int, key: int) -> None:
        """A hold is taken by both or refused by both, and the refusal tells what there is."""
        self.number += 1
        taken = self.model.hold(self.number, amount, BINDS[key])
        if taken:
            self.holds.append((self.number, self.bench.reserve(amount, key=key, version=NANO)))
            return
        with pytest.raises(Shortage) as short:
            self.bench.reserve(amount, key=key, version=NANO)
        window = short.value.window
        named = {None: "org", KEY: "key", TEAM: "team"}[window.node if window else None]
        assert short.value.available == self.model.accounts[named].free() < amount

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), due=st.integers(0, 90))
    def settle(self, data: st.DataObject, due: int) -> None:
        """A settlement charges what the model says."""
        number, hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        assert hold.settle(bid(0, NANO), Usage(input=due)) == self.model.resolve(number, due)
        self.settled.append((number, hold))

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A release charges nothing."""
        number, hold = self.holds.pop(data.draw(st.integers(0, len(self.holds) - 1)))
        hold.release()
        self.model.resolve(number, 0)

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), again=st.booleans())
    def undo(self, data: st.DataObject, *, again: bool) -> None:
        """A reversal gives the charge back, once however often it is asked for."""
        number, hold = self.settled.pop(data.draw(st.integers(0, len(self.settled) - 1)))
        key = hold.row.key
        for name in BINDS[key]:
            self.model.accounts[name].spent -= self.model.charged.get(number, 0)
        hold.undo()
        if again:
            hold.undo()

    @rule(failures=st.lists(st.booleans(), max_size=2))
    def fail(self, failures: list[bool]) -> None:
        """The next commits fail."""
        assert isinstance(self.bench.store, Flaky)
        self.run(self.bench.landed())
        self.bench.store.failures = failures
        self.bench.ledger.append_call(lambda _: None)
        self.run(self.bench.landed())
        assert not failures

    @rule(limit=st.integers(0, 200))
    def change_budget(self, limit: int) -> None:
        """A budget's limit changes under everything that is open."""
        self.model.accounts["team"].limit = limit
        self.run(self.bench.set_node(TEAM, budget_nusd=limit))

    @rule(period=st.sampled_from(["day", "week", "month", "total"]))
    def change_period(self, period: str) -> None:
        """A budget counts by another period: all of it happened today, so that nothing changes."""
        self.run(self.bench.set_node(KEY, budget_period=period, budget_zone="UTC"))

    @rule()
    def restart(self) -> None:
        """The process ends and starts again: what was open is released, everything else is as it was."""
        self.run(self.bench.landed())
        self.run(self.context.__aexit__(None, None, None))
        for number, _ in self.holds:
            self.model.resolve(number, 0)
        self.holds, self.settled = [], []
        self.open()
        assert self.bench.rows(SUMS) == [(0, 0, 0, 0)]

    @invariant()
    def agrees(self) -> None:
        """Memory and model say the same of every account."""
        org = self.model.accounts["org"]
        standing = self.bench.ledger.standing(self.bench.principal())
        assert (standing.balance_nusd, standing.held_nusd) == (org.limit - org.spent, org.held)
        for budget, name in zip(standing.budgets, ("key", "team"), strict=True):
            account = self.model.accounts[name]
            assert (budget.limit_nusd, budget.spent_nusd, budget.held_nusd) == (
                account.limit,
                account.spent,
                account.held,
            )
        assert standing.balance_nusd >= 0
        assert self.bench.available() == min(self.model.accounts[name].free() for name in BINDS[KEY])
        assert self.bench.ledger.open_holds == len(self.holds)

    def teardown(self) -> None:
        """Ends the ledger; what is on disk is what was decided."""
        self.run(self.bench.landed())
        assert self.bench.rows(SUMS) == [(0, 0, 0, 0)]
        spent = {"key": 0, "team": 0} | {
            {KEY: "key", TEAM: "team", ORG: "org"}[node]: amount
            for node, amount in self.bench.rows("SELECT node, sum(amount) FROM spend GROUP BY node")
        }
        assert {name: self.model.accounts[name].spent for name in spent} == spent
        self.run(self.context.__aexit__(None, None, None))
        self.runner.close()
        self.folder.cleanup()


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
