"""How good a classifier is: the figures of the model card, of `tollhouse safety eval`, and of tests that re-check them.

Pure arithmetic over labels (0 or 1) and scores (higher is more likely 1), which may be of any kind that can be gone
through. Ties are counted as they are: texts of equal score are taken together, so the order of the rows never matters.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import fsum, inf, isnan, nextafter
from operator import itemgetter, le
from typing import NamedTuple

Numbers = Iterable[float]
Point = tuple[float, int, int]
"""A score that occurs, and how many 1s and how many texts reach it."""

_START = (inf, 0, 0)


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


def average_precision(labels: Numbers, scores: Numbers) -> float:
    """The area under the curve of precision over recall, as steps (AUPRC): 0 where no label is 1."""
    curve = _curve(labels, scores)
    _, positives, _ = curve[-1]
    if not positives:
        return 0.0
    return fsum((hits - before) * hits / flagged for (_, before, _), (_, hits, flagged) in pairwise(curve)) / positives


def roc_area(labels: Numbers, scores: Numbers) -> float:
    """How likely a 1 scores above a 0 (AUC); a tie counts half. One half where there are not both."""
    counts = [(hits, flagged - hits) for _, hits, flagged in _curve(labels, scores)]
    positives, negatives = counts[-1]
    if not positives or not negatives:
        return 0.5
    doubled = sum((before + hits) * (misses - fewer) for (before, fewer), (hits, misses) in pairwise(counts))
    return doubled / (2 * positives * negatives)


def threshold_at_fpr(negatives: Numbers, rate: float) -> float:
    """The least score that at most ``rate`` of these texts reach or exceed, as a score just above one of theirs. A NaN
    counts as the highest of all.
    """
    given = list(map(float, negatives))
    numbers = sorted((score for score in given if not isnan(score)), reverse=True)
    ordered = [*filter(isnan, given), *numbers]
    allowed = int(len(ordered) * rate)
    return nextafter(ordered[allowed], inf) if allowed < len(ordered) else 0.0


def recall_at_fpr(labels: Numbers, scores: Numbers, rate: float) -> float:
    """The share of the 1s that are flagged where at most ``rate`` of the 0s are."""
    ones, zeros = _parted(labels, scores)
    return _reaching(ones, threshold_at_fpr(zeros, rate)) / len(ones) if ones else 0.0


def confusion(labels: Numbers, scores: Numbers, threshold: float) -> Confusion:
    """What flagging every score from ``threshold`` on does."""
    return _confusion(*_parted(labels, scores), threshold)


def threshold_sweep(labels: Numbers, scores: Numbers, thresholds: Iterable[float]) -> list[tuple[float, Confusion]]:
    """What each of several thresholds does."""
    ones, zeros = _parted(labels, scores)
    return [(threshold, _confusion(ones, zeros, threshold)) for threshold in thresholds]


def best_f1(labels: Numbers, scores: Numbers) -> tuple[float, float]:
    """The best F1 that any threshold reaches, and the highest threshold that does."""
    curve = _curve(labels, scores)
    _, positives, _ = curve[-1]
    if not positives:
        return 0.0, 0.0
    f1 = [2 * hits / (flagged + positives) for _, hits, flagged in curve]
    best = f1.index(max(f1))
    return f1[best], curve[best][0]


def _parted(labels: Numbers, scores: Numbers) -> tuple[list[float], list[float]]:
    """The scores of the 1s, and of the 0s."""
    rows = [(label > 0, float(score)) for label, score in zip(labels, scores, strict=True)]
    return [score for is_one, score in rows if is_one], [score for is_one, score in rows if not is_one]


def _confusion(ones: Sequence[float], zeros: Sequence[float], threshold: float) -> Confusion:
    hits, alarms = _reaching(ones, threshold), _reaching(zeros, threshold)
    return Confusion(hits, alarms, len(ones) - hits, len(zeros) - alarms)


def _reaching(scores: Iterable[float], threshold: float) -> int:
    return sum(map(partial(le, float(threshold)), scores))


def _curve(labels: Numbers, scores: Numbers) -> list[Point]:
    """From nothing that is flagged, each score that occurs, from the highest; each NaN comes last."""
    rows = [(float(score), bool(label > 0)) for label, score in zip(labels, scores, strict=True)]
    numbers = sorted((row for row in rows if not isnan(row[0])), key=itemgetter(0), reverse=True)
    return [_START, *_points([*numbers, *(row for row in rows if isnan(row[0]))])]


def _points(rows: Sequence[tuple[float, bool]]) -> Iterator[Point]:
    hits = 0
    for flagged, (score, is_one) in enumerate(rows, 1):
        hits += is_one
        if flagged == len(rows) or rows[flagged][0] != score:
            yield score, hits, flagged
