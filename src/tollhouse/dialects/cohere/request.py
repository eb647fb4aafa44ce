"""The inner form of a request as the body of Cohere's ``POST /v2/chat``.

`providers.cohere` calls `encode`. Cohere refuses members that it does not know, so only what it documents is sent; all
else that asks for something is a `Loss`. Its own members (`OWN`) pass as they are where a client sends them.

https://docs.cohere.com/reference/chat holds the limits below.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.dialects.wishes import (
    READ,
    Losses,
    called_of,
    clamp,
    functions_of,
    is_strict,
    lose,
    lose_unread,
    most_tokens,
    note_message,
    offer_of,
    plain_text,
    stops_of,
    text_of_part,
    thought_of,
)
from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Loss, Target

OWN = ("documents", "citation_options", "safety_mode", "strict_tools", "thinking", "priority")
"""Cohere's members that no other dialect has."""
_NUMBERS: tuple[tuple[str, str, float, float], ...] = (
    ("temperature", "temperature", 0, 1),
    ("top_p", "p", 0.01, 0.99),
    ("top_k", "k", 0, 500),
    ("frequency_penalty", "frequency_penalty", 0, 1),
    ("presence_penalty", "presence_penalty", 0, 1),
)
"""Ours, Cohere's, and its range."""
_KNOWN = READ.union(
    [name for name, *_ in _NUMBERS],
    OWN,
    ("stop", "seed", "tools", "tool_choice", "response_format", "reasoning", "reasoning_effort", "logprobs"),
)
_MOST_STOPS = 5
_MOST_SEED = 2**63 - 1
_BUDGET_TOKENS: Mapping[str, int] = MappingProxyType({"minimal": 512, "low": 2048, "medium": 8192})
"""For OpenAI's words; with more effort than these a model may think for as long as it likes."""
_CHOICES = MappingProxyType({"none": "NONE", "required": "REQUIRED"})


def encode(
    body: Mapping[str, Any], target: Target, cap: int | None, *, stream: bool
) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """The request's JSON, and what of it is not honoured. Raises `UpstreamUnfit`."""
    losses: Losses = {}
    sent: dict[str, Any] = {"model": target.model, "messages": _messages(body, target, losses), "stream": stream}
    limit = most_tokens(body, cap)
    if limit is not None:
        sent["max_tokens"] = limit
    _put_sampling(sent, body, losses)
    if body.get("tools"):
        _put_tools(sent, body, losses)
    _put_format(sent, body, losses)
    _put_thinking(sent, body, target, limit, losses)
    for name in OWN:
        if body.get(name) is not None:
            sent[name] = body[name]
    if not body.keys() <= _KNOWN:
        lose_unread(body, _KNOWN, losses)
    return sent, tuple(losses.values())


# --- parameters --------------------------------------------------------------------------------------------------


