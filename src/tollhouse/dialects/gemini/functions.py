"""The tools of a request as Gemini's ``tools`` and ``toolConfig``. Called by `encode`.

Agents send the same tools with every request of a conversation: what they come to is remembered by their bytes.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.dialects.forced import name_of
from tollhouse.dialects.gemini.models import Model
from tollhouse.dialects.gemini.schema import clean_schema
from tollhouse.dialects.wishes import Losses, lose
from tollhouse.types.calls import Loss

CUSTOM_INPUT = "input"
_INPUT = {"type": "object", "properties": {CUSTOM_INPUT: {"type": "string"}}, "required": [CUSTOM_INPUT]}
_HOSTED: Mapping[str, str] = {
    "google_search": "googleSearch",
    "google_maps": "googleMaps",
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "code_execution": "codeExecution",
    "code_interpreter": "codeExecution",
    "url_context": "urlContext",
}
"""Types of tools that Google runs (https://ai.google.dev/gemini-api/docs/tools), by the names that clients have."""
_MOST_BYTES = 128 * 1024
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Offered(Struct, frozen=True):
    """The tools of a request."""

    tools: tuple[msgspec.Raw, ...] = ()
    losses: tuple[Loss, ...] = ()
    strict: bool = False
    """One of them asks that its arguments follow its schema."""


def offered(body: Mapping[str, Any]) -> Offered:
    """The tools of a request, in either form that OpenAI has had for them."""
    tools = body.get("tools")
    if not tools and (functions := body.get("functions")):
        tools = [{"type": "function", "function": function} for function in functions]
    if not tools:
        return Offered()
    told = _encode(tools)
    return _known(told) if len(told) <= _MOST_BYTES else _read(told)


@lru_cache(maxsize=64)
def _known(told: bytes) -> Offered:
    return _read(told)


def _read(told: bytes) -> Offered:
    losses: Losses = {}
    functions: list[dict[str, Any]] = []
    hosted: dict[str, Any] = {}
    strict = False
    for place, tool in enumerate(_decode(told)):
        where, kind = f"tools[{place}]", tool.get("type")
        if "cache_control" in tool:
            lose(losses, "cache_control", "the host caches by itself", "emulated")
        if kind == "function":
            functions.append(_function(tool["function"], where, losses))
            strict = strict or tool["function"].get("strict") is True
        elif kind == "custom":
            functions.append(_custom(tool["custom"], where, losses))
        elif kind in _HOSTED:
            hosted[_HOSTED[kind]] = {}
            if len(tool) > 1:
                lose(losses, where, "Google's tool has no such options", "changed")
        else:
            lose(losses, where, "the host has no such tool")
    made = [{"functionDeclarations": functions}] if functions else []
    made += [{name: value} for name, value in hosted.items()]
    return Offered(tuple([msgspec.Raw(_encode(one)) for one in made]), tuple(losses.values()), strict)


def _function(function: dict[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    """One declaration. A function without parameters has no schema at all: an empty object is a 400 for some models."""
    declared: dict[str, Any] = {"name": function["name"]}
    if description := function.get("description"):
        declared["description"] = description
    parameters = function.get("parameters")
    if isinstance(parameters, dict) and (parameters.get("properties") or parameters.keys() - _BARE):
        declared["parametersJsonSchema"] = clean_schema(parameters, f"{where}.function.parameters", losses)
    return declared


_BARE = frozenset({"type", "properties", "required", "additionalProperties", "$schema", "title", "description"})
"""What a schema of no parameters may hold."""


def _custom(custom: dict[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    """A tool whose input is free text, as a function with a single text."""
    lose(losses, where, "asked for as a function with one text", "emulated")
    if (custom.get("format") or {}).get("type") == "grammar":
        lose(losses, f"{where}.custom.format", "the host has no grammars")
    return {
        "name": custom["name"],
        "description": custom.get("description") or "",
        "parametersJsonSchema": _INPUT,
    }


def calling_config(body: Mapping[str, Any], model: Model, losses: Losses, *, strict: bool) -> dict[str, Any] | None:
    """The ``functionCallingConfig`` (https://ai.google.dev/api/caching#FunctionCallingConfig); None where it is auto.

    Names may be given with the modes ``ANY`` and ``VALIDATED`` alone; the latter leaves the model free to answer.
    """
    choice = body.get("tool_choice") or body.get("function_call") or "auto"
    if isinstance(choice, str):
        if choice != "auto":
            return {"mode": {"none": "NONE", "required": "ANY"}.get(choice, "AUTO")}
        if strict and not model.validates:
            lose(losses, "tools.function.strict", "the model has no such mode")
        return {"mode": "VALIDATED"} if strict and model.validates else None
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        names = [name_of(tool) for tool in allowed.get("tools") or ()]
        if allowed.get("mode") == "required":
            return {"mode": "ANY", "allowedFunctionNames": names}
        if model.validates:
            return {"mode": "VALIDATED", "allowedFunctionNames": names}
        lose(losses, "tool_choice", "the model is offered every tool", "changed")
        return None
    name = choice.get("name") or name_of(choice)
    if not name:
        lose(losses, "tool_choice", "the host cannot be told to run its own tools")
        return None
    return {"mode": "ANY", "allowedFunctionNames": [name]}
