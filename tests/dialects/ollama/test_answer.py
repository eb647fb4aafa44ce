"""Answers of Ollama that the fixtures do not show: odd, broken and hostile ones."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.engine import chance
from tests.fuzz.mutate import spoil
from tollhouse.dialects.ollama.answer import OllamaReader, usage_of
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamTooLarge,
    UpstreamUnavailable,
)

LINES: list[dict[str, Any]] = [
    {"created_at": "2026", "message": {"content": "", "thinking": "Hm."}, "done": False},
    {"created_at": "2027", "message": {"content": "Hi"}, "logprobs": [{"token": "Hi", "logprob": -0.5}], "done": False},
    {"message": {"tool_calls": [{"id": "t", "function": {"name": "a", "arguments": {"input": 1}}}]}, "done": False},
    {"message": {"content": ""}, "done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2},
]
WHOLE = {**LINES[3], "message": {"content": "Hi", "thinking": "Hm.", **LINES[2]["message"]}}


def reader(*, custom: frozenset[str] = frozenset(), forced: bool = False) -> OllamaReader:
    """A fresh one."""
    return OllamaReader(1 << 20, custom, forced=forced)


def wire(*lines: Any) -> bytes:
    """Lines as they arrive."""
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)


def read(data: bytes, one: OllamaReader | None = None) -> list[dict[str, Any]]:
    """The choices of all chunks of a stream."""
    one = one or reader()
    return [chunk["choices"][0] for chunk in one.feed(data) + one.finish()]


def text(content: str, **more: Any) -> dict[str, Any]:
    """A line of text."""
    return {"message": {"content": content}, "done": False, **more}


def test_a_stream_and_a_whole_answer_say_the_same() -> None:
    """The ids of calls too, which are minted from the time at which an answer began."""
    call: dict[str, Any] = {"message": {"tool_calls": [{"function": {"name": "a", "arguments": {}}}]}, "done": False}
    streamed = read(wire({**LINES[0]}, call, LINES[3]))
    whole = reader().reply(wire({**WHOLE, "created_at": "2026", "message": {"thinking": "Hm.", **call["message"]}}))
    (choice,) = whole["choices"]
    assert choice["message"]["reasoning_content"] == streamed[0]["delta"]["reasoning_content"] == "Hm."
    assert choice["message"]["tool_calls"][0]["id"] == streamed[1]["delta"]["tool_calls"][0]["id"]
    assert choice["finish_reason"] == streamed[-1]["finish_reason"] == "tool_calls"
    assert whole["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_nothing_after_the_last_line_counts() -> None:
    """Nor does a line that is blank."""
    assert read(wire(b"", *LINES, b"rubbish"))[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("reason", "ours"), [("length", "length"), ("stop", "stop"), ("", "stop"), (None, "stop"), (5, "stop")]
)
def test_why_it_ended_is_told_in_openais_words(reason: Any, ours: str) -> None:
    """An answer that was loaded and then spoke is one like any other."""
    last = read(wire(text("Hi"), {**LINES[3], "done_reason": reason}))[-1]
    assert (last["finish_reason"], last.get("native_finish_reason")) == (
        ours,
        reason if isinstance(reason, str) else None,
    )
    assert read(wire(text("Hi"), {**LINES[3], "done_reason": "load"}))[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([" ", '{"name": "a", "arg'], ' {"name": "a", "arg'),
        (["No, ", "I will not."], "No, I will not."),
        (["\n", "No."], "\nNo."),
        (['{"else": 1}'], '{"else": 1}'),
    ],
)
def test_a_forced_call_that_is_none_is_told_as_it_is(pieces: list[str], said: str) -> None:
    """Some engines keep to no schema, and an answer is better than silence."""
    chunks = read(wire(*map(text, pieces), LINES[3]), reader(forced=True))
    assert "".join(chunk["delta"].get("content", "") for chunk in chunks) == said
    assert chunks[-1]["finish_reason"] == "stop"


def test_a_forced_custom_tool_is_one_in_the_answer() -> None:
    """Its input is known when it is whole."""
    one = reader(custom=frozenset({"run"}), forced=True)
    chunks = read(wire(text('{"name": "run", "input": "1'), text('+1"}'), LINES[3]), one)
    assert [chunk["delta"]["tool_calls"][0].get("custom") for chunk in chunks[:-1]] == [
        {"name": "run", "input": ""},
        {"input": "1+1"},
    ]
    assert chunks[-1]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"<html>", UpstreamBadResponse),
        (b"data: {}\n\n", UpstreamBadResponse),
        (wire(b"{"), UpstreamBadResponse),
        (wire(b'{"done": NaN}'), UpstreamBadResponse),
        (wire(b'{"a":' * 100_000), UpstreamBadResponse),
        (wire(b'{"message": "\xff"}'), UpstreamBadResponse),
        (wire(LINES[0], b"[]"), UpstreamBadResponse),
        (wire({"message": "no"}), UpstreamBadResponse),
        (wire(text("", message={"content": 5})), UpstreamBadResponse),
        (wire({"message": {"tool_calls": [{}]}}), UpstreamBadResponse),
        (wire({"message": {"tool_calls": [5]}}), UpstreamBadResponse),
        (wire({"done": True, "done_reason": "unload"}), UpstreamBadResponse),
        (wire({"error": "model requires more system memory"}), UpstreamUnavailable),
        (wire({"error": {"message": "boom"}}), UpstreamBadResponse),
        (b"{" + b" " * (1 << 21), UpstreamTooLarge),
        (b"", UpstreamInterrupted),
        (b"\n", UpstreamInterrupted),
        (wire(*LINES[:-1]), UpstreamInterrupted),
        (wire(text("Hi", done="yes")), UpstreamInterrupted),
        (wire(*LINES)[:-5], UpstreamInterrupted),
    ],
)
def test_a_broken_stream_is_a_fault(data: bytes, fault: type[UpstreamFault]) -> None:
    """Each of its own kind, and none another exception."""
    one = reader()
    with pytest.raises(fault):  # noqa: PT012 - the first of the calls that sees it
        one.feed(data)
        one.finish()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"\xff", wire(LINES[0]), wire(*LINES)])
def test_a_whole_answer_is_one_object_that_is_done(body: bytes) -> None:
    """Anything else is not an answer."""
    with pytest.raises(UpstreamBadResponse):
        reader().reply(body)


@pytest.mark.parametrize(
    ("line", "usage"),
    [
        ({"prompt_eval_count": 5, "eval_count": 2, "prompt_eval_cached_count": 4},
         {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7,
         "prompt_tokens_details": {"cached_tokens": 4}}),
        ({"eval_count": 2}, {"completion_tokens": 2}),
        ({"eval_count": -1, "prompt_eval_count": 1e9}, None),
        ({"eval_count": 1 << 60}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_counts_are_believed_that_can_be_true(line: dict[str, Any], usage: Any) -> None:
    """What is missing is left for the gateway to estimate."""
    assert usage_of(line) == usage


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 40))
def test_no_answer_raises_anything_but_a_fault(seed: int) -> None:
    """Spoiled anywhere, whole or in pieces, an answer is read or is a fault."""
    random = chance("ollama", seed)
    custom, forced = frozenset("a" * (seed % 2)), seed % 3 == 0
    with suppress(UpstreamFault):
        assert reader(custom=custom, forced=forced).reply(json.dumps(spoil(random, WHOLE)).encode())["choices"]
    data = wire(*spoil(random, LINES))
    step = random.randint(1, 200)
    one = reader(custom=custom, forced=forced)
    with suppress(UpstreamFault):
        for at in range(0, len(data), step):
            for chunk in one.feed(data[at : at + step]):
                assert chunk["choices"][0]["delta"] is not None
        one.finish()
