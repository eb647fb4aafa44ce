"""The verifier's own arithmetic: prices by fractions, windows by labels, sums of any size, large ledgers in spans."""

import json
import random
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from math import ceil
from pathlib import Path

import apsw
import pytest
from bench.ledger_books import KEYS, make_books
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.books import NOW_S, body, damage, rates, write_books
from tollhouse.ledger.budgets import window_of
from tollhouse.ledger.prices import read_price
from tollhouse.ledger.verify import walk
from tollhouse.ledger.verify.budgets import begins_window, window_label
from tollhouse.ledger.verify.pricing import exact_nusd
from tollhouse.ledger.verify.run import verify
from tollhouse.stores.reader import open_reader
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Budget

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Havana")
CLASSES = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio", "output", "reasoning", "output_audio")
AMOUNT = st.integers(0, 10**12)
RATES = st.fixed_dictionaries(dict.fromkeys(CLASSES, AMOUNT))
MOMENT = st.integers(1_750_000_000, 1_900_000_000)


# --- prices --------------------------------------------------------------------------------------------------------


@given(
    RATES,
    st.lists(st.tuples(st.integers(0, 2**31), RATES), max_size=3, unique_by=lambda tier: tier[0]),
    st.fixed_dictionaries(dict.fromkeys(CLASSES, st.integers(0, 2**31))),
    st.tuples(AMOUNT, AMOUNT, st.integers(0, 1000)),
)
def test_two_who_price_independently_agree(
    flat: dict[str, int],
    steps: list[tuple[int, dict[str, int]]],
    tokens: dict[str, int],
    pieces: tuple[int, int, int],
) -> None:
    """What the writer charges is the exact fraction of what its body says, rounded up once."""
    image, request, images = pieces
    tiers = [{"above_tokens": above, "rates": step} for above, step in sorted(steps, key=lambda step: step[0])]
    text = body("m", flat, tiers=tiers, image=image, request=request)
    exact = exact_nusd(json.loads(text), tokens, images)
    usage = Usage(**tokens, images=images)  # type: ignore[arg-type]  # none of them is the flag
    assert read_price(text).charge(usage) == ceil(exact)
    assert ceil(exact) - exact < 1


@pytest.mark.parametrize("output", [1, 2**26, 2**26 + 1, 2**31])
@pytest.mark.parametrize("rate", [1, 2**33, 2**33 + 1, 10**12])
def test_sums_that_do_not_fit_are_judged_too(tmp_path: Path, output: int, rate: int) -> None:
    """Tokens and prices so large that 64 bits would not hold their sum are priced exactly, to the last nano-USD."""
    due = ceil(Fraction(output * rate, 1000))
    fits = due <= 10**18
    write_books(tmp_path / "db")
    text = body("free", rates(0, rate), source="free", free=True)
    charge, clipped = min(due, 2_000_000), max(0, due - 2_000_000)
    damage(
        tmp_path / "db",
        f"UPDATE price SET body = '{text}' WHERE id = 3",  # noqa: S608 - numbers of this test
        f"UPDATE hold SET output = {output}, charge = {charge}, clipped = {clipped} WHERE id = 6",  # noqa: S608 - as above
    )
    assert priced_wrong(tmp_path / "db") is None
    for wrong in (-1, 1):
        damage(tmp_path / "db", f"UPDATE hold SET clipped = {clipped + wrong} WHERE id = 6")  # noqa: S608 - as above
        assert priced_wrong(tmp_path / "db") == "6"
    assert fits or due > 10**18


def priced_wrong(path: Path) -> str | None:
    """The hold that the pricing check names."""
    with open_reader(path) as reader:
        report = verify(reader, now_s=NOW_S)
    return next((one.row for one in report.findings if one.check.name == "recomputable"), None)


# --- windows -------------------------------------------------------------------------------------------------------


@given(MOMENT, st.sampled_from(ZONES), st.sampled_from(("day", "week", "month", "total")))
def test_two_who_derive_windows_independently_agree(at_s: int, zone: str, period: str) -> None:
    """The writer's window has this label, begins at its first moment, and ends where the next label begins."""
    start_s, end_s = window_of(Budget(1, period, zone), at_s)
    assert begins_window(start_s, period, zone)
    assert window_label(start_s, period, zone) == window_label(at_s, period, zone)
    if period != "total":
        assert window_label(end_s - 1, period, zone) == window_label(at_s, period, zone)
        assert begins_window(end_s, period, zone)


