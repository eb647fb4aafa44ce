"""How a question gets to a judge, and its answer back: a chat completion, a relayed moderation, or plain HTTP.

`gateway.judging` calls it. Guard models and moderation endpoints are asked through the router and the attempts of any
other call, so with the health, the retries and the keys of their hosts; a judge with an address of its own is asked
once. Every request is written down, whatever becomes of it, with what it cost: by the price of its model, or by the
operator's figure. A model without a price costs nothing here, for a text must not go unjudged for that.
"""

import random
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from tollhouse.dialects.faults import fault_of_object
from tollhouse.errors import (
    ModelNotFound,
    Unpriced,
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from tollhouse.gateway import router
from tollhouse.gateway.asking import complete
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.meter import meter_reply, meter_usage
from tollhouse.gateway.needs import CHAT
from tollhouse.gateway.router import Asked, Choice
from tollhouse.gateway.trial import Trial, decode_answer
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.prices import Bid, free_price
from tollhouse.safety.judges import moderation
from tollhouse.safety.judges.asked import CHAT as BY_CHAT
from tollhouse.safety.judges.asked import HTTP, RELAY, Question
from tollhouse.safety.judges.kinds import KINDS
from tollhouse.settings.judges import JudgeSettings
from tollhouse.snapshot import Live, Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import ChatCall, Loss, Target, Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.wire import Incoming, Outgoing
from tollhouse.upstream.origin import split_base_url
from tollhouse.web.heads import json_body

ANSWERED, FAILED, CANCELLED = "judge", "judge_failed", "judge_cancelled"
"""The outcomes of requests to judges: none of them is ``ok``, which is the answer that is charged (I12)."""
_OUTCOMES = {"ok": ANSWERED, "cancelled": CANCELLED, "overtaken": CANCELLED}
_JSON = "application/json"
_MOST_ANSWER_BYTES = 1 << 20
_FAULTS: Mapping[int, type[UpstreamFault]] = MappingProxyType(
    {401: UpstreamAuth, 403: UpstreamAuth, 429: UpstreamRateLimited, 503: UpstreamUnavailable}
)
"""What a status of a judge's own address says of the judge; any other may be about the text."""


class Call:
    """One question on its way, and what it took."""

    __slots__ = (
        *("_losses", "_started_at", "attempts", "cost_nusd", "judge", "question", "records", "runs", "snapshot"),
        "target",
    )

    def __init__(
        self, snapshot: Snapshot, judge: JudgeSettings, question: Question, losses: tuple[Loss, ...], now: float
    ) -> None:
        self.snapshot = snapshot
        self.judge = judge
        self.question = question
        self._losses = losses
        self._started_at = now
        self.target = f"judge:{judge.name}"
        """Where it goes, or went first."""
        self.attempts: Attempts | None = None
        self.cost_nusd = 0
        """Of the answer, by its model's price."""
        self.records: tuple[AttemptRecord, ...] = ()
        """Of a request to the judge's own address."""
        self.runs = False

    def taken(self, now: float) -> tuple[AttemptRecord, ...]:
        """The records of its requests; of one that still runs, that it is cancelled."""
        found = self.records
        if self.attempts is not None:
            found = tuple([self._as_judges(record) for record in self.attempts.records])
        return (*found, self._record(CANCELLED, now)) if self.runs else found

    def note(self, outcome: str, now: float, request_id: str | None) -> None:
        """Writes down the one request to the judge's own address."""
        self.records = (self._record(outcome, now, request_id),)

    def _record(self, outcome: str, now: float, request_id: str | None = None) -> AttemptRecord:
        took_ms = int((now - self._started_at) * 1000)
        return AttemptRecord(self.target, outcome, request_id, took_ms, self._cost(outcome, 0), self._losses)

    def _as_judges(self, record: AttemptRecord) -> AttemptRecord:
        outcome = _OUTCOMES.get(record.outcome, FAILED)
        by_price = self.cost_nusd if outcome == ANSWERED else record.cost_nusd
        return replace(record, outcome=outcome, cost_nusd=self._cost(outcome, by_price), losses=self._losses)

    def _cost(self, outcome: str, by_price: int) -> int:
        """The operator's own figure goes over a price; what fails is not billed by it."""
        stated = self.judge.cost_nusd
        if stated is None:
            return by_price
        return 0 if outcome == FAILED else stated


class Desk:
    """Sends questions."""

    def __init__(self, live: Live, book: PriceBook, metrics: Metrics, now: Callable[[], float]) -> None:
        self._live = live
        self._book = book
        self._metrics = metrics
        self.now = now
        self._ways: Mapping[str, Callable[[Call], Awaitable[Any]]] = MappingProxyType(
            {BY_CHAT: self._chat, RELAY: self._relay, HTTP: self._post}
        )

    async def ask(self, call: Call) -> Any:
        """The answer's JSON. Raises `Fault`."""
        call.runs = True
        try:
            return await self._ways[call.question.to](call)
        finally:
            call.runs = False

    async def _chat(self, call: Call) -> Any:
        body = call.question.body
        chat = ChatCall(call.judge.model, body, stream=False, include_usage=False)
        asked = Asked(chat, {}, len(json_body(body)), call.target, (), self.now(), random.getrandbits(64))
        choice = router.choose(call.snapshot, self._live.health, asked)
        attempts = self._attempts(call, choice, CHAT)
        answer = await attempts.first(lambda trial: complete(trial, choice.call))
        attempts.close()
        usage = meter_reply(answer.decoder.usage, choice.call, answer.reply)
        call.cost_nusd = answer.trial.bid.price.charge(usage)
        return answer.reply

    async def _relay(self, call: Call) -> Any:
        seed, health = random.getrandbits(64), self._live.health
        kind = moderation.KIND
        choice = router.choose_endpoint(call.snapshot, health, call.judge.model, kind, self.now(), seed)
        attempts = self._attempts(call, choice, kind)
        trial, answer = await attempts.first(lambda trial: _moderate(trial, call))
        attempts.close()
        usage = meter_usage(answer.get("usage")) or Usage()
        call.cost_nusd = trial.bid.price.charge(usage)
        return answer

    def _attempts(self, call: Call, choice: Choice, kind: str) -> Attempts:
        bids = tuple([self._bid(target, kind) for target in choice.plan.targets])
        attempts = Attempts(call.snapshot, bids, self._live.health, self._metrics, self.now)
        attempts.follow(choice.policy, "report", stream=False)
        call.attempts, call.target = attempts, choice.plan.targets[0].id
        return attempts

    def _bid(self, target: Target, kind: str) -> Bid:
        """The target and its price. Nothing is held: the operator pays."""
        try:
            price = self._book.of(target, int(time.time()), kind)
        except Unpriced:
            price = free_price(target.host.name, target.model)
        return Bid(target, price, 0, None, 0)

    async def _post(self, call: Call) -> Any:
        judge, question = call.judge, call.question
        connector = call.snapshot.judges.get(judge.name)
        if connector is None:
            raise ModelNotFound(f"The judge '{judge.name}' has no address.")
        body = json_body(question.body)
        headers = KINDS[judge.kind].headers(judge, body, int(time.time()))
        outgoing = Outgoing(
            "POST", _path(judge, question), (("content-type", _JSON), ("accept", _JSON), *headers), body
        )
        outcome, request_id = CANCELLED, None
        try:
            incoming = await connector.send(outgoing, call.snapshot.settings.timeouts)
            request_id = incoming.request_id
            data = await _body(incoming)
            outcome = ANSWERED
        except UpstreamFault:
            outcome = FAILED
            raise
        finally:
            call.note(outcome, self.now(), request_id)
        return decode_answer(data)


def _path(judge: JudgeSettings, question: Question) -> str:
    """Below a judge's address, or the address itself: as it is written, for a final slash may matter."""
    if question.path:
        return split_base_url(judge.url)[1] + question.path
    return urlsplit(judge.url).path or "/"


async def _body(incoming: Incoming) -> bytes:
    """The body of a good answer. Raises `UpstreamFault`."""
    try:
        status = incoming.status
        if status != 200:
            raise _FAULTS.get(status, UpstreamBadResponse)(f"The judge answered with the status {status}.")
        return await incoming.read(_MOST_ANSWER_BYTES)
    finally:
        incoming.close()


async def _moderate(trial: Trial, call: Call) -> tuple[Trial, dict[str, Any]]:
    """One attempt at a moderation endpoint."""
    target, snapshot = trial.target, call.snapshot
    provider = snapshot.providers[target.host.provider]
    body = json_body({**call.question.body, "model": target.model})
    outgoing = provider.encode_relay(moderation.KIND, _JSON, body, target)
    incoming = await trial.exchange(outgoing, snapshot.endpoint(target, moderation.KIND))
    value = decode_answer(await _body(incoming))
    if not isinstance(value, dict):
        raise UpstreamBadResponse("The moderation's answer is not a JSON object.")
    if "results" not in value and (error := value.get("error")):
        raise fault_of_object(error)
    return trial, value
