"""The usage object: how hosts are asked for it, and what clients see of it."""

from typing import Any

import pytest

from tollhouse.dialects.usage import ask_for_usage, sane, strip_usage, tidy_usage, usage_asked, usage_object
from tollhouse.types.calls import Quirks, Usage


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


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True, "x": 1}])
def test_usage_is_asked_for_whatever_the_client_asked(options: dict[str, Any] | None) -> None:
    """A host that can be asked is; one that refuses the question is not, and what it then does not get is named."""
    body = {"prompt": "x", "stream_options": options}
    assert ask_for_usage(body, Quirks()) == ()
    assert body == {"prompt": "x", "stream_options": {**(options or {}), "include_usage": True}}
    body = {"prompt": "x", "stream_options": options}
    assert ask_for_usage(body, Quirks(stream_usage=False)) == (("stream_options",) if "x" in (options or {}) else ())
    assert body == {"prompt": "x"}
    assert usage_asked({"stream_options": options}) is ("x" in (options or {}))


@pytest.mark.parametrize(
    ("chunk", "shown"),
    [
        ({"choices": [{"text": "a"}], "usage": None}, {"choices": [{"text": "a"}]}),
        ({"choices": [{"text": "a"}], "usage": {"prompt_tokens": 1}}, {"choices": [{"text": "a"}]}),
        ({"choices": [{"text": "a"}]}, {"choices": [{"text": "a"}]}),
        ({"choices": [], "usage": {"prompt_tokens": 1}}, None),
        ({"usage": {"prompt_tokens": 1}}, None),
        ({"choices": [], "prompt_filter_results": []}, {"choices": [], "prompt_filter_results": []}),
    ],
)
def test_usage_that_was_not_asked_for_is_not_shown(chunk: dict[str, Any], shown: dict[str, Any] | None) -> None:
    """No chunk shows usage, a chunk of usage alone is left out, and any other chunk stays."""
    assert strip_usage(chunk) is (shown is not None)
    assert shown is None or chunk == shown
