"""A chat completion, from the client's bytes to the upstream's and back: the whole path, top to bottom.

identify -> admit -> parse -> plan -> judge -> reserve -> attempt -> meter -> settle -> annotate -> reply

Each stage is one call below. What branches, branches here. The hold that `reserve` opens is resolved in the one
``finally`` of `_complete` and `_stream`, synchronously: no await stands between a client that disconnects, which
arrives as a cancellation, and the settlement of what it was given. What a client is shown is durable first: the hold
before the first byte of an answer, the charge before the last.
"""

import asyncio
import random
import re
import time
from collections.abc import Awaitable
from functools import partial
from typing import Any, Final

from tollhouse.dialects.client import Account, ClientDialect, Identity, Writer
from tollhouse.errors import Fault, UpstreamFault
from tollhouse.gateway import router
from tollhouse.gateway.annotate import cost_header
from tollhouse.gateway.asking import complete, open_stream
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.drains import drained
from tollhouse.gateway.fidelity import read_policy
from tollhouse.gateway.gate import Gate, Visit
from tollhouse.gateway.hosts import refuse_chosen_host
from tollhouse.gateway.idempotency import HEADER as NAMED
from tollhouse.gateway.idempotency import fingerprint
from tollhouse.gateway.legs import Legs, Note
from tollhouse.gateway.meter import estimate_prompt, meter_reply, meter_stream
from tollhouse.gateway.needs import CHAT, chat_needs
from tollhouse.gateway.replaying import Turn, begin_turn
from tollhouse.gateway.router import Choice
from tollhouse.gateway.trial import OpenStream, Trial, WholeReply
from tollhouse.gateway.unwatched import Unwatched
from tollhouse.gateway.watch import Watch, begin_watch
from tollhouse.ledger.holds import Hold
from tollhouse.providers.protocol import passes
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import ChatCall, Plan, Usage
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import header_line, json_body

