"""The usage object that clients see."""

import pytest

from tollhouse.dialects.usage import sane, tidy_usage, usage_object
from tollhouse.types.calls import Usage


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (2**31, 2**31), (2**31 + 1, None), (-1, None), (7.0, None), ("7", None), (True, None), ([], None)],
)
def test_only_integers_in_range_are_counts(value: object, count: int | None) -> None:
    """An integer in 0..2^31 is a count; floats, text, booleans, negatives and giants are not."""
    assert sane(value) == count


def test_the_client_sees_what_was_metered() -> None:
    """Totals are the metered ones, added up; what else the host reported stays beside them."""
    raw = {"prompt_tokens": 1, "total_tokens": 99, "cost": 0.5, "prompt_tokens_details": {"audio_tokens": 3}}
    assert usage_object(Usage(input=10, cache_read=5, cache_write=2, output=7, reasoning=4), raw) == {
        "prompt_tokens": 17,
        "completion_tokens": 7,
        "total_tokens": 24,
        "cost": 0.5,
        "prompt_tokens_details": {"audio_tokens": 3, "cached_tokens": 5, "cache_write_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }
    assert usage_object(Usage(output=1), {"prompt_tokens_details": None})["prompt_tokens_details"] == {
        "cached_tokens": 0
    }


def test_tidy_totals() -> None:
    """A sum that is missing, or less than its parts, is made anew; one that is more is the host's own knowledge."""
    assert tidy_usage({"prompt_tokens": 3, "completion_tokens": 4})["total_tokens"] == 7
    assert tidy_usage({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 4})["total_tokens"] == 7
    assert tidy_usage({"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 9})["total_tokens"] == 9
