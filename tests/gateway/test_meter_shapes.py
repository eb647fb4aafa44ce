"""Metering: every shape of usage that a host sends, in disjoint classes whose sum is the reported total."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.usage import MAX_TOKENS, usage_object
from tollhouse.gateway.meter import meter_reply, meter_stream, meter_usage, read_usage
from tollhouse.ledger.prices import make_price
from tollhouse.providers.openai import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Prices, Target, Usage

CALL = ChatCall("m", {"messages": [{"role": "user", "content": "Hi"}]}, True, False)
CALLED = {"id": "call_abc", "type": "function", "function": {"name": "look_up", "arguments": '{"city": "Paris"}'}}

SHAPES: dict[str, tuple[dict[str, Any], Usage]] = {
    "OpenAI chat": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 20},
            "completion_tokens_details": {"reasoning_tokens": 10, "audio_tokens": 15, "rejected_prediction_tokens": 0},
        },
        Usage(50, 30, 0, 35, 10, input_audio=20, output_audio=15),
    ),
    "OpenRouter, a cache write": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "total_tokens": 105,
            "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 60, "audio_tokens": 0},
        },
        Usage(30, 10, 60, 5),
    ),
    "Responses": (
        {
            "input_tokens": 100,
            "input_tokens_details": {"cached_tokens": 40},
            "output_tokens": 50,
            "output_tokens_details": {"reasoning_tokens": 30},
            "total_tokens": 150,
        },
        Usage(60, 40, 0, 50, 30),
    ),
    "DeepSeek": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "total_tokens": 105,
            "prompt_cache_hit_tokens": 64,
            "prompt_cache_miss_tokens": 36,
        },
        Usage(36, 64, 0, 5),
    ),
    "Anthropic": (
        {
            "input_tokens": 10,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 1000,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
            "output_tokens": 50,
            "output_tokens_details": {"thinking_tokens": 20},
        },
        Usage(10, 1000, 100, 50, 20, cache_write_1h=200),
    ),
    "Anthropic before 1-hour caches": (
        {"input_tokens": 10, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5},
        Usage(10, 4, 3, 5),
    ),
    "OpenAI's names and Anthropic's classes, within": (
        {
            "prompt_tokens": 1310,
            "completion_tokens": 50,
            "total_tokens": 1360,
            "cache_creation_input_tokens": 300,
            "cache_read_input_tokens": 1000,
        },
        Usage(10, 1000, 300, 50),
    ),
    "OpenAI's names and Anthropic's classes, beside, by the counts": (
        {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "cache_read_input_tokens": 1000},
        Usage(10, 1000, 0, 50),
    ),
    "OpenAI's names and Anthropic's classes, beside, by the total": (
        {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 240, "cache_read_input_tokens": 90},
        Usage(100, 90, 0, 50),
    ),
    "Alibaba, an explicit cache": (
        {
            "prompt_tokens": 100,
            "completion_tokens": 5,
            "total_tokens": 105,
            "prompt_tokens_details": {
                "cached_tokens": 0,
                "cache_creation_input_tokens": 80,
                "cache_creation": {"ephemeral_5m_input_tokens": 80},
            },
        },
        Usage(20, 0, 80, 5),
    ),
    "xAI, reasoning beside": (
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 35,
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
        Usage(10, 0, 0, 25, 20),
    ),
    "Perplexity": (
        {"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "reasoning_tokens": 20},
        Usage(10, 0, 0, 50, 20),
    ),
    "a transcription": (
        {
            "type": "tokens",
            "input_tokens": 100,
            "input_token_details": {"audio_tokens": 90, "text_tokens": 10},
            "output_tokens": 20,
            "total_tokens": 120,
        },
        Usage(10, 0, 0, 20, input_audio=90),
    ),
    "an image": (
        {
            "input_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "output_tokens": 4160,
            "total_tokens": 4210,
        },
        Usage(50, 0, 0, 4160),
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a6_every_hosts_shape_is_read_into_disjoint_classes(name: str) -> None:
    """Cached, written, heard and reasoned tokens are counted once, wherever a host reports them."""
    raw, usage = SHAPES[name]
    assert meter_usage(raw) == usage


@pytest.mark.parametrize("name", SHAPES)
def test_a1_a_stream_costs_what_the_whole_answer_does(name: str) -> None:
    """Equal usage is equal money, to the last nano-USD, whether it was streamed or not."""
    raw, _ = SHAPES[name]
    price = make_price("h", "m", Prices(3_000_001, 15_000_007, 300_003), source="config")
    assert price is not None
    stream = ChatStream("s", 1, "m", include_usage=False)
    assert price.charge(meter_stream(raw, CALL, stream)) == price.charge(meter_reply(raw, CALL, {"choices": []}))


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_client_is_shown_adds_up(name: str) -> None:
    """The totals a client sees are the sums of the classes it pays for."""
    raw, usage = SHAPES[name]
    shown = usage_object(usage, raw)
    assert shown["prompt_tokens"] == usage.prompt
    assert shown["completion_tokens"] == usage.completion
    assert shown["total_tokens"] == usage.prompt + usage.completion
    assert meter_usage({name: value for name, value in shown.items() if name not in raw or "tokens" in name})


@pytest.mark.parametrize("choices", ['[{"index":0,"delta":{}}]', "[]"])
def test_a2_usage_is_taken_from_a_chunk_whatever_its_choices(choices: str) -> None:
    """A last chunk with usage and a choice that says nothing is metered, cached tokens too."""
    target = Target(Host("h", "https://h.example/v1"), "m")
    reader, stream = PROVIDER.decode_chat(CALL, target), ChatStream("s", 1, "m", include_usage=True)
    details = '"prompt_tokens_details":{"cached_tokens":4096}'
    said = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n'
    usage = f'"usage":{{"prompt_tokens":5000,"completion_tokens":9,"total_tokens":5009,{details}}}'
    stream.encode(reader.feed(said + f'data: {{"choices":{choices},{usage}}}\n\ndata: [DONE]\n\n'.encode()))
    assert meter_stream(reader.usage, CALL, stream) == Usage(904, 4096, 0, 9)


def test_a7_usage_that_comes_in_two_events_is_put_together() -> None:
    """What the last event does not say keeps the first one's value, and totals are made again."""
    target = Target(Host("h", "https://h.example/v1"), "m")
    reader, stream = PROVIDER.decode_chat(CALL, target), ChatStream("s", 1, "m", include_usage=True)
    events = (
        b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":{"input_tokens":70,"output_tokens":1,'
        b'"cache_read_input_tokens":30}}\n\n'
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"output_tokens":9}}\n\n'
        b"data: [DONE]\n\n"
    )
    stream.encode(reader.feed(events))
    assert meter_stream(reader.usage, CALL, stream) == Usage(70, 30, 0, 9)


