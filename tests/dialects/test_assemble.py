"""Whole answers out of the chunks of streams: what was cut comes together, whatever the cuts."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.assemble import assemble
from tollhouse.dialects.client import Identity
from tollhouse.dialects.replies import split_reply

IDENTITY = Identity("chatcmpl-1", 1_700_000_000)
HEAD = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m"}
TEXTS = st.text(max_size=30)
LOGPROBS = {"content": [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}], "refusal": None}


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """One chunk of a host."""
    return {"id": "up", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason, **more}]}


def only(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The one choice of what chunks make."""
    whole = assemble(chunks, IDENTITY)
    assert whole is not None
    (choice,) = whole["choices"]
    assert isinstance(choice, dict)
    return choice


@st.composite
def replies(draw: st.DrawFn) -> dict[str, Any]:
    """Tidy answers."""
    choices = []
    for index in range(draw(st.integers(1, 3))):
        message: dict[str, Any] = {"role": "assistant", "content": draw(TEXTS), "refusal": None}
        if thought := draw(TEXTS):
            message["reasoning_content"] = thought
            message["reasoning_details"] = [{"type": "reasoning.text", "text": thought, "signature": "s", "index": 0}]
        calls = [
            {"id": f"call_{place}", "type": "function", "function": {"name": name, "arguments": '{"a": 1}'}}
            for place, name in enumerate(draw(st.lists(st.sampled_from("fgh"), max_size=3)))
        ]
        if calls:
            message["tool_calls"] = calls
        if not message["content"] and (calls or thought):
            message["content"] = None
        logprobs = draw(st.sampled_from([None, LOGPROBS]))
        reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
        choices.append({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason})
    return {**HEAD, "system_fingerprint": "fp", "choices": choices}


@given(replies())
def test_what_is_split_comes_together_again(reply: dict[str, Any]) -> None:
    """The chunks of a whole answer make the same answer."""
    assert assemble(split_reply(copy.deepcopy(reply)), IDENTITY) == reply


@given(st.lists(TEXTS, min_size=1, max_size=8), st.lists(TEXTS, max_size=4))
def test_cuts_do_not_matter(texts: list[str], thoughts: list[str]) -> None:
    """Text and thoughts in any pieces are the text and the thoughts."""
    said = [chunk({"reasoning_content": piece}) for piece in thoughts] + [chunk({"content": piece}) for piece in texts]
    message = only([chunk({"role": "assistant", "content": ""}), *said, chunk({}, "stop")])["message"]
    assert (message["content"] or "") == "".join(texts)
    assert (message.get("reasoning_content") or "") == "".join(thoughts)


def test_pieces_of_a_thought_are_one_entry() -> None:
    """Entries with one index are pieces of one; its signature comes last, and another index is another entry."""
    details: list[dict[str, Any]] = [
        {"type": "reasoning.text", "text": "a", "index": 0},
        {"type": "reasoning.text", "text": "b", "index": 0, "signature": None},
        {"type": "reasoning.text", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
        {"type": "reasoning.encrypted", "data": "y"},
    ]
    message = only([chunk({"reasoning_details": [entry]}) for entry in details])["message"]
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
        *details[3:],
    ]


def test_calls_get_the_ids_that_the_stream_gave_them() -> None:
    """A host's own id is kept; where it gave none, it is the one that the writer of the stream made."""
    pieces = [
        {"index": 0, "id": "call_a", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"a":'}},
        {"index": 0, "function": {"arguments": "1}"}},
        {"index": 1, "function": {"name": "g", "arguments": ""}, "extra_content": {"google": {"x": "y"}}},
    ]
    choice = only([chunk({"tool_calls": [piece]}) for piece in pieces] + [chunk({}, "stop")])
    first, second = choice["message"]["tool_calls"]
    assert first == {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert second["id"].startswith("call_")
    assert second["function"] == {"name": "g", "arguments": "{}"}
    assert second["extra_content"] == {"google": {"x": "y"}}
    assert choice["finish_reason"] == "tool_calls"


def test_what_stands_beside_the_text_is_kept() -> None:
    """Annotations add up, of single values the last counts, and a legacy call is joined."""
    chunks = [
        chunk({"annotations": [1]}, service_tier="a", native_finish_reason=None),
        chunk({"annotations": [2], "function_call": {"name": "f", "arguments": "{"}}),
        chunk({"function_call": {"arguments": "}"}}, "function_call", native_finish_reason="END"),
    ]
    choice = only(chunks)
    assert choice["message"]["annotations"] == [1, 2]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert (choice["service_tier"], choice["native_finish_reason"]) == ("a", "END")
    assert choice["finish_reason"] == "function_call"


def test_a_refusal_is_no_content() -> None:
    """As in OpenAI's own whole answers, content is null then."""
    message = only([chunk({"content": "", "refusal": "I "}), chunk({"refusal": "cannot."}, "stop")])["message"]
    assert (message["content"], message["refusal"]) == (None, "I cannot.")


@pytest.mark.parametrize("chunks", [[], [{"id": "up", "choices": []}]])
def test_nothing_makes_nothing(chunks: list[dict[str, Any]]) -> None:
    """Chunks without a choice are no answer."""
    assert assemble(chunks, IDENTITY) is None


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["content", "refusal", "tool_calls", "function_call", "reasoning_details", "annotations", "audio", "odd"]
)


@given(st.lists(st.dictionaries(NAMES, HOSTILE, max_size=4), max_size=6), HOSTILE)
def test_whatever_a_host_says_nothing_breaks(deltas: list[dict[str, Any]], odd: Any) -> None:
    """Members of any kind are taken as they come."""
    chunks = [chunk(delta, logprobs=odd) for delta in deltas]
    whole = assemble(chunks, IDENTITY)
    assert (whole is None) == (not chunks)


def test_of_safety_results_the_worst_stands() -> None:
    """Each of several is about another stretch of the answer: a later one that is safe takes nothing back."""
    safe, high = ({"hate": {"filtered": False, "severity": word}} for word in ("safe", "high"))
    chunks = [chunk({"content": "a"}, content_filter_results=found) for found in (safe, high, safe)]
    assert only([*chunks, chunk({}, "stop")])["content_filter_results"] == high


def test_the_prompts_results_are_told_once() -> None:
    """Of the chunks that an answer is split into, the first has them."""
    found = [{"prompt_index": 0, "content_filter_results": {}}]
    reply = {**HEAD, "choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
    chunks = split_reply({**reply, "prompt_filter_results": found})
    assert [one.get("prompt_filter_results") for one in chunks] == [found, None]
