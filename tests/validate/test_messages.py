"""Messages and tools: shapes that pass, shapes that do not, and what is left to the host."""

from typing import Any

import pytest

from tests.validate.samples import TOOLS, with_fields, with_message
from tollhouse.errors import InvalidRequest
from tollhouse.validate.chat import check_chat


def refuse(body: Any) -> InvalidRequest:
    """The error that this request meets."""
    with pytest.raises(InvalidRequest) as caught:
        check_chat(body)
    return caught.value


CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TEXT = {"type": "text", "text": "x"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}

GOOD_MESSAGES: list[dict[str, Any]] = [
    *({"role": role, "content": ""} for role in ("developer", "system", "user", "assistant")),
    *({"role": role, "content": [TEXT, TEXT]} for role in ("developer", "system", "user", "assistant")),
    {"role": "assistant"},
    {"role": "assistant", "content": None},
    {"role": "assistant", "content": []},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm", "annotations": []},
    {"role": "assistant", "content": "x", "tool_calls": None, "function_call": None, "audio": None, "refusal": None},
    {"role": "assistant", "content": "x", "tool_calls": []},
    {"role": "assistant", "tool_calls": [{"id": "c", "type": "web_search"}]},
    {"role": "tool", "content": [], "tool_call_id": "c"},
    {"role": "tool", "content": [TEXT, IMAGE], "tool_call_id": "c", "name": "f"},
    {"role": "function", "content": None, "name": "f"},
    {"role": "user", "content": [IMAGE, {"type": "video_url", "video_url": {"url": "x"}}]},
    {"role": "assistant", "content": [{"type": "thinking", "thinking": "x", "signature": "y"}, TEXT]},
    {"role": "user", "content": [{"type": "file", "file": {}}]},
    {"role": "user", "content": "x", "name": None},
]


@pytest.mark.parametrize("message", GOOD_MESSAGES, ids=repr)
def test_messages_that_pass(message: dict[str, Any]) -> None:
    """Every shape of message that OpenAI takes, or that clients are known to send to other hosts, is read."""
    assert check_chat(with_message(message)).body["messages"] == [message]


TYPE, VALUE, MISSING, EMPTY = "invalid_type", "invalid_value", "missing_required_parameter", "empty_array"


def user(*parts: Any) -> dict[str, Any]:
    """A user's message of these parts."""
    return {"role": "user", "content": list(parts)}


def assistant(*calls: Any) -> dict[str, Any]:
    """An assistant's message with these tool calls."""
    return {"role": "assistant", "tool_calls": list(calls)}


