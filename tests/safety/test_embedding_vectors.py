"""`safety.embedding_vectors`: windows over a text, and batches of windows."""

import numpy as np
import pytest

from tests.safety.embedding_kit import NAMES, WIDTH, tiny_embedder
from tollhouse.safety.embedding_vectors import WINDOW, batches

BODY = WINDOW - 2


@pytest.mark.parametrize("length", [0, 1, BODY - 1, BODY, BODY + 1, 2 * BODY, 2 * BODY + 1, 700])
def test_windows_cover_a_text_and_the_last_is_full(length: int) -> None:
    """They stand side by side, framed by the control tokens; only a text of one window has one that is not full."""
    names = [NAMES[4 + place * place % 13] for place in range(length)]
    windows = tiny_embedder().windows(" ".join(names))
    assert len(windows) == max(-(-length // BODY), 1)
    pieces = [NAMES.index(name) for name in names]
    starts = [*range(0, max(length - BODY, 0), BODY), max(length - BODY, 0)]
    assert windows == [[2, *pieces[start : start + BODY], 3] for start in starts]


def test_vectors_come_in_the_order_of_the_windows() -> None:
    """Windows of mixed lengths are embedded in batches and given back in order, whichever layers are asked for."""
    embedder = tiny_embedder()
    windows = [[2, *range(4, 4 + length), 3] for length in (1, 5, 2, 5, 0, 1, 9, 5)]
    together = embedder.vectors(windows, (2, 6))
    assert together.shape == (len(windows), 2 * WIDTH)
    for window, vector in zip(windows, together, strict=True):
        assert np.allclose(embedder.vectors([window], (2, 6))[0], vector, atol=1e-6)
        assert np.allclose(embedder.vectors([window])[0], vector[WIDTH:], atol=1e-6)


def test_a_batch_has_one_length_and_a_bounded_size() -> None:
    """Every window is in one batch, with windows of its length only, about 256 pieces in all."""
    windows = [[0] * length for length in (3, 128, 3, 128, 128, 200, 3, 300)] + [[0] * 100] * 5
    found = list(batches(windows))
    assert sorted(place for batch in found for place in batch) == list(range(len(windows)))
    for batch in found:
        assert len({len(windows[place]) for place in batch}) == 1
        assert len(batch) == 1 or sum(len(windows[place]) for place in batch) <= 256
