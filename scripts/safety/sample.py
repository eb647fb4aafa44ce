"""The sample that a test re-checks the shipped weights on: held-out rows as bucket numbers and labels, no texts.

Called by ``train.py``. A bucket is what words, letters of them and pairs of them fall into by a hash; what a text says
cannot be read back from its buckets, but what the classifier says of it can be computed again.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import student
from data import CROSS_VALIDATED, Rows

from tollhouse.safety.figures import average_precision, recall_at_fpr
from tollhouse.safety.weights import HEADS, Weights

_OF_EACH = 25
"""Rows per head with each label."""
_LONGEST = 600
"""Characters: shorter texts are one window."""


def write(file: Path, rows: Rows, weights: Weights) -> dict[str, Any]:
    """Writes the sample, and says what the weights say of it."""
    places = _chosen(rows)
    texts = [buckets.tolist() for buckets in student.buckets_of_texts([rows.texts[place] for place in places])]
    labels = rows.labels[places].tolist()
    lines = [json.dumps({"labels": each, "buckets": text}) for each, text in zip(labels, texts, strict=True)]
    file.write_text("\n".join(lines) + "\n")
    return measured(file, weights)


def _chosen(rows: Rows) -> np.ndarray:
    short = np.array([len(text) <= _LONGEST for text in rows.texts])
    free = np.array([licence != "CC-BY-4.0" for licence in rows.licences])
    usable = rows.held_out & short & free & (rows.sources != CROSS_VALIDATED)
    order = np.random.RandomState(11).permutation(len(rows.texts))
    chosen = [
        order[(usable & (rows.labels[:, head] == label))[order]][:_OF_EACH]
        for head in range(len(HEADS))
        for label in (0, 1)
    ]
    return np.unique(np.concatenate(chosen))


def measured(file: Path, weights: Weights) -> dict[str, Any]:
    """The figures of a sample."""
    sample = [json.loads(line) for line in file.read_text().splitlines()]
    labels = np.array([each["labels"] for each in sample])
    logits = np.array([weights.logits(sum([weights.rows[bucket] for bucket in each["buckets"]])) for each in sample])
    found = {}
    for place, head in enumerate(HEADS):
        known = labels[:, place] >= 0
        truth, given = labels[known, place], logits[known, place]
        found[head] = {
            "rows": int(known.sum()),
            "auprc": round(average_precision(truth, given), 3),
            "recall_at_5_percent": round(recall_at_fpr(truth, given, 0.05), 3),
        }
    return found
