"""Requests for Cohere: what is sent, and what is said of the rest. The usual ones are in the fixtures."""

from typing import Any

import pytest

from tollhouse.dialects.cohere.request import encode
from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Host, ModelFacts, Target

HOST = Host("cohere", "https://api.cohere.example/v2", provider="cohere")
HI = [{"role": "user", "content": "Hi"}]


def tool(name: str, *required: str, strict: bool | None = None) -> dict[str, Any]:
    """A function tool."""
    return {
        "type": "function",
        "function": {"name": name, "strict": strict, "parameters": {"type": "object", "required": list(required)}},
    }


def sent(*, reasons: bool | None = None, cap: int | None = None, **body: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """What Cohere gets beside the model and the stream flag, and what became of what it does not get."""
    facts = None if reasons is None else ModelFacts("command", "Command", reasoning=reasons)
    made, losses = encode({"messages": HI, **body}, Target(HOST, "command", facts), cap, stream=False)
    assert (made.pop("model"), made.pop("stream")) == ("command", False)
    return made, {loss.param: loss.how for loss in losses}


@pytest.mark.parametrize(
    ("name", "given", "there", "value"),
    [
        ("temperature", 2, "temperature", 1),
        ("top_p", 1, "p", 0.99),
        ("top_p", 0, "p", 0.01),
        ("top_k", 1000, "k", 500),
        ("frequency_penalty", -1, "frequency_penalty", 0),
        ("presence_penalty", 2, "presence_penalty", 1),
        ("seed", -1, "seed", 2**63 - 1),
        ("stop", ["a", "b", "c", "d", "e", "f"], "stop_sequences", ["a", "b", "c", "d", "e"]),
    ],
)
def test_a_value_that_cohere_refuses_becomes_one_that_it_takes(name: str, given: Any, there: str, value: Any) -> None:
    """The nearest one, and the client is told."""
    made, losses = sent(**{name: given})
    assert made[there] == value
    assert losses == {name: "changed"}


def test_what_is_not_a_number_is_not_sent() -> None:
    """``top_k`` is no parameter of OpenAI's, so nobody has looked at it before."""
    assert sent(top_k="many") == ({"messages": HI}, {"top_k": "dropped"})


def test_the_cap_goes_over_the_clients_limit() -> None:
    """It is what the answer may cost."""
    assert sent(max_tokens=9, cap=5)[0]["max_tokens"] == 5
    assert sent(cap=5)[0]["max_tokens"] == 5
    assert "max_tokens" not in sent()[0]


@pytest.mark.parametrize(
    ("tools", "strict", "lost"),
    [
        ([tool("a", "x", strict=True)], True, {}),
        ([tool("a", "x", strict=True), tool("b", "x")], None, {"tools[0].function.strict": "dropped"}),
        ([tool("a", strict=True)], None, {"tools[0].function.strict": "dropped"}),
        ([tool("a"), tool("b", strict=False)], None, {}),
    ],
)
def test_strictness_is_of_all_tools_or_none(tools: list[Any], strict: bool | None, lost: dict[str, str]) -> None:
    """Cohere has one switch for it, and only for tools that require a parameter."""
    made, losses = sent(tools=tools)
    assert made.get("strict_tools") == strict
    assert losses == lost
    assert all("strict" not in one["function"] for one in made["tools"])


@pytest.mark.parametrize(("choice", "there"), [("auto", None), ("none", "NONE"), ("required", "REQUIRED")])
def test_a_choice_is_one_of_coheres_words(choice: str, there: str | None) -> None:
    """Free choice has no word."""
    made, losses = sent(tools=[tool("a")], tool_choice=choice)
    assert made.get("tool_choice") == there
    assert losses == {}


def test_a_format_and_tools_exclude_each_other() -> None:
    """Cohere refuses both together; the tools stay."""
    formatted = {"type": "json_object"}
    assert sent(response_format=formatted) == ({"messages": HI, "response_format": formatted}, {})
    assert sent(response_format={"type": "text"}) == ({"messages": HI}, {})
    for other in ({"tools": [tool("a")]}, {"documents": ["x"]}):
        made, losses = sent(response_format=formatted, **other)
        assert "response_format" not in made
        assert losses == {"response_format": "dropped"}


@pytest.mark.parametrize(
    ("body", "thinking", "lost"),
    [
        ({"reasoning_effort": "high"}, {"type": "enabled"}, {"reasoning_effort": "emulated"}),
        ({"reasoning_effort": "minimal"}, {"type": "enabled", "token_budget": 512}, {"reasoning_effort": "emulated"}),
        ({"reasoning_effort": "none"}, {"type": "disabled"}, {}),
        ({"reasoning": {"max_tokens": 300}}, {"type": "enabled", "token_budget": 300}, {}),
        (
            {"reasoning": {"max_tokens": 300}, "max_tokens": 100},
            {"type": "enabled", "token_budget": 50},
            {"reasoning": "changed"},
        ),
        ({"reasoning": {"enabled": True}}, {"type": "enabled"}, {}),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "low"}, {"type": "disabled"}, {}),
        ({}, None, {}),
    ],
)
def test_effort_is_a_budget(body: dict[str, Any], thinking: Any, lost: dict[str, str]) -> None:
    """Cohere's own member goes over OpenAI's; an answer has room after the thoughts."""
    made, losses = sent(reasons=True, **body)
    assert made.get("thinking") == thinking
    assert losses == lost
    assert sent(**body)[0].get("thinking") == thinking


