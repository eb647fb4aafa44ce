"""The inner form of a request as the body of Ollama's ``POST /api/chat``.

`providers.ollama` calls `encode`; `forces` tells its reader how a forced call was asked for.

Theory of operation
-------------------
Ollama passes over whatever it does not know, so all that it has no member for is a `Loss` here. Three things it does
that a client would not expect are turned off or worked around:

- *Its context is short and it says nothing.* A prompt over ``num_ctx`` loses its beginning, and an answer that reaches
  it goes on without. ``truncate`` and ``shift`` are therefore false unless the client sets them: the prompt is refused
  as too long, the answer ends with ``length``. ``options.num_ctx`` makes room; where the operator states the model's
  ``context_tokens``, that is asked for, and is the most that a client gets.
- *It cannot be made to call a tool.* A forced call is asked for as JSON whose schema the engine enforces
  (`dialects.forced`). Models that Ollama only passes on to its cloud enforce none, nor does any where the host's quirk
  ``schema`` is ``none``: there the tools are offered, and that is a loss.
- *A schema holds for calls too.* With tools to choose from, a format would keep the model from calling any.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tollhouse.dialects.forced import with_schema
from tollhouse.dialects.wishes import (
    READ,
    Losses,
    called_of,
    functions_of,
    is_strict,
    lose,
    lose_unread,
    most_tokens,
    note_message,
    offer_of,
    stops_of,
    text_of_part,
    thought_of,
)
from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Loss, Target

OWN = ("keep_alive", "truncate", "shift")
"""Ollama's members that no other dialect has, beside ``options`` and ``think``."""
_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed", "frequency_penalty", "presence_penalty")
"""Members of ours that are options of Ollama's under the same name."""
_OPTIONS = frozenset(
    {
        *_SAMPLING,
        *("num_ctx", "num_keep", "num_predict", "stop", "typical_p", "repeat_last_n", "repeat_penalty"),
        *("mirostat", "mirostat_tau", "mirostat_eta", "penalize_newline", "tfs_z"),
    }
)
"""The options that concern one answer; the others (``num_gpu``, ``use_mmap``) are about the operator's machine."""
_KNOWN = READ.union(
    OWN,
    _SAMPLING,
    ("options", "think", "num_ctx", "stop", "tools", "tool_choice", "response_format", "parallel_tool_calls"),
    ("reasoning", "reasoning_effort", "logprobs", "top_logprobs"),
)
_LEVELS: Mapping[str, str] = MappingProxyType(
    {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
)
_LEVELED = "gpt-oss"
"""The family whose ``think`` is a level; it cannot be turned off (https://docs.ollama.com/capabilities/thinking)."""
_CLOUD = ("-cloud", ":cloud")
_decode = msgspec.json.Decoder().decode


def encode(
    body: Mapping[str, Any], target: Target, cap: int | None, *, stream: bool
) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """The request's JSON, and what of it is not honoured. Raises `UpstreamUnfit`."""
    losses: Losses = {}
    if forces(body, target):
        lose(losses, "tool_choice", "asked for as JSON with a schema", "emulated")
        body = with_schema(dict(body), offer_of(body).tools)
    sent: dict[str, Any] = {"model": target.model, "messages": _messages(body, losses), "stream": stream}
    _put_tools(sent, body, losses)
    _put_format(sent, body, target, losses)
    _put_thinking(sent, body, target, losses)
    options = _options(body, target, cap, losses)
    if options:
        sent["options"] = options
    sent["truncate"] = sent["shift"] = False
    for name in OWN:
        if body.get(name) is not None:
            sent[name] = body[name]
    if body.get("logprobs"):
        sent["logprobs"] = True
        if body.get("top_logprobs"):
            sent["top_logprobs"] = body["top_logprobs"]
    if not body.keys() <= _KNOWN:
        lose_unread(body, _KNOWN, losses)
    return sent, tuple(losses.values())


def forces(body: Mapping[str, Any], target: Target) -> bool:
    """Whether a call is asked for as JSON with a schema."""
    if body.get("tool_choice") in (None, "auto", "none") or not _enforces(target):
        return False
    offer = offer_of(body)
    return offer.mode == "required" and all(tool.get("type") in ("function", "custom") for tool in offer.tools)


def _enforces(target: Target) -> bool:
    """Whether the engine keeps answers to a schema (https://docs.ollama.com/capabilities/structured-outputs)."""
    return target.host.quirks.schema == "schema" and not target.model.endswith(_CLOUD)


# --- parameters --------------------------------------------------------------------------------------------------


def _options(body: Mapping[str, Any], target: Target, cap: int | None, losses: Losses) -> dict[str, Any]:
    """Ollama's options: the client's own, then what it says in OpenAI's words."""
    given = body.get("options")
    options: dict[str, Any] = {}
    for name, value in given.items() if isinstance(given, dict) else ():
        if name in _OPTIONS:
            options[name] = value
        else:
            lose(losses, f"options.{name}", "it is about the host, not about the answer")
    for name in _SAMPLING:
        if body.get(name) is not None:
            options[name] = body[name]
    if stops := stops_of(body):
        options["stop"] = stops
    if (limit := most_tokens(body, cap)) is not None:
        options["num_predict"] = limit
    _put_context(options, body.get("num_ctx"), target, losses)
    return options


def _put_context(options: dict[str, Any], asked: object, target: Target, losses: Losses) -> None:
    """How many tokens the model is loaded for. The cloud decides by itself."""
    if asked is not None:
        options["num_ctx"] = asked
    stated = target.facts.context_tokens if target.facts is not None and _enforces(target) else None
    if stated is None:
        return
    asked = options.get("num_ctx")
    if type(asked) is int and asked > stated:
        lose(losses, "options.num_ctx", f"the model has {stated} here", "changed")
    options["num_ctx"] = min(asked, stated) if type(asked) is int else stated


def _put_tools(sent: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    if not body.get("tools"):
        return
    offer = offer_of(body)
    if offer.mode == "required":
        lose(losses, "tool_choice", "the model is free not to call")
    elif offer.narrowed:
        lose(losses, "tool_choice", "the other tools are not offered", "emulated")
    if body.get("parallel_tool_calls") is False:
        lose(losses, "parallel_tool_calls", "the host cannot be told to call one at a time")
    for place, tool in enumerate(offer.tools):
        if is_strict(tool):
            lose(losses, f"tools[{place}].function.strict", "the host does not enforce it")
    if offer.mode != "none" and (functions := functions_of(offer.tools, losses)):
        sent["tools"] = functions


def _put_format(sent: dict[str, Any], body: Mapping[str, Any], target: Target, losses: Losses) -> None:
    given = body.get("response_format") or {}
    kind = given.get("type")
    if kind not in ("json_object", "json_schema"):
        return
    if "tools" in sent:
        lose(losses, "response_format", "the host would apply it to tool calls too")
    elif not _enforces(target):
        lose(losses, "response_format", "the host does not enforce it")
    else:
        sent["format"] = (given.get("json_schema") or {}).get("schema") or "json"


def _put_thinking(sent: dict[str, Any], body: Mapping[str, Any], target: Target, losses: Losses) -> None:
    """``think`` is a level for one family of models and yes or no for the others, which refuse levels."""
    if body.get("think") is not None:
        sent["think"] = body["think"]
        return
    thought = thought_of(body, losses)
    if thought.enabled is None:
        return
    if thought.budget_tokens is not None:
        lose(losses, "reasoning.max_tokens", "the host has no budget for thoughts")
    leveled = _LEVELED in target.model
    if not leveled:
        sent["think"] = thought.enabled and thought.effort != "minimal"
        if thought.effort is not None:
            lose(losses, thought.param, "the model thinks or does not", "changed")
    else:
        level = _LEVELS.get(thought.effort or "medium", "medium") if thought.enabled else "low"
        sent["think"] = level
        if level != (thought.effort or "medium") or not thought.enabled:
            lose(losses, thought.param, f"the nearest level is {level}", "changed")


# --- messages ----------------------------------------------------------------------------------------------------


def _messages(body: Mapping[str, Any], losses: Losses) -> list[dict[str, Any]]:
    """The messages. Results of tools are told by the tool's name, which the call that they answer has."""
    sent: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for place, message in enumerate(body["messages"]):
        where = f"messages[{place}]"
        role = message["role"]
        if role == "function":
            raise UpstreamUnfit("The host knows no such role.", param=f"{where}.role")
        one: dict[str, Any] = {"role": "system" if role == "developer" else role}
        _put_content(one, message.get("content"), f"{where}.content", losses)
        if role == "assistant":
            _put_turn(one, message, where, names, losses)
        elif role == "tool":
            _put_result(one, message, where, names, losses)
        if len(message) > 2:
            note_message(message, where, losses)
        sent.append(one)
    return sent


def _put_content(one: dict[str, Any], content: object, where: str, losses: Losses) -> None:
    """Texts joined by lines, and images beside them."""
    if isinstance(content, str):
        one["content"] = content
        return
    texts: list[str] = []
    images: list[str] = []
    for place, part in enumerate(content if isinstance(content, list) else ()):
        text = text_of_part(part, f"{where}[{place}]", losses)
        if text is not None:
            texts.append(text)
        else:
            images.append(_image(part["image_url"], f"{where}[{place}]", losses))
    one["content"] = "\n".join(texts)
    if images:
        one["images"] = images


def _image(image: Mapping[str, Any], where: str, losses: Losses) -> str:
    """The base64 of a data URL. Raises `UpstreamUnfit` for any other: Ollama fetches nothing."""
    head, comma, data = image["url"].partition(",")
    if not comma or not head.startswith("data:") or not head.endswith(";base64"):
        raise UpstreamUnfit("The host takes images as base64 data alone, and fetches none.", param=where)
    if image.get("detail") in ("low", "high"):
        lose(losses, f"{where}.image_url.detail", "the host sees images in one size")
    return str(data)


def _put_turn(
    one: dict[str, Any], message: Mapping[str, Any], where: str, names: dict[str, str], losses: Losses
) -> None:
    """What the model said before: thoughts, and calls whose arguments are objects here."""
    if isinstance(thought := message.get("reasoning_content"), str) and thought:
        one["thinking"] = thought
    if not one["content"] and message.get("refusal"):
        one["content"] = message["refusal"]
    calls: list[dict[str, Any]] = []
    for place, call in enumerate(message.get("tool_calls") or ()):
        name, arguments = called_of(call)
        if not name:
            continue
        names[call["id"]] = name
        try:
            value = _decode(arguments)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            lose(losses, f"{where}.tool_calls[{place}]", "its arguments are not an object", "changed")
            value = {"arguments": arguments}
        calls.append({"id": call["id"], "function": {"name": name, "arguments": value}})
    if calls:
        one["tool_calls"] = calls


def _put_result(
    one: dict[str, Any], message: Mapping[str, Any], where: str, names: dict[str, str], losses: Losses
) -> None:
    one["tool_call_id"] = message["tool_call_id"]
    if name := message.get("name") or names.get(message["tool_call_id"]):
        one["tool_name"] = name
    if message.get("is_error"):
        lose(losses, f"{where}.is_error", "told in the result", "emulated")
        one["content"] = f"Error: {one['content']}"
