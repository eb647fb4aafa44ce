"""POST /webhooks/stripe: signed events of a payment service become credit, once for each payment.

Theory of operation
-------------------
Events come more than once, in any order, and late. So nothing is made of an event but facts that may be stated twice:
a payment is credited under its own id, of which the ledger takes one; what is claimed back of it, by refunds or by a
dispute, is written down under the payment, known or not. Then what is due is taken: the claims, at most what was
credited, less what was taken before. All of it is done again by every event about the payment and changes nothing when
nothing is new; an event whose handling broke off anywhere is made good by Stripe's next try.

A prepaid organisation may not owe. What it has is taken, and if that is less than what is due, the organisation is
suspended first, so that it does not go on spending; an operator decides what happens then (I21). Money that comes
back after a dispute was won is the operator's to grant.

The endpoint takes no key: the signature is the authority. Without a secret there is no signature that could be right
(CVE-2026-41432), so there is no such endpoint.
"""

import asyncio
import time
from collections.abc import Callable

from tollhouse.errors import ClientFault, PayloadTooLarge, RouteNotFound
from tollhouse.gateway.stripe import (
    MAX_BODY_BYTES,
    Claimed,
    Event,
    Ignored,
    Paid,
    check_signature,
    read_event,
    read_meaning,
)
from tollhouse.ledger.ledger import Ledger
from tollhouse.stores import payments
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.tenancy.office import Office
from tollhouse.types.money import format_usd
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

SOURCE = "stripe"
_HEADER = b"stripe-signature"
_ALARMING = frozenset({"unknown_organisation", "other_currency", "invalid_payment", "suspended"})


class StripeWebhook:
    """The endpoint. ``secret`` gives the signing secret as it is now, "" where there is none."""

    def __init__(
        self,
        ledger: Ledger,
        office: Office,
        secret: Callable[[], str],
        log: Log,
        metrics: Metrics,
    ) -> None:
        self._ledger = ledger
        self._office = office
        self._secret = secret
        self._log = log
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self.now: Callable[[], float] = time.time

    def announce(self) -> None:
        """Logs at start whether payments are taken."""
        state = "on" if self._secret() else "off: [billing] stripe_webhook_secret is empty"
        self._log.event("info", "stripe_webhook", state=state)

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one event: 200 once it has been dealt with, whatever came of it. Raises `Fault`."""
        secret = self._secret()
        if not secret:
            raise RouteNotFound("Unknown URL: /webhooks/stripe. The API is under /v1, as in POST /v1/chat/completions.")
        body = await exchange.body()
        if len(body) > MAX_BODY_BYTES:
            raise PayloadTooLarge(f"An event has at most {MAX_BODY_BYTES} bytes.")
        try:
            check_signature(exchange.headers.get(_HEADER, b""), body, secret, self.now())
            event = read_event(body)
        except ClientFault:
            self._metrics.add("tollhouse_payment_events", SOURCE, "refused")
            raise
        async with self._turn:  # what is due is read and then taken: no two events may do that at once
            outcome = await self.apply(event)
        self._metrics.add("tollhouse_payment_events", SOURCE, outcome)
        level = "warning" if outcome in _ALARMING else "info"
        self._log.event(level, "payment_event", source=SOURCE, event=event.id, type=event.type, outcome=outcome)
        exchange.reply(200, json_body({"received": True, "outcome": outcome}))

    async def apply(self, event: Event) -> str:
        """Acts on an event. Returns what came of it, as the metric has it. Raises `StorageUnavailable`."""
        meaning = read_meaning(event)
        if isinstance(meaning, Ignored):
            return meaning.outcome
        if isinstance(meaning, Paid):
            return await self._credit(meaning, event)
        return await self._claim(meaning, event)

    async def _credit(self, paid: Paid, event: Event) -> str:
        node = self._office.directory.find(paid.org_id)
        if node is None or node.kind != "org":
            return "unknown_organisation"
        posted = await self._ledger.post(
            "topup",
            node.number,
            paid.amount_nusd,
            actor=SOURCE,
            reason=_reason(event),
            event=(SOURCE, paid.payment),
        )
        outcome = "credited" if posted.created else "known"
        return await self._take_due(paid.payment, event) or outcome

    async def _claim(self, claimed: Claimed, event: Event) -> str:
        await self._ledger.write(
            lambda db: payments.claim(db, SOURCE, claimed.payment, claimed.name, claimed.amount_nusd)
        )
        return await self._take_due(claimed.payment, event) or "noted"

    async def _take_due(self, payment: str, event: Event) -> str | None:
        """Takes back what is due of a payment. None where nothing is, or it was never credited here."""
        found = await self._ledger.read(lambda db: payments.standing(db, SOURCE, payment))
        if found is None or not found.due_nusd:
            return None
        purse = self._ledger.wallet.purses[found.org]
        due = found.due_nusd
        short = purse.available is not None and purse.available < due
        if short:
            reason = f"${format_usd(due)} of the payment {payment} is to go back, and less is left ({event.type})"
            await self._office.act(SOURCE, lambda desk: desk.disable(found.org_id, reason))
        taken = due if purse.available is None else min(due, purse.available)
        name = f"{payment}:{found.taken_nusd + taken}"
        try:
            if taken:
                reason = _reason(event)
                await self._ledger.post("refund", found.org, -taken, actor=SOURCE, reason=reason, event=(SOURCE, name))
        except ClientFault:  # a request has held some of it meanwhile
            return await self._take_due(payment, event)
        return "suspended" if short else "taken_back"


def _reason(event: Event) -> str:
    return f"{event.type} {event.id}"
