"""llama.cpp's server: the engine of local models (`engines.local`), and any ``llama-server`` that the operator runs.

Theory of operation
-------------------
Its surface is nearly OpenAI's, and `providers.openai` does the reading and writing. This file closes the gaps, all of
them seen on build 2026.10 of the engine:

- *Forced tool calls.* With ``tool_choice: required``, or a named function, many models may still write prose first. A
  forced call is therefore asked for as a JSON object ``{"name", "arguments"}`` whose schema the engine enforces, with
  the functions told in the system message; the text that comes back is turned into tool calls again, piece by piece.
- *Several choices.* A whole answer with ``n`` over 1 reports the tokens of one choice only, but a stream reports them
  for every choice. So the upstream is always asked for a stream then, the counts are added up, and a client that wanted
  a whole answer gets the chunks put together.
- *Extras.* ``timings`` and its kin, the token ``id`` in logprobs, and alternatives of a token that nobody asked for are
  not OpenAI's and are taken out.
- *Size.* The engine tokenizes a prompt whole, at some 60 times its size in memory, before it finds it too long. What is
  surely over the context is refused here and never sent.
- *Errors.* A prompt over the context is ``exceed_context_size_error``, media that a model cannot see is a 500, and an
  answer that breaks its model's own format is a 500 too: each is given its real meaning.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.forced import TOOL_FIELDS, CallText, forced_tools, joined_calls, name_of, with_schema
from tollhouse.dialects.replies import says_something, tidy_reply
from tollhouse.dialects.sse import EventParser
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamRejected
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.openai import ChatReader
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Loss, Target
from tollhouse.types.wire import Outgoing

_EXTRAS = ("timings", "__verbose", "prompt_progress", "generation_settings")
_LEGACY = ("functions", "function_call")
_FIELD = re.compile(r"Field '([\w.]{1,64})'")
_NO_MEDIA = re.compile(r"(image|audio|video|file) input is not supported", re.IGNORECASE)
_TOKEN_BYTES = 16
"""More than the tokens of any text have on average; only runs of blanks come near it."""
_SPARE_BYTES = 4096
"""For what a template does not show the model."""
_MEDIA = ("image_url", "input_audio", "file")
_decode = msgspec.json.Decoder().decode


# --- the request -------------------------------------------------------------------------------------------------


class LlamaCpp:
    """The provider."""

    __slots__ = ()

    dialect = "openai"

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """As OpenAI's, with forced tools as a schema and several choices as a stream.

        Raises `UpstreamRejected` for more text than the model's context can hold.
        """
        body = dict(call.body)
        dropped = tuple([name for name in _LEGACY if name in body])
        for name in dropped:
            del body[name]
        losses = tuple([Loss(name) for name in dropped])
        if tools := forced_tools(body):
            body = with_schema(body, tools)
            losses += (Loss("tool_choice", "emulated", "asked for as JSON with a schema"),)
        elif body.get("tool_choice") == "none":
            body = {name: value for name, value in body.items() if name not in TOOL_FIELDS}
        if text_bytes(body) > (limit := _most_bytes(target)):
            raise _beyond(limit, "messages")
        stream = call.stream or (body.get("n") or 1) > 1
        encoded = OPENAI.encode_chat(call.but(body=body, stream=stream), target, cap)
        return Encoded(encoded.outgoing, encoded.losses + losses)

    def decode_chat(self, call: ChatCall, target: Target) -> "LlamaReader":
        """A decoder for one answer."""
        return LlamaReader(OPENAI.decode_chat(call, target), call.body)

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """As OpenAI's. Raises `UpstreamRejected` for an input to embed that the model's context cannot hold."""
        limit = _most_bytes(target)
        if kind == "embeddings" and len(body) > limit:
            given = _decode(body).get("input")
            if any(text_bytes(one) > limit for one in (given if isinstance(given, list) else [given])):
                raise _beyond(limit, "input")
        return OPENAI.encode_relay(kind, content_type, body, target)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """The engine's own kinds of error; all else as OpenAI's."""
        error = _error_of(body)
        message = str(error.get("message") or "")
        if error.get("type") == "exceed_context_size_error" or "too large to process" in message:
            return UpstreamRejected(_too_long(error), status=400, param="messages", code="context_length_exceeded")
        if match := _NO_MEDIA.search(message):
            return UpstreamRejected(
                f"This model does not take {match[1].lower()} input.",
                status=400,
                param="messages",
                code="unsupported_value",
            )
        if "does not match the expected" in message:
            return UpstreamBadResponse("The model's answer broke the format of its own chat template.")
        fault = OPENAI.decode_error(status, headers, body)
        field = _FIELD.match(message)
        if field and isinstance(fault, UpstreamRejected):
            return UpstreamRejected(fault.message, status=fault.status, param=field[1], code="invalid_value")
        return fault


PROVIDER = LlamaCpp()


def text_bytes(value: Any) -> int:
    """The bytes of text in a JSON value, without media: about as long as the JSON, which is not written for it."""
    total = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            total += len(item) if item.isascii() else len(item.encode(errors="replace"))
        elif isinstance(item, dict):
            total += sum(map(len, item)) + len(item)
            waiting += [part for name, part in item.items() if name not in _MEDIA]
        elif isinstance(item, list):
            total += len(item)
            waiting += item
    return total


def _most_bytes(target: Target) -> float:
    """The most bytes that are worth sending; infinite where the context is not known."""
    context = target.facts.context_tokens if target.facts is not None else None
    return math.inf if context is None else _TOKEN_BYTES * context + _SPARE_BYTES


def _beyond(limit: float, param: str) -> UpstreamRejected:
    message = f"The {param} cannot fit into the model's context: they have more than {limit:.0f} bytes. Shorten them."
    if param == "input":
        message = f"An input cannot fit into the model's context: it has more than {limit:.0f} bytes. Shorten it."
    return UpstreamRejected(message, status=400, param=param, code="context_length_exceeded")


def _error_of(body: bytes) -> dict[str, Any]:
    try:
        error = _decode(body)["error"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    return error if isinstance(error, dict) else {}


def _too_long(error: dict[str, Any]) -> str:
    have, limit = error.get("n_prompt_tokens"), error.get("n_ctx")
    if type(have) is int and type(limit) is int:
        return f"The model's context is {limit} tokens, and the messages are {have} tokens. Shorten the messages."
    return "The messages are longer than the model's context. Shorten the messages."


# --- the answer --------------------------------------------------------------------------------------------------


class LlamaReader:
    """One answer to the request with this body, read by `ChatReader` and put right."""

    __slots__ = ("_alternatives", "_calls", "_counter", "_custom", "_forced", "_inner", "done", "usage")

    def __init__(self, inner: ChatReader, body: dict[str, Any]) -> None:
        self.usage: dict[str, Any] | None = None
        self.done = False
        self._inner = inner
        self._counter = _UsageCounter() if (body.get("n") or 1) > 1 else None
        self._alternatives = body.get("top_logprobs") or 0
        self._forced = bool(forced_tools(body))
        self._custom = frozenset(name_of(tool) for tool in body.get("tools") or () if tool.get("type") == "custom")
        self._calls: dict[int, CallText] = {}

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer; with several choices it arrives as a stream and is put together."""
        if self._counter is not None and not body.lstrip().startswith(b"{"):
            reply = _put_together([*self.feed(body), *self.finish()])
        else:
            reply = self._inner.reply(body)
            self._note()
            for name in _EXTRAS:
                reply.pop(name, None)
            for choice in reply["choices"]:
                self._tidy_choice(choice, choice["message"])
        tidy_reply(reply, str(reply.get("id") or ""))
        if self.usage is not None:
            reply["usage"] = self.usage
        return reply

    def commits(self, chunk: dict[str, Any]) -> bool:
        """Whether a chunk says something."""
        return says_something(chunk)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that these bytes complete."""
        chunks = self._inner.feed(data)
        if self._counter is not None:
            self._counter.feed(data)
        return self._tidy(chunks)

    def finish(self) -> list[dict[str, Any]]:
        """The rest, at the end of the body."""
        return self._tidy(self._inner.finish())

    def _note(self) -> None:
        self.done = self._inner.done
        self.usage = self._inner.usage
        if self._counter is not None and self.usage is not None:
            self.usage = self._counter.total(self.usage)

    def _tidy(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        self._note()
        for chunk in chunks:
            for name in _EXTRAS:
                chunk.pop(name, None)
            for choice in chunk["choices"]:
                if choice["delta"].get("content", "") is None:  # the first delta is {"role", "content": null}
                    del choice["delta"]["content"]
                self._tidy_choice(choice, choice["delta"])
        return [chunk for chunk in chunks if any(map(_says_something, chunk["choices"]))]

    def _tidy_choice(self, choice: dict[str, Any], said: dict[str, Any]) -> None:
        """One choice of a chunk, or of a whole answer; ``said`` is its delta or message. In place."""
        if self._forced:
            choice["logprobs"] = None  # they would be of the JSON text, which the client does not see
            self._translate(choice, said)
        elif logprobs := choice.get("logprobs"):
            for token in logprobs.get("content") or ():
                token.pop("id", None)
                token["top_logprobs"] = (token.get("top_logprobs") or [])[
                    : self._alternatives
                ]  # 20 if none were asked for
                for other in token["top_logprobs"]:
                    other.pop("id", None)

    def _translate(self, choice: dict[str, Any], said: dict[str, Any]) -> None:
        """Text of a forced call becomes the call."""
        text = self._calls.setdefault(choice["index"], CallText(self._custom))
        fragments = text.feed(said.pop("content", None) or "")
        ended = choice.get("finish_reason")
        if ended:
            fragments += text.close()
        if fragments:
            said["tool_calls"] = fragments if "message" not in choice else joined_calls(fragments)
        if ended == "stop":
            choice["finish_reason"] = "tool_calls"


def _says_something(choice: dict[str, Any]) -> bool:
    return bool(choice["delta"] or choice["finish_reason"] or choice.get("logprobs"))


class _UsageCounter:
    """Adds up the usage of several choices, each reported by an event of its own."""

    __slots__ = ("_completion", "_events")

    def __init__(self) -> None:
        self._events = EventParser()
        self._completion = 0

    def feed(self, data: bytes) -> None:
        """Counts what these bytes complete; they are known to be good events."""
        for event, _ in self._events.feed(data):
            if b'"usage"' in event and isinstance(usage := _decode(event).get("usage"), dict):
                self._completion += usage.get("completion_tokens") or 0

    def total(self, usage: dict[str, Any]) -> dict[str, Any]:
        """One choice's usage, made that of all. The prompt is read once."""
        completion = max(self._completion, usage.get("completion_tokens") or 0)
        prompt = usage.get("prompt_tokens") or 0
        return {**usage, "completion_tokens": completion, "total_tokens": prompt + completion}


def _put_together(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The whole answer that the chunks of a stream make."""
    choices: dict[int, dict[str, Any]] = {}
    for part in (choice for chunk in chunks for choice in chunk["choices"]):
        choice = choices.setdefault(part["index"], {"index": part["index"], "message": {}, "logprobs": None})
        choice["finish_reason"] = part["finish_reason"] or choice.get("finish_reason")
        if logprobs := part.get("logprobs"):
            known = choice["logprobs"] = choice["logprobs"] or {"content": [], "refusal": None}
            known["content"] += logprobs.get("content") or []
        message = choice["message"]
        for name, value in part["delta"].items():
            if isinstance(value, str | list) and isinstance(message.get(name), str | list) and name != "role":
                message[name] = message[name] + value
            elif value is not None:
                message[name] = value
    for choice in choices.values():
        if calls := choice["message"].get("tool_calls"):
            choice["message"]["tool_calls"] = joined_calls(calls)
    envelope = {name: value for name, value in chunks[0].items() if name != "choices"}
    return {**envelope, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}
