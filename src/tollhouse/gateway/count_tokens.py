"""POST /v1/messages/count_tokens: how many tokens a prompt is, before anything is asked.

A target that speaks the client's dialect is asked to count; for any other, and where that host cannot say, the number
is our estimate (`gateway.meter`). It costs nothing, counts as one request of the caller's limits, and needs a key that
may chat with the model.

https://platform.claude.com/docs/en/api/messages-count-tokens
"""

import asyncio
from typing import Any

import msgspec
from msgspec.structs import replace

from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.anthropic.read import read_call
from tollhouse.dialects.usage import sane
from tollhouse.errors import Fault, UpstreamBadResponse, UpstreamFault
from tollhouse.gateway import router
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.gate import Gate, Visit, permitted
from tollhouse.gateway.hosts import refuse_hosts
from tollhouse.gateway.meter import estimate_prompt
from tollhouse.gateway.needs import CHAT
from tollhouse.gateway.trial import Trial, decode_answer
from tollhouse.ledger.prices import Bid, free_price
from tollhouse.providers.protocol import passes
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import ChatCall, Target
from tollhouse.web.exchange import ErrorForm, Exchange
from tollhouse.web.heads import header_line, json_body

ERRORS = ErrorForm(ANTHROPIC.error, ANTHROPIC.error_event, "request-id")
"""How faults are told to clients of this dialect."""
KIND = "messages/count_tokens"
"""The endpoint's path below ``/v1/``, as `Provider.encode_relay` knows it."""
_MAX_BYTES = 64 * 1024
_NOT_COUNTED = frozenset(
    {
        *("max_tokens", "stream", "temperature", "top_p", "top_k", "stop_sequences", "metadata", "service_tier"),
        *("container", "inference_geo", "diagnostics"),
    }
)
"""What a message may have and a count may not: the host would refuse it."""

_encode = msgspec.json.Encoder().encode


class CountTokensPage:
    """The endpoint."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._now = asyncio.get_event_loop().time

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal, body = await self._gate.receive(exchange)
        visit = self._gate.admit(exchange, principal, CHAT)
        try:
            refuse_hosts(exchange.headers, exchange.query)
            call = read_call(body, exchange.headers, counted=True)
            exchange.release_body()
            plan = router.plan(visit.snapshot, call.model)
            if principal.models:
                plan = permitted(plan, principal)
            counted, headers = await self._count(visit, call, plan.targets)
            exchange.reply(200, json_body({"input_tokens": counted}), headers + visit.lease.headers())
        except Fault as fault:
            visit.tell(fault)
            raise
        finally:
            visit.part()
            visit.leave()

    async def _count(self, visit: Visit, call: ChatCall, targets: tuple[Target, ...]) -> tuple[int, str]:
        """The number, and the header line that tells who counted."""
        snapshot = visit.snapshot
        free = [Bid(target, free_price(target.host.name, target.model), 0, None, 0) for target in targets]
        able = tuple([bid for bid in free if passes(snapshot.providers[bid.target.provider], call)])
        if able:
            attempts = Attempts(snapshot, able, self._gate.live.health, self._gate.metrics, self._now)
            visit.exchange.notes["attempts"] = attempts.log
            try:
                counted = await attempts.first(lambda trial: _ask(trial, snapshot, call))
            except UpstreamFault as fault:
                if not fault.retryable:  # the request is wrong: to send it would fail likewise
                    raise
            else:
                attempts.close()
                return counted, header_line("x-tollhouse-target", attempts.log[-1][0])
        return max(1, estimate_prompt(call.body)), header_line("x-tollhouse-target", "estimate")


async def _ask(trial: Trial, snapshot: Snapshot, call: ChatCall) -> int:
    """What a host counts. Raises `UpstreamFault`."""
    target = trial.target
    provider = snapshot.providers[target.provider]
    asked = {name: value for name, value in (call.native or {}).items() if name not in _NOT_COUNTED}
    body = _encode({**asked, "model": target.model})
    outgoing = provider.encode_relay(KIND, "application/json", body, target)
    if call.wire_headers:
        outgoing = replace(outgoing, headers=tuple((dict(outgoing.headers) | dict(call.wire_headers)).items()))
    incoming = await trial.exchange(outgoing)
    try:
        answer: Any = decode_answer(await incoming.read(_MAX_BYTES))
    finally:
        incoming.close()
    counted = sane(answer.get("input_tokens")) if type(answer) is dict else None
    if counted is None:
        raise UpstreamBadResponse("The upstream's answer holds no count.")
    return counted
