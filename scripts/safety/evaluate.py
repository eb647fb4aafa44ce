"""Every figure of the model card, from data and weights. Called by ``train.py``; also runs alone.

    python scripts/safety/evaluate.py DATA        what the shipped weights say of held-out rows

Texts are judged as the gateway judges them: in windows, with all views. The moderation rows are not in what this prints
when it runs alone, because the shipped weights have learned from them.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from data import (
    BENIGN,
    CROSS_VALIDATED,
    KNOWN_JAILBREAKS,
    Rows,
    harmless_prompts,
    openings,
    our_plain_lines,
    read_rows,
)
from evasion import EVASIONS
from ordinary import everyday_texts, sentences_held_out

from tollhouse.safety.classifier import HEADS, Classifier
from tollhouse.safety.figures import average_precision, best_f1, confusion, recall_at_fpr, roc_area, threshold_at_fpr

RATES = (0.01, 0.002, 0.0005)
"""Of benign texts, the share that may be told low, medium and high, for each head."""
HARMS = HEADS[:4]
JAILBREAK = HEADS.index("jailbreak")
_MOST_EVADING = 60
_NEEDLE_AT, _HAY = 2000, 3900
_LINE, _PAGE, _PAGES = (50, 110), 1000, 20_000
"""Characters of a harmful line that is hidden, of the harmless text it is hidden in, and of what that is cut from."""


def scores_of(classifier: Classifier, texts: list[str]) -> np.ndarray:
    """The scores of each text's worst windows: a row per text, a column per head."""
    return np.array([classifier.read(text).scores for text in texts]).reshape(-1, len(HEADS))


def benign_rows(rows: Rows) -> np.ndarray:
    """The places of the rows that thresholds are chosen on."""
    return np.flatnonzero(rows.held_out & rows.of(*BENIGN))


def chosen_thresholds(classifier: Classifier, rows: Rows) -> np.ndarray:
    """For each head the scores that at most `RATES` of benign texts, of their beginnings and of our sentences reach."""
    texts = [rows.texts[place] for place in benign_rows(rows)]
    scores = [scores_of(classifier, each) for each in (texts, openings(texts), sentences_held_out())]
    return np.array(
        [
            [max(threshold_at_fpr(each[:, head], rate) for each in scores) for rate in RATES]
            for head in range(len(HEADS))
        ]
    )


def figures(classifier: Classifier, rows: Rows, moderated: np.ndarray, crossed: np.ndarray) -> dict[str, Any]:
    """All figures; ``crossed`` are the scores of the moderation rows by models that had not seen them."""
    return {"openai_cross_validated": _cross_validated(classifier, rows, moderated, crossed)} | held_out(
        classifier, rows
    )


def held_out(classifier: Classifier, rows: Rows) -> dict[str, Any]:
    """The figures that need only the weights and rows they have not seen."""
    seen = rows.held_out & (rows.sources != CROSS_VALIDATED)
    places = np.flatnonzero(seen)
    scores = np.zeros((len(rows.texts), len(HEADS)))
    scores[places] = scores_of(classifier, [rows.texts[place] for place in places])
    return {
        "thresholds": {head: [round(cut, 4) for cut in cuts] for head, cuts in classifier.thresholds.items()},
        "jailbreak": _jailbreak(rows, scores),
        "benign": _benign(classifier, rows, scores),
        "held_out": _held_out(classifier, rows, scores, seen),
        "evasion": _evasion(classifier, rows, scores, seen),
        "openings": _flagged(classifier, openings([rows.texts[place] for place in benign_rows(rows)])),
        "sentences": _flagged(classifier, sentences_held_out()),
        "plain": _plain(classifier),
        "everyday": _flagged(classifier, everyday_texts()),
        "harmless_prompts": _flagged(classifier, harmless_prompts()),
        "needle": _needle(classifier, rows),
        "line": _line(classifier, rows, scores),
    }


def _cross_validated(classifier: Classifier, rows: Rows, moderated: np.ndarray, crossed: np.ndarray) -> dict[str, Any]:
    labels = rows.labels[moderated]
    found: dict[str, Any] = {}
    for place, head in enumerate(HARMS):
        known = labels[:, place] >= 0
        found[head] = _of_head(labels[known, place], crossed[known, place], classifier.thresholds[head])
    known = rows.hate_alone[moderated] >= 0
    found["hate_without_harassment"] = {
        "auprc": _rounded(average_precision(rows.hate_alone[moderated][known], crossed[known, 0]))
    }
    worst = crossed[:, : len(HARMS)].max(axis=1)
    harmful = rows.harmful[moderated]
    found["any"] = {
        "rows": len(harmful),
        "positive": int(harmful.sum()),
        "auprc": _rounded(average_precision(harmful, worst)),
        "auc": _rounded(roc_area(harmful, worst)),
        "best_f1": _rounded(best_f1(harmful, worst)[0]),
    }
    return found


def _of_head(labels: np.ndarray, scores: np.ndarray, cuts: tuple[float, float, float]) -> dict[str, Any]:
    at = [confusion(labels, scores, cut) for cut in cuts]
    return {
        "rows": len(labels),
        "positive": int(labels.sum()),
        "auprc": _rounded(average_precision(labels, scores)),
        "auc": _rounded(roc_area(labels, scores)),
        "best_f1": _rounded(best_f1(labels, scores)[0]),
        "precision": [_rounded(each.precision) for each in at],
        "recall": [_rounded(each.recall) for each in at],
    }


