"""The ledger at its edges: what it does not begin, and what it does not forget."""

from pathlib import Path

import pytest

from tests.ledger.kit import opened, price
from tollhouse.errors import StorageUnavailable


@pytest.mark.parametrize("step", ["reserve", "post", "set_price", "write"])
async def test_while_the_store_fails_nothing_new_is_begun(tmp_path: Path, step: str) -> None:
    """Neither a hold nor a movement, a price or any other change: each is refused before it has changed anything."""
    async with opened(tmp_path) as bench:
        await bench.credit(1_000)
        appended = bench.journal.appended
        bench.journal.failing = StorageUnavailable("The disk is full.")
        with pytest.raises(StorageUnavailable, match="disk is full"):
            if step == "reserve":
                bench.reserve(100)
            elif step == "post":
                await bench.credit(5)
            elif step == "set_price":
                await bench.ledger.set_price(price(7, 8, "n"), "me")
            else:
                await bench.ledger.write(lambda db: db.execute("SELECT 1").fetchall())
        assert (bench.journal.appended, bench.available()) == (appended, 1_000)
        bench.journal.failing = None
