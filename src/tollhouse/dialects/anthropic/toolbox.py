"""Tools, and which of them the model is to use, in Anthropic's form. Called by `encode`.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools. A custom tool, whose input is free text, is
sent as a function of one string; `decode` and `events` read its calls back.
"""

import re
from typing import Any

from tollhouse.dialects.anthropic.models import Traits
from tollhouse.dialects.anthropic.parts import Block, cache_mark
from tollhouse.dialects.anthropic.schema import Unfit, fit
from tollhouse.dialects.anthropic.words import CUSTOM_INPUT
from tollhouse.dialects.forced import name_of
from tollhouse.types.calls import Loss

_OWN_TYPE = re.compile(r"[a-z_]+_20\d{6}")
"""``web_search_20250305``: a tool in Anthropic's own form, which the vendor or the client runs."""
_COMBINED = ("anyOf", "oneOf", "allOf")
_ANY = {"type": "object"}


def tools_of(body: dict[str, Any], traits: Traits, losses: list[Loss]) -> list[Block]:
    """The tools of a request. The older ``functions`` are tools too."""
    tools = [
        _plain(tool) or _tool(tool, f"tools[{index}]", traits, losses)
        for index, tool in enumerate(body.get("tools") or ())
    ]
    for index, function in enumerate(body.get("functions") or ()):
        tools.append(_function(function, f"functions[{index}]", traits, losses))
    return [tool for tool in tools if tool is not None]


def _plain(tool: dict[str, Any]) -> Block | None:
    """The tool of a function of which nothing has to be changed but names, as most are; None for any other."""
    function = tool.get("function")
    if len(tool) != _PLAIN_TOOL or type(function) is not dict or tool.get("type") != "function":
        return None
    if not function.keys() <= _PLAIN_FUNCTION or function.get("strict") is True:
        return None
    schema, description = function.get("parameters"), function.get("description")
    if type(schema) is not dict or schema.get("type") != "object" or not schema.keys().isdisjoint(_COMBINED):
        return None
    made = {"name": function.get("name"), "input_schema": schema}
    if description:
        made["description"] = description
    return made


_PLAIN_TOOL = 2
_PLAIN_FUNCTION = frozenset({"name", "description", "parameters", "strict"})


def custom_names(body: dict[str, Any]) -> frozenset[str]:
    """The names of the custom tools of a request."""
    return frozenset([name_of(tool) for tool in body.get("tools") or () if tool.get("type") == "custom"])


def _tool(tool: dict[str, Any], where: str, traits: Traits, losses: list[Loss]) -> Block | None:
    kind = tool.get("type")
    if kind == "function" and isinstance(tool.get("function"), dict):
        made = _function(tool["function"], f"{where}.function", traits, losses)
    elif kind == "custom" and isinstance(tool.get("custom"), dict):
        made = _custom(tool["custom"], where, losses)
    elif isinstance(kind, str) and _OWN_TYPE.fullmatch(kind):
        made = {name: value for name, value in tool.items() if name != "cache_control"}
    else:
        losses.append(Loss(where, why="Anthropic has no tool of this type"))
        return None
    if mark := cache_mark(tool):
        made["cache_control"] = mark
    return made


def _function(function: dict[str, Any], where: str, traits: Traits, losses: list[Loss]) -> Block:
    parameters = function.get("parameters")
    tool: Block = {"name": function.get("name"), "input_schema": _object(parameters, where, losses)}
    if description := function.get("description"):
        tool["description"] = description
    if function.get("strict") is True:
        _make_strict(tool, where, traits, losses)
    if mark := cache_mark(function):
        tool["cache_control"] = mark
    return tool


def _object(parameters: object, where: str, losses: list[Loss]) -> dict[str, Any]:
    """A schema that is an object's at its root, without alternatives there: Anthropic refuses any other."""
    if not isinstance(parameters, dict) or not parameters:
        return {"type": "object", "properties": {}}
    if parameters.get("type") == "object" and parameters.keys().isdisjoint(_COMBINED):
        return parameters
    schema = {name: value for name, value in parameters.items() if name not in _COMBINED}
    properties: dict[str, Any] = {}
    for name in _COMBINED:
        for branch in parameters.get(name) or ():
            if isinstance(branch, dict) and isinstance(branch.get("properties"), dict):
                properties |= branch["properties"]
    if len(schema) < len(parameters):
        schema["properties"] = properties | (schema.get("properties") or {})
        losses.append(Loss(f"{where}.parameters", "changed", "Anthropic takes no alternatives at the root of a schema"))
    schema["type"] = "object"
    return schema


