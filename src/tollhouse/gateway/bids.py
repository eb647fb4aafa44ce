"""What each target of a plan may cost at most, and which of them the caller can afford. Pure.

The pipelines call `bids` between the plan and the reservation. Theory of operation: a bid is a promise that is kept,
not a guess. Its ``amount`` is the price's bound of the largest prompt that the body can be and the longest answer that
its ``output_cap`` allows, and the cap is what is sent upstream. So a target whose bid fits into what is left cannot
cost more than is left, unless its host ignores the cap.

- Nothing binds the caller: no cap is put in, and the bid is the model's own bound.
- Something binds, and the client stated a cap: that one, or the model's own limit where it is smaller.
- Something binds, and the client stated none: the operator's default, or as much as there is money for.

Targets that cannot be afforded are left out; work that costs nothing always passes.
"""

from typing import Final

from tollhouse.errors import Fault, Unpriced
from tollhouse.gateway.needs import HOSTED_FIELDS, Needs, times_sent
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.prices import Bid, PriceVersion, short_of
from tollhouse.settings.keys import Billing
from tollhouse.types.calls import Plan, Target

UNKNOWN_OUTPUT_TOKENS: Final = 131_072
"""The longest answer of a model of which nothing is known. Where no cap is sent, what an answer exceeds it by is the
operator's loss: so it is what the longest of all write.
"""
MOST_OWN_TOKENS: Final = 131_072
"""The most that a client's own cap counts for at such a model."""
LEGACY_CAP_TOKENS: Final = 16
"""What OpenAI's completions answer with at most where the client says nothing (its API reference)."""
UNKNOWN_CONTEXT_TOKENS: Final = 1_048_576
LEAST_OUTPUT_TOKENS: Final = 16
"""An answer shorter than this is not worth its prompt: the Responses API takes no smaller cap."""
_IMAGE_KINDS: Final = "images/"
_FIELDS: Final = HOSTED_FIELDS | {
    *("speed", "context_management", "mcp_servers", "inference_geo"),
    *("cachedContent", "routingConfig", "modelSelectionConfig"),
}
"""What `Needs.hosted` may name that is a field of a request, in any dialect; all else is a tool."""
_LEGACY: Final = "completions"


def bids(
    needs: Needs, plan: Plan, *, book: PriceBook, at_s: int, available_nusd: int | None, billing: Billing
) -> tuple[Bid, ...]:
    """The bids for the targets of a plan that can be afforded, in its order.

    ``available_nusd`` is what the caller may still spend; None where nothing bounds it. Raises `Unpriced` where no
    target has a price, and `InsufficientBalance` where none can be afforded.
    """
    found: list[Bid] = []
    unpriced: Fault | None = None
    least: int | None = None
    for target in plan.targets:
        try:
            price = book.of(target, at_s, needs.kind)
            refuse_unpriced_work(needs, target, price, available_nusd)
        except Unpriced as fault:
            unpriced = unpriced or fault
            continue
        bid = bid_for(needs, target, price, available_nusd, billing.default_max_output_tokens)
        if available_nusd is None or bid.amount <= available_nusd or bid.amount == 0:
            found.append(bid)
        elif least is None or bid.amount < least:
            least = bid.amount
    if found:
        return tuple(found)
    if least is not None:
        raise short_of(least, available_nusd or 0, billing.credits_per_usd)
    raise unpriced or Unpriced("No target of this request has a price.")


def bid_for(needs: Needs, target: Target, price: PriceVersion, available_nusd: int | None, default_cap: int) -> Bid:
    """The bid for one target: the dearest that fits into what is available, else the least that would be needed."""
    prompt = input_bound(needs, target) * times_sent(needs, target)
    if needs.fixed is not None:
        return Bid(target, price, price.bound(prompt, needs.fixed, needs.images_made, audio=needs.sounds), None, prompt)
    facts, own = target.facts, needs.cap
    most = (facts.output_tokens or facts.context_tokens if facts else None) or 0
    if available_nusd is None:
        uncapped = most or UNKNOWN_OUTPUT_TOKENS
        if own is not None:  # it is the one that is sent, so it is what has to be held
            uncapped = min(own, max(most, MOST_OWN_TOKENS)) if most else own
        return Bid(target, price, _amount(needs, price, prompt, uncapped), None, prompt)
    if own is None:
        default_cap = LEGACY_CAP_TOKENS if needs.kind == _LEGACY else default_cap
        cap = min(default_cap, most or default_cap)
        needed = _amount(needs, price, prompt, cap)
        if needed > available_nusd:
            total = price.affordable_output(prompt, available_nusd, audio=needs.sounds) - needs.beside
            cap = max(total // needs.choices, min(LEAST_OUTPUT_TOKENS, cap))
            needed = _amount(needs, price, prompt, cap)
    else:
        cap = min(own, most or MOST_OWN_TOKENS)
        needed = _amount(needs, price, prompt, cap)
    return Bid(target, price, needed, cap if needed else None, prompt)


def _amount(needs: Needs, price: PriceVersion, prompt: int, cap: int) -> int:
    """What a request may cost whose answers have this cap."""
    return price.bound(prompt, cap * needs.choices + needs.beside, audio=needs.sounds)


def input_bound(needs: Needs, target: Target) -> int:
    """The most tokens that the prompt can be at a target."""
    facts = target.facts
    context = facts.context_tokens if facts else None
    if needs.unseen:
        return context or UNKNOWN_CONTEXT_TOKENS
    tokens = needs.text + needs.audio
    if needs.images:
        tokens += needs.images * (facts.image_tokens if facts else 16_384)
    return tokens if context is None or needs.prompts is None else min(tokens, context * needs.prompts)


def refuse_unpriced_work(needs: Needs, target: Target, price: PriceVersion, available_nusd: int | None) -> None:
    """Raises `Unpriced` where the price says nothing of what the request asks for: it would be taken for 0."""
    by_image = price.by_image
    if not by_image and needs.unmetered is None and needs.hosted is None:
        return
    if price.nothing or price.request:
        return
    name = target.id
    if by_image and not needs.kind.startswith(_IMAGE_KINDS):
        raise Unpriced(f"The model '{name}' is priced by the image alone, and this endpoint makes none.")
    if needs.unmetered is not None:
        message = f"A request with '{needs.unmetered}' shows no usage, and the model '{name}' is priced by usage."
        raise Unpriced(message, param=needs.unmetered)
    if needs.hosted is not None and available_nusd is not None:
        message = f"The host of '{name}' charges for '{needs.hosted}' beside tokens, and that has no price here."
        raise Unpriced(message, param="tools" if needs.hosted not in _FIELDS else needs.hosted)
