"""Requests for Ollama: what is sent, and what is said of the rest. The usual ones are in the fixtures."""

from typing import Any

import pytest

from tollhouse.dialects.ollama.request import encode, forces
from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Host, ModelFacts, Quirks, Target

HOST = Host("ollama", "http://127.0.0.1:11434/v1", provider="ollama")
CLOUD = Host("ollama-cloud", "https://ollama.example/v1", provider="ollama", quirks=Quirks(schema="none"))
HI = [{"role": "user", "content": "Hi"}]
NOW: dict[str, Any] = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
RUN: dict[str, Any] = {"type": "custom", "custom": {"name": "run"}}
PLAIN = {"messages": HI, "truncate": False, "shift": False}


def target(model: str = "qwen3", context: int | None = None, host: Host = HOST) -> Target:
    """A model, perhaps with a context that the operator states."""
    return Target(host, model, None if context is None else ModelFacts(model, model, context_tokens=context))


def sent(to: Target | None = None, cap: int | None = None, **body: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """What Ollama gets beside the model and the stream flag, and what became of what it does not get."""
    made, losses = encode({"messages": HI, **body}, to or target(), cap, stream=True)
    made.pop("model")
    assert made.pop("stream") is True
    return made, {loss.param: loss.how for loss in losses}


def test_nothing_is_cut_off_in_silence_unless_the_client_wants_it() -> None:
    """Ollama would shorten a prompt, and push its beginning out of the context, without a word."""
    assert sent() == (PLAIN, {})
    assert sent(truncate=True, shift=True)[0] == {"messages": HI, "truncate": True, "shift": True}


@pytest.mark.parametrize(
    ("to", "body", "options", "lost"),
    [
        (target(), {"options": {"num_ctx": 9000}}, {"num_ctx": 9000}, {}),
        (target(), {"num_ctx": 9000}, {"num_ctx": 9000}, {}),
        (target(context=8192), {}, {"num_ctx": 8192}, {}),
        (target(context=8192), {"options": {"num_ctx": 100}}, {"num_ctx": 100}, {}),
        (target(context=8192), {"num_ctx": 9000}, {"num_ctx": 8192}, {"options.num_ctx": "changed"}),
        (target(context=8192), {"num_ctx": "much"}, {"num_ctx": 8192}, {}),
        (target("qwen3:480b-cloud", 8192), {}, None, {}),
        (target(context=8192, host=CLOUD), {}, None, {}),
        (target(), {"options": {"num_thread": 64, "min_p": 0.1}}, {"min_p": 0.1}, {"options.num_thread": "dropped"}),
        (target(), {"options": {"temperature": 1}, "temperature": 0.5}, {"temperature": 0.5}, {}),
        (target(), {"options": 5}, None, {}),
    ],
)
def test_options_are_the_clients_within_the_operators(
    to: Target, body: dict[str, Any], options: Any, lost: dict[str, str]
) -> None:
    """A stated context is asked for and is the most there is; what concerns the machine is not the client's."""
    made, losses = sent(to, **body)
    assert made.get("options") == options
    assert losses == lost


def test_the_cap_goes_over_every_limit_of_the_clients() -> None:
    """It is what the answer may cost."""
    made, _ = sent(cap=5, max_tokens=9, options={"num_predict": -1})
    assert made["options"] == {"num_predict": 5}
    assert sent(options={"num_predict": 7})[0]["options"] == {"num_predict": 7}


@pytest.mark.parametrize(
    ("model", "body", "think", "lost"),
    [
        ("qwen3", {"reasoning_effort": "low"}, True, {"reasoning_effort": "changed"}),
        ("qwen3", {"reasoning_effort": "minimal"}, False, {"reasoning_effort": "changed"}),
        ("qwen3", {"reasoning_effort": "none"}, False, {}),
        ("qwen3", {"reasoning": {"enabled": True}}, True, {}),
        ("qwen3", {"reasoning": {"max_tokens": 10}}, True, {"reasoning.max_tokens": "dropped"}),
        ("gpt-oss:20b", {"reasoning_effort": "low"}, "low", {}),
        ("gpt-oss:20b", {"reasoning_effort": "xhigh"}, "high", {"reasoning_effort": "changed"}),
        ("gpt-oss:20b", {"reasoning_effort": "none"}, "low", {"reasoning_effort": "changed"}),
        ("gpt-oss:20b", {"reasoning": {"enabled": True}}, "medium", {}),
        ("gpt-oss:20b", {"reasoning_effort": "odd"}, "medium", {"reasoning_effort": "changed"}),
        ("qwen3", {"think": "high", "reasoning_effort": "low"}, "high", {}),
        ("qwen3", {}, None, {}),
    ],
)
def test_thinking_is_a_level_or_a_switch_by_model(
    model: str, body: dict[str, Any], think: Any, lost: dict[str, str]
) -> None:
    """Ollama refuses a level for a model that has none."""
    made, losses = sent(target(model), **body)
    assert made.get("think") == think
    assert {name: how for name, how in losses.items() if name != "think"} == lost


@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        (None, False),
        ("auto", False),
        ("none", False),
        ("required", True),
        ({"type": "custom", "custom": {"name": "run"}}, True),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NOW]}}, True),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NOW]}}, False),
    ],
)
def test_a_call_is_forced_by_a_schema_where_one_is_enforced(choice: Any, forced: bool) -> None:
    """The cloud enforces none, and neither does a model that is only passed on to it."""
    body = {"messages": HI, "tools": [NOW, RUN], "tool_choice": choice}
    assert forces(body, target()) is forced
    assert not forces(body, target(host=CLOUD))
    assert not forces(body, target("glm-5:cloud"))
    assert not forces({**body, "tools": [NOW, {"type": "web_search"}], "tool_choice": "required"}, target())
    made, losses = sent(tools=[NOW, RUN], tool_choice=choice)
    assert ("format" in made) is forced
    assert ("tools" in made) is not (forced or choice == "none")
    assert losses.get("tool_choice") == ("emulated" if forced or isinstance(choice, dict) else None)


