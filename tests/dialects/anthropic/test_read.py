"""Requests of the Messages API, read: what was sent, the same in the inner form, and what is lost between them."""

import json
from typing import Any

import pytest

from tollhouse.dialects.anthropic.read import read_call
from tollhouse.dialects.anthropic.seals import PLAIN, seal
from tollhouse.errors import InvalidRequest
from tollhouse.types.calls import ChatCall

PIXEL = "iVBORw0KGgo="
HI: list[Any] = [{"role": "user", "content": "hi"}]


def call_of(messages: list[Any] | None = None, headers: dict[bytes, bytes] | None = None, **more: Any) -> ChatCall:
    """A request, read."""
    body = {"model": "m", "max_tokens": 9, "messages": messages or HI, **more}
    return read_call(json.dumps(body).encode(), headers or {})


def inner(*messages: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The messages of the inner form."""
    found = call_of(list(messages), **more).body["messages"]
    assert isinstance(found, list)
    return found


def losses_of(call: ChatCall) -> dict[str, str]:
    """What is lost, and how."""
    return {loss.param: loss.how for loss in call.losses}


def test_the_plain_request() -> None:
    """The fields that both dialects have are the same in the inner form, and what was sent is kept."""
    call = call_of(
        system="Be brief.",
        temperature=0.5,
        top_p=0.9,
        top_k=5,
        stop_sequences=["END"],
        metadata={"user_id": "u1"},
        stream=True,
        service_tier="auto",
    )
    assert call.body == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "stop": ["END"],
        "user": "u1",
    }
    assert (call.stream, call.include_usage, call.dialect) == (True, True, "anthropic")
    assert call.native is not None
    assert call.native["stop_sequences"] == ["END"]
    assert call.losses == ()
    assert call.hosted is None


def test_cache_markers_stay_on_their_parts() -> None:
    """A block with a cache marker is a part with it, in the system prompt, a turn, a tool and its result."""
    mark = {"type": "ephemeral", "ttl": "1h"}
    text = {"type": "text", "text": "x", "cache_control": mark}
    call = call_of(
        [
            {"role": "user", "content": [text]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{**result("t1", "done"), "cache_control": mark}]},
        ],
        system=[{"type": "text", "text": "a"}, text],
        tools=[{"name": "f", "input_schema": {"type": "object"}, "cache_control": mark}],
    )
    system, user, _, tool = call.body["messages"]
    assert system["content"] == [{"type": "text", "text": "a"}, text]
    assert user["content"] == [text]
    assert tool["content"] == [{"type": "text", "text": "done", "cache_control": mark}]
    assert call.body["tools"][0]["cache_control"] == mark


def result(call_id: str, content: Any, **more: Any) -> dict[str, Any]:
    """A tool's result."""
    return {"type": "tool_result", "tool_use_id": call_id, "content": content, **more}


def test_results_come_before_what_the_user_says() -> None:
    """Each result is a tool message, in their order, and what else the turn holds follows them."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    found = inner(
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Here:"},
                result("t1", [{"type": "text", "text": "a"}, image], is_error=True),
                result("t2", None),
            ],
        }
    )
    url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}
    assert found == [
        {"role": "tool", "tool_call_id": "t1", "content": [{"type": "text", "text": "a"}, url], "is_error": True},
        {"role": "tool", "tool_call_id": "t2", "content": ""},
        {"role": "user", "content": "Here:"},
    ]


def test_a_turn_of_the_assistant() -> None:
    """Texts are one text, tool uses are calls with JSON for arguments, thinking keeps what proves it."""
    (found,) = inner(
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqkE"},
                {"type": "redacted_thinking", "data": "Eo8B"},
                {"type": "text", "text": "a"},
                {"type": "text", "text": "b"},
                {"type": "tool_use", "id": "t1", "name": "f", "input": {"x": [1]}},
            ],
        }
    )
    assert found == {
        "role": "assistant",
        "content": "ab",
        "reasoning_content": "Hm.",
        "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm.", "signature": "EqkE", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.encrypted", "data": "Eo8B", "format": "anthropic-claude-v1", "index": 1},
        ],
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"x":[1]}'}}],
    }


def test_what_another_host_said_is_restored() -> None:
    """A seal becomes the entry that was in it, or what belongs to a call; Anthropic is not sent it."""
    extra = {"google": {"thought_signature": "CpcH"}}
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": PLAIN},
        {
            "type": "thinking",
            "thinking": "So.",
            "signature": seal({"type": "reasoning.summary", "format": "openai-responses-v1"}),
        },
        {"type": "redacted_thinking", "data": seal({"call": "f:0", "extra_content": extra})},
        {"type": "tool_use", "id": "toolu_x64_Zjow", "name": "f", "input": {}},
    ]
    call = call_of([*HI, {"role": "assistant", "content": content}])
    found = call.body["messages"][1]
    assert found["reasoning_content"] == "Hm.So."
    assert found["reasoning_details"] == [
        {"type": "reasoning.summary", "summary": "So.", "format": "openai-responses-v1", "index": 0}
    ]
    assert found["tool_calls"][0]["id"] == "f:0"
    assert found["tool_calls"][0]["extra_content"] == extra
    assert call.native is not None
    assert call.native["messages"][1]["content"] == content[3:]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBE", "filename": "T"}}],
        ),
        (
            {"type": "url", "url": "https://e.example/x.pdf"},
            [{"type": "file", "file": {"file_data": "https://e.example/x.pdf", "filename": "T"}}],
        ),
        (
            {"type": "text", "media_type": "text/plain", "data": "words"},
            [{"type": "text", "text": "T:"}, {"type": "text", "text": "words"}],
        ),
        (
            {"type": "content", "content": [{"type": "text", "text": "a"}, {"type": "odd"}]},
            [{"type": "text", "text": "T:"}, {"type": "text", "text": "a"}],
        ),
        ({"type": "content", "content": "a"}, [{"type": "text", "text": "T:"}, {"type": "text", "text": "a"}]),
    ],
)
def test_documents(source: dict[str, Any], expected: list[Any]) -> None:
    """A PDF is a file, text is told as text, and the context stands before either."""
    document = {"type": "document", "source": source, "title": "T", "context": "C"}
    (found,) = inner({"role": "user", "content": [document]})
    assert found["content"] == [{"type": "text", "text": "C"}, *expected]


def test_a_search_result_is_told_as_text() -> None:
    """With its title and where it is from."""
    block = {"type": "search_result", "source": "s", "title": "T", "content": [{"type": "text", "text": "x"}]}
    call = call_of([{"role": "user", "content": [block, {"type": "text", "text": ""}]}])
    assert call.body["messages"] == [{"role": "user", "content": "T (s):\nx"}]
    assert losses_of(call) == {"messages[0].content[0]": "emulated"}


def test_what_only_anthropic_can_do_is_reported() -> None:
    """Fields, blocks and tools without a counterpart are losses by their paths, and stay in what was sent."""
    content = [
        {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "container_upload", "file_id": "file_1"},
        {"type": "document", "source": {"type": "url", "url": "u"}, "citations": {"enabled": True}},
    ]
    tools: list[dict[str, Any]] = [
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
        {"type": "browser_toolset_20260801"},
        {"name": "f", "input_schema": {}, "defer_loading": True, "input_examples": [{}], "allowed_callers": ["direct"]},
    ]
    call = call_of(
        [{"role": "user", "content": content}],
        tools=tools,
        context_management={"edits": []},
        mcp_servers=[],
        container=None,
        odd=1,
    )
    assert losses_of(call) == {
        "messages[0].content[0].source": "dropped",
        "messages[0].content[1]": "dropped",
        "messages[0].content[2].citations": "dropped",
        "tools[0]": "dropped",
        "tools[1]": "dropped",
        "tools[2].defer_loading": "changed",
        "tools[2].input_examples": "dropped",
        "context_management": "dropped",
        "odd": "dropped",
    }
    assert [tool["function"]["name"] for tool in call.body["tools"]] == ["f"]
    assert call.hosted == "web_search_20250305"
    assert call.native is not None
    assert call.native["tools"] == tools


@pytest.mark.parametrize(
    ("more", "hosted"),
    [
        ({"speed": "fast"}, "speed"),
        ({"speed": "standard"}, None),
        ({"inference_geo": "us"}, "inference_geo"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, None),
        ({"tools": [{"type": "computer_toolset_20260801"}]}, None),
    ],
)
def test_what_is_charged_beside_tokens(more: dict[str, Any], hosted: str | None) -> None:
    """A field that makes tokens dearer is named, and a client's own tool is none."""
    assert call_of(**more).hosted == hosted


@pytest.mark.parametrize(
    ("kind", "name", "member"),
    [
        ("bash_20250124", "bash", "command"),
        ("text_editor_20250728", "str_replace_based_edit_tool", "old_str"),
        ("text_editor_20250124", "str_replace_editor", "old_str"),
        ("memory_20250818", "memory", "new_path"),
        ("computer_20250124", "computer", "coordinate"),
    ],
)
def test_the_clients_tools_are_offered_with_their_schemas(kind: str, name: str, member: str) -> None:
    """A tool that the client runs and Claude alone knows is a function for every other model."""
    call = call_of(tools=[{"type": kind, "name": name, "display_width_px": 8, "display_height_px": 6}])
    (tool,) = call.body["tools"]
    assert tool["function"]["name"] == name
    assert member in tool["function"]["parameters"]["properties"]
    assert tool["function"]["description"].endswith("8 by 6 pixels.")
    assert losses_of(call) == {"tools[0]": "emulated"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each form has its counterpart."""
    body = call_of(tools=[{"name": "f", "input_schema": {}, "strict": True}], tool_choice=choice).body
    assert {name: body[name] for name in body if name in ("tool_choice", "parallel_tool_calls")} == expected
    assert body["tools"][0]["function"] == {"name": "f", "parameters": {}, "strict": True}


def test_a_choice_of_a_tool_that_is_lost_is_lost_too() -> None:
    """What can be called is not asked for when no host but Anthropic's could run it."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    call = call_of(tools=[search], tool_choice={"type": "tool", "name": "web_search"})
    assert "tool_choice" not in call.body
    assert losses_of(call) == {"tools[0]": "dropped", "tool_choice": "dropped"}
    own = {"name": "f", "input_schema": {}}
    assert "tool_choice" not in call_of(tools=[own, search], tool_choice={"type": "tool", "name": "web_search"}).body


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2**11}},
            {"reasoning": {"enabled": True, "max_tokens": 2048}},
        ),
        ({"thinking": {"type": "disabled"}}, {"reasoning": {"enabled": False}}),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
            {"reasoning": {"enabled": True, "summary": "auto"}, "reasoning_effort": "max"},
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "output", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
    ],
)
def test_thinking_and_output(more: dict[str, Any], expected: dict[str, Any]) -> None:
    """Thinking is ``reasoning``, effort its effort, and a format the one that OpenAI has."""
    body = call_of(**more).body
    assert {name: body[name] for name in body if name not in ("model", "messages", "max_tokens")} == expected


def test_the_headers_of_the_dialect_travel_with_the_call() -> None:
    """Version and betas are kept for a host that speaks it, and nothing else is."""
    headers = {b"anthropic-version": b"2026-10-21", b"anthropic-beta": b"a,b", b"x-api-key": b"sk"}
    assert call_of(headers=headers).wire_headers == (("anthropic-version", "2026-10-21"), ("anthropic-beta", "a,b"))


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": 1}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"temperature": 1.5}, "temperature"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools[0].name"),
        ({"tools": [{"type": 1}]}, "tools[0].type"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
    ],
)
def test_a_broken_rule_is_named(more: dict[str, Any], param: str) -> None:
    """The refusal says which member it is about."""
    body = {"model": "m", "max_tokens": 9, "messages": HI, **more}
    with pytest.raises(InvalidRequest) as caught:
        read_call(json.dumps(body).encode(), {})
    assert caught.value.param == param


def test_only_a_message_needs_max_tokens() -> None:
    """Counting does not, and a message without it is refused."""
    body = json.dumps({"model": "m", "messages": HI}).encode()
    assert "max_tokens" not in read_call(body, {}, counted=True).body
    with pytest.raises(InvalidRequest, match="max_tokens"):
        read_call(body, {})
