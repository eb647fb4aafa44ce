"""Anthropic's answers in the inner form; tests/fixtures/providers/anthropic.txt holds the usual ones."""

import json
from typing import Any

import pytest

from tollhouse.dialects.anthropic.decode import Expected, custom_input, expected_of, finish_of
from tollhouse.dialects.anthropic.events import MessageReader
from tollhouse.dialects.anthropic.usage import merge_usage, openai_usage
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamTooLarge,
    UpstreamUnavailable,
)

MESSAGE = {"type": "message", "id": "msg_1", "content": [], "stop_reason": "end_turn", "usage": {"output_tokens": 3}}
START = {"type": "message_start", "message": {"id": "msg_1", "usage": {"input_tokens": 4, "output_tokens": 1}}}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
HELLO = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
STOP = {"type": "content_block_stop", "index": 0}
END = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}}
OVER = {"type": "message_stop"}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}


def wire(*events: Any) -> bytes:
    """The bytes of these events."""
    return b"".join([b"data: " + json.dumps(event).encode() + b"\n\n" for event in events])


def read(*events: Any, expected: Expected | None = None) -> list[dict[str, Any]]:
    """The choices of the chunks that these events make."""
    reader = MessageReader(expected or Expected())
    chunks = reader.feed(wire(*events)) + reader.finish()
    return [chunk["choices"][0] for chunk in chunks]


def read_raw(body: bytes) -> None:
    """Reads a whole body as a stream."""
    reader = MessageReader(Expected())
    reader.feed(body)
    reader.finish()


def start(block: dict[str, Any], index: int = 0) -> dict[str, Any]:
    """The start of a block."""
    return {"type": "content_block_start", "index": index, "content_block": block}


@pytest.mark.parametrize(
    ("stop", "called", "reason"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", True, "tool_calls"),
        ("tool_use", False, "stop"),
        ("pause_turn", False, "stop"),
        ("stop_sequence", False, "stop"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("refusal", True, "content_filter"),
        ("something_new", False, "stop"),
        (None, False, "stop"),
        (7, True, "tool_calls"),
    ],
)
def test_finish_reasons(stop: object, called: bool, reason: str) -> None:
    """The host's word, unless the answer holds calls and is whole."""
    assert finish_of(stop, called=called) == reason


def test_a_stream_without_its_last_event_is_whole_once_it_said_why() -> None:
    """Also with OpenAI's end marker in the place of Anthropic's; without either it is cut off."""
    assert read(START, TEXT, HELLO, STOP, END)[-1]["finish_reason"] == "stop"
    reader = MessageReader(Expected())
    reader.feed(wire(START, TEXT, HELLO, END) + b"data: [DONE]\n\n")
    assert reader.finish() == []
    with pytest.raises(UpstreamInterrupted):
        read(START, TEXT, HELLO, STOP)
    with pytest.raises(UpstreamInterrupted):
        MessageReader(Expected()).finish()


def test_a_message_that_stops_without_a_reason_has_one_all_the_same() -> None:
    """It is what the answer shows."""
    assert read(START, TEXT, HELLO, OVER)[-1]["finish_reason"] == "stop"
    assert read(START, start(USE), OVER)[-1]["finish_reason"] == "tool_calls"


def test_arguments_that_come_with_the_start_of_a_call() -> None:
    """Some compatible hosts send them there, at once; the client gets them."""
    chunks = read(START, start({**USE, "input": {"a": 1}}), STOP, END, OVER)
    assert [c["delta"]["tool_calls"][0]["function"]["arguments"] for c in chunks[1:3]] == ["", '{"a":1}']


def test_usage_is_known_from_the_first_event_on() -> None:
    """A stream that breaks off has told what its prompt took."""
    reader = MessageReader(Expected())
    reader.feed(wire(START))
    assert reader.usage == {
        "prompt_tokens": 4,
        "completion_tokens": 1,
        "total_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_creation_input_tokens": 0},
    }
    reader.feed(wire(END))
    assert reader.usage["completion_tokens"] == 9