_ID_PREFIX: Final = "chatcmpl-"
_own_id: Final = re.compile(r"[A-Za-z0-9_-]{1,64}").fullmatch
_MOST_PLAIN_CHARS: Final = 64
_MOST_SECONDS: Final = 1 << 33
_MARK_S: Final = 1.0
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
        principal, body = gate.receive_at_once(exchange) or await gate.receive(exchange)
        visit = gate.admit(exchange, principal, CHAT)
        try:
            refuse_chosen_host(exchange)
            call = self._client.read(body, exchange.rest.decode("latin-1"), exchange.headers)
            exchange.release_body()
            choice = self._choose(visit, call, len(body))
            turn = None
            if visit.snapshot.settings.replay.on:
                turn = begin_turn(gate.replays, visit, call, choice.policy)
            if drained(choice.plan):
                work = self._serve(visit, choice, len(body), turn)
                await gate.drains.run(exchange, work, visit.snapshot.settings.billing)
            else:
                await self._serve(visit, choice, len(body), turn)
        except Fault as fault:
            visit.tell(fault)
            raise
        finally:
            visit.part()

    def _choose(self, visit: Visit, call: ChatCall, body_bytes: int) -> Choice:
        """The targets, in the order of trying. Raises `ModelNotFound`, and what a route without targets stands for."""
        snapshot, health, now = visit.snapshot, self._gate.live.health, self._now()
        if not visit.principal.models:
            choice = router.choose_only(snapshot, health, call, visit.exchange.headers, now)
            if choice is not None:
                return choice
        return router.choose(snapshot, health, visit.asked(call, body_bytes, now))

    async def _serve(self, visit: Visit, choice: Choice, body_bytes: int, turn: Turn | None) -> None:
        gate, exchange, snapshot, call = self._gate, visit.exchange, visit.snapshot, choice.call
        watch = begin_watch(gate.safety, visit, choice.policy.safety, self._client)
        try:
            if NAMED in exchange.headers and await visit.is_repeated(partial(_fingerprint, call)):
                return
            read = watch.read_at_once(call)
            call = read if read is not None else await watch.read(call)
            if turn is not None and await turn.answered(self._client, watch):
                return
            if choice.summary:
                exchange.notes["route"] = choice.summary
                exchange.shared_headers += header_line("x-tollhouse-route", choice.summary)
            fidelity = read_policy(exchange.headers, choice.policy.fidelity or snapshot.settings.routing.fidelity)
            if call.body is not choice.call.body:  # masked: a placeholder may be longer than what it stands for
                body_bytes = len(json_body(call.body))
            hold = visit.reserve(choice.plan, chat_needs(_as_sent(call, choice.plan, snapshot), body_bytes))
            if not watch.admits:
                await watch.admit(hold)
            attempts = Attempts(snapshot, hold.bids, gate.live.health, gate.metrics, self._now)
            attempts.follow(choice.policy, fidelity, stream=call.stream)
            if turn is not None and turn.keeps_seed:
                call = call.but(keeps_seed=True)
            exchange.notes["attempts"] = attempts.log
            work = _Work(visit, call, hold, attempts, watch, turn)
            if call.stream:
                await self._stream(work)
            else:
                await self._complete(work)
        finally:
            watch.close()
            visit.leave()

    async def _complete(self, work: "_Work") -> None:
        visit, call, hold, attempts, watch = work.visit, work.call, work.hold, work.attempts, work.watch
        exchange, client, turn = visit.exchange, self._client, work.turn
        stands = False
        try:
            answer = await attempts.first(work.complete)
            attempts.close()
            usage = self._meter(answer, call)
            try:
                heard = watch.hear_at_once(answer.reply, native=answer.native)
                answer.reply = (
                    heard if heard is not None else await watch.hear_reply(answer.reply, native=answer.native)
                )
            finally:  # it was generated: it is paid for, whoever leaves while it is judged
                watch.write_down(hold)
                cost_nusd = hold.settle(answer.trial.bid, usage, watch.records + attempts.records)
                visit.settled(usage)
            account = Account(usage, answer.decoder.usage, cost_nusd, watch.notes(visit.notes()), watch.results)
            identity = identify_answer(answer.reply)
            if turn is not None:
                turn.take(answer.reply, watch.reports(), native=answer.native)
            if answer.native:
                reply = client.native_reply(answer.reply, call, account)
            else:
                reply = client.reply(answer.reply, call, identity, account)
            body = json_body(reply)
            visit.record_end(body, "application/json")
            if turn is not None and not watch.withheld:
                await turn.keep(identity, answer.trial, account)
            headers = attempts.headers() + cost_header(cost_nusd) + visit.lease.headers()
            await hold.durable()
            stands = True
        except asyncio.CancelledError:  # the client has left: what its host had finished by then is its own
            stands = True
            raise
        finally:
            if hold.open:
                watch.write_down(hold)
                hold.release(watch.records + attempts.records)
            elif not stands:
                hold.undo()
        exchange.notes["model"] = answer.trial.target.id
        exchange.reply(200, body, headers)

    def _meter(self, answer: WholeReply, call: ChatCall) -> Usage:
        """What a whole answer used. Where its host does not say, one in the client's own dialect is read by that."""
        usage = meter_reply(answer.decoder.usage, call, answer.reply)
        if not (usage.estimated and answer.native):
            return usage
        return meter_stream(answer.decoder.usage, call, self._client.native_told(answer.reply, call))

    async def _stream(self, work: "_Work") -> None:
        visit, call, hold, attempts, watch = work.visit, work.call, work.hold, work.attempts, work.watch
        exchange, snapshot, client = visit.exchange, visit.snapshot, self._client
        identity = identify_answer({})
        writer = client.writer(call, identity)
        exchange.begin_stream(heartbeat=snapshot.heartbeat(writer))
        try:
            stream = await attempts.first(work.open_stream)
            legs = Legs(stream, noted=attempts.may_go_on or "response_format" in call.body)
            legs.note = work.noting(legs.note, native=stream.native)
            whole = forgiven = broke_off = False
            try:
                exchange.notes["model"] = stream.trial.target.id
                await hold.durable()
                if stream.native:
                    writer = client.native_writer(call)
                elif not exchange.head_sent:  # no heartbeat has gone out under an id of ours
                    identity = identify_answer(stream.chunks[0])
                    writer = client.writer(call, identity)
                headers = attempts.headers() + visit.lease.headers()
                exchange.begin_stream(headers, heartbeat=snapshot.heartbeat(writer))
                await self._follow(work, legs, writer)
                await self._say_rest(work, legs, writer)
                whole = True
            except UpstreamFault:
                broke_off, forgiven = True, visit.forgives
                raise
            finally:
                legs.close()
                attempts.close()
                read = writer if broke_off else watch.counted(writer)
                if whole or (read.tokens() and not forgiven):
                    watch.write_down(hold)
                    usage = legs.meter(call, read, whole=whole and not watch.cut)
                    records = watch.records + attempts.records
                    cost_nusd = hold.settle(legs.last.trial.bid, usage, records, interrupted=not whole)
                    visit.settled(usage)
        finally:
            if hold.open:
                watch.write_down(hold)
                hold.release(watch.records + attempts.records)
        raw = None if watch.cut else legs.usage
        account = Account(usage, raw, cost_nusd, watch.notes(legs.notes(visit.notes())), watch.results)
        last = writer.finish(account)
        visit.record_end(last, exchange.stream_type)
        if work.turn is not None and not watch.withheld:
            await work.turn.keep(identity, legs.last.trial, account)
        await hold.durable()
        exchange.end(last)

    async def _say_rest(self, work: "_Work", legs: Legs, writer: Writer) -> None:
        """Judges a stream that has ended, and gives what was held back of it. Raises what `Legs.check` does."""
        await work.watch.end()
        if legs.note is not None:
            _give(work.visit, writer, legs.note([]))
        if not work.watch.cut:
            legs.check(work.call)
        if work.turn is not None and not legs.last.native:
            work.turn.take_reports(work.watch.reports())

    async def _follow(self, work: "_Work", legs: Legs, writer: Writer) -> None:
        """Relays a stream, and where it breaks off and the alias allows it, what goes on with it at another target."""
        attempts = work.attempts
        while (broken := await self._broken(work, legs, writer)) is not None:
            attempts.broke_off(broken)
            legs.close()
            if not attempts.can_go_on(legs.transcript):
                raise broken
            used_tokens = work.watch.counted(writer).tokens()
            rest = legs.rest(work.call, used_tokens)
            try:
                stream = await attempts.first(lambda trial: open_stream(trial, rest))  # noqa: B023 - awaited here
            except UpstreamFault:
                raise broken from None
            legs.add(stream, used_tokens)
            work.visit.exchange.notes["model"] = stream.trial.target.id

    async def _broken(self, work: "_Work", legs: Legs, writer: Writer) -> UpstreamFault | None:
        """Relays a stream. What broke it off, if something did."""
        try:
            await self._relay(work, legs, writer)
        except UpstreamFault as fault:
            return fault
        return None

    async def _relay(self, work: "_Work", legs: Legs, writer: Writer) -> None:
        """The hot loop: all that one read of the upstream held leaves in one write."""
        visit, watch, stream, note = work.visit, work.watch, legs.last, legs.note
        exchange, decoder, incoming = visit.exchange, stream.decoder, stream.incoming
        now = self._now
        mark_at = now() + _MARK_S
        prompt_tokens = 0
        _give(visit, writer, stream.chunks if note is None else note(stream.chunks))
        while not decoder.done:
            if watch.cut:
                return
            data = await incoming.next()
            chunks = decoder.feed(data) if data else decoder.finish()
            if note is not None:
                chunks = note(chunks)
            if chunks and _give(visit, writer, chunks):
                await exchange.flush()
                if now() >= mark_at:
                    prompt_tokens = prompt_tokens or estimate_prompt(work.call.body)
                    visit.progress(stream.trial.bid, prompt_tokens, writer.tokens())
                    mark_at = now() + _MARK_S
            if not data:
                return
        decoder.finish()


