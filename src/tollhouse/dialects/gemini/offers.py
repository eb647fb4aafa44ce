"""The tools of a Gemini request, which of them may be called, and its schemas, in the inner form. Used by `read`.

``functionDeclarations`` are offered to any model. What Google runs itself (a search, code execution) has no counterpart
and is lost where the call is not passed through. A schema in Google's own dialect (a subset of OpenAPI 3.0, types in
upper case, ``nullable``) becomes JSON Schema: https://ai.google.dev/api/caching#Schema. Agents send the same tools with
every request of a conversation: what they come to is remembered by their bytes.
"""

from functools import lru_cache
from typing import Any

import msgspec

from tollhouse.types.calls import Loss

_CLIENTS = frozenset({"functionDeclarations", "computerUse"})
"""What the client runs; Google runs the rest, and charges for most."""
_SPELLED = {
    "any_of": "anyOf",
    "max_items": "maxItems",
    "max_length": "maxLength",
    "max_properties": "maxProperties",
    "min_items": "minItems",
    "min_length": "minLength",
    "min_properties": "minProperties",
    "additional_properties": "additionalProperties",
    "defs": "$defs",
    "ref": "$ref",
}
_NOT_SAID = frozenset({"propertyOrdering", "property_ordering"})
_COUNTS = frozenset({"maxItems", "maxLength", "maxProperties", "minItems", "minLength", "minProperties"})
_OF_GEMINI = ("response", "responseJsonSchema", "behavior")
_ALONE = "known to Gemini alone"
_UNFIT_TYPE = "TYPE_UNSPECIFIED"
_MOST_BYTES = 128 * 1024
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def hosted_tool(tools: list[dict[str, Any]]) -> str | None:
    """The first tool that the host runs, and may charge for."""
    return next((name[:64] for tool in tools for name in tool if name not in _CLIENTS), None)


def read_tools(tools: list[dict[str, Any]], losses: list[Loss]) -> list[dict[str, Any]]:
    """What any model can be offered of them. The tools in the list are shared, and never changed."""
    told = _encode(tools)
    offered, lost = _known(told) if len(told) <= _MOST_BYTES else _read(told)
    losses += lost
    return list(offered)


@lru_cache(maxsize=64)
def _known(told: bytes) -> tuple[tuple[dict[str, Any], ...], tuple[Loss, ...]]:
    return _read(told)


def _read(told: bytes) -> tuple[tuple[dict[str, Any], ...], tuple[Loss, ...]]:
    offered: list[dict[str, Any]] = []
    losses: list[Loss] = []
    for place, tool in enumerate(_decode(told)):
        for name, value in tool.items():
            if name != "functionDeclarations":
                losses.append(Loss(f"tools[{place}].{name}", "dropped", _ALONE))
                continue
            for number, declared in enumerate(value or ()):
                offered.append(_function(declared, f"tools[{place}].functionDeclarations[{number}]", losses))
    return tuple(offered), tuple(losses)


def _function(declared: dict[str, Any], where: str, losses: list[Loss]) -> dict[str, Any]:
    function = {"name": declared["name"]}
    if description := declared.get("description"):
        function["description"] = description
    plain = declared.get("parametersJsonSchema")
    if plain is not None:
        function["parameters"] = plain
    elif (own := declared.get("parameters")) is not None:
        function["parameters"] = json_schema(own)
    losses += [Loss(f"{where}.{name}", "dropped", _ALONE) for name in _OF_GEMINI if declared.get(name)]
    return {"type": "function", "function": function}


def read_calling(config: dict[str, Any], body: dict[str, Any], losses: list[Loss]) -> None:
    """Puts ``toolConfig`` into a body whose ``tools`` are in place."""
    others = [name for name, value in config.items() if name != "functionCallingConfig" and value]
    losses += [Loss(f"toolConfig.{name}", "dropped", _ALONE) for name in others]
    calling = config.get("functionCallingConfig") or {}
    if calling.get("streamFunctionCallArguments"):
        losses.append(Loss("toolConfig.functionCallingConfig.streamFunctionCallArguments", "dropped", "sent whole"))
    mode = (calling.get("mode") or "AUTO").upper()
    if not body.get("tools"):
        if mode == "ANY":
            losses.append(Loss("toolConfig.functionCallingConfig", "dropped", "no tool is left to call"))
        return
    allowed = calling.get("allowedFunctionNames") or []
    if mode == "NONE":
        body["tool_choice"] = "none"
    elif mode == "ANY" and len(allowed) == 1:
        body["tool_choice"] = {"type": "function", "function": {"name": allowed[0]}}
    elif mode == "ANY":
        body["tool_choice"] = "required"
    if mode == "VALIDATED":
        losses.append(Loss("toolConfig.functionCallingConfig.mode", "changed", "sent as AUTO"))
    if allowed and (mode == "VALIDATED" or (mode == "ANY" and len(allowed) > 1)):
        body["tools"] = [tool for tool in body["tools"] if tool["function"]["name"] in allowed]


def json_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Google's schema as JSON Schema. Words that are not Google's stay as they are."""
    made: dict[str, Any] = {}
    for name, value in schema.items():
        word = _SPELLED.get(name, name)
        if value is None or word in _NOT_SAID:
            continue
        if word == "type":
            _put_type(made, value)
        elif word in {"items", "not"} or (word == "additionalProperties" and type(value) is dict):
            made[word] = json_schema(value) if type(value) is dict else value
        elif word in {"properties", "$defs"} and type(value) is dict:
            made[word] = {key: json_schema(inner) if type(inner) is dict else inner for key, inner in value.items()}
        elif word in {"anyOf", "oneOf", "allOf", "prefixItems"} and type(value) is list:
            made[word] = [json_schema(inner) if type(inner) is dict else inner for inner in value]
        elif word in _COUNTS and type(value) is str and value.isascii() and value.isdigit():
            made[word] = int(value)  # an int64, which is a string in Google's JSON
        elif word == "example":
            made["examples"] = [value]
        elif word == "format" and value == "enum":
            continue
        elif word != "nullable":
            made[word] = value
    if schema.get("nullable") is True:
        _allow_null(made)
    return made


def _put_type(made: dict[str, Any], value: Any) -> None:
    if type(value) is str:
        if value != _UNFIT_TYPE:
            made["type"] = value.lower()
    elif type(value) is list:
        made["type"] = [item.lower() if type(item) is str else item for item in value]
    else:
        made["type"] = value


def _allow_null(made: dict[str, Any]) -> None:
    kind = made.get("type")
    if type(kind) is str and kind != "null":
        made["type"] = [kind, "null"]
    elif "anyOf" in made and type(made["anyOf"]) is list:
        made["anyOf"] = [*made["anyOf"], {"type": "null"}]
    if type(made.get("enum")) is list and None not in made["enum"]:
        made["enum"] = [*made["enum"], None]
