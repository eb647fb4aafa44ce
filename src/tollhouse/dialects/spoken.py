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


def asked(body: Mapping[str, Any]) -> Iterator[Asked]:
    """The texts of a request in the inner form, message by message."""
    for message in body["messages"]:
        role, content = message["role"], message.get("content")
        if type(content) is str:
            if content:
                yield Asked(role, content)
        elif content:
            for text in joined_parts(list(words_in(content))):
                yield Asked(role, text)
        if len(message) > 2 or "content" not in message:
            for text in _beside(message):
                yield Asked(role, text)
    for name in body:
        if name not in _SAYS_HOW and (value := body[name]):
            for text in _joined(name, words_in(value, is_open=True)):
                yield Asked(_WHOSE.get(name, "user"), text)


def _beside(message: Mapping[str, Any]) -> Iterator[str]:
    """What a message says beside its content."""
    for name in message:
        if name == _NAME and type(text := message[name]) is str and text:
            yield f"{_NAME}: {text}"  # a word without any context is easily taken for another
        elif name not in _READ and (value := message[name]):
            yield from _joined(name, words_in({name: value}))


def _joined(name: str, words: Iterable[str]) -> Iterator[str]:
    """The texts of one member together."""
    texts = list(words)
    if name not in _APART:
        yield from joined_parts(texts)
    elif texts:
        yield "\n".join(texts)


def asked_beside(call: ChatCall) -> Iterator[Asked]:
    """The texts of a request in its client's dialect that its inner form does not hold, for a host may be told them."""
    if call.native is None:
        return
    known = set(words_in(call.body))
    for name, value in call.native.items():
        if name in _NOT_TOLD:
            continue
        for one in value if name in _TURNS and type(value) is list else [value]:
            texts = [text for text in words_in({name: one}) if text not in known]
            for text in joined_parts(texts):
                yield Asked("user", text)
