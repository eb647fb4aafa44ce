"""The other endpoints of OpenAI's API, passed on in the same dialect to hosts that have them.

The path is that of a chat completion, with less to translate: the body is validated and re-serialised with the
target's model name, the answer's ``model`` is put back to the one asked for, and everything else rides along. What
the endpoints are is the table `KINDS`; a new one is a row.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tollhouse.dialects.faults import fault_of_object
from tollhouse.dialects.sse import Event, EventParser
from tollhouse.errors import InvalidRequest, UpstreamBadResponse, UpstreamFault, UpstreamInterrupted
from tollhouse.gateway import router
from tollhouse.gateway.admission import Admission
from tollhouse.gateway.attempts import Attempts, decode_answer, without_secrets
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.hosts import refuse_hosts
from tollhouse.gateway.meter import meter_usage
from tollhouse.ledger.holds import Hold, Ledger
from tollhouse.snapshot import Live, Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.telemetry.redact import redact
from tollhouse.types.calls import Target, Usage
from tollhouse.types.wire import Incoming
from tollhouse.validate import multipart, relay
from tollhouse.web.exchange import EVENTS, Exchange
from tollhouse.web.heads import json_body

_JSON = "application/json"
_LAST = frozenset({"response.completed", "response.failed", "response.incomplete", "error"})
"""The event types after which a stream of the Responses API is over."""
_BINARY = ("audio/", "image/", "video/", "text/", "application/octet-stream", "application/x-subrip")


@dataclass(frozen=True, slots=True)
class Kind:
    """One endpoint. ``path`` is below ``/v1``; ``model`` is what is asked for where the client leaves it out, as
    OpenAI's reference has it.
    """

    path: str
    form: bool = False
    model: str | None = None
    ends: bool = False
    """Whether a whole stream says that it is: one that stops short of it has broken off."""


KINDS = (
    Kind("completions", ends=True),
    Kind("embeddings"),
    Kind("moderations", model="omni-moderation-latest"),
    Kind("responses", ends=True),
    Kind("images/generations", model="dall-e-2"),
    Kind("images/edits", form=True, model="dall-e-2"),
    Kind("images/variations", form=True, model="dall-e-2"),
    Kind("audio/speech"),
    Kind("audio/transcriptions", form=True),
    Kind("audio/translations", form=True),
)


@dataclass(frozen=True, slots=True)
class Relayed:
    """One call: the model it names, and its body for any target's model."""

    kind: Kind
    model: str
    content_type: str
    encode: Callable[[str], bytes]


class RelayPipeline:
    """POST to each of `KINDS`."""

    def __init__(self, live: Live, keyring: Keyring, admission: Admission, ledger: Ledger, metrics: Metrics) -> None:
        self._live = live
        self._keyring = keyring
        self._admission = admission
        self._ledger = ledger
        self._metrics = metrics
        self._now = asyncio.get_event_loop().time

    def handler(self, kind: Kind) -> "RelayEndpoint":
        """The endpoint of one kind."""
        return RelayEndpoint(self, kind)

    async def answer(self, exchange: Exchange, kind: Kind) -> None:
        """Answers one request. Raises `Fault`."""
        snapshot = self._live.snapshot
        principal = self._keyring.identify(exchange.headers, exchange.client)
        exchange.notes["key"] = principal.key_id
        self._admission.admit(principal)
        try:
            refuse_hosts(exchange.headers, exchange.query)
            call = _read(kind, exchange, await exchange.body())
            exchange.release_body()
            plan = router.plan(snapshot, call.model, kind.path)
            hold = self._ledger.reserve(exchange.request_id, principal, plan)
            await self._relay(exchange, snapshot, call, hold)
        finally:
            self._admission.leave()

    async def _relay(self, exchange: Exchange, snapshot: Snapshot, call: Relayed, hold: Hold) -> None:
        attempts = Attempts(snapshot, hold.plan, self._metrics, self._now)
        exchange.notes["attempts"] = attempts.log
        try:
            answer = await attempts.first(lambda target: _open(attempts, snapshot, call, target))
            exchange.notes["model"] = answer.target.id
            carried = Carried(call, answer, attempts.headers(answer.target))
            try:
                await carried.carry(exchange)
            except UpstreamFault as fault:
                attempts.broke_off(answer.target, fault)
                raise
            finally:
                answer.incoming.close()
                hold.settle(answer.target, carried.usage)
        finally:
            if hold.open:
                hold.release()


class RelayEndpoint:
    """The handler of one kind."""

    def __init__(self, pipeline: RelayPipeline, kind: Kind) -> None:
        self._pipeline = pipeline
        self._kind = kind

    async def __call__(self, exchange: Exchange) -> None:
        """See `Handler`."""
        await self._pipeline.answer(exchange, self._kind)


