"""Weights: kept in a file and read again, summed in lanes that never run into each other."""

import json
from zlib import compress, decompress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.safety.classifier_kit import SIZE, random_planes, random_weights, vocabulary_of
from tollhouse.safety.features import LONGEST
from tollhouse.safety.lexicon import MILD, NONE, SEVERE, STRONG
from tollhouse.safety.weights import (
    BLOCK,
    HEADS,
    LEET,
    LIMIT,
    OFFSET,
    PAIR,
    PRIOR,
    SINGLE,
    SWEARING,
    Weights,
    lanes,
    level_of,
    marks,
    plane_of,
    read_weights,
    rows_of,
    weights_bytes,
    weights_file,
)
from tollhouse.safety.windows import LONG

COUNT = len(HEADS)
SCALES, BIASES = [0.001, 0.002, 0.003, 0.004, 0.005], [-5.0, -4.0, -3.0, -2.0, -1.0]
CUTS = [[0.1 * place, 0.1 * place + 0.2, 0.1 * place + 0.4] for place in range(1, COUNT + 1)]
WORDS_IN_WINDOW = LONG * BLOCK
MOST_IN_WORD = 3 * LONGEST


def extreme_weights() -> Weights:
    """The greatest weights there can be for the first head, the least for the second, and so on."""
    planes = [[LIMIT if place % 2 == 0 else -LIMIT] * SIZE for place in range(COUNT)]
    return Weights(rows_of([plane_of(plane) for plane in planes]), tuple(SCALES), tuple(BIASES), {})


def changed(data: bytes, **fields: object) -> bytes:
    """A file of weights that says something else about itself."""
    head, _, body = decompress(data).partition(b"\n")
    return compress(json.dumps(json.loads(head) | fields).encode() + b"\n" + body)


def shortened(data: bytes, count: int) -> bytes:
    """A file of weights without its last bytes."""
    return compress(decompress(data)[:-count])


def with_number(data: bytes, number: int) -> bytes:
    """A file of weights whose last one is told as this number."""
    return compress(decompress(data)[:-2] + number.to_bytes(2, "little"))


def test_a_file_that_is_written_is_read_again() -> None:
    """Every weight, scale, bias and threshold; the same numbers are the same bytes."""
    data = weights_file(random_planes(), SCALES, BIASES, CUTS)
    assert data == weights_file(random_planes(), SCALES, BIASES, CUTS)
    weights = read_weights(data)
    assert weights.rows == random_weights().rows
    assert (weights.scales, weights.biases) == (tuple(SCALES), tuple(BIASES))
    assert weights.thresholds == {head: tuple(cuts) for head, cuts in zip(HEADS, CUTS, strict=True)}


def test_a_weight_that_does_not_fit_is_not_written() -> None:
    """What is below minus `LIMIT` has no two bytes to be told in."""
    with pytest.raises(OverflowError):
        plane_of([0, -LIMIT - 1])