BAD_MESSAGES: list[tuple[Any, str, str]] = [  # the message, the path below it, the code
    ("hi", "", TYPE),
    (None, "", TYPE),
    ([], "", TYPE),
    ({}, ".role", MISSING),
    ({"content": "x"}, ".role", MISSING),
    ({"role": None, "content": "x"}, ".role", TYPE),
    ({"role": ["user"], "content": "x"}, ".role", TYPE),
    ({"role": {}, "content": "x"}, ".role", TYPE),
    ({"role": "robot", "content": "x"}, ".role", VALUE),
    *(({"role": role}, ".content", MISSING) for role in ("system", "developer", "user", "tool", "function")),
    *(({"role": role, "content": None}, ".content", TYPE) for role in ("system", "developer", "user")),
    *(({"role": role, "content": []}, ".content", EMPTY) for role in ("system", "developer", "user")),
    ({"role": "assistant", "content": 1}, ".content", TYPE),
    ({"role": "assistant", "content": [None]}, ".content[0]", TYPE),
    ({"role": "tool", "content": None, "tool_call_id": "c"}, ".content", TYPE),
    ({"role": "tool", "content": "x"}, ".tool_call_id", MISSING),
    ({"role": "tool", "content": "x", "tool_call_id": None}, ".tool_call_id", TYPE),
    ({"role": "function", "content": "x"}, ".name", MISSING),
    ({"role": "user", "content": "x", "name": 1}, ".name", TYPE),
    (user("x"), ".content[0]", TYPE),
    (user({}), ".content[0].type", MISSING),
    (user({"type": 1}), ".content[0].type", TYPE),
    (user(TEXT, {"type": "text"}), ".content[1].text", MISSING),
    (user({"type": "text", "text": None}), ".content[0].text", TYPE),
    (user({**TEXT, "prompt_cache_breakpoint": {}}), ".content[0].prompt_cache_breakpoint.mode", MISSING),
    (user({"type": "image_url", "image_url": "x"}), ".content[0].image_url", TYPE),
    (user({"type": "image_url", "image_url": {}}), ".content[0].image_url.url", MISSING),
    (user(TEXT, {"type": "image_url", "image_url": {"url": 1}}), ".content[1].image_url.url", TYPE),
    (user({"type": "image_url", "image_url": {"url": "x", "detail": "max"}}), ".content[0].image_url.detail", VALUE),
    (user({"type": "input_audio", "input_audio": {"data": "x"}}), ".content[0].input_audio.format", MISSING),
    (
        user({"type": "input_audio", "input_audio": {"data": "x", "format": "ogg"}}),
        ".content[0].input_audio.format",
        VALUE,
    ),
    (user({"type": "file", "file": {"file_id": 1}}), ".content[0].file.file_id", TYPE),
    ({"role": "assistant", "audio": {}}, ".audio.id", MISSING),
    ({"role": "assistant", "refusal": 1}, ".refusal", TYPE),
    ({"role": "assistant", "function_call": {"name": "f"}}, ".function_call.arguments", MISSING),
    (assistant(None), ".tool_calls[0]", TYPE),
    (assistant({}), ".tool_calls[0].type", MISSING),
    (assistant({"type": "function", "function": CALL["function"]}), ".tool_calls[0].id", MISSING),
    (assistant(CALL, {"type": "function", "id": "d"}), ".tool_calls[1].function", MISSING),
    (
        assistant({**CALL, "function": {"name": "f", "arguments": {}}}),
        ".tool_calls[0].function.arguments",
        TYPE,
    ),
    (assistant({"type": "custom", "id": "d", "custom": {"name": "f"}}), ".tool_calls[0].custom.input", MISSING),
]


@pytest.mark.parametrize(("message", "below", "code"), BAD_MESSAGES)
def test_messages_that_are_refused(message: Any, below: str, code: str) -> None:
    """A message of the wrong shape is a 400 whose param is the path to the field, index included."""
    error = refuse({"model": "m", "messages": [{"role": "user", "content": "hi"}, message]})
    assert (error.param, error.code) == (f"messages[1]{below}", code)


def test_an_unknown_role_is_told_the_known_ones() -> None:
    """The error lists the roles, as OpenAI's does."""
    words = "'system', 'assistant', 'user', 'function', 'tool', and 'developer'"
    message = refuse(with_message({"role": "robot", "content": "x"})).message
    assert message == f"Invalid value: 'robot'. Supported values are: {words}."


def test_the_order_of_messages_is_left_to_the_host() -> None:
    """Unanswered calls, answers without calls and repeated roles reach the host, which knows its own rules."""
    messages = [{"role": "tool", "content": "x", "tool_call_id": "?"}, assistant(CALL), assistant(CALL)]
    assert check_chat({"model": "m", "messages": messages})


NAME_OF_TOOL = "[0].function.name"
BAD_TOOLS: list[tuple[Any, str, str]] = [  # the tools, the path below them, the code
    (None, "", TYPE),
    ({}, "", TYPE),
    (["x"], "[0]", TYPE),
    ([{}], "[0].type", MISSING),
    ([{"type": None}], "[0].type", TYPE),
    ([{"type": "function"}], "[0].function", MISSING),
    ([{"type": "function", "function": {}}], NAME_OF_TOOL, MISSING),
    ([{"type": "function", "function": {"name": ""}}], NAME_OF_TOOL, "empty_string"),
    ([{"type": "function", "function": {"name": "a.b"}}], NAME_OF_TOOL, VALUE),
    ([{"type": "function", "function": {"name": "a\n"}}], NAME_OF_TOOL, VALUE),
    ([{"type": "function", "function": {"name": "\u0661"}}], NAME_OF_TOOL, VALUE),
    ([{"type": "function", "function": {"name": "a" * 65}}], NAME_OF_TOOL, "string_above_max_length"),
    ([{"type": "function", "function": {"name": "a", "parameters": []}}], "[0].function.parameters", TYPE),
    ([{"type": "function", "function": {"name": "a", "description": None}}], "[0].function.description", TYPE),
    ([{"type": "function", "function": {"name": "a", "strict": "yes"}}], "[0].function.strict", TYPE),
    ([TOOLS[0], {"type": "custom", "custom": {}}], "[1].custom.name", MISSING),
    ([{"type": "custom", "custom": {"name": "a", "format": {"type": "x"}}}], "[0].custom.format.type", VALUE),
    (
        [{"type": "custom", "custom": {"name": "a", "format": {"type": "grammar", "grammar": {"syntax": "lark"}}}}],
        "[0].custom.format.grammar.definition",
        MISSING,
    ),
]