def test_usage_is_merged_and_never_taken_back() -> None:
    """The last count wins, but for a zero or null after a count; nested counts likewise."""
    known: dict[str, Any] = {}
    first = {"input_tokens": 5, "cache_creation": {"ephemeral_5m_input_tokens": 2}, "output_tokens": 1}
    merge_usage(known, first)
    merge_usage(known, {"input_tokens": 0, "cache_creation": {"ephemeral_1h_input_tokens": 3}, "output_tokens": 7})
    merge_usage(known, {"output_tokens": None, "cache_creation": None})
    merge_usage(known, "junk")
    assert known == {
        "input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
        "output_tokens": 7,
    }
    assert first["cache_creation"] == {"ephemeral_5m_input_tokens": 2}
    assert openai_usage(known)["prompt_tokens"] == 10


def test_counts_that_cannot_be_are_none() -> None:
    """Text, negative numbers and giants are not counts."""
    usage = openai_usage({"input_tokens": "5", "output_tokens": -1, "cache_read_input_tokens": 1 << 40})
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (0, 0)


@pytest.mark.parametrize(
    ("kind", "fault"),
    [("overloaded_error", UpstreamUnavailable), ("api_error", UpstreamBadResponse), ("odd", UpstreamUnavailable)],
)
def test_errors_inside_an_answer(kind: str, fault: type[UpstreamFault]) -> None:
    """In a stream what came before is given first; a whole answer that is an error raises at once."""
    error = {"type": "error", "error": {"type": kind, "message": "x"}}
    reader = MessageReader(Expected())
    assert len(reader.feed(wire(START, TEXT, HELLO, error))) == 2
    assert reader.done
    with pytest.raises(fault):
        reader.feed(b"")
    with pytest.raises(fault):
        reader.finish()
    with pytest.raises(fault):
        MessageReader(Expected()).reply(json.dumps(error).encode())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input": "ls"}, "ls"),
        ({"command": "ls"}, "ls"),
        ({"input": "ls", "x": 1}, "ls"),
        ({"a": 1, "b": 2}, '{"a":1,"b":2}'),
        ("ls", "ls"),
        (None, ""),
    ],
)
def test_the_input_of_a_custom_call(given: object, said: str) -> None:
    """It is the string inside the arguments, or all of them where there is no such string."""
    assert custom_input(given) == said


def test_what_a_request_expects() -> None:
    """Custom tools by name, and a ``function_call`` where only ``functions`` are offered."""
    tools = [{"type": "custom", "custom": {"name": "c"}}, {"type": "function", "function": {"name": "f"}}]
    assert expected_of({}) == Expected()
    assert expected_of({"tools": tools}) == Expected(frozenset({"c"}))
    assert expected_of({"functions": [{"name": "f"}]}) == Expected(legacy=True)
    assert expected_of({"functions": [{"name": "f"}], "tools": tools}).legacy is False


def test_only_the_first_call_is_a_function_call() -> None:
    """A client of the older kind takes one."""
    events = [START, start(USE), STOP, start({**USE, "name": "g"}, 1), {**STOP, "index": 1}, END, OVER]
    chunks = read(*events, expected=Expected(legacy=True))
    assert [c["delta"].get("function_call") for c in chunks[1:-1]] == [
        {"name": "f", "arguments": ""},
        {"arguments": "{}"},
    ]
    assert chunks[-1]["finish_reason"] == "function_call"


JUNK: tuple[Any, ...] = (None, True, -1, 1 << 70, 0.5, "x", [], [1], {}, {"type": 3}, [[]])


def mutants(value: Any) -> list[Any]:
    """The value with each of its members, at any depth, replaced by each kind of junk."""
    if isinstance(value, dict):
        return [
            *[{**value, name: junk} for name in value for junk in JUNK],
            *[{**value, name: inner} for name in value for inner in mutants(value[name])],
        ]
    if isinstance(value, list):
        return [
            [*value[:at], inner, *value[at + 1 :]] for at in range(len(value)) for inner in (*JUNK, *mutants(value[at]))
        ]
    return []


