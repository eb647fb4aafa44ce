"""Sliding windows over the blocks of a text: what was found in the last block, and in the last two, four and eight.

A window is what is judged: long texts are not diluted, and where the worst of it stands is known. The long windows see
what a text is about; in the short ones a single line among many others still weighs enough, but chance finds more in
them too, so they have to say it more clearly. Windows of every size end with every block, from the first on, so what a
block says is known as soon as it is full. Called by `safety.stream`.
"""

import numpy as np
from numpy.typing import NDArray

from tollhouse.safety.weights import LANES

SIZES = (8, 4, 2, 1)
"""Blocks in a window: each half of the one before."""
WINDOW = SIZES[0]
PENALTIES: NDArray[np.float64] = np.array([0.0, 0.5, 0.7, 1.0])[:, None]
"""For each size what is taken off the logit of every head."""

Sums = NDArray[np.int64]
NO_BLOCKS: Sums = np.zeros((WINDOW - 1, LANES), np.int64)
"""The blocks before the first."""
_OF_TWO: Sums = np.array([[[1, 0]] * 4, [[1, 1], [1, 1], [1, 1], [0, 1]]], np.int64)
"""Which of its two blocks the windows of a short text have: most texts are short, and this is one call."""


def windows(before: Sums, blocks: Sums) -> tuple[Sums, Sums]:
    """For each of these blocks the sums of the windows that end with it, by `SIZES`, given the `WINDOW` - 1 blocks
    before them; and what to give with the next blocks. Of a text's first block only the largest: all are the same.
    """
    if before is NO_BLOCKS and len(blocks) == 1:
        return blocks[None], np.concatenate((before[1:], blocks))
    rows = np.concatenate((before, blocks))
    count = len(blocks)
    if before is NO_BLOCKS and count == len(_OF_TWO):
        return _OF_TWO @ blocks, rows[count:]
    found = np.empty((count, len(SIZES), LANES), np.int64)
    two = rows[:-1] + rows[1:]
    four = two[:-2] + two[2:]
    np.add(four[:count], four[4:], out=found[:, 0])
    found[:, 1] = four[-count:]
    found[:, 2] = two[-count:]
    found[:, 3] = blocks
    return found, rows[count:]