def test_a_model_that_does_not_reason_is_not_asked_to() -> None:
    """Where it is known not to; to ask it for no thoughts is to ask for nothing."""
    assert sent(reasons=False, reasoning_effort="low") == ({"messages": HI}, {"reasoning_effort": "dropped"})
    assert sent(reasons=False, reasoning_effort="none") == ({"messages": HI}, {})


TURN: dict[str, Any] = {"role": "assistant", "content": "Sunny.", "reasoning_content": "Hm."}
CALLS = [{"id": "t", "type": "function", "function": {"name": "a", "arguments": "{}"}}]


def test_thoughts_go_back_where_they_are_understood() -> None:
    """As a block to a model that reasons, as a plan beside calls to another, and else not at all."""
    thought, said = {"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "Sunny."}
    (made,) = sent(reasons=True, messages=[TURN])[0]["messages"]
    assert made == {"role": "assistant", "content": [thought, said]}
    (made,) = sent(reasons=True, messages=[{**TURN, "content": None, "tool_calls": CALLS}])[0]["messages"]
    assert made == {"role": "assistant", "content": [thought], "tool_calls": CALLS}
    (made,) = sent(messages=[{**TURN, "tool_calls": CALLS}])[0]["messages"]
    assert made == {"role": "assistant", "content": "Sunny.", "tool_calls": CALLS, "tool_plan": "Hm."}
    (made,) = sent(messages=[{**TURN, "reasoning_content": None}])[0]["messages"]
    assert made == {"role": "assistant", "content": "Sunny."}


def test_what_a_tool_gave_is_text_or_documents() -> None:
    """A failure is told in a document, for there is no member for it."""
    document = {"type": "document", "document": {"data": {"a": "b"}}}
    result = {"role": "tool", "tool_call_id": "t"}
    results = [
        {**result, "content": "x"},
        {**result, "content": [{"type": "text", "text": "x"}, document]},
        {**result, "content": []},
        {**result, "content": "boom", "is_error": True},
    ]
    made, losses = sent(messages=results)
    assert [one["content"] for one in made["messages"]] == [
        "x",
        [{"type": "text", "text": "x"}, document],
        "",
        [{"type": "document", "document": {"data": {"error": "boom"}}}],
    ]
    assert losses == {"messages[3].is_error": "emulated"}


def test_a_speakers_name_is_lost() -> None:
    """Cohere has no member for it; a tool's name is known by its call."""
    named = [
        {"role": "user", "content": "Hi", "name": "Ann"},
        {"role": "tool", "tool_call_id": "t", "content": "", "name": "a"},
    ]
    assert sent(messages=named)[1] == {"messages[0].name": "dropped"}


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "a", "content": "x"},
        {"role": "tool", "tool_call_id": "t", "content": [{"type": "file", "file": {"file_data": ""}}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]},
    ],
)
def test_a_message_that_cohere_cannot_be_told_is_another_targets(message: dict[str, Any]) -> None:
    """Nothing of a conversation is left out in silence."""
    with pytest.raises(UpstreamUnfit) as caught:
        sent(messages=[message])
    assert str(caught.value.param).startswith("messages[0]")


def test_images_of_a_tool_are_shown_by_the_user() -> None:
    """Cohere takes them from users alone: they follow the last of the results, and that is reported."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    calls = [{"id": name, "type": "function", "function": {"name": "map", "arguments": "{}"}} for name in "ab"]
    results = [
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "a map"}, image]},
        {"role": "tool", "tool_call_id": "b", "content": "sun"},
    ]
    asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None, "tool_calls": calls}, *results]
    for last in ([], [{"role": "user", "content": "So?"}]):
        body, losses = sent(messages=[*asked, *last])
        tail = [
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "a map"}]},
            {"role": "tool", "tool_call_id": "b", "content": "sun"},
            {"role": "user", "content": [image]},
        ]
        assert body["messages"][2:] == [*tail, *last]
        assert losses == {"messages": "emulated"}
