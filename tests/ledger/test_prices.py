"""Prices: exact to one rounding, always within the bound, and recomputable from what is stored."""

import json
from fractions import Fraction
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.ledger.prices import MOST_TOKENS, PriceVersion, free_price, make_price, read_price, short_of
from tollhouse.types.calls import Prices, PriceTier, Usage

IN = ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio")
OUT = ("output", "reasoning", "output_audio")
PARENTS = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "reasoning": "output",
    "output_audio": "output",
}

rates = st.integers(0, 10**9)
maybe = st.none() | rates
counts = st.integers(0, 2**31)


@st.composite
def prices(draw: st.DrawFn) -> Prices:
    """Prices of a model, any of its classes but the two main ones missing."""
    classes = {name: draw(maybe) for name in PARENTS}
    return Prices(input=draw(rates), output=draw(rates), image=draw(maybe), request=draw(maybe), **classes)


@st.composite
def tiers(draw: st.DrawFn) -> tuple[PriceTier, ...]:
    """Up to three context tiers, each of whose classes may be missing."""
    lengths = draw(st.lists(st.integers(1, 10**6), max_size=3, unique=True))
    names = (*IN, *OUT)
    return tuple(PriceTier(length, Prices(**{name: draw(maybe) for name in names})) for length in sorted(lengths))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """A usage in disjoint classes, prompts short and long."""
    some = st.integers(0, 400_000)
    output = draw(some)
    return Usage(
        input=draw(some),
        cache_read=draw(some),
        cache_write=draw(some),
        output=output,
        reasoning=draw(st.integers(0, output)),
        cache_write_1h=draw(some),
        input_audio=draw(some),
        output_audio=draw(some),
        images=draw(st.integers(0, 10)),
    )


def made(stated: Prices, steps: tuple[PriceTier, ...] = ()) -> PriceVersion:
    """The version of these prices."""
    version = make_price("h", "m", stated, source="config", tiers=steps)
    assert version is not None
    return version


def oracle(stated: Prices, steps: tuple[PriceTier, ...], usage: Usage) -> Fraction:
    """The exact price of a usage in nano-USD, by an independent reading of the rules."""
    prompt = sum(getattr(usage, name) for name in IN)
    over = [step.prices for step in steps if prompt > step.above_tokens]
    sheets = [*([over[-1]] if over else []), stated]

    def rate(name: str) -> int:
        own = [getattr(sheet, name) for sheet in sheets if getattr(sheet, name) is not None]
        return int(own[0]) if own else rate(PARENTS[name])

    tokens = {name: getattr(usage, name) for name in (*IN, *OUT)}
    tokens["output"] -= tokens["reasoning"]
    total = sum(Fraction(count * rate(name), 1000) for name, count in tokens.items() if count)
    return total + Fraction(usage.images * (stated.image or 0) + (stated.request or 0), 1000)


@given(prices(), tiers(), usages())
def test_i8_a_charge_is_exact_to_one_rounding_up(stated: Prices, steps: tuple[PriceTier, ...], usage: Usage) -> None:
    """A charge is the exact price of the usage, rounded up once to a whole nano-USD."""
    exact = oracle(stated, steps, usage)
    charge = made(stated, steps).charge(usage)
    assert type(charge) is int
    assert exact <= charge < exact + 1


@given(prices(), tiers(), usages(), st.integers(0, 50), st.integers(0, 50))
def test_i7_no_usage_within_the_counts_costs_more_than_the_bound(
    stated: Prices, steps: tuple[PriceTier, ...], usage: Usage, more_in: int, more_out: int
) -> None:
    """Whatever classes and tier the tokens fall into, what was held is enough."""
    version = made(stated, steps)
    assert version.charge(usage) <= version.bound(usage.prompt + more_in, usage.completion + more_out, usage.images)
    silent = msgspec.structs.replace(usage, input_audio=0, output_audio=0)
    assert version.charge(silent) <= version.bound(silent.prompt, silent.completion, silent.images, audio=False)


@given(prices(), tiers(), st.integers(0, 10**6), st.integers(0, 10**12), st.integers(1, 8))
def test_the_affordable_answer_is_the_longest_that_fits(
    stated: Prices, steps: tuple[PriceTier, ...], prompt: int, available: int, choices: int
) -> None:
    """An answer of that length is within the money, and one token more is not."""
    version = made(stated, steps)
    longest = version.affordable_output(prompt, available, choices)
    assert 0 <= longest <= MOST_TOKENS
    if longest:
        assert version.bound(prompt, longest * choices) <= available
    if longest < MOST_TOKENS:
        assert version.bound(prompt, (longest + 1) * choices) > available


@given(prices(), tiers())
def test_i8_a_version_is_made_again_from_what_is_stored(stated: Prices, steps: tuple[PriceTier, ...]) -> None:
    """The body names every rate that is charged by, is canonical, and the digest is its SHA-256."""
    version = made(stated, steps)
    again = read_price(version.body)
    assert (again.body, again.digest, again.rates, again.tiers) == (
        version.body,
        version.digest,
        version.rates,
        version.tiers,
    )
    assert version.digest == sha256(version.body.encode()).digest()
    document = json.loads(version.body)
    assert version.body == json.dumps(document, sort_keys=True, separators=(",", ":"))
    assert document["rates"].keys() == {*IN, *OUT}


