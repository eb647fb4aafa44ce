"""Metering: hosts' usage objects in disjoint classes, and estimates where there is nothing to believe."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.usage import MAX_TOKENS
from tollhouse.gateway.meter import estimate_prompt, meter_reply, meter_stream
from tollhouse.types.calls import ChatCall, Usage

CALL = ChatCall("m", {"messages": [{"role": "user", "content": "How are you today?"}]}, False, False)
REPLY = {"choices": [{"message": {"content": "I am well, thank you very much."}}]}


def meter(raw: dict[str, Any] | None) -> Usage:
    """The usage of the same reply with this usage object."""
    return meter_reply(raw, CALL, REPLY)


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}, Usage(10, 0, 0, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(10, 0, 0, 5)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        ({"input_tokens": 10, "output_tokens": 5}, Usage(10, 0, 0, 5)),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
            Usage(6, 4, 0, 5),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            },
            Usage(3, 4, 3, 5),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(6, 4, 0, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4}, Usage(6, 4, 0, 5)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "num_cached_tokens": 4}, Usage(6, 4, 0, 5)),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 5,
                "prompt_cache_hit_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
            Usage(10, 0, 0, 5),
        ),
        (
            {
                "prompt_tokens": 3,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9},
            },
            Usage(0, 3, 0, 5),
        ),
    ],
)
def test_the_prompts_classes_are_disjoint(raw: dict[str, Any], usage: Usage) -> None:
    """What was read from or written to a cache is taken out of the prompt, wherever a host reports it."""
    assert meter(raw) == usage


@pytest.mark.parametrize(
    ("completion", "reasoning", "total", "output", "reasoned"),
    [
        (30, 20, 40, 30, 20),
        (30, 20, None, 30, 20),
        (30, 20, 60, 50, 20),
        (3, None, 72, 62, 59),
        (30, 40, 40, 30, 30),
        (30, 20, 7, 30, 20),
    ],
    ids=["inside", "no total", "beside, as xAI", "only in the total, as Gemini", "more than all", "a total too small"],
)
def test_reasoning_is_counted_once(
    completion: int, reasoning: int | None, total: int | None, output: int, reasoned: int
) -> None:
    """Reasoning is part of the output, once, whether a host counts it inside, beside, or only in the total."""
    raw = {
        "prompt_tokens": 10,
        "completion_tokens": completion,
        "total_tokens": total,
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    assert meter(raw) == Usage(10, 0, 0, output, reasoned)


@pytest.mark.parametrize("bad", [-1, 2.5, "10", True, None, 10**30, MAX_TOKENS + 1, [], {}, float("nan")])
def test_only_sane_integers_are_believed(bad: object) -> None:
    """Anything but an integer in range is treated as missing: estimated where it is a total, ignored where a detail."""
    prompt_only = meter({"prompt_tokens": bad, "completion_tokens": 5})
    assert prompt_only == Usage(estimate_prompt(CALL.body), 0, 0, 5, estimated=True)
    completion_only = meter({"prompt_tokens": 10, "completion_tokens": bad})
    assert completion_only.input == 10
    assert completion_only.estimated
    assert 6 <= completion_only.output <= 12
    details = {"prompt_tokens_details": {"cached_tokens": bad}, "completion_tokens_details": {"reasoning_tokens": bad}}
    assert meter({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": bad, **details}) == Usage(10, 0, 0, 5)
    assert meter({"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": bad}) == Usage(10, 0, 0, 5)


@pytest.mark.parametrize("raw", [None, {}, {"total_tokens": 9}])
def test_no_usage_is_estimated(raw: dict[str, Any] | None) -> None:
    """Where a host reports nothing, prompt and answer are estimated from their text and marked so."""
    usage = meter(raw)
    assert usage.estimated
    assert 8 <= usage.input <= 16
    assert 6 <= usage.output <= 12


def test_a_broken_stream_is_metered_by_what_was_delivered() -> None:
    """A stream without usage costs its prompt and the text that the client was given, and nothing of it is lost."""
    stream = ChatStream("s", 1, "m", include_usage=False)
    chunk = {"choices": [{"index": 0, "delta": {"content": "I am well, thank you"}, "finish_reason": None}]}
    assert meter_stream(None, CALL, stream).output == 0
    stream.encode([chunk])
    usage = meter_stream(None, CALL, stream)
    assert usage.estimated
    assert 4 <= usage.output <= 8
    assert meter_stream({"prompt_tokens": 1, "completion_tokens": 2}, CALL, stream) == Usage(1, 0, 0, 2)


def test_a_replys_tool_calls_and_reasoning_count() -> None:
    """The estimate of a reply includes its reasoning and the arguments of its calls."""
    message = {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "word " * 50}}]}
    assert meter_reply(None, CALL, {"choices": [{"message": message}]}).output > 40
    assert meter_reply(None, CALL, {"choices": [{"message": {"reasoning_content": "word " * 50}}]}).output > 40


def test_a_prompts_parts_all_count() -> None:
    """Messages in any form, media and tools add to the estimate of a prompt; junk adds nothing and is no error."""
    words = "word " * 50
    plain = estimate_prompt({"messages": [{"role": "user", "content": words}]})
    assert plain > 40
    parts = [{"type": "text", "text": words}]
    assert estimate_prompt({"messages": [{"role": "user", "content": parts}]}) == plain
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert estimate_prompt({"messages": [{"role": "user", "content": [*parts, image]}]}) == plain + 1000
    tools = [{"type": "function", "function": {"name": "f", "description": words}}]
    assert estimate_prompt({"messages": [{"role": "user", "content": words}], "tools": tools}) > plain + 40
    assert estimate_prompt({"messages": [7, None, {"content": 7}]}) < 10
    assert estimate_prompt({}) < 10


NUMBERS = st.integers(-(2**40), 2**40) | st.none() | st.floats() | st.booleans() | st.text(max_size=2)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "prompt_tokens": NUMBERS,
            "completion_tokens": NUMBERS,
            "total_tokens": NUMBERS,
            "prompt_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(["cached_tokens", "cache_write_tokens"]), NUMBERS),
            "completion_tokens_details": st.none() | st.dictionaries(st.just("reasoning_tokens"), NUMBERS),
        },
    )
)
def test_no_usage_object_breaks_arithmetic(raw: dict[str, Any]) -> None:
    """Whatever a host reports, every class is a non-negative integer and the classes add up to the prompt."""
    usage = meter(raw)
    counts = (usage.input, usage.cache_read, usage.cache_write, usage.output, usage.reasoning)
    assert all(type(count) is int and 0 <= count <= 2 * MAX_TOKENS for count in counts)
    assert usage.reasoning <= usage.output
    prompt = raw.get("prompt_tokens")
    if type(prompt) is int and 0 <= prompt <= MAX_TOKENS:
        assert usage.input + usage.cache_read + usage.cache_write == prompt
