"""Anthropic's answers, whole or streamed, in the inner form. `providers.anthropic` makes one `MessageReader` for each.

Theory of operation
-------------------
https://platform.claude.com/docs/en/build-with-claude/streaming. ``message_start`` tells the prompt's tokens; then come
blocks, each with a start, deltas and a stop; ``message_delta`` tells why the answer ended and what it took, and
``message_stop`` is the end. ``ping`` and unknown events may stand anywhere. An ``error`` event ends the answer with its
fault. Nearly every event is a ``text_delta``, and becomes a chunk at once.

A call is announced at its block's start, and its arguments are passed on as they come; a custom call's are gathered,
for what the client gets is the string inside them. Thoughts are passed on as text and as pieces of one detail; the
signature is a piece of its own, the last. Citations are told at the end of the text that they belong to.

An answer without ``message_stop`` is whole all the same once it has told why it ended.
"""

from typing import Any

import msgspec

from tollhouse.dialects.answers import Chunk, chunk_of, member, objects, text
from tollhouse.dialects.anthropic.decode import (
    Block,
    Expected,
    annotations_of,
    custom_input,
    finish_of,
    read_message,
    refusal_of,
    stop_members,
    thought_of,
)
from tollhouse.dialects.anthropic.faults import fault_of_event
from tollhouse.dialects.anthropic.usage import merge_usage, openai_usage, opening_usage
from tollhouse.dialects.anthropic.words import REASONING_FORMAT
from tollhouse.dialects.event_body import EventBody
from tollhouse.dialects.replies import json_object, split_reply
from tollhouse.dialects.sse import MAX_EVENT_BYTES
from tollhouse.dialects.tools import arguments_text, mint_call_id
from tollhouse.errors import UpstreamBadResponse

_BOM = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder().decode


class _Open:
    """A block that has begun and not ended."""

    __slots__ = ("at", "block", "citations", "kind", "number", "pieces", "spoken")

    def __init__(self, block: Block, number: int, at: int) -> None:
        self.block = block
        self.kind = block.get("type")
        self.number = number
        """Its place among the calls, or among the thoughts."""
        self.at = at
        """Where its text begins in the answer's."""
        self.citations: list[Block] = []
        self.pieces: list[str] = []
        """Of arguments that are gathered."""
        self.spoken = False
        """Whether arguments were passed on."""


