"""The trained weights: how they are kept on disk, and what a sum of them says.

Called by `safety.vocabulary` (which sums what a word holds) and `safety.stream` (which sums words). The rule it keeps:
sums are of whole numbers, so that no order and no cut changes them.

## Theory of operation

What a bucket says is one whole number, a row: `LANES` lanes of 32 bits, one for the weight of each head and one that
holds a 1, which counts the features. So one addition adds all heads. To keep lanes from borrowing of each other,
weights are moved up by `OFFSET`, and the sums are moved back once per window. Lanes of 16 bits above these count what a
word is conspicuous for. No lane overflows in the largest window: eight blocks of `BLOCK` words of 64 letters.
"""

import json
import sys
from array import array
from collections.abc import Sequence
from importlib.resources import files
from math import sqrt
from struct import Struct as Layout
from zlib import compress, decompress
from zlib import error as zlib_error

from tollhouse.safety.features import BITS
from tollhouse.safety.lexicon import NONE
from tollhouse.types.values import Value

HEADS = ("hate", "self_harm", "sexual", "violence", "jailbreak")
BLOCK = 24
"""Words in a block."""
PRIOR = 32
"""Features of no weight that every text has beside its own: a few words are little evidence, whatever they are."""
LIMIT = 2000
"""The greatest weight, and minus it the least."""
OFFSET = LIMIT
_COUNT = len(HEADS)
LANES = _COUNT + 1
_LANE_BYTES, _MARK_BITS = 4, 16
_ROW_BYTES = LANES * _LANE_BYTES
LEET, SINGLE, _MILD, _STRONG, _SEVERE, PAIR = (1 << 8 * _ROW_BYTES + _MARK_BITS * place for place in range(6))
"""What is added to a row for one mark: a digit among letters, a letter that stands alone, two runs of letters that may
be a swear word.
"""
SWEARING = (0, _MILD, _STRONG, _SEVERE)
"""The same for a swear word, by its level."""
_OTHER = "these weights are of another version of the classifier"
_LANES, _MARKS = Layout(f"<{LANES}I12x"), Layout(f"<{_ROW_BYTES}x6H")


class Weights(Value, frozen=True):
    """What was trained, ready to be summed."""

    rows: list[int]
    """For each bucket, its weights."""
    scales: tuple[float, ...]
    """For each head, what a weight of 1 adds to the logit, but for the root of the number of features and `PRIOR`."""
    biases: tuple[float, ...]
    """For each head, the logit of nothing."""
    thresholds: dict[str, tuple[float, float, float]]
    """For each head, the probabilities from which it is low, medium and high."""

    def logits(self, total: int) -> tuple[float, ...]:
        """For each head the logit of a text, given the sum of its rows."""
        told = zip(levels(total), self.scales, self.biases, strict=True)
        return tuple([level * scale + bias for level, scale, bias in told])


def lanes(total: int) -> tuple[int, ...]:
    """For each head the sum of its lane, and how many features there are."""
    return _LANES.unpack(total.to_bytes(_LANES.size, "little"))


def levels(total: int) -> list[float]:
    """For each head what its lane says, whatever the number of features: scaled and moved, it is the logit."""
    *sums, count = lanes(total)
    share, nothing = 1 / sqrt(count + PRIOR), count * OFFSET
    return [(lane - nothing) * share for lane in sums]


def marks(total: int) -> tuple[int, ...]:
    """How many marks of each kind a sum has."""
    return _MARKS.unpack(total.to_bytes(_MARKS.size, "little"))


def level_of(swearing: Sequence[int]) -> int:
    """The level of the worst swear word, given how many marks there are of mild, strong and severe ones."""
    return max((level for level, count in enumerate(swearing, 1) if count), default=NONE)


def rows_of(planes: Sequence[bytes]) -> list[int]:
    """The rows of a table that is told as the weights of each head, moved up, in two bytes each."""
    raw = bytearray(_ROW_BYTES << BITS)
    for head, plane in enumerate(planes):
        raw[_LANE_BYTES * head :: _ROW_BYTES] = plane[::2]
        raw[_LANE_BYTES * head + 1 :: _ROW_BYTES] = plane[1::2]
    raw[_LANE_BYTES * _COUNT :: _ROW_BYTES] = b"\1" * (1 << BITS)
    return [int.from_bytes(raw[start : start + _ROW_BYTES], "little") for start in range(0, len(raw), _ROW_BYTES)]


def weights_file(
    planes: list[list[int]], scales: list[float], biases: list[float], thresholds: list[list[float]]
) -> bytes:
    """The file that `read_weights` reads: the same bytes for the same numbers."""
    head = json.dumps({"bits": BITS, "heads": HEADS, "scales": scales, "biases": biases, "thresholds": thresholds})
    return compress(head.encode() + b"\n" + b"".join(map(plane_of, planes)), 9)


def plane_of(weights: Sequence[int]) -> bytes:
    """The weights of one head as a file has them: moved up, in two bytes each."""
    return b"".join([(weight + OFFSET).to_bytes(2, "little") for weight in weights])


def weights_bytes() -> bytes:
    """The shipped file."""
    return files("tollhouse.safety").joinpath("data/weights.bin").read_bytes()


def read_weights(data: bytes) -> Weights:
    """The weights in a file of that kind. ``ValueError`` for one that does not fit this code."""
    try:
        head, _, body = decompress(data).partition(b"\n")
        told = json.loads(head)
        kind = told["bits"], tuple(told["heads"])
        scales, biases = (tuple(map(float, told[name])) for name in ("scales", "biases"))
        thresholds = {
            name: (float(low), float(mid), float(high))
            for name, (low, mid, high) in zip(HEADS, told["thresholds"], strict=True)
        }
    except (zlib_error, KeyError, TypeError, ValueError) as error:
        raise ValueError(_OTHER) from error
    size = 2 << BITS
    planes = [body[start : start + size] for start in range(0, len(body), size)]
    is_whole = kind == (BITS, HEADS) and len(scales) == len(biases) == _COUNT and len(body) == size * _COUNT
    if not is_whole or max(map(_greatest, planes)) > LIMIT + OFFSET:
        raise ValueError(_OTHER)
    return Weights(rows_of(planes), scales, biases, thresholds)


def _greatest(plane: bytes) -> int:
    numbers = array("H", plane)
    if sys.byteorder == "big":
        numbers.byteswap()
    return max(numbers)
