"""The sliding minute, against an oracle that looks at every window there is."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.limits_kit import MINUTE, SECOND
from tollhouse.gateway.windows import MOST_CELLS, QUANTUM_NS, Cell, Window, go_duration

GAPS = st.one_of(
    st.integers(0, 3),
    st.integers(0, 50_000_000),
    st.integers(0, 2 * SECOND),
    st.sampled_from([0, QUANTUM_NS, QUANTUM_NS - 1, SECOND, MINUTE - 1, MINUTE, MINUTE + 1, 61 * SECOND]),
)
ARRIVALS = st.lists(st.tuples(GAPS, st.integers(1, 12)), max_size=120)


def most_in_a_minute(log: list[tuple[int, int]]) -> int:
    """The largest sum over every half-open minute that ends with an entry: no other minute holds more."""
    return max((sum(n for at, n in log[: i + 1] if at > log[i][0] - MINUTE) for i in range(len(log))), default=0)


@given(ARRIVALS, st.integers(1, 40), st.integers(0, 300))
def test_no_minute_holds_more_than_the_limit(arrivals: list[tuple[int, int]], limit: int, crowd: int) -> None:
    """Any sixty seconds hold at most the limit (I24), and what is refused would not fit into its minute and a quantum,
    however many cells the window has.
    """
    window, log, now = Window(limit + crowd), [], 7 * SECOND
    for _ in range(crowd):  # so many moments that later ones share cells
        window.room(now)
        window.add(now, 1)
        log.append((now, 1))
        now += 1
    for gap, amount in arrivals:
        now += gap
        if window.room(now) >= amount:
            window.add(now, amount)
            log.append((now, amount))
        else:
            lately = sum(n for at, n in log if at > now - MINUTE - QUANTUM_NS)
            assert lately + amount > window.limit
        assert len(window) <= MOST_CELLS
    assert most_in_a_minute(log) <= window.limit


@given(ARRIVALS, st.integers(12, 40), st.integers(1, 12))
def test_a_wait_is_true_and_no_longer_than_needed(arrivals: list[tuple[int, int]], limit: int, amount: int) -> None:
    """After the named wait the amount fits, and a nanosecond earlier it does not."""
    window, now = Window(limit), 7 * SECOND
    for gap, size in arrivals:
        now += gap
        if window.room(now) >= size:
            window.add(now, size)
    wait = window.wait(now, amount)
    assert wait >= 0
    if wait:
        assert window.room(now + wait - 1) < amount
    assert window.room(now + wait) >= amount


@given(ARRIVALS)
def test_the_reset_is_when_nothing_is_left(arrivals: list[tuple[int, int]]) -> None:
    """After the named reset the window is empty, and a nanosecond earlier it is not."""
    window, now = Window(10**6), 7 * SECOND
    for gap, size in arrivals:
        now += gap
        window.room(now)
        window.add(now, size)
    reset = window.reset(now)
    assert (reset == 0) == (window.used == 0)
    if reset:
        assert window.room(now + reset - 1) < window.limit
    assert window.room(now + reset) == window.limit


@given(ARRIVALS, st.integers(0, 400))
def test_what_is_taken_out_leaves_no_trace(arrivals: list[tuple[int, int]], crowd: int) -> None:
    """A window into which something was put and out of which it was taken again is the window without it."""
    touched, plain, now = Window(10**6), Window(10**6), 7 * SECOND
    for number in range(crowd):
        for window in (touched, plain):
            window.room(now + number)
            window.add(now + number, 1)
    now += crowd
    for gap, size in arrivals:
        now += gap
        if size % 2:
            for window in (touched, plain):
                window.room(now)
                window.add(now, size)
        touched.room(now)
        cell = touched.add(now, size)
        touched.change(cell, -size)
        assert (touched.room(now), touched.reset(now)) == (plain.room(now), plain.reset(now))
        assert touched.wait(now, 10**6) == plain.wait(now, 10**6)


@pytest.mark.parametrize("limit", [1, 60, 500, 3000])
@pytest.mark.parametrize("pace_ns", [1_000_003, 9_999_991, 137_000_011])
def test_ten_minutes_of_pressure_admit_the_limit(limit: int, pace_ns: int) -> None:
    """Ten minutes at more than the limit admit ten times the limit, within two in a hundred (B5)."""
    window, admitted, offered, now = Window(limit), 0, 0, 11 * SECOND
    end = now + 10 * MINUTE
    while now < end:
        offered += 1
        if window.room(now) >= 1:
            window.add(now, 1)
            admitted += 1
            now += pace_ns
        else:
            now += window.wait(now, 1)
    demand = min(10 * limit, 10 * MINUTE // pace_ns)
    assert 0.98 * demand <= admitted <= 10 * limit


def test_ten_minutes_of_large_amounts_admit_the_limit() -> None:
    """Tokens in lumps of many sizes fill the minutes too: within two in a hundred and the last lump's size."""
    window, admitted, now = Window(90_000), 0, 11 * SECOND
    end, number = now + 10 * MINUTE, 0
    while now < end:
        number += 1
        size = 20 + number * 7919 % 400
        if window.room(now) < size:
            now += window.wait(now, size)
            continue
        window.add(now, size)
        admitted += size
        now += 11_000_000
    assert 0.98 * 900_000 <= admitted <= 900_000


