"""GET /v1/credits: what a caller may spend, exactly."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.docs.markdown import DOCS, blocks
from tests.gateway.counting_house import USD, House, asking, opened_house
from tollhouse.gateway.credits import CreditsPage
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Principal


async def ask(house: House, who: Principal) -> dict[str, Any]:
    """The page."""
    asked = asking(key=house.texts[who.key_id])
    await CreditsPage(house.live, house.keyring, house.ledger).show(asked.exchange)
    page: dict[str, Any] = asked.json
    return page


async def test_a_prepaid_organisation(tmp_path: Path) -> None:
    """Balance, what is held and what is available are those of the organisation, in dollars and credits."""
    async with opened_house(tmp_path) as house:
        org = await house.node("org")
        await house.grant(org, USD)
        who = await house.key(org, permission="read")
        cost = house.spend(who, "req_1", Usage(input=1000))
        hold = house.hold(who, "req_2", amount=USD // 4)
        page = await ask(house, who)
        assert cost == 3_000_000
        assert page == {
            "object": "credits",
            "organisation": org,
            "billing": "prepaid",
            "credits_per_usd": 100,
            "balance_usd": "0.997",
            "balance_credits": 99.7,
            "held_usd": "0.25",
            "held_credits": 25.0,
            "available_usd": "0.747",
            "available_credits": 74.7,
            "warning": False,
            "budgets": [],
        }
        hold.release()


async def test_the_warning(tmp_path: Path) -> None:
    """The warning is there below ten credits, as on every reply."""
    async with opened_house(tmp_path) as house:
        org = await house.node("org")
        await house.grant(org, USD // 10)
        who = await house.key(org)
        assert (await ask(house, who))["warning"] is False
        house.ledger.wallet.settle(house.ledger.wallet.take(who.chain, 1, 0), 1)
        assert (await ask(house, who))["warning"] is True


async def test_nothing_bounds_a_postpaid_organisation(tmp_path: Path) -> None:
    """A postpaid organisation without budgets may be below zero, and nothing bounds it: null."""
    async with opened_house(tmp_path) as house:
        who = await house.key(await house.node("org", billing="postpaid"))
        house.spend(who, "req_1", Usage(input=1000))
        page = await ask(house, who)
        assert (page["billing"], page["balance_usd"]) == ("postpaid", "-0.003")
        assert (page["available_usd"], page["available_credits"], page["warning"]) == (None, None, False)


async def test_the_budgets_of_the_chain(tmp_path: Path) -> None:
    """Every budget from the key up is shown with what is spent and held in its window, and when the window ends; those
    beside the chain are nobody's business.
    """
    async with opened_house(tmp_path) as house:
        org = await house.node("org", billing="postpaid")
        budget = {"limit_usd": "0.50", "period": "day", "zone": "Asia/Tokyo"}
        team = await house.node("team", org, budget=budget)
        await house.node("team", org, budget={"limit_usd": "7.00"})
        who = await house.key(team, budget={"limit_usd": "2.00", "period": "total"})
        hold = house.hold(who, "req_2", amount=USD // 4)
        page = await ask(house, who)
        key_budget, team_budget = page["budgets"]
        assert page["available_usd"] == "0.25"
        assert {name: key_budget[name] for name in ("node", "kind", "period", "zone", "window_start", "resets_at")} == {
            "node": who.key_id,
            "kind": "key",
            "period": "total",
            "zone": None,
            "window_start": None,
            "resets_at": None,
        }
        assert (key_budget["limit_usd"], key_budget["held_usd"], key_budget["available_usd"]) == (
            "2.00",
            "0.25",
            "1.75",
        )
        assert (team_budget["node"], team_budget["kind"], team_budget["zone"]) == (team, "team", "Asia/Tokyo")
        assert (team_budget["spent_usd"], team_budget["available_usd"]) == ("0.00", "0.25")
        assert team_budget["resets_at"] - team_budget["window_start"] == 86_400
        assert datetime.fromtimestamp(team_budget["resets_at"], UTC).hour == 15
        charge = hold.settle(hold.bids[0], Usage(input=1000))
        (_, team_budget) = (await ask(house, who))["budgets"]
        assert charge == 3_000_000
        assert (team_budget["spent_usd"], team_budget["held_usd"]) == ("0.003", "0.00")


async def test_the_example_of_the_page_is_what_is_sent(tmp_path: Path) -> None:
    """The documentation's example has the members of a real page, in their order."""
    example = json.loads(blocks(DOCS / "credits.md", "json")[1].text)
    async with opened_house(tmp_path) as house:
        org = await house.node("org")
        page = await ask(house, await house.key(org, budget={"limit_usd": "2.00", "period": "month"}))
    assert list(example) == list(page)
    assert list(example["budgets"][0]) == list(page["budgets"][0])
