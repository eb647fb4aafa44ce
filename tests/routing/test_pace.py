"""Budgets, cooling down and backoff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.errors import UpstreamRateLimited
from tollhouse.routing.pace import Budget, Cooldown, backoff_s, retry_after_s


class TestBudget:
    """How many extra requests pass."""

    def test_a_share_of_the_requests(self) -> None:
        """With many requests a fifth of them may be repeated, and not one more."""
        budget = Budget(0.2, 0.0, 10.0)
        for _ in range(1000):
            budget.deposit(5.0)
        assert sum(budget.withdraw(5.0) for _ in range(500)) == 200
        assert (budget.spent, budget.refused) == (200, 300)

    def test_a_rate_where_there_are_few(self) -> None:
        """Without requests the fixed rate counts, and the two are not added up."""
        budget = Budget(0.2, 10.0, 10.0)
        assert sum(budget.withdraw(5.0) for _ in range(500)) == 100
        for _ in range(500):
            budget.deposit(5.0)
        assert not budget.withdraw(5.0)

    def test_it_comes_back(self) -> None:
        """What was spent is forgotten after the window."""
        budget = Budget(0.0, 1.0, 10.0)
        assert sum(budget.withdraw(3.0) for _ in range(20)) == 10
        assert not budget.withdraw(12.0)
        assert sum(budget.withdraw(13.5) for _ in range(20)) == 10

    def test_new_constants_count_at_once(self) -> None:
        """A reload changes what is allowed without forgetting what was spent."""
        budget = Budget(0.0, 1.0, 10.0)
        assert sum(budget.withdraw(3.0) for _ in range(20)) == 10
        budget.tune(0.0, 2.0, 10.0)
        assert sum(budget.withdraw(3.0) for _ in range(20)) == 10

    @given(
        st.lists(st.tuples(st.floats(0.0, 2.0), st.booleans()), max_size=300), st.floats(0.0, 0.5), st.floats(0.0, 5.0)
    )
    def test_never_over_the_share(self, steps: list[tuple[float, bool]], ratio: float, rate: float) -> None:
        """At every withdrawal, those of the last nine tenths of a window stay within the larger of rate and share."""
        budget, now = Budget(ratio, rate, 10.0), 0.0
        base: list[float] = []
        extra: list[float] = []
        for gap, asks in steps:
            now += gap
            if not asks:
                budget.deposit(now)
                base.append(now)
            elif budget.withdraw(now):
                extra.append(now)
                recent = [at for at in extra if at > now - 9.0]
                asked = [at for at in base if at > now - 11.0]
                assert len(recent) <= max(rate * 10.0, ratio * len(asked)) + 1


class TestCooldown:
    """How long a key is spared."""

    @pytest.mark.parametrize(
        ("said", "until"), [(7.0, 107.0), (1e9, 160.0), (0.0, 101.0), (-5.0, 101.0), (None, 101.0)]
    )
    def test_the_hosts_word_up_to_a_cap(self, said: float | None, until: float) -> None:
        """Retry-After counts up to the cap; none, zero and less than zero count as none."""
        cooldown = Cooldown()
        cooldown.start(100.0, said, 1.0, 60.0)
        assert cooldown.until == until

    def test_without_a_word_it_doubles(self) -> None:
        """Each 429 after a cooldown doubles it up to the cap, and a success starts again."""
        cooldown, now, spans = Cooldown(), 0.0, []
        for _ in range(9):
            cooldown.start(now, None, 1.0, 60.0)
            spans.append(cooldown.until - now)
            now = cooldown.until
        assert spans == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]
        cooldown.succeed()
        cooldown.start(now, None, 1.0, 60.0)
        assert cooldown.until == now + 1.0

    def test_many_answers_at_once_are_one_event(self) -> None:
        """A hundred 429s of requests under way do not make the wait longer than one."""
        cooldown = Cooldown()
        for _ in range(100):
            cooldown.start(0.0, None, 1.0, 60.0)
        assert cooldown.until <= 2.0


@given(st.integers(0, 1000), st.floats(0.0, 0.999999))
def test_backoff_has_full_jitter(attempt: int, draw: float) -> None:
    """A wait lies between nothing and the cap, grows with the attempt, and is the draw's share of its span."""
    wait = backoff_s(attempt, 0.1, 1.0, draw)
    assert 0.0 <= wait <= 1.0
    assert wait == pytest.approx(draw * min(1.0, 0.1 * 2 ** min(attempt, 30)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("9" * 40, None), ("٣", None)]
)
def test_a_hosts_word_is_read(text: str, seconds: float | None) -> None:
    """Only a whole number of seconds counts."""
    assert retry_after_s(UpstreamRateLimited("x", headers={"retry-after": text})) == seconds
