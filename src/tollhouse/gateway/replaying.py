"""One chat request and the answers that are kept: it is given one of them, or its own answer becomes one.

`gateway.pipeline` begins a `Turn` for each request that has a wish (`replay_wishes`), and asks `answered` before
anything is reserved. What is kept is the answer as its writer got it, not the bytes: so one entry serves whole answers
and streams, and an answer in the inner form every client's dialect.

Money: an answer that is given again has a hold and a settlement like any other, at a price version of its own
(`ledger.shares`), so that the ledger proves it like any other. Where the share is 0 no tokens are counted, for none
were used; else those of the first answer are, in limits too.
"""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.join import join_message
from tollhouse.dialects.anthropic.passing import split_message
from tollhouse.dialects.anthropic.read import NAME as ANTHROPIC
from tollhouse.dialects.assemble import assemble
from tollhouse.dialects.client import Account, ClientDialect, Identity
from tollhouse.dialects.gemini.join import join_objects
from tollhouse.dialects.gemini.read import NAME as GEMINI
from tollhouse.dialects.replies import split_reply
from tollhouse.errors import Forbidden
from tollhouse.gateway.annotate import cost_header
from tollhouse.gateway.fidelity import fidelity_lines, read_policy
from tollhouse.gateway.gate import Visit, permitted
from tollhouse.gateway.needs import CHAT
from tollhouse.gateway.replay_wishes import SEED, Wish, read_wish
from tollhouse.gateway.replays import EVENTS, INNER, WHOLE, Kept, Record, Replays
from tollhouse.gateway.trial import Trial
from tollhouse.gateway.unwatched import Unwatched
from tollhouse.gateway.watch import Watch
from tollhouse.ledger.prices import Bid
from tollhouse.ledger.shares import REPLAY, share_of
from tollhouse.settings.routing import RoutePolicy
from tollhouse.types.calls import ChatCall, Host, Plan, Target, Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.web.heads import header_line, json_body

Chunks = list[dict[str, Any]]
Note = Callable[[Chunks], Chunks]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_JOINS: Mapping[str, Callable[[Chunks], dict[str, Any] | None]] = MappingProxyType(
    {ANTHROPIC: join_message, GEMINI: join_objects}
)
_SPLITS: Mapping[str, Callable[[dict[str, Any]], Chunks]] = MappingProxyType(
    {ANTHROPIC: split_message, GEMINI: lambda answer: [answer]}
)


