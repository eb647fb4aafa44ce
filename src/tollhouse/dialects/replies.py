"""Whole replies: a compatible host's ``chat.completion`` made exactly OpenAI's, and cut into chunks.

`providers.openai` tidies what it decodes; `gateway.pipeline` gives the result our identity with `normalise_reply`.
Fields that OpenAI does not know ride along.
"""

from typing import Any, Final

import msgspec

from tollhouse.dialects.filtered import PROMPT
from tollhouse.dialects.finish import BROKEN, finish_reason
from tollhouse.dialects.tools import arguments_text, mint_call_id
from tollhouse.dialects.usage import tidy_usage, usage_object
from tollhouse.errors import UpstreamBadResponse
from tollhouse.types.calls import Usage

_decode: Final = msgspec.json.Decoder().decode
_OBJECT: Final = "chat.completion"
_ENVELOPE: Final = ("id", "object", "created", "model")
_LAST: Final = 3


def json_object(data: bytes) -> dict[str, Any]:
    """The JSON object in these bytes. Raises `UpstreamBadResponse`, also for bad UTF-8, NaN and endless nesting."""
    try:
        value = _decode(data)
    except (ValueError, RecursionError) as problem:
        raise UpstreamBadResponse("The upstream's answer is not valid JSON.") from problem
    if type(value) is not dict:
        raise UpstreamBadResponse("The upstream's answer is not a JSON object.")
    return value


def normalise_reply(
    reply: dict[str, Any], reply_id: str, created: int, model: str, *, metered: Usage | None = None
) -> dict[str, Any]:
    """A tidy reply under our identity: our id, the time in seconds, and the model name that the client asked for, in
    this order before all else. ``reply`` is taken over.

    ``metered`` is what the client is shown where the host reported no usage, for strict readers require one.
    """
    whole = reply if _begins_as_usual(reply) else {**dict.fromkeys(_ENVELOPE), **reply}
    whole["id"], whole["object"], whole["created"], whole["model"] = reply_id, _OBJECT, created, model
    whole.pop("error", None)
    usage = whole.get("usage")
    if metered is not None and not usage:
        whole["usage"] = usage_object(metered)
    elif isinstance(usage, dict):
        whole["usage"] = tidy_usage(usage)
    return whole


def _begins_as_usual(reply: dict[str, Any]) -> bool:
    """Whether the members of `_ENVELOPE` come first, in their order, as they do in nearly every answer."""
    for place, name in enumerate(reply):
        if name != _ENVELOPE[place]:
            return False
        if place == _LAST:
            return True
    return False


def tidy_reply(reply: dict[str, Any], seed: str) -> None:
    """Puts the choices of a reply into OpenAI's shape, in place. ``seed`` is what missing call ids are minted from.

    Raises `UpstreamBadResponse` when there is no choice, or one without a message.
    """
    choices = reply.get("choices")
    if not isinstance(choices, list) or not choices:
        raise UpstreamBadResponse("The upstream's answer has no choices.")
    taken: set[int] = set()
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict) or not isinstance(message := choice.get("message"), dict):
            raise UpstreamBadResponse("The upstream's answer has a choice without a message.")
        index = choice.get("index")
        if type(index) is not int or index in taken:
            index = choice["index"] = position if position not in taken else max(taken) + 1
        taken.add(index)
        _tidy_message(message, seed, index)
        choice["finish_reason"] = finish_reason(
            choice.get("finish_reason"), called="tool_calls" in message, legacy_call="function_call" in message
        )
        choice.setdefault("logprobs", None)


def is_empty(reply: dict[str, Any]) -> bool:
    """Whether a reply, as its host sent it, says nothing and gives no reason for that but an error: it has failed."""
    choices = reply.get("choices")
    return isinstance(choices, list) and bool(choices) and all(_is_blank(choice) for choice in choices)


def _is_blank(choice: Any) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason") not in (None, "", BROKEN):
        return False
    message = choice.get("message")
    if not isinstance(message, dict):
        return False
    return not any(value for name, value in message.items() if name != "role")


_PLAIN: Final = ("role", "content", "refusal")


