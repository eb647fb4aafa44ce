"""Stripe's events: whether Stripe sent one, and what it says of a payment. Pure; `gateway.webhooks` acts on it.

The scheme is https://docs.stripe.com/webhooks#verify-manually: HMAC-SHA256 over the time, a dot and the raw body. The
time is checked both ways, so that a recorded event is worth nothing later. Everything that is believed comes from the
signed body; what is not an amount of US dollars, in whole cents and of a sane size, is never credited.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.errors import InvalidRequest, InvalidSignature
from tollhouse.types.money import MAX_NUSD

TOLERANCE_S = 300
NUSD_PER_CENT = 10**7
MAX_BODY_BYTES = 1 << 20
MAX_ID_CHARS = 255
_MAX_SIGNATURES = 16


class Paid(Struct, frozen=True):
    """So much was paid for an organisation. ``payment`` is the payment intent, whichever event tells of it."""

    payment: str
    org_id: str
    amount_nusd: int


class Claimed(Struct, frozen=True):
    """So much of a payment goes back to the payer: ``name`` is ``refunds`` for all refunds together, or a dispute."""

    payment: str
    name: str
    amount_nusd: int


class Ignored(Struct, frozen=True):
    """Nothing to act on, and why."""

    outcome: str


class Event(Struct, frozen=True):
    """A signed event, as far as it is read here."""

    id: str
    type: str
    object: dict[str, Any]


def check_signature(header: bytes, body: bytes, secret: str, now_s: float) -> None:
    """Raises `InvalidSignature` unless the holder of the secret signed this body within the tolerance."""
    fields = [field.strip().partition(b"=") for field in header.split(b",")]
    times = [value for name, _, value in fields if name == b"t"]
    signatures = [value for name, _, value in fields if name == b"v1"][:_MAX_SIGNATURES]
    if not secret or len(times) != 1 or not times[0].isdigit() or len(times[0]) > 12 or not signatures:
        raise InvalidSignature("The header Stripe-Signature is missing or cannot be read.")
    wanted = hmac.new(secret.encode(), times[0] + b"." + body, sha256).hexdigest().encode()
    matches = [hmac.compare_digest(wanted, signature) for signature in signatures]  # all, whichever is right
    if not any(matches):
        raise InvalidSignature("No signature of Stripe-Signature is that of this body.")
    if abs(now_s - int(times[0])) > TOLERANCE_S:
        raise InvalidSignature(f"The event was signed more than {TOLERANCE_S} seconds from now.")


def read_event(body: bytes) -> Event:
    """The event in a body that was signed. Raises `InvalidRequest` where it is none."""
    try:
        found = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest("The body is not an event of Stripe's.") from error
    return Event(found.id, found.type, found.data.object)


class _Data(Struct):
    object: dict[str, Any]


class _Envelope(Struct):
    id: str
    type: str
    data: _Data


def read_meaning(event: Event) -> Paid | Claimed | Ignored:
    """What an event asks for."""
    reader = _READERS.get(event.type)
    return reader(event.object) if reader is not None else Ignored("ignored")


def _session(session: Mapping[str, Any]) -> Paid | Ignored:
    """A checkout: paid at once, or later with a slow method, of which the same object tells when it has succeeded."""
    if session.get("mode") != "payment" or session.get("payment_status") != "paid":
        return Ignored("not_paid")
    org_id = _text(_metadata(session).get("tollhouse_org")) or _text(session.get("client_reference_id"))
    return _paid(session.get("payment_intent"), org_id, session.get("amount_total"), session.get("currency"))


def _intent(intent: Mapping[str, Any]) -> Paid | Ignored:
    """A payment made without a checkout, or the other half of one."""
    org_id = _text(_metadata(intent).get("tollhouse_org"))
    return _paid(intent.get("id"), org_id, intent.get("amount_received"), intent.get("currency"))


def _paid(payment: object, org_id: str | None, cents: object, currency: object) -> Paid | Ignored:
    if org_id is None:
        return Ignored("ignored")
    payment_id, amount_nusd = _id(payment), _amount(cents)
    if currency != "usd":
        return Ignored("other_currency")
    return Paid(payment_id, org_id, amount_nusd) if payment_id and amount_nusd else Ignored("invalid_payment")


def _refunded(charge: Mapping[str, Any]) -> Claimed | Ignored:
    """``amount_refunded`` is the sum of all refunds so far, so events may be lost and come in any order."""
    return _claimed(charge.get("payment_intent"), "refunds", charge.get("amount_refunded"), charge.get("currency"))


def _disputed(dispute: Mapping[str, Any]) -> Claimed | Ignored:
    name = _id(dispute.get("id")) or ""
    return _claimed(dispute.get("payment_intent"), name, dispute.get("amount"), dispute.get("currency"))


def _claimed(payment: object, name: str, cents: object, currency: object) -> Claimed | Ignored:
    payment_id, amount_nusd = _id(payment), _amount(cents)
    if currency != "usd":  # nothing was credited for it either
        return Ignored("other_currency")
    return Claimed(payment_id, name, amount_nusd) if payment_id and name and amount_nusd else Ignored("invalid_payment")


_READERS = {
    "checkout.session.completed": _session,
    "checkout.session.async_payment_succeeded": _session,
    "payment_intent.succeeded": _intent,
    "charge.refunded": _refunded,
    "charge.dispute.created": _disputed,
}


def _amount(cents: object) -> int | None:
    """Nano-USD of a whole number of cents; None for what is not one, for nothing, and past `MAX_NUSD`."""
    return cents * NUSD_PER_CENT if type(cents) is int and 0 < cents <= MAX_NUSD // NUSD_PER_CENT else None


def _id(value: object) -> str | None:
    """An id, also where Stripe was asked to send the whole object in its place. Colons are ours (`stores.payments`)."""
    text = _text(value.get("id") if isinstance(value, dict) else value)
    return text if text is not None and ":" not in text else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID_CHARS else None


def _metadata(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    found = holder.get("metadata")
    return found if isinstance(found, dict) else {}
