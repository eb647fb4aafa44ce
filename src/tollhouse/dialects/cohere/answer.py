"""Cohere's answers in the inner form: a whole one, and the events of a stream.

`providers.cohere` makes one `CohereReader` for each answer.

Theory of operation
-------------------
A message holds blocks (``text``, ``thinking``), a ``tool_plan``, which is what was thought before tools were called,
``tool_calls`` and ``citations``. Thoughts and plan are ``reasoning_content``. Events name what they add to: a block by
``index``, which counts blocks and calls together, so calls are counted anew here. Citations count characters within
their block; ours count them in the whole text, so the lengths of earlier blocks are added.

*Money.* ``billed_units`` is what Cohere charges for; ``tokens`` counts its own preamble too, and ``cached_tokens`` is a
part of ``tokens`` and no class of price. So the first are the tokens of the answer, and the others ride along under
``tokens``.

*Logprobs.* Cohere gives text and the logprobs of its tokens, but not where one ends; such a run is one entry, with the
sum, which is the logarithm of the probability of its text.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from tollhouse.dialects.answers import AnswerReader, Chunk, chunk_of, is_json, member, objects, text
from tollhouse.dialects.faults import fault_of_object
from tollhouse.dialects.filtered import RESULTS
from tollhouse.dialects.replies import json_object, tidy_reply
from tollhouse.dialects.sse import EventParser
from tollhouse.dialects.tools import mint_call_id
from tollhouse.dialects.usage import sane
from tollhouse.dialects.wishes import custom_input
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamInterrupted, UpstreamTimeout

_TOXIC = "ERROR_TOXIC"
FINISH: Mapping[str, str] = MappingProxyType(
    {
        "COMPLETE": "stop",
        "STOP_SEQUENCE": "stop",
        "MAX_TOKENS": "length",
        "TOOL_CALL": "tool_calls",
        "ERROR_LIMIT": "length",
        _TOXIC: "content_filter",
    }
)
"""``ChatFinishReason`` of https://docs.cohere.com/reference/chat, and the two of API v1 that are still seen."""
_OURS = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens"}
_EVENT_STARTS = (b"d", b"e", b"i", b"r", b":", b"\r", b"\n", b"\xef")


