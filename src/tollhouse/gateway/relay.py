"""The other endpoints of OpenAI's API, passed on in the same dialect to hosts that have them.

The path is that of a chat completion, with less to translate: the body is validated and re-serialised with the
target's model name, the answer's ``model`` is put back to the one asked for, and everything else rides along. What
the endpoints are is the table `KINDS`; a new one is a row. A prompt is judged and an answer heard on the way, as in
chat (`relay_watch`).
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tollhouse.dialects.faults import fault_of_object
from tollhouse.dialects.sse import EventParser
from tollhouse.dialects.usage import ask_for_usage, usage_asked
from tollhouse.errors import (
    Fault,
    InvalidRequest,
    StorageUnavailable,
    UpstreamBadResponse,
    UpstreamFault,
)
from tollhouse.gateway import router
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.carried import JSON, Answer, Carried, Wanted, refuse_error
from tollhouse.gateway.drains import drained
from tollhouse.gateway.gate import Gate, Visit
from tollhouse.gateway.hosts import refuse_chosen_host
from tollhouse.gateway.idempotency import fingerprint, fingerprint_form
from tollhouse.gateway.needs import Needs, cap_body, form_needs, relay_needs
from tollhouse.gateway.relay_meter import RelayMeter
from tollhouse.gateway.relay_watch import RelayWatch, UnwatchedRelay, begin_relay_watch
from tollhouse.gateway.router import Choice
from tollhouse.gateway.trial import Trial, decode_answer
from tollhouse.ledger.holds import Hold
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import RelayCall, Target
from tollhouse.validate import multipart, relay
from tollhouse.validate.multipart import FormCall
from tollhouse.web.exchange import EVENTS, Exchange
from tollhouse.web.heads import json_body

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
    asks_usage: bool = False
    """Whether a stream states its usage only where ``stream_options`` ask for it."""


KINDS = (
    Kind("completions", ends=True, asks_usage=True),
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
    """One call: the model it names, what it may take, and what is asked."""

    kind: Kind
    model: str
    content_type: str
    needs: Needs
    asked: RelayCall | FormCall
    fingerprint: Callable[[], bytes]

    @property
    def body(self) -> Mapping[str, Any]:
        """The JSON of the call; empty for a form."""
        return self.asked.body if isinstance(self.asked, RelayCall) else {}

    def encode(self, target: Target, cap: int | None) -> bytes:
        """The body for one target."""
        if isinstance(self.asked, RelayCall):
            return _encode(self.kind, self.asked, target, cap)
        return self.asked.form.with_model(target.model)

    def reworded(self, asked: RelayCall | FormCall) -> "Relayed":
        """The same call in other words."""
        return self if asked is self.asked else replace(self, asked=asked, needs=_needs(asked))


class RelayPipeline:
    """POST to each of `KINDS`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._now = asyncio.get_event_loop().time

    def handler(self, kind: Kind) -> "RelayEndpoint":
        """The endpoint of one kind."""
        return RelayEndpoint(self, kind)

    async def answer(self, exchange: Exchange, kind: Kind) -> None:
        """Answers one request. Raises `Fault`."""
        gate = self._gate
        principal, body = await gate.receive(exchange)
        visit = gate.admit(exchange, principal, kind.path)
        try:
            refuse_chosen_host(exchange)
            call = _read(kind, exchange, body)
            exchange.release_body()
            seed = random.getrandbits(64)
            health = gate.live.health
            choice = router.choose_endpoint(visit.snapshot, health, call.model, kind.path, self._now(), seed)
            work = self._serve(visit, call, choice)
            if drained(choice.plan):
                await gate.drains.run(exchange, work, visit.snapshot.settings.billing)
            else:
                await work
        except Fault as fault:
            visit.tell(fault)
            raise
        finally:
            visit.part()

    async def _serve(self, visit: Visit, call: Relayed, choice: Choice) -> None:
        gate = self._gate
        watch = begin_relay_watch(gate.safety, visit, choice.policy.safety, call.kind.path)
        try:
            if await visit.is_repeated(call.fingerprint):
                return
            call = call.reworded(await watch.read_relayed(call.asked))
            hold = visit.reserve(choice.plan, call.needs)
            await watch.admit(hold)
            attempts = Attempts(visit.snapshot, hold.bids, gate.live.health, gate.metrics, self._now)
            attempts.follow(choice.policy, "report", stream=False)
            await self._relay(_Work(visit, call, hold, attempts, watch))
        finally:
            watch.close()
            visit.leave()

    async def _relay(self, work: "_Work") -> None:
        visit, call, hold, attempts, watch = work.visit, work.call, work.hold, work.attempts, work.watch
        exchange = visit.exchange
        exchange.notes["attempts"] = attempts.log
        cost_nusd = 0
        try:
            answer = await attempts.first(lambda trial: _open(trial, visit.snapshot, call, whole=watch.whole))
            exchange.notes["model"] = answer.target.id
            meter = RelayMeter(call.needs, call.body)
            kind = call.kind
            hidden = kind.asks_usage and not usage_asked(call.body)
            carried = Carried(answer, visit, meter, watch, Wanted(call.model, ends=kind.ends, hides_usage=hidden))
            whole = forgiven = False
            try:
                await hold.durable()
                await carried.carry(attempts.headers() + visit.lease.headers())
                whole = True
            except UpstreamFault as fault:
                attempts.broke_off(fault)
                forgiven = visit.forgives
                raise
            finally:
                answer.incoming.close()
                attempts.close()
                whole = (whole or carried.made) and not carried.failed
                if whole or (carried.given and not forgiven):
                    watch.write_down(hold)
                    usage = meter.usage(whole=whole)
                    records = watch.records + attempts.records
                    cost_nusd = hold.settle(answer.bid, usage, records, interrupted=not whole)
                    visit.settled(usage)
        finally:
            if hold.open:
                watch.write_down(hold)
                hold.release(watch.records + attempts.records)
        carried.close(cost_nusd)
        try:
            await hold.durable()
        except StorageUnavailable:
            if not carried.delivered:
                hold.undo()
            raise
        carried.send_last()


