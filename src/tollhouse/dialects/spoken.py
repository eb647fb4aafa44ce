"""The words of prompts, wherever a client puts them: what a judge of their safety reads. Pure.

`gateway.watch` calls these; the words of answers are in `spoken_answers`. What a model may be told is read wherever it
stands: in messages of every role and all their members, in tools and schemas, and in members of the request that
nobody here knows, for a host may (`documents`, `chat_template_kwargs`). Not read are the members that only say how to
answer (`_SAYS_HOW`). What is no text (images, sound, most files) is not judged here.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from tollhouse.dialects.spoken_answers import (
    TEXT,
    Said,
    said_beside,
    said_by_anthropic,
    said_by_gemini,
    said_in_chunk,
    said_in_reply,
)
from tollhouse.dialects.spoken_words import joined_parts, words_in
from tollhouse.types.calls import ChatCall
from tollhouse.types.values import Value

__all__ = [
    "TEXT",
    "Asked",
    "Said",
    "asked",
    "asked_beside",
    "said_beside",
    "said_by_anthropic",
    "said_by_gemini",
    "said_in_chunk",
    "said_in_reply",
]

_SAYS_HOW: Final = frozenset(
    {
        *("messages", "model", "stream", "stream_options", "temperature", "top_p", "top_k", "min_p", "top_a", "n"),
        *("max_tokens", "max_completion_tokens", "min_tokens", "seed", "stop", "stop_token_ids", "stop_sequences"),
        *("frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("audio", "modalities", "metadata", "moderation", "parallel_tool_calls", "reasoning", "reasoning_effort"),
        *("reasoning_format", "function_call", "tool_choice", "verbosity", "store", "user", "safety_identifier"),
        *("service_tier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "thinking"),
        *("cache_control", "provider", "route", "transforms", "include", "session_id", "request_id"),
    }
)
"""Members of requests that no model reads."""
_WHOSE: Final[Mapping[str, str]] = MappingProxyType(
    {name: name for name in ("tools", "functions", "response_format", "prediction", "system")}
)
"""Members that are not the user's words."""
_NAME: Final = "name"
_READ: Final = frozenset({"role", "content"})
_APART: Final = frozenset({"tool_calls", "function_call", *_WHOSE})
"""Members whose texts are not parts of one text."""
_NOT_TOLD: Final = frozenset(
    {
        *("model", "metadata", "stop_sequences", "safetySettings", "safety_settings", "service_tier", "labels"),
        *("anthropic_version", "anthropic_beta", "betas", "cachedContent", "cached_content", "inference_geo"),
    }
)
"""Members of requests in other dialects that no model reads."""
_TURNS: Final = frozenset({"messages", "contents"})


class Asked(Value, frozen=True):
    """Some words of a prompt, and whose: the ``role`` of their message, or the member of the request."""

    role: str
    text: str


def asked(body: dict[str, Any]) -> list[Asked]:
    """The texts of a request in the inner form, message by message."""
    told: list[Asked] = []
    messages: list[dict[str, Any]] = body["messages"]
    for message in messages:
        role, content = message["role"], message.get("content")
        if type(content) is str:
            if content:
                told.append(Asked(role, content))
        elif content:
            told += [Asked(role, text) for text in joined_parts(list(words_in(content)))]
        if len(message) > 2 or "content" not in message:
            told += [Asked(role, text) for text in _beside(message)]
    for name, value in body.items():
        if value and name not in _SAYS_HOW:
            told += [Asked(_WHOSE.get(name, "user"), text) for text in _joined(name, words_in(value, is_open=True))]
    return told


def _beside(message: dict[str, Any]) -> Iterator[str]:
    """What a message says beside its content."""
    for name, value in message.items():
        if name == _NAME and type(value) is str and value:
            yield f"{_NAME}: {value}"  # a word without any context is easily taken for another
        elif value and name not in _READ:
            yield from _joined(name, words_in({name: value}))


def _joined(name: str, words: Iterable[str]) -> Iterator[str]:
    """The texts of one member together."""
    texts = list(words)
    if name not in _APART:
        yield from joined_parts(texts)
    elif texts:
        yield "\n".join(texts)


def asked_beside(call: ChatCall) -> list[Asked]:
    """The texts of a request in its client's dialect that its inner form does not hold, for a host may be told them."""
    told: list[Asked] = []
    if call.native is None:
        return told
    known = set(words_in(call.body))
    for name, value in call.native.items():
        if name in _NOT_TOLD:
            continue
        for one in value if name in _TURNS and type(value) is list else [value]:
            texts = [text for text in words_in({name: one}) if text not in known]
            told += [Asked("user", text) for text in joined_parts(texts)]
    return told
