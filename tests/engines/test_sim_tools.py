"""`tollhouse.engines.sim.tools`: which tools are called, and with what."""

import json
import re
from typing import Any

import jsonschema
import pytest

from tests.engines.sim_asking import Answer, ask, request

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather for a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells what time it is"}}
SEARCH = {
    "type": "function",
    "function": {
        "name": "web_search",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
    },
}
NOTE = {"type": "custom", "custom": {"name": "write_note", "description": "Keeps a note"}}
ALL = [WEATHER, CLOCK, SEARCH, NOTE]


async def asked(text: str, stream: bool = False, **fields: Any) -> Answer:
    """The answer to one user's text with all tools on offer."""
    return await ask(request(messages=[{"role": "user", "content": text}], stream=stream, **{"tools": ALL, **fields}))


def called(answer: Answer) -> list[str]:
    """The names of the tools that were called."""
    return [call[call["type"]]["name"] for call in answer.message.get("tool_calls", ())]


@pytest.mark.parametrize(("text", "names"), [
    ("What's the weather in Paris?", ["get_weather"]),
    ("Is it going to be a nice city walk with current temperatures?", ["get_weather"]),
    ("What time is it? Use the tool.", ["get_weather"]),
    ("Please search for llamas", ["web_search"]),
    ("Call write_note with: buy milk", ["write_note"]),
    ("Check the clock", ["clock"]),
    ("Tell me a joke", []),
    ("", []),
    ("Weather in Paris and Rome", ["get_weather", "get_weather"]),
    ("Do a weather check, then search for umbrellas", ["get_weather", "web_search"]),
])  # fmt: skip
async def test_auto(text: str, names: list[str]) -> None:
    """Left to the model, the documented rule decides."""
    assert called(await asked(text)) == names


async def test_parallel_calls_take_different_values() -> None:
    """Two calls of one tool are about the two things that were asked for."""
    answer = await asked("What's the weather in Paris and New York?")
    cities = [json.loads(call["function"]["arguments"])["city"] for call in answer.message["tool_calls"]]
    assert cities == ["Paris", "New York"]
    ids = [call["id"] for call in answer.message["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("call_[A-Za-z0-9]{24}", each) for each in ids)


async def test_parallel_calls_can_be_forbidden() -> None:
    """With parallel calls off there is one call."""
    assert called(await asked("Weather in Paris and Rome", parallel_tool_calls=False)) == ["get_weather"]


@pytest.mark.parametrize(("choice", "names"), [
    ("none", []),
    ("auto", []),
    ("required", ["get_weather"]),
    ({"type": "function", "function": {"name": "clock"}}, ["clock"]),
    ({"type": "custom", "custom": {"name": "write_note"}}, ["write_note"]),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}, []),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [
        {"type": "function", "name": "web_search"}]}}, ["web_search"]),
    ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NOTE]}}, ["write_note"]),
])  # fmt: skip
async def test_choices(choice: Any, names: list[str]) -> None:
    """Every form of tool_choice is kept."""
    answer = await asked("Tell me a joke", tool_choice=choice)
    assert called(answer) == names
    assert answer.finish() == ["tool_calls" if names else "stop"]
    assert (answer.message["content"] is None) == bool(names)


async def test_none_wins_over_the_text() -> None:
    """With tool_choice none no tool is called even when the text asks for one."""
    assert called(await asked("Weather in Paris?", tool_choice="none")) == []


async def test_allowed_tools_leave_the_rest_out() -> None:
    """A tool outside allowed_tools is not called even when the text asks for it."""
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [CLOCK]}}
    assert called(await asked("Weather in Paris?", tool_choice=choice)) == []


@pytest.mark.parametrize("choice", [
    {"type": "function", "function": {"name": "nope"}}, {"type": "function"}, {"type": "robot"}, "always",
    {"type": "allowed_tools", "allowed_tools": {"mode": "maybe", "tools": []}},
    {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"name": "nope"}]}},
    {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [3]}},
])  # fmt: skip
async def test_bad_choices(choice: Any) -> None:
    """A choice that names no tool on offer is a 400."""
    answer = await asked("Hi", tool_choice=choice)
    assert answer.status == 400
    assert answer.error["param"].startswith("tool_choice")


async def test_arguments_are_valid() -> None:
    """Arguments pass the tool's own schema, and take their values from the text."""
    answer = await asked("Weather in Oslo in fahrenheit?")
    arguments = json.loads(answer.message["tool_calls"][0]["function"]["arguments"])
    jsonschema.validate(arguments, WEATHER["function"]["parameters"])  # type: ignore[index]
    assert arguments == {"city": "Oslo", "unit": "fahrenheit"}


async def test_tool_without_parameters() -> None:
    """A tool without parameters is called with an empty object."""
    answer = await asked("x", tool_choice={"type": "function", "function": {"name": "clock"}})
    assert json.loads(answer.message["tool_calls"][0]["function"]["arguments"]) == {}


