"""The tools of a Messages request, and which of them is to be called, in the inner form. Used by `read`.

A tool of Anthropic's own that the client runs is offered to any model, with its schema written out (`schemas`). One
that the host runs (a search, code execution) has no counterpart, and is lost.
"""

from typing import Any

from tollhouse.dialects.anthropic.schemas import is_hosted, known_tool
from tollhouse.types.calls import Loss

_OWN = frozenset({"type", "name", "description", "input_schema", "strict", "cache_control", "eager_input_streaming"})
_DESCRIBED = frozenset({"name", "description", "input_schema"})
_USUAL = 3
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_MEANT = {"input_examples": "dropped", "defer_loading": "changed", "allowed_callers": "changed"}
_DIRECT: tuple[Any, ...] = (None, False, [], ["direct"])
_CLAUDES = "known to Claude alone"
_SCREEN = ("display_width_px", "display_height_px")


def hosted_tool(tools: list[dict[str, Any]]) -> str | None:
    """The type of the first tool that the host runs, and may charge for."""
    for tool in tools:
        word = tool.get("type")
        if word not in (None, "custom") and is_hosted(str(word)):
            return str(word)[:64]
    return None


def read_tools(tools: list[dict[str, Any]], losses: list[Loss]) -> list[dict[str, Any]]:
    """What any model can be offered of them."""
    offered: list[dict[str, Any]] = []
    for place, tool in enumerate(tools):
        if len(tool) == _USUAL and tool.keys() == _DESCRIBED and tool["description"] is not None:
            function = {"name": tool["name"], "parameters": tool["input_schema"], "description": tool["description"]}
            offered.append({"type": "function", "function": function})
            continue
        word = tool.get("type")
        read = _own(tool, place, losses) if word in (None, "custom") else _known(tool, str(word), place, losses)
        if read is None:
            continue
        if tool.get("cache_control") is not None:
            read["cache_control"] = tool["cache_control"]
        offered.append(read)
    return offered


def _own(tool: dict[str, Any], place: int, losses: list[Loss]) -> dict[str, Any]:
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    for name in ("description", "strict"):
        if tool.get(name) is not None:
            function[name] = tool[name]
    if not tool.keys() <= _OWN:
        lost = [name for name in tool if name not in _OWN and tool[name] not in _DIRECT]
        losses += [Loss(f"tools[{place}].{name}", _MEANT.get(name, "dropped"), _CLAUDES) for name in lost]
    return {"type": "function", "function": function}


def _known(tool: dict[str, Any], word: str, place: int, losses: list[Loss]) -> dict[str, Any] | None:
    known = known_tool(word)
    if known is None:
        why = "run by Anthropic's own servers" if is_hosted(word) else _CLAUDES
        losses.append(Loss(f"tools[{place}]", "dropped", why))
        return None
    losses.append(Loss(f"tools[{place}]", "emulated", "offered with its schema"))
    size = [tool[name] for name in _SCREEN if type(tool.get(name)) is int]
    screen = f" The screen has {size[0]} by {size[1]} pixels." if len(size) == len(_SCREEN) else ""
    name = tool.get("name") or known.name
    return {
        "type": "function",
        "function": {"name": name, "description": known.description + screen, "parameters": known.schema},
    }


def read_choice(choice: dict[str, Any], body: dict[str, Any], losses: list[Loss]) -> None:
    """Puts ``tool_choice`` into a body whose ``tools`` are in place."""
    if choice.get("disable_parallel_tool_use") is True and body.get("tools"):
        body["parallel_tool_calls"] = False
    word = _CHOICES.get(choice["type"])
    if not body.get("tools"):
        if choice["type"] in ("any", "tool"):
            losses.append(Loss("tool_choice", "dropped", "no tool is left to call"))
        return
    if word is not None:
        body["tool_choice"] = word
        return
    name = choice["name"]
    if any(tool["function"]["name"] == name for tool in body["tools"]):
        body["tool_choice"] = {"type": "function", "function": {"name": name}}
    else:
        losses.append(Loss("tool_choice", "dropped", "its tool is run by Anthropic's own servers"))
