"""Classifiers of made-up weights: one in whose scores all that is counted shows, and one that knows a single word. And
texts that are hard to cut.
"""

from array import array
from base64 import b64encode
from functools import cache
from random import Random
from zlib import crc32

from hypothesis import strategies as st

from tollhouse.safety.classifier import Classifier
from tollhouse.safety.features import BITS
from tollhouse.safety.lexicon import shipped_lexicon
from tollhouse.safety.stream import Model
from tollhouse.safety.text import shipped_folding
from tollhouse.safety.vocabulary import Vocabulary
from tollhouse.safety.weights import HEADS, LIMIT, Weights, plane_of, rows_of

SECRET = "what nobody is meant to read in this text, said at length"
VENOM = "venom"
"""The one word that `venom_classifier` knows."""
SIZE = 1 << BITS
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
    *("sod off ", "y" * 64 + " ", "z" * 130, "\u3000", "\u2003\u00a0", "s.c.r.e.w y.o.u ", "a, i, - ", "\u200b" * 30),
)


@cache
def shipped() -> Classifier:
    """The classifier that ships."""
    return Classifier.load()


@cache
def random_planes() -> list[list[int]]:
    """For each head another weight of every bucket."""
    chance = Random(1)  # noqa: S311 - chance for tests
    drawn = array("H", chance.randbytes(2 * SIZE * len(HEADS)))
    weights = [number % (2 * LIMIT + 1) - LIMIT for number in drawn]
    return [weights[start : start + SIZE] for start in range(0, len(weights), SIZE)]


@cache
def random_weights() -> Weights:
    """Weights of which every bucket's are others."""
    count, thresholds = len(HEADS), dict.fromkeys(HEADS, (0.2, 0.5, 0.8))
    return Weights(
        rows_of([plane_of(plane) for plane in random_planes()]), (0.001,) * count, (0.0,) * count, thresholds
    )


def vocabulary_of(weights: Weights) -> Vocabulary:
    """A vocabulary that has met no word."""
    return Vocabulary(weights, shipped_lexicon(), shipped_folding())


@cache
def random_classifier() -> Classifier:
    """One whose every bucket has another weight."""
    return Classifier(Model(random_weights(), vocabulary_of(random_weights())))


@cache
def venom_classifier() -> Classifier:
    """One that finds self-harm where the word `VENOM` stands, and nothing else: the odds of nothing are even."""
    plane = [0] * SIZE
    plane[whole_word(VENOM.encode())] = LIMIT
    planes = [plane if head == "self_harm" else [0] * SIZE for head in HEADS]
    thresholds = dict.fromkeys(HEADS, (0.6, 0.7, 0.8))
    weights = Weights(
        rows_of([plane_of(plane) for plane in planes]), (0.1,) * len(HEADS), (0.0,) * len(HEADS), thresholds
    )
    return Classifier(Model(weights, vocabulary_of(weights)))


def whole_word(run: bytes) -> int:
    """The bucket of a run of letters as a whole."""
    return (crc32(run) * 0x9E3779B1 % (1 << 32)) >> (32 - BITS)


def in_pieces(text: str, size: int) -> list[str]:
    """A text in pieces of one size."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def mixed_text(seed: int, parts: int) -> str:
    """A text of many parts that are hard to cut."""
    chance = Random(seed)  # noqa: S311 - chance for tests
    return "".join(chance.choice(PARTS) for _ in range(parts))


def texts(most_parts: int = 60) -> st.SearchStrategy[str]:
    """Such texts, with anything in between."""
    part = st.one_of(st.sampled_from(PARTS), st.text(max_size=12))
    return st.lists(part, max_size=most_parts).map("".join)
