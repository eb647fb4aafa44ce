"""What a call used: a host's raw usage object, or our own estimate, as `Usage` in disjoint classes. Pure.

`gateway.pipeline` calls `meter_reply` and `meter_stream` once for each answer, whole or broken off. A number is
believed if it is an integer in 0..2^31; a zero that is there is a zero. What is missing or no such number is estimated
from the text, and the usage is marked ``estimated``.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.dialects.usage import sane
from tollhouse.types.calls import ChatCall, Usage

_encode = msgspec.json.Encoder().encode

_MOST = 2**31
_NONE: dict[str, Any] = {}
_CACHE_NAMES = frozenset({"prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"})
_TOKENS_PER_MESSAGE = 4
_TOKENS_PER_REPLY = 3
"""What OpenAI's chat format adds around each message, and before the answer."""
_TOKENS_PER_MEDIUM = 1000
"""An image in high detail, half a minute of audio or a page of a document: a guess, for nothing here decodes them."""


def meter_reply(raw: Mapping[str, Any] | None, call: ChatCall, reply: Mapping[str, Any]) -> Usage:
    """The usage of a whole answer."""
    if raw is not None and (plain := _plain(raw)) is not None:
        return plain
    read = _Reading(raw or {})
    if read.prompt is not None and read.completion is not None:
        return read.usage(read.prompt, read.completion, estimated=False)
    said = [choice["message"] for choice in reply.get("choices") or ()]
    output = estimate_tokens("\n".join([text for message in said for text in _texts(message)]))
    return _complete(read, call, output)


def meter_stream(raw: Mapping[str, Any] | None, call: ChatCall, stream: ChatStream) -> Usage:
    """The usage of a stream, ended or broken off; without the host's word, of what the client was given of it."""
    read = _Reading(raw or {})
    if read.prompt is not None and read.completion is not None:
        return read.usage(read.prompt, read.completion, estimated=False)
    return _complete(read, call, stream.tally.tokens())


def meter_usage(raw: object) -> Usage | None:
    """The usage that an answer of another endpoint states; None where it states none."""
    if not isinstance(raw, Mapping):
        return None
    read = _Reading(raw)
    if read.prompt is None and read.completion is None:
        return None
    return read.usage(read.prompt or 0, read.completion or 0, estimated=False)


def estimate_prompt(body: Mapping[str, Any]) -> int:
    """About how many tokens the prompt of a request is: messages, tools and a schema to answer in."""
    messages = [message for message in body.get("messages") or () if isinstance(message, Mapping)]
    texts = [text for message in messages for text in _texts(message)]
    texts += [_encode(body[name]).decode() for name in ("tools", "functions", "response_format") if body.get(name)]
    media = sum(_media(message) for message in messages)
    around = _TOKENS_PER_MESSAGE * len(messages) + _TOKENS_PER_REPLY
    return estimate_tokens("\n".join(texts)) + _TOKENS_PER_MEDIUM * media + around


def _plain(raw: Mapping[str, Any]) -> Usage | None:
    """The common case, read without ado: sane counts that add up, nothing cached, no reasoning."""
    prompt, completion = raw.get("prompt_tokens"), raw.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int or raw.get("total_tokens") != prompt + completion:
        return None
    if not (0 <= prompt <= _MOST and 0 <= completion <= _MOST) or not raw.keys().isdisjoint(_CACHE_NAMES):
        return None
    before, after = raw.get("prompt_tokens_details") or _NONE, raw.get("completion_tokens_details") or _NONE
    if type(before) is not dict or before.get("cached_tokens") or before.get("cache_write_tokens"):
        return None
    if type(after) is not dict or after.get("reasoning_tokens"):
        return None
    return Usage(prompt, 0, 0, completion)


def _complete(read: "_Reading", call: ChatCall, output: int) -> Usage:
    prompt = estimate_prompt(call.body) if read.prompt is None else read.prompt
    return read.usage(prompt, output if read.completion is None else read.completion, estimated=True)


class _Reading:
    """The believable numbers of a raw usage object; ``None`` where there is none."""

    __slots__ = ("cache_read", "cache_write", "completion", "prompt", "reasoning", "total")

    def __init__(self, raw: Mapping[str, Any]) -> None:
        prompt, completion = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
        prompt = prompt if isinstance(prompt, Mapping) else {}
        completion = completion if isinstance(completion, Mapping) else {}
        self.prompt = _first(raw, "prompt_tokens", "input_tokens")
        self.completion = _first(raw, "completion_tokens", "output_tokens")
        self.total = sane(raw.get("total_tokens"))
        self.cache_read = _first(prompt, "cached_tokens")
        if self.cache_read is None:  # where the hosts that lack the details put it
            self.cache_read = _first(raw, "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens")
        self.cache_write = _first(prompt, "cache_write_tokens")
        self.reasoning = _first(completion, "reasoning_tokens")

    def usage(self, prompt: int, completion: int, *, estimated: bool) -> Usage:
        """The classes, made disjoint: what was cached is part of ``prompt`` and taken out of it.

        Reasoning is part of the completion. Hosts that count it beside it (xAI), or do not even name it (Gemini's
        compatible surface), bill it as output all the same: there it is what their total has in excess.
        """
        beside = max(0, (self.total or 0) - prompt - completion)
        output = completion + beside
        reasoning = max(self.reasoning or 0, beside)
        cache_read = min(self.cache_read or 0, prompt)
        cache_write = min(self.cache_write or 0, prompt - cache_read)
        return Usage(
            input=prompt - cache_read - cache_write,
            cache_read=cache_read,
            cache_write=cache_write,
            output=output,
            reasoning=min(reasoning, output),
            estimated=estimated,
        )


def _first(raw: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        if (value := sane(raw.get(name))) is not None:
            return value
    return None


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a message: content, reasoning, refusal, and the tool calls with their arguments."""
    for name in ("content", "reasoning_content", "reasoning", "refusal"):
        value = message.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from [part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)]
    for name in ("tool_calls", "function_call"):
        if message.get(name):
            yield _encode(message[name]).decode()


def _media(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return sum(isinstance(part, dict) and part.get("type") in ("image_url", "input_audio", "file") for part in parts)
