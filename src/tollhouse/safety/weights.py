"""The trained weights: how they are kept on disk, and how the sum of a block's features is made of them.

Called by `safety.classifier` (which loads them) and `safety.stream` (which sums). The rules it keeps: sums are of whole
numbers, so that no order and no cut changes them; and the file is numpy's own, loaded without pickle.

## Theory of operation

A weight is a whole number of twelve bits. Three of them share one 64-bit number, in lanes of 21 bits, so one addition
adds three heads; the sixth lane holds a 1, which counts the features. To keep lanes from borrowing of each other,
weights are moved up by `OFFSET`, and the sums are moved back once per window. A block of `BLOCK` bytes ends in at most
two features per byte, which is what 21 bits hold.
"""

from importlib.resources import files
from io import BytesIO

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from tollhouse.safety.features import BITS, Features

HEADS = ("hate", "self_harm", "sexual", "violence", "jailbreak")
BLOCK = 128
"""Folded bytes in a block."""
PRIOR = 32
"""Features of no weight that every text has beside its own: a few words are little evidence, whatever they are."""
LIMIT = 2000
"""The greatest weight, and minus it the least."""
OFFSET = LIMIT
LANES = 6
_LANE_BITS, _PER_NUMBER = 21, 3
_SHIFTS = np.array([[0, _LANE_BITS, 2 * _LANE_BITS]], np.uint64)
_LANE_MASK = np.uint64((1 << _LANE_BITS) - 1)
_COUNT = len(HEADS)

Packed = NDArray[np.uint64]
Sums = NDArray[np.int64]
Numbers = NDArray[np.float64]


class Weights(Struct, frozen=True):
    """What was trained, ready to be summed."""

    lanes: tuple[Packed, Packed]
    """For each bucket, the weights of three heads in one number, twice."""
    scales: Numbers
    """For each head, what a weight of 1 adds to the logit, but for the root of the number of features and `PRIOR`."""
    biases: Numbers
    """For each head, the logit of nothing."""
    thresholds: dict[str, tuple[float, float, float]]
    """For each head, the probabilities from which it is low, medium and high."""

    def sums(self, found: Features, starts: NDArray[np.intp]) -> Sums:
        """For each block, given where they start in the piece: the sum of each head's lane, and the count."""
        packed = np.empty((2, len(starts)), np.uint64)
        for place, lanes in enumerate(self.lanes):
            in_bytes = lanes[found.grams]
            if len(found.ends):
                words = lanes[found.buckets]
                in_bytes[found.ends] += words[0] + words[1]
            np.add.reduceat(in_bytes, starts, out=packed[place])
        return _unpacked(packed)

    def sums_of(self, buckets: NDArray[np.int64]) -> NDArray[np.int64]:
        """The summed lanes of a text that is told as its buckets, as one row of a window."""
        row: Sums = _unpacked(np.array([lanes[buckets].sum(keepdims=True) for lanes in self.lanes]))[0]
        return row

    def logits(self, windows: Sums) -> Numbers:
        """For each window, given its summed lanes in the last axis: the logit of each head."""
        counts = windows[..., _COUNT:]
        logits: Numbers = (windows[..., :_COUNT] - counts * OFFSET) * self.scales
        logits /= np.sqrt(counts + PRIOR)
        logits += self.biases
        return logits


def _unpacked(packed: Packed) -> Sums:
    lanes = (packed.T[:, :, None] >> _SHIFTS) & _LANE_MASK
    return lanes.reshape(-1, LANES).view(np.int64)


def packed_lanes(weights: NDArray[np.int16]) -> tuple[Packed, Packed]:
    """The lanes of a table of one row per bucket and one weight per head, none beyond `LIMIT`."""
    lanes = np.ones((len(weights), LANES), np.uint64)
    lanes[:, :_COUNT] = (weights.astype(np.int64) + OFFSET).astype(np.uint64)
    first, second = (
        (lanes[:, start : start + _PER_NUMBER] << _SHIFTS).sum(axis=1, dtype=np.uint64) for start in (0, _PER_NUMBER)
    )
    return first, second


def weights_file(table: NDArray[np.int16], scales: Numbers, biases: Numbers, thresholds: Numbers) -> bytes:
    """The file that `read_weights` reads: the same bytes for the same numbers."""
    out = BytesIO()
    np.savez_compressed(out, weights=table, scales=scales, biases=biases, thresholds=thresholds)
    return out.getvalue()


def weights_bytes() -> bytes:
    """The shipped file."""
    return files("tollhouse.safety").joinpath("data/weights.npz").read_bytes()


def read_weights(data: bytes) -> Weights:
    """The weights in a file of that kind. ``ValueError`` for one that does not fit this code."""
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        table, scales, biases, cuts = (arrays[name] for name in ("weights", "scales", "biases", "thresholds"))
    if table.shape != (1 << BITS, _COUNT) or cuts.shape != (_COUNT, 3) or np.abs(table).max() > LIMIT:
        raise ValueError("these weights are of another version of the classifier")
    thresholds = {
        head: (float(low), float(mid), float(high)) for head, (low, mid, high) in zip(HEADS, cuts, strict=True)
    }
    return Weights(packed_lanes(table), scales, biases, thresholds)
