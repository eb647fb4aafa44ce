"""What a budget finds spent when it begins to bind. `ledger.ledger` calls it with every change of the tree.

Theory of operation
-------------------
A budget that is new, or counts by other periods than before, must know what was spent in its period already. Three
things are put in motion in one breath, so that no settlement falls between them: the wallet has a window for it, the
holds that are open are bound to the window, and the old sums are queued to be forgotten. All that settles later adds to
the window and to its row. What is missing is what the ledger holds beyond that row; a reader finds it, while requests
go on, and it is added to both.

A store that does not answer is waited for, also when the one who asked has left: a budget is not given up half counted.
If the process dies meanwhile, or a budget was changed without a server, the row is not whole: a mark, written with the
last step, names the periods that a row was counted by, and `start` counts anew where it is not there.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import apsw

from tollhouse.errors import StorageUnavailable
from tollhouse.ledger import movements
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.journal import Journal
from tollhouse.ledger.wallet import Wallet, Window
from tollhouse.stores.protocol import Batch, Call, JournalStore
from tollhouse.types.tenancy import Budget, Node

_US = 1_000_000
_PACE_S = 0.25


class Counting:
    """Keeps the wallet's windows and the rows of ``spend`` in step with the budgets that there are."""

    def __init__(self, wallet: Wallet, journal: Journal, store: JournalStore, clock_us: Callable[[], int]) -> None:
        self._wallet = wallet
        self._journal = journal
        self._store = store
        self._clock_us = clock_us
        self._counted: dict[int, Window | None] = {}
        """The nodes that have a budget; with the window that is being caught up with, where one is."""

    def start(self, nodes: Mapping[int, Node]) -> None:
        """Before the first request: counts anew what is not whole, in one transaction. Raises `StorageUnavailable`."""
        self._wallet.set_budgets(nodes)
        budgets = _budgets(nodes)
        self._counted = dict.fromkeys(budgets)
        whole = self._store.read_now(movements.read_counted)
        calls = [Call(partial(movements.forget_spending, node=node)) for node in sorted(whole.keys() - budgets.keys())]
        for node, budget in sorted(budgets.items()):
            if whole.get(node) != movements.stamp(budget):
                self._wallet.forget(node)
                calls.append(Call(partial(self._recount, node=node, budget=budget)))
        if calls:
            self._store.apply(Batch([(call,) for call in calls]))

    def _recount(self, db: apsw.Connection, node: int, budget: Budget) -> None:
        window = self._window(node)
        window.spent = movements.recount(db, node, (window.start_s, window.end_s), movements.stamp(budget))

    def follow(self, nodes: Mapping[int, Node], open_holds: Iterable[Hold]) -> list[Coroutine[Any, Any, None]]:
        """Puts the budgets of a changed tree in force. Returns what remains to be done for those that are new."""
        budgets = _budgets(nodes)
        fresh = self._wallet.set_budgets(nodes)
        for node in self._counted.keys() - budgets.keys():
            self._append(partial(movements.forget_spending, node=node))
        self._counted = {node: self._counted.get(node) for node in budgets}
        holds = list(open_holds)
        work = []
        for node in fresh:
            self._wallet.forget(node)
            window = self._counted[node] = self._window(node)
            for hold in holds:
                self._wallet.bind(hold.grip, window, hold.row.opened_at / _US)
            forgotten = self._append(partial(movements.forget_spending, node=node))
            work.append(self._catch_up(window, forgotten, budgets[node]))
        return work

    async def _catch_up(self, window: Window, forgotten: int, budget: Budget) -> None:
        """Adds what was spent before the window was there, unless yet another budget has taken its place meanwhile."""
        node, start_s = window.node, window.start_s
        await self.landed(forgotten)
        total, counted = await self._find_spent(window)
        if self._counted.get(node) is not window:
            return
        self._counted[node] = None
        before = total - counted
        window.spent += before
        periods = movements.stamp(budget)
        await self.landed(self._append(lambda db: movements.add_spending(db, node, start_s, before, periods)))

    async def _find_spent(self, window: Window) -> tuple[int, int]:
        query = partial(movements.spent_in_window, node=window.node, start_s=window.start_s, end_s=window.end_s)
        while True:
            with suppress(StorageUnavailable):
                return await asyncio.to_thread(self._store.read_now, query)
            await asyncio.sleep(_PACE_S)

    async def landed(self, number: int) -> None:
        """Returns when a group is on disk, however long the store takes to take it."""
        while number > self._journal.landed:
            try:
                await self._journal.durable(number)
            except StorageUnavailable:
                await asyncio.sleep(_PACE_S)

    def _window(self, node: int) -> Window:
        return self._wallet.window(node, self._clock_us() / _US)

    def _append(self, function: Callable[[apsw.Connection], object]) -> int:
        return self._journal.append((Call(function),))


def _budgets(nodes: Mapping[int, Node]) -> dict[int, Budget]:
    return {number: node.budget for number, node in nodes.items() if node.budget is not None}
