"""Every concurrent history of an account is that of some serial one (I15): small histories against every order."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.ledger.kit import Bench, bid, opened
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.wallet import Shortage
from tollhouse.types.calls import Usage

TOKEN_NUSD = 1_000
"""What a token of `bid` costs."""


@dataclass(frozen=True)
class Operation:
    """Something that was asked, from when to when, and what came of it: of a hold whether, else how much."""

    name: str
    task: int
    amount: int
    began: int
    ended: int
    result: int


@dataclass(frozen=True)
class Books:
    """What one account is in a serial world: its money, and what each task holds."""

    posted: int = 0
    holds: tuple[int, ...] = (0, 0, 0)

    def after(self, operation: Operation) -> "Books | None":
        """The books after an operation, or None where it cannot have had that result."""
        held = self.holds[operation.task]
        if operation.name == "credit":
            posted = self.posted + operation.amount
            return Books(posted, self.holds) if posted == operation.result else None
        if operation.name == "hold":
            fits = operation.amount <= self.posted - sum(self.holds)
            return self._holding(operation.task, operation.amount * fits) if fits == operation.result else None
        charge = min(operation.amount, held)
        found = self._holding(operation.task, 0)
        return Books(self.posted - charge, found.holds) if charge == operation.result else None

    def _holding(self, task: int, amount: int) -> "Books":
        return Books(self.posted, (*self.holds[:task], amount, *self.holds[task + 1 :]))


def is_serial(history: list[Operation], books: Books) -> bool:
    """Whether some order explains every result, in which nothing comes before what had ended when it began."""
    if not history:
        return True
    first_end = min(operation.ended for operation in history)
    for operation in history:
        after = books.after(operation) if operation.began < first_end else None
        if after is not None and is_serial([each for each in history if each is not operation], after):
            return True
    return False


async def task(number: int, bench: Bench, chance: Random, note: Callable[..., Awaitable[int]]) -> None:
    """Credits, holds and settles, now and then giving way to the others."""
    if chance.random() < 0.7:
        amount = chance.randrange(1, 9) * TOKEN_NUSD
        await note("credit", number, amount, bench.credit(amount))
    amount = chance.randrange(1, 9) * TOKEN_NUSD
    taken: list[Hold] = []

    async def hold() -> int:
        try:
            taken.append(bench.reserve(amount))
        except Shortage:
            return 0
        await taken[0].durable()
        return 1

    await note("hold", number, amount, hold())
    if taken:
        tokens = chance.randrange(0, 9)

        async def settle() -> int:
            await asyncio.sleep(0)
            return taken[0].settle(bid(amount), Usage(input=tokens))

        await note("settle", number, tokens * TOKEN_NUSD, settle())


async def history_of(bench: Bench, seed: int) -> list[Operation]:
    """What three tasks did at once, each operation with the moments between which it happened."""
    chance, clock, found = Random(seed), count(), list[Operation]()  # noqa: S311 (a fixed choice, no secret)

    async def note(name: str, number: int, amount: int, work: Awaitable[int]) -> int:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        began = next(clock)
        result = await work
        found.append(Operation(name, number, amount, began, next(clock), result))
        return result

    await asyncio.gather(*(task(number, bench, chance, note) for number in range(3)))
    return found


@pytest.mark.parametrize("seed", range(40))
async def test_i15_every_history_is_that_of_a_serial_one(tmp_path: Path, seed: int) -> None:
    """I15: up to nine operations of three tasks at once, on disk and in memory, have the results of some order."""
    async with opened(tmp_path) as bench:
        history = await history_of(bench, seed)
        assert is_serial(history, Books())
        await bench.landed()


def test_i15_a_history_that_no_order_explains_is_told() -> None:
    """I15: two holds of all there is cannot both be had, and what ended before cannot come after."""
    credit = Operation("credit", 0, 5, 0, 1, 5)
    both = [credit, Operation("hold", 0, 5, 2, 9, 1), Operation("hold", 1, 5, 3, 8, 1)]
    assert not is_serial(both, Books())
    assert is_serial([*both[:2], Operation("hold", 1, 5, 3, 8, 0)], Books())
    assert not is_serial([credit, Operation("hold", 0, 5, 2, 3, 0)], Books())