def _read(kind: Kind, exchange: Exchange, body: bytes) -> Relayed:
    """The validated call. Raises `InvalidRequest`."""
    if kind.form:
        content_type = exchange.headers.get(b"content-type", b"").decode("latin-1")
        upload = multipart.read_upload(kind.path, content_type, body)
        return Relayed(kind, _model(upload.model, kind), content_type, upload.form.with_model)
    call = relay.read_relay(kind.path, body)
    return Relayed(kind, _model(call.model, kind), _JSON, lambda model: json_body({**call.body, "model": model}))


def _model(named: str | None, kind: Kind) -> str:
    model = named or kind.model
    if model is None:
        raise InvalidRequest("you must provide a model parameter", param="model")
    return model


@dataclass(slots=True)
class Answer:
    """A good answer that has begun: all of it where it is JSON, else what came first."""

    target: Target
    incoming: Incoming
    media: str
    content_type: str
    value: Any = None
    data: bytes = b""
    events: list[Event] = field(default_factory=list)
    parser: EventParser = field(default_factory=EventParser)


async def _open(attempts: Attempts, snapshot: Snapshot, call: Relayed, target: Target) -> Answer:
    """One attempt, up to the first byte that the client may see. The caller closes ``incoming``."""
    provider = snapshot.providers[target.host.provider]
    outgoing = provider.encode_relay(call.kind.path, call.content_type, call.encode(target.model), target)
    incoming = await attempts.exchange(target, outgoing, snapshot.endpoint(target, call.kind.path))
    content_type = incoming.headers.get("content-type", "")
    answer = Answer(target, incoming, content_type.partition(";")[0].strip().lower(), content_type)
    opened = False
    try:
        await _begin(answer, snapshot.max_response_bytes)
        opened = True
    finally:
        if not opened:
            incoming.close()
    return answer


async def _begin(answer: Answer, max_bytes: int) -> None:
    """Reads what decides whether this host answers. Raises `UpstreamFault`."""
    incoming, media = answer.incoming, answer.media
    if media == _JSON:
        answer.value = decode_answer(await incoming.read(max_bytes))
        _refuse_error(answer.value)
    elif media == EVENTS:
        while not answer.events and (data := await incoming.next()):
            answer.events = answer.parser.feed(data)
        answer.events = answer.events or answer.parser.finish()
        if not answer.events:
            raise UpstreamBadResponse("The upstream's stream ended before it said anything.")
        if answer.events[0][0].startswith(b"{"):
            _refuse_error(decode_answer(answer.events[0][0]))
    elif media != "text/html" and media.startswith(_BINARY):
        answer.data = await incoming.next()
    else:
        raise UpstreamBadResponse("The upstream answered with a type of content that this endpoint does not have.")


def _refuse_error(value: Any) -> None:
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


class Carried:
    """An answer on its way to the client. ``usage`` is what it says it took."""

    def __init__(self, call: Relayed, answer: Answer, headers: str) -> None:
        self._model = call.model
        self._ended = not call.kind.ends
        self._answer = answer
        self._headers = headers
        self.usage = Usage()

    async def carry(self, exchange: Exchange) -> None:
        """JSON with its model's name put back, events one by one, anything else as it comes."""
        answer = self._answer
        headers = self._headers
        if answer.media == _JSON:
            exchange.reply(200, json_body(self._name(answer.value)), headers)
        elif answer.media == EVENTS:
            exchange.begin_stream(headers)
            await self._carry_events(exchange)
        else:
            exchange.begin_stream(headers, content_type=answer.content_type)
            data = answer.data
            while data:
                exchange.write(data)
                await exchange.flush()
                data = await answer.incoming.next()
            exchange.end()

    async def _carry_events(self, exchange: Exchange) -> None:
        answer = self._answer
        events = answer.events
        while True:
            if written := b"".join(map(self._event, events)):
                exchange.write(written)
                await exchange.flush()
            if not (data := await answer.incoming.next()):
                break
            events = answer.parser.feed(data)
        last = b"".join(map(self._event, answer.parser.finish()))
        if not self._ended:
            raise UpstreamInterrupted("The upstream's stream ended before it was complete.")
        exchange.end(last)

    def _event(self, event: Event) -> bytes:
        data, name = event
        if not data.strip():  # a keep-alive
            return b""
        if data == b"[DONE]":
            self._ended = True
        else:
            value = decode_answer(data)
            _refuse_error(value)
            self._ended = self._ended or _is_last(value)
            data = json_body(self._name(value))
        return b"event: %b\ndata: %b\n\n" % (name, data) if name else b"data: %b\n\n" % data

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
                self.usage = meter_usage(holder.get("usage")) or self.usage
                self._clear(holder.get("error"))
        if value.get("type") == "error":
            self._clear(value)
        return value

    def _clear(self, error: Any) -> None:
        if isinstance(error, dict) and isinstance(message := error.get("message"), str):
            error["message"] = redact(without_secrets(message, self._answer.target.host))
