"""Payments become credit once (I21, A19), and what goes back is taken back, never below zero."""

import asyncio
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.counting_house import USD, Asking, House, asking, opened_house
from tests.gateway.test_stripe import CHARGE, DISPUTE, INTENT, NOW_S, SECRET, SESSION, sign
from tollhouse.errors import AccountSuspended, InvalidSignature, PayloadTooLarge, RouteNotFound
from tollhouse.gateway.stripe import MAX_BODY_BYTES
from tollhouse.gateway.webhooks import StripeWebhook
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.movements import Posted
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Usage

COMPLETED, REFUNDED, DISPUTED = "checkout.session.completed", "charge.refunded", "charge.dispute.created"


class Till:
    """A webhook, and an organisation that pays into it."""

    def __init__(self, house: House, org: str, secret: str = SECRET) -> None:
        self.house = house
        self.org = org
        self.metrics = Metrics()
        self.log = Log("debug", sink=house.log)
        self.hook = StripeWebhook(house.ledger, house.office, lambda: secret, self.log, self.metrics)
        self.hook.now = lambda: NOW_S

    def event(self, type_: str, object_: dict[str, Any], event_id: str = "evt_1", **changes: Any) -> bytes:
        """The body of an event about the organisation."""
        named = {**object_, **changes}
        if "client_reference_id" in named:
            named["client_reference_id"] = self.org
        if "metadata" in named:
            named["metadata"] = {"tollhouse_org": self.org}
        return json.dumps({"id": event_id, "type": type_, "data": {"object": named}}).encode()

    async def send(self, body: bytes, header: str | None = None) -> Asking:
        """Sends a body, well signed unless a header is given."""
        signed = f"t={NOW_S},v1={sign(body)}" if header is None else header
        asked = asking("POST", body=body, headers={b"stripe-signature": signed.encode()})
        await self.hook(asked.exchange)
        return asked

    async def tell(self, type_: str, object_: dict[str, Any], event_id: str = "evt_1", **changes: Any) -> str:
        """Sends an event. Returns what came of it."""
        asked = await self.send(self.event(type_, object_, event_id, **changes))
        assert asked.head.startswith("HTTP/1.1 200")
        return str(asked.json["outcome"])

    @property
    def balance(self) -> int:
        """What the organisation has."""
        return self.house.ledger.wallet.purses[self.house.number(self.org)].posted

    @property
    def suspended(self) -> bool:
        """Whether the organisation is."""
        return self.house.office.directory.suspended(self.house.number(self.org))

    def movements(self) -> list[tuple[str, int, str]]:
        """Kind, amount and external id of each movement on the organisation's account."""
        query = """
            SELECT entry.kind, entry.amount, tx.external_id FROM tx JOIN entry ON entry.tx = tx.id
            JOIN account ON account.id = entry.account WHERE account.name = 'org:' || ? ORDER BY tx.id
        """
        return self.house.store.read_now(lambda db: [tuple(row) for row in db.execute(query, (self.org,))])


async def till(house: House, **fields: Any) -> Till:
    """A new organisation with a webhook."""
    return Till(house, await house.node("org", **fields))


async def test_a_payment_is_credited(tmp_path: Path) -> None:
    """A signed checkout becomes a top-up under the payment's own id, told by the event, and is logged and counted."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        assert await paid.tell(COMPLETED, SESSION) == "credited"
        assert paid.balance == 20 * USD
        assert paid.movements() == [("topup", 20 * USD, "pi_1")]
        assert paid.metrics.counts["tollhouse_payment_events", "stripe", "credited"] == 1
        paid.log.flush()
        (audited,) = await house.office.audit(subject=paid.org, limit=1)
        assert (audited.actor, audited.action) == ("stripe", "credits.topup")
        assert audited.detail["reason"] == "checkout.session.completed evt_1"


async def test_replays_change_nothing(tmp_path: Path) -> None:
    """Ten times the same event, then ten at once, is one credit."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        outcomes = [await paid.tell(COMPLETED, SESSION) for _ in range(10)]
        assert outcomes == ["credited", *["known"] * 9]
        at_once = await asyncio.gather(*[paid.tell(COMPLETED, SESSION, payment_intent="pi_2") for _ in range(10)])
        assert sorted(at_once) == ["credited", *["known"] * 9]
        assert paid.balance == 40 * USD


async def test_a_payment_that_several_events_tell_of_is_one(tmp_path: Path) -> None:
    """The checkout, its late success and its payment intent are one payment, in whatever order they come."""
    events = [
        (COMPLETED, SESSION),
        ("checkout.session.async_payment_succeeded", SESSION),
        ("payment_intent.succeeded", INTENT),
    ]
    async with opened_house(tmp_path) as house:
        for order in itertools.permutations(events):
            paid = await till(house)
            changes = {"payment_intent": f"pi_{paid.org}"}
            for number, (type_, object_) in enumerate(order):
                renamed = changes if "payment_intent" in object_ else {"id": f"pi_{paid.org}"}
                await paid.tell(type_, object_, f"evt_{number}", **renamed)
            assert paid.balance == 20 * USD