def test_a_class_without_a_price_has_that_of_the_class_it_is_part_of() -> None:
    """Missing prices fall back, one-hour cache writes over five-minute ones; none of them becomes 0."""
    plain = made(Prices(input=3, output=7)).rates
    assert (plain.cache_read, plain.cache_write, plain.cache_write_1h, plain.input_audio) == (3, 3, 3, 3)
    assert (plain.reasoning, plain.output_audio) == (7, 7)
    assert made(Prices(input=3, output=7, cache_write=5)).rates.cache_write_1h == 5
    assert made(Prices(input=3, output=7, cache_write=5, cache_write_1h=6)).rates.cache_write_1h == 6


def test_a_class_that_is_priced_at_zero_is_free() -> None:
    """An explicit zero is a price, not a missing one."""
    assert made(Prices(input=3, output=7, cache_read=0)).rates.cache_read == 0


@pytest.mark.parametrize(
    "stated", [Prices(), Prices(input=3), Prices(output=7), Prices(input=3, image=5), Prices(cache_read=1, request=5)]
)
def test_a8_half_a_price_is_none(stated: Prices) -> None:
    """Without an input or an output price tokens are unpriced: nothing is taken for 0."""
    assert make_price("h", "m", stated, source="config") is None


def test_images_and_requests_may_be_all_that_is_priced() -> None:
    """A model with a price for an image or a request and none for tokens is charged by that alone."""
    version = made(Prices(image=40_000_000_000, request=1_000))
    assert version.charge(Usage(input=9, output=9, images=3)) == 120_000_001
    assert version.bound(9, 9, 3) == 120_000_001


def test_a6_each_class_has_its_own_price_and_is_counted_once() -> None:
    """Claude's classes at Claude's prices: nothing of the cache is billed at the full rate, nothing twice."""
    claude = made(
        Prices(
            input=3_000_000,
            output=15_000_000,
            cache_read=300_000,
            cache_write=3_750_000,
            cache_write_1h=6_000_000,
        )
    )
    usage = Usage(input=100, cache_read=10_000, cache_write=1_000, output=50, cache_write_1h=500)
    assert claude.charge(usage) == 300_000 + 3_000_000 + 3_750_000 + 750_000 + 3_000_000


def test_the_whole_prompt_chooses_the_tier() -> None:
    """A prompt is long when all its tokens are, the cached ones too, and then all of it has the longer price."""
    version = made(Prices(input=1000, output=2000), (PriceTier(200, Prices(input=3000, output=5000)),))
    assert version.charge(Usage(input=100, cache_read=100, output=10)) == 220
    assert version.charge(Usage(input=100, cache_read=101, output=10)) == 653
    assert version.bound(200, 10) == 220
    assert version.bound(201, 10) == 653


def test_a_cheaper_tier_does_not_lower_the_bound() -> None:
    """A prompt may turn out shorter than its bound, and shorter may be dearer."""
    version = made(Prices(input=9000, output=2000), (PriceTier(200, Prices(input=1000)),))
    assert version.bound(201, 0) >= version.charge(Usage(input=200))


def test_reasoning_has_its_own_price_and_is_not_added_to_the_output() -> None:
    """Reasoning tokens are part of the output."""
    assert made(Prices(input=0, output=1000, reasoning=3000)).charge(Usage(output=10, reasoning=4)) == 18


@pytest.mark.parametrize(
    ("pico", "tokens", "nusd"), [(1, 1, 1), (999, 1, 1), (1000, 1, 1), (1001, 1, 2), (37_500, 0, 0)]
)
def test_rounding_is_up_and_zero_stays_zero(pico: int, tokens: int, nusd: int) -> None:
    """A fraction of a nano-USD is charged as one; nothing is charged as nothing."""
    assert made(Prices(input=pico, output=0)).charge(Usage(input=tokens)) == nusd


def test_free_is_zero_whatever_is_used() -> None:
    """A free version charges nothing and holds nothing."""
    version = free_price("h", "m")
    assert version.free
    assert version.nothing
    assert version.charge(Usage(input=1000, output=1000, images=3)) == version.bound(10**6, 10**6, 10) == 0


@given(st.dictionaries(st.sampled_from([*IN, *OUT, "images"]), counts))
def test_the_largest_counts_stay_exact(fields: dict[str, Any]) -> None:
    """Counts up to 2^31 at any price are integers to the end."""
    version = made(Prices(input=10**9, output=10**9, image=10**13))
    usage = Usage(**fields)
    assert oracle(Prices(input=10**9, output=10**9, image=10**13), (), usage) <= version.charge(usage)
    assert type(version.charge(usage)) is int


def test_what_is_missing_is_said_in_credits_and_dollars() -> None:
    """402 insufficient_balance names what was needed and what is available."""
    body = short_of(12_340_000_000, -5, 100).body("req_1")["error"]
    assert (body["type"], body["code"], body["error_id"]) == (
        "insufficient_balance",
        "insufficient_balance",
        "INSUFFICIENT_CREDITS",
    )
    assert body["required_credits"] == 1234.0
    assert body["available_credits"] == 0
    assert body["required_usd"] == "12.34"
    assert "$12.34" in body["message"]
    assert short_of(1, 0, 100).status == 402
