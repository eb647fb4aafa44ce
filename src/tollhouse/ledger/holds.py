"""The money side of one request: taken before anything is sent, resolved exactly once.

`ledger.ledger.Ledger.reserve` opens a hold; the pipeline resolves it in the one ``finally`` through which every request
leaves. Everything that decides is synchronous, so that no cancellation can come between a client that leaves and the
charge for what it was given; only waiting for the disk is not.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from tollhouse.ledger.budgets import day_number
from tollhouse.ledger.journal import Journal
from tollhouse.ledger.prices import Bid, PriceVersion
from tollhouse.ledger.wallet import Grip, Wallet
from tollhouse.types.calls import Target, Usage
from tollhouse.types.ledger import (
    OPEN,
    RELEASED,
    SETTLED,
    AttemptRecord,
    Charge,
    CloseHold,
    CountFindings,
    MarkProgress,
    Op,
    OpenHold,
    Post,
    Spend,
)

_US: Final = 1_000_000


async def _nothing() -> None:
    """There is nothing to wait for."""


class Meter(Protocol):
    """Receives what settles."""

    def record(self, target: Target, usage: Usage) -> None:
        """Counts the usage of one answer."""


class Books:
    """What a hold needs of the ledger, which is one of these."""

    wallet: Wallet
    journal: Journal
    meter: Meter
    revenue: int
    clock_us: Callable[[], int]

    def price_number(self, price: PriceVersion) -> int:
        """The number of a price version."""
        raise NotImplementedError

    def next_number(self) -> int:
        """A new movement's number."""
        raise NotImplementedError

    def costs(self, hold: int, now_us: int, attempts: tuple[AttemptRecord, ...]) -> tuple[Op, ...]:
        """What failed attempts cost the operator."""
        raise NotImplementedError

    def resolved(self, number: int) -> None:
        """A hold is no longer open."""
        raise NotImplementedError


class Hold:
    """One logical request, however many attempts it takes."""

    __slots__ = (
        *("_books", "_landing", "_row", "_spend", "awaited", "bids", "charge_nusd", "found", "grip", "number"),
        *("safety", "state", "undone"),
    )

    def __init__(self, books: Books, row: OpenHold, grip: Grip, bids: tuple[Bid, ...]) -> None:
        self._books = books
        self._row = row
        self.number = row.id
        self.grip = grip
        """What it has taken of the wallet."""
        self._landing = 0
        """The number of the last group that was queued; 0 before the first."""
        self._spend: Spend | None = None
        self.bids = bids
        self.awaited = row.amount > 0
        """Whether anybody waits for the disk: for money, and for an answer that is kept for repeats. What is free moves
        nothing, so its record may follow its answer.
        """
        self.safety = ""
        """`CloseHold.safety`: to be told before the hold is resolved."""
        self.found: tuple[tuple[str, str, int, bool], ...] = ()
        """`CountFindings.rows`, likewise."""
        self.charge_nusd = 0
        self.undone = False
        """Whether what was charged was given back."""
        self.state = OPEN

    @property
    def open(self) -> bool:
        """Whether the hold is still to be resolved."""
        return self.state == OPEN

    @property
    def row(self) -> OpenHold:
        """What the ledger wrote down when it was taken."""
        return self._row

    def write(self) -> None:
        """Queues what was taken. Where nobody asks for that first, it goes into one group with what comes of it: one
        row is written then, once.
        """
        if not self._landing:
            self._landing = self._books.journal.append((self._row,))

    def progress(self, bid: Bid, prompt_tokens: int, output_tokens: int) -> None:
        """The client has been given this much so far: what a crash would be charged by. Nobody waits for it."""
        self.write()
        price = self._books.price_number(bid.price)
        self._books.journal.defer((MarkProgress(self.number, output_tokens, prompt_tokens, price, bid.target.id),))

    def settle(
        self, bid: Bid, usage: Usage, attempts: tuple[AttemptRecord, ...] = (), *, interrupted: bool = False
    ) -> int:
        """Something was delivered: charges its usage at the bid's price, at most what is held. Returns the charge.

        What the usage comes to beyond the hold is not the customer's: the host has broken its own cap. It is written
        down as ``clipped``.
        """
        due = bid.price.charge(usage)
        self._resolve(SETTLED)
        row, books, grip, number, target = self._row, self._books, self.grip, self.number, bid.target
        charge = self.charge_nusd = min(due, grip.amount)
        books.wallet.settle(grip, charge)
        now_us = books.clock_us()
        close = CloseHold(
            id=number,
            state=SETTLED,
            closed_at=now_us,
            charge=charge,
            target=target.id,
            price=books.price_number(bid.price),
            usage=usage,
            interrupted=interrupted,
            clipped=due - charge,
            attempts=attempts,
            safety=self.safety,
        )
        day = day_number(row.opened_at)
        spend = self._spend = Spend(charge, grip.places, day, row.key, target.id, row.kind, close)
        group: tuple[Op, ...] = (close, spend)
        if charge:
            group = (close, Charge(number, now_us, grip.purse.account, books.revenue, charge), spend)
        self._append(group + self._counted() + self._costs(now_us, attempts))
        books.meter.record(target, usage)
        return charge

    def release(self, attempts: tuple[AttemptRecord, ...] = ()) -> None:
        """Nothing was delivered, nothing is due."""
        self._resolve(RELEASED)
        books = self._books
        books.wallet.settle(self.grip, 0)
        now_us = books.clock_us()
        close = CloseHold(self.number, RELEASED, now_us, attempts=attempts, safety=self.safety)
        self._append((close, *self._counted(), *self._costs(now_us, attempts)))

    def undo(self) -> None:
        """The answer that was charged never reached the client: gives the charge back, by entries of its own. Once."""
        spend, charge, books = self._spend, self.charge_nusd, self._books
        if spend is None or not charge:
            return
        self.charge_nusd = 0
        self.undone = True
        books.wallet.give_back(self.grip, charge, self._row.opened_at / _US)
        post = Post(
            id=books.next_number(),
            kind="reversal",
            at=books.clock_us(),
            entries=((self.grip.purse.account, charge), (books.revenue, -charge)),
            hold=self.number,
            reason="the answer could not be delivered",
        )
        back = Spend(-charge, self.grip.places, spend.day, spend.key, spend.target, spend.kind)
        self._landing = books.journal.append((post, back))

    def _append(self, group: tuple[Op, ...]) -> None:
        """Queues the end, and the beginning with it where that still rests."""
        opening: tuple[Op, ...] = () if self._landing else (self._row,)
        self._landing = self._books.journal.append(opening + group)

    def _counted(self) -> tuple[Op, ...]:
        row = self._row
        return (CountFindings(day_number(row.opened_at), row.key, self.found),) if self.found else ()

    def _costs(self, now_us: int, attempts: tuple[AttemptRecord, ...]) -> tuple[Op, ...]:
        costs = self._books.costs(self.number, now_us, attempts)
        self.awaited = self.awaited or bool(costs)
        return costs

    def durable(self) -> Awaitable[None]:
        """Awaiting it returns when the last of these steps is on disk; at once where nobody waits for that."""
        if not self.awaited:
            return _nothing()
        self.write()
        return self._books.journal.durable(self._landing)

    def _resolve(self, state: str) -> None:
        if self.state != OPEN:
            raise RuntimeError(f"hold {self.number} is {self.state} already")
        self.state = state
        self._books.resolved(self.number)
