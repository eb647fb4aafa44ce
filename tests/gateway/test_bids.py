"""Bids: what an attempt may cost is enforced, fits into what is left, and never locks more than it must."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.needed import needs_of
from tollhouse.errors import InsufficientBalance, Unpriced
from tollhouse.gateway.bids import MOST_OWN_TOKENS, UNKNOWN_CONTEXT_TOKENS, UNKNOWN_OUTPUT_TOKENS, bids, input_bound
from tollhouse.gateway.needs import CHAT, Needs, relay_needs
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.prices import Bid
from tollhouse.settings.keys import Billing
from tollhouse.types.calls import Host, ModelFacts, Plan, Prices, Quirks, Target, Usage

HOST = Host("far", "https://api.far.example/v1")
FACTS = ModelFacts("m", "m", context_tokens=128_000, output_tokens=16_000, prices=Prices(2_000_000, 8_000_000))
BILLING = Billing()
DOLLAR = 10**9


def target(name: str = "m", **fields: Any) -> Target:
    """A model far away: 2 and 8 dollars per million tokens, if nothing else is said."""
    return Target(HOST, name, replace(FACTS, **fields))


def offer(needs: Needs, *targets: Target, available: int | None, billing: Billing = BILLING) -> tuple[Bid, ...]:
    """The bids of a plan of these targets."""
    plan = Plan("m", targets or (target(),))
    return bids(needs, plan, book=PriceBook(), at_s=0, available_nusd=available, billing=billing)


def test_where_nothing_binds_no_cap_is_put_in() -> None:
    """A caller without limits is sent on as it is, and its hold is the model's own bound."""
    (bid,) = offer(needs_of(CHAT, 1000), available=None)
    assert bid.output_cap is None
    assert bid.input_bound == 1000
    assert bid.amount == bid.price.bound(1000, 16_000)
    (own,) = offer(needs_of(CHAT, 1000, cap=50), available=None)
    assert own.output_cap is None
    assert own.amount == own.price.bound(1000, 50)


def test_a_client_without_a_cap_gets_the_operators() -> None:
    """The cap that is sent is the cap that is held for."""
    (bid,) = offer(needs_of(CHAT, 1000), available=DOLLAR, billing=Billing(default_max_output_tokens=4096))
    assert bid.output_cap == 4096
    assert bid.amount == bid.price.bound(1000, 4096)


def test_a_short_balance_shortens_the_answer() -> None:
    """Without a cap of the client's, the answer is as long as there is money for, to the token."""
    price = 2_000_000 + 100 * 8_000
    (bid,) = offer(needs_of(CHAT, 1000), available=price + 7_999)
    assert bid.output_cap == 100
    assert bid.amount <= price + 7_999


def test_a_clients_cap_is_kept_or_the_target_is_not_affordable() -> None:
    """What the client asked for is never cut to fit its money."""
    assert offer(needs_of(CHAT, 1000, cap=100), available=2_800_000)[0].output_cap == 100
    with pytest.raises(InsufficientBalance) as caught:
        offer(needs_of(CHAT, 1000, cap=100), available=2_799_999)
    assert caught.value.amounts["required_usd"] == "0.0028"
    assert caught.value.amounts["available_credits"] == pytest.approx(0.2799999)


def test_a_cap_beyond_the_model_counts_as_the_models() -> None:
    """S43: max_tokens=999999999 holds no more than the model can write, and that is what is sent."""
    (bid,) = offer(needs_of(CHAT, 1000, cap=999_999_999), available=10 * DOLLAR)
    assert bid.output_cap == 16_000
    unknown = target(context_tokens=None, output_tokens=None)
    (bid,) = offer(needs_of(CHAT, 1000, cap=999_999_999), unknown, available=10 * DOLLAR)
    assert bid.output_cap == MOST_OWN_TOKENS
    assert bid.amount == bid.price.bound(1000, MOST_OWN_TOKENS)


