"""What a call used: a host's raw usage object, or our own estimate, as `Usage` in disjoint classes. Pure.

`gateway.pipeline` calls `meter_reply` and `meter_stream` once for each answer, whole or broken off. A number is
believed if it is an integer in 0..2^31; a zero that is there is a zero. What is missing or no such number is estimated
from the text, and the usage is marked ``estimated``.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tollhouse.dialects.client import Counted
from tollhouse.dialects.tokens import TOKENS_PER_CALL, estimate_tokens
from tollhouse.dialects.usage import sane
from tollhouse.types.calls import ChatCall, Usage

_encode: Final = msgspec.json.Encoder().encode

_MOST: Final = 2**31
_NONE: Final[dict[str, Any]] = {}
_ELSEWHERE: Final = frozenset(
    {
        *("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "reasoning_tokens"),
        *("cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation", "prompt_audio_seconds"),
    }
)
"""Where hosts put classes outside of the details."""
_TOKENS_PER_MESSAGE: Final = 4
_TOKENS_PER_REPLY: Final = 3
"""What OpenAI's chat format adds around each message, and before the answer."""
_JSON_FRAME: Final = b'{}[]"'
"""A tool is told to a model in fewer signs than its JSON Schema has: without these, at OpenAI and Google."""
_EARLY_TOKENS: Final = 16
_TOKENS_PER_MEDIUM: Final = 1000
"""An image in high detail, half a minute of audio or a page of a document: a guess, for nothing here decodes them."""


def meter_reply(raw: Mapping[str, Any] | None, call: ChatCall, reply: Mapping[str, Any]) -> Usage:
    """The usage of a whole answer."""
    if type(raw) is dict and (plain := _plain(raw)) is not None:
        return plain
    read = _Reading(raw or {})
    if read.prompt is not None and read.completion is not None:
        return read.usage(read.prompt, read.completion, estimated=False)
    said = [choice["message"] for choice in reply.get("choices") or ()]
    output = estimate_tokens("\n".join([text for message in said for text in _texts(message)]))
    return _complete(read, call, output + TOKENS_PER_CALL * sum(map(_calls, said)))


def meter_stream(raw: Mapping[str, Any] | None, call: ChatCall, stream: Counted, *, whole: bool = True) -> Usage:
    """The usage of a stream, ended or broken off; without the host's word, of what the client was given of it.

    Some hosts state usage first, before there is any (``completion_tokens`` 0 or 1), and again at the end. Where there
    was no end, a figure that is far below what was given is such a one.
    """
    read = _Reading(raw or {})
    if not whole and read.completion is not None and stream.tokens() > 2 * read.completion + _EARLY_TOKENS:
        read.completion = read.total = None
    if read.prompt is not None and read.completion is not None:
        return read.usage(read.prompt, read.completion, estimated=False)
    read.audio_out = max(read.audio_out, stream.sound_tokens())
    return _complete(read, call, stream.tokens())


def meter_usage(raw: object) -> Usage | None:
    """The usage that an answer of another endpoint states; None where it states none."""
    if not isinstance(raw, Mapping):
        return None
    read = _Reading(raw)
    if read.prompt is None and read.completion is None:
        return None
    return read.usage(read.prompt or 0, read.completion or 0, estimated=False)


def read_usage(raw: Mapping[str, Any], prompt: int, completion: int) -> Usage:
    """The usage that an object states; what it lacks is what is given, and marks it ``estimated``."""
    read = _Reading(raw)
    estimated = read.prompt is None or read.completion is None
    prompt = prompt if read.prompt is None else read.prompt
    return read.usage(prompt, completion if read.completion is None else read.completion, estimated=estimated)


def estimate_prompt(body: Mapping[str, Any]) -> int:
    """About how many tokens the prompt of a request is: messages, tools and a schema to answer in."""
    messages = [message for message in body.get("messages") or () if isinstance(message, Mapping)]
    texts = [text for message in messages for text in _texts(message)]
    if body.get("response_format"):
        texts.append(_encode(body["response_format"]).decode())
    around = TOKENS_PER_CALL * sum(map(_calls, messages)) + _TOKENS_PER_MESSAGE * len(messages) + _TOKENS_PER_REPLY
    told = [_encode(body[name]).translate(None, _JSON_FRAME) for name in ("tools", "functions") if body.get(name)]
    media = sum(map(_media, messages))
    return estimate_tokens("\n".join(texts)) + sum(map(estimate_tokens, told)) + _TOKENS_PER_MEDIUM * media + around


def _plain(raw: dict[str, Any]) -> Usage | None:
    """The common case, read without ado: sane counts that add up, nothing cached, no reasoning."""
    prompt, completion = raw.get("prompt_tokens"), raw.get("completion_tokens")
    if type(prompt) is not int or type(completion) is not int or raw.get("total_tokens") != prompt + completion:
        return None
    if not (0 <= prompt <= _MOST and 0 <= completion <= _MOST) or not _ELSEWHERE.isdisjoint(raw):
        return None
    before = raw.get("prompt_tokens_details") or _NONE
    if type(before) is not dict or before.get("cached_tokens") or before.get("audio_tokens"):
        return None
    if before.get("cache_write_tokens") or before.get("cache_creation_input_tokens") or before.get("cache_creation"):
        return None
    after = raw.get("completion_tokens_details") or _NONE
    if type(after) is not dict or after.get("reasoning_tokens") or after.get("audio_tokens"):
        return None
    return Usage(prompt, 0, 0, completion)


