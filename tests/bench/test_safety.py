"""The classifier's bench: every text of it is of its size, and what it measures becomes a table."""

import pytest
from bench.safety import FILE, HOSTILE, LONG, PROSE, Cost, prose, streamed, table

from tests.safety.classifier_kit import shipped


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_have_their_size(name: str) -> None:
    """Twice the size is about twice the text, so that growth is seen."""
    half, whole = len(HOSTILE[name](FILE // 2)), len(HOSTILE[name](FILE))
    assert 0.9 * FILE <= whole <= FILE
    assert whole == pytest.approx(2 * half, rel=0.05)


def test_what_is_measured_streamed_says_what_the_whole_says() -> None:
    """The same reading; the prose is long enough not to be one sentence again and again."""
    assert streamed(shipped(), prose(LONG)) == shipped().read(prose(LONG))
    assert len(PROSE) > 256


def test_the_table_says_what_is_missed_and_what_grows_too_fast() -> None:
    """Targets are judged, and so is growth."""
    told = table([Cost("whole", 200, 50.0, 40.0), Cost("whole", 2000, 100.0, 120.0)], [(Cost("bad", 10, 1.0), 4.0)])
    assert "<= 40 missed" in told
    assert "<= 120 met" in told
    assert "**grows too fast**" in told
