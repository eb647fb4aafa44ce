"""The ledger: what the gateway and the admin API call to hold, to charge and to credit.

Theory of operation
-------------------
`reserve` decides in the wallet; the hold is resolved synchronously (`ledger.holds`). Both change what is available at
once; the journal makes them durable, and the pipeline waits for that where a client could otherwise be shown something
that a crash would undo: for the hold before the first byte, the charge before the last.

A hold that nobody waits for rests outside of the journal, for one to two times `REST_S`: if it is resolved by then, as
most are, it is written together with its end, as one row. A crash that loses it loses what nobody was shown.

Money comes in through `post`. Whether a payment is there already is the database's decision, made in the transaction
that records it: the same event, however often it is sent, is found there. Money that goes out is held first, like any
other, so that it cannot be spent meanwhile.

A budget that is new must know what was spent before it: `ledger.counting` finds that out.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import apsw

from tollhouse.errors import ClientFault, InternalError, StorageUnavailable
from tollhouse.ledger import movements
from tollhouse.ledger.budgets import FOREVER_S
from tollhouse.ledger.counting import Counting
from tollhouse.ledger.holds import Books, Hold, Meter
from tollhouse.ledger.journal import REST_S, Journal
from tollhouse.ledger.movements import Movement, Posted
from tollhouse.ledger.prices import Bid, PriceVersion
from tollhouse.ledger.wallet import Grip, Purse, Shortage, Wallet
from tollhouse.stores.protocol import Call, JournalStore
from tollhouse.types.ledger import (
    ABSORBED,
    ADJUST,
    REVENUE,
    SYSTEM_ACCOUNTS,
    TOPUP,
    AddAccount,
    AddChain,
    AddPrice,
    AttemptRecord,
    Op,
    OpenHold,
    Post,
)
from tollhouse.types.money import format_usd
from tollhouse.types.tenancy import Node, Principal
from tollhouse.types.values import Value

T = TypeVar("T")
_now_ns: Final = time.time_ns
_US: Final = 1_000_000
_AGAINST: Final = {"topup": TOPUP, "grant": TOPUP, "refund": TOPUP, "adjustment": ADJUST}


class BudgetStanding(Value, frozen=True):
    """One budget at the moment. ``resets_at_s`` is None for a total."""

    node: int
    limit_nusd: int
    spent_nusd: int
    held_nusd: int
    window_start_s: int
    resets_at_s: int | None


class Standing(Value, frozen=True):
    """What a caller has. ``available_nusd`` is None where nothing bounds it."""

    available_nusd: int | None
    balance_nusd: int
    held_nusd: int
    prepaid: bool
    budgets: tuple[BudgetStanding, ...]


def wall_clock_us() -> int:
    """Unix microseconds."""
    return _now_ns() // 1000


class Ledger(Books):
    """Every hold and every account, as the store has them after `recovery.recover`."""

    def __init__(
        self, store: JournalStore, journal: Journal, meter: Meter, clock_us: Callable[[], int] = wall_clock_us
    ) -> None:
        self.journal = journal
        self.meter = meter
        self.clock_us = clock_us
        self._store = store
        opening = store.load()
        self.wallet = Wallet(opening.spends)
        self._accounts = {name: number for name, (number, _, _) in opening.accounts.items()}
        self._posted = {name: posted for name, (_, posted, _) in opening.accounts.items()}
        self._chains = {(nodes, payer): number for number, (nodes, payer) in opening.chains.items()}
        self._prices = {digest: number for digest, (number, _) in opening.prices.items()}
        self._last_price = opening.last_price
        self._last_number = self._last_hold = opening.last_number
        self._open: dict[int, Hold] = {}
        """By number, rising."""
        self._resting = False
        self._rested_to = self._written_to = self._last_hold
        """The last hold that the last rest met, and the last one that was not left to rest."""
        self._orgs: dict[int, str] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counting = Counting(self.wallet, journal, store, clock_us)
        for name in SYSTEM_ACCOUNTS:
            self._account(name)
        self.revenue = self._accounts[REVENUE]

    # --- requests --------------------------------------------------------------------------------------------

    @property
    def open_holds(self) -> int:
        """How many holds are to be resolved."""
        return len(self._open)

    def available(self, principal: Principal) -> int | None:
        """The most that a request of this caller may cost now; None where nothing bounds it."""
        return self.wallet.available(principal.chain, self.clock_us() / _US)

    def reserve(self, request_id: str, principal: Principal, kind: str, requested: str, bids: tuple[Bid, ...]) -> Hold:
        """Holds the dearest of the bids. Raises `StorageUnavailable`, and `Shortage` when bids were not made of what
        is `available` at this moment.
        """
        self.journal.check()
        now_us = self.clock_us()
        amount = 0
        for bid in bids:
            amount = max(amount, bid.amount)
        chain = principal.chain
        grip = self.wallet.take(chain, amount, now_us / _US)
        number = self._last_hold = self.next_number()
        first = bids[0]
        row = OpenHold(
            id=number,
            request_id=request_id,
            key=principal.number,
            chain=chain.number,
            payer=chain.payer,
            kind=kind,
            requested=requested,
            amount=amount,
            opened_at=now_us,
            input_bound=first.input_bound,
            price=self.price_number(first.price),
        )
        hold = Hold(self, row, grip, bids)
        self._open[number] = hold
        if not self._resting:
            self._rest()
        return hold

    def _rest(self) -> None:
        self._resting = self.journal.later(REST_S, self._rested)
        if not self._resting:
            self.write_holds()

    def _rested(self) -> None:
        """Queues the holds that have rested since before the last time."""
        self.write_holds(self._rested_to)
        self._rested_to = self._last_hold
        self._resting = False
        if self._written_to < self._last_hold:
            self._rest()

    def write_holds(self, last: int | None = None) -> None:
        """Queues every open hold, or those up to one of them: none of these rests any longer."""
        last = self._last_hold if last is None else last
        resting = []
        for number in reversed(self._open):
            if number <= self._written_to:
                break
            if number <= last:
                resting.append(self._open[number])
        for hold in reversed(resting):
            hold.write()
        self._written_to = max(self._written_to, last)
        self.journal.flush()

    def resolved(self, number: int) -> None:
        """See `Books`."""
        del self._open[number]

    def price_number(self, price: PriceVersion) -> int:
        """See `Books`. A version used for the first time is written down before what refers to it."""
        number = self._prices.get(price.digest)
        if number is None:
            row = self._new_price(price)
            number = row.id
            self.journal.append((row,))
        return number

    async def set_price(self, price: PriceVersion, actor: str) -> int:
        """Writes down a version that an admin sets, with its audit row, durably (I28). Returns its number."""
        self.journal.check()
        number = self._prices.get(price.digest)
        rows: tuple[AddPrice, ...] = () if number is not None else (self._new_price(price),)
        at_s = self.clock_us() // _US
        audit = Call(lambda db: movements.audit_price(db, price, at_s, actor))
        await self.journal.durable(self.journal.append((*rows, audit)))
        return self._prices[price.digest]

    def _new_price(self, price: PriceVersion) -> AddPrice:
        self._last_price += 1
        number = self._prices[price.digest] = self._last_price
        return AddPrice(number, price.host, price.model, price.source, price.body, price.digest, price.effective_from)

    def next_number(self) -> int:
        """See `Books`. Holds have theirs of the same sequence, for a charge goes by its hold's."""
        self._last_number += 1
        return self._last_number

    def costs(self, hold: int, now_us: int, attempts: tuple[AttemptRecord, ...]) -> tuple[Op, ...]:
        """See `Books`: one transaction with an entry for each provider, against what the operator absorbs."""
        due: dict[str, int] = {}
        for attempt in attempts:
            if attempt.cost_nusd:
                name = f"provider:{attempt.target.partition('/')[0]}:cost"
                due[name] = due.get(name, 0) + attempt.cost_nusd
        if not due:
            return ()
        entries = tuple([(self._account(name), amount) for name, amount in due.items()])
        entries += ((self._account(ABSORBED), -sum(due.values())),)
        return (Post(self.next_number(), "cost", now_us, entries, hold),)

    def standing(self, principal: Principal) -> Standing:
        """What a caller has at this moment."""
        now_s = self.clock_us() / _US
        purse = self.wallet.purses[principal.chain.payer]
        budgets = tuple(
            [
                BudgetStanding(
                    *(window.node, window.limit, window.spent, window.held, window.start_s),
                    resets_at_s=window.end_s if window.end_s < FOREVER_S else None,
                )
                for window in self.wallet.windows(principal.chain, now_s)
            ]
        )
        available = self.wallet.available(principal.chain, now_s)
        return Standing(available, purse.posted, purse.held, not purse.allow_debt, budgets)

    # --- the tree --------------------------------------------------------------------------------------------

    def chain_number(self, nodes: tuple[int, ...], payer: int) -> int:
        """The number of a chain, made when it is first used; its nodes are in the store already."""
        number = self._chains.get((nodes, payer))
        if number is None:
            number = self._chains[nodes, payer] = len(self._chains) + 1
            self.journal.append((AddChain(number, nodes, payer),))
        return number

    async def adopt(self, nodes: Mapping[int, Node]) -> None:
        """Follows the tree as it is in the store now. When this returns, every budget in it binds exactly; what has
        begun is finished, also when the caller has left.
        """
        self.adopt_orgs(nodes)
        work = [self._keep(each) for each in self._counting.follow(nodes, self._open.values())]
        await asyncio.gather(*map(asyncio.shield, work))

    def prime(self, nodes: Mapping[int, Node]) -> None:
        """Follows the tree at start, before anything is asked. Raises `StorageUnavailable`."""
        self.adopt_orgs(nodes)
        self._counting.start(nodes)

    def adopt_orgs(self, nodes: Mapping[int, Node]) -> None:
        """Gives every organisation its purse, and follows whether it may owe."""
        for number, node in nodes.items():
            if node.kind == "org":
                self._adopt_org(number, node)

    def _adopt_org(self, number: int, node: Node) -> None:
        may_owe = node.billing == "postpaid"
        self._orgs[number] = node.id
        purse = self.wallet.purses.get(number)
        if purse is None:
            name = f"org:{node.id}"
            account = self._account(name, may_owe=may_owe)
            self.wallet.set_purse(number, Purse(account, self._posted.get(name, 0), allow_debt=may_owe))
        else:
            purse.allow_debt = may_owe

    def _account(self, name: str, *, may_owe: bool = True) -> int:
        """The number of an account, made when it is first used."""
        number = self._accounts.get(name)
        if number is None:
            number = self._accounts[name] = len(self._accounts) + 1
            self.journal.append((AddAccount(number, name, may_owe),))
        return number

    # --- money in and out ------------------------------------------------------------------------------------

    async def post(
        self, kind: str, org: int, amount_nusd: int, *, actor: str, reason: str, event: tuple[str, str] | None = None
    ) -> Posted:
        """Credits (or, below zero, debits) an organisation, durably. Once for each ``event``: who tells of it, and the
        id by which they do.

        Raises `ClientFault` where a prepaid organisation lacks what is taken, KeyError for an unknown organisation,
        `StorageUnavailable`.
        """
        self.journal.check()
        purse = self.wallet.purses[org]
        move = Movement(
            tx=self.next_number(),
            kind=kind,
            account=purse.account,
            against=self._account(_AGAINST[kind]),
            amount_nusd=amount_nusd,
            at_us=self.clock_us(),
            actor=actor,
            reason=reason,
            subject=self._orgs[org],
            event=event,
        )
        return await self._whole(self._post(move, purse, org))

    async def _post(self, move: Movement, purse: Purse, org: int) -> Posted:
        taken = max(0, -move.amount_nusd)
        try:
            grip = self.wallet.take_money(org, taken)
        except Shortage as shortage:
            left = format_usd(shortage.available)
            raise ClientFault(f"The organisation has only ${left} that can be taken.", param="amount_usd") from None
        call = Call(lambda db: movements.record(db, move))
        number = self.journal.append((call,))
        try:
            await self.journal.durable(number)
        except StorageUnavailable:  # it may come true yet, and memory has to follow then
            self._keep(self._late(number, call, move, grip))
            raise
        self._follow(call, move, grip)
        if call.error is not None:
            raise call.error
        tx, created = call.result
        return Posted(tx, created, purse.posted)

    async def _late(self, number: int, call: Call, move: Movement, grip: Grip) -> None:
        """Waits for a movement that the one who asked for it has given up."""
        await self._counting.landed(number)
        self._follow(call, move, grip)

    def _follow(self, call: Call, move: Movement, grip: Grip) -> None:
        """Puts into memory what has become of a movement in the store."""
        created = call.error is None and call.result[1]
        self.wallet.settle(grip, -move.amount_nusd if created else 0)

    async def _whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs to its end what must not stop half-way because a caller has left: the store has it then, and memory must
        follow.
        """
        return await asyncio.shield(self._keep(work))

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task of its own, which is not collected before it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def append_call(self, function: Callable[[apsw.Connection], object]) -> int:
        """Queues a function for the writer's transaction, in its turn; `Journal.durable` waits for it."""
        return self.journal.append((Call(function),))

    async def write(self, function: Callable[[apsw.Connection], T]) -> T:
        """Runs a function in the writer's transaction and returns when that is durable."""
        self.journal.check()
        return await self.journal.call(function)

    async def report(self, function: Callable[[Any], T]) -> T:
        """What a function reads in one snapshot of all that was decided before: what still rests is written first.
        While the store does not write, what it has. Raises `StorageUnavailable`.
        """
        self.write_holds()
        if self.journal.failing is None:
            with suppress(StorageUnavailable, InternalError):  # whoever waits for those groups is told
                await self.journal.durable(self.journal.appended)
        return await self.read(function)

    async def read(self, function: Callable[[Any], T]) -> T:
        """What a function reads in one snapshot. Raises `StorageUnavailable`."""
        return await asyncio.to_thread(self._store.read_now, function)