def test_nothing_shorter_than_a_sentence_is_bought() -> None:
    """An answer of fewer than 16 tokens is refused with 402, naming what 16 would need."""
    enough = 2_000_000 + 16 * 8_000
    assert offer(needs_of(CHAT, 1000), available=enough)[0].output_cap == 16
    with pytest.raises(InsufficientBalance) as caught:
        offer(needs_of(CHAT, 1000), available=enough - 1)
    assert caught.value.amounts["required_usd"] == "0.002128"


def test_every_choice_is_paid_for() -> None:
    """All n answers of the cap's length, and what stands beside them."""
    (bid,) = offer(needs_of(CHAT, 0, cap=10, choices=5, beside=7), available=DOLLAR)
    assert bid.amount == 57 * 8_000
    (short,) = offer(needs_of(CHAT, 0, choices=5, beside=7), available=(5 * 20 + 7) * 8_000)
    assert short.output_cap == 20


def test_a16_free_work_passes_at_zero_balance_and_below() -> None:
    """What costs nothing is never refused for money, nor capped."""
    free = target(prices=Prices(0, 0))
    for available in (0, -5, None):
        for needs in (needs_of(CHAT, 1000), needs_of(CHAT, 1000, cap=99), relay_needs("embeddings", {"input": "x"})):
            assert [(bid.amount, bid.output_cap) for bid in offer(needs, free, available=available)] == [(0, None)]


def test_i13_targets_that_cannot_be_afforded_are_left_out() -> None:
    """A fallback is tried only if its own bound fits."""
    dear = target("dear", prices=Prices(10**9, 10**9))
    offered = offer(needs_of(CHAT, 1000, cap=100), dear, target(), available=DOLLAR)
    assert [bid.target.model for bid in offered] == ["m"]


def test_an_unpriced_target_is_left_out_and_alone_it_is_refused() -> None:
    """A plan goes on with the targets that have a price; one with none is refused, whatever the balance."""
    unknown = target("new", prices=Prices())
    assert len(offer(needs_of(CHAT, 10), unknown, target(), available=DOLLAR)) == 1
    for available in (DOLLAR, None):
        with pytest.raises(Unpriced):
            offer(needs_of(CHAT, 10), unknown, available=available)


def test_the_prompt_is_bounded_by_the_context() -> None:
    """No prompt is longer than a model's context; what cannot be measured may be as long."""
    assert input_bound(needs_of(CHAT, 10**7), target()) == 128_000
    assert input_bound(needs_of("embeddings", 10**7, prompts=3), target()) == 3 * 128_000
    assert input_bound(needs_of("audio/transcriptions", 10, audio=10**6, prompts=None), target()) == 10**6 + 10
    assert input_bound(needs_of(CHAT, 10, unseen=True), target()) == 128_000
    assert input_bound(needs_of(CHAT, 10, unseen=True), Target(HOST, "m")) == UNKNOWN_CONTEXT_TOKENS
    assert input_bound(needs_of(CHAT, 10, images=2), target(image_tokens=500)) == 1010


def test_a_model_of_which_nothing_is_known_has_a_bound_too() -> None:
    """Where nothing binds, an unknown model holds for a long answer."""
    (bid,) = offer(needs_of(CHAT, 10), target(context_tokens=None, output_tokens=None), available=None)
    assert bid.amount == bid.price.bound(10, UNKNOWN_OUTPUT_TOKENS)


def test_a_search_that_has_no_price_is_refused_where_money_binds() -> None:
    """A fee beside the tokens would be taken for 0; a price per request covers it."""
    needs = needs_of(CHAT, 10, hosted="web_search")
    with pytest.raises(Unpriced) as caught:
        offer(needs, available=DOLLAR)
    assert caught.value.param == "tools"
    assert len(offer(needs, available=None)) == 1
    covered = target(prices=Prices(1, 1, request=10**10))
    assert offer(needs, covered, available=DOLLAR)[0].amount >= 10**7