class MessageReader(EventBody):
    """One answer, read. See `providers.protocol.ChatDecoder`."""

    __slots__ = (
        *("_began", "_calls", "_counted", "_ended", "_expected"),
        *("_last", "_length", "_open", "_raw", "_thoughts"),
    )

    def __init__(self, expected: Expected, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(max_event_bytes)
        self._expected = expected
        self._raw: dict[str, Any] = {}
        """Anthropic's usage, merged."""
        self._open: dict[int, _Open] = {}
        self._last = -1
        """The block that began last."""
        self._calls = self._thoughts = self._length = 0
        self._began = self._counted = self._ended = False

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer. Raises `UpstreamBadResponse`, or the fault that an error object stands for."""
        message = json_object(body.removeprefix(_BOM))
        if (error := message.get("error")) or message.get("type") == "error":
            raise fault_of_event(error or message)
        if isinstance(usage := message.get("usage"), dict):
            self.usage = openai_usage(usage)
        reply = read_message(message, self._expected)
        if self.usage is not None:
            reply["usage"] = self.usage
        return reply

    def _split(self, body: bytes) -> list[Chunk]:
        return split_reply(self.reply(body))

    def _is_whole(self) -> bool:
        return self._ended

    def _note(self, usage: object) -> None:
        if isinstance(usage, dict):
            merge_usage(self._raw, usage)
            self.usage = openai_usage(self._raw)

    def _take(self, value: dict[str, Any], name: bytes, chunks: list[Chunk]) -> None:
        kind = value.get("type")
        if kind == "content_block_delta":
            delta = value.get("delta")
            if type(delta) is dict and delta.get("type") == "text_delta" and type(said := delta.get("text")) is str:
                if said:
                    self._length += len(said)
                    chunks.append({"choices": [{"index": 0, "delta": {"content": said}, "finish_reason": None}]})
                return
            self._delta(value, chunks)
        elif kind == "content_block_start":
            self._start(value, chunks)
        elif kind == "content_block_stop":
            self._stop(self._open.pop(self._index(value), None), chunks)
        elif kind == "message_delta":
            self._end(value, chunks)
        elif kind == "message_start":
            self._begin(member(value, "message"), chunks)
        elif kind == "message_stop":
            self._close_message(chunks)
        elif kind == "error" or name == b"error" or value.get("error"):
            raise fault_of_event(value.get("error") or value)

    def _index(self, value: dict[str, Any]) -> int:
        """The block that an event is about: the last, where it does not say."""
        index = value.get("index")
        return index if type(index) is int else self._last

    def _begin(self, message: dict[str, Any], chunks: list[Chunk]) -> None:
        if self._began:
            return
        self._began = True
        self._note(message.get("usage"))
        envelope = {name: message[name] for name in ("id", "model") if type(message.get(name)) is str}
        chunks.append({**envelope, **chunk_of({"role": "assistant", "content": ""})})

    def _start(self, value: dict[str, Any], chunks: list[Chunk]) -> None:
        self._began = True
        block = member(value, "content_block")
        self._last = index = value["index"] if type(value.get("index")) is int else self._last + 1
        kind = block.get("type")
        opened = self._open[index] = _Open(block, 0, self._length)
        if kind == "text":
            self._say(text(block, "text"), chunks)
            opened.citations += objects(block, "citations")
        elif kind == "tool_use":
            opened.number = self._calls
            self._calls += 1
            self._announce(opened, chunks)
        elif kind in ("thinking", "redacted_thinking"):
            opened.number = self._thoughts
            self._thoughts += 1
            detail = thought_of(block, opened.number)
            if detail.get("text") or detail.get("signature") or detail.get("data"):
                self._think(detail, chunks)

    def _say(self, said: str, chunks: list[Chunk]) -> None:
        if said:
            self._length += len(said)
            chunks.append(chunk_of({"content": said}))

    def _think(self, detail: dict[str, Any], chunks: list[Chunk]) -> None:
        thought = detail.get("text")
        delta = {"reasoning_content": thought} if thought else {}
        chunks.append(chunk_of({**delta, "reasoning_details": [detail]}))

    def _announce(self, opened: _Open, chunks: list[Chunk]) -> None:
        block = opened.block
        name = text(block, "name")
        call_id = text(block, "id") or mint_call_id("", 0, opened.number)
        if self._expected.legacy:
            if opened.number == 0:
                chunks.append(chunk_of({"function_call": {"name": name, "arguments": ""}}))
            return
        kind, member_name = ("custom", "input") if name in self._expected.custom else ("function", "arguments")
        call = {"index": opened.number, "id": call_id, "type": kind, kind: {"name": name, member_name: ""}}
        chunks.append(chunk_of({"tool_calls": [call]}))

    def _delta(self, value: dict[str, Any], chunks: list[Chunk]) -> None:
        """Any delta but plain text. One of a kind that is not known is passed over."""
        delta = member(value, "delta")
        kind = delta.get("type")
        opened = self._open.get(self._index(value))
        if kind == "text_delta":
            text(delta, "text")
        elif opened is None:
            return
        elif kind == "input_json_delta":
            self._argue(opened, text(delta, "partial_json"), chunks)
        elif kind == "thinking_delta":
            if said := text(delta, "thinking"):
                self._think({"type": "reasoning.text", "text": said, **_mark(opened)}, chunks)
        elif kind == "signature_delta":
            if signature := text(delta, "signature"):
                self._think({"type": "reasoning.text", "signature": signature, **_mark(opened)}, chunks)
        elif kind == "citations_delta":
            opened.citations.append(member(delta, "citation"))

    def _argue(self, opened: _Open, piece: str, chunks: list[Chunk]) -> None:
        """One more piece of a call's arguments."""
        if not piece:
            return
        if opened.kind != "tool_use" or opened.block.get("name") in self._expected.custom:
            opened.pieces.append(piece)
            return
        opened.spoken = True
        if not self._expected.legacy:
            chunks.append(chunk_of({"tool_calls": [{"index": opened.number, "function": {"arguments": piece}}]}))
        elif opened.number == 0:
            chunks.append(chunk_of({"function_call": {"arguments": piece}}))

    def _stop(self, opened: _Open | None, chunks: list[Chunk]) -> None:
        if opened is None or opened.kind in ("thinking", "redacted_thinking"):
            return
        if opened.kind == "text":
            self._cite(opened, chunks)
            return
        if opened.pieces:
            opened.block["input"] = _gathered(opened.pieces)
        if opened.kind != "tool_use":
            chunks.append(chunk_of({"content_parts": [opened.block]}))
        elif opened.block.get("name") in self._expected.custom:
            call = {"index": opened.number, "custom": {"input": custom_input(opened.block.get("input"))}}
            chunks.append(chunk_of({"tool_calls": [call]}))
        elif not opened.spoken:
            given = opened.block.get("input")
            self._argue(opened, "{}" if given is None else arguments_text(given), chunks)

    def _cite(self, opened: _Open, chunks: list[Chunk]) -> None:
        if not opened.citations:
            return
        found, others = annotations_of(opened.citations, opened.at, self._length)
        if found:
            chunks.append(chunk_of({"annotations": found}))
        if others:
            chunks.append(chunk_of({"content_parts": [{"type": "text", "citations": others}]}))

    def _end(self, value: dict[str, Any], chunks: list[Chunk]) -> None:
        self._note(value.get("usage"))
        self._counted = self._counted or type(value.get("usage")) is dict
        delta = member(value, "delta")
        if type(delta.get("stop_reason")) is str and not self._ended:
            self._finish(delta, chunks)

    def _finish(self, delta: dict[str, Any], chunks: list[Chunk]) -> None:
        self._ended = True
        for index in sorted(self._open):
            self._stop(self._open.pop(index), chunks)
        refusal = refusal_of(delta)
        called = self._calls > 0
        reason = finish_of(delta.get("stop_reason"), called=called, legacy=called and self._expected.legacy)
        chunks.append(chunk_of({} if refusal is None else {"refusal": refusal}, reason, **stop_members(delta)))

    def _close_message(self, chunks: list[Chunk]) -> None:
        if not self._began:
            raise UpstreamBadResponse("The upstream's answer is empty.")
        if not self._ended:
            self._finish({}, chunks)
        if not self._counted:
            self.usage = opening_usage(self.usage)
        self.done = True


def _mark(opened: _Open) -> dict[str, Any]:
    return {"format": REASONING_FORMAT, "index": opened.number}


def _gathered(pieces: list[str]) -> Any:
    """The object in pieces of JSON; the text itself where they make none."""
    joined = "".join(pieces)
    try:
        return _decode(joined)
    except (ValueError, RecursionError):
        return joined
