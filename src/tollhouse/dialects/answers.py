"""The outside of a decoder: what `providers.protocol.ChatDecoder` asks of every one, whatever its host speaks.

Every reader but OpenAI's own is made of it: they say how bytes become chunks, and this keeps the rules about faults. A
fault that follows chunks of the same read waits for the next call, so that where reads are cut changes nothing; a
stream that ends before its last word is `UpstreamInterrupted`.
"""

from typing import Any

import msgspec

from tollhouse.dialects.replies import says_something
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamInterrupted

Chunk = dict[str, Any]
_decode = msgspec.json.Decoder().decode


class AnswerReader:
    """One answer. A subclass has `_read` and `_close`, which append chunks and set `done` at the last word."""

    __slots__ = ("_fault", "done", "usage")

    def __init__(self) -> None:
        self.usage: dict[str, Any] | None = None
        self.done = False
        self._fault: UpstreamFault | None = None

    def commits(self, chunk: Chunk) -> bool:
        """Whether a chunk says something."""
        return says_something(chunk)

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that these bytes complete. See `protocol.ChatDecoder`."""
        if self._fault is not None:
            raise self._fault
        chunks: list[Chunk] = []
        if self.done:
            return chunks
        try:
            self._read(data, chunks)
        except UpstreamFault as fault:
            self._fault, self.done = fault, True
            if not chunks:
                raise
        return chunks

    def finish(self) -> list[Chunk]:
        """The rest, at the end of the body. Raises `UpstreamInterrupted` when the answer is not whole."""
        if self._fault is not None:
            raise self._fault
        chunks: list[Chunk] = []
        if not self.done:
            self._close(chunks)
            if not self.done:
                raise UpstreamInterrupted("The upstream's answer ended before it was complete.")
        return chunks

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        """Takes bytes in."""
        raise NotImplementedError

    def _close(self, chunks: list[Chunk]) -> None:
        """Takes what the end of the body completes."""
        raise NotImplementedError


def chunk_of(delta: dict[str, Any], reason: str | None = None, **more: Any) -> Chunk:
    """A chunk of the one choice there is; ``more`` are further members of the choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason, **more}]}


def is_json(data: bytes) -> bool:
    """Whether the last piece of a body is whole, or only the beginning of something."""
    try:
        _decode(data)
    except (ValueError, RecursionError):
        return False
    return True


def member(holder: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object at a path, empty where there is none. Raises `UpstreamBadResponse` for what is no object."""
    value: Any = holder
    for name in names:
        value = value.get(name)
        if value is None:
            return {}
        if type(value) is not dict:
            raise UpstreamBadResponse(f"The upstream's answer has a {name} that is not an object.")
    return value  # type: ignore[no-any-return]


def text(holder: dict[str, Any], name: str) -> str:
    """A text, empty where there is none. Raises `UpstreamBadResponse` for what is no text."""
    value = holder.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise UpstreamBadResponse(f"The upstream's answer has a {name} that is not text.")
    return value


def objects(holder: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects, or one object that stands for itself. Raises `UpstreamBadResponse` for anything else."""
    value = holder.get(name)
    if value is None:
        return []
    items = value if type(value) is list else [value]
    if any(type(item) is not dict for item in items):
        raise UpstreamBadResponse(f"The upstream's answer has {name} that are not objects.")
    return items
