"""What a request asks for, read for hosts that know little of it."""

from base64 import b64encode
from typing import Any

import pytest

from tollhouse.dialects.wishes import (
    READ,
    Losses,
    Thought,
    called_of,
    clamp,
    custom_input,
    effort_of,
    functions_of,
    lose_unread,
    most_tokens,
    offer_of,
    plain_text,
    stops_of,
    text_of_part,
    thought_of,
)
from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Loss

NOW: dict[str, Any] = {"type": "function", "function": {"name": "now"}}
RUN: dict[str, Any] = {"type": "custom", "custom": {"name": "run", "format": {"type": "grammar", "grammar": {}}}}


def test_only_what_asks_for_something_is_lost() -> None:
    """A default value, an empty one and a member that was read cost nothing."""
    losses: Losses = {}
    body = {
        "model": "m",
        "n": 1,
        "store": False,
        "modalities": ["text"],
        "metadata": {},
        "user": None,
        "x": 1,
        "seed": 2,
    }
    lose_unread(body, READ | {"seed"}, losses)
    assert list(losses.values()) == [Loss("x", "dropped", "the host has no such parameter")]
    lose_unread({"n": 2, "modalities": ["audio"]}, READ, losses)
    assert list(losses) == ["x", "n", "modalities"]


@pytest.mark.parametrize(("given", "sent"), [(0.5, 0.5), (0, 0), (1, 1), (1.5, 1), (-2, 0)])
def test_a_value_out_of_range_becomes_the_nearest(given: float, sent: float) -> None:
    """It is reported when it is changed, and only then."""
    losses: Losses = {}
    assert clamp("temperature", given, 0, 1, losses) == sent
    assert list(losses) == ([] if given == sent else ["temperature"])
    assert all(loss.how == "changed" for loss in losses.values())


def test_the_stricter_limit_counts_and_the_cap_replaces_both() -> None:
    """A client may send both of OpenAI's limits."""
    body = {"max_tokens": 10, "max_completion_tokens": 5}
    assert [most_tokens(body, None), most_tokens(body, 7), most_tokens({"max_tokens": None}, None)] == [5, 7, None]
    assert [stops_of({"stop": "a"}), stops_of({"stop": ["a", "b"]}), stops_of({})] == [["a"], ["a", "b"], []]


@pytest.mark.parametrize(
    ("body", "thought"),
    [
        ({}, Thought()),
        ({"reasoning": "much"}, Thought()),
        ({"reasoning": {}}, Thought()),
        ({"reasoning_effort": "default"}, Thought()),
        ({"reasoning_effort": "none"}, Thought(False, param="reasoning_effort")),
        ({"reasoning": {"enabled": False, "effort": "high"}}, Thought(False)),
        ({"reasoning": {"enabled": True}}, Thought(True)),
        ({"reasoning": {"max_tokens": 100}}, Thought(True, None, 100)),
        ({"reasoning": {"max_tokens": -1, "effort": 5}}, Thought()),
        ({"reasoning": {"effort": "low"}}, Thought(True, "low")),
        ({"reasoning_effort": "high", "reasoning": {"effort": "low"}}, Thought(True, "high", None, "reasoning_effort")),
    ],
)
def test_how_much_to_reason_is_read_from_both_members(body: dict[str, Any], thought: Thought) -> None:
    """What makes no sense says nothing."""
    assert thought_of(body, {}) == thought


def test_a_summary_of_a_certain_kind_is_lost() -> None:
    """These hosts tell thoughts as they are, which is as good as any."""
    for summary, lost in (("auto", []), (None, []), ("detailed", ["reasoning.summary"])):
        losses: Losses = {}
        thought_of({"reasoning": {"effort": "low", "summary": summary}}, losses)
        assert list(losses) == lost


def test_a_budget_in_words() -> None:
    """The more tokens, the more effort."""
    assert [effort_of(budget) for budget in (0, 4096, 4097, 16_384, 16_385)] == [
        *("low", "low", "medium", "medium", "high"),
    ]


