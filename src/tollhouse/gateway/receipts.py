"""One request as GET /v1/usage/{request_id} shows it: every attempt, token, price and entry, so that anybody can
reckon the charge again. Pure; `gateway.usage` calls it.
"""

from typing import Any

import msgspec

from tollhouse.dialects.usage import usd_json
from tollhouse.gateway.annotate import amounts
from tollhouse.gateway.judge_calls import ANSWERED, CANCELLED, FAILED
from tollhouse.ledger.reports import Request
from tollhouse.ledger.shares import REPLAY
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.money import PUSD_PER_NUSD, format_usd

_US = 1_000_000
_TOKENS = 1_000_000


def describe_request(request: Request, credits_per_usd: int) -> dict[str, Any]:
    """The receipt. Times are Unix seconds; amounts exact US dollars as text, and credits as numbers."""
    closed = request.closed_at_us
    return {
        "object": "usage.request",
        "id": request.request_id,
        "state": request.state,
        "kind": request.kind,
        "model": request.requested,
        "target": request.target or None,
        "key": request.key_id,
        "key_name": request.key_name,
        "created_at": request.opened_at_us // _US,
        "duration_ms": None if closed is None else max(0, closed - request.opened_at_us) // 1000,  # the clock may step
        **amounts("held", request.amount_nusd, credits_per_usd),
        "cost": usd_json(request.charge_nusd),
        **amounts("cost", request.charge_nusd, credits_per_usd),
        "estimated": request.estimated,
        "interrupted": request.interrupted,
        "written_off_usd": format_usd(request.clipped_nusd),
        "tokens": request.tokens,
        "safety": request.safety,
        "price": _price(request),
        "attempts": [_attempt(attempt) for attempt in request.attempts if attempt.target != REPLAY and is_own(attempt)],
        "replay": next(map(_replay, [attempt for attempt in request.attempts if attempt.target == REPLAY]), None),
        "entries": [
            {
                "transaction": entry.tx,
                "kind": entry.kind,
                "at": entry.at_us // _US,
                "account": entry.account,
                "amount_usd": format_usd(entry.amount_nusd),
            }
            for entry in request.entries
        ],
    }


def is_own(attempt: AttemptRecord) -> bool:
    """Whether an attempt was made for the answer. Which judges an operator asks is not the customer's business."""
    return attempt.outcome not in (ANSWERED, FAILED, CANCELLED)


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    lost = [{"param": loss.param, "how": loss.how, "why": loss.why} for loss in attempt.losses]
    return {
        "target": attempt.target,
        "outcome": attempt.outcome,
        "upstream_request_id": attempt.upstream_id,
        "duration_ms": attempt.ms,
        **({"losses": lost} if lost else {}),
    }


def _replay(attempt: AttemptRecord) -> dict[str, Any]:
    """Of an answer that was given again: what it was asked for by, and whose it was first (`gateway.replaying`)."""
    return {"by": attempt.outcome, "of": attempt.upstream_id}


def _price(request: Request) -> dict[str, Any] | None:
    """The version that the charge was reckoned by: US dollars for a million tokens of each class."""
    if request.price is None:
        return None
    stated = msgspec.convert(request.price_body, _Stated)
    return {
        "version": request.price,
        "source": stated.source,
        "free": stated.free,
        "effective_from": stated.effective_from,
        "usd_per_1m": per_million(stated.rates),
        "tiers": [{"above_tokens": tier.above_tokens, "usd_per_1m": per_million(tier.rates)} for tier in stated.tiers],
        "usd_per_image": _usd(stated.image),
        "usd_per_request": _usd(stated.request),
    }


class _StatedTier(msgspec.Struct, frozen=True):
    above_tokens: int
    rates: dict[str, int]


class _Stated(msgspec.Struct, frozen=True):
    """The canonical JSON of `ledger.prices`."""

    source: str
    free: bool
    effective_from: int
    rates: dict[str, int]
    tiers: tuple[_StatedTier, ...]
    image: int
    request: int


def per_million(rates: dict[str, int]) -> dict[str, str]:
    """Pico-USD for one token as US dollars for a million, exactly."""
    return {name: format_usd(pico * _TOKENS // PUSD_PER_NUSD) for name, pico in rates.items()}


def _usd(pico: int) -> str:
    """Pico-USD as US dollars, exactly: up to twelve decimals."""
    nano, rest = divmod(pico, PUSD_PER_NUSD)
    return format_usd(nano) if not rest else f"{nano // 10**9}.{nano % 10**9:09d}{rest:03d}".rstrip("0")
