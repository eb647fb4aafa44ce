"""A chat completion, from the client's bytes to the upstream's and back: the whole path, top to bottom.

identify -> admit -> parse -> plan -> reserve -> attempt -> meter -> settle -> reply

Each stage is one call below. What branches, branches here. The hold that `reserve` opens is resolved in the one
``finally`` of `_complete` and `_stream`, synchronously: no await stands between a client that disconnects, which
arrives as a cancellation, and the settlement of what it was given.
"""

import asyncio
import random
import re
import time
from typing import Any

from tollhouse.dialects.openai import ChatStream, normalise_reply
from tollhouse.dialects.usage import usage_object
from tollhouse.errors import UpstreamFault
from tollhouse.gateway import router
from tollhouse.gateway.admission import Admission
from tollhouse.gateway.attempts import Attempts, OpenStream
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.hosts import refuse_hosts
from tollhouse.gateway.meter import meter_reply, meter_stream
from tollhouse.ledger.holds import Hold, Ledger
from tollhouse.snapshot import Live, Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import ChatCall, Plan
from tollhouse.validate.chat import read_chat
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

_OPENAI_ID = re.compile(r"chatcmpl-[A-Za-z0-9_-]{1,64}")
_MOST_SECONDS = 1 << 33


class ChatPipeline:
    """POST /v1/chat/completions."""

    def __init__(self, live: Live, keyring: Keyring, admission: Admission, ledger: Ledger, metrics: Metrics) -> None:
        self._live = live
        self._keyring = keyring
        self._admission = admission
        self._ledger = ledger
        self._metrics = metrics
        self._now = asyncio.get_event_loop().time

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`; `web` makes it JSON."""
        snapshot = self._live.snapshot
        principal = self._keyring.identify(exchange.headers, exchange.client)
        exchange.notes["key"] = principal.key_id
        self._admission.admit(principal)
        try:
            refuse_hosts(exchange.headers, exchange.query)
            call = read_chat(await exchange.body())
            exchange.release_body()
            plan = router.plan(snapshot, call.model)
            hold = self._ledger.reserve(exchange.request_id, principal, plan)
            if call.stream:
                await self._stream(exchange, snapshot, call, hold)
            else:
                await self._complete(exchange, snapshot, call, hold)
        finally:
            self._admission.leave()

    async def _complete(self, exchange: Exchange, snapshot: Snapshot, call: ChatCall, hold: Hold) -> None:
        attempts = self._attempts(exchange, snapshot, hold.plan)
        try:
            answer = await attempts.first(lambda target: attempts.complete(call, target))
            usage = meter_reply(answer.decoder.usage, call, answer.reply)
            hold.settle(answer.target, usage)
        finally:
            if hold.open:
                hold.release()
        reply = normalise_reply(answer.reply, *identify_answer(answer.reply), call.model, metered=usage)
        exchange.notes["model"] = answer.target.id
        exchange.reply(200, json_body(reply), attempts.headers(answer.target, answer.dropped))

    async def _stream(self, exchange: Exchange, snapshot: Snapshot, call: ChatCall, hold: Hold) -> None:
        writer = ChatStream(*identify_answer({}), call.model, call.include_usage)
        attempts = self._attempts(exchange, snapshot, hold.plan)
        exchange.begin_stream(heartbeat=snapshot.heartbeat(writer))
        try:
            stream = await attempts.first(lambda target: attempts.open(call, target))
            exchange.notes["model"] = stream.target.id
            try:
                if not exchange.head_sent:  # no heartbeat has gone out under an id of ours
                    writer = ChatStream(*identify_answer(stream.chunks[0]), call.model, call.include_usage)
                headers = attempts.headers(stream.target, stream.dropped)
                exchange.begin_stream(headers, heartbeat=snapshot.heartbeat(writer))
                await _relay(exchange, stream, writer)
            except UpstreamFault as fault:
                attempts.broke_off(stream.target, fault)
                raise
            finally:
                stream.incoming.close()
                usage = meter_stream(stream.decoder.usage, call, writer)
                hold.settle(stream.target, usage)
        finally:
            if hold.open:
                hold.release()
        exchange.end(writer.finish(usage_object(usage, stream.decoder.usage)))

    def _attempts(self, exchange: Exchange, snapshot: Snapshot, plan: Plan) -> Attempts:
        attempts = Attempts(snapshot, plan, self._metrics, self._now)
        exchange.notes["attempts"] = attempts.log
        return attempts


async def _relay(exchange: Exchange, stream: OpenStream, writer: ChatStream) -> None:
    """The hot loop: all that one read of the upstream held leaves in one write."""
    decoder, incoming = stream.decoder, stream.incoming
    exchange.write(writer.encode(stream.chunks))
    while not decoder.done:
        data = await incoming.next()
        chunks = decoder.feed(data) if data else decoder.finish()
        if chunks and (events := writer.encode(chunks)):
            exchange.write(events)
            await exchange.flush()
        if not data:
            return
    decoder.finish()


def identify_answer(answer: dict[str, Any]) -> tuple[str, int]:
    """The id and time of an answer: the upstream's own where they are as OpenAI's, for a provider's support asks for
    them and an embedded model derives them from its seed; else new ones.
    """
    given, created = answer.get("id"), answer.get("created")
    if type(given) is str and _OPENAI_ID.fullmatch(given) and type(created) is int and 0 < created < _MOST_SECONDS:
        return given, created
    return mint_chat_id(), int(time.time())


def mint_chat_id() -> str:
    """``chatcmpl-`` and 29 characters, as OpenAI's ids look. A name, not a secret: 116 bits of ordinary chance."""
    return f"chatcmpl-{random.getrandbits(116):029x}"
