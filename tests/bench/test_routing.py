"""What the measurement of routing decides, without its clock."""

import pytest
from bench.routing import STRATEGIES, TARGETS, Row, auto_of, auto_route, decision_of, pool, table

_FEWEST_MODELS = 300


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pool_that_is_well_is_chosen_from(strategy: str) -> None:
    """With every target well, each strategy finds as many targets as were asked for, out of 50."""
    assert len(pool(strategy).candidates) == TARGETS
    assert len(decision_of(strategy, well=True)().picks) == 3


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_pool_in_trouble_has_nobody(strategy: str) -> None:
    """With every target failing or rate limited, a decision looks at all of them and finds none."""
    decision = decision_of(strategy, well=False)()
    assert not decision.picks
    assert len(decision.skipped) == TARGETS


@pytest.mark.parametrize("kind", ["small", "agent"])
def test_auto_chooses_among_hundreds(kind: str) -> None:
    """Auto finds targets for both requests among at least 300 models."""
    auto = auto_route().auto
    assert auto is not None
    assert len(auto.members) >= _FEWEST_MODELS
    assert auto_of(kind)().picks


def test_a_figure_over_its_target_misses_it() -> None:
    """A figure is held against its target, where there is one."""
    text = table([Row("a", 15.1, 15.0), Row("b", 15.0, 15.0), Row("c", 99.0, None)])
    assert text.splitlines()[2:] == ["| a | 15.1 | <= 15 missed |", "| b | 15.0 | <= 15 met |", "| c | 99.0 |  |"]
