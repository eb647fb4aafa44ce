"""The whole message that the events of a stream make: the other way round from `passing.split_message`. Pure.

`gateway.replaying` uses it for answers that were passed through as a stream and are asked for again as a whole.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.usage import merge_usage

_decode = msgspec.json.Decoder().decode
_TEXTS = {"text_delta": "text", "thinking_delta": "thinking"}


def join_message(events: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The message; None where the events make none, as where one of them is of a kind that is not known here."""
    message: dict[str, Any] | None = None
    blocks: dict[int, _Block] = {}
    usage: dict[str, Any] = {}
    for event in events:
        kind, index = event.get("type"), event.get("index")
        if index is not None and type(index) is not int:
            return None
        if kind == "message_start" and isinstance(opening := event.get("message"), dict):
            message = dict(opening)
            _merge(usage, opening)
        elif kind == "content_block_start" and isinstance(block := event.get("content_block"), dict):
            blocks[index or 0] = _Block(block)
        elif kind == "content_block_delta":
            if index not in blocks or not blocks[index or 0].add(event.get("delta")):
                return None
        elif kind == "message_delta" and message is not None:
            message |= {name: value for name, value in event.items() if name not in ("type", "delta", "usage")}
            message |= delta if isinstance(delta := event.get("delta"), dict) else {}
            _merge(usage, event)
    if message is None:
        return None
    message["content"] = [blocks[index].whole() for index in sorted(blocks)]
    return {**message, "usage": usage} if usage else message


def _merge(usage: dict[str, Any], holder: dict[str, Any]) -> None:
    if isinstance(said := holder.get("usage"), dict):
        merge_usage(usage, said)


class _Block:
    """One content block, so far."""

    __slots__ = ("_block", "_json")

    def __init__(self, block: dict[str, Any]) -> None:
        self._block = dict(block)
        self._json = ""

    def add(self, delta: Any) -> bool:
        """Takes a delta in; False where nothing is known of its kind."""
        kind = delta.get("type") if isinstance(delta, dict) else None
        block = self._block
        if kind in _TEXTS:
            name = _TEXTS[str(kind)]
            block[name] = str(block.get(name) or "") + str(delta.get(name) or "")
        elif kind == "input_json_delta":
            self._json += str(delta.get("partial_json") or "")
        elif kind == "signature_delta":
            block["signature"] = delta.get("signature")
        elif kind == "citations_delta":
            block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
        else:
            return False
        return True

    def whole(self) -> dict[str, Any]:
        """The block."""
        if not self._json:
            return self._block
        try:
            return {**self._block, "input": _decode(self._json)}
        except (ValueError, RecursionError):  # cut off at the cap: Anthropic's own whole answers have {} then
            return {**self._block, "input": {}}
