"""[replay]: which answers are kept."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.settings.reader import faults, read


def test_nothing_is_kept_by_default(tmp_path: Path) -> None:
    """Both are off, replays cost nothing, and answers belong to their key."""
    replay = read(tmp_path, "").replay
    assert (replay.on, replay.seed, replay.cache, replay.scope) == (False, False, False, "key")
    assert (replay.price("seed"), replay.price("cache")) == (Decimal(0), Decimal(0))


def test_prices_are_exact_shares(tmp_path: Path) -> None:
    """A share is what was written, in the file or in a variable."""
    text = "[replay]\nseed = true\nseed_price = 1\ncache_price = 0.1\n"
    replay = read(tmp_path, text, {"TOLLHOUSE_REPLAY_SEED_PRICE": "0.3"}).replay
    assert replay.on
    assert (replay.price("seed"), replay.price("cache")) == (Decimal("0.3"), Decimal("0.1"))


@pytest.mark.parametrize(
    "row",
    [
        *("seed_price = 1.01", "cache_price = -0.1", "seed_price = nan", 'scope = "team"', "keep_s = 0"),
        *("max_answer_bytes = 10", "max_scope_bytes = 1", "max_bytes = 1", "seed = 1", "keep_s = 1.5"),
    ],
)
def test_other_values_are_faults(tmp_path: Path, row: str) -> None:
    """What is out of its range or of another kind is named."""
    assert f"replay.{row.split(maxsplit=1)[0]}" in faults(tmp_path, f"[replay]\n{row}\n")