def _tidy_message(message: dict[str, Any], seed: str, choice: int) -> None:
    message["role"] = "assistant"
    message["refusal"] = message.get("refusal") or None
    if len(message) == len(_PLAIN) and type(message.get("content")) is str:
        return  # nothing but role, content and refusal
    tidy_content(message)
    message.setdefault("content", None)
    calls = message.pop("tool_calls", None)
    if isinstance(calls, list) and calls:
        message["tool_calls"] = _tidy_calls(calls, seed, choice)
    for name in ("function_call", "audio", "annotations"):
        if name in message and not _meant(message[name]):
            del message[name]
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        legacy["arguments"] = arguments_text(legacy.get("arguments")) or "{}"


def _meant(value: object) -> bool:
    """Whether an optional member says anything: null does not, nor an object that only holds zero values."""
    return any(value.values()) if isinstance(value, dict) else value is not None


def _tidy_calls(calls: list[Any], seed: str, choice: int) -> list[dict[str, Any]]:
    tidy: list[dict[str, Any]] = []
    ids: set[str] = set()
    for position, call in enumerate(calls):
        if not isinstance(call, dict):
            raise UpstreamBadResponse("The upstream's answer has a tool call that is not an object.")
        call_id = call.get("id")
        if not isinstance(call_id, str) or not call_id or call_id in ids:
            call_id = mint_call_id(seed, choice, position)
        ids.add(call_id)
        tidy.append({"id": call_id, **_tidy_call(call)})
    return tidy


def _tidy_call(call: dict[str, Any]) -> dict[str, Any]:
    """``type`` and its member, then what else the host put there; its id and its place in a stream left out."""
    rest = {name: call[name] for name in call.keys() - {"id", "index", "type", "function", "custom"}}
    function, custom = call.get("function"), call.get("custom")
    if isinstance(custom, dict) and (call.get("type") == "custom" or not isinstance(function, dict)):
        return {"type": "custom", "custom": custom, **rest}
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise UpstreamBadResponse("The upstream's answer has a tool call without a function.")
    function["arguments"] = arguments_text(function.get("arguments")) or "{}"
    return {"type": "function", "function": function, **rest}


def tidy_content(holder: dict[str, Any]) -> None:
    """Makes the ``content`` of a message or delta text or null, in place.

    Some hosts answer with a list of parts, which clients do not expect in an answer: texts are joined, thinking
    becomes ``reasoning_content`` as most hosts call it, and other parts move to ``content_parts``.
    Raises `UpstreamBadResponse` for anything else.
    """
    content = holder.get("content")
    if content is None or isinstance(content, str):
        return
    if not isinstance(content, list):
        raise UpstreamBadResponse("The upstream's answer has content that is neither text nor parts.")
    texts: list[str] = []
    thoughts: list[str] = []
    others: list[Any] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            texts.append(part)
        elif kind == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif kind == "thinking":
            thoughts += _thoughts(part.get("thinking"))
        else:
            others.append(part)
    holder["content"] = "".join(texts)
    if thoughts and not holder.get("reasoning_content"):
        holder["reasoning_content"] = "".join(thoughts)
    if others:
        holder["content_parts"] = others


def _thoughts(thinking: object) -> list[str]:
    if isinstance(thinking, str):
        return [thinking]
    parts = thinking if isinstance(thinking, list) else []
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def split_reply(reply: dict[str, Any]) -> list[dict[str, Any]]:
    """A tidy reply as the chunks of a stream that says the same, ``usage`` left out."""
    envelope = {key: value for key, value in reply.items() if key not in ("object", "choices", "usage", PROMPT)}
    chunks: list[dict[str, Any]] = []
    for choice in reply["choices"]:
        delta = dict(choice["message"])
        calls = delta.get("tool_calls")
        if calls:
            delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
        rest = {key: value for key, value in choice.items() if key not in ("message", "finish_reason")}
        said = {**rest, "delta": delta, "finish_reason": None}
        ended = {"index": choice["index"], "delta": {}, "finish_reason": choice["finish_reason"]}
        chunks += [{**envelope, "object": "chat.completion.chunk", "choices": [part]} for part in (said, ended)]
    if PROMPT in reply:
        chunks[0][PROMPT] = reply[PROMPT]
    return chunks


def says_something(chunk: dict[str, Any]) -> bool:
    """Whether a chunk commits us to its host: anything in a delta beside the role, or a finish reason."""
    for choice in chunk.get("choices") or ():
        if choice.get("finish_reason"):
            return True
        delta = choice.get("delta") or {}
        for name, value in delta.items():
            if name != "role" and value:
                return True
    return False
