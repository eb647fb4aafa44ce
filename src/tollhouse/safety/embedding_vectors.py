"""Texts to vectors with all-MiniLM-L6-v2, by windows of word pieces. `safety.embedding` and its training call it.

See `safety.embedding_wordpiece` for the cutting, `safety.embedding_bert` for the model, `safety.embedding_weights` for
the files of both.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from tollhouse.safety.embedding_bert import Bert
from tollhouse.safety.embedding_weights import (
    DIGESTS,
    TOKENIZER,
    WEIGHTS,
    FloatArray,
    find_folder,
    map_file,
    read_tensors,
    read_vocabulary,
)
from tollhouse.safety.embedding_wordpiece import WordPieces

WINDOW = 128
"""Pieces that are embedded together, the two control tokens included: the length that the model was trained on."""
AT_ONCE = 256
"""Pieces in one batch; more is not faster, for then the numbers leave the core's cache."""

Windows = list[list[int]]


class Embedder:
    """The model. Has no state: any number of threads may ask it at once."""

    def __init__(self, pieces: WordPieces, bert: Bert) -> None:
        self._pieces = pieces
        self._bert = bert
        self.width = bert.width

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """The official model, from ``folder`` or from where the package keeps it. Raises `EmbeddingFilesError`."""
        folder = folder or find_folder()
        vocabulary = read_vocabulary(map_file(folder / TOKENIZER, DIGESTS[TOKENIZER]))
        return cls(WordPieces(vocabulary), Bert(read_tensors(map_file(folder / WEIGHTS, DIGESTS[WEIGHTS]))))

    def windows(self, text: str) -> Windows:
        """The pieces of a text, `WINDOW` at a time, one at least; the last begins early enough to be full."""
        pieces = self._pieces.cut(text)
        body = WINDOW - 2
        last = max(len(pieces) - body, 0)
        starts = (*range(0, last, body), last)
        return [[self._pieces.start, *pieces[start : start + body], self._pieces.end] for start in starts]

    def vectors(self, windows: Windows, layers: Sequence[int] = ()) -> FloatArray:
        """For each window its unit vectors of some layers, the last by default: ``[windows, width * layers]``."""
        vectors = np.empty((len(windows), self.width * (len(layers) or 1)), np.float32)
        for batch in batches(windows):
            vectors[batch] = self._bert.embed(np.array([windows[place] for place in batch]), layers)
        return vectors


def batches(windows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The places of windows of equal length, about `AT_ONCE` pieces at a time."""
    by_length: dict[int, list[int]] = {}
    for place, window in enumerate(windows):
        by_length.setdefault(len(window), []).append(place)
    for length, places in by_length.items():
        count = max(AT_ONCE // length, 1)
        for start in range(0, len(places), count):
            yield places[start : start + count]
