"""An answer of a relayed endpoint on its way to the client, whatever its form. `gateway.relay` drives it: `carry`
passes on what may go, `close` makes the last bytes with what it cost, `send_last` sends them.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from tollhouse.dialects.faults import fault_of_object
from tollhouse.dialects.sse import Event, EventParser
from tollhouse.dialects.usage import strip_usage
from tollhouse.errors import UpstreamInterrupted
from tollhouse.gateway.annotate import annotate_events, annotate_reply, cost_header
from tollhouse.gateway.gate import Visit
from tollhouse.gateway.relay_meter import RelayMeter
from tollhouse.gateway.relay_watch import RelayWatch, UnwatchedRelay
from tollhouse.gateway.trial import decode_answer, without_secrets
from tollhouse.ledger.prices import Bid
from tollhouse.telemetry.redact import redact
from tollhouse.types.calls import Target
from tollhouse.types.wire import Incoming
from tollhouse.web.exchange import EVENTS, Exchange
from tollhouse.web.heads import json_body

JSON = "application/json"
MARK_S = 1.0
"""How often a stream tells the ledger how far it has come; shorter ones never do."""
_DONE = b"[DONE]"
_FAILED = frozenset({"response.failed", "error"})
_LAST = frozenset({"response.completed", "response.incomplete"}) | _FAILED
"""The event types after which a stream of the Responses API is over."""


@dataclass(slots=True)
class Answer:
    """A good answer that has begun: all of it where it is JSON, else what came first."""

    bid: Bid
    target: Target
    incoming: Incoming
    media: str
    content_type: str
    value: Any = None
    data: bytes = b""
    events: list[Event] = field(default_factory=list)
    parser: EventParser = field(default_factory=EventParser)

    def discard(self) -> None:
        """Hangs up: another answer was faster."""
        self.incoming.close()


def refuse_error(value: Any) -> None:
    """Raises the fault of an object that is nothing but an error: an answer has an ``object``, or no error."""
    if isinstance(value, dict) and "object" not in value and (error := value.get("error")):
        raise fault_of_object(error)


def _is_last(value: Any) -> bool:
    """Whether an event says that all has been said: by its type, or by a finish reason."""
    if not isinstance(value, dict):
        return False
    choices = value.get("choices")
    said = isinstance(choices, list) and any(isinstance(one, dict) and one.get("finish_reason") for one in choices)
    return said or value.get("type") in _LAST


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the client is to be given."""

    model: str
    """The name that it used."""
    ends: bool
    """Whether a whole stream says that it is."""
    hides_usage: bool
    """Whether usage in a stream is there for us alone."""


