"""The body of a streamed answer in server-sent events, whatever they say; or one JSON object in their place.

The readers of Anthropic's streams inherit from `EventBody` and say what an event means. A host that ignored ``stream``
is known by the first byte, and its answer is cut into chunks.
"""

import msgspec

from tollhouse.dialects.answers import AnswerReader, Chunk, is_json
from tollhouse.dialects.sse import MAX_EVENT_BYTES, Event, EventParser
from tollhouse.errors import UpstreamBadResponse, UpstreamTooLarge

MAX_WHOLE_BYTES = 16 * 1024 * 1024
"""What a host may send where it answers a request for a stream with one JSON object."""
_BOM = b"\xef\xbb\xbf"
_EVENT_STARTS = (b"d", b"e", b"i", b"r", b":")
"""First bytes of ``data``, ``event``, ``id``, ``retry`` and of a comment."""
_DONE = b"[DONE]"
_decode = msgspec.json.Decoder().decode


class EventBody(AnswerReader):
    """One answer. A subclass has `_split`, `_take` and `_is_whole`."""

    __slots__ = ("_events", "_gathered", "_gathered_bytes", "_sniffed")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__()
        self._events = EventParser(max_event_bytes)
        self._sniffed = False
        self._gathered: list[bytes] | None = None
        self._gathered_bytes = 0

    def _split(self, body: bytes) -> list[Chunk]:
        """A whole answer as chunks, its usage noted."""
        raise NotImplementedError

    def _take(self, value: Chunk, name: bytes, chunks: list[Chunk]) -> None:
        """One event: appends what it says, and sets `done` at the last."""
        raise NotImplementedError

    def _is_whole(self) -> bool:
        """Whether an answer that ends here, without its last event, is complete all the same."""
        raise NotImplementedError

    def _read(self, data: bytes, chunks: list[Chunk]) -> None:
        if self._sniffed:
            self._take_all(self._events.feed(data), chunks)
        elif self._gathered is not None:
            self._gather(data)
        elif self._sniff(data):
            self._take_all(self._events.feed(data), chunks)

    def _close(self, chunks: list[Chunk]) -> None:
        if self._gathered is not None:
            chunks += self._split(b"".join(self._gathered))
            self.done = True
            return
        left = [event for event in self._events.finish() if is_json(event[0]) or event[0].strip() == _DONE]
        self._take_all(left, chunks)
        self.done = self.done or self._is_whole()

    def _sniff(self, data: bytes) -> bool:
        """Whether the body is an event stream, by its first byte; raises when it can be neither that nor JSON."""
        body = data.lstrip(b" \t\r\n" + _BOM)
        if not body:
            self._events.feed(data)
            return False
        if body.startswith(b"{"):
            self._gathered = []
            self._gather(body)
            return False
        if body[:1] not in _EVENT_STARTS:
            raise UpstreamBadResponse("The upstream answered with something that is not an event stream.")
        self._sniffed = True
        return True

    def _gather(self, data: bytes) -> None:
        self._gathered_bytes += len(data)
        if self._gathered is None or self._gathered_bytes > MAX_WHOLE_BYTES:
            raise UpstreamTooLarge(f"The upstream's answer is larger than {MAX_WHOLE_BYTES} bytes.")
        self._gathered.append(data)

    def _take_all(self, events: list[Event], chunks: list[Chunk]) -> None:
        for data, name in events:
            try:
                value = _decode(data)
            except (ValueError, RecursionError) as problem:
                if not data.strip() or (data.strip() == _DONE and self._is_whole()):
                    continue  # a keep-alive; OpenAI's end marker, which some compatible hosts add
                raise UpstreamBadResponse("The upstream sent an event that is not valid JSON.") from problem
            if type(value) is dict:
                self._take(value, name, chunks)
            elif value:
                raise UpstreamBadResponse("The upstream sent an event that is not a JSON object.")
            if self.done:
                return
