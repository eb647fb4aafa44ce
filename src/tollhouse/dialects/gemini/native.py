"""A client's own generateContent, passed through to a host that speaks it too.

`providers.gemini` and `providers.vertex` call it where `providers.protocol.passes`. Nothing of the request is touched
but what the gateway answers for: the cap, and the model, which stands in the path. Nothing of the answer is touched at
all; usage, errors and the end are read off it.
"""

from collections.abc import Mapping
from typing import Any

from tollhouse.dialects.answers import Chunk
from tollhouse.dialects.gemini.decode import EventReader, objects_of
from tollhouse.errors import UpstreamBadResponse

_CONFIG = ("generationConfig", "generation_config")
_CAP = ("maxOutputTokens", "max_output_tokens")


def native_body(native: Mapping[str, Any], cap: int | None) -> dict[str, Any]:
    """The request to send. Google's hosts take every name in either case; the client's own spelling is kept."""
    body = {name: value for name, value in native.items() if name != "model"}
    if cap is None:
        return body
    place = next((name for name in _CONFIG if isinstance(body.get(name), dict)), _CONFIG[0])
    config = {name: value for name, value in (body.get(place) or {}).items() if name not in _CAP}
    body[place] = {**config, _CAP[0]: cap}
    return body


class NativeReader(EventReader):
    """One answer as the host's own objects. See `protocol.ChatDecoder`."""

    __slots__ = ("_began", "_blocked", "_ended")

    def __init__(self, max_event_bytes: int) -> None:
        super().__init__(max_event_bytes)
        self._began: set[int] = set()
        self._ended: set[int] = set()
        self._blocked = False

    def reply(self, body: bytes) -> Chunk:
        """A whole answer. See `protocol.ChatDecoder`."""
        whole = objects_of(body)[0]
        self._open(whole)
        self._take(whole)
        if not self._began and not self._blocked:
            raise UpstreamBadResponse("The upstream's answer is empty.")
        return whole

    def commits(self, chunk: Chunk) -> bool:
        """Whether an event holds a part of the answer, or its end."""
        for candidate in chunk.get("candidates") or ():
            content = candidate.get("content")
            if candidate.get("finishReason") or (type(content) is dict and content.get("parts")):
                return True
        return _is_blocked(chunk)

    def _take(self, value: dict[str, Any]) -> Chunk | None:
        candidates = value.get("candidates") or []
        if type(candidates) is not list or any(type(one) is not dict for one in candidates):
            raise UpstreamBadResponse("The upstream's answer has candidates that are not objects.")
        for position, candidate in enumerate(candidates):
            index = candidate.get("index", position)
            place = index if type(index) is int else position
            self._began.add(place)
            if candidate.get("finishReason"):
                self._ended.add(place)
        self._blocked = self._blocked or _is_blocked(value)
        return value

    def _end(self, chunks: list[Chunk]) -> None:
        del chunks
        self.done = self._blocked or (bool(self._began) and self._began == self._ended)

    def _split(self, body: bytes) -> list[Chunk]:
        values = objects_of(body)
        for value in values:
            self._open(value)
            self._take(value)
        if not self._began and not self._blocked:
            raise UpstreamBadResponse("The upstream's answer is empty.")
        return values


def _is_blocked(value: dict[str, Any]) -> bool:
    feedback = value.get("promptFeedback")
    return type(feedback) is dict and bool(feedback.get("blockReason"))
