"""What a larger model thinks of texts whose labels nobody knows: the student learns from it. Called by ``train.py``.

The teacher is logistic regression on sentence embeddings (all-MiniLM-L6-v2). It knows what words mean that no labelled
row uses, and passes it on twice: as the chance of each unknown label of a text, and as that of single words and short
pieces of the training texts. It is not needed when the gateway runs.
"""

import hashlib
import re
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
from data import CROSS_VALIDATED, OPENINGS, ORDINARY, PLAIN, Rows
from sklearn.linear_model import LogisticRegression
from student import balanced

from tollhouse.safety import embedding_weights
from tollhouse.safety.embedding_bert import Bert
from tollhouse.safety.embedding_wordpiece import WordPieces

PIECES = 126
"""Word pieces in a window of a text."""
MOST_WINDOWS = 8
GAIN = 4.0
"""Embeddings are unit vectors: so much larger, the regression's penalty fits them."""
STRENGTH, BOOST, WIDE_SHARE = 3.0, 20.0, 0.3
_BATCH = 128
_WORD = re.compile(r"[a-z']{3,19}")
SHORTEST_PIECE, LONGEST_PIECE = 4, 12
"""Words in a piece of a text."""
_MOST_PIECES = 40_000
_SELDOM = ("gpteacher_codegen", "gpteacher_tool")
"""Sources of much code and little else: a tenth of their texts is enough."""


def embeddings(texts: list[str], cache: Path) -> np.ndarray:
    """The mean embedding of each text's windows, from ``cache`` if these very texts were embedded before."""
    digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
    file = cache / f"embeddings-{digest}.npy"
    if not file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(file, _embedded(texts))
    return np.load(file, allow_pickle=False)


def _embedded(texts: list[str]) -> np.ndarray:
    folder = embedding_weights.find_folder()
    names = (embedding_weights.WEIGHTS, embedding_weights.TOKENIZER)
    model, words = (embedding_weights.map_file(folder / name, embedding_weights.DIGESTS[name]) for name in names)
    cutter = WordPieces(embedding_weights.read_vocabulary(words))
    bert = Bert(embedding_weights.read_tensors(model))
    windows = [(place, window) for place, text in enumerate(texts) for window in _windows(cutter, text)]
    windows.sort(key=lambda each: len(each[1]))
    sums, counts = np.zeros((len(texts), 384), np.float32), np.zeros(len(texts), np.float32)
    start = 0
    while start < len(windows):
        size = len(windows[start][1])
        end = start
        while end < len(windows) and len(windows[end][1]) == size and end - start < _BATCH:
            end += 1
        places = [place for place, _ in windows[start:end]]
        np.add.at(sums, places, bert.embed(np.array([window for _, window in windows[start:end]])))
        np.add.at(counts, places, 1)
        start = end
    return GAIN * sums / counts[:, None]


def _windows(cutter: WordPieces, text: str) -> list[list[int]]:
    pieces = cutter.cut(text)
    starts = list(range(0, len(pieces), PIECES))[:MOST_WINDOWS] or [0]
    return [[cutter.start, *pieces[start : start + PIECES], cutter.end] for start in starts]


def words_and_pieces(rows: Rows) -> tuple[list[str], list[str]]:
    """Every word that two training texts use, and short pieces of training texts. None of a held-out row."""
    chance = Random(5)  # noqa: S311 (a fixed choice, no secret)
    words: Counter[str] = Counter()
    pieces = []
    for text, source, held_out in zip(rows.texts, rows.sources, rows.held_out, strict=True):
        if held_out or source.startswith((ORDINARY, OPENINGS, PLAIN)):
            continue
        words.update(sorted(set(_WORD.findall(text.lower()))))
        parts = text.split()
        if len(parts) <= LONGEST_PIECE or (source.startswith(_SELDOM) and chance.random() > 0.1):
            continue
        for _ in range(1 if len(parts) < 30 else 3):
            size = chance.randint(SHORTEST_PIECE, LONGEST_PIECE)
            start = chance.randrange(len(parts) - size)
            pieces.append(" ".join(parts[start : start + size]))
    chance.shuffle(pieces)
    return [word for word, count in words.items() if count > 1], pieces[:_MOST_PIECES]


def is_taught(rows: Rows) -> np.ndarray:
    """Whether the teacher looks at a row: at all that are trained on but for most of what is nearly all code."""
    return (~rows.held_out & ~rows.of(*_SELDOM, ORDINARY, OPENINGS, PLAIN)) | (rows.sources == CROSS_VALIDATED)


def chances(embedded: np.ndarray, labels: np.ndarray, sources: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """How likely each of the asked texts is a 1, after learning from these: two regressions, the mean of their logits.

    One knows the moderation rows only and how they are judged, the other knows all sets.
    """
    moderated = sources == CROSS_VALIDATED
    narrow = LogisticRegression(C=STRENGTH, max_iter=300).fit(embedded[moderated], labels[moderated])
    counts = balanced(labels, sources, CROSS_VALIDATED, BOOST)
    wide = LogisticRegression(C=1.0, max_iter=300).fit(embedded, labels, sample_weight=counts)
    logits = (1 - WIDE_SHARE) * narrow.decision_function(asked) + WIDE_SHARE * wide.decision_function(asked)
    return 1 / (1 + np.exp(-logits))
