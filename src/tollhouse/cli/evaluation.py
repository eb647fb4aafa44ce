"""How good the classifier is on texts of an operator's own: the figures of ``tollhouse safety eval``.

Each category is measured on the texts whose label is known. ``any`` is a harm of whatever kind: 1 where one is, 0 where
labels are known and none is; its score is the highest of the harms'.
"""

from collections.abc import Callable, Sequence
from math import ceil

from msgspec import Struct

from tollhouse.cli.labelled import Row
from tollhouse.safety import figures
from tollhouse.safety.classifier import HEADS, Classifier
from tollhouse.safety.figures import Confusion
from tollhouse.types.safety import HARMS, SEVERITIES

ANY = "any"
RATES = (0.01, 0.002, 0.0005)
"""False-positive rates, unless others are asked for: those that the shipped thresholds were chosen by."""
_STEPS = 100


class AtRate(Struct, frozen=True):
    """The threshold that flags at most a share of the 0s, and what it finds."""

    rate: float
    threshold: float
    recall: float


class Figures(Struct, frozen=True):
    """One category."""

    category: str
    texts: int
    positives: int
    auprc: float
    auc: float
    best_f1: float
    best_threshold: float
    at_rates: tuple[AtRate, ...]
    at_levels: dict[str, tuple[float, Confusion]]
    """By severity: the shipped threshold, and what it does. Empty for `ANY`, which has none."""
    curve: tuple[tuple[float, float], ...]
    """Points of rising recall, and the precision there; empty without positives."""


def evaluate(
    classifier: Classifier,
    rows: Sequence[Row],
    rates: Sequence[float] = RATES,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Figures]:
    """The figures of every category of which labels are known; ``progress`` is told the share that was read."""
    scores: list[tuple[float, ...]] = []
    for row in rows:
        scores.append(classifier.read(row.text).scores)
        progress(len(scores) / len(rows))
    found = []
    for head, name in enumerate(HEADS):
        known = [(row.labels[name], given[head]) for row, given in zip(rows, scores, strict=True) if name in row.labels]
        if known:
            found.append(_figures(name, known, rates, classifier.thresholds[name]))
    columns = [HEADS.index(name) for name in HARMS]
    harms = [
        (max(row.labels.get(name, 0) for name in HARMS), max(given[column] for column in columns))
        for row, given in zip(rows, scores, strict=True)
        if not row.labels.keys().isdisjoint(HARMS)
    ]
    if harms:
        found.append(_figures(ANY, harms, rates, ()))
    return found


def _figures(
    name: str, known: Sequence[tuple[int, float]], rates: Sequence[float], thresholds: tuple[float, ...]
) -> Figures:
    labels, scores = zip(*known, strict=True)
    negatives = [score for label, score in known if not label]
    best_f1, best_threshold = figures.best_f1(labels, scores)
    at_rates = [
        AtRate(rate, figures.threshold_at_fpr(negatives, rate), figures.recall_at_fpr(labels, scores, rate))
        for rate in rates
    ]
    return Figures(
        name,
        len(labels),
        sum(labels),
        figures.average_precision(labels, scores),
        figures.roc_area(labels, scores),
        best_f1,
        best_threshold,
        tuple(at_rates),
        dict(zip(SEVERITIES[1:], figures.threshold_sweep(labels, scores, thresholds), strict=False)),
        _curve(labels, scores),
    )


def _curve(labels: Sequence[int], scores: Sequence[float]) -> tuple[tuple[float, float], ...]:
    """Precision at each hundredth of recall that there is."""
    positives = sorted((score for label, score in zip(labels, scores, strict=True) if label), reverse=True)
    share = len(positives) / _STEPS
    ranks = sorted({min(ceil(step * share), len(positives)) for step in range(1, _STEPS + 1)} - {0})
    swept = figures.threshold_sweep(labels, scores, [positives[rank - 1] for rank in ranks])
    return tuple((found.recall, found.precision) for _, found in swept)


def as_json(found: Figures) -> dict[str, object]:
    """One category as ``--json`` has it."""
    return {
        "category": found.category,
        "texts": found.texts,
        "positives": found.positives,
        "auprc": found.auprc,
        "auc": found.auc,
        "best_f1": {"f1": found.best_f1, "threshold": found.best_threshold},
        "at_false_positive_rates": [
            {"rate": one.rate, "threshold": one.threshold, "recall": one.recall} for one in found.at_rates
        ],
        "at_severities": {
            level: {
                "threshold": threshold,
                **counts._asdict(),
                "precision": counts.precision,
                "recall": counts.recall,
                "false_positive_rate": counts.false_positive_rate,
            }
            for level, (threshold, counts) in found.at_levels.items()
        },
        "precision_over_recall": [list(point) for point in found.curve],
    }
