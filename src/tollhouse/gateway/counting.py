"""Counting a prompt's tokens at the host that would read it, for the pages that clients ask it of in their dialects.

A target that speaks the client's dialect is asked; for any other, and where that host cannot say, the caller estimates.
So it does where a safety policy may refuse or change prompts: a count is no way around it, and is not worth a judge.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from tollhouse.errors import UpstreamFault
from tollhouse.gateway import router
from tollhouse.gateway.attempts import Attempts
from tollhouse.gateway.gate import Gate, Visit, permitted
from tollhouse.gateway.trial import Trial, decode_answer
from tollhouse.ledger.prices import Bid, free_price
from tollhouse.providers.protocol import passes
from tollhouse.types.calls import ChatCall
from tollhouse.types.wire import Outgoing

MAX_BYTES = 64 * 1024
T = TypeVar("T")


async def count_at_host(
    gate: Gate, visit: Visit, call: ChatCall, ask: Callable[[Trial], Awaitable[T]]
) -> tuple[T, str] | None:
    """What a host counts, and which target it is; None where nobody can say.

    Raises `ModelNotFound`, `Forbidden`, and the `UpstreamFault` of a request that is wrong: to send it would fail too.
    """
    snapshot = visit.snapshot
    plan = router.plan(snapshot, call.model)
    if visit.principal.models:
        plan = permitted(plan, visit.principal)
    free = [Bid(target, free_price(target.host.name, target.model), 0, None, 0) for target in plan.targets]
    if _guards_prompts(visit, call.model):
        return None
    able = tuple([bid for bid in free if passes(snapshot.providers[bid.target.provider], call)])
    if not able:
        return None
    attempts = Attempts(snapshot, able, gate.live.health, gate.metrics, asyncio.get_running_loop().time)
    visit.exchange.notes["attempts"] = attempts.log
    try:
        counted = await attempts.first(ask)
    except UpstreamFault as fault:
        if not fault.retryable:
            raise
        return None
    attempts.close()
    return counted, attempts.log[-1][0]


def _guards_prompts(visit: Visit, model: str) -> bool:
    """Whether a safety policy keeps prompts from hosts until they were judged."""
    alias = router.find_route(visit.snapshot, model).policy
    return visit.snapshot.policies.of(visit.principal, alias.safety).guards_prompts


async def read_count(trial: Trial, outgoing: Outgoing) -> dict[str, Any]:
    """The JSON object that a host answers, empty where it is none. Raises `UpstreamFault`."""
    incoming = await trial.exchange(outgoing)
    try:
        answer: Any = decode_answer(await incoming.read(MAX_BYTES))
    finally:
        incoming.close()
    return answer if type(answer) is dict else {}
