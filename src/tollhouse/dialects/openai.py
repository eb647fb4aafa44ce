"""OpenAI's chat surface as clients see it: our side of a stream, and the identity of answers.

`gateway.pipeline` makes one `ChatStream` for each streamed call and writes what it gives, whole events at a time.

Theory of operation
-------------------
Clients read streams with parsers that were only ever tried on OpenAI's own. What they have in common is kept here,
whatever the upstream sent: one id, created and model; ``role`` with empty content in the first delta of a choice and
never again; every choice with ``index`` and ``delta``; tool calls as `tools` has it; one terminal finish reason for each
choice, in an empty delta, as the last thing said of it; no ``error`` or ``usage`` that was not asked for; one ``data``
line for each event, of at most 64 KiB where it is text that makes it long.

Nearly every chunk is text for a choice that is open already: such a chunk is given our identity and encoded, nothing
more. The finish reason is held back until the stream ends, because hosts go on after it: with a second one, with
annotations, with a tool call that changes what the right reason is.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tollhouse.dialects.finish import finish_reason
from tollhouse.dialects.replies import normalise_reply, split_reply
from tollhouse.dialects.tokens import Tally
from tollhouse.dialects.tools import ToolCalls
from tollhouse.dialects.usage import tidy_usage
from tollhouse.errors import UpstreamBadResponse

__all__ = ["ChatStream", "mint_chat_id", "normalise_reply", "split_reply"]

MAX_LINE_BYTES = 64 * 1024
_SLICE_CHARS = 8 * 1024
"""JSON takes at most six bytes for a character, so a slice and its envelope stay under the line limit."""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID_CHARS = 29
_encode = msgspec.json.Encoder().encode


def mint_chat_id(random: bytes) -> str:
    """``chatcmpl-`` and 29 alphanumerics, as OpenAI's ids look. Needs 22 random bytes (29 characters are 173 bits)."""
    number = int.from_bytes(random)
    characters = []
    for _ in range(_ID_CHARS):
        number, place = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[place])
    return "chatcmpl-" + "".join(characters)


class _Choice:
    """What the client has been told of one choice."""

    __slots__ = ("calls", "extras", "legacy_call", "reason")

    def __init__(self) -> None:
        self.calls: ToolCalls | None = None
        self.legacy_call = False
        self.reason: object = None
        self.extras: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
        """Members of the chunk and of the choice that came with the finish reason alone."""


class ChatStream:
    """One streamed answer, as bytes. It takes the chunks over: the dicts given to `encode` are changed."""

    __slots__ = ("_choices", "_identity", "_ordinary", "_usage_asked", "tally")

    def __init__(self, stream_id: str, created: int, model: str, include_usage: bool) -> None:
        self._identity = {"id": stream_id, "object": "chat.completion.chunk", "created": created, "model": model}
        self._ordinary: dict[str, Any] = {**self._identity, "usage": None} if include_usage else self._identity
        """What every ordinary chunk carries; OpenAI sends ``usage: null`` where usage will come."""
        self._usage_asked = include_usage
        self._choices: dict[int, _Choice] = {}
        self.tally = Tally()
        """The text given to the client so far, for the estimate where the host reports no usage."""

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """The events of these chunks, ready for one write; empty when they tell the client nothing yet.

        Raises `UpstreamBadResponse` for what JSON cannot carry.
        """
        ordinary, choices, add = self._ordinary, self._choices, self.tally.add
        lines: list[bytes] = []
        for chunk in chunks:
            held = chunk["choices"]
            if len(held) == 1:
                choice = held[0]
                delta = choice["delta"]
                content = delta.get("content")
                if (
                    content
                    and choice["finish_reason"] is None
                    and choice["index"] in choices
                    and len(delta) == 1
                    and len(content) <= _SLICE_CHARS
                ):
                    add(content)
                    chunk.update(ordinary)
                    lines.append(_event(chunk))
                    continue
            lines += map(_event, self._canonical(chunk))
        return b"".join(lines)

    def finish(self, usage: dict[str, Any] | None) -> bytes:
        """The end: what each choice still owes, the usage if it was asked for, and ``[DONE]``."""
        if not self._choices:
            self._open(0)
        lines: list[bytes] = []
        if not self._choices:
            lines.append(self._opener(0))
        for index in sorted(self._choices):
            lines += map(_event, self._ending(index, self._choices[index]))
        if self._usage_asked:
            counted = tidy_usage(usage if usage is not None else {"completion_tokens": self.tally.tokens()})
            lines.append(_event({**self._identity, "choices": [], "usage": counted}))
        lines.append(b"data: [DONE]\n\n")
        return b"".join(lines)