async def test_a_restart_forgets_no_payment(tmp_path: Path) -> None:
    """A payment that was credited before a restart is known after it."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        await paid.tell(COMPLETED, SESSION)
        org = paid.org
    async with opened_house(tmp_path) as house:
        paid = Till(house, org)
        assert await paid.tell(COMPLETED, SESSION) == "known"
        assert paid.balance == 20 * USD


@pytest.mark.parametrize(
    "header",
    [
        "",
        f"t={NOW_S},v1=00",
        f"t={NOW_S - 301},v1={sign(b'x', NOW_S - 301)}",
    ],
)
async def test_an_event_that_is_not_signed_is_refused(tmp_path: Path, header: str) -> None:
    """Without a good signature nothing is read, credited or told; it is counted."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        with pytest.raises(InvalidSignature):
            await paid.send(paid.event(COMPLETED, SESSION), header)
        assert paid.movements() == []
        assert paid.metrics.counts["tollhouse_payment_events", "stripe", "refused"] == 1


async def test_a_changed_body_is_refused(tmp_path: Path) -> None:
    """A body of which one byte was changed after it was signed is refused."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        body = paid.event(COMPLETED, SESSION)
        header = f"t={NOW_S},v1={sign(body)}"
        with pytest.raises(InvalidSignature):
            await paid.send(body.replace(b"2000", b"9000"), header)
        assert paid.balance == 0


async def test_an_old_event_is_refused(tmp_path: Path) -> None:
    """An event that was well signed six minutes ago is refused."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        body = paid.event(COMPLETED, SESSION)
        with pytest.raises(InvalidSignature):
            await paid.send(body, f"t={NOW_S - 360},v1={sign(body, NOW_S - 360)}")


async def test_without_a_secret_there_is_no_endpoint(tmp_path: Path) -> None:
    """An empty secret turns the endpoint off, also for what an empty secret would have signed, and start says so."""
    async with opened_house(tmp_path) as house:
        off = Till(house, await house.node("org"), secret="")
        body = off.event(COMPLETED, SESSION)
        with pytest.raises(RouteNotFound):
            await off.send(body, f"t={NOW_S},v1={sign(body, secret='')}")
        assert off.movements() == []
        off.hook.announce()
        off.log.flush()
        assert b"stripe_webhook_secret is empty" in house.log.getvalue()


async def test_a_body_has_a_limit(tmp_path: Path) -> None:
    """A body of more than 1 MiB is refused before its signature is looked at."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        with pytest.raises(PayloadTooLarge):
            await paid.send(b" " * (MAX_BODY_BYTES + 1))


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"currency": "eur"}, "other_currency"),
        ({"amount_total": 10**20}, "invalid_payment"),
        ({"payment_status": "unpaid"}, "not_paid"),
    ],
)
async def test_what_is_no_credit_is_answered_all_the_same(
    tmp_path: Path, changes: dict[str, Any], outcome: str
) -> None:
    """An event that cannot be credited is acknowledged, so that it is not sent for days, and counted by its reason."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        assert await paid.tell(COMPLETED, SESSION, **changes) == outcome
        assert paid.movements() == []
        assert paid.metrics.counts["tollhouse_payment_events", "stripe", outcome] == 1


async def test_an_unknown_organisation_gets_nothing(tmp_path: Path) -> None:
    """A payment for an id that is no organisation, or a team's, is credited to nobody and logged as a warning."""
    async with opened_house(tmp_path) as house:
        org = await house.node("org")
        for wrong in ("org_nobody", await house.node("team", org)):
            wrongly = Till(house, wrong)
            assert await wrongly.tell(COMPLETED, SESSION) == "unknown_organisation"
            wrongly.log.flush()
        events = [json.loads(line) for line in house.log.getvalue().splitlines()]
        assert [(event["level"], event["outcome"]) for event in events] == [("warning", "unknown_organisation")] * 2
        assert Till(house, org).movements() == []


# --- what goes back ------------------------------------------------------------------------------------------------


async def test_a_refund_is_taken_back(tmp_path: Path) -> None:
    """Refunds are taken from the credit as an entry that names the payment; events state their sum, which is taken
    once, however often and in whatever order they come.
    """
    async with opened_house(tmp_path) as house:
        for number, order in enumerate(itertools.permutations((500, 800, 800, 2000))):
            paid = await till(house)
            payment = f"pi_{number}"
            await paid.tell(COMPLETED, SESSION, payment_intent=payment)
            for cents in order:
                await paid.tell(REFUNDED, CHARGE, payment_intent=payment, amount_refunded=cents)
            assert paid.balance == 0
            assert not paid.suspended
            kinds = [kind for kind, _, _ in paid.movements()]
            assert kinds == ["topup", *["refund"] * (len(kinds) - 1)]