def test_explicit_zeros_are_zeros() -> None:
    """I20: a host that reports nothing used is believed, and no estimate is charged over it."""
    zeros = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert meter_reply(zeros, CALL, {"choices": [{"message": {"content": "hello there"}}]}) == Usage()


def test_a_tool_call_is_estimated_alike_in_a_stream_and_whole() -> None:
    """Where a host reports nothing, a call counts by its name and arguments, and a little around them."""
    stream = ChatStream("s", 1, "m", include_usage=False)
    fragment = {**CALLED, "index": 0}
    stream.encode([{"choices": [{"index": 0, "delta": {"tool_calls": [fragment]}, "finish_reason": None}]}])
    streamed = meter_stream(None, CALL, stream)
    whole = meter_reply(None, CALL, {"choices": [{"message": {"content": None, "tool_calls": [CALLED]}}]})
    assert streamed.estimated
    assert whole.estimated
    assert abs(streamed.output - whole.output) <= 2
    assert 14 <= whole.output <= 26


@pytest.mark.parametrize("raw", [None, 5, "usage", [], {}, {"total_tokens": 5}])
def test_an_answer_that_states_nothing_has_no_usage(raw: object) -> None:
    """Nothing said is not the same as zero."""
    assert meter_usage(raw) is None


def test_what_a_usage_lacks_is_filled_in_and_marked() -> None:
    """A number that is missing is the estimate given for it."""
    assert read_usage({"prompt_tokens": 5}, 7, 9) == Usage(5, 0, 0, 9, estimated=True)
    assert read_usage({"completion_tokens": 5}, 7, 9) == Usage(7, 0, 0, 5, estimated=True)


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 300),
    st.sampled_from([2**31, 2**31 + 1, 10**40, -1]),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)
names = st.sampled_from(
    [
        *("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens"),
        *("cache_read_input_tokens", "cache_creation_input_tokens", "prompt_cache_hit_tokens", "reasoning_tokens"),
        *("audio_tokens", "cache_write_tokens", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
    ]
)
inner = st.dictionaries(names, junk, max_size=5)
holders = st.sampled_from(
    ["prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "cache_creation"]
)


@given(st.dictionaries(names, junk), st.dictionaries(holders, inner | junk))
def test_i20_whatever_a_host_sends_the_classes_are_sane_integers(plain: dict[str, Any], more: dict[str, Any]) -> None:
    """F24-F27: no float, text, negative or giant number of a host reaches the arithmetic, and nothing raises."""
    usage = read_usage({**plain, **more}, 7, 9)
    fields = msgspec.structs.asdict(usage)
    estimated = fields.pop("estimated")
    assert all(type(value) is int and 0 <= value <= 5 * MAX_TOKENS for value in fields.values())
    assert usage.reasoning <= usage.output
    assert type(estimated) is bool


@given(st.integers(0, MAX_TOKENS), st.integers(0, MAX_TOKENS), st.integers(0, 9), inner, inner)
def test_the_sum_of_the_classes_is_the_reported_total(
    prompt: int, completion: int, beside: int, before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Where a host's total is sane, the disjoint classes add up to it."""
    raw = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion + beside,
        "prompt_tokens_details": before,
        "completion_tokens_details": after,
    }
    usage = read_usage(raw, 0, 0)
    total = prompt + completion + beside
    assert usage.prompt + usage.completion == (total if total <= MAX_TOKENS else prompt + completion)
    assert usage.prompt == prompt
