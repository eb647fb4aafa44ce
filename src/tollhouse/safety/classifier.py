"""The local classifier: says in a tenth of a millisecond how likely a text is to be harmful, with nothing but Python.

Called by `gateway.safety`, `gateway.moderations` and the command line. It is always the same for the same text, never
raises, and never takes more than time in proportion to the text. How good it is, and what it must not be used for, is
in `docs/safety-model.md`.
"""

from functools import cache
from math import inf, log
from typing import Self

from msgspec.structs import force_setattr

from tollhouse.safety.lexicon import STRONG, shipped_lexicon
from tollhouse.safety.stream import CLEAN_READING, Model, Reader, Reading
from tollhouse.safety.text import shipped_folding
from tollhouse.safety.vocabulary import Vocabulary
from tollhouse.safety.weights import HEADS, read_weights, weights_bytes
from tollhouse.types.safety import CLEAN, HARMS, HIGH, LOCAL, SAFE, Finding, Verdict
from tollhouse.types.values import Value

__all__ = ["CLEAN_READING", "HEADS", "NAME", "Classifier", "Reader", "Reading"]

NAME = "local-words-v1"


class Classifier(Value, frozen=True):
    """Weights, a list of swear words, and what follows from them."""

    model: Model
    name: str = NAME
    least: tuple[float, ...] = ()
    """For each of `HEADS`, a logit below which nothing is found."""

    def __post_init__(self) -> None:
        force_setattr(self, "least", tuple([_least(head, self.thresholds[head]) for head in HEADS]))

    @classmethod
    def load(cls) -> Self:
        """The classifier that ships in the package. To be loaded once, at the start: it takes some 20 ms."""
        return cls(model_of(weights_bytes()))

    @property
    def thresholds(self) -> dict[str, tuple[float, float, float]]:
        """For each of `HEADS`, the probabilities from which it is low, medium and high."""
        return self.model.weights.thresholds

    def judge(self, text: str) -> Verdict:
        """The verdict on a text."""
        reader = Reader(self.model)
        reader.end(text)
        return self.found(reader)

    def found(self, reader: Reader) -> Verdict:
        """The `verdict` on what a reader has read: where nothing is found, without asking where."""
        return CLEAN if reader.stays_below(self.least, STRONG) else self.verdict(reader.reading(self.least))

    def read(self, text: str) -> Reading:
        """What the worst windows of a text say."""
        return Reader(self.model).finish(text)

    def reader(self) -> Reader:
        """Reads a text that comes in pieces."""
        return Reader(self.model)

    def verdict(self, reading: Reading) -> Verdict:
        """What a reading amounts to: `CLEAN` itself where nothing is found."""
        cuts = self.model.weights.thresholds
        found = [
            self._finding(place, reading)
            for place, (score, (low, _, _)) in enumerate(zip(reading.scores, cuts.values(), strict=True))
            if score >= low
        ]
        if reading.profanity >= STRONG:
            found.append(Finding("profanity", HIGH))
        findings = tuple(finding for finding in found if finding.level)
        return Verdict(findings, (LOCAL,)) if findings else CLEAN

    def _finding(self, place: int, reading: Reading) -> Finding:
        head, score, (start, end) = HEADS[place], reading.scores[place], reading.spans[place]
        level = sum(score >= threshold for threshold in self.thresholds[head])
        if head not in HARMS and level < HIGH:
            level = SAFE
        return Finding(head, level, LOCAL, score, start, end)


def model_of(data: bytes) -> Model:
    """What a file of weights, and the lists that ship in the package, make."""
    weights = read_weights(data)
    return Model(weights, Vocabulary(weights, shipped_lexicon(), shipped_folding()))


@cache
def shipped_classifier() -> Classifier:
    """The one that ships in the package, loaded once for all gateways of a process: nothing of it ever changes."""
    return Classifier.load()


_MARGIN = 1e-9
"""So that rounding decides nothing: what is nearer to a threshold is looked at with care."""


def _least(head: str, thresholds: tuple[float, float, float]) -> float:
    """The logit of the least probability at which a head finds something."""
    probability = thresholds[0] if head in HARMS else thresholds[2]
    if not 0 < probability < 1:  # weights in the making have no thresholds yet
        return inf if probability >= 1 else -inf
    return log(probability / (1 - probability)) - _MARGIN
