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
from typing import Any

import msgspec
from msgspec import Struct

from tollhouse.errors import InsufficientBalance
from tollhouse.types.calls import Prices, PriceTier, Target, Usage
from tollhouse.types.money import PUSD_PER_NUSD, credits_number, format_usd

CATALOGUE, CONFIG, ADMIN, FREE = "catalogue", "config", "admin", "free"
MOST_TOKENS = 2**31
"""More than any model writes; what `PriceVersion.affordable_output` says of an answer that costs nothing."""

_encode = msgspec.json.Encoder(order="sorted").encode


class Rates(Struct, frozen=True):
    """Pico-USD per token of each class; none is missing."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    input_audio: int = 0
    output: int = 0
    reasoning: int = 0
    output_audio: int = 0


class Tier(Struct, frozen=True):
    """The rates of a prompt of more than ``above_tokens`` tokens."""

    above_tokens: int
    rates: Rates


class _Body(Struct, frozen=True, forbid_unknown_fields=True):
    """What a version is a digest of: its canonical JSON has sorted names and no spaces."""

    host: str
    model: str
    source: str
    effective_from: int
    free: bool
    rates: Rates
    tiers: tuple[Tier, ...]
    image: int
    request: int


class _Top(Struct, frozen=True):
    """The highest rates of a prompt of more than ``above_tokens`` tokens, or of any shorter one."""

    above_tokens: int
    text_in: int
    text_out: int
    any_in: int
    any_out: int


class PriceVersion(Struct, frozen=True, eq=False):
    """One version of the price of one model at one host, for ever. Made by `make_price` and `read_price`.

    ``effective_from`` is in Unix seconds, 0 for what has always been so. ``image`` and ``request`` are pico-USD for one
    image and for one request. ``body`` is the canonical JSON of all this, and ``digest`` its SHA-256.
    """

    host: str
    model: str
    source: str
    rates: Rates
    tiers: tuple[Tier, ...]
    image: int
    request: int
    effective_from: int
    free: bool
    body: str
    digest: bytes
    tops: tuple[_Top, ...]
    """By falling length; the last is of any prompt."""

    def charge(self, usage: Usage) -> int:
        """What the usage costs, in nano-USD, rounded up once."""
        rates = self.rates
        if self.tiers:
            prompt = usage.prompt
            for tier in self.tiers:
                if prompt > tier.above_tokens:
                    rates = tier.rates
        reasoning = min(usage.reasoning, usage.output)
        pico = (
            usage.input * rates.input
            + usage.cache_read * rates.cache_read
            + usage.cache_write * rates.cache_write
            + usage.cache_write_1h * rates.cache_write_1h
            + usage.input_audio * rates.input_audio
            + (usage.output - reasoning) * rates.output
            + reasoning * rates.reasoning
            + usage.output_audio * rates.output_audio
            + usage.images * self.image
            + self.request
        )
        return -(-pico // PUSD_PER_NUSD)

    def bound(self, input_tokens: int, output_tokens: int, images: int = 0, *, audio: bool = True) -> int:
        """The most that a request of this size can cost, in nano-USD.

        ``audio`` is whether the request can meet the prices of audio at all.
        """
        rate_in, rate_out = self._tops(input_tokens, audio)
        pico = input_tokens * rate_in + output_tokens * rate_out + images * self.image + self.request
        return -(-pico // PUSD_PER_NUSD)

    def affordable_output(self, input_tokens: int, available_nusd: int, choices: int = 1, *, audio: bool = True) -> int:
        """How many tokens each of ``choices`` answers may have so that their `bound` is within ``available_nusd``.

        0 where not even the prompt is within it; `MOST_TOKENS` where an answer costs nothing.
        """
        rate_in, rate_out = self._tops(input_tokens, audio)
        left = available_nusd * PUSD_PER_NUSD - input_tokens * rate_in - self.request
        if left < 0:
            return 0
        return min(left // (rate_out * choices), MOST_TOKENS) if rate_out else MOST_TOKENS

    @property
    def nothing(self) -> bool:
        """Whether every request costs nothing."""
        return self.by_image and not self.image and not self.request

    @property
    def by_image(self) -> bool:
        """Whether no token has a price."""
        return not (self.tops[0].any_in or self.tops[0].any_out)

    def _tops(self, input_tokens: int, audio: bool) -> tuple[int, int]:
        """The highest price of a prompt's token and of an answer's."""
        at = 0
        while input_tokens <= self.tops[at].above_tokens:  # the last is above -1
            at += 1
        top = self.tops[at]
        return (top.any_in, top.any_out) if audio else (top.text_in, top.text_out)


class Bid(Struct, frozen=True):
    """What one target may cost at most, and what makes that true: an attempt at it is sent with ``output_cap``.

    ``amount`` is in nano-USD. ``output_cap`` is the most tokens of one answer, to be sent upstream; None sends what the
    client sent. ``input_bound`` is the most tokens that the prompt can be.
    """

    target: Target
    price: PriceVersion
    amount: int
    output_cap: int | None
    input_bound: int


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
    body = _Body(
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
    return _version(body)


def free_price(host: str, model: str) -> PriceVersion:
    """The version of a model that costs nothing because the operator or its vendor says so."""
    none = Rates()
    return _version(_Body(host, model, FREE, 0, free=True, rates=none, tiers=(), image=0, request=0))


def read_price(body: str | bytes) -> PriceVersion:
    """The version that a ``body`` is of. Raises `msgspec.ValidationError` where it is none."""
    return _version(msgspec.json.decode(body, type=_Body))


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


def _version(body: _Body) -> PriceVersion:
    text = _encode(body)
    fields: dict[str, Any] = {name: getattr(body, name) for name in _Body.__struct_fields__}
    return PriceVersion(
        **fields, body=text.decode(), digest=sha256(text).digest(), tops=_highest(body.rates, body.tiers)
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


def _highest(rates: Rates, tiers: tuple[Tier, ...]) -> tuple[_Top, ...]:
    """For each length from which another tier may apply, the highest prices up to there."""
    tops: list[_Top] = []
    text_in = text_out = any_in = any_out = 0
    for step in (Tier(-1, rates), *tiers):
        its = step.rates
        text_in = max(text_in, its.input, its.cache_read, its.cache_write, its.cache_write_1h)
        text_out = max(text_out, its.output, its.reasoning)
        any_in, any_out = max(any_in, text_in, its.input_audio), max(any_out, text_out, its.output_audio)
        tops.append(_Top(step.above_tokens, text_in, text_out, any_in, any_out))
    return tuple(reversed(tops))
