"""Values that no column takes: they spoil their own group, and nothing else."""

from pathlib import Path

import pytest

from tollhouse.stores.protocol import Batch
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.types.ledger import AddAccount, AddPrice


@pytest.mark.parametrize(
    "bad",
    [
        AddPrice(1 << 63, "h", "m", "admin", "{}", b"d", 0),
        AddPrice(1, "h", "m", "admin", "{}", b"d", 1 << 64),
        AddAccount(2, "half a pair: \ud800", allow_debt=True),
    ],
    ids=["id", "time", "text"],
)
def test_a_value_that_cannot_be_bound_is_refused_alone(tmp_path: Path, bad: AddAccount | AddPrice) -> None:
    """The group that holds it is refused, those around it are written, and the writer goes on."""
    store = SqliteStore(tmp_path / "t.db")
    refused = store.apply(
        Batch([(AddAccount(1, "a", allow_debt=True),), (bad,), (AddAccount(3, "c", allow_debt=True),)])
    )
    assert list(refused) == [1]
    found = store.read_now(lambda db: [name for (name,) in db.execute("SELECT name FROM account ORDER BY id")])
    assert found == ["a", "c"]
    assert store.apply(Batch([(AddAccount(4, "d", allow_debt=True),)])) == {}
    store.close()
