"""A client's tools and schemas in Anthropic's form."""

from typing import Any

import pytest

from tollhouse.dialects.anthropic.encode import Request, encode
from tollhouse.dialects.anthropic.schema import Unfit, fit


def function(name: str = "f", **members: Any) -> dict[str, Any]:
    """A function tool."""
    return {"type": "function", "function": {"name": name, **members}}


def made(model: str = "claude-sonnet-4-5", **body: Any) -> Request:
    """The request for a body with one user message."""
    return encode({"model": "alias", "messages": [{"role": "user", "content": "Hi"}], **body}, model)


def lost(request: Request) -> dict[str, str]:
    """What is lost, and how."""
    return {loss.param: loss.how for loss in request.losses}


NONE = {"type": "object", "properties": {}}
ANY = {"type": "any"}
ALONE = {"disable_parallel_tool_use": True}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    """A choice among these."""
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


@pytest.mark.parametrize(
    ("body", "choice", "names", "losses"),
    [
        ({}, None, "fg", {}),
        ({"tool_choice": "auto"}, None, "fg", {}),
        ({"tool_choice": "none"}, {"type": "none"}, "fg", {}),
        ({"tool_choice": "required"}, ANY, "fg", {}),
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}}, {"type": "tool", "name": "g"}, "fg", {}),
        ({"tool_choice": allowed("auto", "g")}, None, "g", {"tool_choice": "emulated"}),
        ({"tool_choice": allowed("required", "g")}, ANY, "g", {"tool_choice": "emulated"}),
        ({"parallel_tool_calls": False}, {"type": "auto", **ALONE}, "fg", {}),
        ({"parallel_tool_calls": False, "tool_choice": "required"}, {**ANY, **ALONE}, "fg", {}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}, "fg", {}),
        ({"parallel_tool_calls": True}, None, "fg", {}),
    ],
)
def test_tool_choice(body: dict[str, Any], choice: Any, names: str, losses: dict[str, str]) -> None:
    """Each way of choosing has its counterpart; what is not allowed is not offered."""
    request = made(tools=[function("f"), function("g")], **body)
    assert request.body.get("tool_choice") == choice
    assert "".join(tool["name"] for tool in request.body["tools"]) == names
    assert lost(request) == losses


def test_a_model_that_cannot_be_forced_is_offered_what_it_should_call() -> None:
    """It chooses by itself, which is reported; a named function is the only one offered."""
    named = {"type": "function", "function": {"name": "g"}}
    request = made("claude-opus-5-5", tools=[function("f"), function("g")], tool_choice=named)
    assert "tool_choice" not in request.body
    assert [tool["name"] for tool in request.body["tools"]] == ["g"]
    assert lost(request) == {"tool_choice": "changed"}


def test_a_choice_without_tools_is_not_sent() -> None:
    """Anthropic refuses it, and it asks for nothing."""
    assert made(tool_choice="none", parallel_tool_calls=False).body.keys() == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize(
    ("parameters", "schema", "loses"),
    [
        (None, NONE, False),
        ({}, NONE, False),
        ({"properties": {"a": {}}}, {"type": "object", "properties": {"a": {}}}, False),
        (
            {"anyOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}, 3]},
            {"type": "object", "properties": {"a": {}, "b": {}}},
            True,
        ),
    ],
)
def test_parameters_are_an_object_at_their_root(parameters: Any, schema: dict[str, Any], loses: bool) -> None:
    """Anthropic takes no other, nor alternatives there: those are put together and reported."""
    tool = function() if parameters is None else function(parameters=parameters)
    request = made(tools=[tool])
    assert request.body["tools"] == [{"name": "f", "input_schema": schema}]
    assert bool(request.losses) is loses


def test_strict_tools() -> None:
    """Strict where the model and the schema allow it, reported where they do not."""
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    strict = made(tools=[function(parameters=schema, strict=True)])
    assert strict.body["tools"][0]["strict"] is True
    assert strict.body["tools"][0]["input_schema"] == {**schema, "additionalProperties": False}
    assert strict.losses == ()
    bounded = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 3}}}
    assert lost(made(tools=[function(parameters=bounded, strict=True)])) == {"tools[0].function.parameters": "changed"}
    old = made("claude-opus-4-0", tools=[function(parameters=schema, strict=True)])
    assert "strict" not in old.body["tools"][0]
    assert lost(old) == {"tools[0].function.strict": "dropped"}
    loose = function(parameters={"type": "object", "additionalProperties": {"type": "string"}}, strict=True)
    assert lost(made(tools=[loose])) == {"tools[0].function.strict": "dropped"}


