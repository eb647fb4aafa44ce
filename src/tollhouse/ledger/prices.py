"""Prices: immutable versions, what a usage costs by one, and what a request may cost at most.

Made by `ledger.pricebook`, used by `gateway.bids` before an attempt and by `ledger` after it. Theory of operation:

- A price is pico-USD per token, an amount nano-USD, both integers. `PriceVersion.charge` adds everything up in pico-USD
  and rounds once, up: it is never less than the exact price, and less than one nano-USD more.
- A class that nobody priced has the price of the class it is part of: cache reads and 5-minute writes that of input,
  1-hour writes that of 5-minute ones, reasoning that of output, audio that of text. This is settled when the version is
  made, so that its ``body`` states every price that is charged by, and anybody can recompute a charge from it.
- The context tier is chosen by the whole prompt, cached or not.
- `PriceVersion.bound` takes the highest price among the classes and tiers that a request of this size can meet, so
  ``charge(usage) <= bound(prompt, completion, images)`` for every usage within those counts.
"""

from hashlib import sha256
from typing import Final

import msgspec

from tollhouse.errors import InsufficientBalance
from tollhouse.ledger.price_bodies import Body, Rates, Tier
from tollhouse.types.calls import Prices, PriceTier, Target, Usage, counts_of
from tollhouse.types.money import PUSD_PER_NUSD, credits_number, format_usd

CATALOGUE: Final = "catalogue"
CONFIG: Final = "config"
ADMIN: Final = "admin"
FREE: Final = "free"
MOST_TOKENS: Final = 2**31
"""More than any model writes; what `PriceVersion.affordable_output` says of an answer that costs nothing."""

_encode: Final = msgspec.json.Encoder(order="sorted").encode


class _Step:
    """`Tier`, as it is charged by; -1 for ``above_tokens`` means any prompt."""

    __slots__ = (
        *("above_tokens", "cache_read", "cache_write", "cache_write_1h", "input", "input_audio"),
        *("output", "output_audio", "reasoning"),
    )

    def __init__(self, above_tokens: int, rates: Rates) -> None:
        self.above_tokens = above_tokens
        self.input = rates.input
        self.cache_read = rates.cache_read
        self.cache_write = rates.cache_write
        self.cache_write_1h = rates.cache_write_1h
        self.input_audio = rates.input_audio
        self.output = rates.output
        self.reasoning = rates.reasoning
        self.output_audio = rates.output_audio


class _Top:
    """The highest rates of a prompt of more than ``above_tokens`` tokens, or of any shorter one."""

    __slots__ = ("above_tokens", "any_in", "any_out", "text_in", "text_out")

    def __init__(self, above_tokens: int, text_in: int, text_out: int, any_in: int, any_out: int) -> None:
        self.above_tokens = above_tokens
        self.text_in = text_in
        self.text_out = text_out
        self.any_in = any_in
        self.any_out = any_out