async def test_streamed_calls() -> None:
    """A streamed call has its name first, then its arguments bit by bit, and adds up to what is sent whole."""
    text = "Weather in Paris and Rome"
    whole = await asked(text, seed=3)
    streamed = await asked(text, stream=True, stream_options={"include_usage": True}, seed=3)
    calls: dict[int, dict[str, Any]] = {}
    for delta in streamed.deltas(0):
        for part in delta.get("tool_calls", ()):
            function = part["function"]
            if "id" in part:
                assert function["arguments"] == ""
                calls[part["index"]] = {"id": part["id"], "type": "function", "function": dict(function)}
            else:
                calls[part["index"]]["function"]["arguments"] += function["arguments"]
    assert list(calls.values()) == whole.message["tool_calls"]
    assert streamed.finish() == ["tool_calls"]
    assert streamed.deltas(0)[0]["content"] is None
    assert streamed.chunks[-1]["usage"] == whole.json["usage"]


async def test_arguments_count_and_can_be_cut() -> None:
    """Arguments are tokens: they are counted, and a limit cuts them."""
    answer = await asked("Weather in Oslo?", max_tokens=4, seed=1)
    assert answer.finish() == ["length"]
    assert answer.json["usage"]["completion_tokens"] == 4
    with pytest.raises(ValueError, match=r".*"):
        json.loads(answer.message["tool_calls"][0]["function"]["arguments"])


@pytest.mark.parametrize("stream", [False, True])
async def test_custom_tools(stream: bool) -> None:
    """A custom tool without a grammar gets text from the conversation."""
    answer = await asked('Use write_note: "buy milk"', stream=stream)
    if not stream:
        assert answer.message["tool_calls"][0]["custom"] == {"name": "write_note", "input": "buy milk"}
        return
    parts = [part["custom"] for delta in answer.deltas(0) for part in delta.get("tool_calls", ())]
    assert parts[0] == {"name": "write_note", "input": ""}
    assert "".join(part["input"] for part in parts) == "buy milk"


@pytest.mark.parametrize(("syntax", "definition", "expected"), [
    ("regex", r"^[A-Z]{3}-\d{2}$", r"[A-Z]{3}-\d{2}"),
    ("regex", r"\d+ apples?", r"\d+ apples?"),
    ("regex", r"^(?=.*\d)[a-z\d]{6}$", r"(?=.*\d)[a-z\d]{6}"),
    ("lark", 'start: "go " DIRECTION\nDIRECTION: "left" | "right"', "go (left|right)"),
])  # fmt: skip
async def test_grammars(syntax: str, definition: str, expected: str) -> None:
    """A custom tool with a grammar gets a text of that grammar."""
    form = {"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}}
    tool = {"type": "custom", "custom": {"name": "t", "format": form}}
    answer = await asked("Hi", tools=[tool], tool_choice="required")
    assert re.fullmatch(expected, answer.message["tool_calls"][0]["custom"]["input"])


@pytest.mark.parametrize("form", [
    {"type": "grammar", "grammar": {"syntax": "regex", "definition": "(a)\\1"}},
    {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a^b"}},
    {"type": "grammar", "grammar": {"syntax": "lark", "definition": "nothing"}},
    {"type": "grammar", "grammar": {"syntax": "bnf", "definition": "x"}},
    {"type": "grammar"}, {"type": "image"},
])  # fmt: skip
async def test_grammars_that_are_not_read(form: Any) -> None:
    """A grammar that cannot be honoured is a 400 that names its place."""
    tool = {"type": "custom", "custom": {"name": "t", "format": form}}
    answer = await asked("Hi", tools=[tool], tool_choice="required")
    assert answer.status == 400
    assert answer.error["param"].startswith("tools[0].custom.format")


async def test_schemas_that_are_not_kept() -> None:
    """A tool's schema that cannot be honoured is a 400 that names keyword and tool."""
    tool = {
        "type": "function",
        "function": {"name": "t", "parameters": {"type": "object", "unevaluatedProperties": False}},
    }
    answer = await asked("Hi", tools=[tool], tool_choice="required")
    assert answer.status == 400
    assert answer.error["param"] == "tools[0].function.parameters"
    assert "unevaluatedProperties" in answer.error["message"]


FUNCTIONS = [WEATHER["function"], CLOCK["function"]]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("choice", "name"), [
    (None, "get_weather"), ("auto", "get_weather"), ("none", None), ({"name": "clock"}, "clock"),
])  # fmt: skip
async def test_legacy_functions(choice: Any, name: str | None, stream: bool) -> None:
    """The old fields get the old answer."""
    fields = {} if choice is None else {"function_call": choice}
    answer = await asked("Weather in Paris and Rome?", stream=stream, tools=None, functions=FUNCTIONS, **fields)
    assert answer.finish() == ["function_call" if name else "stop"]
    if not stream:
        assert (answer.message.get("function_call") or {}).get("name") == name
        assert "tool_calls" not in answer.message
        return
    parts = [delta["function_call"] for delta in answer.deltas(0) if "function_call" in delta]
    assert [part["name"] for part in parts if "name" in part] == ([name] if name else [])
    assert not parts or isinstance(json.loads("".join(part["arguments"] for part in parts)), dict)


async def test_legacy_choice_of_nothing() -> None:
    """An old choice that names no function is a 400."""
    answer = await asked("Hi", tools=None, functions=FUNCTIONS, function_call={"name": "nope"})
    assert (answer.status, answer.error["param"]) == (400, "function_call")


async def test_calls_for_every_choice() -> None:
    """With n choices each makes its calls under identifiers of its own."""
    answer = await asked("Weather in Oslo?", n=3)
    ids = {choice["message"]["tool_calls"][0]["id"] for choice in answer.json["choices"]}
    assert len(ids) == 3
