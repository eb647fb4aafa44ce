"""Messages as input items, and reasoning that comes back."""

from typing import Any

import pytest

from tollhouse.dialects.responses.decode import read_reply
from tollhouse.dialects.responses.turns import Turns, replayed

FORMAT = "openai-responses-v1"


def items(*messages: dict[str, Any], replays: bool = True, lost: list[str] | None = None) -> list[dict[str, Any]]:
    """The items of these messages."""
    turns = Turns(lambda param, _how, _why: (lost if lost is not None else []).append(param), replays=replays)
    for message in messages:
        turns.add(message)
    return turns.items


def call(call_id: str) -> dict[str, Any]:
    """A tool call."""
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}


def proof(data: str, after: int = 0, **more: Any) -> dict[str, Any]:
    """An encrypted entry of ``reasoning_details``."""
    return {
        "type": "reasoning.encrypted",
        "data": data,
        "format": FORMAT,
        **({"after": after} if after else {}),
        **more,
    }


def outline(made: list[dict[str, Any]]) -> list[str]:
    """What each item is."""
    return [item.get("encrypted_content") or item.get("call_id") or item["content"] for item in made]


@pytest.mark.parametrize(
    ("message", "order"),
    [
        ({"content": "x", "tool_calls": [call("c1")]}, ["x", "c1"]),
        ({"content": None, "tool_calls": [call("c1")], "reasoning_details": [proof("p")]}, ["p", "c1"]),
        (
            {"tool_calls": [call("c1"), call("c2")], "reasoning_details": [proof("p"), proof("q", 1)]},
            ["p", "c1", "q", "c2"],
        ),
        (
            {"content": "x", "tool_calls": [call("c1")], "reasoning_details": [proof("p"), proof("q", 1)]},
            ["p", "c1", "q", "x"],
        ),
        ({"content": "x", "reasoning_details": [proof("p"), proof("q")]}, ["p", "q", "x"]),
        ({"content": "x", "reasoning_details": [proof("p", 3)]}, ["p", "x"]),
        ({"content": None, "tool_calls": [call("c1")], "reasoning_details": [proof("p", 1)]}, ["c1"]),
        ({"content": None, "reasoning_details": [proof("p")]}, [""]),
    ],
    ids=["calls", "one", "between", "late", "text", "astray", "nothing follows", "alone"],
)
def test_an_answer_is_told_in_its_order(message: dict[str, Any], order: list[str]) -> None:
    """Reasoning stands before what it led to, and is left out where that is not known."""
    assert outline(items({"role": "assistant", **message})) == order


def test_a_model_that_does_not_reason_is_sent_no_reasoning() -> None:
    """It would refuse the request."""
    message = {"role": "assistant", "content": "x", "reasoning_details": [proof("p")]}
    assert outline(items(message, replays=False)) == ["x"]


def test_only_what_is_of_this_format_is_replayed() -> None:
    """Another host's reasoning is left out, and so is a summary that nothing proves."""
    strange = {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"}
    bare = {"type": "reasoning.summary", "summary": "s", "format": FORMAT, "id": "rs_0"}
    assert [item for _, item in replayed([strange, bare, proof("p", id="rs_1")])] == [
        {"type": "reasoning", "summary": [], "id": "rs_1", "encrypted_content": "p"}
    ]


def test_entries_of_one_item_are_one_item() -> None:
    """A summary and what proves it go together, with or without an id on the summary."""
    for summary in ({"id": "rs_1"}, {}):
        entry = {"type": "reasoning.summary", "summary": "s", "format": FORMAT, **summary}
        assert [item for _, item in replayed([entry, proof("p", id="rs_1"), proof("q", id="rs_2")])] == [
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "s"}],
                "id": "rs_1",
                "encrypted_content": "p",
            },
            {"type": "reasoning", "summary": [], "id": "rs_2", "encrypted_content": "q"},
        ]


def test_open_reasoning_is_replayed_without_proof() -> None:
    """Hosts that show their reasoning take it again as text."""
    entry = {"type": "reasoning.text", "text": "t", "format": FORMAT, "id": "a"}
    assert replayed([entry]) == [
        (0, {"type": "reasoning", "summary": [], "id": "a", "content": [{"type": "reasoning_text", "text": "t"}]})
    ]


@pytest.mark.parametrize("details", [None, "x", 3, [None, 1], [{"format": FORMAT}], [{"format": FORMAT, "type": []}]])
def test_any_reasoning_is_survived(details: Any) -> None:
    """What clients make of ``reasoning_details`` never breaks a request."""
    assert replayed(details) == []


