"""`safety.judges.findings`: from a judge's words to ours."""

import pytest

from tests.safety.judges.kit import judge
from tollhouse.safety.judges.asked import Said
from tollhouse.safety.judges.findings import findings, own_name
from tollhouse.types.safety import HIGH, LOW, MEDIUM, Finding

TABLE = {"Both": ("hate", "violence"), "H": ("hate",), "J": ("jailbreak",)}


def test_of_one_category_the_worst_stands() -> None:
    """Two labels of one category are one finding: the higher level, then the higher score."""
    said = [Said("H", LOW, 0.9), Said("Both", MEDIUM, 0.2), Said("Both", MEDIUM, 0.4), Said("H", LOW, 1.0)]
    assert findings(said, judge("webhook"), TABLE) == (
        Finding("hate", MEDIUM, "j", 0.4),
        Finding("violence", MEDIUM, "j", 0.4),
    )


def test_what_is_safe_is_no_finding() -> None:
    """A category that was looked at and found safe is not told."""
    assert findings([Said("H", 0, 0.4)], judge("webhook"), TABLE) == ()


def test_a_detection_knows_no_degrees() -> None:
    """A jailbreak of any level is high: clients are told of it as detected or not."""
    assert findings([Said("J", LOW)], judge("webhook"), TABLE) == (Finding("jailbreak", HIGH, "j"),)


@pytest.mark.parametrize(("score", "level"), [(0.1, 0), (0.2, LOW), (0.5, MEDIUM), (0.89, MEDIUM), (0.9, HIGH)])
def test_stated_thresholds_go_over_the_judges_own_level(score: float, level: int) -> None:
    """A probability is graded by the operator's steps, up or down, each of which it has to reach."""
    own = judge("webhook", thresholds={"hate": (0.2, 0.5, 0.9)})
    assert sum(one.level for one in findings([Said("H", HIGH if score < 0.5 else 0, score)], own, TABLE)) == level


def test_thresholds_of_what_has_no_score_change_nothing() -> None:
    """Without a probability there is nothing to compare."""
    own = judge("webhook", thresholds={"hate": (0.2, 0.5, 0.9)})
    assert findings([Said("H", LOW)], own, TABLE) == (Finding("hate", LOW, "j"),)


def test_the_operators_words_go_over_the_table() -> None:
    """A label may be given another category, or left out."""
    own = judge("webhook", categories={"H": "bullying", "Both": ""})
    assert findings([Said("H", LOW), Said("Both", HIGH)], own, TABLE) == (Finding("bullying", LOW, "j"),)


@pytest.mark.parametrize(
    ("label", "name"),
    [("Medical Advice!", "medical_advice"), ("  ", "harm"), ("é", "harm"), ("S15", "s15"), ("x" * 99, "x" * 64)],
)
def test_a_label_that_nobody_knows_keeps_its_name(label: str, name: str) -> None:
    """As far as it can be one: small letters, digits and underscores, 64 at most."""
    assert own_name(label) == name