CITATION = {"type": "web_search_result_location", "url": "https://x", "title": "T", "cited_text": "c"}
WHOLE = {
    **MESSAGE,
    "content": [
        {"type": "text", "text": "a", "citations": [CITATION]},
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "tool_use", "id": "i", "name": "n", "input": {"a": 1}},
    ],
    "stop_details": {"explanation": "e"},
}
STREAM = [
    START,
    start({"type": "thinking", "thinking": "", "signature": ""}),
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "t"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
    STOP,
    TEXT,
    HELLO,
    {"type": "content_block_delta", "index": 0, "delta": {"type": "citations_delta", "citation": CITATION}},
    STOP,
    start(USE, 1),
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{}"}},
    END,
    OVER,
]


@pytest.mark.parametrize("expected", [Expected(), Expected(frozenset({"n", "f"})), Expected(legacy=True)])
def test_junk_is_an_answer_or_a_fault(expected: Expected) -> None:
    """Whatever stands in the place of a member, an answer is read or an upstream's fault is raised."""
    seen = set()
    for message in mutants(WHOLE):
        try:
            MessageReader(expected).reply(json.dumps(message).encode())
        except UpstreamFault as fault:
            seen.add(type(fault))
    for place, event in enumerate(STREAM):
        for mutant in (*mutants(event), *JUNK):
            reader = MessageReader(expected)
            try:
                reader.feed(wire(*STREAM[:place], mutant, *STREAM[place + 1 :]))
                reader.finish()
            except UpstreamFault as fault:
                seen.add(type(fault))
    assert UpstreamBadResponse in seen


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"\xff{}", b'{"content": NaN}', b"<html>", b'{"a":' * 100_000, b"{}", b'{"content": {}}'],
)
def test_bodies_that_are_no_message(body: bytes) -> None:
    """They are bad responses, whole or where a stream was asked for; an empty stream is cut off."""
    with pytest.raises(UpstreamBadResponse):
        MessageReader(Expected()).reply(body)
    with pytest.raises((UpstreamBadResponse, UpstreamInterrupted)):
        read_raw(body)


def test_an_endless_event_is_too_large() -> None:
    """The host's limit holds for one event, and another for a whole answer in the place of a stream."""
    with pytest.raises(UpstreamTooLarge):
        MessageReader(Expected(), 100).feed(b"data: " + b"x" * 200)
    with pytest.raises(UpstreamTooLarge):
        read_raw(b"{" + b" " * (17 << 20))


def test_a_stream_that_stops_before_it_began_is_empty() -> None:
    """An end without a beginning is no answer."""
    with pytest.raises(UpstreamBadResponse):
        read(OVER)


@pytest.mark.parametrize("size", [1, 3, 50])
def test_a_stream_is_the_same_however_it_is_cut(size: int) -> None:
    """Byte by byte, and in odd pieces."""
    raw = wire(*STREAM)
    whole = MessageReader(Expected())
    expected = whole.feed(raw) + whole.finish()
    reader = MessageReader(Expected())
    chunks = [chunk for at in range(0, len(raw), size) for chunk in reader.feed(raw[at : at + size])]
    assert chunks + reader.finish() == expected
    assert reader.done
    assert reader.feed(raw) == []


def test_what_summing_up_the_conversation_used_is_billed_too() -> None:
    """Anthropic leaves it out of the counts at the top; other iterations are in them."""
    summed = {"type": "compaction", "input_tokens": 180, "output_tokens": 35, "cache_read_input_tokens": 4}
    usage = {"input_tokens": 23, "output_tokens": 10, "iterations": [summed, {"type": "message", "input_tokens": 23}]}
    found = openai_usage(usage)
    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (207, 45, 252)
    assert found["prompt_tokens_details"]["cached_tokens"] == 4
    strange: tuple[object, ...] = (5, [None], [{"type": "compaction", "input_tokens": -3}], {})
    for odd in strange:
        assert openai_usage({**usage, "iterations": odd})["prompt_tokens"] == 23
