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
- *Extras.* ``timings`` and its kin, and the token ``id`` in logprobs, are not OpenAI's and are taken out.
- *Errors.* A prompt over the context is ``exceed_context_size_error``, media that a model cannot see is a 500, and an
  answer that breaks its model's own format is a 500 too: each is given its real meaning.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from json import dumps
from typing import Any

import msgspec

from tollhouse.dialects.replies import tidy_reply
from tollhouse.dialects.sse import EventParser
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamRejected
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.openai import ChatReader
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Target

FORCED_RULE = "Call one function. Answer only with a JSON object that has its name and its arguments. The functions:"
"""`tollhouse/tiny` is trained on this sentence (``scripts/tiny/shapes.py``)."""

_EXTRAS = ("timings", "__verbose", "prompt_progress", "generation_settings")
_LEGACY = ("functions", "function_call")
_TOOL_FIELDS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
_NO_PARAMETERS = {"type": "object", "properties": {}, "additionalProperties": False}
_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"(arguments|input)"\s*:\s*')
_FIELD = re.compile(r"Field '([\w.]{1,64})'")
_NO_MEDIA = re.compile(r"(image|audio|video|file) input is not supported", re.IGNORECASE)
_decode = msgspec.json.Decoder().decode


# --- the request -------------------------------------------------------------------------------------------------


class LlamaCpp:
    """The provider."""

    __slots__ = ()

    def encode_chat(self, call: ChatCall, target: Target) -> Encoded:
        """As OpenAI's, with forced tools as a schema and several choices as a stream."""
        body = dict(call.body)
        dropped = tuple([name for name in _LEGACY if name in body])
        for name in dropped:
            del body[name]
        if tools := _forced_tools(body):
            body = _with_schema(body, tools)
        elif body.get("tool_choice") == "none":
            body = {name: value for name, value in body.items() if name not in _TOOL_FIELDS}
        stream = call.stream or _choices(call) > 1
        encoded = OPENAI.encode_chat(replace(call, body=body, stream=stream), target)
        return replace(encoded, dropped=encoded.dropped + dropped)

    def decode_chat(self, call: ChatCall, target: Target) -> "LlamaReader":
        """A decoder for one answer."""
        custom = frozenset(_name_of(tool) for tool in call.body.get("tools") or () if tool.get("type") == "custom")
        return LlamaReader(OPENAI.decode_chat(call, target), _choices(call), bool(_forced_tools(call.body)), custom)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """The engine's own kinds of error; all else as OpenAI's."""
        error = _error_of(body)
        message = str(error.get("message") or "")
        if error.get("type") == "exceed_context_size_error" or "too large to process" in message:
            return UpstreamRejected(_too_long(error), status=400, param="messages", code="context_length_exceeded")
        if match := _NO_MEDIA.search(message):
            return UpstreamRejected(f"This model does not take {match[1].lower()} input.", status=400, param="messages", code="unsupported_value")
        if "does not match the expected" in message:
            return UpstreamBadResponse("The model's answer broke the format of its own chat template.")
        fault = OPENAI.decode_error(status, headers, body)
        field = _FIELD.match(message)
        if field and isinstance(fault, UpstreamRejected):
            return UpstreamRejected(fault.message, status=fault.status, param=field[1], code="invalid_value")
        return fault


PROVIDER = LlamaCpp()


def _choices(call: ChatCall) -> int:
    return call.body.get("n") or 1


def _name_of(tool: dict[str, Any]) -> str:
    inner = tool.get(str(tool.get("type"))) or {}
    return str(inner.get("name") or "")


