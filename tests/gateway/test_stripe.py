"""Stripe's signatures and what its events mean."""

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from tollhouse.errors import InvalidRequest, InvalidSignature
from tollhouse.gateway.stripe import (
    TOLERANCE_S,
    Claimed,
    Event,
    Ignored,
    Paid,
    check_signature,
    read_event,
    read_meaning,
)

SECRET = "whsec_test"
NOW_S = 1_800_000_000
BODY = b'{"id":"evt_1"}'


def sign(body: bytes, at_s: int = NOW_S, secret: str = SECRET) -> str:
    """The signature of a body."""
    return hmac.new(secret.encode(), f"{at_s}.".encode() + body, sha256).hexdigest()


def test_the_published_scheme() -> None:
    """The scheme is Stripe's own: what OpenSSL makes of ``1800000000.{"id":"evt_1"}`` and the secret is accepted, also
    beside signatures of another secret.
    """
    by_openssl = "45705be2a45ab5acdd1395cc695e9e7073125385ec24194921c401dff44176f8"
    header = f"t=1800000000,v1={'0' * 64},v1={by_openssl},v0={'0' * 64}"
    check_signature(header.encode(), BODY, SECRET, NOW_S)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        f"t={NOW_S}",
        f"v1={sign(BODY)}",
        f"t={NOW_S},v0={sign(BODY)}",
        f"t={NOW_S},v1={sign(BODY, secret='another')}",
        f"t={NOW_S},v1={sign(BODY, secret='')}",
        f"t={NOW_S},v1={sign(BODY + b' ')}",
        f"t={NOW_S},v1={sign(BODY).upper()}",
        f"t={NOW_S + 1},v1={sign(BODY)}",
        f"t={NOW_S},t={NOW_S},v1={sign(BODY)}",
        f"t=-{NOW_S},v1={sign(BODY)}",
        f"t={NOW_S}0000,v1={sign(BODY)}",
        f"t={NOW_S},v1={sign(BODY)}x",
        f"t={NOW_S}," + ",".join(["v1=0"] * 16) + f",v1={sign(BODY)}",
    ],
)
def test_anything_else_is_refused(header: str) -> None:
    """A missing, foreign, altered or malformed signature is a 400, whatever is wrong with it."""
    with pytest.raises(InvalidSignature) as caught:
        check_signature(header.encode(), BODY, SECRET, NOW_S)
    assert (caught.value.status, caught.value.code) == (400, "invalid_signature")


def test_an_empty_secret_signs_nothing() -> None:
    """What an empty secret would have signed is refused too (CVE-2026-41432)."""
    header = f"t={NOW_S},v1={sign(BODY, secret='')}".encode()
    with pytest.raises(InvalidSignature):
        check_signature(header, BODY, "", NOW_S)


@pytest.mark.parametrize("shift_s", [-TOLERANCE_S, -1, 0, 1, TOLERANCE_S])
def test_a_signature_holds_for_five_minutes(shift_s: int) -> None:
    """A signature is good for 300 seconds either way."""
    check_signature(f"t={NOW_S},v1={sign(BODY)}".encode(), BODY, SECRET, NOW_S + shift_s)


@pytest.mark.parametrize("shift_s", [-TOLERANCE_S - 1, TOLERANCE_S + 1, 86_400])
def test_an_old_signature_is_refused(shift_s: int) -> None:
    """A recorded event is worth nothing later, nor one that comes from the future."""
    with pytest.raises(InvalidSignature):
        check_signature(f"t={NOW_S},v1={sign(BODY)}".encode(), BODY, SECRET, NOW_S + shift_s)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"id":1,"type":"a","data":{"object":{}}}', b"\xff", b"[" * 2000])
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    """A signed body without id, type and object is a 400."""
    with pytest.raises(InvalidRequest):
        read_event(body)


def test_an_event_is_read() -> None:
    """Of an event its id, its type and its object count."""
    event = {"id": "evt_1", "object": "event", "type": "a", "data": {"object": {"id": "x"}}, "livemode": True}
    assert read_event(json.dumps(event).encode()) == Event("evt_1", "a", {"id": "x"})


