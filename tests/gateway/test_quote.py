"""X-Max-Cost-Usd, and the figures of a quote."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.gateway.counting_house import PRICE, TARGET, USD, price_of
from tests.gateway.needed import needs_of
from tollhouse.errors import InvalidRequest, MaxCostExceeded
from tollhouse.gateway.quote import MAX_BODY_SHOWN_BYTES, describe_bid, describe_range, lowest, refuse_dearer
from tollhouse.ledger.prices import Bid
from tollhouse.types.calls import Host, Prices, Quirks, Target


def bid(amount: int) -> Bid:
    """A bid of an amount."""
    return Bid(TARGET, PRICE, amount, 16, 1000)


def test_what_is_within_the_limit_passes() -> None:
    """A request may cost up to its own limit, to the nano-USD; dearer targets are left out."""
    bids = bid(USD // 20), bid(USD // 20 + 1), bid(0)
    assert refuse_dearer(bids, b"0.05") == (bids[0], bids[2])
    assert refuse_dearer(bids, b" 0.050000001 ") == bids
    assert refuse_dearer(bids, b"0") == (bids[2],)


def test_what_is_dearer_is_refused() -> None:
    """A request that no target serves within its limit is a 402 that names the limit and the least it may cost."""
    with pytest.raises(MaxCostExceeded) as caught:
        refuse_dearer((bid(USD), bid(USD // 10)), b"0.05")
    assert (caught.value.status, caught.value.code) == (402, "max_cost_exceeded")
    assert "$0.10" in caught.value.message
    assert "$0.05" in caught.value.message


@pytest.mark.parametrize("header", [b"", b"-1", b"5 USD", b"0.0000000001", b"nan", b"inf", b"1e30", b"\xff", b"1,5"])
def test_a_limit_that_is_no_amount_is_refused(header: bytes) -> None:
    """A limit that cannot be read is a 400, and never taken for none."""
    with pytest.raises(InvalidRequest) as caught:
        refuse_dearer((bid(0),), header)
    assert (caught.value.status, caught.value.param) == (400, "X-Max-Cost-Usd")


def test_the_lowest_price() -> None:
    """The lowest price is the estimated prompt and one token of every answer."""
    assert lowest(bid(USD), needs_of("chat/completions", 1000, choices=2), 100) == 100 * 3000 + 2 * 15_000
    each = Target(Host("up", "http://127.0.0.1:1/v1", quirks=Quirks(choices=False)), "m")
    asked = Bid(each, PRICE, USD, 16, 1000)
    assert lowest(asked, needs_of("chat/completions", 1000, choices=2), 100) == 2 * 100 * 3000 + 2 * 15_000
    assert lowest(bid(USD), needs_of("embeddings", 1000, fixed=0), 100) == 100 * 3000
    priced = Bid(TARGET, price_of(Prices(image=40_000_000_000)), USD, None, 1000)
    assert lowest(priced, needs_of("images/generations", 10, fixed=0, images_made=2), 3) == 80_000_000


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 8), st.integers(0, 10**5))
def test_the_lowest_price_is_not_above_the_highest(estimated: int, bound: int, choices: int, cap: int) -> None:
    """Whatever the estimate, no quote has a lowest price above its highest."""
    offered = Bid(TARGET, PRICE, PRICE.bound(bound, cap * choices), cap, bound)
    assert lowest(offered, needs_of("chat/completions", bound, choices=choices), estimated) <= offered.amount


def test_a_target_is_described() -> None:
    """A target has its price by class, its bounds, both prices in all three forms, and the body that would be sent."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(describe_bid(bid(USD), 12_345, 100, b'{"a": 1}')))
    assert found["target"] == "up/m"
    assert found["price"]["usd_per_1m"]["output"] == "15.00"
    assert (found["price"]["source"], found["price"]["free"]) == ("config", False)
    assert (found["input_tokens_bound"], found["output_tokens_cap"]) == (1000, 16)
    assert (found["lowest"], found["lowest_usd"], found["lowest_credits"]) == (0.000012345, "0.000012345", 0.0012345)
    assert (found["highest"], found["highest_usd"], found["highest_credits"]) == (1.0, "1.00", 100.0)
    assert found["upstream_body"] == {"a": 1}


@pytest.mark.parametrize("body", [None, b'"' + b"x" * MAX_BODY_SHOWN_BYTES + b'"'])
def test_a_body_that_is_no_json_or_very_long_is_not_shown(body: bytes | None) -> None:
    """A form, and a body over 256 KiB, are not sent back."""
    assert describe_bid(bid(USD), 0, 100, body)["upstream_body"] is None


def test_the_range_of_several_targets() -> None:
    """A quote runs from the cheapest target's lowest price to the dearest one's highest; null where there is none."""
    found = describe_range([5, 3], [8, 10], 100)
    assert (found["lowest_usd"], found["highest_usd"]) == ("0.000000003", "0.00000001")
    assert set(describe_range([], [], 100).values()) == {None}
