"""Windows: sums of one to eight blocks, in any portions; lanes that never run into each other."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import random_classifier
from tollhouse.safety.features import BLANK_TAIL, NO_WORD, features
from tollhouse.safety.weights import BLOCK, HEADS, LANES, LIMIT, OFFSET, packed_lanes
from tollhouse.safety.windows import NO_BLOCKS, PENALTIES, SIZES, windows


@given(st.integers(1, 30), st.lists(st.integers(1, 30)))
def test_windows_do_not_depend_on_how_blocks_come(count: int, cuts: list[int]) -> None:
    """Block by block or at once: each window is the sum of its last blocks; a first block has but one."""
    blocks = np.arange(count * LANES).reshape(count, LANES) ** 2
    edges = sorted({0, count, *(cut for cut in cuts if cut < count)})
    before, found = NO_BLOCKS, []
    for start, end in pairwise(edges):
        sums, before = windows(before, blocks[start:end])
        found.append(np.broadcast_to(sums, (end - start, len(SIZES), LANES)))
    expected = [[blocks[max(last - size + 1, 0) : last + 1].sum(axis=0) for size in SIZES] for last in range(count)]
    assert np.array_equal(np.concatenate(found), np.array(expected))


def test_a_shorter_window_has_to_be_clearer() -> None:
    """Penalties rise as sizes fall, from none for the longest."""
    penalties = PENALTIES.ravel().tolist()
    assert list(SIZES) == sorted(SIZES, reverse=True)
    assert penalties == sorted(penalties)
    assert penalties[0] == 0
    assert len(penalties) == len(SIZES)


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