def _put_sampling(sent: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    for ours, theirs, low, high in _NUMBERS:
        value = body.get(ours)
        if isinstance(value, int | float) and value is not True and value is not False:
            sent[theirs] = clamp(ours, value, low, high, losses)
        elif value is not None:
            lose(losses, ours, "it is not a number")
    seed = body.get("seed")
    if seed is not None:
        if seed < 0:
            lose(losses, "seed", "the host takes none below 0", "changed")
        sent["seed"] = seed & _MOST_SEED
    stops = stops_of(body)
    if len(stops) > _MOST_STOPS:
        lose(losses, "stop", f"the host takes {_MOST_STOPS}", "changed")
    if stops:
        sent["stop_sequences"] = stops[:_MOST_STOPS]
    if body.get("logprobs"):
        sent["logprobs"] = True


def _put_tools(sent: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    """Tools, and which of them are to be called. A named one is forced by offering no other."""
    offer = offer_of(body)
    functions = functions_of(offer.tools, losses)
    if not functions:
        return
    sent["tools"] = functions
    if offer.mode in _CHOICES:
        sent["tool_choice"] = _CHOICES[offer.mode]
    if offer.narrowed:
        lose(losses, "tool_choice", "the other tools are not offered", "emulated")
    strict = [is_strict(tool) for tool in offer.tools]
    if any(strict):
        if all(strict) and all(tool["function"]["parameters"].get("required") for tool in functions):
            sent["strict_tools"] = True
        else:  # https://docs.cohere.com/docs/structured-outputs: for all tools, and each must require a parameter
            lose(losses, f"tools[{strict.index(True)}].function.strict", "the host is strict with all tools or none")


def _put_format(sent: dict[str, Any], body: Mapping[str, Any], losses: Losses) -> None:
    """https://docs.cohere.com/reference/chat: "not supported when used in combinations with the documents or tools"."""
    given = body.get("response_format") or {}
    kind = given.get("type")
    if kind not in ("json_object", "json_schema"):
        return
    if "tools" in sent or body.get("documents"):
        lose(losses, "response_format", "the host takes none together with tools or documents")
        return
    schema = (given.get("json_schema") or {}).get("schema")
    sent["response_format"] = {"type": "json_object"} | ({"json_schema": schema} if schema else {})


def _put_thinking(
    sent: dict[str, Any], body: Mapping[str, Any], target: Target, limit: int | None, losses: Losses
) -> None:
    """https://docs.cohere.com/docs/reasoning: models that reason do so unless told not to, up to a budget."""
    thought = thought_of(body, losses)
    if thought.enabled is None or body.get("thinking") is not None:
        return
    if target.facts is not None and not target.facts.reasoning:
        if thought.enabled:
            lose(losses, thought.param, "the model does not reason")
        return
    if not thought.enabled:
        sent["thinking"] = {"type": "disabled"}
        return
    budget = thought.budget_tokens
    if thought.effort is not None:
        lose(losses, thought.param, "as a budget of tokens", "emulated")
        budget = budget or _BUDGET_TOKENS.get(thought.effort)
    if budget is not None and limit is not None and budget >= limit:
        budget = max(1, limit // 2)  # thoughts count towards max_tokens, and an answer must follow them
        lose(losses, thought.param, "an answer must fit into the limit too", "changed")
    sent["thinking"] = {"type": "enabled"} | ({"token_budget": budget} if budget else {})


# --- messages ----------------------------------------------------------------------------------------------------


def _messages(body: Mapping[str, Any], target: Target, losses: Losses) -> list[dict[str, Any]]:
    thinks = target.facts is not None and target.facts.reasoning
    sent: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    for place, message in enumerate(body["messages"]):
        role = message["role"]
        where = f"messages[{place}]"
        if shown and role != "tool":
            sent.append({"role": "user", "content": shown})
            shown = []
        if role == "tool":
            sent.append(_tool(message, where, losses, shown))
        elif role == "assistant":
            sent.append(_assistant(message, where, losses, thinks=thinks))
        elif role in _ROLES:
            sent.append(_ROLES[role](message, where, losses))
        else:
            raise UpstreamUnfit("The host knows no such role.", param=f"{where}.role")
        if len(message) > 2:
            note_message(message, where, losses)
    return [*sent, {"role": "user", "content": shown}] if shown else sent


def _system(message: Mapping[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    return {"role": "system", "content": plain_text(message["content"], f"{where}.content", losses)}


def _user(message: Mapping[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    content = message["content"]
    if isinstance(content, str):
        return {"role": "user", "content": content}
    return {"role": "user", "content": [_part(part, f"{where}.content[{n}]", losses) for n, part in enumerate(content)]}


def _part(part: Mapping[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    """https://docs.cohere.com/docs/image-inputs: an ``https`` or ``data`` URL, with OpenAI's ``detail``."""
    text = text_of_part(part, where, losses)
    if text is not None:
        return {"type": "text", "text": text}
    image = part["image_url"]
    return {"type": "image_url", "image_url": {name: image[name] for name in ("url", "detail") if image.get(name)}}


def _assistant(message: Mapping[str, Any], where: str, losses: Losses, *, thinks: bool) -> dict[str, Any]:
    """What was thought before tools were called is Cohere's ``tool_plan``; a model that reasons gets its thoughts."""
    sent: dict[str, Any] = {"role": "assistant"}
    said = plain_text(message.get("content"), f"{where}.content", losses) or str(message.get("refusal") or "")
    calls = [
        {"id": call["id"], "type": "function", "function": {"name": name, "arguments": arguments}}
        for call in message.get("tool_calls") or ()
        for name, arguments in [called_of(call)]
        if name
    ]
    thought = message.get("reasoning_content")
    thought = thought if isinstance(thought, str) else ""
    if thought and thinks:
        sent["content"] = [{"type": "thinking", "thinking": thought}] + (
            [{"type": "text", "text": said}] if said else []
        )
    elif said or not calls:
        sent["content"] = said
    if calls:
        sent["tool_calls"] = calls
        if thought and not thinks:
            sent["tool_plan"] = thought
    return sent


def _tool(message: Mapping[str, Any], where: str, losses: Losses, shown: list[dict[str, Any]]) -> dict[str, Any]:
    """A result. Cohere cites tools by what they gave, as text or as documents; images of a tool are put into ``shown``,
    for the user to show.
    """
    content = message["content"]
    if isinstance(content, list) and (images := [part for part in content if part.get("type") == "image_url"]):
        lose(losses, "messages", "images of a tool are shown by the user", "emulated")
        shown += [_part(image, where, losses) for image in images]
        content = [part for part in content if part.get("type") != "image_url"]
    if message.get("is_error"):
        lose(losses, f"{where}.is_error", "told in the result", "emulated")
        failed = {"error": plain_text(content, f"{where}.content", losses)}
        content = [{"type": "document", "document": {"data": failed}}]
    elif not isinstance(content, str):
        content = [_result(part, f"{where}.content[{n}]", losses) for n, part in enumerate(content)] or ""
    return {"role": "tool", "tool_call_id": message["tool_call_id"], "content": content}


def _result(part: Mapping[str, Any], where: str, losses: Losses) -> dict[str, Any]:
    if part.get("type") == "document" and isinstance(part.get("document"), dict):
        return {"type": "document", "document": part["document"]}
    return {"type": "text", "text": plain_text([part], where, losses)}


_ROLES: Mapping[str, Callable[[Mapping[str, Any], str, Losses], dict[str, Any]]] = MappingProxyType(
    {"system": _system, "developer": _system, "user": _user}
)
