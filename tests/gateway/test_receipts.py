"""One request's receipt: enough to reckon its charge again."""

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests.docs.markdown import DOCS, blocks
from tests.gateway.counting_house import PRICE, TARGET, USD, House, opened_house, price_of
from tests.gateway.test_usage import FIRST, receipt, spender
from tollhouse.gateway.receipts import per_million
from tollhouse.ledger import reports
from tollhouse.ledger.prices import Bid, PriceVersion, make_price
from tollhouse.types.calls import Prices, PriceTier, Usage
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.tenancy import Principal

ATTEMPTS = (
    AttemptRecord("other/m", "upstream_stalled", "up-0", 1200, cost_nusd=450),
    AttemptRecord("up/m", "ok", "up-1", 800),
)


def serve(house: House, who: Principal, usage: Usage, price: PriceVersion = PRICE, **how: Any) -> int:
    """A request that was served at a price, on its second attempt. Returns what it cost."""
    bid = Bid(TARGET, price, how.pop("held", USD), None, 1000)
    hold = house.ledger.reserve("req_1", who, "chat/completions", "both", (bid,))
    return hold.settle(bid, usage, ATTEMPTS, **how)


def reckoned(page: dict[str, Any]) -> Fraction:
    """The charge in nano-USD, made by hand from nothing but the receipt: no rounding."""
    tokens, price = page["tokens"], page["price"]
    prompt = sum(tokens[name] for name in ("input", "cache_read", "cache_write", "cache_write_1h", "input_audio"))
    rates = price["usd_per_1m"]
    for tier in price["tiers"]:
        if prompt > tier["above_tokens"]:
            rates = tier["usd_per_1m"]
    counted = {**tokens, "output": tokens["output"] - tokens["reasoning"]}
    million = sum(counted[name] * Fraction(rate) for name, rate in rates.items())
    once = tokens["images"] * Fraction(price["usd_per_image"]) + Fraction(price["usd_per_request"])
    return Fraction((million / 10**6 + once) * 10**9)


PRICES = {
    "plain": PRICE,
    "classes": price_of(Prices(input=37_500, output=150_001, cache_read=3, cache_write=46_875, reasoning=200_000)),
    "odd": price_of(Prices(input=1, output=1, image=40_000_000_003, request=7)),
    "free": price_of(Prices(input=0, output=0)),
}
USAGES = (FIRST, Usage(1, 2, 3, 4, 1), Usage(images=3), Usage(input=999_999, output_audio=7, input_audio=5, output=1))


@pytest.mark.parametrize("name", PRICES)
@pytest.mark.parametrize("usage", USAGES, ids=range(len(USAGES)))
async def test_the_charge_can_be_reckoned_again(tmp_path: Path, name: str, usage: Usage) -> None:
    """From a receipt's tokens and prices alone anybody gets its cost, rounded up once to the nano-USD (I8)."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        cost = serve(house, who, usage, PRICES[name], held=5 * USD)
        page = await receipt(house, who, "req_1")
        exact = reckoned(page)
        assert exact <= cost < exact + 1
        assert Decimal(page["cost_usd"]) * USD == cost
        assert Decimal(str(page["cost"])) * USD == pytest.approx(cost)


async def test_a_tier_is_part_of_the_price(tmp_path: Path) -> None:
    """A long prompt is charged by its tier, which the receipt shows."""
    base = Prices(input=1_000_000, output=2_000_000)
    tiers = (PriceTier(200, Prices(input=2_000_000, output=3_000_000)),)
    price = make_price("up", "m", base, source="config", tiers=tiers)
    assert price is not None
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        cost = serve(house, who, Usage(input=201, output=10), price)
        page = await receipt(house, who, "req_1")
        assert cost == reckoned(page) == 201 * 2000 + 10 * 3000
        assert page["price"]["tiers"][0]["above_tokens"] == 200
        assert page["price"]["tiers"][0]["usd_per_1m"]["input"] == "2.00"


async def test_a_receipt_is_whole(tmp_path: Path) -> None:
    """A receipt has state, model, target, attempts with upstream ids, hold, price version and balanced entries."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        cost = serve(house, who, FIRST)
        page = await receipt(house, who, "req_1")
        assert (page["object"], page["id"], page["state"]) == ("usage.request", "req_1", "settled")
        assert (page["kind"], page["model"], page["target"]) == ("chat/completions", "both", "up/m")
        assert (page["key"], page["key_name"]) == (who.key_id, "key")
        assert page["created_at"] == pytest.approx(house.ledger.clock_us() / 1e6, abs=60)
        assert page["duration_ms"] >= 0
        assert (page["held_usd"], page["held_credits"]) == ("1.00", 100.0)
        assert (page["estimated"], page["interrupted"], page["written_off_usd"]) == (False, False, "0.00")
        assert page["tokens"]["cache_read"] == 200
        assert page["price"]["usd_per_1m"]["input"] == "3.00"
        assert page["price"]["version"] == house.count("SELECT price FROM hold WHERE request_id = 'req_1'")
        assert page["attempts"] == [
            {"target": "other/m", "outcome": "upstream_stalled", "upstream_request_id": "up-0", "duration_ms": 1200},
            {"target": "up/m", "outcome": "ok", "upstream_request_id": "up-1", "duration_ms": 800},
        ]
        org = house.office.directory.nodes[who.chain.payer].id
        amounts = {entry["account"]: Decimal(entry["amount_usd"]) * USD for entry in page["entries"]}
        assert amounts == {f"org:{org}": -cost, "sys:revenue": cost}