def test_a_row_is_its_weights_and_a_count_of_one() -> None:
    """Moved up by `OFFSET`, each in its lane, with no mark."""
    rows = rows_of([plane_of(plane) for plane in random_planes()])
    assert len(rows) == SIZE
    for bucket in (0, 1, 255, 256, SIZE // 2, SIZE - 1):
        assert lanes(rows[bucket]) == (*(plane[bucket] + OFFSET for plane in random_planes()), 1)
        assert marks(rows[bucket]) == (0,) * 6


def test_the_shipped_file_is_under_a_megabyte_and_of_this_version() -> None:
    """It is read without complaint."""
    data = weights_bytes()
    assert len(data) < 1_000_000
    assert tuple(read_weights(data).thresholds) == HEADS


FILE = weights_file([[0] * SIZE] * COUNT, SCALES, BIASES, CUTS)


@pytest.mark.parametrize(
    "data",
    [
        changed(FILE, bits=16),
        changed(FILE, heads=HEADS[::-1]),
        changed(FILE, heads=HEADS[:4]),
        changed(FILE, thresholds=CUTS[:4]),
        changed(FILE, thresholds=3),
        changed(FILE, scales=SCALES[:4]),
        changed(FILE, biases=BIASES[:4]),
        shortened(FILE, 2),
        shortened(FILE, 1),
        weights_file([[0] * SIZE] * (COUNT - 1), SCALES, BIASES, CUTS),
        weights_file([[0] * (SIZE // 2)] * COUNT, SCALES, BIASES, CUTS),
    ],
    ids=[
        "bits",
        "order",
        "fewer-heads",
        "fewer-cuts",
        "no-cuts",
        "fewer-scales",
        "fewer-biases",
        "a-weight-less",
        "a-byte-less",
        "a-plane-less",
        "fewer-buckets",
    ],
)
def test_a_file_of_another_version_is_refused(data: bytes) -> None:
    """Weights of another shape are never read as if they were of this one."""
    with pytest.raises(ValueError, match=r"another version|argument|length|not a multiple"):
        read_weights(data)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04 the file of the version before",
        b"",
        FILE[:-100],
        compress(b"{}\n"),
        compress(b"[]\n"),
        weights_file([[LIMIT + 1] * SIZE] * COUNT, SCALES, BIASES, CUTS),
        with_number(FILE, 0xFFFF),
        with_number(FILE, OFFSET + LIMIT + 1),
    ],
    ids=[
        "numpy",
        "empty",
        "cut-off",
        "says-nothing",
        "says-a-list",
        "too-great",
        "greatest",
        "one-too-great",
    ],
)
def test_what_is_no_file_of_weights_is_refused_alike(data: bytes) -> None:
    """Another kind of file, one that is cut off, and weights beyond `LIMIT` raise the declared error."""
    with pytest.raises(ValueError, match="another version"):
        read_weights(data)


@pytest.mark.parametrize(
    "data", [compress(b"\xff\n"), compress(b"{\n"), changed(FILE, thresholds=[[0.1, 0.2]] * COUNT)]
)
def test_what_is_no_json_and_what_has_two_thresholds_is_refused(data: bytes) -> None:
    """The same kind of error says so, in the words of whoever noticed."""
    with pytest.raises(ValueError, match=r"decode|Expecting|unpack|another version"):
        read_weights(data)


@pytest.mark.parametrize(
    "word",
    ["x" * LONGEST, "x," * (LONGEST // 2), "a1b2c3d4" * (LONGEST // 8), "\u65e5" * LONGEST, "...." * 16],
    ids=["letters", "runs", "leet", "foreign", "signs"],
)
def test_the_fullest_window_fits_in_its_lanes(word: str) -> None:
    """Eight blocks of words of 64 characters, all of the greatest weight: no lane runs into the next."""
    weights = extreme_weights()
    vocabulary = vocabulary_of(weights)
    ((total, first, last),) = vocabulary.known([word])
    window = WORDS_IN_WINDOW * (total + vocabulary.pairs[last ^ first])
    *sums, count = lanes(window)
    assert 0 < count <= WORDS_IN_WINDOW * MOST_IN_WORD
    assert sums == [(OFFSET + LIMIT) * count, 0, (OFFSET + LIMIT) * count, 0, (OFFSET + LIMIT) * count]
    expected = [mark * WORDS_IN_WINDOW for mark in marks(total)]
    assert marks(window)[:5] == tuple(expected[:5])


def test_the_fullest_window_has_room_above_its_lanes() -> None:
    """As many features as characters, each of the greatest sum, are far below what a lane holds."""
    assert WORDS_IN_WINDOW * MOST_IN_WORD * (OFFSET + LIMIT) < 1 << 32
    assert WORDS_IN_WINDOW * LONGEST < 1 << 16


@given(st.lists(st.integers(0, 4000), min_size=6, max_size=6))
def test_marks_are_counted_each_by_itself(counts: list[int]) -> None:
    """Six kinds, none of which touches a lane or another kind."""
    kinds = (LEET, SINGLE, *SWEARING[1:], PAIR)
    total = sum(count * kind for count, kind in zip(counts, kinds, strict=True))
    assert marks(total) == tuple(counts)
    assert lanes(total) == (0,) * (COUNT + 1)
    assert (total >= LEET) == any(counts)


def test_the_level_is_that_of_the_worst_mark() -> None:
    """However many lesser ones there are."""
    assert SWEARING[NONE] == 0
    assert [level_of(each) for each in ((0, 0, 0), (9, 0, 0), (9, 1, 0), (0, 0, 1))] == [NONE, MILD, STRONG, SEVERE]
    assert [level_of(marks(SWEARING[level])[2:5]) for level in range(4)] == [NONE, MILD, STRONG, SEVERE]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, SIZE - 1), max_size=300))
def test_logits_are_the_scaled_sums_over_the_root_of_the_number(buckets: list[int]) -> None:
    """Of any row of buckets; of none, the biases."""
    weights = Weights(random_weights().rows, tuple(SCALES), tuple(BIASES), {})
    root = (len(buckets) + PRIOR) ** 0.5
    expected = [
        sum(plane[bucket] for bucket in buckets) * scale / root + bias
        for plane, scale, bias in zip(random_planes(), SCALES, BIASES, strict=True)
    ]
    assert weights.logits(sum(weights.rows[bucket] for bucket in buckets)) == pytest.approx(expected)
