"""The body of a streamed answer in server-sent events, whatever they say; or one JSON object in their place.

The readers of Anthropic's streams inherit from `EventBody` and say what an event means. A host that ignored ``stream``
is known by the first byte, and its answer is cut into chunks.
"""

import msgspec

from tollhouse.dialects.answers import AnswerReader, Chunk, is_json
from tollhouse.dialects.sse import MAX_EVENT_BYTES, Event, EventParser
from tollhouse.dialects.whole_body import BLANK, WholeBody, is_events
from tollhouse.errors import UpstreamBadResponse

_DONE = b"[DONE]"
_decode = msgspec.json.Decoder().decode


class EventBody(AnswerReader):
    """One answer. A subclass has `_split`, `_take` and `_is_whole`."""

    __slots__ = ("_events", "_gathered", "_sniffed")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        super().__init__()
        self._events = EventParser(max_event_bytes)
        self._sniffed = False
        self._gathered: WholeBody | None = None

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
            self._gathered.add(data)
        elif self._sniff(data):
            self._take_all(self._events.feed(data), chunks)

    def _close(self, chunks: list[Chunk]) -> None:
        if self._gathered is not None:
            chunks += self._split(self._gathered.join())
            self.done = True
            return
        left = [event for event in self._events.finish() if is_json(event[0]) or event[0].strip() == _DONE]
        self._take_all(left, chunks)
        self.done = self.done or self._is_whole()

    def _sniff(self, data: bytes) -> bool:
        """Whether the body is an event stream, by its first byte; raises when it can be neither that nor JSON."""
        events = is_events(data)
        if events is None:
            self._events.feed(data)
        elif not events:
            self._gathered = WholeBody()
            self._gathered.add(data.lstrip(BLANK))
        self._sniffed = events is True
        return self._sniffed

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
