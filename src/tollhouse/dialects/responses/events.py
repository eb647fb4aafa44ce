"""Streamed answers of the Responses API as chunks of a chat completion. Called by `providers.responses`.

Theory of operation
-------------------
Nearly every event is a piece of text, and becomes a chunk at once. What the rest is good for:

- *An item* is announced (``output_item.added``), told in pieces, and then told again, whole (``output_item.done``). The
  whole is compared with the pieces by length, and what they lacked is sent: hosts leave out pieces, or all of them.
- *What proves a reasoning item* is known when the item is whole, and is sent then as ``reasoning_details``.
- *Calls* are counted as they are announced; pieces of arguments go to the call at their ``output_index``. An item's id
  is no key where there is an index: some hosts make up another id in each event.
- *The end* is ``completed`` or ``incomplete``, with usage and what of the answer no event has told. ``failed`` and
  ``error`` are faults. A stream without any of these has broken off.

Unknown events, and the order that ``sequence_number`` states, say nothing that is needed. Where the client speaks the
dialect too, `NativeEvents` passes events on as they are, and looks for the end and the usage alone.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from tollhouse.dialects.responses.decode import (
    CALLS,
    Message,
    add_results,
    call_of,
    ending_of,
    envelope_of,
    items_of,
    native_reason_of,
    parts_of,
    reason_of,
    thoughts_of,
    usage_in,
)
from tollhouse.dialects.responses.words import fault_of, logprobs_of, text_of
from tollhouse.errors import UpstreamInterrupted

Chunk = dict[str, Any]
_BETWEEN_THOUGHTS = "\n\n"
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
OPENERS = frozenset({
    "response.created", "response.queued", "response.in_progress", "response.output_item.added",
    "response.content_part.added", "response.reasoning_summary_part.added",
})  # fmt: skip
"""What comes before a host has said anything."""


class _Item:
    """One item, and how much of it the client was given."""

    __slots__ = ("call", "cited", "done", "part", "refused", "sent", "source", "start")

    def __init__(self) -> None:
        self.call = -1
        """Which of the calls it is; -1 while it has not been announced."""
        self.cited: list[Any] = []
        self.done = False
        self.part: object = None
        """The part of its thoughts that was told last."""
        self.refused = 0
        self.sent = 0
        """Characters of its text, thoughts or arguments."""
        self.source = ""
        """Which kind of event tells its thoughts, where hosts send two."""
        self.start = -1
        """Where in the message its text begins; -1 before it has."""


class Events:
    """The chunks of one stream. ``legacy``: the client knows ``function_call`` alone."""

    __slots__ = ("_items", "_last", "_legacy", "_message", "_thought", "ended", "usage")

    def __init__(self, *, legacy: bool = False) -> None:
        self.ended = False
        self.usage: dict[str, Any] | None = None
        self._items: dict[int | str, _Item] = {}
        self._last: int | str = 0
        self._legacy = legacy
        self._message = Message()
        self._thought = False

    def take(self, event: dict[str, Any], name: str) -> Chunk | None:
        """One event as a chunk; None where it tells a client nothing. ``name`` is its type, or empty.

        Raises the fault that an error or a failed response stands for.
        """
        reader = self._READERS.get(name)
        if reader is not None:
            return reader(self, event)
        if name in _ENDS:
            return self._end(event, name)
        if name == "error" or (not name and event.get("error")):
            raise fault_of(event)
        return None

    # --- text ---

    def _text(self, event: dict[str, Any]) -> Chunk | None:
        text = event.get("delta")
        if type(text) is not str or not text:
            return None
        item, message = self._item(event), self._message
        if item.start < 0:
            text = self._start(item, event) + text
            item.sent -= len(text) - len(event["delta"])
        item.sent += len(text)
        message.chars = item.start + item.sent
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        if tokens := event.get("logprobs"):
            choice["logprobs"] = {"content": logprobs_of(tokens), "refusal": None}
        return {"choices": [choice]}

    def _start(self, item: _Item, told: dict[str, Any]) -> str:
        """The beginning of a message item: what stands between it and the one before."""
        between = self._message.begin_message(told)
        item.start = self._message.chars
        return between

    def _refusal(self, event: dict[str, Any]) -> Chunk | None:
        text = text_of(event.get("delta"))
        self._item(event).refused += len(text)
        return _chunk({"refusal": text}) if text else None

    def _annotation(self, event: dict[str, Any]) -> None:
        self._item(event).cited.append(event.get("annotation"))

    # --- thoughts ---

    def _summary(self, event: dict[str, Any]) -> Chunk | None:
        return self._think(event, "summary", event.get("summary_index"))

    def _reasoning(self, event: dict[str, Any]) -> Chunk | None:
        return self._think(event, "text", event.get("content_index"))

    def _think(self, event: dict[str, Any], source: str, part: object) -> Chunk | None:
        text = event.get("delta")
        if type(text) is not str or not text:
            return None
        item = self._item(event)
        item.source = item.source or source
        if item.source != source:
            return None
        if not item.sent or item.part != part:
            item.part = part
            text = self._apart(text)
        item.sent += len(text)
        return _chunk({"reasoning_content": text})

    def _apart(self, text: str) -> str:
        """A new thought, set off from an earlier one."""
        text = _BETWEEN_THOUGHTS + text if self._thought else text
        self._thought = True
        return text

    # --- calls ---

    def _arguments(self, event: dict[str, Any]) -> Chunk | None:
        return self._call_piece(event, "function")

    def _input(self, event: dict[str, Any]) -> Chunk | None:
        return self._call_piece(event, "custom")

    def _call_piece(self, event: dict[str, Any], kind: str) -> Chunk | None:
        text = event.get("delta")
        if type(text) is not str or not text:
            return None
        item = self._item(event)
        if item.call < 0:  # nobody has said which function this is: it waits for the whole item
            return None
        item.sent += len(text)
        return self._fragment(item.call, kind, text)

    def _fragment(self, call: int, kind: str, text: str) -> Chunk | None:
        if self._legacy:
            return _chunk({"function_call": {"arguments": text}}) if call == 0 else None
        key = "arguments" if kind == "function" else "input"
        return _chunk({"tool_calls": [{"index": call, kind: {key: text}}]})

    def _announce(self, item: _Item, told: dict[str, Any], text: str) -> Chunk | None:
        """The first fragment of a call, with as much of its arguments as is known."""
        item.call = self._message.calls
        self._message.calls += 1
        item.sent = len(text)
        call = call_of(told)
        kind = call["type"]
        call[kind]["arguments" if kind == "function" else "input"] = text
        if self._legacy:
            return _chunk({"function_call": call[kind]}) if item.call == 0 else None
        if not call["id"]:
            del call["id"]
        return _chunk({"tool_calls": [{"index": item.call, **call}]})

    # --- items ---

    def _item(self, event: Mapping[str, Any], told: Mapping[str, Any] | None = None) -> _Item:
        """The item that an event is about: by its place, else by its id, else the last one."""
        key = event.get("output_index")
        if type(key) is not int:
            key = event.get("item_id") or (told or {}).get("id")
        if type(key) is not int and type(key) is not str:
            key = self._last
        self._last = key
        item = self._items.get(key)
        if item is None:
            item = self._items[key] = _Item()
        return item

    def _added(self, event: dict[str, Any]) -> Chunk | None:
        told = event.get("item")
        if not isinstance(told, dict):
            return None
        item, kind = self._item(event, told), text_of(told.get("type"))
        if kind == "message" and item.start < 0 and isinstance(told.get("phase"), str):
            self._message.phase = told["phase"]
        if kind in CALLS and item.call < 0 and text_of(told.get("name")):
            return self._announce(item, told, "")
        return None

    def _done(self, event: dict[str, Any]) -> Chunk | None:
        told = event.get("item")
        if not isinstance(told, dict):
            return None
        item = self._item(event, told)
        if item.done:
            return None
        item.done = True
        kind = text_of(told.get("type"))
        if kind == "message":
            return self._message_done(item, told)
        if kind == "reasoning":
            return self._reasoning_done(item, told)
        if kind in CALLS:
            return self._call_done(item, told)
        self._message.keep(told)
        return None

    def _message_done(self, item: _Item, told: dict[str, Any]) -> Chunk | None:
        """What of a message was not told in pieces, and where its citations are."""
        parts = parts_of(told)
        if isinstance(phase := told.get("phase"), str):
            self._message.phase = phase
        texts = [text_of(part.get("text")) for part in parts]
        delta: dict[str, Any] = {}
        if rest := "".join(texts)[item.sent :]:
            between = self._start(item, told) if item.start < 0 else ""
            delta["content"] = between + rest
            item.sent += len(rest)
            self._message.chars = item.start + item.sent
        if rest := "".join([text_of(part.get("refusal")) for part in parts])[item.refused :]:
            delta["refusal"] = rest
        shift = max(item.start, 0)
        found = any(part.get("annotations") for part in parts)
        if not found:
            self._message.cite(item.cited, shift)
        for part, text in zip(parts, texts, strict=True):
            self._message.cite(part.get("annotations"), shift)
            shift += len(text)
        return _chunk(delta) if delta else None

    def _reasoning_done(self, item: _Item, told: dict[str, Any]) -> Chunk | None:
        delta: dict[str, Any] = {}
        if not item.sent and (thoughts := thoughts_of(told)):
            delta["reasoning_content"] = self._apart(_BETWEEN_THOUGHTS.join(thoughts))
        if details := self._message.thought(told):
            delta["reasoning_details"] = details
        return _chunk(delta) if delta else None

    def _call_done(self, item: _Item, told: dict[str, Any]) -> Chunk | None:
        kind = CALLS[told["type"]]
        call = call_of(told)
        text = call[kind]["arguments" if kind == "function" else "input"]
        if item.call < 0:
            return self._announce(item, told, text)
        rest = text[item.sent :]
        item.sent += len(rest)
        return self._fragment(item.call, kind, rest) if rest else None

    # --- the response ---

    def _created(self, event: dict[str, Any]) -> Chunk | None:
        response = event.get("response")
        if not isinstance(response, dict):
            return None
        head = {**envelope_of(response), "object": "chat.completion.chunk"}
        return {**head, **_chunk({"role": "assistant", "content": ""})}

    def _end(self, event: dict[str, Any], name: str) -> Chunk:
        """The last chunk: what nobody has told yet, and why the answer ended."""
        given = event.get("response")
        response: dict[str, Any] = given if isinstance(given, dict) else {}
        self.usage = usage_in(response) or self.usage
        raise_failure(response, name)
        choice: dict[str, Any] = {"index": 0, "delta": self._untold(response)}
        choice["finish_reason"] = reason_of(response, cut=name == "response.incomplete")
        choice["native_finish_reason"] = native_reason_of(response)
        self.ended = True
        last = {**ending_of(response), "choices": [choice]}
        add_results(last)
        return last

    def _untold(self, response: dict[str, Any]) -> dict[str, Any]:
        """The delta of items that had no event of their own, and of what is told once."""
        delta: dict[str, Any] = {}
        placed = all(type(key) is int for key in self._items)
        for place, told in enumerate(items_of(response)):
            item = self._items.get(place) or self._items.get(text_of(told.get("id")))
            if item is None and not placed:
                continue
            chunk = self._done({"output_index": place, "item": told}) if item is None or not item.done else None
            for name, value in chunk["choices"][0]["delta"].items() if chunk is not None else ():
                delta[name] = delta[name] + value if name in delta and isinstance(value, str | list) else value
        return {**delta, **self._message.lists()}

    _READERS: ClassVar[dict[str, Callable[["Events", dict[str, Any]], Chunk | None]]] = {
        "response.output_text.delta": _text,
        "response.function_call_arguments.delta": _arguments,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_text.delta": _reasoning,
        "response.reasoning.delta": _reasoning,  # Open Responses
        "response.refusal.delta": _refusal,
        "response.custom_tool_call_input.delta": _input,
        "response.output_text.annotation.added": _annotation,
        "response.output_item.added": _added,
        "response.output_item.done": _done,
        "response.created": _created,
    }


def _chunk(delta: dict[str, Any]) -> Chunk:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def raise_failure(response: dict[str, Any], name: str) -> None:
    """Raises the fault of a response that did not end well."""
    status = response.get("status")
    if name == "response.failed" or status == "failed" or response.get("error"):
        raise fault_of(response.get("error") or {"code": "server_error"})
    if name == "response.cancelled" or status == "cancelled":
        raise UpstreamInterrupted("The upstream cancelled its answer.")


class NativeEvents:
    """The events of one stream as they are, for a client that speaks the dialect."""

    __slots__ = ("ended", "usage")

    def __init__(self) -> None:
        self.ended = False
        self.usage: dict[str, Any] | None = None

    def take(self, event: dict[str, Any], name: str) -> Chunk | None:
        """One event. Raises the fault that an error or a failed response stands for."""
        if name == "error" or (not name and event.get("error")):
            raise fault_of(event)
        if name in _ENDS:
            given = event.get("response")
            response: dict[str, Any] = given if isinstance(given, dict) else {}
            self.usage = usage_in(response) or self.usage
            raise_failure(response, name)
            self.ended = True
        return event if name else None
