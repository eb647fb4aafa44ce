"""A classifier of random weights: what is counted differently shows in its scores. And texts that are hard to cut."""

from base64 import b64encode
from functools import cache
from random import Random

import numpy as np
from hypothesis import strategies as st

from tollhouse.safety.classifier import Classifier
from tollhouse.safety.features import BITS
from tollhouse.safety.lexicon import shipped_lexicon
from tollhouse.safety.stream import Model
from tollhouse.safety.text import folding_table
from tollhouse.safety.weights import HEADS, LIMIT, Weights, packed_lanes

SECRET = "what nobody is meant to read in this text, said at length"
PARTS = (
    *(
        "kill ",
        "th3 b1g b4d w0lf ",
        "k i l l  y o u ",
        "e\u0301\u200b",
        "     ",
        "\u65e5\u672c",
        "x" * 40,
        " ",
        "\n",
        "F",
    ),
    *(
        b64encode(SECRET.encode()).decode(),
        b64encode(bytes(range(90))).decode(),
        "a-b_c/d+",
        "\U000e0041",
        "\ufdfa",
        "fuck",
    ),
    *("The quick brown fox jumps over the lazy dog, again and again. ", "\ud800", "\x00", "1a2b3c4d"),
)


@cache
def shipped() -> Classifier:
    """The classifier that ships."""
    return Classifier.load()


@cache
def random_classifier() -> Classifier:
    """One whose every bucket has another weight."""
    table = np.random.default_rng(1).integers(-LIMIT, LIMIT + 1, (1 << BITS, len(HEADS))).astype(np.int16)
    thresholds = dict.fromkeys(HEADS, (0.2, 0.5, 0.8))
    weights = Weights(packed_lanes(table), np.full(len(HEADS), 0.001), np.zeros(len(HEADS)), thresholds)
    return Classifier(Model(weights, shipped_lexicon(), folding_table()))


def mixed_text(seed: int, parts: int) -> str:
    """A text of many parts that are hard to cut."""
    chance = Random(seed)  # noqa: S311 - chance for tests
    return "".join(chance.choice(PARTS) for _ in range(parts))


def texts(most_parts: int = 60) -> st.SearchStrategy[str]:
    """Such texts, with anything in between."""
    part = st.one_of(st.sampled_from(PARTS), st.text(max_size=12))
    return st.lists(part, max_size=most_parts).map("".join)
