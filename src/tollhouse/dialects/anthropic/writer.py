"""A stream in the inner form as the events of Anthropic's Messages API.

`gateway.pipeline` makes one `MessageStream` for each streamed call, by `client`, and writes what it gives.

Theory of operation
-------------------
Anthropic's stream is a row of blocks, one open at a time, numbered from 0. The inner form says text, thinking and tool
calls side by side, and the arguments of several calls may come in turns. So blocks stand in a queue in the order in
which they began: the first is open and its pieces leave at once; what is said for another waits with it. The first is
closed when another stands behind it, a tool call only once its arguments are whole, or when the stream ends.

Nearly every chunk is text for the one open text block: such a chunk is one event, made of ready pieces. A block of
thinking ends with its signature: Claude's own, or our seal (`seals`). A tool call whose host wants something back is
preceded by a block that holds it. Usage is known when the stream ends: until then the prompt is told by estimate.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.seals import client_id
from tollhouse.dialects.anthropic.write import (
    citations_of,
    entries_of,
    entry_text,
    message_id,
    proof_block,
    redacted_block,
    signature_of,
    stop_reason,
    thought_of,
    usage_counts,
    usage_object,
)
from tollhouse.dialects.client import Account, Identity
from tollhouse.dialects.finish import WITHHELD
from tollhouse.dialects.tokens import TOKENS_PER_CALL, Tally
from tollhouse.dialects.tools import ToolCalls
from tollhouse.errors import UpstreamBadResponse
from tollhouse.types.calls import ChatCall, Usage

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
SLICE_CHARS = 8 * 1024
"""JSON takes at most six bytes for a character, so a slice and its envelope stay under 64 KiB a line."""
_CHARS_PER_TOKEN = 4
_STOPPED = ("native_finish_reason", "stop_sequence")
_USUAL = frozenset({"index", "delta", "finish_reason", "logprobs"})
_FIELD = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def event(name: str, value: dict[str, Any]) -> bytes:
    """One event. Raises `UpstreamBadResponse` for what JSON cannot carry."""
    try:
        return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(value))
    except (ValueError, RecursionError) as problem:
        raise UpstreamBadResponse("The upstream's answer cannot be written as JSON.") from problem


class _Block:
    """One block of content. ``pieces`` are its deltas that wait for it to be opened."""

    __slots__ = ("key", "kind", "pieces", "proof", "said", "start")

    def __init__(self, kind: str, start: dict[str, Any], key: object = None) -> None:
        self.kind = kind
        self.start = start
        self.key = key
        """Which call it is, or which of the ``reasoning_details``."""
        self.pieces: list[dict[str, Any]] = []
        self.said: list[str] = []
        """The arguments of a call so far."""
        self.proof: dict[str, Any] = {}
        """The entry that thinking has grown from, without its text."""

    def may_close(self) -> bool:
        """Whether nothing more can come: the arguments of a call are whole."""
        if self.kind != "tool_use":
            return True
        if not self.said or not self.said[-1].rstrip().endswith("}"):
            return False
        try:
            _decode("".join(self.said))
        except (ValueError, RecursionError):
            return False
        return True


class MessageStream:
    """See `dialects.client.Writer`."""

    __slots__ = (
        *("_after", "_before", "_call", "_calls", "_events", "_id", "_index", "_queue", "_reason"),
        *("_refused", "_started", "_stopped", "_tally"),
    )

    def __init__(self, call: ChatCall, identity: Identity) -> None:
        self._call = call
        self._id = message_id(identity)
        self._calls = ToolCalls(identity.id, 0)
        self._queue: list[_Block] = []
        self._index = -1
        self._before = b""
        """The event of a text delta for the open block, as far as the text."""
        self._after = b"}}\n\n"
        self._events: list[bytes] = []
        self._reason: object = None
        self._stopped: dict[str, Any] = {}
        """The members of its choice that say why it stopped."""
        self._refused = self._started = False
        self._tally = Tally()

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """The events of these chunks, ready for one write."""
        events = self._events
        events.clear()
        for chunk in chunks:
            for choice in chunk["choices"]:
                if not self._is_plain(choice):
                    self._take(choice)
        return events[0] if len(events) == 1 else b"".join(events)

    def finish(self, account: Account) -> bytes:
        """What the blocks still owe, why it stopped, what it took, and the end."""
        self._events.clear()
        self._start()
        stop, sequence = stop_reason(self._stopped, self._reason, called=bool(self._calls), refused=self._refused)
        for fragment in self._calls.finish(whole=stop == "tool_use"):
            self._fragment(fragment)
        while self._queue:
            self._close()
        ended = {"stop_reason": stop, "stop_sequence": sequence}
        self._say("message_delta", {"delta": ended, "usage": usage_object(account), **account.notes})
        self._say("message_stop", {})
        return b"".join(self._events)

    def heartbeat(self) -> bytes:
        """Anthropic's own event for it."""
        return PING

    def tokens(self) -> int:
        """About how many tokens the client has been given."""
        return self._tally.tokens() + TOKENS_PER_CALL * self._calls.announced

    def sound_tokens(self) -> int:
        """None of them: this dialect has no sound."""
        return 0

    # --- chunks --------------------------------------------------------------------------------------------------

    def _is_plain(self, choice: dict[str, Any]) -> bool:
        """Writes a choice that is text for the open text block and nothing else. False for any other."""
        if not self._before or choice.get("finish_reason") is not None or choice["index"] != 0:
            return False
        delta = choice["delta"]
        text = delta.get("content")
        if type(text) is not str or not 0 < len(text) <= SLICE_CHARS or len(delta) != 1:
            return False
        self._tally.add(text)
        try:
            self._events.append(self._before + _encode(text) + self._after)
        except ValueError as problem:
            raise UpstreamBadResponse("The upstream's answer cannot be written as JSON.") from problem
        return True

    def _take(self, choice: dict[str, Any]) -> None:
        """Any choice. Those after the first are another answer, which nobody asked for."""
        if choice["index"] != 0:
            return
        self._start()
        delta = choice["delta"]
        self._think(delta)
        for name in ("content", "refusal"):
            if type(text := delta.get(name)) is str and text:
                self._refused = self._refused or name == "refusal"
                self._add(self._block("text", {"type": "text", "text": ""}), "text_delta", text)
        for cited in citations_of(delta):
            block = self._block("text", {"type": "text", "text": ""})
            self._put(block, {"type": "citations_delta", "citation": cited})
        if type(entries := delta.get("tool_calls")) is list and entries:
            for fragment in self._calls.take(entries):
                self._fragment(fragment)
        reason = choice.get("finish_reason")
        if self._reason is None or reason == WITHHELD:
            self._reason = reason
        if not choice.keys() <= _USUAL:
            self._stopped.update({name: choice[name] for name in _STOPPED if choice.get(name) is not None})

    def _think(self, delta: Mapping[str, Any]) -> None:
        entries = entries_of(delta)
        if not any(map(entry_text, entries)) and (thought := thought_of(delta)):
            self._add(self._thinking(None), "thinking_delta", thought)
        for entry in entries:
            if entry.get("type") == "reasoning.encrypted":
                self._push(_Block("redacted_thinking", redacted_block(entry)))
                continue
            text = entry_text(entry)
            if not text and not entry.get("signature"):
                continue
            block = self._thinking(entry.get("index", 0))
            block.proof.update({name: value for name, value in entry.items() if value not in (None, "")})
            if text:
                self._add(block, "thinking_delta", text)

    def _thinking(self, key: object) -> _Block:
        """The block of thinking that an entry belongs to: the last one, unless that is another entry's."""
        last = self._queue[-1] if self._queue else None
        if last is not None and last.kind == "thinking" and (last.key is None or key is None or last.key == key):
            last.key = last.key if key is None else key
            return last
        return self._push(_Block("thinking", {"type": "thinking", "thinking": "", "signature": ""}, key))

    def _fragment(self, fragment: dict[str, Any]) -> None:
        """One piece of a tool call, in canonical form."""
        index = fragment["index"]
        if "id" in fragment:
            function = fragment.get("function") or fragment.get("custom") or {}
            name = function.get("name") or ""
            if extra := fragment.get("extra_content"):
                self._push(_Block("redacted_thinking", proof_block(fragment["id"], extra)))
            start: dict[str, Any] = {"type": "tool_use", "id": client_id(fragment["id"]), "name": name, "input": {}}
            self._push(_Block("tool_use", start, index))
            self._tally.add(name)
        text = (fragment.get("function") or {}).get("arguments")
        if "custom" in fragment:
            text = _encode({"input": fragment["custom"].get("input") or ""}).decode() if "id" not in fragment else ""
        if not text:
            return
        block = next((one for one in self._queue if one.kind == "tool_use" and one.key == index), None)
        if block is not None:  # else it was whole already, and more would break it
            block.said.append(text)
            self._add(block, "input_json_delta", text)
            self._advance()

    # --- blocks --------------------------------------------------------------------------------------------------

    def _block(self, kind: str, start: dict[str, Any]) -> _Block:
        """The last block if it is of this kind, else a new one."""
        if self._queue and self._queue[-1].kind == kind:
            return self._queue[-1]
        return self._push(_Block(kind, start))

    def _push(self, block: _Block) -> _Block:
        self._queue.append(block)
        if len(self._queue) == 1:
            self._open()
        else:
            self._advance()
        return block

    def _advance(self) -> None:
        """Closes the open block for as long as another waits behind it and it is whole."""
        while len(self._queue) > 1 and self._queue[0].may_close():
            self._close()

    def _open(self) -> None:
        block = self._queue[0]
        self._index += 1
        self._say("content_block_start", {"index": self._index, "content_block": block.start})
        for delta in block.pieces:
            self._say("content_block_delta", {"index": self._index, "delta": delta})
        block.pieces.clear()
        if block.kind == "text":
            head = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":'
            self._before = f'{head}{self._index},"delta":{{"type":"text_delta","text":'.encode()

    def _close(self) -> None:
        block = self._queue[0]
        self._before = b""
        if block.kind == "thinking":
            signed = {"type": "signature_delta", "signature": signature_of(block.proof)}
            self._say("content_block_delta", {"index": self._index, "delta": signed})
        self._say("content_block_stop", {"index": self._index})
        del self._queue[0]
        if self._queue:
            self._open()

    def _add(self, block: _Block, kind: str, text: str) -> None:
        """More text for a block, in pieces that are short enough for one line each."""
        self._tally.add(text)
        for at in range(0, len(text), SLICE_CHARS):
            self._put(block, {"type": kind, _FIELD[kind]: text[at : at + SLICE_CHARS]})

    def _put(self, block: _Block, delta: dict[str, Any]) -> None:
        if block is self._queue[0]:
            self._say("content_block_delta", {"index": self._index, "delta": delta})
        else:
            block.pieces.append(delta)

    def _say(self, name: str, value: dict[str, Any]) -> None:
        self._events.append(event(name, {"type": name, **value}))

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        opening: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self._call.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {**usage_counts(Usage(input=_about(self._call.body))), "output_tokens": 1},
        }
        self._say("message_start", {"message": opening})


def _about(body: Mapping[str, Any]) -> int:
    """About how many tokens a prompt has, cheaply: four characters make one."""
    chars = len(_encode(body["tools"])) if body.get("tools") else 0
    for message in body["messages"]:
        content = message.get("content")
        if type(content) is str:
            chars += len(content)
        elif type(content) is list:
            chars += sum([len(part.get("text") or "") for part in content])
    return chars // _CHARS_PER_TOKEN + 1