def test_phase_is_sent_again() -> None:
    """A message says which part of an answer it was, where the client kept that."""
    assert items({"role": "assistant", "content": "x", "phase": "commentary"})[0]["phase"] == "commentary"
    assert "phase" not in items({"role": "assistant", "content": "x", "phase": "other"})[0]


def test_a_refusal_is_a_part() -> None:
    """What the assistant refused is told as such, after what it said."""
    said = items({"role": "assistant", "content": "Well.", "refusal": "No."})[0]["content"]
    assert said == [
        {"type": "output_text", "text": "Well.", "annotations": []},
        {"type": "refusal", "refusal": "No."},
    ]
    parts = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}]
    assert [part["type"] for part in items({"role": "assistant", "content": parts})[0]["content"]] == [
        "output_text",
        "refusal",
    ]


def test_an_id_that_is_too_long_still_meets_its_output() -> None:
    """Ids over 64 characters are replaced alike in the call and in its output."""
    long = "x" * 80
    made = items(
        {"role": "assistant", "content": None, "tool_calls": [call(long)]},
        {"role": "tool", "tool_call_id": long, "content": "y"},
    )
    assert made[0]["call_id"] == made[1]["call_id"]
    assert len(made[0]["call_id"]) <= 64


def test_an_output_is_of_the_kind_of_its_call() -> None:
    """Custom tools have outputs of their own type."""
    custom = {"id": "c1", "type": "custom", "custom": {"name": "c", "input": "i"}}
    made = items(
        {"role": "assistant", "content": None, "tool_calls": [custom, call("c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "b"}]},
    )
    assert [item["type"] for item in made] == [
        "custom_tool_call",
        "function_call",
        "custom_tool_call_output",
        "function_call_output",
    ]
    assert made[3]["output"] == [{"type": "input_text", "text": "b"}]


def test_what_an_item_cannot_say_is_reported() -> None:
    """Names, marks of failure and of caches, and earlier audio are lost, and said so."""
    lost: list[str] = []
    items(
        {"role": "user", "name": "Ann", "content": [{"type": "text", "text": "x", "cache_control": {"type": "e"}}]},
        {"role": "assistant", "content": "x", "audio": {"id": "a"}},
        {"role": "tool", "tool_call_id": "c", "content": "x", "is_error": True},
        lost=lost,
    )
    assert lost == ["messages[].name", "cache_control", "messages[].audio", "messages[].is_error"]


def test_breakpoints_and_unknown_parts_pass() -> None:
    """OpenAI's own cache breakpoints are the same here, and parts of hosts' own ride along."""
    parts = [
        {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "video_url", "video_url": {"url": "u"}, "cache_control": {}},
        {"type": "image_url", "image_url": {"url": "u"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,eA=="}},
    ]
    assert items({"role": "user", "content": parts})[0]["content"] == [
        {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "video_url", "video_url": {"url": "u"}},
        {"type": "input_image", "image_url": "u", "detail": "auto"},
        {"type": "input_file", "file_data": "data:text/plain;base64,eA==", "filename": "document.txt"},
    ]
    assert "cache_control" in parts[1]


def test_an_answer_that_comes_back_is_the_answer_that_was_given() -> None:
    """Reasoning and calls return in their order, by way of a client that keeps the message as it is."""
    given: list[dict[str, Any]] = [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "a"}],
            "encrypted_content": "p",
        },
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "q"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "i"},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "r"},
        {"type": "message", "phase": "final_answer", "content": [{"type": "output_text", "text": "x"}]},
    ]
    response = {"id": "resp_1", "status": "completed", "output": given}
    message = read_reply(response)["choices"][0]["message"]
    assert items(message) == [*given[:5], {"role": "assistant", "content": "x", "phase": "final_answer"}]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("no such city", "Error: no such city"),
        (None, "Error: "),
        (
            [{"type": "text", "text": "no"}],
            [{"type": "input_text", "text": "Error:"}, {"type": "input_text", "text": "no"}],
        ),
    ],
)
def test_a_tool_that_failed_is_told_as_text(content: Any, told: Any) -> None:
    """An output has no mark for it; that it is told in another way is reported."""
    lost: dict[str, str] = {}
    turns = Turns(lambda param, how, _why: lost.update({param: how}), replays=False)
    turns.add({"role": "tool", "tool_call_id": "c", "content": content, "is_error": True})
    assert [item["output"] for item in turns.items] == [told]
    assert lost == {"messages[].is_error": "emulated"}
