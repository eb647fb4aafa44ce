"""POST /v1/quote: what a request would cost, where it would go and in what words, without sending it.

The body is that of the request itself; ``?kind=embeddings`` names an endpoint other than chat. The same readers, plan,
bids and encoders as for the request are asked, so the quote cannot say anything else than what would happen. It counts
as one request of the caller's limits, and takes no tokens and no money. Whether it could be paid for is part of the
answer (``refusal``); a request that is wrong is refused as itself would be.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct
from msgspec.structs import replace

from tollhouse.errors import Fault, Forbidden, InvalidRequest
from tollhouse.gateway import router
from tollhouse.gateway.annotate import amounts
from tollhouse.gateway.bids import bids
from tollhouse.gateway.gate import Gate, Visit, expected_input, expected_tokens, permitted
from tollhouse.gateway.hosts import refuse_hosts
from tollhouse.gateway.meter import estimate_prompt
from tollhouse.gateway.moderations import KIND as MODERATIONS
from tollhouse.gateway.moderations import LOCAL_MODEL, find_own, free_bid, is_own, read_texts
from tollhouse.gateway.needs import CHAT, Needs, cap_body, chat_needs, form_needs, relay_needs
from tollhouse.gateway.quote import (
    MAX_COST,
    describe_bid,
    describe_drop,
    describe_range,
    lowest,
    read_max_cost,
    refuse_dearer,
)
from tollhouse.gateway.relay import KINDS
from tollhouse.ledger.prices import Bid
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import Plan
from tollhouse.validate import multipart, relay
from tollhouse.validate.chat import read_chat
from tollhouse.validate.spelling import shorten
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

_KINDS = {kind.path: kind for kind in KINDS}


class Asked(Struct, frozen=True):
    """A request, read but not sent. ``encode`` gives the body for one bid; None where that is no JSON."""

    kind: str
    model: str
    body: Mapping[str, Any]
    """Empty for an upload."""
    needs: Needs
    prompt_tokens: int
    encode: Callable[[Bid], bytes | None]


class QuotePage:
    """The endpoint. ``now`` is the Unix time, by which prices are in effect."""

    def __init__(self, gate: Gate, now: Callable[[], float] = time.time) -> None:
        self._gate = gate
        self._now = now

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request. Raises `Fault`."""
        principal, body = await self._gate.receive(exchange, "read")
        kind = read_kind(exchange.query)
        visit = self._gate.admit(exchange, principal, kind)
        with visit.page():
            refuse_hosts(exchange.headers, b"")
            asked = read_asked(kind, exchange, body, visit.snapshot)
            exchange.release_body()
            is_ours = kind == MODERATIONS and is_own(asked.model, self._gate.safety.classifier.name)
            page = self._quote_own(visit, asked) if is_ours else self._quote(visit, asked)
            exchange.reply(200, json_body(page), visit.lease.headers())

    def _quote(self, visit: Visit, asked: Asked) -> dict[str, Any]:
        """The page. Raises `ModelNotFound`, `Forbidden`."""
        if (given := visit.exchange.headers.get(MAX_COST)) is not None:
            read_max_cost(given)
        wanted = router.plan(visit.snapshot, asked.model, None if asked.kind == CHAT else asked.kind)
        plan = permitted(wanted, visit.principal) if visit.principal.models else wanted
        unseen = Forbidden("This key may not use this model.", code="model_not_allowed")
        dropped = [describe_drop(target, unseen) for target in wanted.targets if target not in plan.targets]
        offers: list[Bid] = []
        for target in plan.targets:
            try:
                offers += self._offers(visit, asked, Plan(plan.requested, (target,)))
            except Fault as fault:
                dropped.append(describe_drop(target, fault))
        refusal = self._refusal(visit, asked, plan)
        return {**self._prices(visit, asked, offers), "dropped": dropped, "refusal": refusal}

    def _quote_own(self, visit: Visit, asked: Asked) -> dict[str, Any]:
        """The page of what is judged here, at no cost to the caller. Raises what its endpoint would."""
        judge = find_own(visit, asked.model, self._gate.safety.classifier.name, len(read_texts(asked.body["input"])))
        free = free_bid(LOCAL_MODEL if judge is None else asked.model)
        page = self._prices(visit, replace(asked, encode=lambda _bid: None), [free])
        page["limits"]["tokens_counted"] = 0
        return {**page, "dropped": [], "refusal": None}

    def _prices(self, visit: Visit, asked: Asked, offers: list[Bid]) -> dict[str, Any]:
        """What is said of some bids."""
        rate = visit.snapshot.settings.billing.credits_per_usd
        low = [lowest(bid, asked.needs, asked.prompt_tokens) for bid in offers]
        return {
            "object": "quote",
            "kind": asked.kind,
            "model": asked.model,
            "prompt_tokens_estimated": asked.prompt_tokens,
            **describe_range(low, [bid.amount for bid in offers], rate),
            **amounts("available", self._gate.ledger.available(visit.principal), rate),
            "targets": [
                describe_bid(bid, least, rate, asked.encode(bid)) for bid, least in zip(offers, low, strict=True)
            ],
            "limits": _limits(visit, asked.needs, offers),
        }

    def _offers(self, visit: Visit, asked: Asked, plan: Plan) -> tuple[Bid, ...]:
        """What `Visit.reserve` would hold. Raises what it does, limits apart."""
        offered = bids(
            asked.needs,
            plan,
            book=self._gate.book,
            at_s=int(self._now()),
            available_nusd=self._gate.ledger.available(visit.principal),
            billing=visit.snapshot.settings.billing,
        )
        given = visit.exchange.headers.get(MAX_COST)
        return offered if given is None else refuse_dearer(offered, given)

    def _refusal(self, visit: Visit, asked: Asked, plan: Plan) -> dict[str, Any] | None:
        """The error that the request would be answered now; None where it would be sent."""
        try:
            self._offers(visit, asked, plan)
        except Fault as fault:
            error: dict[str, Any] = fault.body(visit.exchange.request_id)["error"]
            return {"status": fault.status, **error}
        return None


