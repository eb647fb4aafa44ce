"""The second local tier: linear heads on all-MiniLM-L6-v2 sentence embeddings, joined with the first tier's scores.

Optional, for operators who can spend 5 to 100 ms of a core on a text; the gateway calls it in a worker thread. What it
gains and costs is in `docs/safety-embedding.md`.

## Theory of operation

The first tier (`safety.classifier`) knows words, an embedding knows what a sentence is about. They err on different
texts, so a weighted mean of their logits is used, with thresholds of its own. A text is cut into windows of
128 word pieces and the worst counts, so that a long text does not dilute a short piece of it. What is written to hide
is also embedded as the first tier reads it (`readings`), or the mean would undo what that tier has found. Of a very
long text only its start, its end and the first tier's worst windows are read (`excerpts`): the cost is bounded, and the
first tier has read the rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from math import exp, log
from pathlib import Path
from typing import NamedTuple, Self

from msgspec.structs import replace

from tollhouse.safety.classifier import HEADS, Classifier, Reading
from tollhouse.safety.embedding_loader import NAME
from tollhouse.safety.embedding_vectors import Embedder
from tollhouse.safety.embedding_weights import EmbeddingFilesError, FloatArray, read_tensors
from tollhouse.safety.text import shipped_folding
from tollhouse.safety.unwrap import Unwrapper
from tollhouse.safety.views import ENOUGH_LEET, from_leet, from_spaced, is_spaced, leet_marks
from tollhouse.types.safety import Verdict

LAYERS = (2, 4, 6)
"""Whose means the heads see: the last knows what a text is about, the earlier ones still know its words."""
SHARE = 0.4
"""What the first tier counts for in a joint score: see `docs/safety-embedding.md` for what more or less would do."""
LONGEST = 8_000
"""Characters that are read whole: some 16 windows, 0.6 s."""
EXCERPT = 1_024
"""Characters of each excerpt of a longer text: about a window of the first tier."""
_LEAST, _MOST = 1e-6, 1 - 1e-6
"""Between these a probability is taken: beyond them the first tier alone would decide."""

Span = tuple[int, int]


class Heads(NamedTuple):
    """What was trained: one row for each of `HEADS`."""

    weights: FloatArray
    """``[heads, width * len(LAYERS)]``."""
    biases: FloatArray
    """``[heads]``."""
    thresholds: FloatArray
    """``[heads, 3]``: the combined probabilities from which it is low, medium and high."""


class EmbeddingTier:
    """The model and its heads. Has no state: any number of threads may ask it at once."""

    name = NAME

    def __init__(self, embedder: Embedder, heads: Heads, classifier: Classifier) -> None:
        """``classifier``: the first tier. Raises `EmbeddingFilesError` where heads and model do not fit."""
        if heads.weights.shape != (len(HEADS), embedder.width * len(LAYERS)):
            raise EmbeddingFilesError("The heads of the second tier were trained for another model")
        self._embedder = embedder
        self._heads = heads
        low, medium, high = heads.thresholds.T.tolist()
        thresholds = dict(zip(HEADS, zip(low, medium, high, strict=True), strict=True))
        model = replace(classifier.model, weights=replace(classifier.model.weights, thresholds=thresholds))
        self._combined = Classifier(model, NAME)

    @classmethod
    def load(cls, folder: Path | None = None, classifier: Classifier | None = None) -> Self:
        """The tier with the official model, from ``folder`` or from where the package keeps it. Takes 0.2 s.

        Raises `EmbeddingFilesError`, which says what to install, when a file is missing or differs.
        """
        return cls(Embedder.load(folder), read_heads(heads_bytes()), classifier or Classifier.load())

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """Unit vectors ``[texts, width]`` of each text's first window, as sentence-transformers has them."""
        return self._embedder.vectors([self._embedder.windows(text)[0] for text in texts])

    def logits(self, text: str) -> tuple[float, ...]:
        """For each of `HEADS`, the logit of the worst window of a text, the whole of which is read."""
        return self._worst([text])

    def combine(self, reading: Reading, text: str) -> Reading:
        """The first tier's reading of a text, its scores joined with this tier's."""
        logits = self._worst([part for excerpt in excerpts(text, reading.spans) for part in readings(excerpt)])
        return replace(reading, scores=tuple(map(joint_score, reading.scores, logits)))

    def verdict(self, reading: Reading) -> Verdict:
        """What a combined reading amounts to: `CLEAN` itself where nothing is found."""
        return self._combined.verdict(reading)

    def _worst(self, texts: Iterable[str]) -> tuple[float, ...]:
        windows = [window for text in texts for window in self._embedder.windows(text)]
        logits = self._embedder.vectors(windows, LAYERS) @ self._heads.weights.T + self._heads.biases
        return tuple(logits.max(axis=0).tolist())


def joint_score(probability: float, logit: float) -> float:
    """The first tier's probability and this tier's logit as one probability: the weighted mean of both logits."""
    bounded = min(max(probability, _LEAST), _MOST)
    first = log(bounded / (1 - bounded))
    return 1 / (1 + exp(-(SHARE * first + (1 - SHARE) * logit)))


def excerpts(text: str, spans: Iterable[Span]) -> list[str]:
    """The whole of a text of up to `LONGEST` characters; of a longer one its start, its end and the spans' middles."""
    if len(text) <= LONGEST:
        return [text]
    last = len(text) - EXCERPT
    centres = [(start + end - EXCERPT) // 2 for start, end in spans if end]
    places = sorted({0, last, *(min(max(centre, 0), last) for centre in centres)})
    return [text[place : place + EXCERPT] for place in places]


def readings(text: str) -> Iterator[str]:
    """A text in plain letters, and as the first tier's views and its decoder have it, where it is written so."""
    yield text if text.isascii() else "".join(map(_plainest, text))
    plain = shipped_folding().of(text).encode("latin-1")
    lower = plain.lower()
    if leet_marks(lower) >= ENOUGH_LEET:
        yield from_leet(lower).decode("latin-1")
    if is_spaced(lower):
        yield from_spaced(lower).decode("latin-1")
    hidden = Unwrapper().take(plain, last=True)
    if hidden:
        yield hidden


def _plainest(character: str) -> str:
    """The plain letters of a character, or itself where there are none."""
    plain = shipped_folding().of(character)
    return plain if plain.isascii() else character


def heads_bytes() -> bytes:
    """The shipped file: safetensors too, made by ``scripts/train-safety``."""
    return files("tollhouse.safety").joinpath("data/embedding-heads.safetensors").read_bytes()


def read_heads(raw: bytes) -> Heads:
    """The heads in a file of that kind. Raises `EmbeddingFilesError` where they are not those of `HEADS`."""
    tensors = read_tensors(raw)
    shapes = [tensors[name].shape if name in tensors else () for name in Heads._fields]
    if len(shapes[0]) != 2 or shapes != [(len(HEADS), shapes[0][1]), (len(HEADS),), (len(HEADS), 3)]:
        raise EmbeddingFilesError("The heads of the second tier are of another version")
    return Heads(**{name: tensors[name] for name in Heads._fields})