def test_custom_tools_are_functions_of_one_string() -> None:
    """Their grammar is told; both are reported."""
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    request = made(tools=[{"type": "custom", "custom": {"name": "f", "description": "D", "format": grammar}}])
    tool = request.body["tools"][0]
    assert tool["input_schema"]["properties"] == {"input": {"type": "string"}}
    assert tool["description"] == "D\n\nThe input follows this regex grammar:\na+"
    assert lost(request) == {"tools[0]": "emulated", "tools[0].custom.format": "changed"}


def test_tools_of_other_types() -> None:
    """Anthropic's own are sent as they are, with their marker; another maker's are left out and reported."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    request = made(tools=[{**search, "cache_control": {"type": "ephemeral"}}, {"type": "mcp"}, {"type": 3}])
    assert request.body["tools"] == [{**search, "cache_control": {"type": "ephemeral"}}]
    assert lost(request) == {"tools[1]": "dropped", "tools[2]": "dropped"}


def test_legacy_functions_are_tools() -> None:
    """And ``function_call`` is the choice."""
    request = made(functions=[{"name": "f", "description": "D"}], function_call={"name": "f"})
    assert request.body["tools"] == [{"name": "f", "description": "D", "input_schema": NONE}]
    assert request.body["tool_choice"] == {"type": "tool", "name": "f"}


FEW = {"type": "array", "items": {"type": "null"}, "minItems": 1}
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}


@pytest.mark.parametrize(
    ("given", "made_of_it", "whole"),
    [
        ({"type": "string", "format": "date", "$comment": "x"}, {"type": "string", "format": "date"}, True),
        (
            {"type": "string", "pattern": "a+", "description": "D"},
            {"type": "string", "description": 'D\n\n{pattern: "a+"}'},
            False,
        ),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
        ({"oneOf": [{"type": "null"}, {"enum": [1]}]}, {"anyOf": [{"type": "null"}, {"enum": [1]}]}, True),
        ({"allOf": [{"const": 1}]}, {"allOf": [{"const": 1}]}, True),
        (FEW, FEW, True),
        ({"type": "object", "properties": {}}, CLOSED, True),
        ({"type": "object", "additionalProperties": False}, CLOSED, True),
        (
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {}}}},
            {"$ref": "#/$defs/A", "$defs": {"A": CLOSED}},
            True,
        ),
    ],
)
def test_schemas_are_cut_to_fit(given: dict[str, Any], made_of_it: dict[str, Any], whole: bool) -> None:
    """Objects are closed, alternatives are ``anyOf``, and a bound is told in the description."""
    fitted = fit(given)
    assert fitted.schema == made_of_it
    assert fitted.whole is whole


def nested(depth: int) -> dict[str, Any]:
    """A schema of arrays in arrays."""
    schema: dict[str, Any] = {"type": "null"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


NODE = {"type": "object", "properties": {"next": {"$ref": "#/$defs/A"}}}


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {}, "anyOf": [{"type": "null"}]},
        {"type": "thing"},
        {"type": 7},
        {"$ref": "#"},
        {"$ref": "https://elsewhere"},
        {"$ref": "#/$defs/B", "$defs": {"A": {"type": "null"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": NODE}},
        nested(100_000),
    ],
)
def test_schemas_that_cannot_be_made_to_fit(schema: Any) -> None:
    """What allows anything, refers to itself or to nothing, or never ends, is refused."""
    with pytest.raises(Unfit):
        fit(schema)


def test_a_schema_of_several_types_at_each_level_stays_as_long() -> None:
    """What is inside is said once for each level, however many types are named there."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(40):
        schema = {"type": ["object", "null", "object"], "additionalProperties": False, "properties": {"a": schema}}
    made = fit(schema).schema
    for _ in range(40):
        assert [one["type"] for one in made["anyOf"]] == ["object", "null"]
        made = made["anyOf"][0]["properties"]["a"]
    assert made == {"type": "string"}


@pytest.mark.parametrize("kinds", [["string", {}], ["string", "strange"], [[]], [None]])
def test_types_that_are_none_cannot_be_made_to_fit(kinds: list[Any]) -> None:
    """Whatever stands in the list, it is a reason and no failure."""
    with pytest.raises(Unfit):
        fit({"type": kinds})
