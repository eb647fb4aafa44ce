"""Chunks put together: every case of the table, one by one, and as objects of the openai SDK."""

import time
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from tests.client.cases import STREAMS, name
from tollhouse.client import Collector, collect, error_id, was_filtered

each_stream = pytest.mark.parametrize("case", STREAMS, ids=name)


@each_stream
def test_a_stream_is_its_completion(case: dict[str, Any]) -> None:
    """Whatever was said in pieces is there whole."""
    assert collect(case["chunks"]) == case["whole"]
    assert collect(iter(case["chunks"])) == case["whole"]


@each_stream
def test_objects_of_the_sdk_are_the_same(case: dict[str, Any]) -> None:
    """Texts, calls and results of the SDK's chunks are those of the JSON."""
    chunks = [ChatCompletionChunk.construct(**one) if isinstance(one, dict) else one for one in case["chunks"]]
    whole, expected = collect(chunks), case["whole"]
    assert whole["choices"] == expected["choices"]
    assert error_id(whole) == error_id(expected)


def test_a_stream_can_be_looked_at_on_the_way() -> None:
    """A collector says at any time what has come."""
    collector = Collector()
    collector.add({"choices": [{"index": 0, "delta": {"content": "a"}}]})
    assert not was_filtered(collector.completion())
    results = {"hate": {"filtered": True, "severity": "high"}}
    collector.add({"choices": [{"index": 0, "delta": {"content": "b"}, "content_filter_results": results}]})
    assert was_filtered(collector.completion())
    assert collector.completion()["choices"][0]["message"]["content"] == "ab"


def test_cost_is_linear() -> None:
    """Ten times the chunks take about ten times as long."""

    def cost_s(count: int) -> float:
        chunk = {"choices": [{"index": 0, "delta": {"content": "x" * 20, "tool_calls": [{"index": 1}]}}]}
        begun = time.process_time()
        collect([chunk] * count)
        return time.process_time() - begun

    cost_s(1000)
    assert cost_s(40_000) < 40 * max(cost_s(4_000), 0.005)