def test_memory_is_bounded_however_many_come() -> None:
    """A hundred thousand moments in a minute take no more than the stated number of cells."""
    window, most = Window(10**9), 0
    for number in range(100_000):
        now = 7 * SECOND + number * 1_200_000
        window.room(now)
        window.add(now, 1)
        most = max(most, len(window))
    assert most <= MOST_CELLS


def test_a_clock_that_stands_admits_the_limit_once() -> None:
    """On a frozen clock the limit passes and then nothing does; the window holds one cell."""
    window, now = Window(50), 7 * SECOND
    admitted = 0
    for _ in range(500):
        if window.room(now) >= 1:
            window.add(now, 1)
            admitted += 1
    assert (admitted, len(window), window.wait(now, 1)) == (50, 1, MINUTE)


def test_a_clock_that_steps_back_admits_no_more() -> None:
    """Were a clock to go back, what was admitted would count from the later moment."""
    window = Window(2)
    window.add(100 * SECOND, 1)
    window.add(40 * SECOND, 1)
    assert window.room(100 * SECOND + MINUTE - 1) == 0
    assert window.room(100 * SECOND + MINUTE) == 2


def test_a_cell_lets_go_when_its_minute_is_over() -> None:
    """What left the window can no longer be corrected in it."""
    window = Window(5)
    cell: Cell = window.add(SECOND, 5)
    assert cell.window is window
    assert window.room(SECOND + MINUTE - 1) == 0
    assert window.room(SECOND + MINUTE) == 5
    assert cell.window is None


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0s"),
        (1, "1ms"),
        (12_000_000, "12ms"),
        (999_000_001, "1s"),
        (SECOND, "1s"),
        (1_500_000_000, "1.5s"),
        (59_999_000_000, "59.999s"),
        (59_999_000_001, "1m0s"),
        (60 * SECOND + 250_000_000, "1m0.25s"),
        (360 * SECOND, "6m0s"),
    ],
)
def test_durations_are_spelled_as_go_does(duration_ns: int, text: str) -> None:
    """A reset reads as OpenAI's headers spell it, rounded up to the millisecond."""
    assert go_duration(duration_ns) == text


@given(st.integers(0, 3600 * SECOND - 1))
def test_a_duration_is_never_understated(duration_ns: int) -> None:
    """Read back, a duration is the one that was written or up to a millisecond more."""
    text = go_duration(duration_ns)
    minutes, _, rest = text.rpartition("m") if not text.endswith("ms") else ("", "", text)
    seconds = float(rest.removesuffix("ms")) / 1000 if rest.endswith("ms") else float(rest.removesuffix("s"))
    told = round((int(minutes or 0) * 60 + seconds) * SECOND)
    assert duration_ns <= told < duration_ns + 1_000_000 + 1


def test_sums_agree_with_the_log() -> None:
    """``used`` is the sum of what the last minute holds."""
    window, amounts = Window(10**6), [3, 1, 4, 1, 5, 9, 2, 6]
    for number, total in enumerate(accumulate(amounts)):
        window.add(number * SECOND, amounts[number])
        assert window.used == total
    assert window.room(MINUTE) == 10**6 - sum(amounts[1:])
