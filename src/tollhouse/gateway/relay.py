"""The other endpoints of OpenAI's API, passed on in the same dialect to hosts that have them.

The path is that of a chat completion, with less to translate: the body is validated and re-serialised with the
target's model name, the answer's ``model`` is put back to the one asked for, and everything else rides along. What
the endpoints are is the table `KINDS`; a new one is a row.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tollhouse.dialects.sse import Event, EventParser
from tollhouse.errors import InvalidRequest, ModelNotFound, UpstreamBadResponse
from tollhouse.gateway import router
from tollhouse.gateway.admission import Admission
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.meter import meter_usage
from tollhouse.ledger.holds import Hold, Ledger
from tollhouse.snapshot import Live, Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Target, Usage
from tollhouse.types.wire import Incoming
from tollhouse.validate import multipart, relay
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import header_line, json_body

_DECODER = msgspec.json.Decoder()
_JSON, _EVENTS = "application/json", "text/event-stream"
_BINARY = ("audio/", "image/", "video/", "text/", "application/octet-stream", "application/x-subrip")


@dataclass(frozen=True, slots=True)
class Kind:
    """One endpoint. ``path`` is below ``/v1``; ``model`` is what is asked for where the client leaves it out, as
    OpenAI's reference has it.
    """

    path: str
    form: bool = False
    model: str | None = None


KINDS = (
    Kind("completions"),
    Kind("embeddings"),
    Kind("moderations", model="omni-moderation-latest"),
    Kind("responses"),
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

    kind: str
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
        principal = self._keyring.identify(exchange.headers)
        exchange.notes["key"] = principal.key_id
        self._admission.admit(principal)
        try:
            call = _read(kind, exchange, await exchange.body())
            exchange.release_body()
            plan = router.plan(snapshot, call.model)
            hold = self._ledger.reserve(exchange.request_id, principal, plan)
            await self._relay(exchange, snapshot, call, hold)
        finally:
            self._admission.leave()

    async def _relay(self, exchange: Exchange, snapshot: Snapshot, call: Relayed, hold: Hold) -> None:
        attempts = Attempts(snapshot, hold.plan, self._metrics, self._now)
        exchange.notes["attempts"] = attempts.log
        try:
            target, incoming = await attempts.first(lambda target: _send(attempts, snapshot, call, target))
            exchange.notes["model"] = target.id
            carried = Carried(call.model, snapshot.max_response_bytes, header_line("x-tollhouse-target", target.id))
            try:
                await carried.carry(exchange, incoming)
            finally:
                incoming.close()
                hold.settle(target, carried.usage)
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
        return Relayed(kind.path, _model(upload.model, kind), content_type, upload.form.with_model)
    call = relay.read_relay(kind.path, body)
    return Relayed(kind.path, _model(call.model, kind), _JSON, lambda model: json_body({**call.body, "model": model}))


def _model(named: str | None, kind: Kind) -> str:
    model = named or kind.model
    if model is None:
        raise InvalidRequest("you must provide a model parameter", param="model")
    return model


async def _send(attempts: Attempts, snapshot: Snapshot, call: Relayed, target: Target) -> tuple[Target, Incoming]:
    """One attempt: the head of a good answer of a kind that is passed on."""
    connector = snapshot.endpoint(target, call.kind)
    if connector is None:
        raise ModelNotFound(f"The model '{call.model}' does not serve /v1/{call.kind}.", param="model")
    provider = snapshot.providers[target.host.provider]
    outgoing = provider.encode_relay(call.kind, call.content_type, call.encode(target.model), target)
    incoming = await attempts.exchange(target, outgoing, connector)
    media = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "text/html" or not media.startswith((_JSON, *_BINARY)):
        incoming.close()
        raise UpstreamBadResponse("The upstream answered with a type of content that this endpoint does not have.")
    return target, incoming


class Carried:
    """An answer on its way to the client. ``usage`` is what it says it took."""

    def __init__(self, model: str, max_bytes: int, headers: str) -> None:
        self._model = model
        self._max_bytes = max_bytes
        self._headers = headers
        self.usage = Usage()

    async def carry(self, exchange: Exchange, incoming: Incoming) -> None:
        """JSON with its model's name put back, events one by one, anything else as it comes."""
        content_type = incoming.headers.get("content-type", "")
        if content_type.startswith(_EVENTS):
            await self._carry_events(exchange, incoming)
        elif content_type.startswith(_JSON):
            value = _decode(await incoming.read(self._max_bytes))
            exchange.reply(200, json_body(self._name(value)), self._headers)
        else:
            exchange.begin_stream(self._headers, content_type=content_type)
            while data := await incoming.next():
                exchange.write(data)
                await exchange.flush()
            exchange.end()

    async def _carry_events(self, exchange: Exchange, incoming: Incoming) -> None:
        parser = EventParser()
        exchange.begin_stream(self._headers)
        while data := await incoming.next():
            if events := b"".join(map(self._event, parser.feed(data))):
                exchange.write(events)
                await exchange.flush()
        exchange.end(b"".join(map(self._event, parser.finish())))

    def _event(self, event: Event) -> bytes:
        data, name = event
        if data != b"[DONE]":
            data = json_body(self._name(_decode(data)))
        return b"event: %b\ndata: %b\n\n" % (name, data) if name else b"data: %b\n\n" % data

    def _name(self, value: Any) -> Any:
        """The value with the model's name that the client used, at the top and in a Responses event's snapshot."""
        if not isinstance(value, dict):
            return value
        for holder in (value, value.get("response")):
            if isinstance(holder, dict):
                if isinstance(holder.get("model"), str):
                    holder["model"] = self._model
                self.usage = meter_usage(holder.get("usage")) or self.usage
        return value


def _decode(data: bytes) -> Any:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamBadResponse("The upstream's answer is not JSON.") from error