@pytest.mark.parametrize(
    ("choice", "names", "mode", "narrowed"),
    [
        (None, ["now", "run"], "auto", False),
        ("none", ["now", "run"], "none", False),
        ("required", ["now", "run"], "required", False),
        ({"type": "custom", "custom": {"name": "run"}}, ["run"], "required", True),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NOW]}}, ["now"], "auto", True),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NOW, RUN]}},
            ["now", "run"],
            "required",
            True,
        ),
        ({"type": "custom", "custom": {"name": "absent"}}, ["now", "run"], "auto", False),
        ({"type": "web_search", "web_search": {"name": "x"}}, ["now", "run"], "auto", False),
    ],
)
def test_a_choice_of_tools_is_an_offer_of_fewer(choice: Any, names: list[str], mode: str, narrowed: bool) -> None:
    """What may not be called is not offered."""
    odd = {"type": "web_search", "web_search": "yes"}
    offer = offer_of({"tools": [NOW, RUN, odd], "tool_choice": choice})
    assert [tool[tool["type"]]["name"] for tool in offer.tools if tool is not odd] == names
    assert (offer.mode, offer.narrowed) == (mode, narrowed)
    assert offer_of({"tool_choice": choice}).tools == []


def test_a_custom_tool_is_a_function_with_one_text() -> None:
    """Its grammar, a tool that a host would run, and a cache marker are lost."""
    losses: Losses = {}
    tools: list[dict[str, Any]] = [{**NOW, "cache_control": {"type": "ephemeral"}}, RUN, {"type": "web_search"}]
    now, run = functions_of(tools, losses)
    assert now == {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
    assert run["function"]["parameters"]["required"] == ["input"]
    assert [(loss.param, loss.how) for loss in losses.values()] == [
        ("cache_control", "dropped"),
        ("tools[1]", "emulated"),
        ("tools[1].custom.format", "dropped"),
        ("tools[2]", "dropped"),
    ]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [('{"input": "1+1"}', "1+1"), ('{"input": 1}', '{"input": 1}'), ("1+1", "1+1"), ("[" * 5000, "[" * 5000)],
)
def test_the_input_of_a_custom_tool_is_read_back(arguments: str, given: str) -> None:
    """A model that keeps to no schema is taken at its word."""
    assert custom_input(arguments) == given


def test_calls_of_the_history_are_told_by_name_and_arguments() -> None:
    """A custom call is told as its function was; one of another type not at all."""
    assert called_of({"type": "custom", "custom": {"name": "run", "input": '"'}}) == ("run", '{"input":"\\""}')
    assert called_of({"type": "function", "function": {"name": "now", "arguments": ""}}) == ("now", "{}")
    assert called_of({"type": "mcp"}) == ("", "")


def file(data: str, name: str = "a.txt") -> dict[str, Any]:
    """A content part."""
    return {"type": "file", "file": {"file_data": data, "filename": name}}


@pytest.mark.parametrize(
    "data", ["data:text/plain;base64," + b64encode(b"h\xc3\xa9").decode(), "data:text/markdown;charset=utf-8,h%C3%A9"]
)
def test_a_text_file_is_told_as_text(data: str) -> None:
    """Under its name, and reported."""
    losses: Losses = {}
    assert text_of_part(file(data), "messages[0].content[1]", losses) == "a.txt\nhé"
    assert losses["messages[0].content[1]"].how == "emulated"


@pytest.mark.parametrize(
    "part",
    [
        file("data:application/pdf;base64,AAAA"),
        file("data:text/plain;base64,A"),
        file("data:text/plain;base64,/w=="),
        file("https://a.example/b.txt"),
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "video_url", "video_url": {"url": ""}},
    ],
)
def test_a_part_that_cannot_be_sent_is_another_targets(part: dict[str, Any]) -> None:
    """A question without one of its parts is another question."""
    with pytest.raises(UpstreamUnfit) as caught:
        text_of_part(part, "messages[0].content[1]", {})
    assert caught.value.param == "messages[0].content[1]"
    assert caught.value.retryable


def test_content_without_images_is_one_text() -> None:
    """Parts are joined by lines; a marker of a cache is told once."""
    losses: Losses = {}
    part = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}
    assert plain_text([part, part, {"type": "refusal", "refusal": "no"}], "c", losses) == "a\na\nno"
    assert list(losses) == ["cache_control"]
    assert plain_text(None, "c", losses) == ""
    with pytest.raises(UpstreamUnfit):
        plain_text([{"type": "image_url", "image_url": {"url": ""}}], "c", losses)
