"""What a request in the inner form asks for, read for hosts whose own form is far from OpenAI's.

The encoders of `cohere` and `ollama` call it. Bodies have passed `validate.chat`; what that does not know
(``reasoning``, ``options``, parts of other makers) is of any type here. What cannot be sent at all raises
`UpstreamUnfit`: a request without one of its parts would be another question, and the next target may take it.
"""

from base64 import b64decode
from collections.abc import Container, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Loss

Losses = dict[str, Loss]
"""By parameter: each is told once."""

READ = frozenset({"model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"})
"""Members that every encoder reads."""
_ASKS_NOTHING: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "n": (1,),
        "store": (False,),
        "logprobs": (False,),
        "top_logprobs": (0,),
        "parallel_tool_calls": (True,),
        "service_tier": ("auto", "default"),
        "modalities": (["text"],),
        "verbosity": ("medium",),
        "frequency_penalty": (0,),
        "presence_penalty": (0,),
    }
)
"""Values that say what a host does anyway: nothing is lost without them."""
_INPUT = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
_NO_PARAMETERS = {"type": "object", "properties": {}}
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def lose(losses: Losses, param: str, why: str, how: str = "dropped") -> None:
    """Notes a parameter that is not honoured as it stands; the first word on each counts."""
    losses.setdefault(param, Loss(param, how, why))


def lose_unread(body: Mapping[str, Any], known: Container[str], losses: Losses) -> None:
    """Notes every member that an encoder does not know and that asks for something."""
    for name, value in body.items():
        if name in known or value is None or value in ([], {}) or value in _ASKS_NOTHING.get(name, ()):
            continue
        lose(losses, name, "the host has no such parameter")


def clamp(name: str, value: float, low: float, high: float, losses: Losses) -> float:
    """The nearest value that the host takes."""
    if low <= value <= high:
        return value
    lose(losses, name, f"the host takes {low:g} to {high:g}", "changed")
    return low if value < low else high