@dataclass(frozen=True, slots=True)
class _Work:
    """One call that is being served."""

    visit: Visit
    call: Relayed
    hold: Hold
    attempts: Attempts
    watch: RelayWatch | UnwatchedRelay


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
    path = kind.path
    if kind.form:
        content_type = exchange.headers.get(b"content-type", b"").decode("latin-1")
        upload = multipart.read_upload(path, content_type, body)
        return Relayed(
            kind,
            _model(upload.model, kind),
            content_type,
            form_needs(upload),
            upload,
            lambda: fingerprint_form(path, upload.form.boundary, body),
        )
    call = relay.read_relay(path, body)
    return Relayed(
        kind,
        _model(call.model, kind),
        JSON,
        relay_needs(path, call.body, len(body)),
        call,
        lambda: fingerprint(path, call.body),
    )


def _needs(asked: RelayCall | FormCall) -> Needs:
    """What a call may take."""
    return form_needs(asked) if isinstance(asked, FormCall) else relay_needs(asked.kind, asked.body)


def _encode(kind: Kind, call: RelayCall, target: Target, cap: int | None) -> bytes:
    """The body for one target. A stream that states usage only where it is asked for is asked for it."""
    body = {**cap_body(kind.path, call.body, cap), "model": target.model}
    if call.stream and kind.asks_usage:
        ask_for_usage(body, target.host.quirks)
    return json_body(body)


def _model(named: str | None, kind: Kind) -> str:
    model = named or kind.model
    if model is None:
        raise InvalidRequest("you must provide a model parameter", param="model")
    return model


async def _open(trial: Trial, snapshot: Snapshot, call: Relayed, *, whole: bool) -> Answer:
    """One attempt, up to the first byte that the client may see. ``whole``: only JSON will do. The caller closes
    ``incoming``.
    """
    bid, target = trial.bid, trial.target
    provider = snapshot.providers[target.host.provider]
    outgoing = provider.encode_relay(call.kind.path, call.content_type, call.encode(target, bid.output_cap), target)
    incoming = await trial.exchange(outgoing, snapshot.endpoint(target, call.kind.path))
    content_type = incoming.headers.get("content-type", "")
    media = content_type.partition(";")[0].strip().lower()
    answer = Answer(bid, target, incoming, media, content_type, parser=EventParser(target.host.max_event_bytes))
    opened = False
    try:
        if whole and media != JSON:
            raise UpstreamBadResponse("The upstream's answer is not JSON, as the safety policy needs it to be.")
        await _begin(answer, snapshot.max_response_bytes)
        opened = True
    finally:
        if not opened:
            incoming.close()
    return answer


async def _begin(answer: Answer, max_bytes: int) -> None:
    """Reads what decides whether this host answers. Raises `UpstreamFault`."""
    incoming, media = answer.incoming, answer.media
    if media == JSON:
        answer.value = decode_answer(await incoming.read(max_bytes))
        if not isinstance(answer.value, dict):
            raise UpstreamBadResponse("The upstream's answer is not a JSON object.")
        refuse_error(answer.value)
    elif media == EVENTS:
        while not answer.events and (data := await incoming.next()):
            answer.events = answer.parser.feed(data)
        answer.events = answer.events or answer.parser.finish()
        if not answer.events:
            raise UpstreamBadResponse("The upstream's stream ended before it said anything.")
        if answer.events[0][0].startswith(b"{"):
            refuse_error(first := decode_answer(answer.events[0][0]))
            if first.get("type") == "error":  # the Responses API's own form, which may also come later
                raise fault_of_object(first)
    elif media != "text/html" and media.startswith(_BINARY):
        answer.data = await incoming.next()
    else:
        raise UpstreamBadResponse("The upstream answered with a type of content that this endpoint does not have.")
