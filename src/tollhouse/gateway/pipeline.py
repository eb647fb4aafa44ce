"""A chat completion, from the client's bytes to the upstream's and back: the whole path, top to bottom.

identify -> admit -> parse -> plan -> reserve -> attempt -> meter -> settle -> annotate -> reply

Each stage is one call below. What branches, branches here. The hold that `reserve` opens is resolved in the one
``finally`` of `_complete` and `_stream`, synchronously: no await stands between a client that disconnects, which
arrives as a cancellation, and the settlement of what it was given. What a client is shown is durable first: the hold
before the first byte of an answer, the charge before the last.
"""

import asyncio
import random
import re
import time
from typing import Any

from tollhouse.dialects.client import Account, ClientDialect, Identity, Writer
from tollhouse.errors import Fault, UpstreamFault
from tollhouse.gateway import router
from tollhouse.gateway.annotate import cost_header
from tollhouse.gateway.attempts import Attempts, OpenStream
from tollhouse.gateway.drains import drained
from tollhouse.gateway.fidelity import read_policy
from tollhouse.gateway.gate import Gate, Visit
from tollhouse.gateway.hosts import refuse_hosts
from tollhouse.gateway.idempotency import fingerprint
from tollhouse.gateway.meter import estimate_prompt, meter_reply, meter_stream
from tollhouse.gateway.needs import CHAT, chat_needs
from tollhouse.ledger.holds import Hold
from tollhouse.types.calls import ChatCall, Plan
from tollhouse.web.exchange import EVENTS, Exchange
from tollhouse.web.heads import json_body

_OPENAI_ID = re.compile(r"chatcmpl-[A-Za-z0-9_-]{1,64}")
_MOST_SECONDS = 1 << 33
_MARK_S = 1.0
"""How often a stream tells the ledger how far it has come; shorter ones never do."""


