"""The inner form as OpenAI's own chat completion, without the extensions that its hosts do not know. Pure.

`providers.openai` asks for it where the client speaks another dialect: what an OpenAI client sends reaches a host as it
is, for it knows its host; a client of another dialect knows nothing of the host's, and one unknown member is a 400 at
OpenAI. ``Quirks.extensions`` names what a host takes all the same. What is left out of the past (markers for a cache,
thoughts of other models) asks for nothing that the answer would lack, so that it is no loss.
"""

from typing import Any

from tollhouse.dialects.usage import sane
from tollhouse.dialects.wishes import effort_of
from tollhouse.types.calls import Loss, ModelFacts

Losses = list[Loss]
_MAX_STOPS = 4
_THOUGHTS = ("reasoning_details", "reasoning_content")
_EFFORTS = {"max": "high", "xhigh": "high"}


def make_plain(body: dict[str, Any], kept: tuple[str, ...], facts: ModelFacts | None) -> tuple[Loss, ...]:
    """Makes a shallow copy of a request plain, in place; what is lost by it."""
    losses: Losses = []
    if "reasoning" not in kept:
        _fit_reasoning(body, facts, losses)
    if body.get("top_k") is not None and "top_k" not in kept:
        del body["top_k"]
        losses.append(Loss("top_k", "dropped", "the host has none"))
    stops = body.get("stop")
    if type(stops) is list and len(stops) > _MAX_STOPS:
        body["stop"] = stops[:_MAX_STOPS]
        losses.append(Loss("stop", "changed", f"the host takes {_MAX_STOPS}"))
    if "cache_control" not in kept and body.get("tools"):
        body["tools"] = [_unmarked(tool) if "cache_control" in tool else tool for tool in body["tools"]]
    body["messages"] = _messages(body["messages"], kept, losses)
    return tuple(losses)


def _fit_reasoning(body: dict[str, Any], facts: ModelFacts | None, losses: Losses) -> None:
    """``reasoning`` as ``reasoning_effort``, for models that reason; any other refuses it."""
    wanted = body.pop("reasoning", None) or {}
    effort = body.pop("reasoning_effort", None) or wanted.get("effort")
    budget = sane(wanted.get("max_tokens"))
    if wanted.get("enabled") is False:
        losses.append(Loss("reasoning", "dropped", "the model decides"))
        return
    if effort is None and budget is not None:
        effort = effort_of(budget)
        losses.append(Loss("reasoning.max_tokens", "changed", "told as an effort"))
    if effort is None:
        return
    if facts is not None and not facts.reasoning:
        losses.append(Loss("reasoning_effort", "dropped", "the model does not reason"))
        return
    if effort in _EFFORTS:
        losses.append(Loss("reasoning_effort", "changed", "the host's highest is sent"))
    body["reasoning_effort"] = _EFFORTS.get(effort, effort)


def _messages(messages: list[dict[str, Any]], kept: tuple[str, ...], losses: Losses) -> list[dict[str, Any]]:
    """The messages; images that a tool gave follow the results, as if the user had shown them."""
    gone = tuple([name for name in _THOUGHTS if name not in kept])
    plain: list[dict[str, Any]] = []
    shown: list[dict[str, Any]] = []
    failed = False
    for message in messages:
        if shown and message.get("role") != "tool":
            plain.append({"role": "user", "content": shown})
            shown = []
        if _is_plain(message):
            plain.append(message)
            continue
        failed = failed or bool(message.get("is_error"))
        plain.append(_message(message, gone, kept, shown))
    if shown:
        plain.append({"role": "user", "content": shown})
    if failed:
        losses.append(Loss("is_error", "emulated", "told as text"))
    if len(plain) > len(messages):
        losses.append(Loss("messages", "emulated", "images of a tool are shown by the user"))
    return plain


def _is_plain(message: dict[str, Any]) -> bool:
    """Whether a message is as OpenAI's own hosts take it: most are, and cost no more than this."""
    if not _EXTENDED.isdisjoint(message) or type(message.get("content")) is list:
        return False
    calls = message.get("tool_calls")
    return not calls or not any("extra_content" in call for call in calls)


_EXTENDED = frozenset({*_THOUGHTS, "is_error"})


def _message(
    message: dict[str, Any], gone: tuple[str, ...], kept: tuple[str, ...], shown: list[dict[str, Any]]
) -> dict[str, Any]:
    plain = _without(message, (*gone, "is_error"))
    content = plain.get("content")
    if type(content) is list:
        parts = content
        if "cache_control" not in kept:
            parts = [_unmarked(part) if "cache_control" in part else part for part in content]
        if message.get("role") == "tool":
            shown += [part for part in parts if part.get("type") != "text"]
            parts = [part for part in parts if part.get("type") == "text"]
        plain = {**plain, "content": _texts(parts, message)}
    if message.get("is_error"):
        plain = {**plain, "content": f"Error: {plain['content']}"}
    calls = plain.get("tool_calls")
    if calls and "extra_content" not in kept and any("extra_content" in call for call in calls):
        plain = {**plain, "tool_calls": [_without(call, ("extra_content",)) for call in calls]}
    return plain


def _texts(parts: list[dict[str, Any]], message: dict[str, Any]) -> Any:
    """Parts as one text where they are nothing else and no user's: hosts exist that take no parts there."""
    marked = any("cache_control" in part for part in parts)
    if message.get("role") == "user" or marked or any(part.get("type") != "text" for part in parts):
        return parts
    between = "" if message.get("role") == "assistant" else "\n"
    return between.join([part["text"] for part in parts])


def _unmarked(value: dict[str, Any]) -> dict[str, Any]:
    return {name: held for name, held in value.items() if name != "cache_control"}


def _without(value: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The same object, or a copy without these members."""
    if any(name in value for name in names):
        return {name: held for name, held in value.items() if name not in names}
    return value