class PriceVersion:
    """One version of the price of one model at one host, for ever. Made by `make_price`, `free_price` and `read_price`;
    never changed.

    ``effective_from`` is in Unix seconds, 0 for what has always been so. ``image`` and ``request`` are pico-USD for one
    image and for one request. ``body`` is the canonical JSON of all this, and ``digest`` its SHA-256.
    """

    __slots__ = (
        *("_any", "_longer", "_tops", "body", "by_image", "digest", "effective_from", "free", "host", "image", "model"),
        *("nothing", "rates", "request", "source", "tiers"),
    )

    def __init__(self, stated: Body) -> None:
        text = _encode(stated)
        self.host = stated.host
        self.model = stated.model
        self.source = stated.source
        self.effective_from = stated.effective_from
        self.free = stated.free
        self.rates = stated.rates
        self.tiers = stated.tiers
        self.image = stated.image
        self.request = stated.request
        self.body = text.decode()
        self.digest = sha256(text).digest()
        self._any = _Step(-1, stated.rates)
        self._longer = tuple([_Step(tier.above_tokens, tier.rates) for tier in stated.tiers])
        self._tops = _highest((self._any, *self._longer))
        """By falling length; the last is of any prompt."""
        self.by_image = not (self._tops[0].any_in or self._tops[0].any_out)
        """Whether no token has a price."""
        self.nothing = self.by_image and not self.image and not self.request
        """Whether every request costs nothing."""

    def charge(self, usage: Usage) -> int:
        """What the usage costs, in nano-USD, rounded up once."""
        step = self._any
        if self._longer:
            prompt = usage.prompt
            for longer in self._longer:
                if prompt > longer.above_tokens:
                    step = longer
        text, read, kept, output, thought, _, kept_1h, heard, spoken, images = counts_of(usage)
        thought = min(thought, output)
        pico = (
            text * step.input
            + read * step.cache_read
            + kept * step.cache_write
            + kept_1h * step.cache_write_1h
            + heard * step.input_audio
            + (output - thought) * step.output
            + thought * step.reasoning
            + spoken * step.output_audio
            + images * self.image
            + self.request
        )
        return -(-pico // PUSD_PER_NUSD)

    def bound(self, input_tokens: int, output_tokens: int, images: int = 0, *, audio: bool = True) -> int:
        """The most that a request of this size can cost, in nano-USD.

        ``audio`` is whether the request can meet the prices of audio at all.
        """
        rate_in, rate_out = self._dearest(input_tokens, audio)
        pico = input_tokens * rate_in + output_tokens * rate_out + images * self.image + self.request
        return -(-pico // PUSD_PER_NUSD)

    def affordable_output(self, input_tokens: int, available_nusd: int, choices: int = 1, *, audio: bool = True) -> int:
        """How many tokens each of ``choices`` answers may have so that their `bound` is within ``available_nusd``.

        0 where not even the prompt is within it; `MOST_TOKENS` where an answer costs nothing.
        """
        rate_in, rate_out = self._dearest(input_tokens, audio)
        left = available_nusd * PUSD_PER_NUSD - input_tokens * rate_in - self.request
        if left < 0:
            return 0
        return min(left // (rate_out * choices), MOST_TOKENS) if rate_out else MOST_TOKENS

    def _dearest(self, input_tokens: int, audio: bool) -> tuple[int, int]:
        """The highest price of a prompt's token and of an answer's."""
        at = 0
        while input_tokens <= self._tops[at].above_tokens:  # the last is above -1
            at += 1
        top = self._tops[at]
        return (top.any_in, top.any_out) if audio else (top.text_in, top.text_out)


class Bid:
    """What one target may cost at most, and what makes that true: an attempt at it is sent with ``output_cap``. Never
    changed.

    ``amount`` is in nano-USD. ``output_cap`` is the most tokens of one answer, to be sent upstream; None sends what the
    client sent. ``input_bound`` is the most tokens that the prompt can be.
    """

    __slots__ = ("amount", "input_bound", "output_cap", "price", "target")

    def __init__(
        self, target: Target, price: PriceVersion, amount: int, output_cap: int | None, input_bound: int
    ) -> None:
        self.target = target
        self.price = price
        self.amount = amount
        self.output_cap = output_cap
        self.input_bound = input_bound


def make_price(
    host: str,
    model: str,
    prices: Prices,
    *,
    source: str,
    tiers: tuple[PriceTier, ...] = (),
    effective_from: int = 0,
) -> PriceVersion | None:
    """The version of these prices; None where they price nothing: tokens need an input and an output price.

    A model that has a price for an image or a request and none for tokens is charged by that alone.
    """
    flat = prices.image is not None or prices.request is not None
    tokens = prices.input is not None and prices.output is not None
    if not tokens and (not flat or any(getattr(prices, name) is not None for name in Rates.__struct_fields__)):
        return None
    rates = _rates(prices, Prices(0, 0))
    steps = [Tier(tier.above_tokens, _rates(tier.prices, prices)) for tier in tiers] if tokens else []
    steps.sort(key=lambda tier: tier.above_tokens)
    body = Body(
        host=host,
        model=model,
        source=source,
        effective_from=effective_from,
        free=source == FREE,
        rates=rates,
        tiers=tuple(steps),
        image=prices.image or 0,
        request=prices.request or 0,
    )
    return PriceVersion(body)


def free_price(host: str, model: str) -> PriceVersion:
    """The version of a model that costs nothing because the operator or its vendor says so."""
    none = Rates()
    return PriceVersion(Body(host, model, FREE, 0, free=True, rates=none, tiers=(), image=0, request=0))


def read_price(body: str | bytes) -> PriceVersion:
    """The version that a ``body`` is of. Raises `msgspec.ValidationError` where it is none."""
    return PriceVersion(msgspec.json.decode(body, type=Body))


def short_of(needed_nusd: int, available_nusd: int, credits_per_usd: int) -> InsufficientBalance:
    """The fault of a request that may cost ``needed_nusd`` where ``available_nusd`` is left."""
    available_nusd = max(available_nusd, 0)
    return InsufficientBalance(
        f"This request may cost up to ${format_usd(needed_nusd)}, and ${format_usd(available_nusd)} is available. "
        "Ask for fewer tokens (max_completion_tokens), shorten the prompt, or add credits.",
        amounts={
            "required_credits": credits_number(needed_nusd, credits_per_usd),
            "available_credits": credits_number(available_nusd, credits_per_usd),
            "required_usd": format_usd(needed_nusd),
            "available_usd": format_usd(available_nusd),
        },
    )


def _rates(prices: Prices, under: Prices) -> Rates:
    """Every class's price: its own, else what ``under`` has of it, else that of the class it is part of."""

    def price(name: str) -> int | None:
        own: int | None = getattr(prices, name)
        inherited: int | None = getattr(under, name)
        return inherited if own is None else own

    def either(name: str, other: int) -> int:
        stated = price(name)
        return other if stated is None else stated

    text_in, text_out = either("input", 0), either("output", 0)
    cache_write = either("cache_write", text_in)
    return Rates(
        input=text_in,
        cache_read=either("cache_read", text_in),
        cache_write=cache_write,
        cache_write_1h=either("cache_write_1h", cache_write),
        input_audio=either("input_audio", text_in),
        output=text_out,
        reasoning=either("reasoning", text_out),
        output_audio=either("output_audio", text_out),
    )


def _highest(steps: tuple[_Step, ...]) -> tuple[_Top, ...]:
    """For each length from which another tier may apply, the highest prices up to there."""
    tops: list[_Top] = []
    text_in = text_out = any_in = any_out = 0
    for step in steps:
        text_in = max(text_in, step.input, step.cache_read, step.cache_write, step.cache_write_1h)
        text_out = max(text_out, step.output, step.reasoning)
        any_in, any_out = max(any_in, text_in, step.input_audio), max(any_out, text_out, step.output_audio)
        tops.append(_Top(step.above_tokens, text_in, text_out, any_in, any_out))
    return tuple(reversed(tops))
