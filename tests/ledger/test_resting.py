"""A hold rests until somebody needs its row, or its end comes: the row is the same either way."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.ledger.kit import ORG, Bench, bid, eventually, opened
from tollhouse.types.calls import Usage
from tollhouse.types.ledger import AttemptRecord

HELD = "SELECT id, state FROM hold ORDER BY id"
PLAIN = Usage(input=3, output=4)
ATTEMPTS = (AttemptRecord("host/m", "ok", "chatcmpl-1", 12),)


def fields(bench: Bench) -> list[tuple[Any, ...]]:
    """All of every hold, but its number, its request's, and those of its movements."""
    columns = [name for (name,) in bench.rows("SELECT name FROM pragma_table_info('hold')")]
    wanted = ", ".join(name for name in columns if name not in ("id", "request_id"))
    return bench.rows(f"SELECT {wanted} FROM hold ORDER BY id")  # noqa: S608 - the table's own columns


@pytest.mark.parametrize(
    ("usage", "how"),
    [
        (PLAIN, {}),
        (Usage(), {"attempts": ATTEMPTS}),
        (PLAIN, {"attempts": ATTEMPTS, "interrupted": True}),
        *[(replace(PLAIN, **{name: 1}), {}) for name in Usage.__struct_fields__ if name not in ("input", "output")],
        (Usage(input=500_000), {}),
    ],
    ids=lambda given: str(given)[:60],
)
async def test_a_row_is_the_same_whenever_it_is_written(tmp_path: Path, usage: Usage, how: dict[str, Any]) -> None:
    """Once with its end, once before it; of a usage with one class or all, clipped or not."""
    async with opened(tmp_path) as bench:
        await bench.credit(10_000_000)
        for resting in (True, False):
            hold = bench.reserve(100_000)
            if not resting:
                await hold.durable()
            hold.safety = "{}" if how else ""
            hold.settle(bid(100_000), usage, **how)
            await hold.durable()
        together, apart = fields(bench)
        assert together == apart
        entries = bench.rows("SELECT account, amount FROM entry WHERE hold NOT NULL ORDER BY tx, account")
        assert entries[: len(entries) // 2] == entries[len(entries) // 2 :]


async def test_a_hold_that_is_resolved_at_once_is_one_group(tmp_path: Path) -> None:
    """Settled or released: the first group of a hold holds its end."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        bench.reserve(1_000).release()
        await bench.landed()
        before = bench.journal.appended
        bench.reserve(1_000).settle(bid(1_000), Usage(input=1))
        released = bench.reserve(1_000)
        released.release()
        assert bench.journal.appended == before + 2
        await released.durable()
        assert bench.rows(HELD) == [(2, "released"), (3, "settled"), (4, "released")]


async def test_a_hold_that_goes_on_is_written_after_a_rest(tmp_path: Path) -> None:
    """Without anybody who waits; those of later turns too, and none twice."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        holds = []
        for number in (1, 2, 3):
            holds.append(bench.reserve(1_000))
            assert len(bench.rows(HELD)) == number - 1
            await eventually(lambda count=number: len(bench.rows(HELD)) == count)  # type: ignore[misc]
        before = bench.journal.appended
        bench.ledger.write_holds()
        assert bench.journal.appended == before
        for hold in holds:
            hold.release()
        await bench.landed()
        assert bench.rows(HELD) == [(number, "released") for number in (2, 3, 4)]


async def test_holds_that_rest_are_written_by_number(tmp_path: Path) -> None:
    """Those that are resolved or written already are passed over."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        holds = [bench.reserve(1_000) for _ in range(4)]
        holds[1].release()
        await holds[2].durable()
        assert bench.rows(HELD) == [(3, "released"), (4, "open")]
        await bench.landed()
        assert bench.rows(HELD) == [(2, "open"), (3, "released"), (4, "open"), (5, "open")]
        assert bench.ledger.wallet.purses[ORG].held == 3_000
        for hold in holds:
            if hold.open:
                hold.release()


async def test_progress_is_of_a_row_that_is_there(tmp_path: Path) -> None:
    """A hold that still rests is queued before what marks it."""
    async with opened(tmp_path) as bench:
        await bench.credit(100_000)
        hold = bench.reserve(1_000)
        hold.progress(bid(1_000), 5, 7)
        await bench.journal.durable(bench.journal.appended)
        assert bench.rows("SELECT progress, input FROM hold") == [(7, 5)]
        hold.release()