def _complete(read: "_Reading", call: ChatCall, output: int) -> Usage:
    prompt = estimate_prompt(call.body) if read.prompt is None else read.prompt
    return read.usage(prompt, output if read.completion is None else read.completion, estimated=True)


class _Reading:
    """The believable numbers of a raw usage object; ``None`` where there is none.

    Theory of operation: OpenAI's ``prompt_tokens`` (``input_tokens`` of its newer endpoints) hold the cached ones, and
    Anthropic's ``input_tokens`` do not. Which of the two an object is, is told by its total where it has one, by counts
    that cannot be part of the prompt, and else by its names. From there on ``prompt`` is all of the prompt.
    """

    __slots__ = (
        *("audio_in", "audio_out", "cache_read", "cache_write", "completion"),
        *("long_write", "prompt", "reasoning", "total"),
    )

    def __init__(self, raw: Mapping[str, Any]) -> None:
        before = _details(raw, "prompt_tokens_details", "input_tokens_details", "input_token_details")
        after = _details(raw, "completion_tokens_details", "output_tokens_details", "output_token_details")
        self.prompt = _first(raw, "prompt_tokens", "input_tokens")
        self.completion = _first(raw, "completion_tokens", "output_tokens")
        self.total = sane(raw.get("total_tokens"))
        self.audio_in = _first(before, "audio_tokens") or _first(raw, "prompt_audio_seconds") or 0
        self.audio_out = _first(after, "audio_tokens") or 0
        reasoning = _first(after, "reasoning_tokens", "thinking_tokens")
        self.reasoning = (_first(raw, "reasoning_tokens") if reasoning is None else reasoning) or 0
        read = _first(before, "cached_tokens")
        if read is None:  # where the hosts that lack the details put it
            read = _first(raw, *_READ_NAMES)
        self.cache_read = read or 0
        written, self.long_write = _writes(before if before.keys() & _WRITE_NAMES else raw)
        self.cache_write = _first(before, "cache_write_tokens") or written
        if self._beside(raw):
            self.prompt = (self.prompt or 0) + self.cache_read + self.cache_write + self.long_write

    def _beside(self, raw: Mapping[str, Any]) -> bool:
        """Whether the cached tokens are counted beside the prompt, and not within it."""
        cached = self.cache_read + self.cache_write + self.long_write
        if not cached or self.prompt is None or raw.keys().isdisjoint(_ANTHROPIC_NAMES):
            return False
        if cached > self.prompt:
            return True
        if self.total is not None and self.completion is not None:
            return self.total >= self.prompt + cached + self.completion
        return "prompt_tokens" not in raw

    def usage(self, prompt: int, completion: int, *, estimated: bool) -> Usage:
        """The classes, made disjoint: what was cached or heard is part of ``prompt`` and taken out of it.

        Reasoning is part of the completion. Hosts that count it beside it (xAI), or do not even name it (Gemini's
        compatible surface), bill it as output all the same: there it is what their total has in excess.
        """
        beside = max(0, (self.total or 0) - prompt - completion)
        completion += beside
        audio_out = min(self.audio_out, completion)
        output = completion - audio_out
        cache_read = min(self.cache_read, prompt)
        cache_write = min(self.cache_write, prompt - cache_read)
        long_write = min(self.long_write, prompt - cache_read - cache_write)
        audio_in = min(self.audio_in, prompt - cache_read - cache_write - long_write)
        return Usage(
            input=prompt - cache_read - cache_write - long_write - audio_in,
            cache_read=cache_read,
            cache_write=cache_write,
            output=output,
            reasoning=min(max(self.reasoning, beside), output),
            estimated=estimated,
            cache_write_1h=long_write,
            input_audio=audio_in,
            output_audio=audio_out,
        )


_READ_NAMES: Final = ("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens")
_WRITE_NAMES: Final = frozenset({"cache_creation_input_tokens", "cache_creation"})
_ANTHROPIC_NAMES: Final = _WRITE_NAMES | {"cache_read_input_tokens"}


def _writes(holder: Mapping[str, Any]) -> tuple[int, int]:
    """Cache writes by how long they are kept, as Anthropic tells them; the shorter where it is not said."""
    kept = _details(holder, "cache_creation")
    short, long = (_first(kept, f"ephemeral_{time}_input_tokens") or 0 for time in ("5m", "1h"))
    written = _first(holder, "cache_creation_input_tokens") or 0
    return max(written - long, short), long


def _details(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The first of these members that is an object."""
    for name in names:
        if isinstance(value := raw.get(name), Mapping):
            return value
    return _NONE


def _first(raw: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        if (value := sane(raw.get(name))) is not None:
            return value
    return None


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    """Every text of a message: content, reasoning, refusal, and the names and arguments of tool calls."""
    for name in ("content", "reasoning_content", "reasoning", "refusal"):
        value = message.get(name)
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from [part["text"] for part in value if isinstance(part, dict) and isinstance(part.get("text"), str)]
    for called in _called(message):
        yield from [value if isinstance(value, str) else _encode(value).decode() for value in called.values() if value]


def _called(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The functions that a message calls, each with its name and its arguments or input."""
    calls = message.get("tool_calls")
    given = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    found = [call.get("function") or call.get("custom") for call in given] + [message.get("function_call")]
    return [one for one in found if isinstance(one, dict)]


def _calls(message: Mapping[str, Any]) -> int:
    return len(_called(message))


def _media(message: Mapping[str, Any]) -> int:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return sum(isinstance(part, dict) and part.get("type") in ("image_url", "input_audio", "file") for part in parts)