def most_tokens(body: Mapping[str, Any], cap: int | None) -> int | None:
    """The longest answer: the cap, else the stricter of the two limits that a client may set; None without any."""
    if cap is not None:
        return cap
    limits = [body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    return min(limits) if limits else None


def stops_of(body: Mapping[str, Any]) -> list[str]:
    """The strings that end the answer."""
    stop = body.get("stop")
    return [stop] if isinstance(stop, str) else list(stop or ())


# --- reasoning ---------------------------------------------------------------------------------------------------


class Thought(Struct, frozen=True):
    """How much a client wants a model to reason. All None: it has said nothing."""

    enabled: bool | None = None
    effort: str | None = None
    """One of OpenAI's words; ``none`` and ``default`` are never here."""
    budget_tokens: int | None = None
    param: str = "reasoning"
    """What said so."""


_SILENT = Thought()


_BUDGETS = ((4096, "low"), (16_384, "medium"))
"""Up to so many tokens of thinking, that effort; ``high`` above."""


def effort_of(budget_tokens: int) -> str:
    """A budget of thinking in OpenAI's words."""
    return next((word for most, word in _BUDGETS if budget_tokens <= most), "high")


def thought_of(body: Mapping[str, Any], losses: Losses) -> Thought:
    """What ``reasoning_effort`` and ``reasoning`` ask for."""
    given, effort = body.get("reasoning"), body.get("reasoning_effort")
    param = "reasoning" if effort is None else "reasoning_effort"
    if not isinstance(given, dict):
        if effort is None:
            return _SILENT
        given = {}
    if given.get("summary") not in (None, "", "auto"):  # thoughts that are told as they are, are told
        lose(losses, "reasoning.summary", "the host tells its thoughts as they are")
    effort = effort or given.get("effort")
    if not isinstance(effort, str) or effort == "default":
        effort = None
    budget = given.get("max_tokens")
    budget = budget if type(budget) is int and budget > 0 else None
    if effort == "none" or given.get("enabled") is False:
        return Thought(False, None, None, param)
    if effort is None and budget is None and given.get("enabled") is not True:
        return _SILENT
    return Thought(True, effort, budget, param)


# --- tools -------------------------------------------------------------------------------------------------------


class Offer(Struct, frozen=True):
    """The tools to tell a host of. ``mode`` is ``auto``, ``none`` or ``required``."""

    tools: list[dict[str, Any]]
    mode: str = "auto"
    narrowed: bool = False
    """The client named the ones that may be called, and the others are left out."""


def offer_of(body: Mapping[str, Any]) -> Offer:
    """What ``tools`` and ``tool_choice`` come to for a host that cannot be told which of its tools to call."""
    tools, choice = body.get("tools") or [], body.get("tool_choice") or "auto"
    if not tools:
        return Offer([])
    if isinstance(choice, str):
        return Offer(tools, choice)
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        names, mode = {_name_of(tool) for tool in allowed.get("tools") or ()}, str(allowed.get("mode") or "auto")
    else:
        names, mode = {_name_of(choice)}, "required"
    kept = [tool for tool in tools if _name_of(tool) in names]
    return Offer(kept, mode, len(kept) < len(tools)) if kept else Offer(tools)


def _name_of(tool: Mapping[str, Any]) -> str:
    """The name of a tool, or of a choice of one; empty for those of a type that has none."""
    inner = tool.get(str(tool.get("type")))
    return str(inner.get("name") or "") if isinstance(inner, dict) else ""


def is_strict(tool: Mapping[str, Any]) -> bool:
    """Whether the arguments of a function are to keep to its schema."""
    return tool.get("type") == "function" and bool(tool["function"].get("strict"))


def functions_of(tools: list[dict[str, Any]], losses: Losses) -> list[dict[str, Any]]:
    """The tools as functions: a custom tool, whose input is free text, as one with a single text."""
    functions: list[dict[str, Any]] = []
    for place, tool in enumerate(tools):
        if "cache_control" in tool:
            lose(losses, "cache_control", "the host caches by itself")
        kind = tool.get("type")
        if kind == "function":
            functions.append(_function(tool["function"], tool["function"].get("parameters") or _NO_PARAMETERS))
        elif kind == "custom":
            lose(losses, f"tools[{place}]", "asked for as a function with one text", "emulated")
            functions.append(_function(tool["custom"], _INPUT))
            if (tool["custom"].get("format") or {}).get("type") == "grammar":
                lose(losses, f"tools[{place}].custom.format", "the host has no grammars")
        else:
            lose(losses, f"tools[{place}]", "the host does not run tools itself")
    return functions


def _function(named: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    told = {"description": named["description"]} if named.get("description") else {}
    return {"type": "function", "function": {"name": named["name"], **told, "parameters": parameters}}


def custom_names(body: Mapping[str, Any]) -> frozenset[str]:
    """The names of the custom tools of a request."""
    return frozenset([_name_of(tool) for tool in body.get("tools") or () if tool.get("type") == "custom"])


def custom_input(arguments: str) -> str:
    """The free text in the arguments of the function that stands for a custom tool."""
    try:
        value = _decode(arguments)
    except (ValueError, RecursionError):
        return arguments
    text = value.get("input") if isinstance(value, dict) else None
    return text if isinstance(text, str) else arguments


def called_of(call: dict[str, Any]) -> tuple[str, str]:
    """The name and the arguments, as JSON text, of a call in the history. ("", "") for a type that has neither."""
    if call.get("type") == "custom":
        return call["custom"]["name"], _encode({"input": call["custom"]["input"]}).decode()
    function = call.get("function")
    if not isinstance(function, dict):
        return "", ""
    return str(function.get("name") or ""), str(function.get("arguments") or "{}")


# --- messages ----------------------------------------------------------------------------------------------------


def note_message(message: Mapping[str, Any], where: str, losses: Losses) -> None:
    """Notes the members of a message that hosts without OpenAI's form do not have."""
    if message.get("name") and message.get("role") not in ("tool", "function"):
        lose(losses, f"{where}.name", "the host does not tell speakers apart")
    if message.get("audio"):
        lose(losses, f"{where}.audio", "the host has not heard this answer")


def text_of_part(part: Mapping[str, Any], where: str, losses: Losses) -> str | None:
    """The text of a content part; None for an image. Raises `UpstreamUnfit` for what is neither."""
    if "cache_control" in part:
        lose(losses, "cache_control", "the host caches by itself")
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return str(part[kind])
    if kind == "image_url":
        return None
    if kind == "file" and (text := _file_text(part["file"])) is not None:
        lose(losses, where, "told as text", "emulated")
        return text
    raise UpstreamUnfit("The host takes no content of this kind.", param=where)


def plain_text(content: object, where: str, losses: Losses) -> str:
    """The content of a message that holds nothing but text. Raises `UpstreamUnfit`."""
    if isinstance(content, str):
        return content
    texts: list[str] = []
    for place, part in enumerate(content if isinstance(content, list) else ()):
        text = text_of_part(part, f"{where}[{place}]", losses)
        if text is None:
            raise UpstreamUnfit("The host takes images only from users.", param=f"{where}[{place}]")
        texts.append(text)
    return "\n".join(texts)


def _file_text(file: Mapping[str, Any]) -> str | None:
    """A text file as text, under its name; None for any other."""
    data = file.get("file_data")
    if not isinstance(data, str) or not data.startswith("data:text/"):
        return None
    head, comma, body = data.partition(",")
    try:
        raw = b64decode(body, validate=True) if head.endswith(";base64") else unquote_to_bytes(body)
        text = raw.decode()
    except ValueError:  # of the base64, or of the UTF-8
        return None
    name = file.get("filename")
    return f"{name}\n{text}" if isinstance(name, str) and name and comma else text
