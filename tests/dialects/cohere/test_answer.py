"""Answers of Cohere that the fixtures do not show: odd, broken and hostile ones."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.engine import chance
from tests.fuzz.mutate import spoil
from tollhouse.dialects.cohere.answer import CohereReader, usage_of
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamTooLarge,
    UpstreamUnavailable,
)

CALL = {"id": "t", "type": "function", "function": {"name": "a", "arguments": "{}"}}
USAGE = {"billed_units": {"input_tokens": 3, "output_tokens": 2}, "tokens": {"input_tokens": 9}, "cached_tokens": 4}
WHOLE: dict[str, Any] = {
    "id": "c",
    "finish_reason": "TOOL_CALL",
    "message": {
        "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Hi"}],
        "tool_plan": "I will",
        "tool_calls": [CALL],
        "citations": [{"start": 0, "end": 2, "sources": [{"type": "document", "id": "d", "document": {"url": "u"}}]}],
    },
    "usage": USAGE,
    "logprobs": [{"text": "Hi", "token_ids": [1], "logprobs": [-0.5]}],
}
EVENTS: list[dict[str, Any]] = [
    {"type": "message-start", "id": "c"},
    {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
    {
        "type": "content-delta",
        "index": 0,
        "delta": {"message": {"content": {"text": "Hi"}}},
        "logprobs": WHOLE["logprobs"],
    },
    {"type": "citation-start", "delta": {"message": {"citations": WHOLE["message"]["citations"]}}},
    {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will"}}},
    {"type": "tool-call-start", "index": 1, "delta": {"message": {"tool_calls": CALL}}},
    {"type": "tool-call-delta", "index": 1, "delta": {"message": {"tool_calls": CALL}}},
    {"type": "tool-call-end", "index": 1},
    {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": USAGE}},
]


def reader(cap: int = 1 << 20, custom: frozenset[str] = frozenset()) -> CohereReader:
    """A fresh one."""
    return CohereReader(cap, [], custom)


def wire(*events: Any) -> bytes:
    """Events as they arrive."""
    return b"".join(
        b"data: " + (event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n\n" for event in events
    )


def read(data: bytes) -> list[dict[str, Any]]:
    """The choices of all chunks of a stream."""
    one = reader()
    return [chunk["choices"][0] for chunk in one.feed(data) + one.finish()]


def reply(answer: Any) -> dict[str, Any]:
    """The choice of a whole answer."""
    choice: dict[str, Any] = reader().reply(json.dumps(answer).encode())["choices"][0]
    return choice


def test_plan_and_thoughts_are_both_told() -> None:
    """In the order in which they were thought."""
    assert reply(WHOLE)["message"]["reasoning_content"] == "I will\nHm."


def test_citations_count_in_the_whole_text_and_not_in_thoughts() -> None:
    """Each block begins where the one before it ended; a citation of a plan has no place in the answer."""
    source = [{"type": "document", "id": "d"}]
    cited = [
        {"start": 1, "end": 2, "content_index": 2, "sources": source},
        {"type": "PLAN", "start": 0, "sources": source},
    ]
    blocks = [{"type": "text", "text": "abc"}, {"type": "thinking", "thinking": "x"}, {"type": "text", "text": "def"}]
    message = reply({"finish_reason": "COMPLETE", "message": {"content": blocks, "citations": cited}})["message"]
    assert message["content"] == "abcdef"
    (annotation,) = message["annotations"]
    assert annotation["url_citation"] == {"start_index": 4, "end_index": 5, "url": "", "title": "d"}


@pytest.mark.parametrize(("content", "said"), [("Hi", "Hi"), ([], ""), (None, "")])
def test_content_may_be_text_or_missing(content: Any, said: str) -> None:
    """An answer that says nothing and ended well is an empty one."""
    assert reply({"finish_reason": "COMPLETE", "message": {"content": content}})["message"]["content"] == said


def test_a_toxic_answer_was_filtered() -> None:
    """The reason says so; how bad it was, Cohere does not tell."""
    found = {"toxicity": {"filtered": True, "detected": True}}
    whole = reply({"message": {"content": "x"}, "finish_reason": "ERROR_TOXIC"})
    streamed = read(wire({"type": "message-end", "delta": {"finish_reason": "ERROR_TOXIC"}}))[-1]
    for choice in (whole, streamed):
        assert (choice["finish_reason"], choice["content_filter_results"]) == ("content_filter", found)


def test_a_stream_may_go_on_after_its_end() -> None:
    """A marker that others send does no harm; nothing after the end counts."""
    last = read(wire(*EVENTS, b"[DONE]", b"rubbish"))[-1]
    assert (last["finish_reason"], last["native_finish_reason"]) == ("tool_calls", "TOOL_CALL")
    assert read(wire(b"[DONE]", *EVENTS))[-1] == last


def test_a_call_that_never_ended_is_whole_at_the_end() -> None:
    """Arguments that never came are an empty object."""
    head = {"id": "t", "function": {"name": "a"}}
    start = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": head}}}
    assert read(wire(start, EVENTS[-1]))[-2]["delta"]["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"<html>", UpstreamBadResponse),
        (wire(b"{"), UpstreamBadResponse),
        (wire(b"[]"), UpstreamBadResponse),
        (wire(b'{"type": NaN}'), UpstreamBadResponse),
        (wire(b'{"a":' * 100_000), UpstreamBadResponse),
        (wire(b'"\xff"'), UpstreamBadResponse),
        (wire({"type": "error", "error": {"message": "no"}}), UpstreamUnavailable),
        (wire({"type": "error", "message": "no"}), UpstreamUnavailable),
        (wire({"message": "no"}), UpstreamUnavailable),
        (wire(EVENTS[6]), UpstreamBadResponse),
        (wire(EVENTS[5], EVENTS[7], EVENTS[6]), UpstreamBadResponse),
        (wire(EVENTS[7]), UpstreamInterrupted),
        (wire({"type": "content-delta", "delta": {"message": {"content": {"text": 5}}}}), UpstreamBadResponse),
        (wire({"type": "content-delta", "delta": {"message": []}}), UpstreamBadResponse),
        (wire({"type": "message-end", "delta": {"finish_reason": "USER_CANCEL"}}), UpstreamInterrupted),
        (b"data: " + b"x" * (1 << 21), UpstreamTooLarge),
        (b"", UpstreamInterrupted),
        (b"\n\n", UpstreamInterrupted),
        (wire(*EVENTS[:-1]), UpstreamInterrupted),
        (wire(*EVENTS)[:-10], UpstreamInterrupted),
    ],
)
def test_a_broken_stream_is_a_fault(data: bytes, fault: type[UpstreamFault]) -> None:
    """Each of its own kind, and none another exception."""
    with pytest.raises(fault):
        read(data)


@pytest.mark.parametrize(
    "answer",
    [{}, [], None, {"message": {"content": 5}}, {"message": {"tool_calls": [{}]}}, {"message": {"content": [5]}}],
)
def test_a_broken_answer_is_a_fault(answer: Any) -> None:
    """Wrong types anywhere."""
    with pytest.raises(UpstreamBadResponse):
        reply(answer)


def test_an_error_in_a_whole_answer_is_a_fault() -> None:
    """Whatever its status was."""
    with pytest.raises(UpstreamUnavailable):
        reply({"message": "no"})


def test_a_fault_waits_for_what_came_before_it() -> None:
    """Chunks of the same read are given out first, and the next call raises."""
    one = reader()
    assert len(one.feed(wire(EVENTS[2], b"{"))) == 1
    assert one.done
    with pytest.raises(UpstreamBadResponse):
        one.finish()
    with pytest.raises(UpstreamBadResponse):
        one.feed(b"")


@pytest.mark.parametrize(
    ("given", "usage"),
    [
        (
            USAGE,
            {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "total_tokens": 5,
                "tokens": {"input_tokens": 9, "cached_tokens": 4},
            },
        ),
        (
            {"tokens": {"input_tokens": 3.0, "output_tokens": 2}},
            {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        ),
        (
            {"billed_units": {"output_tokens": 2}, "tokens": {"input_tokens": 9}},
            {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 11,
                "tokens": {"input_tokens": 9, "cached_tokens": 0},
            },
        ),
        (
            {"tokens": {"input_tokens": 9}, "cached_tokens": 8},
            {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 8}},
        ),
        ({"billed_units": {"input_tokens": -1}, "tokens": {"input_tokens": 1e300}}, None),
        ({"billed_units": [], "tokens": "x"}, None),
        (5, None),
        (None, None),
    ],
)
def test_what_is_billed_is_what_counts(given: Any, usage: Any) -> None:
    """Cohere's own preamble and its cache are no money; without a bill all tokens count."""
    assert usage_of(given) == usage


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 40))
def test_no_answer_raises_anything_but_a_fault(seed: int) -> None:
    """Spoiled anywhere, whole or in pieces, an answer is read or is a fault; what was read is in the inner form."""
    random = chance("cohere", seed)
    one = reader(custom=frozenset("a") if seed % 2 else frozenset())
    with suppress(UpstreamFault):
        assert isinstance(one.reply(json.dumps(spoil(random, WHOLE)).encode())["choices"], list)
    data = wire(*spoil(random, EVENTS))
    step = random.randint(1, 200)
    one = reader(custom=frozenset("a") if seed % 2 else frozenset())
    with suppress(UpstreamFault):
        for at in range(0, len(data), step):
            for chunk in one.feed(data[at : at + step]):
                assert chunk["choices"][0]["delta"] is not None
        one.finish()
