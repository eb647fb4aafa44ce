"""Forced tool calls for hosts that cannot force them: a call is asked for as JSON with a schema, and read back.

`providers.llamacpp` uses it: `with_schema` makes the request, and one `CallText` for each choice reads the answer as it
arrives. The JSON is ``{"name": ..., "arguments": {...}}``, or ``{"name": ..., "input": "..."}`` for a custom tool.
"""

import re
from json import dumps
from typing import Any

import msgspec

FORCED_RULE = "Call one function. Answer only with a JSON object that has its name and its arguments. The functions:"
"""`tollhouse/tiny` is trained on this sentence (``scripts/tiny/shapes.py``)."""

TOOL_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"(arguments|input)"\s*:\s*')
_INPUT = re.compile(r'\s*("(?:[^"\\]|\\u[0-9a-fA-F]{4}|\\[^u])*)')
_decode = msgspec.json.Decoder().decode


def name_of(tool: dict[str, Any]) -> str:
    """The name of a function or custom tool, or of a choice of one."""
    inner = tool.get(str(tool.get("type")))
    return str(inner.get("name") or "") if isinstance(inner, dict) else ""


def forced_tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools of which the client demands one; empty when the model is free to choose."""
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    if choice == "required":
        return list(tools)
    if not isinstance(choice, dict):
        return []
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        names = {name_of(tool) for tool in allowed.get("tools") or []} if allowed.get("mode") == "required" else set()
    else:
        names = {name_of(choice)}
    return [tool for tool in tools if name_of(tool) in names]


def with_schema(body: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The request in which a call is a JSON answer."""
    several = len(tools) > 1
    schemas = [_call_schema(tool, f"#/anyOf/{place}" if several else "#") for place, tool in enumerate(tools)]
    schema = {"anyOf": schemas} if several else schemas[0]
    told = dumps([tool.get("function") or tool.get("custom") for tool in tools], ensure_ascii=False)
    return {
        **{name: value for name, value in body.items() if name not in TOOL_FIELDS},
        "messages": with_system(body.get("messages") or [], f"{FORCED_RULE}\n{told}"),
        "response_format": {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}},
    }


def _call_schema(tool: dict[str, Any], at: str) -> dict[str, Any]:
    """The schema of one call. References inside its parameters are made to point to where they now are."""
    if tool.get("type") == "custom":
        key, value = "input", {"type": "string"}
    else:
        parameters = (tool.get("function") or {}).get("parameters") or _NO_PARAMETERS
        key, value = "arguments", _moved(parameters, f"{at}/properties/arguments")
    return {
        "type": "object",
        "properties": {"name": {"const": name_of(tool)}, key: value},
        "required": ["name", key],
        "additionalProperties": False,
    }


def _moved(schema: Any, to: str) -> Any:
    if isinstance(schema, list):
        return [_moved(item, to) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, to) for key, value in schema.items()}
    pointer = schema.get("$ref")
    if isinstance(pointer, str) and pointer.startswith("#"):
        moved["$ref"] = to + pointer[1:]
    return moved


def with_system(messages: list[Any], text: str) -> list[Any]:
    """The messages with a text at the end of the first system message: many chat templates allow only one."""
    first = messages[0] if messages else {}
    if first.get("role") not in ("system", "developer"):
        return [{"role": "system", "content": text}, *messages]
    content = first.get("content")
    joined = f"{content}\n\n{text}" if isinstance(content, str) else [*(content or []), {"type": "text", "text": text}]
    return [{**first, "content": joined}, *messages[1:]]


class CallText:
    """The text ``{"name": ..., "arguments": {...}}`` as it arrives, as fragments of one tool call."""

    __slots__ = ("_custom", "_depth", "_ended", "_escaped", "_held", "_kind", "_quoted")

    def __init__(self, custom: frozenset[str]) -> None:
        self._custom = custom
        self._held = ""
        """What came before the name was whole; for a custom tool, its input."""
        self._kind = ""
        self._depth = 0
        self._quoted = self._escaped = self._ended = False

    def feed(self, text: str) -> list[dict[str, Any]]:
        """The fragments that this text completes."""
        fragments: list[dict[str, Any]] = []
        if not self._kind:
            self._held += text
            head = _HEAD.match(self._held)
            if head is None:
                return []
            self._kind = "custom" if head[1] in self._custom else "function"
            value = {"name": head[1], "input" if self._kind == "custom" else "arguments": ""}
            fragments.append({"index": 0, "type": self._kind, self._kind: value})
            text, self._held = self._held[head.end() :], ""
        if self._kind == "custom":
            self._held += text
        elif piece := self._arguments(text):
            fragments.append({"index": 0, "function": {"arguments": piece}})
        return fragments

    def close(self) -> list[dict[str, Any]]:
        """The rest: the input of a custom tool, which is known when its text is whole, or was cut."""
        if self._kind != "custom":
            return []
        begun = _INPUT.match(self._held)
        try:
            value = _decode(f'{begun[1]}"') if begun else ""
        except ValueError:  # half of a surrogate pair was cut off
            value = _decode(f'{begun[1][:-6]}"') if begun else ""
        return [{"index": 0, "custom": {"input": value}}] if value else []

    def _arguments(self, text: str) -> str:
        """As much of the text as belongs to the arguments: the object's end is where its last brace closes."""
        if not self._depth and not self._ended:
            text = text.lstrip()
        for place, character in enumerate(text):
            if self._ended:
                return text[:place]
            if self._quoted:
                self._quoted = self._escaped or character != '"'
                self._escaped = character == "\\" and not self._escaped
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                self._ended = self._depth == 0
        return text


def joined_calls(fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole calls out of fragments."""
    calls: dict[int, dict[str, Any]] = {}
    for fragment in fragments:
        call = calls.setdefault(fragment["index"], {})
        for name, value in fragment.items():
            if isinstance(value, dict):
                inner = call.setdefault(name, {})
                inner |= {
                    key: inner.get(key, "") + text if isinstance(text, str) else text for key, text in value.items()
                }
            elif name != "index":
                call[name] = value
    return [calls[index] for index in sorted(calls)]