class _Work:
    """One call that is being served."""

    __slots__ = ("attempts", "call", "hold", "turn", "visit", "watch")

    def __init__(
        self, visit: Visit, call: ChatCall, hold: Hold, attempts: Attempts, watch: Watch | Unwatched, turn: Turn | None
    ) -> None:
        self.visit = visit
        self.call = call
        self.hold = hold
        self.attempts = attempts
        self.watch = watch
        self.turn = turn

    def complete(self, trial: Trial) -> Awaitable[WholeReply]:
        """Asks the target of a trial for a whole answer."""
        return complete(trial, self.call)

    def open_stream(self, trial: Trial) -> Awaitable[OpenStream]:
        """Asks it for a stream."""
        return open_stream(trial, self.call)

    def noting(self, note: Note | None, *, native: bool) -> Note | None:
        """What each piece of a stream passes before it is written: it is judged, kept, and marked, in this order."""
        note = self.watch.noting(note, native=native)
        if self.turn is not None:
            note = self.turn.noting(note, native=native)
        return self.watch.marking(note)


def _give(visit: Visit, writer: Writer, chunks: list[dict[str, Any]]) -> bool:
    """Writes chunks to the client. Whether they tell it anything yet."""
    events = writer.encode(chunks)
    if not events:
        return False
    visit.record(events)
    visit.exchange.write(events)
    return True


def identify_answer(answer: dict[str, Any]) -> Identity:
    """The id and time of an answer: the upstream's own where they are as OpenAI's, for a provider's support asks for
    them and an embedded model derives them from its seed; else new ones.
    """
    given, created = answer.get("id"), answer.get("created")
    if type(given) is str and _is_openai_id(given) and type(created) is int and 0 < created < _MOST_SECONDS:
        return Identity(given, created)
    return Identity(mint_chat_id(), int(time.time()))


def _is_openai_id(given: str) -> bool:
    """Whether an id looks as OpenAI's do. Nearly all are letters and digits, which needs no pattern (0.3 us)."""
    if not given.startswith(_ID_PREFIX):
        return False
    own = given[len(_ID_PREFIX) :]
    return (own.isalnum() and own.isascii() and len(own) <= _MOST_PLAIN_CHARS) or _own_id(own) is not None


def _fingerprint(call: ChatCall) -> bytes:
    """What tells a request from another: what its client sent, in the dialect that the answer was written in."""
    return fingerprint(CHAT, call.body) if call.native is None else fingerprint(call.dialect, call.native)


def _as_sent(call: ChatCall, plan: Plan, snapshot: Snapshot) -> ChatCall:
    """The call without what only a host of the client's own dialect would do, where none is asked."""
    asks = call.hosted is not None or call.unseen
    if not asks or any(passes(snapshot.providers[target.provider], call) for target in plan.targets):
        return call
    return call.but(hosted=None, unseen=False)


def mint_chat_id() -> str:
    """``chatcmpl-`` and 29 characters, as OpenAI's ids look. A name, not a secret: 116 bits of ordinary chance."""
    return f"chatcmpl-{random.getrandbits(116):029x}"
