"""POST /v1/route/explain: where a request would go now, and why, without sending it.

The body is that of the chat completion itself. The same question is put to the same function as for the request
(`router.request_of`, `routing.decide`), so the answer cannot be another; only chance is drawn anew, as it is for each
request. It counts as one request of the caller's limits, and takes no tokens and no money.
"""

import asyncio
from typing import Any

from tollhouse.gateway import router
from tollhouse.gateway.gate import Gate, Visit
from tollhouse.gateway.hosts import refuse_hosts
from tollhouse.gateway.needs import CHAT
from tollhouse.routing.decide import decide
from tollhouse.routing.explain import explain
from tollhouse.tenancy.directory import allows_model
from tollhouse.types.calls import ChatCall
from tollhouse.validate.chat import read_chat
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body


class ExplainPage:
    """The endpoint."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._now = asyncio.get_event_loop().time

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal, body = await self._gate.receive(exchange, "read")
        visit = self._gate.admit(exchange, principal, CHAT)
        with visit.page():
            refuse_hosts(exchange.headers, b"")
            call = read_chat(body)
            exchange.release_body()
            page = self._explain(visit, call, len(body))
            exchange.reply(200, json_body(page), visit.lease.headers())

    def _explain(self, visit: Visit, call: ChatCall, body_bytes: int) -> dict[str, Any]:
        """The page. A target that the key may not use is left out of it. Raises `ModelNotFound`, `InvalidRequest`."""
        health, principal = self._gate.live.health, visit.principal
        asked = visit.asked(call, body_bytes, self._now())
        request, signs = router.question(visit.snapshot, health, asked)
        page = explain(decide(request, health), health, signs)
        if principal.models and not allows_model(principal, call.model):
            page["candidates"] = [row for row in page["candidates"] if allows_model(principal, str(row["target"]))]
        return page