def _make_strict(tool: Block, where: str, traits: Traits, losses: list[Loss]) -> None:
    if not traits.schema:
        losses.append(Loss(f"{where}.strict", why="the model does not know strict tools"))
        return
    try:
        fitted = fit(tool["input_schema"])
    except Unfit as reason:
        losses.append(Loss(f"{where}.strict", why=f"the schema cannot be enforced: {reason}"))
        return
    tool["strict"], tool["input_schema"] = True, fitted.schema
    if not fitted.whole:
        losses.append(Loss(f"{where}.parameters", "changed", "bounds are told to the model, and not enforced"))


def _custom(custom: dict[str, Any], where: str, losses: list[Loss]) -> Block:
    losses.append(Loss(where, "emulated", "a custom tool is sent as a function of one string"))
    description = str(custom.get("description") or "")
    form = custom.get("format")
    grammar = form.get("grammar") if isinstance(form, dict) else None
    if isinstance(grammar, dict):
        losses.append(Loss(f"{where}.custom.format", "changed", "the grammar is told to the model, and not enforced"))
        told = f"The input follows this {grammar.get('syntax')} grammar:\n{grammar.get('definition')}"
        description = f"{description}\n\n{told}" if description else told
    schema = {"type": "object", "properties": {CUSTOM_INPUT: {"type": "string"}}, "required": [CUSTOM_INPUT]}
    made = {"name": custom.get("name"), "input_schema": schema}
    return {**made, "description": description} if description else made


def unused_tools(names: list[str]) -> list[Block]:
    """Tools for a conversation that holds calls but offers none any more: Anthropic wants each call's tool defined."""
    return [{"name": name, "input_schema": _ANY} for name in names]


class Choice:
    """Which tools are offered, and how the model is to choose among them."""

    __slots__ = ("tools", "value")

    def __init__(self, tools: list[Block]) -> None:
        self.tools = tools
        self.value: dict[str, Any] | None = None
        """``tool_choice``; None leaves it to the model."""

    @property
    def forced(self) -> bool:
        """Whether the model has to call a tool."""
        return self.value is not None and self.value["type"] in ("any", "tool")


def choice_of(body: dict[str, Any], tools: list[Block], traits: Traits, losses: list[Loss]) -> Choice:
    """What ``tool_choice`` and ``parallel_tool_calls`` ask for; the older ``function_call`` likewise."""
    choice = Choice(tools)
    if not tools:
        return choice
    given = body.get("tool_choice")
    if given is None:
        given = body.get("function_call")
    if isinstance(given, str):
        choice.value = {"required": {"type": "any"}, "none": {"type": "none"}}.get(given)
    elif isinstance(given, dict):
        _choose(choice, given, losses)
    if choice.forced and not traits.forced:
        _let_choose(choice, losses)
    if body.get("parallel_tool_calls") is False and (choice.value is None or choice.value["type"] != "none"):
        choice.value = {**(choice.value or {"type": "auto"}), "disable_parallel_tool_use": True}
    return choice


def _choose(choice: Choice, given: dict[str, Any], losses: list[Loss]) -> None:
    allowed = given.get("allowed_tools")
    if given.get("type") != "allowed_tools" or not isinstance(allowed, dict):
        name = name_of(given) or given.get("name")
        choice.value = {"type": "tool", "name": name} if name else None
        return
    names = {name_of(tool) or tool.get("name") for tool in allowed.get("tools") or () if isinstance(tool, dict)}
    choice.tools = [tool for tool in choice.tools if tool.get("name") in names]
    losses.append(Loss("tool_choice", "emulated", "only the allowed tools are offered"))
    if allowed.get("mode") == "required" and choice.tools:
        choice.value = {"type": "any"}


def _let_choose(choice: Choice, losses: list[Loss]) -> None:
    """For a model that cannot be forced: what it is to call is all that it is offered."""
    losses.append(Loss("tool_choice", "changed", "the model chooses by itself; it cannot be forced"))
    if choice.value is not None and choice.value["type"] == "tool":
        choice.tools = [tool for tool in choice.tools if tool.get("name") == choice.value["name"]]
    choice.value = None