def test_work_that_shows_no_usage_is_refused_unless_it_is_free() -> None:
    """A background response would be billed as nothing."""
    needs = needs_of("responses", 10, unmetered="background")
    for available in (DOLLAR, None):
        with pytest.raises(Unpriced):
            offer(needs, available=available)
    assert offer(needs, target(prices=Prices(0, 0)), available=0)[0].amount == 0


def test_a_price_per_image_buys_no_words() -> None:
    """A model priced by the image alone cannot be chatted with for nothing."""
    painter = target(prices=Prices(image=40_000_000_000))
    with pytest.raises(Unpriced):
        offer(needs_of(CHAT, 10), painter, available=DOLLAR)
    (bid,) = offer(relay_needs("images/generations", {"prompt": "x", "n": 2}), painter, available=DOLLAR)
    assert (bid.amount, bid.output_cap) == (80_000_000, None)


small = st.integers(0, 50_000)


@given(
    st.builds(
        needs_of,
        kind=st.just(CHAT),
        text=small,
        choices=st.integers(1, 8),
        cap=st.none() | st.integers(1, 200_000),
        beside=st.integers(0, 100),
        sounds=st.booleans(),
        fixed=st.none() | small,
        images_made=st.integers(0, 4),
    ),
    st.lists(st.builds(Prices, st.integers(0, 10**8), st.integers(0, 10**8), image=st.integers(0, 10**12)), min_size=1),
    st.integers(-10, 10**10),
    st.floats(0, 1),
)
def test_i13_no_answer_within_a_bids_cap_costs_more_than_its_amount(
    needs: Needs, sheets: list[Prices], available: int, part: float
) -> None:
    """Over random plans and prices: every bid fits into what is left, and bounds every usage that its cap allows."""
    targets = [target(f"m{number}", prices=sheet) for number, sheet in enumerate(sheets)]
    try:
        offered = offer(needs, *targets, available=available)
    except (InsufficientBalance, Unpriced):  # a price of nothing but images prices no chat
        return
    for bid in offered:
        assert bid.amount <= max(available, 0)
        if needs.fixed is None and bid.output_cap is None:
            assert bid.amount == 0
            continue
        longest = needs.fixed if needs.fixed is not None else (bid.output_cap or 0) * needs.choices + needs.beside
        images = needs.images_made if needs.fixed is not None else 0
        usage = Usage(input=int(bid.input_bound * part), output=int(longest * part), images=images)
        assert bid.price.charge(usage) <= bid.amount


def test_an_answer_that_nothing_caps_is_held_for_whole() -> None:
    """Where nothing binds and nothing is known, no cap of ours is sent: the client's own is held for as it stands, and
    without one as much as the longest answers are, or a charge would be clipped below what the host bills.
    """
    unknown = target(context_tokens=None, output_tokens=None)
    (bid,) = offer(needs_of(CHAT, 1000, cap=300_000), unknown, available=None)
    assert (bid.amount, bid.output_cap) == (bid.price.bound(1000, 300_000), None)
    (bid,) = offer(needs_of(CHAT, 1000), unknown, available=None)
    assert bid.amount >= bid.price.bound(1000, 128_000)


def test_the_legacy_endpoint_answers_no_longer_than_openais_does_by_default() -> None:
    """Completions without ``max_tokens`` have OpenAI's 16 where money binds, not the operator's default for chat."""
    (bid,) = offer(needs_of("completions", 100), available=10**9)
    assert bid.output_cap == 16
    (own,) = offer(needs_of("completions", 100, cap=300), available=10**9)
    assert own.output_cap == 300


def test_a_prompt_that_is_sent_for_each_answer_is_paid_for_each_time() -> None:
    """At a host without ``n`` the bound is of as many prompts as answers; elsewhere of one."""
    once = target()
    each = Target(replace(HOST, quirks=Quirks(choices=False)), "m", FACTS)
    (one,), (three,) = (offer(needs_of(CHAT, 1000, choices=3, cap=50), on, available=DOLLAR) for on in (once, each))
    assert one.amount == one.price.bound(1000, 150)
    assert three.amount == three.price.bound(3000, 150)
    assert three.input_bound == 3000