class ChatPipeline:
    """The endpoints that chat, each in its client's dialect."""

    def __init__(self, gate: Gate, client: ClientDialect) -> None:
        self._gate = gate
        self._client = client
        self._now = asyncio.get_event_loop().time

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`; `web` makes it JSON."""
        gate = self._gate
        principal, body = await gate.receive(exchange)
        visit = gate.admit(exchange, principal, CHAT)
        try:
            refuse_hosts(exchange.headers, exchange.query)
            call = self._client.read(body, exchange.rest.decode("latin-1"))
            policy = read_policy(exchange.headers, visit.snapshot.settings.routing.fidelity)
            exchange.release_body()
            plan = router.plan(visit.snapshot, call.model)
            work = self._serve(visit, call, plan, len(body), policy)
            if drained(plan):
                await gate.drains.run(exchange, work, visit.snapshot.settings.billing)
            else:
                await work
        except Fault as fault:
            visit.tell(fault)
            raise
        finally:
            visit.part()

    async def _serve(self, visit: Visit, call: ChatCall, plan: Plan, body_bytes: int, policy: str) -> None:
        try:
            if await visit.is_repeated(lambda: fingerprint(CHAT, call.body)):
                return
            hold = visit.reserve(plan, chat_needs(call, body_bytes))
            attempts = Attempts(visit.snapshot, hold.bids, self._gate.metrics, self._now)
            attempts.policy = policy
            visit.exchange.notes["attempts"] = attempts.log
            if call.stream:
                await self._stream(visit, call, hold, attempts)
            else:
                await self._complete(visit, call, hold, attempts)
        finally:
            visit.leave()

    async def _complete(self, visit: Visit, call: ChatCall, hold: Hold, attempts: Attempts) -> None:
        exchange, client = visit.exchange, self._client
        stands = False
        try:
            answer = await attempts.first(lambda bid: attempts.complete(call, bid))
            usage = meter_reply(answer.decoder.usage, call, answer.reply)
            cost_nusd = hold.settle(answer.bid, usage, attempts.records)
            visit.settled(usage)
            account = Account(usage, answer.decoder.usage, cost_nusd, visit.notes())
            if answer.native:
                reply = client.native_reply(answer.reply, call, account)
            else:
                reply = client.reply(answer.reply, call, identify_answer(answer.reply), account)
            body = json_body(reply)
            visit.record_end(body, "application/json")
            headers = attempts.headers(answer.target) + cost_header(cost_nusd) + visit.lease.headers()
            await hold.durable()
            stands = True
        except asyncio.CancelledError:  # the client has left: what its host had finished by then is its own
            stands = True
            raise
        finally:
            if hold.open:
                hold.release(attempts.records)
            elif not stands:
                hold.undo()
        exchange.notes["model"] = answer.target.id
        exchange.reply(200, body, headers)

    async def _stream(self, visit: Visit, call: ChatCall, hold: Hold, attempts: Attempts) -> None:
        exchange, snapshot, client = visit.exchange, visit.snapshot, self._client
        writer = client.writer(call, identify_answer({}))
        exchange.begin_stream(heartbeat=snapshot.heartbeat(writer))
        try:
            stream = await attempts.first(lambda bid: attempts.open(call, bid))
            whole = forgiven = False
            try:
                exchange.notes["model"] = stream.target.id
                await hold.durable()
                if stream.native:
                    writer = client.native_writer(call)
                elif not exchange.head_sent:  # no heartbeat has gone out under an id of ours
                    writer = client.writer(call, identify_answer(stream.chunks[0]))
                headers = attempts.headers(stream.target) + visit.lease.headers()
                exchange.begin_stream(headers, heartbeat=snapshot.heartbeat(writer))
                await self._relay(visit, call, hold, stream, writer)
                whole = True
            except UpstreamFault as fault:
                attempts.broke_off(stream.target, fault)
                forgiven = visit.forgives
                raise
            finally:
                stream.incoming.close()
                if whole or (writer.tokens() and not forgiven):
                    usage = meter_stream(stream.decoder.usage, call, writer, whole=whole)
                    cost_nusd = hold.settle(stream.bid, usage, attempts.records, interrupted=not whole)
                    visit.settled(usage)
        finally:
            if hold.open:
                hold.release(attempts.records)
        last = writer.finish(Account(usage, stream.decoder.usage, cost_nusd, visit.notes()))
        visit.record_end(last, EVENTS)
        await hold.durable()
        exchange.end(last)

    async def _relay(self, visit: Visit, call: ChatCall, hold: Hold, stream: OpenStream, writer: Writer) -> None:
        """The hot loop: all that one read of the upstream held leaves in one write."""
        exchange, decoder, incoming = visit.exchange, stream.decoder, stream.incoming
        now = self._now
        mark_at = now() + _MARK_S
        prompt_tokens = 0
        first = writer.encode(stream.chunks)
        visit.record(first)
        exchange.write(first)
        while not decoder.done:
            data = await incoming.next()
            chunks = decoder.feed(data) if data else decoder.finish()
            if chunks and (events := writer.encode(chunks)):
                visit.record(events)
                exchange.write(events)
                await exchange.flush()
                if now() >= mark_at:
                    prompt_tokens = prompt_tokens or estimate_prompt(call.body)
                    hold.progress(stream.bid, prompt_tokens, writer.tokens())
                    mark_at = now() + _MARK_S
            if not data:
                return
        decoder.finish()


def identify_answer(answer: dict[str, Any]) -> Identity:
    """The id and time of an answer: the upstream's own where they are as OpenAI's, for a provider's support asks for
    them and an embedded model derives them from its seed; else new ones.
    """
    given, created = answer.get("id"), answer.get("created")
    if type(given) is str and _OPENAI_ID.fullmatch(given) and type(created) is int and 0 < created < _MOST_SECONDS:
        return Identity(given, created)
    return Identity(mint_chat_id(), int(time.time()))


def mint_chat_id() -> str:
    """``chatcmpl-`` and 29 characters, as OpenAI's ids look. A name, not a secret: 116 bits of ordinary chance."""
    return f"chatcmpl-{random.getrandbits(116):029x}"