def _jailbreak(rows: Rows, scores: np.ndarray) -> dict[str, Any]:
    attacks = rows.held_out & (rows.sources == KNOWN_JAILBREAKS)
    clean = rows.held_out & (rows.labels[:, JAILBREAK] == 0)
    both = attacks | clean
    labels, given = attacks[both], scores[both, JAILBREAK]
    return {
        "attacks": int(attacks.sum()),
        "benign": int(clean.sum()),
        "auprc": _rounded(average_precision(labels, given)),
        "recall_at_0.1_percent": _rounded(recall_at_fpr(labels, given, 0.001)),
    }


def _levels(classifier: Classifier, scores: np.ndarray) -> np.ndarray:
    cuts = np.array([classifier.thresholds[head] for head in HEADS])
    levels: np.ndarray = (scores[:, :, None] >= cuts).sum(axis=2)
    return levels


def _benign(classifier: Classifier, rows: Rows, scores: np.ndarray) -> dict[str, Any]:
    places = benign_rows(rows)
    levels = _levels(classifier, scores[places]).max(axis=1)
    found: dict[str, Any] = {"all": _shares(levels)}
    for source in sorted(set(rows.sources[places])):
        found[str(source)] = _shares(levels[rows.sources[places] == source])
    return found


def _shares(levels: np.ndarray) -> dict[str, Any]:
    return {"texts": len(levels), "at_least": [_rounded((levels >= level).mean(), 4) for level in (1, 2, 3)]}


def _held_out(classifier: Classifier, rows: Rows, scores: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    found = {}
    for place, head in enumerate(HARMS):
        known = seen & (rows.labels[:, place] >= 0)
        found[head] = _of_head(rows.labels[known, place], scores[known, place], classifier.thresholds[head])
    return found


def _evasion(classifier: Classifier, rows: Rows, scores: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    """Of texts that are told medium or higher as they are: the share that still is when written to evade."""
    found: dict[str, Any] = {}
    for place, head in enumerate(HEADS):
        medium = classifier.thresholds[head][1]
        caught = np.flatnonzero(seen & (rows.labels[:, place] == 1) & (scores[:, place] >= medium))[:_MOST_EVADING]
        texts = [rows.texts[each] for each in caught]
        found[head] = {"texts": len(texts)} | {
            name: _rounded((scores_of(classifier, [write(text) for text in texts])[:, place] >= medium).mean(), 2)
            for name, write in EVASIONS.items()
        }
    return found


def _flagged(classifier: Classifier, texts: list[str]) -> dict[str, Any]:
    return _shares(_levels(classifier, scores_of(classifier, texts)).max(axis=1))


def _plain(classifier: Classifier) -> dict[str, Any]:
    """Of our plain lines of held-out sentences: harmful ones by the heads that should tell them, their twins by any."""
    lines = [line for line in our_plain_lines() if line.held_out]
    levels = _levels(classifier, scores_of(classifier, [line.text for line in lines]))
    levels[:, JAILBREAK] *= levels[:, JAILBREAK] == len(RATES)
    right = np.array([[line.labels.get(head) == 1 for head in HEADS] for line in lines])
    told = np.where(right.any(axis=1), (levels * right).max(axis=1), levels.max(axis=1))
    sections = np.array([line.section for line in lines])
    return {name: _shares(told[sections == name]) for name in dict.fromkeys(sections.tolist())}


def _needle(classifier: Classifier, rows: Rows) -> dict[str, Any]:
    """Of known attacks that are detected alone: the share that still is inside some 4,000 benign characters."""
    detected = classifier.thresholds["jailbreak"][2]
    attacks = np.flatnonzero(rows.held_out & (rows.sources == KNOWN_JAILBREAKS))
    hay = " ".join(rows.texts[place] for place in benign_rows(rows)[:40])[:_HAY]
    texts = [rows.texts[place] for place in attacks]
    alone = scores_of(classifier, texts)[:, JAILBREAK] >= detected
    hidden = scores_of(classifier, [f"{hay[:_NEEDLE_AT]} {text} {hay[_NEEDLE_AT:]}" for text in texts])[:, JAILBREAK]
    return {"attacks": len(texts), "alone": _rounded(alone.mean()), "hidden": _rounded((hidden >= detected).mean())}


def _line(classifier: Classifier, rows: Rows, scores: np.ndarray) -> dict[str, Any]:
    """Of harmful lines that are told medium or higher alone: the share that is flagged still in a harmless page."""
    low, medium = (np.array([classifier.thresholds[head][level] for head in HARMS]) for level in (0, 1))
    fits = np.array([_LINE[0] <= len(text) <= _LINE[1] for text in rows.texts])
    right = (rows.labels[:, : len(HARMS)] == 1) & (scores[:, : len(HARMS)] >= medium)
    lines = np.flatnonzero(rows.held_out & fits & right.any(axis=1))
    hay = " ".join(rows.texts[place] for place in benign_rows(rows)[:40])
    hidden = []
    for number, place in enumerate(lines):
        page = hay[number * (_PAGE - 1) % _PAGES :][:_PAGE]
        hidden.append(f"{page[: _PAGE // 2]} {rows.texts[place]} {page[_PAGE // 2 :]}")
    found = scores_of(classifier, hidden)[:, : len(HARMS)]
    shares = [_rounded(((found >= cut) & right[lines]).any(axis=1).mean(), 2) for cut in (low, medium)]
    return {"lines": len(lines), "at_least": shares}


def _rounded(number: float, places: int = 3) -> float:
    return round(float(number), places)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    print(json.dumps(held_out(Classifier.load(), read_rows(parser.parse_args().data)), indent=1))