async def test_a_partial_refund_names_its_payment(tmp_path: Path) -> None:
    """The entry of a refund has the payment's id, and how much of it is back by then."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        await paid.tell(COMPLETED, SESSION)
        assert await paid.tell(REFUNDED, CHARGE) == "taken_back"
        assert await paid.tell(REFUNDED, CHARGE) == "noted"
        assert paid.movements()[1:] == [("refund", -5 * USD, "pi_1:5000000000")]


async def test_events_in_any_order_end_the_same(tmp_path: Path) -> None:
    """A payment, its refund and its dispute end at the same balance in every order, the claims before the payment too:
    never more is taken than was paid.
    """
    events = [(COMPLETED, SESSION), (REFUNDED, CHARGE), (DISPUTED, DISPUTE)]
    async with opened_house(tmp_path) as house:
        for number, order in enumerate(itertools.permutations(events)):
            paid = await till(house)
            await house.grant(paid.org, 100 * USD)
            for type_, object_ in order:
                await paid.tell(type_, object_, payment_intent=f"pi_{number}")
            assert paid.balance == 100 * USD
            assert not paid.suspended


async def test_a_refund_of_somebody_elses_payment_is_nothing(tmp_path: Path) -> None:
    """A refund of a payment that was never credited here takes nothing from anybody."""
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        await paid.tell(COMPLETED, SESSION)
        assert await paid.tell(REFUNDED, CHARGE, payment_intent="pi_foreign") == "noted"
        assert paid.balance == 20 * USD


async def test_what_was_spent_suspends_the_organisation(tmp_path: Path) -> None:
    """Where credit that goes back is spent already, what is left is taken, and the organisation is suspended with the
    reason in the audit; its balance is zero, not less, and replays change nothing.
    """
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        key = await house.key(paid.org)
        await paid.tell(COMPLETED, SESSION)
        cost = house.spend(key, "req_1", Usage(input=300_000))
        assert 0 < cost < USD
        for _ in range(3):
            assert await paid.tell(DISPUTED, DISPUTE) == "suspended"
        assert paid.balance == 0
        assert paid.suspended
        with pytest.raises(AccountSuspended):
            house.principal(key.key_id)
        audited = await house.office.audit(subject=paid.org)
        (suspension,) = [row for row in audited if row.action == "org.disable"]
        assert suspension.actor == "stripe"
        assert "pi_1" in suspension.detail["reason"]
        assert [kind for kind, _, _ in paid.movements()] == ["topup", "charge", "refund"]


async def test_what_is_held_is_not_taken(tmp_path: Path) -> None:
    """Credit that a running request holds stays with it, so that its settlement always has what it needs; what comes
    free of it is taken by the next event.
    """
    async with opened_house(tmp_path) as house:
        paid = await till(house)
        key = await house.key(paid.org)
        await paid.tell(COMPLETED, SESSION)
        hold = house.hold(key, "req_1", amount=3 * USD)
        assert await paid.tell(DISPUTED, DISPUTE) == "suspended"
        assert paid.balance == 3 * USD
        charge = hold.settle(hold.bids[0], Usage(input=300_000))
        assert paid.balance == 3 * USD - charge
        await paid.tell(DISPUTED, DISPUTE)
        assert paid.balance == 0


async def test_who_may_owe_does(tmp_path: Path) -> None:
    """A postpaid organisation is not suspended: what goes back is owed."""
    async with opened_house(tmp_path) as house:
        paid = await till(house, billing="postpaid")
        key = await house.key(paid.org)
        await paid.tell(COMPLETED, SESSION)
        cost = house.spend(key, "req_1", Usage(input=300_000))
        assert await paid.tell(DISPUTED, DISPUTE) == "taken_back"
        assert paid.balance == -cost
        assert not paid.suspended


class Racing(Ledger):
    """A ledger in which a request takes some of the credit at the moment in which a refund is about to."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.race: Callable[[], object] | None = None

    async def post(self, kind: str, *arguments: Any, **named: Any) -> Posted:
        """See `Ledger`."""
        if kind == "refund" and self.race is not None:
            race, self.race = self.race, None
            race()
        return await super().post(kind, *arguments, **named)


@pytest.mark.interpreted
async def test_a_request_that_comes_between_does_not_spoil_a_refund(tmp_path: Path) -> None:
    """A request that holds credit at the moment in which it is to be taken back keeps it; the rest is taken."""
    async with opened_house(tmp_path, Racing) as house:
        paid = await till(house)
        key = await house.key(paid.org)
        await paid.tell(COMPLETED, SESSION)
        assert isinstance(house.ledger, Racing)
        house.ledger.race = lambda: house.hold(key, "req_1", amount=USD)
        assert await paid.tell(DISPUTED, DISPUTE) == "suspended"
        purse = house.ledger.wallet.purses[house.number(paid.org)]
        assert (purse.posted, purse.held) == (USD, USD)
        assert paid.movements()[1:] == [("refund", -19 * USD, "pi_1:19000000000")]
