"""Bedrock's usage as OpenAI's."""

from typing import Any

import pytest

from tollhouse.dialects.bedrock.usage import usage_of
from tollhouse.gateway.meter import meter_usage
from tollhouse.types.calls import Usage


def test_the_prompt_is_the_sum_of_its_classes() -> None:
    """Cached tokens are counted beside ``inputTokens``, and writes are told by how long they are kept."""
    usage = usage_of(
        {
            "inputTokens": 13,
            "outputTokens": 5,
            "totalTokens": 1552,
            "cacheReadInputTokens": 1504,
            "cacheWriteInputTokens": 30,
            "cacheDetails": [{"ttl": "1h", "inputTokens": 20}, {"ttl": "5m", "inputTokens": 10}],
        }
    )
    assert usage["total_tokens"] == 1552
    assert meter_usage(usage) == Usage(input=13, cache_read=1504, cache_write=10, output=5, cache_write_1h=20)


def test_writes_without_details_are_kept_for_five_minutes() -> None:
    """Where the host does not say how long, the shorter time counts."""
    usage = usage_of({"inputTokens": 1, "outputTokens": 2, "cacheWriteInputTokens": 30})
    assert meter_usage(usage) == Usage(input=1, cache_write=30, output=2)


@pytest.mark.parametrize("odd", [-1, 1.5, True, "7", None, 2**40, [], {}])
def test_what_is_no_count_is_left_out(odd: Any) -> None:
    """A count that cannot be believed is not there, and neither is the total that it is part of."""
    assert usage_of({"inputTokens": odd, "outputTokens": 3}) == {"completion_tokens": 3}
    assert usage_of({"inputTokens": odd}) == {}
    details = usage_of({"inputTokens": 1, "cacheWriteInputTokens": 1, "cacheDetails": [odd, {"ttl": "5m"}]})
    assert details["prompt_tokens_details"] == {"cache_creation_input_tokens": 1}
