"""A share of a price is a price of its own."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.ledger.prices import free_price, make_price
from tollhouse.ledger.shares import REPLAY, share_of
from tollhouse.types.calls import Prices, PriceTier, Usage

BASE = Prices(input=3_000_001, output=15_000_000, cache_read=7, image=11, request=13)
PRICE = make_price("up", "m", BASE, source="config", tiers=(PriceTier(100, Prices(input=5, output=9)),))
COUNTS = st.integers(0, 1 << 20)
SHARES = st.decimals(0, 1, places=6)


@given(SHARES, COUNTS, COUNTS, COUNTS)
def test_a_share_is_never_less_and_never_more_than_the_whole(
    share: Decimal, prompt: int, output: int, cached: int
) -> None:
    """A charge is at least the share of the first one, but for rounding, and at most the first one."""
    assert PRICE is not None
    usage = Usage(input=prompt, output=output, cache_read=cached, images=2)
    first, again = PRICE.charge(usage), share_of(PRICE.body, share).charge(usage)
    assert again <= first
    assert again >= (first - 1) * share


def test_nothing_of_a_price_is_free() -> None:
    """A share of 0 asks nothing of anybody, and says that it is free."""
    assert PRICE is not None
    free = share_of(PRICE.body, Decimal(0))
    assert (free.nothing, free.free, free.source) == (True, True, REPLAY)


def test_a_version_has_its_own_body() -> None:
    """It names the same host and model, and is not taken for the first, nor for what an admin has set."""
    assert PRICE is not None
    whole = share_of(PRICE.body, Decimal(1))
    assert (whole.host, whole.model, whole.rates, whole.tiers) == ("up", "m", PRICE.rates, PRICE.tiers)
    assert whole.source == REPLAY
    assert whole.digest != PRICE.digest
    assert share_of(PRICE.body, Decimal(1)) is whole


def test_each_price_of_a_share_is_its_own_part_rounded_up() -> None:
    """Of every class, in every tier, of images and of requests."""
    assert PRICE is not None
    half = share_of(PRICE.body, Decimal("0.5"))
    assert (half.rates.input, half.rates.cache_read, half.rates.output) == (1_500_001, 4, 7_500_000)
    assert (half.tiers[0].rates.input, half.tiers[0].rates.output, half.tiers[0].above_tokens) == (3, 5, 100)
    assert (half.image, half.request, half.source, half.free) == (6, 7, REPLAY, False)


def test_a_share_is_free_where_the_price_is_or_nothing_is_asked() -> None:
    """And where there is no price at all, there is no share of one."""
    assert PRICE is not None
    assert share_of(PRICE.body, Decimal(0)).free
    assert share_of(free_price("up", "m").body, Decimal("0.5")).free
    with pytest.raises(msgspec.ValidationError):
        share_of('{"host":"up"}', Decimal("0.5"))
