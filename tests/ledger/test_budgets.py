"""Periods: derived from the clock in the budget's own zone, through every change of clocks."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.ledger.budgets import FOREVER_S, day_number, day_start_s, day_text, window_of
from tollhouse.types.tenancy import Budget

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Asia/Beirut",
)


def local(at_s: int, zone: str) -> str:
    """A moment as a zone's clocks show it."""
    return datetime.fromtimestamp(at_s, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("day", "zone", "starts", "hours"),
    [
        (date(2026, 3, 29), "Europe/Berlin", "2026-03-29 00:00", 23),
        (date(2026, 10, 25), "Europe/Berlin", "2026-10-25 00:00", 25),
        (date(2018, 11, 4), "America/Sao_Paulo", "2018-11-04 01:00", 23),
        (date(2019, 3, 31), "Asia/Beirut", "2019-03-31 01:00", 23),
        (date(2026, 4, 5), "Australia/Lord_Howe", "2026-04-05 00:00", 24.5),
        (date(2026, 6, 1), "Asia/Kathmandu", "2026-06-01 00:00", 24),
        (date(1924, 10, 26), "America/Toronto", "1924-10-26 00:00", 24),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(day: date, zone: str, starts: str, hours: float) -> None:
    """A15: days of 23, 24.5 and 25 hours, and days whose midnight does not exist, begin at their first instant."""
    start_s = day_start_s(day, zone)
    assert local(start_s, zone) == starts
    assert start_s % 60 == 0
    assert day_start_s(day + timedelta(days=1), zone) - start_s == hours * 3600


def test_a_gap_that_begins_before_midnight_ends_the_day_before_early() -> None:
    """Where clocks jump from 23:30 to 00:30 the day begins at 00:30 (Toronto, 30 March 1919)."""
    start_s = day_start_s(date(1919, 3, 31), "America/Toronto")
    assert local(start_s, "America/Toronto") == "1919-03-31 00:30"
    assert start_s % 60 == 0
    assert local(start_s - 60, "America/Toronto") == "1919-03-30 23:29"


@pytest.mark.parametrize(
    ("period", "first", "after"),
    [
        ("day", "2026-11-21 00:00", "2026-11-22 00:00"),
        ("week", "2026-11-16 00:00", "2026-11-23 00:00"),
        ("month", "2026-11-01 00:00", "2026-12-01 00:00"),
    ],
)
def test_periods_are_calendar_ones(period: str, first: str, after: str) -> None:
    """A week begins on Monday, a month on its first, in the zone of the budget."""
    for zone in ZONES:
        noon = datetime(2026, 11, 21, 12, tzinfo=ZoneInfo(zone)).timestamp()
        start_s, end_s = window_of(Budget(1, period, zone), noon)
        assert (local(start_s, zone), local(end_s, zone)) == (first, after)


def test_a_total_has_no_end() -> None:
    """A total budget is one period from the beginning of time."""
    assert window_of(Budget(1), 1.0) == (0, FOREVER_S)
    assert window_of(Budget(1, "total", "Nowhere/Such"), 2e9) == (0, FOREVER_S)


@given(st.integers(0, 4_000_000_000), st.sampled_from(ZONES), st.sampled_from(["day", "week", "month"]))
def test_every_moment_lies_in_one_period(at_s: int, zone: str, period: str) -> None:
    """Windows hold their moment, and the next one begins where they end: no gap, no overlap."""
    budget = Budget(1, period, zone)
    start_s, end_s = window_of(budget, at_s)
    assert start_s <= at_s < end_s
    assert window_of(budget, end_s)[0] == end_s
    assert window_of(budget, start_s) == (start_s, end_s)
    assert window_of(budget, end_s - 1) == (start_s, end_s)


def test_days_of_usage_are_utc_days() -> None:
    """A day's number and its text name the same day."""
    midnight = int(datetime(2026, 11, 21, tzinfo=UTC).timestamp())
    assert day_text(day_number(midnight * 1_000_000)) == "2026-11-21"
    assert day_text(day_number(midnight * 1_000_000 - 1)) == "2026-11-20"
