"""Sliding windows over the blocks of a text: what was found in each block and the three before it.

A window is what is judged: long texts are not diluted, and where the worst of it stands is known. A window ends with
every block, from the first on, so what a block says is known as soon as it is full. Called by `safety.stream`.
"""

import numpy as np
from numpy.typing import NDArray

from tollhouse.safety.weights import LANES

WINDOW = 4
"""Blocks in a window."""

Sums = NDArray[np.int64]
NO_BLOCKS: Sums = np.zeros((WINDOW - 1, LANES), np.int64)
"""The blocks before the first."""


def windows(before: Sums, blocks: Sums) -> tuple[Sums, Sums]:
    """The sum of the window that ends with each of these blocks, given the `WINDOW` - 1 blocks before them; and what to
    give with the next blocks.
    """
    if before is NO_BLOCKS and len(blocks) == 1:
        return blocks, np.concatenate((before[1:], blocks))
    rows = np.concatenate((before, blocks))
    count = len(blocks)
    total = rows[:count] + rows[1 : count + 1]
    for later in range(2, WINDOW):
        total += rows[later : count + later]
    return total, rows[count:]