async def test_what_a_failed_attempt_cost_is_not_the_customers(tmp_path: Path) -> None:
    """What the operator paid for a failed attempt is in the ledger, and not on the receipt."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        serve(house, who, FIRST)
        page = await receipt(house, who, "req_1")
        assert house.count("SELECT count(*) FROM tx WHERE kind = 'cost'") == 1
        assert "450" not in str(page["attempts"])
        found = house.store.read_now(lambda db: reports.request(db, "req_1", (who.number,)))
        assert found is not None
        assert [attempt.cost_nusd for attempt in found.attempts] == [0, 0]
        assert {entry["kind"] for entry in page["entries"]} == {"charge"}


async def test_what_was_written_off_is_shown(tmp_path: Path) -> None:
    """Where a host went beyond the hold, the customer pays the hold, and sees what was written off."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        cost = serve(house, who, Usage(input=1000), held=1_000_000, interrupted=True)
        page = await receipt(house, who, "req_1")
        assert (cost, page["cost_usd"], page["written_off_usd"]) == (1_000_000, "0.001", "0.002")
        assert page["interrupted"] is True


async def test_a_request_that_runs_has_a_receipt(tmp_path: Path) -> None:
    """Of a request that runs the hold is known, and nothing else yet."""
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        hold = house.hold(who, "req_1")
        page = await receipt(house, who, "req_1")
        assert (page["state"], page["target"], page["duration_ms"], page["entries"]) == ("open", None, None, [])
        assert page["cost_usd"] == "0.00"
        hold.release()
        assert (await receipt(house, who, "req_1"))["state"] == "released"


def test_prices_are_for_a_million() -> None:
    """Pico-USD for a token are shown as dollars for a million, exactly."""
    assert per_million({"input": 37_500, "output": 15_000_000, "x": 1}) == {
        "input": "0.0375",
        "output": "15.00",
        "x": "0.000001",
    }


async def test_the_example_of_the_page_is_what_is_sent(tmp_path: Path) -> None:
    """The documentation's example has the members of a real receipt, in their order."""
    (block,) = blocks(DOCS / "usage.md", "json")
    example = json.loads(block.text)
    async with opened_house(tmp_path) as house:
        who = await spender(house)
        serve(house, who, FIRST)
        page = await receipt(house, who, "req_1")
    assert list(example) == list(page)
    for name in ("tokens", "price"):
        assert list(example[name]) == list(page[name])
    for name in ("attempts", "entries"):
        assert list(example[name][0]) == list(page[name][0])
