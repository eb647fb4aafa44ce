"""The linear model on hashed features: how a head is fitted, and how its weights become whole numbers.

Called by ``train.py``. Everything runs in one thread and in a fixed order, so the same data gives the same bytes.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from tollhouse.safety.features import BITS, NO_RUN, core_of, features
from tollhouse.safety.text import seen, shipped_folding
from tollhouse.safety.trail import WORD
from tollhouse.safety.weights import LIMIT, PRIOR


class Examples(NamedTuple):
    """What one head learns from: rows of the matrix, how likely each is a 1, and how much it counts."""

    rows: np.ndarray
    chances: np.ndarray
    weights: np.ndarray


class Head(NamedTuple):
    """One fitted head, in whole numbers."""

    weights: np.ndarray
    scale: float
    bias: float


def counted(texts: list[str]) -> sp.csr_matrix:
    """One row per text: how often each bucket is hit."""
    buckets = buckets_of_texts(texts)
    ends = np.concatenate([[0], np.array([len(each) for each in buckets]).cumsum()])
    hits = sp.csr_matrix((np.ones(ends[-1], np.float32), np.concatenate(buckets), ends), (len(texts), 1 << BITS))
    hits.sum_duplicates()
    return hits


def buckets_of_texts(texts: list[str]) -> list[np.ndarray]:
    """Of each text all that is counted in it, as the runtime counts it."""
    folding = shipped_folding()
    found = []
    for text in texts:
        buckets, last = [], NO_RUN
        for word in WORD.findall(seen(text)):
            core = core_of(folding.of(word).encode("latin-1").lower())
            of_word, _, first, following = features(core)
            buckets += [*of_word, last ^ first]
            last = following
        found.append(np.array(buckets, np.int32))
    return found


def matrix(texts: list[str]) -> sp.csr_matrix:
    """The same as the runtime weighs one window: over the root of all hits and `PRIOR`."""
    hits = counted(texts)
    roots = np.sqrt(np.asarray(hits.sum(axis=1), np.float64).ravel() + PRIOR)
    hits.data = (hits.data / np.repeat(roots, np.diff(hits.indptr))).astype(np.float32)
    return hits


def balanced(labels: np.ndarray, sources: np.ndarray, boosted: str, boost: float) -> np.ndarray:
    """What each row counts: a source's 1s, or 0s, count together as the root of their number; ``boosted`` more."""
    kinds = np.char.add(np.char.add(sources.astype(str), "/"), labels.astype(str))
    _, place, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    weights = (counts.astype(np.float64) ** -0.5)[place]
    weights[sources == boosted] *= boost
    return weights * len(weights) / weights.sum()


def fit(hits: sp.csr_matrix, examples: Examples, strength: float) -> Head:
    """Logistic regression; a chance between 0 and 1 is a row of each label, each counting for its part."""
    rows, chances, weights = examples
    one, zero = chances > 0, chances < 1
    labels = np.concatenate([np.ones(one.sum()), np.zeros(zero.sum())])
    counts = np.concatenate([(weights * chances)[one], (weights * (1 - chances))[zero]])
    model = LogisticRegression(C=strength, solver="liblinear", random_state=0, tol=1e-3, max_iter=300)
    model.fit(hits[np.concatenate([rows[one], rows[zero]])], labels, sample_weight=counts)
    return whole_numbers(model.coef_[0], float(model.intercept_[0]))


def whole_numbers(weights: np.ndarray, bias: float) -> Head:
    """Weights as numbers up to `LIMIT`, and what one is worth."""
    scale = float(np.abs(weights).max() / LIMIT)
    return Head(np.rint(weights / scale).astype(np.int16), scale, bias)