def read_kind(query: bytes) -> str:
    """The endpoint that a query names. Raises `InvalidRequest`."""
    try:
        given = dict(parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8))
    except ValueError as error:
        raise InvalidRequest("The query of the URL cannot be read.") from error
    kind = given.pop("kind", CHAT).removeprefix("/v1/")
    if given:
        name = shorten(next(iter(given)))
        raise InvalidRequest(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    if kind != CHAT and kind not in _KINDS:
        known = ", ".join([CHAT, *_KINDS])
        raise InvalidRequest(f"Invalid 'kind': it is one of {known}.", param="kind", code="invalid_value")
    return kind


def read_asked(kind: str, exchange: Exchange, body: bytes, snapshot: Snapshot) -> Asked:
    """The request in a body. Raises what its own endpoint would."""
    if kind == CHAT:
        chat = read_chat(body)

        def encode_chat(bid: Bid) -> bytes:
            provider = snapshot.providers[bid.target.provider]
            return provider.encode_chat(chat, bid.target, bid.output_cap).outgoing.body

        return Asked(kind, chat.model, chat.body, chat_needs(chat, len(body)), estimate_prompt(chat.body), encode_chat)
    if _KINDS[kind].form:
        content_type = exchange.headers.get(b"content-type", b"").decode("latin-1")
        upload = multipart.read_upload(kind, content_type, body)
        needs = form_needs(upload)
        return Asked(kind, _model(kind, upload.model), {}, needs, expected_input(needs), lambda _bid: None)
    call = relay.read_relay(kind, body)
    needs = relay_needs(kind, call.body, len(body))

    def encode(bid: Bid) -> bytes:
        given = {**cap_body(kind, call.body, bid.output_cap), "model": bid.target.model}
        provider = snapshot.providers[bid.target.provider]
        return provider.encode_relay(kind, "application/json", json_body(given), bid.target).body

    return Asked(kind, _model(kind, call.model), call.body, needs, expected_input(needs), encode)


def _model(kind: str, named: str | None) -> str:
    model = named or (LOCAL_MODEL if kind == MODERATIONS else _KINDS[kind].model)
    if model is None:
        raise InvalidRequest("you must provide a model parameter", param="model")
    return model


def _limits(visit: Visit, needs: Needs, offers: list[Bid]) -> dict[str, Any]:
    """OpenAI's headers as of now, none where nothing is limited, and how many tokens the request would count for."""
    lines = visit.lease.headers().splitlines()
    return {
        "tokens_counted": expected_tokens(offers[0].input_bound, needs) if offers else None,
        "headers": dict([line.split(": ", 1) for line in lines]),
    }
