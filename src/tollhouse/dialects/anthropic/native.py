"""An answer of a host that speaks the client's own dialect, passed through: the model's name put back, the cost added.

`client` makes one `NativeStream` for each stream. The events stay as their host sent them; ``message_delta``, which
tells the usage, is held back until the cost is known. What the client was given is counted all the same, for a stream
that breaks off is charged by it.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.write import usage_counts
from tollhouse.dialects.anthropic.writer import PING, SLICE_CHARS, event
from tollhouse.dialects.client import Account
from tollhouse.dialects.tokens import TOKENS_PER_CALL, Tally
from tollhouse.dialects.usage import priced
from tollhouse.types.calls import ChatCall

_encode = msgspec.json.Encoder().encode
_TEXT = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")  # a tuple: a type may be unhashable
_TOLD = ("text", "thinking", "name")


def native_message(answer: dict[str, Any], call: ChatCall, account: Account) -> dict[str, Any]:
    """A whole ``message``. One without usage is given ours."""
    answer["model"] = call.model
    usage = answer.get("usage")
    answer["usage"] = priced(usage if type(usage) is dict else usage_counts(account.usage), account.cost_nusd)
    answer.update(account.notes)
    return answer


class NativeStream:
    """See `dialects.client.Writer`."""

    __slots__ = ("_announced", "_held", "_model", "_tally")

    def __init__(self, call: ChatCall) -> None:
        self._model = call.model
        self._held: dict[str, Any] | None = None
        """The last ``message_delta``."""
        self._announced = 0
        self._tally = Tally()

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """The events, ready for one write."""
        written: list[bytes] = []
        for chunk in chunks:
            name = chunk.get("type")
            if name == "content_block_delta":
                written += self._delta(chunk)
            elif type(name) is str and name.isidentifier():
                self._other(name, chunk, written)
        return written[0] if len(written) == 1 else b"".join(written)

    def _delta(self, chunk: dict[str, Any]) -> list[bytes]:
        """A piece of a block, in as many events as its text needs to fit into one line each."""
        delta = chunk.get("delta")
        if type(delta) is not dict or type(kind := delta.get("type")) is not str:
            return [event("content_block_delta", chunk)]
        field = _TEXT.get(kind)
        if field is None or type(text := delta.get(field)) is not str:
            return [event("content_block_delta", chunk)]
        self._tally.add(text)
        if len(text) <= SLICE_CHARS:
            return [event("content_block_delta", chunk)]
        pieces = [text[at : at + SLICE_CHARS] for at in range(0, len(text), SLICE_CHARS)]
        return [event("content_block_delta", {**chunk, "delta": {**delta, field: piece}}) for piece in pieces]

    def _other(self, name: str, chunk: dict[str, Any], written: list[bytes]) -> None:
        if name == "message_stop":
            return
        if self._held is not None and name != "ping":
            written.append(event("message_delta", self._held))
            self._held = None
        if name == "message_delta":
            self._held = chunk
            return
        if name == "message_start" and type(opening := chunk.get("message")) is dict:
            opening["model"] = self._model
        elif name == "content_block_start" and type(block := chunk.get("content_block")) is dict:
            self._announced += block.get("type") in _CALLS
            self._count(block)
        written.append(event(name, chunk))

    def _count(self, block: dict[str, Any]) -> None:
        for name in _TOLD:
            if type(text := block.get(name)) is str:
                self._tally.add(text)
        if type(given := block.get("input")) is dict and given:  # told whole
            self._tally.add(_encode(given).decode())

    def finish(self, account: Account) -> bytes:
        """The usage with its cost, and the end."""
        held = self._held or {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
        usage = held.get("usage")
        counted = usage if isinstance(usage, dict) else {"output_tokens": account.usage.completion}
        held = {**held, "usage": priced(counted, account.cost_nusd), **account.notes}
        return event("message_delta", held) + event("message_stop", {"type": "message_stop"})

    def heartbeat(self) -> bytes:
        """Anthropic's own event for it."""
        return PING

    def tokens(self) -> int:
        """About how many tokens the client has been given."""
        return self._tally.tokens() + TOKENS_PER_CALL * self._announced

    def sound_tokens(self) -> int:
        """None: this dialect has no sound."""
        return 0
