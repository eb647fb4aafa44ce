"""Peak EWMA and the quantile of first tokens."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.routing.latency import KEPT, FirstTokens, PeakEwma


class TestPeakEwma:
    """The average."""

    def test_a_peak_counts_at_once(self) -> None:
        """A slower answer is believed at once, faster ones by and by."""
        average = PeakEwma()
        average.observe(0.0, 0.1, 10.0)
        average.observe(1.0, 5.0, 10.0)
        assert average.latency_s(1.0, 10.0) == 5.0
        average.observe(2.0, 0.1, 10.0)
        assert 0.1 < average.latency_s(2.0, 10.0) < 5.0

    def test_it_is_forgotten_over_time(self) -> None:
        """After ten decays nothing is left of a slow answer, so that the target is tried again."""
        average = PeakEwma()
        average.observe(0.0, 5.0, 10.0)
        assert average.latency_s(10.0, 10.0) == pytest.approx(5.0 / 2.71828, rel=1e-3)
        assert average.latency_s(100.0, 10.0) < 0.001

    def test_requests_under_way_cost(self) -> None:
        """The cost of a target rises with what is under way, and an unknown one gets one request at a time."""
        average = PeakEwma()
        assert average.cost(0.0, 10.0, 0) < 1e-5
        assert average.cost(0.0, 10.0, 1) > 100.0
        average.observe(0.0, 0.5, 10.0)
        assert average.cost(0.0, 10.0, 3) == 2.0


class TestFirstTokens:
    """The quantile."""

    @given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=KEPT - 1), st.floats(0.5, 0.999))
    def test_it_is_the_nearest_rank(self, times: list[float], share: float) -> None:
        """With few times it is exactly the one of that rank."""
        recent = FirstTokens()
        for took_s in times:
            recent.add(took_s)
        assert recent.quantile_s(share) == sorted(times)[min(int(share * len(times)), len(times) - 1)]

    def test_memory_is_bounded_and_the_old_is_forgotten(self) -> None:
        """After many fast answers nothing is left of the slow ones before, nor more than a ring of them."""
        recent = FirstTokens()
        for took_s in [9.0] * 1000 + [0.1] * (2 * KEPT):
            recent.add(took_s)
        assert recent.quantile_s(0.95) == 0.1
        assert len(recent._times) == KEPT

    def test_it_follows_a_distribution(self) -> None:
        """The 95th percentile of an exponential distribution is found within a third."""
        chance, recent = random.Random(7), FirstTokens()  # noqa: S311  a fixed seed
        for _ in range(4000):
            recent.add(chance.expovariate(1.0))
        assert recent.quantile_s(0.95) == pytest.approx(3.0, rel=0.33)

    def test_nothing_is_zero(self) -> None:
        """Without an answer there is no figure."""
        assert FirstTokens().quantile_s(0.95) == 0.0
