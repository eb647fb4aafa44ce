"""Figures: known values, ties, and edges."""

from array import array
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.safety.figures import (
    Confusion,
    average_precision,
    best_f1,
    confusion,
    recall_at_fpr,
    roc_area,
    threshold_at_fpr,
    threshold_sweep,
)

LABELS = [1, 0, 1, 0, 0]
SCORES = [0.9, 0.8, 0.7, 0.2, 0.1]
SCORED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=1, max_size=40)


def test_known_values() -> None:
    """By hand: steps of 1/2 at precision 1 and 2/3."""
    assert average_precision(LABELS, SCORES) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert roc_area(LABELS, SCORES) == pytest.approx(5 / 6)
    assert best_f1(LABELS, SCORES) == pytest.approx((0.8, 0.7))
    assert confusion(LABELS, SCORES, 0.7) == Confusion(2, 1, 0, 2)


@given(SCORED)
def test_ties_count_as_one_and_order_does_not_matter(rows: list[tuple[int, int]]) -> None:
    """Average precision by its definition over distinct scores, whatever order the rows come in."""
    labels, scores = zip(*rows, strict=True)
    expected, recall_before = 0.0, 0.0
    for score in sorted(set(scores), reverse=True):
        at = confusion(labels, scores, score)
        expected += (at.recall - recall_before) * at.precision
        recall_before = at.recall
    assert average_precision(labels, scores) == pytest.approx(expected)
    assert average_precision(labels[::-1], scores[::-1]) == average_precision(labels, scores)


@given(SCORED)
def test_the_area_is_the_chance_that_a_one_is_above_a_zero(rows: list[tuple[int, int]]) -> None:
    """Counted pair by pair, ties half."""
    ones = [score for label, score in rows if label]
    zeros = [score for label, score in rows if not label]
    pairs = [(one > zero) + (one == zero) / 2 for one in ones for zero in zeros]
    area = roc_area([label for label, _ in rows], [score for _, score in rows])
    assert area == pytest.approx(sum(pairs) / len(pairs) if pairs else 0.5)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.sampled_from([0.0, 0.01, 0.1, 0.5]))
def test_a_threshold_keeps_its_rate(negatives: list[float], rate: float) -> None:
    """At most that share reaches it, ties included."""
    threshold = threshold_at_fpr(negatives, rate)
    assert sum(score >= threshold for score in negatives) <= rate * len(negatives)


def test_recall_at_a_rate_is_that_of_its_threshold() -> None:
    """With no false positive allowed only what is above every 0 counts."""
    assert recall_at_fpr(LABELS, SCORES, 0.0) == 0.5
    assert recall_at_fpr(LABELS, SCORES, 0.34) == 1.0


def test_edges() -> None:
    """Nothing, only ones, only zeros: numbers, not errors."""
    for empty in ([], [0, 0]):
        scores = [0.5] * len(empty)
        assert average_precision(empty, scores) == 0.0
        assert roc_area(empty, scores) == 0.5
        assert best_f1(empty, scores) == (0.0, 0.0)
        assert recall_at_fpr(empty, scores, 0.1) == 0.0
    assert average_precision([1, 1], [0.1, 0.2]) == 1.0
    assert Confusion(0, 0, 0, 0).precision == 1.0
    assert (Confusion(0, 0, 0, 0).recall, Confusion(0, 0, 0, 0).f1, Confusion(0, 0, 0, 0).false_positive_rate) == (
        0,
        0,
        0,
    )
    assert [cut for cut, _ in threshold_sweep(LABELS, SCORES, [0.1, 0.5])] == [0.1, 0.5]


def test_numbers_of_any_kind_will_do() -> None:
    """What can be gone through once is enough, and what comes out is plain numbers."""
    labels, scores = array("b", LABELS), array("d", SCORES)
    for figure in (average_precision, roc_area, best_f1):
        assert figure(labels, scores) == figure(iter(LABELS), iter(SCORES)) == figure(LABELS, SCORES)
    assert confusion(labels, scores, 0.7) == confusion(iter(LABELS), iter(SCORES), 0.7)
    with pytest.raises(ValueError, match="zip"):
        roc_area(LABELS, SCORES[1:])


def test_what_is_beyond_all_numbers() -> None:
    """Infinite scores rank as they should. A NaN is never flagged, ranks last, and leaves no threshold below it."""
    assert roc_area([1, 0, 0], [inf, 0.5, -inf]) == 1.0
    assert threshold_at_fpr([inf, 0.5], 0.5) > 0.5
    assert average_precision([1, 0, 1], [0.9, 0.5, nan]) == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert confusion([1, 0], [nan, nan], -inf) == Confusion(0, 0, 1, 1)
    assert isnan(threshold_at_fpr([0.1, nan, 0.2], 0.0))
    assert recall_at_fpr([1, 0], [1.0, nan], 0.0) == 0.0


def test_the_highest_of_equal_thresholds_is_told() -> None:
    """Two thresholds with the same F1: the one that flags less."""
    assert best_f1([1, 0, 0, 1], [0.9, 0.8, 0.7, 0.6]) == (2 / 3, 0.9)