class Turn:
    """One request with a wish."""

    __slots__ = ("_call", "_form", "_pieces", "_policy", "_size", "_store", "_visit", "_wish")

    def __init__(self, store: Replays, visit: Visit, call: ChatCall, wish: Wish, policy: str) -> None:
        self._store = store
        self._visit = visit
        self._call = call
        self._wish = wish
        self._policy = policy
        self._form = INNER
        self._pieces: list[bytes] = []
        """The whole answer, or the chunks of each read, in JSON."""
        self._size = 0

    @property
    def keeps_seed(self) -> bool:
        """Whether the call's seed is kept to here, whatever a target makes of it."""
        return self._wish.by == SEED

    # --- given again -----------------------------------------------------------------------------------------------

    async def answered(self, client: ClientDialect, watch: Watch | Unwatched) -> bool:
        """Whether the request was answered with what is kept. What was kept may be anybody's, so its safety is judged
        by the policy of who asks; one that may have to be changed has to be in the inner form.

        Raises `InsufficientBalance`, `RateLimited`, `StorageUnavailable`, and what `Watch.admit` does.
        """
        kept = None if self._wish.anew else await self._store.find(self._wish)
        said = self._said(kept.record) if kept is not None else None
        if kept is None or said is None or (watch.changes and kept.record.form != INNER):
            return False
        target = _target(kept.record.target)
        if not self._may_call(target):
            return False
        await self._answer(client, kept, said, watch)
        return True

    def _said(self, record: Record) -> Any:
        """The answer as the client wants it, whole or as chunks; None where it cannot be had like that."""
        said, stream = _decode(record.answer), self._call.stream
        if record.form == INNER:
            return split_reply(said) if stream else said
        if (record.form == EVENTS) == stream:
            return said
        turn = (_SPLITS if stream else _JOINS).get(self._call.dialect)
        return turn(said) if turn is not None else None

    def _may_call(self, target: Target) -> bool:
        """Whether the caller may use the target, as for a new answer. In an organisation another key may."""
        principal = self._visit.principal
        try:
            return not principal.models or bool(permitted(Plan(self._call.model, (target,)), principal))
        except Forbidden:
            return False

    async def _answer(self, client: ClientDialect, kept: Kept, said: Any, watch: Watch | Unwatched) -> None:
        visit, record, by = self._visit, kept.record, self._wish.by
        target = _target(record.target)
        exchange, keys = visit.exchange, visit.snapshot.settings.replay
        price = share_of(record.price, keys.price(by))
        usage = Usage() if price.nothing else record.usage
        bid = Bid(target, price, price.charge(usage), None, usage.prompt)
        hold = visit.take(CHAT, self._call.model, visit.within_cap((bid,)), usage.prompt + usage.completion)
        await watch.admit(hold)
        stands, stream = False, self._call.stream
        try:
            said = await self._judged(said, watch, native=record.form != INNER)
            watch.write_down(hold)
            cost_nusd = hold.settle(bid, usage, (*watch.records, AttemptRecord(REPLAY, by, kept.request_id)))
            visit.settled(usage)
            account = Account(record.usage, record.raw, cost_nusd, watch.notes(visit.notes()), watch.results)
            body = self._written(client, record, said, account)
            visit.record_end(body, exchange.stream_type if stream else "application/json")
            headers = _lines(kept, by) + fidelity_lines(record.losses, self._policy) + cost_header(cost_nusd)
            headers += visit.lease.headers()
            await hold.durable()
            stands = True
        except asyncio.CancelledError:  # the client has left
            stands = True
            raise
        finally:
            if hold.open:
                watch.write_down(hold)
                hold.release(watch.records)
            elif not stands:
                hold.undo()
        exchange.notes |= {"model": record.target, "replay": by, "replay_of": kept.request_id}
        self._store.metrics.add("tollhouse_replays", by)
        if stream:
            exchange.begin_stream(headers)
            exchange.end(body)
        else:
            exchange.reply(200, body, headers)

    async def _judged(self, said: Any, watch: Watch | Unwatched, *, native: bool) -> Any:
        """The answer as far as it may be said, whole or as chunks."""
        if not self._call.stream:
            return await watch.hear_reply(said, native=native)
        note = watch.marking(watch.noting(None, native=native))
        if note is None:
            return said
        given = note(said)
        await watch.end()
        return given + note([])

    def _written(self, client: ClientDialect, record: Record, said: Any, account: Account) -> bytes:
        call, native = self._call, record.form != INNER
        if call.stream:
            writer = client.native_writer(call) if native else client.writer(call, record.identity)
            return writer.encode(said) + writer.finish(account)
        if native:
            return json_body(client.native_reply(said, call, account))
        return json_body(client.reply(said, call, record.identity, account))

    # --- kept ------------------------------------------------------------------------------------------------------

    def take(self, reply: dict[str, Any], reports: dict[str, Any], *, native: bool) -> None:
        """Notes a whole answer, before its writer takes it over; ``reports`` were taken out of it (`Watch.reports`)."""
        self._form = WHOLE if native else INNER
        told = {choice["index"]: choice["content_filter_results"] for choice in reports["choices"]}
        if told or len(reports) > 1:
            choices = [
                {**choice, "content_filter_results": told[choice["index"]]} if choice["index"] in told else choice
                for choice in reply["choices"]
            ]
            reply = {**reply, **reports, "choices": choices}
        self._add(reply)

    def take_reports(self, reports: dict[str, Any]) -> None:
        """Notes the same of a stream that has ended."""
        if len(reports) > 1 or reports["choices"]:
            self._add([reports])

    def noting(self, note: Note | None, *, native: bool) -> Note:
        """What each piece of a stream passes before it is written; ``note`` is what it passes already."""
        self._form = EVENTS if native else INNER

        def noted(chunks: Chunks) -> Chunks:
            if note is not None:
                chunks = note(chunks)
            if chunks:
                self._add(chunks)
            return chunks

        return noted

    def _add(self, said: Any) -> None:
        """Keeps a piece in JSON. What is too large is not kept at all, nor what JSON cannot carry."""
        if self._size > self._most:
            return
        try:
            piece = _encode(said)
        except (ValueError, RecursionError):  # its writer says so, as its client has to know
            self._size = self._most + 1
        else:
            self._size += len(piece)
            self._pieces.append(piece)
        if self._size > self._most:
            self._pieces.clear()

    @property
    def _most(self) -> int:
        """A stream has more bytes than the answer that it makes, by what stands around each piece."""
        most = self._visit.snapshot.settings.replay.max_answer_bytes
        return most if not self._call.stream else 8 * most

    async def keep(self, identity: Identity, trial: Trial, account: Account) -> None:
        """Keeps the answer, which is whole and settled; returns when it is durable. Raises `StorageUnavailable`."""
        if self._size > self._most:
            return
        answer = self._kept(identity, account)
        if answer is None:
            return
        record = Record(
            form=self._form,
            identity=identity,
            target=trial.target.id,
            usage=account.usage,
            raw=dict(account.raw) if account.raw is not None else None,
            price=trial.bid.price.body,
            answer=msgspec.Raw(answer),
            losses=trial.losses,
        )
        visit = self._visit
        await self._store.keep(self._wish, record, visit.exchange.request_id, visit.snapshot.settings.replay)

    def _kept(self, identity: Identity, account: Account) -> bytes | None:
        """The answer in JSON, in the form that it is kept in."""
        if not self._call.stream:
            return self._pieces[0]
        if self._form == EVENTS:
            return b"[" + b",".join([piece[1:-1] for piece in self._pieces]) + b"]"
        whole = assemble([chunk for piece in self._pieces for chunk in _decode(piece)], identity)
        if whole is not None and account.raw is not None:
            whole["usage"] = account.raw
        return _encode(whole) if whole is not None else None


def begin_turn(store: Replays, visit: Visit, call: ChatCall, policy: RoutePolicy) -> Turn | None:
    """The turn of a call as its client sent it; None where it wants nothing of the store. Raises `InvalidRequest`."""
    settings, headers = visit.snapshot.settings, visit.exchange.headers
    fidelity = read_policy(headers, policy.fidelity or settings.routing.fidelity)
    wish = read_wish(call, headers, visit.principal, settings.replay, strict=fidelity == "strict")
    return Turn(store, visit, call, wish, fidelity) if wish is not None else None


def _target(name: str) -> Target:
    """A target by its id alone: it may be gone since."""
    host, _, model = name.partition("/")
    return Target(Host(host, ""), model or host)


def _lines(kept: Kept, by: str) -> str:
    """The header lines that tell whose answer it is. ``age`` is HTTP's own (RFC 9111 section 5.1)."""
    first = header_line("x-tollhouse-replay", by) + header_line("x-tollhouse-replay-of", kept.request_id)
    return header_line("x-tollhouse-target", kept.record.target) + first + f"age: {kept.age_s}\r\n"
