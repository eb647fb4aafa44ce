"""How good a classifier is: the figures of the model card, of `tollhouse safety eval`, and of tests that re-check them.

Pure arithmetic over labels (0 or 1) and scores (higher is more likely 1). Ties are counted as they are: texts of equal
score are taken together, so the order of the rows never matters.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]


class Confusion(NamedTuple):
    """What a threshold does."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Of what is flagged, the share that should be: 1 where nothing is."""
        flagged = self.true_positives + self.false_positives
        return self.true_positives / flagged if flagged else 1.0

    @property
    def recall(self) -> float:
        """Of what should be flagged, the share that is: 0 where nothing should."""
        positives = self.true_positives + self.false_negatives
        return self.true_positives / positives if positives else 0.0

    @property
    def false_positive_rate(self) -> float:
        """Of what should not be flagged, the share that is: 0 where everything should."""
        negatives = self.false_positives + self.true_negatives
        return self.false_positives / negatives if negatives else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        both = 2 * self.true_positives + self.false_positives + self.false_negatives
        return 2 * self.true_positives / both if both else 0.0


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """The area under the curve of precision over recall, as steps (AUPRC): 0 where no label is 1."""
    hits, flagged, _ = _curve(labels, scores)
    if not len(hits) or not hits[-1]:
        return 0.0
    gained = np.diff(hits, prepend=0.0)
    return float((gained * hits / flagged).sum() / hits[-1])


def roc_area(labels: ArrayLike, scores: ArrayLike) -> float:
    """How likely a 1 scores above a 0 (AUC); a tie counts half. One half where there are not both."""
    hits, flagged, _ = _curve(labels, scores)
    misses = flagged - hits
    if not len(hits) or not hits[-1] or not misses[-1]:
        return 0.5
    heights = hits - np.diff(hits, prepend=0.0) / 2
    return float((heights * np.diff(misses, prepend=0.0)).sum() / (hits[-1] * misses[-1]))


def threshold_at_fpr(negatives: ArrayLike, rate: float) -> float:
    """The least score that at most ``rate`` of these texts reach or exceed, as a score just above one of theirs."""
    ordered = np.sort(np.asarray(negatives, np.float64))[::-1]
    allowed = int(len(ordered) * rate)
    if allowed >= len(ordered):
        return 0.0
    return float(np.nextafter(ordered[allowed], np.inf))


def recall_at_fpr(labels: ArrayLike, scores: ArrayLike, rate: float) -> float:
    """The share of the 1s that are flagged where at most ``rate`` of the 0s are."""
    truth, given = np.asarray(labels) > 0, np.asarray(scores, np.float64)
    if not truth.any():
        return 0.0
    return float((given[truth] >= threshold_at_fpr(given[~truth], rate)).mean())


def confusion(labels: ArrayLike, scores: ArrayLike, threshold: float) -> Confusion:
    """What flagging every score from ``threshold`` on does."""
    truth, flagged = np.asarray(labels) > 0, np.asarray(scores, np.float64) >= threshold
    return Confusion(
        int((truth & flagged).sum()),
        int((~truth & flagged).sum()),
        int((truth & ~flagged).sum()),
        int((~truth & ~flagged).sum()),
    )


def threshold_sweep(labels: ArrayLike, scores: ArrayLike, thresholds: Sequence[float]) -> list[tuple[float, Confusion]]:
    """What each of several thresholds does."""
    return [(threshold, confusion(labels, scores, threshold)) for threshold in thresholds]


def best_f1(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """The best F1 that any threshold reaches, and the threshold."""
    hits, flagged, values = _curve(labels, scores)
    if not len(hits) or not hits[-1]:
        return 0.0, 0.0
    f1 = 2 * hits / (flagged + hits[-1])
    best = int(f1.argmax())
    return float(f1[best]), float(values[best])


def _curve(labels: ArrayLike, scores: ArrayLike) -> tuple[Numbers, Numbers, Numbers]:
    """For each score that occurs, from the highest: the 1s and the texts that reach it, and the score."""
    given = np.asarray(scores, np.float64)
    order = np.argsort(-given, kind="stable")
    ordered, truth = given[order], (np.asarray(labels) > 0)[order]
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(ordered) else np.array([], np.intp)
    return truth.cumsum()[last].astype(np.float64), (last + 1).astype(np.float64), ordered[last]