class Carried:
    """An answer on its way to the client. What comes last is held back until it is paid for: `carry`, then `close` with
    what it cost, then `send_last`. ``delivered`` is whether the client has been given any of it, ``made`` whether all
    of it is here before any is given, ``failed`` whether the host says in an answer of the right form that it has none.
    """

    def __init__(
        self, answer: Answer, visit: Visit, meter: RelayMeter, watch: RelayWatch | UnwatchedRelay, wanted: Wanted
    ) -> None:
        self._hide_usage = wanted.hides_usage
        self._model = wanted.model
        self._meter = meter
        self._watch = watch
        self._ends = wanted.ends
        self._ended = not wanted.ends
        self._answer = answer
        self._visit = visit
        self._headers = ""
        self._last: list[tuple[bytes, Any]] = []
        self._last_bytes = b""
        self._mark_at = time.monotonic() + MARK_S
        self.delivered = self.made = self.failed = False

    @property
    def given(self) -> bool:
        """Whether the client has been given any of what it pays for: an event may say no more than that one begins."""
        return self.delivered and (self._meter.said or not self._ends or self._answer.media != EVENTS)

    async def carry(self, headers: str) -> None:
        """JSON with its model's name put back, events one by one, anything else as it comes."""
        answer, exchange = self._answer, self._visit.exchange
        self._headers = headers
        if answer.media == JSON:
            self._meter.see(answer.value)
            self.failed = isinstance(answer.value, dict) and answer.value.get("status") == "failed"
            self.made = True
            answer.value = self._name(await self._watch.hear_answer(answer.value))
        elif answer.media == EVENTS:
            exchange.begin_stream(self._headers)
            await self._carry_events(exchange)
        else:
            exchange.begin_stream(self._headers, content_type=answer.content_type)
            data = answer.data
            while data:
                self._meter.hear(data)
                self._write(exchange, data)
                await exchange.flush()
                data = await answer.incoming.next()
        if not self.made:
            await self._watch.end()

    def close(self, cost_nusd: int) -> None:
        """Makes the last bytes, with the figures that an answer carries."""
        said = self._watch.notes(self._visit.notes())
        media = self._answer.media
        if media == JSON:
            value = self._answer.value
            if isinstance(value, dict):
                annotate_reply(value, cost_nusd, said)
            self._headers += cost_header(cost_nusd)
            self._last_bytes = json_body(value)
        elif media == EVENTS:
            last = [value for _, value in self._last if isinstance(value, dict)]
            self._watch.tell(last)
            annotate_events(last, cost_nusd, said)
            self._last_bytes = b"".join([_event(name, value) for name, value in self._last])
        self._visit.record_end(self._last_bytes, self._answer.content_type)

    def send_last(self) -> None:
        """Sends them."""
        exchange = self._visit.exchange
        if self._answer.media == JSON:
            exchange.reply(200, self._last_bytes, self._headers)
        else:
            exchange.end(self._last_bytes)

    def _write(self, exchange: Exchange, data: bytes) -> None:
        self._visit.record(data)
        exchange.write(data)
        self.delivered = True
        if (now := time.monotonic()) >= self._mark_at and (hold := self._visit.hold) is not None:
            usage = self._meter.usage()
            hold.progress(self._answer.bid, usage.prompt, usage.completion)
            self._mark_at = now + MARK_S

    async def _carry_events(self, exchange: Exchange) -> None:
        answer = self._answer
        events = answer.events
        while True:
            if written := b"".join([_event(name, value) for name, value in self._read(events)]):
                self._write(exchange, written)
                await exchange.flush()
            if not (data := await answer.incoming.next()):
                break
            events = answer.parser.feed(data)
        self._last += self._read(answer.parser.finish())
        if not self._ended:
            raise UpstreamInterrupted("The upstream's stream ended before it was complete.")

    def _read(self, events: list[Event]) -> list[tuple[bytes, Any]]:
        """The events that may go on now; those from the end on are kept."""
        ready: list[tuple[bytes, Any]] = []
        for data, name in events:
            if not data.strip():  # a keep-alive
                continue
            value: Any = _DONE
            if data != _DONE:
                value = decode_answer(data)
                refuse_error(value)
                self._meter.see(value)
                if isinstance(value, dict):
                    self._watch.hear_event(value)
                value = self._name(value)
                if self._hide_usage and isinstance(value, dict) and not strip_usage(value):
                    continue
            last = value is _DONE or _is_last(value)
            self.failed = self.failed or (last and value is not _DONE and value.get("type") in _FAILED)
            self._ended = self._ended or last
            after = bool(self._last) and not (isinstance(value, dict) and value.get("choices"))
            (self._last if self._ends and (last or after) else ready).append((name, value))
        return ready

    def _name(self, value: Any) -> Any:
        """The value with the model's name that the client used, at the top and in a Responses event's snapshot; what a
        host says of an error there is cleared of credentials.
        """
        if not isinstance(value, dict):
            return value
        for holder in (value, value.get("response")):
            if isinstance(holder, dict):
                if isinstance(holder.get("model"), str):
                    holder["model"] = self._model
                self._clear(holder.get("error"))
        if value.get("type") == "error":
            self._clear(value)
        return value

    def _clear(self, error: Any) -> None:
        if isinstance(error, dict) and isinstance(message := error.get("message"), str):
            error["message"] = redact(without_secrets(message, self._answer.target.host))


def _event(name: bytes, value: Any) -> bytes:
    data = value if value is _DONE else json_body(value)
    return b"event: %b\ndata: %b\n\n" % (name, data) if name else b"data: %b\n\n" % data