class CohereReader(AnswerReader):
    """One answer. ``stops`` are the strings that were to end it; ``custom`` the names of free-text tools."""

    __slots__ = ("_calls", "_custom", "_ends", "_events", "_free", "_id", "_said", "_sniffed", "_spoken", "_stops")

    def __init__(self, max_event_bytes: int, stops: list[str], custom: frozenset[str]) -> None:
        super().__init__()
        self._events = EventParser(max_event_bytes)
        self._sniffed = False
        self._stops = stops
        self._custom = custom
        self._id = ""
        self._said = 0
        """Characters of the answer so far."""
        self._ends: dict[Any, int] = {}
        """For each block, how many characters stand before it."""
        self._calls: dict[Any, int] = {}
        """For each index of a call, its place among the calls."""
        self._spoken: dict[int, int] = {}
        """For each call, how many characters of arguments came; -1 when it has ended."""
        self._free: dict[int, list[str]] = {}
        """The arguments of calls of custom tools, held until they are whole."""

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer. Raises `UpstreamBadResponse`, or the fault that it stands for."""
        answer = json_object(body)
        if not isinstance(answer.get("message"), dict):
            raise fault_of_object(answer) if "message" in answer else UpstreamBadResponse("The answer has no message.")
        self.usage = usage_of(answer.get("usage")) or self.usage
        reason, native = self._reason(answer)
        message = self._message(answer["message"])
        choice = {"index": 0, "message": message, "finish_reason": reason, **native}
        if spans := objects(answer, "logprobs"):
            choice["logprobs"] = logprobs_of(spans)
        self._id = text(answer, "id")
        reply: dict[str, Any] = {"id": self._id, "choices": [choice]}
        tidy_reply(reply, self._id)
        if self.usage is not None and "total_tokens" in self.usage:  # of half a count the gateway makes a whole one
            reply["usage"] = self.usage
        return reply

    def _message(self, given: dict[str, Any]) -> dict[str, Any]:
        """The message of a whole answer."""
        texts: list[str] = []
        thoughts = [plan] if (plan := text(given, "tool_plan")) else []
        content = given.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else objects(given, "content")
        for place, block in enumerate(blocks):
            self._ends[place] = self._said
            texts.append(text(block, "text"))
            self._said += len(texts[-1])
            thoughts += [thought] if (thought := text(block, "thinking")) else []
        message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
        if thoughts:
            message["reasoning_content"] = "\n".join(thoughts)
        if calls := objects(given, "tool_calls"):
            message["tool_calls"] = [self._whole_call(call) for call in calls]
        elif message["content"] is None:
            message["content"] = ""
        if cited := self._annotations(objects(given, "citations")):
            message["annotations"] = cited
        return message

    def _whole_call(self, call: dict[str, Any]) -> dict[str, Any]:
        function = member(call, "function")
        name, arguments = text(function, "name"), text(function, "arguments")
        if not name:
            raise UpstreamBadResponse("The upstream's answer has a tool call without a name.")
        if name in self._custom:
            return {"id": call.get("id"), "type": "custom", "custom": {"name": name, "input": custom_input(arguments)}}
        return {"id": call.get("id"), "type": "function", "function": {"name": name, "arguments": arguments}}

    def _reason(self, end: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Why the answer ended, and what of it is the host's own. Raises the fault that is no end of an answer."""
        word = end.get("finish_reason")
        if word == "TIMEOUT":
            raise UpstreamTimeout("The upstream says that its answer took too long.")
        if word in ("ERROR", "USER_CANCEL") or end.get("error"):
            raise UpstreamInterrupted("The upstream says that its answer broke off.")
        native: dict[str, Any] = {}
        if isinstance(word, str):
            native["native_finish_reason"] = word
        if word == "STOP_SEQUENCE" and len(self._stops) == 1:
            native["stop_sequence"] = self._stops[0]
        if word == _TOXIC:
            native[RESULTS] = {"toxicity": {"filtered": True, "detected": True}}
        return FINISH.get(str(word), "stop"), native

    # --- a stream ------------------------------------------------------------------------------------------------

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        if not self._sniffed and (body := data.lstrip(b" \t\r\n")):
            if not body.startswith(_EVENT_STARTS):
                raise UpstreamBadResponse("The upstream answered with something that is not an event stream.")
            self._sniffed = True
        for event, name in self._events.feed(data):
            self._take(event, name, chunks)
            if self.done:
                return

    def _close(self, chunks: list[Chunk]) -> None:
        for event, name in self._events.finish():
            if is_json(event):
                self._take(event, name, chunks)

    def _take(self, data: bytes, name: bytes, chunks: list[Chunk]) -> None:
        if not data.strip() or data.strip() == b"[DONE]":
            return
        event = json_object(data)
        kind = event.get("type") or name.decode(errors="replace")
        handle = self._EVENTS.get(kind) if type(kind) is str else None
        if handle is not None:
            handle(self, event, chunks)
        elif kind == "error" or event.get("error") or type(event.get("message")) is str:
            raise _fault_of_event(event)

    def _start(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        del chunks  # an empty delta would say nothing
        self._id = text(event, "id")

    def _content(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        """A block begins, or goes on."""
        for content in objects(member(event, "delta", "message"), "content"):
            said, thought = text(content, "text"), text(content, "thinking")
            place = event.get("index")
            if type(place) is int and place not in self._ends:
                self._ends[place] = self._said
            if thought:
                chunks.append(chunk_of({"reasoning_content": thought}))
            if said:
                self._said += len(said)
                chunk = chunk_of({"content": said})
                if "logprobs" in event and (spans := objects(event, "logprobs")):
                    chunk["choices"][0]["logprobs"] = logprobs_of(spans)
                chunks.append(chunk)

    def _plan(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        if plan := text(member(event, "delta", "message"), "tool_plan"):
            chunks.append(chunk_of({"reasoning_content": plan}))

    def _call_start(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        for call in objects(member(event, "delta", "message"), "tool_calls"):
            function = member(call, "function")
            name, place = text(function, "name"), len(self._spoken)
            if not name:
                raise UpstreamBadResponse("The upstream's answer has a tool call without a name.")
            self._calls[_key(event)] = place
            self._spoken[place] = 0
            head = {"index": place, "id": text(call, "id") or mint_call_id(self._id, 0, place)}
            if name in self._custom:
                self._free[place] = []
                chunks.append(_fragment({**head, "type": "custom", "custom": {"name": name, "input": ""}}))
            else:
                chunks.append(_fragment({**head, "type": "function", "function": {"name": name, "arguments": ""}}))
            self._argue(place, text(function, "arguments"), chunks)

    def _call_delta(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        place = self._calls.get(_key(event), len(self._spoken) - 1)
        if place < 0:
            raise UpstreamBadResponse("The upstream's answer goes on with a tool call that never began.")
        for call in objects(member(event, "delta", "message"), "tool_calls"):
            self._argue(place, text(member(call, "function"), "arguments"), chunks)

    def _argue(self, place: int, piece: str, chunks: list[Chunk]) -> None:
        if not piece:
            return
        if self._spoken[place] < 0:
            raise UpstreamBadResponse("The upstream's answer goes on with a tool call that has ended.")
        self._spoken[place] += len(piece)
        if place in self._free:
            self._free[place].append(piece)
        else:
            chunks.append(_fragment({"index": place, "function": {"arguments": piece}}))

    def _call_end(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        place = self._calls.get(_key(event), len(self._spoken) - 1)
        self._settle(place, chunks)

    def _settle(self, place: int, chunks: list[Chunk]) -> None:
        """What a call still owes: the input of a custom tool, and ``{}`` for a function without arguments."""
        if place not in self._spoken:
            return
        if place in self._free:
            given = custom_input("".join(self._free.pop(place)))
            if given:
                chunks.append(_fragment({"index": place, "custom": {"input": given}}))
        elif self._spoken.get(place) == 0:
            chunks.append(_fragment({"index": place, "function": {"arguments": "{}"}}))
        self._spoken[place] = -1

    def _cite(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        if cited := self._annotations(objects(member(event, "delta", "message"), "citations")):
            chunks.append(chunk_of({"annotations": cited}))

    def _end(self, event: dict[str, Any], chunks: list[Chunk]) -> None:
        end = member(event, "delta")
        self.usage = usage_of(end.get("usage")) or self.usage
        reason, native = self._reason(end)
        for place in [place for place, size in self._spoken.items() if size >= 0]:
            self._settle(place, chunks)
        if self._spoken and reason == "stop":
            reason = "tool_calls"
        chunks.append(chunk_of({}, reason, **native))
        self.done = True

    def _annotations(self, citations: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Citations of the answer as OpenAI's, one for each source; those of thoughts have no place in it."""
        found: list[dict[str, Any]] = []
        for citation in citations:
            if citation.get("type") not in (None, "TEXT_CONTENT"):
                continue
            before = self._ends.get(place, 0) if type(place := citation.get("content_index")) is int else 0
            start, end = (before + (sane(citation.get(name)) or 0) for name in ("start", "end"))
            for source in objects(citation, "sources"):
                document = member(source, "document")
                shown = {name: str(document.get(name) or "") for name in ("url", "title")}
                shown["title"] = shown["title"] or str(source.get("id") or "")
                place_of = {"start_index": start, "end_index": end, **shown}
                found.append({"type": "url_citation", "url_citation": place_of, "source": source})
        return found

    _EVENTS: ClassVar[Mapping[str, Callable[["CohereReader", dict[str, Any], list[Chunk]], None]]] = MappingProxyType(
        {
            "message-start": _start,
            "content-start": _content,
            "content-delta": _content,
            "tool-plan-delta": _plan,
            "tool-call-start": _call_start,
            "tool-call-delta": _call_delta,
            "tool-call-end": _call_end,
            "citation-start": _cite,
            "message-end": _end,
        }
    )
    """Others (``content-end``, ``citation-end``, ``debug``) say nothing that is not known."""


def _key(event: dict[str, Any]) -> int:
    index = event.get("index")
    return index if type(index) is int else -1


def _fragment(call: dict[str, Any]) -> Chunk:
    return chunk_of({"tool_calls": [call]})


def _fault_of_event(event: dict[str, Any]) -> UpstreamFault:
    error = event.get("error")
    return fault_of_object(error if error and isinstance(error, dict | str) else event)


def usage_of(given: object) -> dict[str, Any] | None:
    """Cohere's ``usage`` in OpenAI's form; None where it says nothing.

    Where it does not say what it bills, all its tokens count, and those of its cache are what they are elsewhere.
    """
    if not isinstance(given, dict):
        return None
    billed, counted = _counts(given.get("billed_units")), _counts(given.get("tokens"))
    read = {**counted, **billed}
    usage: dict[str, Any] = {_OURS[name]: count for name, count in read.items()}
    if len(usage) == len(_OURS):
        usage["total_tokens"] = sum(read.values())
    cached = _count(given.get("cached_tokens"))
    if not usage:
        return None
    if billed and counted:
        usage["tokens"] = {**counted, "cached_tokens": cached or 0}
    elif not billed and cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage


def _counts(given: object) -> dict[str, int]:
    """The counts of one class that make sense."""
    found = {name: _count(given.get(name)) for name in _OURS} if isinstance(given, dict) else {}
    return {name: count for name, count in found.items() if count is not None}


def _count(value: object) -> int | None:
    """A count; Cohere's schema calls them numbers, so a whole one may come as ``3.0``."""
    if type(value) is float and value.is_integer():
        value = int(value)
    return sane(value)


def logprobs_of(spans: list[dict[str, Any]]) -> dict[str, Any]:
    """Cohere's logprobs in OpenAI's form. Raises `UpstreamBadResponse`."""
    content: list[dict[str, Any]] = []
    for span in spans:
        said, values = text(span, "text"), span.get("logprobs")
        if values is None:
            continue
        if type(values) is not list or not all(type(value) in (int, float) for value in values):
            raise UpstreamBadResponse("The upstream's answer has logprobs that are not numbers.")
        entry = {"token": said, "logprob": sum(values), "bytes": list(said.encode(errors="replace"))}
        content.append({**entry, "top_logprobs": []})
    return {"content": content, "refusal": None}