def test_what_is_not_enforced_is_reported() -> None:
    """A schema in the cloud, strictness, and one call at a time."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    assert sent(target(host=CLOUD), response_format=schema) == (PLAIN, {"response_format": "dropped"})
    strict = {"type": "function", "function": {**NOW["function"], "strict": True}}
    _, losses = sent(tools=[strict], parallel_tool_calls=False)
    assert losses == {"parallel_tool_calls": "dropped", "tools[0].function.strict": "dropped"}


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, "json"),
        ({"type": "json_schema", "json_schema": {"name": "a"}}, "json"),
    ],
)
def test_a_format_without_a_schema_is_json(given: dict[str, Any], there: Any) -> None:
    """And text is no format."""
    made, losses = sent(response_format=given)
    assert made.get("format") == there
    assert losses == {}


def test_a_conversation_with_tools_is_told_in_full() -> None:
    """Results by the name of their tool, arguments as objects, failures in words."""
    calls = [
        {"id": "1", "type": "function", "function": {"name": "now", "arguments": '{"a": 1}'}},
        {"id": "2", "type": "custom", "custom": {"name": "run", "input": "1+1"}},
        {"id": "3", "type": "function", "function": {"name": "now", "arguments": '{"a'}},
        {"id": "4", "type": "mcp"},
    ]
    made, losses = sent(
        messages=[
            {"role": "assistant", "content": None, "refusal": "No.", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "boom"}], "is_error": True},
            {"role": "tool", "tool_call_id": "9", "content": "x", "name": "other"},
            {"role": "tool", "tool_call_id": "9", "content": "x"},
        ]
    )
    assert made["messages"] == [
        {
            "role": "assistant",
            "content": "No.",
            "tool_calls": [
                {"id": "1", "function": {"name": "now", "arguments": {"a": 1}}},
                {"id": "2", "function": {"name": "run", "arguments": {"input": "1+1"}}},
                {"id": "3", "function": {"name": "now", "arguments": {"arguments": '{"a'}}},
            ],
        },
        {"role": "tool", "content": "Error: boom", "tool_call_id": "1", "tool_name": "now"},
        {"role": "tool", "content": "x", "tool_call_id": "9", "tool_name": "other"},
        {"role": "tool", "content": "x", "tool_call_id": "9"},
    ]
    assert losses == {"messages[0].tool_calls[2]": "changed", "messages[1].is_error": "emulated"}


def image(url: str, **more: str) -> list[dict[str, Any]]:
    """A message with an image."""
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url, **more}}]}]


def test_an_image_is_its_base64() -> None:
    """In one size: another one that is asked for is lost."""
    made, losses = sent(messages=image("data:image/webp;base64,AAAA", detail="low"))
    assert made["messages"] == [{"role": "user", "content": "", "images": ["AAAA"]}]
    assert losses == {"messages[0].content[0].image_url.detail": "dropped"}


@pytest.mark.parametrize(
    "messages",
    [
        image("https://a.example/b.png"),
        image("data:image/svg+xml,<svg/>"),
        image("AAAA"),
        [{"role": "function", "name": "a", "content": "x"}],
        [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}],
    ],
)
def test_what_ollama_cannot_be_told_is_another_targets(messages: list[Any]) -> None:
    """It fetches nothing."""
    with pytest.raises(UpstreamUnfit) as caught:
        sent(messages=messages)
    assert str(caught.value.param).startswith("messages[0]")