@given(MOMENT, st.sampled_from(ZONES))
def test_days_begin_at_quarters_of_an_hour(at_s: int, zone: str) -> None:
    """Everywhere, also on the days on which clocks change: so sums by quarters fall into one window each."""
    start_s, _ = window_of(Budget(1, "day", zone), at_s)
    assert start_s % 900 == 0


def test_labels_are_dates() -> None:
    """A Monday, the first of a month, a day; one for all that is counted in total."""
    at_s = int(datetime(2026, 11, 21, 3, tzinfo=UTC).timestamp())
    assert window_label(at_s, "week", "UTC") == date(2026, 11, 16)
    assert window_label(at_s, "month", "UTC") == date(2026, 11, 1)
    assert window_label(at_s, "day", "America/New_York") == date(2026, 11, 20)
    assert window_label(at_s, "total", "UTC") == window_label(0, "total", "UTC")


# --- large ledgers -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three spans of holds, with their charges."""
    path = tmp_path_factory.mktemp("large") / "db"
    make_books(path, 240_000)
    return path


def test_a_large_ledger_is_sound_and_counted_whole(large: Path) -> None:
    """Every span is looked at, progress only grows, and it ends at 1."""
    shares: list[float] = []
    with open_reader(large) as reader:
        report = verify(reader, now_s=NOW_S, progress=shares.append)
        assert [span.high for span in walk.spans(reader, walk.NEXT_HOLD, walk.SPAN_ROWS)][-1] == 2**63 - 1
    assert report.findings == []
    assert report.counts["entry"] == 240_000
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(shares) >= 4


@pytest.mark.parametrize("seed", range(4))
def test_one_wrong_number_in_a_large_ledger_is_found(large: Path, tmp_path: Path, seed: int) -> None:
    """Wherever the one damaged hold is among a hundred thousand, it is named."""
    rng = random.Random(seed)  # noqa: S311 - which row is damaged
    copy = tmp_path / "db"
    copy.write_bytes(large.read_bytes())
    number = rng.randrange(1, 123_000)
    while number % 40 == 0:  # released
        number += 1
    column = rng.choice(("input", "output", "charge", "price"))
    db = apsw.Connection(str(copy))
    db.execute("DROP TRIGGER hold_kept_1")
    db.execute(f"UPDATE hold SET {column} = {column} + 1 WHERE id = {number}")  # noqa: S608 - names of this test
    db.close()
    with open_reader(copy) as reader:
        report = verify(reader, now_s=NOW_S)
    assert str(number) in {one.row for one in report.findings if one.check.name == "recomputable"}


def test_budgets_of_a_large_ledger_are_folded(large: Path, tmp_path: Path) -> None:
    """Daily budgets of every key over most of a year, as SQL of another kind sums them; one wrong day is named."""
    copy = tmp_path / "db"
    copy.write_bytes(large.read_bytes())
    db = apsw.Connection(str(copy))
    db.execute(
        "UPDATE node SET budget_nusd = 1, budget_period = 'day', budget_zone = 'Asia/Kathmandu' WHERE number > 1"
    )
    east = int(timedelta(hours=5, minutes=45).total_seconds())
    db.execute(
        "INSERT INTO spend SELECT key, (opened_at / 1000000 + ?1) / 86400 * 86400 - ?1 AS start, sum(charge)"
        " FROM hold WHERE charge > 0 GROUP BY key, start",
        (east,),
    )
    assert db.execute("SELECT count(*) FROM spend").get > KEYS * 250
    db.close()
    with open_reader(copy) as reader:
        assert verify(reader, now_s=NOW_S).findings == []
    db = apsw.Connection(str(copy))
    node, start_s = db.execute("SELECT node, window_start FROM spend ORDER BY random() LIMIT 1").get
    db.execute("UPDATE spend SET amount = amount - 1 WHERE node = ? AND window_start = ?", (node, start_s))
    db.close()
    with open_reader(copy) as reader:
        assert [one.row for one in verify(reader, now_s=NOW_S).findings] == [f"node {node}, window_start {start_s}"]