SESSION = {
    "id": "cs_1",
    "mode": "payment",
    "payment_status": "paid",
    "payment_intent": "pi_1",
    "amount_total": 2000,
    "currency": "usd",
    "client_reference_id": "org_1",
    "metadata": {},
}
INTENT = {"id": "pi_1", "amount_received": 2000, "currency": "usd", "metadata": {"tollhouse_org": "org_1"}}
CHARGE = {"id": "ch_1", "payment_intent": "pi_1", "amount_refunded": 500, "currency": "usd"}
DISPUTE = {"id": "dp_1", "payment_intent": "pi_1", "amount": 2000, "currency": "usd"}
PAID = Paid("pi_1", "org_1", 20_000_000_000)


def meaning(type_: str, object_: dict[str, Any], **changes: Any) -> Paid | Claimed | Ignored:
    """What an event of some object means."""
    return read_meaning(Event("evt_1", type_, {**object_, **changes}))


@pytest.mark.parametrize("type_", ["checkout.session.completed", "checkout.session.async_payment_succeeded"])
def test_a_paid_checkout_is_credit(type_: str) -> None:
    """A checkout that was paid, at once or later, is credit of the organisation it names; a cent is 10^7 nano-USD."""
    assert meaning(type_, SESSION) == PAID
    named = {"client_reference_id": None, "metadata": {"tollhouse_org": "org_1"}}
    assert meaning(type_, SESSION, **named) == PAID
    assert meaning(type_, SESSION, payment_intent={"id": "pi_1", "object": "payment_intent"}) == PAID


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"payment_status": "unpaid"}, "not_paid"),
        ({"payment_status": "no_payment_required"}, "not_paid"),
        ({"mode": "subscription"}, "not_paid"),
        ({"client_reference_id": None}, "ignored"),
        ({"client_reference_id": ""}, "ignored"),
        ({"client_reference_id": "x" * 256}, "ignored"),
        ({"client_reference_id": None, "metadata": "org_1"}, "ignored"),
        ({"currency": "eur"}, "other_currency"),
        ({"currency": None}, "other_currency"),
        ({"payment_intent": None}, "invalid_payment"),
        ({"payment_intent": "pi_1:5"}, "invalid_payment"),
        ({"amount_total": 0}, "invalid_payment"),
        ({"amount_total": -2000}, "invalid_payment"),
        ({"amount_total": 10**11 + 1}, "invalid_payment"),
        ({"amount_total": 10**30}, "invalid_payment"),
        ({"amount_total": 2000.0}, "invalid_payment"),
        ({"amount_total": "2000"}, "invalid_payment"),
        ({"amount_total": True}, "invalid_payment"),
        ({"amount_total": None}, "invalid_payment"),
    ],
)
def test_any_other_checkout_is_not(changes: dict[str, Any], outcome: str) -> None:
    """What is not paid, not ours, not in dollars, or no sane amount is no credit."""
    assert meaning("checkout.session.completed", SESSION, **changes) == Ignored(outcome)


def test_the_largest_payment() -> None:
    """A billion dollars is the most that is believed."""
    found = meaning("checkout.session.completed", SESSION, amount_total=10**11)
    assert found == Paid("pi_1", "org_1", 10**18)


def test_a_bare_payment_is_credit_where_it_says_so() -> None:
    """A payment intent counts only when its metadata names an organisation: most belong to a checkout, or to others."""
    assert meaning("payment_intent.succeeded", INTENT) == PAID
    assert meaning("payment_intent.succeeded", INTENT, metadata={}) == Ignored("ignored")
    assert meaning("payment_intent.succeeded", INTENT, metadata={"tollhouse_org": 1}) == Ignored("ignored")


def test_what_goes_back_is_a_claim() -> None:
    """Refunds are one claim, of their sum so far; every dispute is one of its own."""
    assert meaning("charge.refunded", CHARGE) == Claimed("pi_1", "refunds", 5_000_000_000)
    assert meaning("charge.dispute.created", DISPUTE) == Claimed("pi_1", "dp_1", 20_000_000_000)
    assert meaning("charge.refunded", CHARGE, currency="eur") == Ignored("other_currency")
    assert meaning("charge.refunded", CHARGE, payment_intent=None) == Ignored("invalid_payment")
    assert meaning("charge.dispute.created", DISPUTE, id=None) == Ignored("invalid_payment")
    assert meaning("charge.dispute.created", DISPUTE, amount=0) == Ignored("invalid_payment")


@pytest.mark.parametrize("type_", ["charge.succeeded", "customer.created", "checkout.session.expired", ""])
def test_other_events_are_ignored(type_: str) -> None:
    """Events of other types mean nothing here."""
    assert meaning(type_, SESSION) == Ignored("ignored")
