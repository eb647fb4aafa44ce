"""Windows: sums of four blocks, in any portions; lanes that never run into each other."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import random_classifier
from tollhouse.safety.features import BLANK_TAIL, NO_WORD, features
from tollhouse.safety.weights import BLOCK, HEADS, LANES, LIMIT, OFFSET, packed_lanes
from tollhouse.safety.windows import NO_BLOCKS, WINDOW, windows


@given(st.integers(1, 12), st.integers(0, 12))
def test_windows_do_not_depend_on_how_blocks_come(count: int, cut: int) -> None:
    """Block by block or at once: each window is the sum of its last four blocks."""
    blocks = np.arange(count * LANES).reshape(count, LANES) ** 2
    cut = min(cut, count)
    first, between = windows(NO_BLOCKS, blocks[:cut])
    rest, _ = windows(between, blocks[cut:])
    expected = [blocks[max(last - WINDOW + 1, 0) : last + 1].sum(axis=0) for last in range(count)]
    assert np.array_equal(np.concatenate([first, rest]), np.array(expected))


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=1, max_size=3 * BLOCK))
def test_packed_sums_are_the_sums(piece: bytes) -> None:
    """The lanes of each block are what adding the weights of its features one by one gives."""
    weights = random_classifier().model.weights
    found = features(BLANK_TAIL, piece.lower(), NO_WORD)
    starts = np.arange(0, len(piece), BLOCK)
    by_hand = np.zeros((len(starts), LANES), np.int64)
    for place, bucket in enumerate(found.grams.tolist()):
        by_hand[place // BLOCK] += weights.sums_of(np.array([bucket]))
    for end, *buckets in zip(found.ends.tolist(), *found.buckets.tolist(), strict=True):
        by_hand[end // BLOCK] += weights.sums_of(np.array(buckets))
    assert np.array_equal(weights.sums(found, starts), by_hand)


def test_the_fullest_block_fits_in_its_lanes() -> None:
    """Two features a byte, all of the greatest weight: no lane runs into the next, with the two blanks of an end."""
    table = np.full((4, len(HEADS)), LIMIT, np.int16)
    table[:, 1::2] = -LIMIT
    most = 2 * (BLOCK + 2)
    for lanes, part in zip(packed_lanes(table), (slice(0, 3), slice(3, 6)), strict=True):
        total = int(lanes[0]) * most
        read = [total >> shift & (1 << 21) - 1 for shift in (0, 21, 42)]
        expected = [(LIMIT + OFFSET) * most, 0, (LIMIT + OFFSET) * most, 0, (LIMIT + OFFSET) * most, most]
        assert read == expected[part]
