"""What a request may cost, told before it is sent: ``X-Max-Cost-Usd``, and the parts of POST /v1/quote. Pure.

`gateway.gate` calls `refuse_dearer` between the bids and the reservation; `gateway.quotes` builds its page of the rest.
A quote is made of the bids that the request itself would be held by, so its highest price is what would be held.
"""

from typing import Any

import msgspec
from msgspec.structs import asdict

from tollhouse.dialects.usage import usd_json
from tollhouse.errors import Fault, InvalidRequest, MaxCostExceeded
from tollhouse.gateway.annotate import amounts
from tollhouse.gateway.needs import Needs, times_sent
from tollhouse.gateway.receipts import per_million
from tollhouse.ledger.prices import Bid
from tollhouse.types.calls import Target, Usage
from tollhouse.types.money import format_usd, parse_usd

MAX_COST = b"x-max-cost-usd"
MAX_BODY_SHOWN_BYTES = 256 * 1024


def read_max_cost(header: bytes) -> int:
    """Nano-USD of ``X-Max-Cost-Usd``. Raises `InvalidRequest`."""
    try:
        most = parse_usd(header.decode("ascii"))
    except ValueError:
        most = -1
    if most < 0:
        message = "X-Max-Cost-Usd takes an amount of US dollars such as 0.05."
        raise InvalidRequest(message, param="X-Max-Cost-Usd", code="invalid_value")
    return most


def refuse_dearer(bids: tuple[Bid, ...], header: bytes) -> tuple[Bid, ...]:
    """The bids that are within the request's own limit. Raises `MaxCostExceeded` where none is, `InvalidRequest`."""
    most = read_max_cost(header)
    within = tuple([bid for bid in bids if bid.amount <= most])
    if within:
        return within
    least = min([bid.amount for bid in bids])
    raise MaxCostExceeded(
        f"This request may cost up to ${format_usd(least)}, and X-Max-Cost-Usd is ${format_usd(most)}. "
        "Ask for fewer tokens (max_completion_tokens), shorten the prompt, or allow more.",
        param="X-Max-Cost-Usd",
    )


def lowest(bid: Bid, needs: Needs, prompt_tokens: int) -> int:
    """What the shortest answer would cost, in nano-USD: the prompt by its estimate with nothing cached, and one token
    of each answer that is asked for.
    """
    answer = needs.choices if needs.fixed is None else 0
    prompts = prompt_tokens * times_sent(needs, bid.target)
    usage = Usage(input=min(prompts, bid.input_bound), output=answer, images=needs.images_made)
    return min(bid.amount, bid.price.charge(usage))


def describe_bid(bid: Bid, lowest_nusd: int, credits_per_usd: int, body: bytes | None) -> dict[str, Any]:
    """One target of a quote. ``body`` is what would be sent to it, as JSON; None for what is not JSON."""
    price = bid.price
    shown = body is not None and len(body) <= MAX_BODY_SHOWN_BYTES
    return {
        "target": bid.target.id,
        "price": {"source": price.source, "free": price.free, "usd_per_1m": per_million(asdict(price.rates))},
        "input_tokens_bound": bid.input_bound,
        "output_tokens_cap": bid.output_cap,
        **_price("lowest", lowest_nusd, credits_per_usd),
        **_price("highest", bid.amount, credits_per_usd),
        "upstream_body": msgspec.Raw(body) if shown and body is not None else None,
    }


def describe_drop(target: Target, fault: Fault) -> dict[str, Any]:
    """A target that would not be tried, and why."""
    return {"target": target.id, "code": fault.code, "message": fault.message}


def describe_range(lowest_nusd: list[int], highest_nusd: list[int], credits_per_usd: int) -> dict[str, Any]:
    """From the cheapest to the dearest target that would be tried; null where none would."""
    if not highest_nusd:
        return {**_price("lowest", None, credits_per_usd), **_price("highest", None, credits_per_usd)}
    low, high = min(lowest_nusd), max(highest_nusd)
    return {**_price("lowest", low, credits_per_usd), **_price("highest", high, credits_per_usd)}


def _price(name: str, amount_nusd: int | None, credits_per_usd: int) -> dict[str, Any]:
    number = None if amount_nusd is None else usd_json(amount_nusd)
    return {name: number, **amounts(name, amount_nusd, credits_per_usd)}
