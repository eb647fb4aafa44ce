"""Anthropic's answers for a client that speaks the same dialect: its own objects, unchanged. `providers.anthropic`
makes one `NativeReader` for each; what is learnt on the way is the usage, errors, and where the answer ends.
"""

from typing import Any

from tollhouse.dialects.answers import Chunk, objects
from tollhouse.dialects.anthropic.faults import fault_of_event
from tollhouse.dialects.anthropic.thinking import MIN_BUDGET_TOKENS
from tollhouse.dialects.anthropic.usage import merge_usage, openai_usage, opening_usage
from tollhouse.dialects.event_body import EventBody
from tollhouse.dialects.replies import json_object
from tollhouse.dialects.sse import MAX_EVENT_BYTES
from tollhouse.errors import UpstreamBadResponse
from tollhouse.types.calls import Loss

_BOM = b"\xef\xbb\xbf"
_SAYING = frozenset({"content_block_start", "content_block_delta", "message_delta", "message_stop"})
_OPENINGS = ("text", "thinking")
"""Blocks that begin empty: their start says nothing yet."""
_THOUGHTS = ("thinking", "redacted_thinking")


class NativeReader(EventBody):
    """One answer, read. See `providers.protocol.ChatDecoder`."""

    __slots__ = ("_began", "_counted", "_ended", "_raw")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__(max_event_bytes)
        self._raw: dict[str, Any] = {}
        self._began = self._counted = self._ended = False

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole ``message``. Raises `UpstreamBadResponse`, or the fault that an error object stands for."""
        message = json_object(body.removeprefix(_BOM))
        if (error := message.get("error")) or message.get("type") == "error":
            raise fault_of_event(error or message)
        if type(message.get("content")) is not list:
            raise UpstreamBadResponse("The upstream's answer has no content.")
        objects(message, "content")
        if isinstance(usage := message.get("usage"), dict):
            self.usage = openai_usage(usage)
        return message

    def commits(self, chunk: Chunk) -> bool:
        """Whether an event says something: anything but the opening of the message or of an empty block."""
        kind = chunk.get("type")
        if kind not in _SAYING:
            return False
        if kind == "content_block_start":
            block = chunk.get("content_block")
            return isinstance(block, dict) and (block.get("type") not in _OPENINGS or bool(block.get(block["type"])))
        if kind == "content_block_delta":
            delta = chunk.get("delta")
            return isinstance(delta, dict) and any(value for name, value in delta.items() if name != "type")
        return True

    def _split(self, body: bytes) -> list[Chunk]:
        self._began = True
        return split_message(self.reply(body))

    def _is_whole(self) -> bool:
        return self._ended

    def _note(self, usage: object) -> None:
        if isinstance(usage, dict):
            merge_usage(self._raw, usage)
            self.usage = openai_usage(self._raw)

    def _take(self, value: dict[str, Any], name: bytes, chunks: list[Chunk]) -> None:
        kind = value.get("type")
        if kind == "content_block_delta":
            chunks.append(value)
            return
        if kind == "error" or name == b"error" or (type(kind) is not str and value.get("error")):
            raise fault_of_event(value.get("error") or value)
        if type(kind) is not str:
            if not name:
                return
            kind = value["type"] = name.decode(errors="replace")
        if kind == "message_start":
            message = value.get("message")
            self._note(message.get("usage") if isinstance(message, dict) else None)
        elif kind == "message_delta":
            self._note(value.get("usage"))
            self._counted = self._counted or type(value.get("usage")) is dict
            delta = value.get("delta")
            self._ended = self._ended or (isinstance(delta, dict) and type(delta.get("stop_reason")) is str)
        elif kind == "message_stop":
            if not self._began:
                raise UpstreamBadResponse("The upstream's answer is empty.")
            if not self._counted:
                self.usage = opening_usage(self.usage)
            self.done = True
        self._began = self._began or kind.startswith(("message_", "content_block_"))
        chunks.append(value)


_PIECES = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
"""For blocks that are streamed as text: the delta, and the member that it adds to."""


def split_message(message: dict[str, Any]) -> list[Chunk]:
    """A whole message as the events of a stream that says the same."""
    ending = {name: message.get(name) for name in ("stop_reason", "stop_sequence", "stop_details") if name in message}
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    events: list[Chunk] = [{"type": "message_start", "message": opening}]
    for index, block in enumerate(message["content"]):
        events += _block_events(block, index)
    usage = message.get("usage")
    events.append({"type": "message_delta", "delta": ending, **({} if usage is None else {"usage": usage})})
    return [*events, {"type": "message_stop"}]


def _block_events(block: Chunk, index: int) -> list[Chunk]:
    delta, name = _PIECES.get(str(block.get("type")), ("", ""))
    stop = {"type": "content_block_stop", "index": index}
    if not delta:
        return [{"type": "content_block_start", "index": index, "content_block": block}, stop]
    start = {"type": "content_block_start", "index": index, "content_block": {**block, name: ""}}
    said = {"type": "content_block_delta", "index": index, "delta": {"type": delta, name: block.get(name)}}
    return [start, said, stop]


def fit_thinking(body: dict[str, Any]) -> tuple[Loss, ...]:
    """Takes ``thinking`` out, in place, where a call that another host made is being answered: with it, Anthropic wants
    the turn of the call to begin with a thought of its own ("Expected `thinking`, but found `tool_use`").
    """
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled":
        return ()
    for message in reversed(body["messages"]):
        content = message["content"]
        kinds = [block["type"] for block in content] if isinstance(content, list) else []
        if message["role"] == "assistant":
            if "tool_use" not in kinds or kinds[0] in _THOUGHTS:
                return ()
            del body["thinking"]
            return (Loss("thinking", why="the call that was answered last came without its thoughts"),)
        if "tool_result" not in kinds:
            return ()
    return ()


def cap_native(body: dict[str, Any], cap: int) -> tuple[Loss, ...]:
    """Puts a cap in the place of the client's own, in place. A thinking budget has to stay below it."""
    body["max_tokens"] = cap
    thinking = body.get("thinking")
    if not isinstance(thinking, dict):
        return ()
    budget = thinking.get("budget_tokens")
    if type(budget) is not int or budget < cap:
        return ()
    if cap <= MIN_BUDGET_TOKENS:
        del body["thinking"]
        return (Loss("thinking", why="max_tokens leaves no room for thinking"),)
    lowered = max(cap * 4 // 5, MIN_BUDGET_TOKENS)
    body["thinking"] = {**thinking, "budget_tokens": lowered}
    return (Loss("thinking.budget_tokens", "changed", f"the budget is {lowered} tokens"),)