@pytest.mark.parametrize(("tools", "below", "code"), BAD_TOOLS)
def test_tools_that_are_refused(tools: Any, below: str, code: str) -> None:
    """A tool of the wrong shape, or with a name that no host takes, is a 400 that names its place."""
    error = refuse(with_fields(tools=tools))
    assert (error.param, error.code) == (f"tools{below}", code)


def function(name: str) -> dict[str, Any]:
    """The choice of one function."""
    return {"type": "function", "function": {"name": name}}


def allow(*tools: dict[str, Any]) -> dict[str, Any]:
    """The choice among some tools."""
    return {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": list(tools)}}


GOOD_CHOICES = [
    "none",
    "auto",
    "required",
    function("weather"),
    {"type": "custom", "custom": {"name": "note"}},
    {"type": "browser"},
    allow(function("weather"), {"type": "custom", "custom": {"name": "sum"}}, {"type": "function", "name": "weather"}),
    allow(),
]


@pytest.mark.parametrize("choice", GOOD_CHOICES, ids=repr)
def test_choices_of_tools_that_pass(choice: Any) -> None:
    """Every form of tool_choice is taken when the tools it names are there."""
    assert check_chat(with_fields(tools=[*TOOLS, {"type": "browser"}], tool_choice=choice))


BAD_CHOICES: list[tuple[Any, str, str | None]] = [
    (None, "", TYPE),
    ("any", "", VALUE),
    ([], "", TYPE),
    ({}, ".type", MISSING),
    ({"type": "function"}, ".function", MISSING),
    ({"type": "function", "function": {}}, ".function.name", MISSING),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": []}}, ".allowed_tools.mode", VALUE),
    (function("wether"), "", VALUE),
    ({"type": "custom", "custom": {"name": "weather"}}, "", VALUE),
    ({"type": "browser"}, "", VALUE),
    (allow(function("weather"), function("no")), ".allowed_tools.tools[1]", VALUE),
    (allow({"type": 1}), ".allowed_tools.tools[0]", VALUE),
    (allow({"type": "function", "function": {"name": []}}), ".allowed_tools.tools[0]", VALUE),
]


@pytest.mark.parametrize(("choice", "below", "code"), BAD_CHOICES)
def test_choices_of_tools_that_are_refused(choice: Any, below: str, code: str | None) -> None:
    """A choice of the wrong shape, or of a tool that is not there, is a 400."""
    error = refuse(with_fields(tools=TOOLS, tool_choice=choice))
    assert (error.param, error.code) == (f"tool_choice{below}", code)


@pytest.mark.parametrize("tools", [{}, {"tools": []}], ids=["absent", "empty"])
@pytest.mark.parametrize("choice", ["required", function("f"), allow()], ids=["required", "named", "allowed"])
def test_a_tool_cannot_be_forced_without_tools(choice: Any, tools: dict[str, Any]) -> None:
    """A choice that needs a tool is refused in OpenAI's words when there are none."""
    error = refuse(with_fields(tool_choice=choice, **tools))
    assert error.message == "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified."
    assert (error.param, error.code) == ("tool_choice", None)


def test_the_older_choice_of_functions() -> None:
    """The deprecated function_call is taken when the function it names is there."""
    functions = [{"name": "f"}, {"name": "g"}]
    assert check_chat(with_fields(functions=functions, function_call={"name": "g"}))
    assert refuse(with_fields(functions=functions, function_call={"name": "h"})).param == "function_call"