def _forced_tools(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The tools of which the client demands one; empty when the model is free to choose."""
    tools, choice = body.get("tools") or [], body.get("tool_choice")
    if choice == "required":
        return list(tools)
    if not isinstance(choice, dict):
        return []
    if choice.get("type") == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        names = {_name_of(tool) for tool in allowed.get("tools") or []} if allowed.get("mode") == "required" else set()
    else:
        names = {_name_of(choice)}
    return [tool for tool in tools if _name_of(tool) in names]


def _with_schema(body: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """The request in which a call is a JSON answer."""
    several = len(tools) > 1
    schemas = [_call_schema(tool, f"#/anyOf/{place}" if several else "#") for place, tool in enumerate(tools)]
    schema = {"anyOf": schemas} if several else schemas[0]
    told = dumps([tool.get("function") or tool.get("custom") for tool in tools], ensure_ascii=False)
    return {
        **{name: value for name, value in body.items() if name not in _TOOL_FIELDS},
        "messages": _with_system(body.get("messages") or [], f"{FORCED_RULE}\n{told}"),
        "response_format": {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}},
    }


def _call_schema(tool: dict[str, Any], at: str) -> dict[str, Any]:
    """The schema of one call. References inside its parameters are made to point to where they now are."""
    if tool.get("type") == "custom":
        key, value = "input", {"type": "string"}
    else:
        parameters = (tool.get("function") or {}).get("parameters") or _NO_PARAMETERS
        key, value = "arguments", _moved(parameters, f"{at}/properties/arguments")
    return {
        "type": "object",
        "properties": {"name": {"const": _name_of(tool)}, key: value},
        "required": ["name", key],
        "additionalProperties": False,
    }


def _moved(schema: Any, to: str) -> Any:
    if isinstance(schema, list):
        return [_moved(item, to) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {key: _moved(value, to) for key, value in schema.items()}
    pointer = schema.get("$ref")
    if isinstance(pointer, str) and pointer.startswith("#"):
        moved["$ref"] = to + pointer[1:]
    return moved


def _with_system(messages: list[Any], text: str) -> list[Any]:
    """The messages with a text at the end of the first system message: many chat templates allow only one."""
    first = messages[0] if messages else {}
    if first.get("role") not in ("system", "developer"):
        return [{"role": "system", "content": text}, *messages]
    content = first.get("content")
    joined = f"{content}\n\n{text}" if isinstance(content, str) else [*(content or []), {"type": "text", "text": text}]
    return [{**first, "content": joined}, *messages[1:]]


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
    """One answer, read by `ChatReader` and put right."""

    __slots__ = ("_calls", "_choices", "_counter", "_custom", "_forced", "_inner", "done", "usage")

    def __init__(self, inner: ChatReader, choices: int, forced: bool, custom: frozenset[str]) -> None:
        self.usage: dict[str, Any] | None = None
        self.done = False
        self._inner = inner
        self._choices = choices
        self._forced = forced
        self._custom = custom
        self._calls: dict[int, _CallText] = {}
        self._counter = _UsageCounter() if choices > 1 else None

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer; with several choices it arrives as a stream and is put together."""
        if self._choices > 1 and not body.lstrip().startswith(b"{"):
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
        return [chunk for chunk in chunks if not self._forced or any(map(_says_something, chunk["choices"]))]

    def _tidy_choice(self, choice: dict[str, Any], said: dict[str, Any]) -> None:
        """One choice of a chunk, or of a whole answer; ``said`` is its delta or message. In place."""
        if self._forced:
            choice["logprobs"] = None  # they would be of the JSON text, which the client does not see
            self._translate(choice, said)
        elif logprobs := choice.get("logprobs"):
            for token in logprobs.get("content") or ():
                token.pop("id", None)
                for other in token.get("top_logprobs") or ():
                    other.pop("id", None)

    def _translate(self, choice: dict[str, Any], said: dict[str, Any]) -> None:
        """Text of a forced call becomes the call."""
        text = self._calls.setdefault(choice["index"], _CallText(self._custom))
        fragments = text.feed(said.pop("content", None) or "")
        ended = choice.get("finish_reason")
        if ended:
            fragments += text.close()
        if fragments:
            said["tool_calls"] = fragments if "message" not in choice else _joined_calls(fragments)
        if ended == "stop":
            choice["finish_reason"] = "tool_calls"


def _says_something(choice: dict[str, Any]) -> bool:
    return bool(choice["delta"] or choice["finish_reason"])


class _CallText:
    """The text ``{"name": ..., "arguments": {...}}`` as it arrives, as fragments of one tool call."""

    __slots__ = ("_custom", "_depth", "_ended", "_escaped", "_held", "_kind", "_quoted")

    def __init__(self, custom: frozenset[str]) -> None:
        self._custom = custom
        self._held = ""
        """What came before the name was whole; for a custom tool, its input."""
        self._kind = ""
        self._depth = 0
        self._quoted = self._escaped = self._ended = False

    def feed(self, text: str) -> list[dict[str, Any]]:
        """The fragments that this text completes."""
        fragments: list[dict[str, Any]] = []
        if not self._kind:
            self._held += text
            head = _HEAD.match(self._held)
            if head is None:
                return []
            self._kind = "custom" if head[1] in self._custom else "function"
            value = {"name": head[1], "input" if self._kind == "custom" else "arguments": ""}
            fragments.append({"index": 0, "type": self._kind, self._kind: value})
            text, self._held = self._held[head.end() :], ""
        if self._kind == "custom":
            self._held += text
        elif piece := self._arguments(text):
            fragments.append({"index": 0, "function": {"arguments": piece}})
        return fragments

    def close(self) -> list[dict[str, Any]]:
        """The rest: the input of a custom tool, which is known when its text is whole, or was cut."""
        if self._kind != "custom":
            return []
        whole = re.match(r'"(?:[^"\\]|\\.)*', self._held)
        try:
            value = _decode(f'{whole[0]}"') if whole else ""
        except ValueError:
            value = ""
        return [{"index": 0, "custom": {"input": value}}] if value else []

    def _arguments(self, text: str) -> str:
        """As much of the text as belongs to the arguments: the object's end is where its last brace closes."""
        if not self._depth and not self._ended:
            text = text.lstrip()
        for place, character in enumerate(text):
            if self._ended:
                return text[:place]
            if self._quoted:
                self._quoted = self._escaped or character != '"'
                self._escaped = character == "\\" and not self._escaped
            elif character == '"':
                self._quoted = True
            elif character in "{[":
                self._depth += 1
            elif character in "}]":
                self._depth -= 1
                self._ended = self._depth == 0
        return text


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
            choice["message"]["tool_calls"] = _joined_calls(calls)
    envelope = {name: value for name, value in chunks[0].items() if name != "choices"}
    return {**envelope, "object": "chat.completion", "choices": [choices[index] for index in sorted(choices)]}


def _joined_calls(fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole calls out of fragments."""
    calls: dict[int, dict[str, Any]] = {}
    for fragment in fragments:
        call = calls.setdefault(fragment["index"], {})
        for name, value in fragment.items():
            if isinstance(value, dict):
                inner = call.setdefault(name, {})
                for key, text in value.items():
                    inner[key] = inner.get(key, "") + text
            elif name != "index":
                call[name] = value
    return [calls[index] for index in sorted(calls)]
