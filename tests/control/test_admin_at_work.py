"""What the admin API sets is what requests meet: a whole gateway, both listeners, a host behind it."""

import asyncio
from typing import Any

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import HELLO, Answer, Door, opened
from tests.fakes.openai_wire import completion
from tests.gateway.kit import hosts

ADMIN = {"authorization": "Bearer admin-secret"}
ASK = {"model": "up0/m", "max_tokens": 10, **HELLO}
PRICES = {"host": "up0", "model": "m", "input_usd_per_1m": "3", "output_usd_per_1m": "15"}


async def admin(door: Door, method: str, path: str, body: object = None, status: int = 200) -> Any:
    """The JSON of a request to the admin listener that ends so."""
    door.port, port = door.admin_port, door.port
    try:
        answer = await door.request(method, path, b"" if body is None else body, **ADMIN)
    finally:
        door.port = port
    assert answer.status == status, answer.body
    return answer.json


async def ask(door: Door, key: str, body: object = ASK) -> Answer:
    """A chat completion with a key of one's own."""
    return await door.post(body, authorization=f"Bearer {key}")


async def test_credit_is_spendable_at_once_and_no_further() -> None:
    """A prepaid organisation without credit is refused with 402; a grant lets it pass; what it spent is in its balance,
    in its usage and in the one request's record, and is the same number.
    """
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        await admin(door, "POST", "/admin/prices", PRICES, 201)
        org = (await admin(door, "POST", "/admin/organizations", {"name": "A"}, 201))["id"]
        key = (await admin(door, "POST", "/admin/keys", {"parent_id": org}, 201))["key"]
        refused = await ask(door, key)
        assert (refused.status, refused.error["error_id"]) == (402, "INSUFFICIENT_CREDITS")
        await admin(door, "POST", f"/admin/organizations/{org}/grants", {"amount_usd": "1"}, 201)
        answer = await ask(door, key)
        assert answer.status == 200
        found = await admin(door, "GET", f"/admin/usage/{answer.headers['x-request-id']}")
        cost_nusd = round(float(found["cost_usd"]) * 10**9)
        assert cost_nusd > 0
        balance = await admin(door, "GET", f"/admin/organizations/{org}/balance")
        report = await admin(door, "GET", f"/admin/usage?under={org}")
        assert 10**9 - round(float(balance["balance_usd"]) * 10**9) == cost_nusd
        assert report["totals"]["cost_usd"] == found["cost_usd"]
        assert (balance["held_usd"], report["open"]["requests"]) == ("0.00", 0)


async def test_a_budget_that_is_set_counts_what_was_spent_before() -> None:
    """It binds from the answer on, and knows the spending of its period from before it was set."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        await admin(door, "POST", "/admin/prices", PRICES, 201)
        made = await admin(door, "POST", "/admin/keys", {"name": "k"}, 201)
        answers = await asyncio.gather(*[ask(door, made["key"]) for _ in range(5)])
        assert {answer.status for answer in answers} == {200}
        spent = (await admin(door, "GET", f"/admin/usage?under={made['id']}"))["totals"]["cost_usd"]
        at = "/admin/organizations/org_default"
        budget = {"limit_usd": spent, "period": "month"}
        await admin(door, "PATCH", at, {"budget": budget})
        balance = await admin(door, "GET", f"{at}/balance")
        assert (balance["budget"]["spent_usd"], balance["available_usd"]) == (spent, "0.00")
        assert (await ask(door, made["key"])).status == 402
        await admin(door, "PATCH", at, {"budget": None})
        assert (await ask(door, made["key"])).status == 200


async def test_a_price_counts_from_the_next_request_on() -> None:
    """I8: what was charged before keeps its version; the next request has the new one."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        key = (await admin(door, "POST", "/admin/keys", {}, 201))["key"]
        found = []
        for factor in ("1", "2"):
            body = {**PRICES, "input_usd_per_1m": factor, "output_usd_per_1m": factor}
            await admin(door, "POST", "/admin/prices", body, 201)
            answer = await ask(door, key)
            found.append(await admin(door, "GET", f"/admin/usage/{answer.headers['x-request-id']}"))
        assert float(found[1]["cost_usd"]) == 2 * float(found[0]["cost_usd"]) > 0
        assert [one["price_version"] for one in found] == [1, 2]


async def test_what_is_taken_away_is_gone_at_the_next_request() -> None:
    """Models, a suspension above and a revocation each hold for the request after the answer (I23)."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        await admin(door, "POST", "/admin/prices", PRICES, 201)
        org = (await admin(door, "POST", "/admin/organizations", {"name": "A", "billing": "postpaid"}, 201))["id"]
        made = await admin(door, "POST", "/admin/keys", {"parent_id": org}, 201)
        assert (await ask(door, made["key"])).status == 200
        at = f"/admin/keys/{made['id']}"
        await admin(door, "PATCH", at, {"models": ["other/*"]})
        assert (await ask(door, made["key"])).status in {403, 404}
        await admin(door, "PATCH", at, {"models": None})
        await admin(door, "POST", f"/admin/organizations/{org}/disable")
        suspended = await ask(door, made["key"])
        assert (suspended.status, suspended.error["error_id"]) == (403, "ACCOUNT_SUSPENDED")
        await admin(door, "POST", f"/admin/organizations/{org}/enable")
        turned = await admin(door, "POST", f"{at}/rotate", {"overlap_s": 0})
        assert [(await ask(door, key)).status for key in (made["key"], turned["key"])] == [401, 200]
        await admin(door, "POST", f"{at}/revoke")
        assert (await ask(door, turned["key"])).status == 401
        assert len(up.requests) == 2
