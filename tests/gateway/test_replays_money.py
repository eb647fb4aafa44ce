"""What an answer costs that is given again: the share that the operator says, proved by the ledger like any charge."""

from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import completion, stream
from tests.gateway.kit import ASK
from tests.gateway.replay_kit import COST_NUSD, SEED, is_sound, priced, receipt, replay_of, said
from tollhouse.ledger.reconcile import reconcile
from tollhouse.stores.reader import open_reader
from tollhouse.types.money import format_usd

TIER = '[limits]\ndefault_tier = "t"\n[tiers.t]\nrequests_per_minute = 10\ntokens_per_minute = 1000\n'
USED = (7, 3)
NONE = (0, 0)


async def poor_key(door: Door, grant_nusd: int) -> str:
    """The text of a key of an organisation that has paid for so much."""
    office = door.app.parts.books.office
    org = (await office.act("ada", lambda desk: desk.create_org({"name": "poor", "billing": "prepaid"}))).node
    made = await office.act("ada", lambda desk: desk.create_key(org.id, {"name": "poor"}))
    await door.app.ledger.adopt(office.directory.nodes)
    if grant_nusd:
        await door.app.ledger.post("grant", org.number, grant_nusd, actor="ada", reason="welcome")
    return f"Bearer {made.text.reveal()}"


@pytest.mark.parametrize(
    ("share", "cost_nusd", "used"),
    [("0", 0, NONE), ("1", COST_NUSD, USED), ("0.5", COST_NUSD // 2, USED), ("0.000001", 1, USED)],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_a_replay_costs_its_share(share: str, cost_nusd: int, used: tuple[int, int], streamed: bool) -> None:
    """The share of the first price is charged for its tokens, shown in header, body and receipt, and verifies."""
    replay = f"seed_price = {share}\n"
    body: dict[str, Any] = {**SEED, "stream": streamed, "stream_options": {"include_usage": True}} if streamed else SEED
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, replay)) as door:
        first = await door.post(SEED)
        again = await door.post(body)
        shown = format_usd(cost_nusd)
        assert again.headers["x-tollhouse-cost"] == shown
        usage = again.events[-1]["usage"] if streamed else again.json["usage"]
        assert f'"cost":{shown}'.encode() in again.body
        assert usage["total_tokens"] == 10
        found = await receipt(door, again)
        assert (found["state"], found["cost_usd"], found["target"]) == ("settled", shown, "up0/m")
        assert (found["tokens"]["input"], found["tokens"]["output"]) == used
        assert found["price"]["source"] == "replay"
        assert found["attempts"] == []
        assert found["replay"] == {"by": "seed", "of": first.headers["x-request-id"]}
        assert (await receipt(door, first))["replay"] is None
        page = (await door.get("/v1/usage")).json
        assert page["totals"]["requests"] == 2
        assert page["totals"]["cost_usd"] == format_usd(COST_NUSD + cost_nusd)
        assert is_sound(door)


async def test_the_cache_has_a_price_of_its_own() -> None:
    """A seed may cost as the first time where the cache is free."""
    replay = "seed_price = 1\ncache_price = 0\n"
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, replay)) as door:
        for body, cost in ((SEED, "0.000066"), (ASK, "0.00")):
            await door.post(body, x_tollhouse_cache="on")
            assert (await door.post(body, x_tollhouse_cache="on")).headers["x-tollhouse-cost"] == cost
        assert is_sound(door)


async def test_who_cannot_pay_gets_no_replay_that_costs() -> None:
    """A priced replay is refused where the money is gone; one that is free is given."""
    for share, status in (("1", 402), ("0", 200)):
        replay = f'scope = "key"\nseed_price = {share}\n'
        async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, replay)) as door:
            poor = await poor_key(door, 4_000_000)
            body = {**SEED, "max_tokens": 3}
            assert (await door.post(body, authorization=poor)).status == 200
            office = door.app.parts.books.office
            (org,) = [
                node.number for node in office.directory.nodes.values() if node.name == "poor" and not node.parent
            ]
            await door.app.ledger.post("refund", org, -(4_000_000 - COST_NUSD), actor="ada", reason="gone")
            answer = await door.post(body, authorization=poor)
            assert answer.status == status, answer.body
            assert len(up.requests) == 1
            assert is_sound(door)
            assert door.idle


async def test_an_operator_sees_the_price_and_the_replay() -> None:
    """The versions of prices and the request's rows in the admin API say what it was."""
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, "seed_price = 0.5\n")) as door:
        first = await door.post(SEED)
        again = (await door.post(SEED)).headers["x-request-id"]
        desk = replace(door, port=door.admin_port, key="admin-secret")
        versions = (await desk.get("/admin/prices/versions?host=up0")).json["data"]
        assert [(one["source"], one["input_usd_per_1m"]) for one in versions] == [
            ("config", "3.00"),
            ("replay", "1.50"),
        ]
        (attempt,) = (await desk.get(f"/admin/usage/{again}")).json["attempts"]
        assert (attempt["target"], attempt["outcome"]) == ("replay", "seed")
        assert attempt["upstream_request_id"] == first.headers["x-request-id"]


async def test_a_client_caps_what_a_replay_costs_too() -> None:
    """``x-max-cost-usd`` is the client's word on any answer."""
    replay = "seed_price = 1\n"
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, replay)) as door:
        await door.post(SEED)
        assert (await door.post(SEED, x_max_cost_usd="0.00007")).status == 200
        assert (await door.post(SEED, x_max_cost_usd="0.00006")).status == 402
        assert door.idle


@pytest.mark.parametrize(("share", "tokens"), [("0", 0), ("1", 10)])
async def test_a_replay_counts_in_limits(share: str, tokens: int) -> None:
    """It is a request like any other; its tokens count where they are paid for."""
    replay = f"seed_price = {share}\n"
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, replay, TIER)) as door:
        first = (await door.post({**SEED, "max_tokens": 50})).headers
        again = (await door.post({**SEED, "max_tokens": 50})).headers
        name = "x-ratelimit-remaining-"
        assert int(first[f"{name}requests"]) - int(again[f"{name}requests"]) == 1
        assert int(first[f"{name}tokens"]) - int(again[f"{name}tokens"]) == tokens


async def test_a_replay_is_on_no_invoice() -> None:
    """What no host was asked for is not looked for on its invoice: the first answer alone is."""
    replay = "seed_price = 1\n"
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up, replay)) as door:
        for _ in range(3):
            await door.post(SEED)
        with open_reader(door.app.parts.books.store.path) as reader:
            for by in ("day", "request"):
                ours = reconcile(reader, [], "up0", by=by).ours
                assert (ours.requests, ours.input, ours.output) == (1, *USED)


async def test_a_name_for_a_request_goes_first() -> None:
    """A retry under an ``Idempotency-Key`` gets its first answer, also where that was a replay, for nothing."""
    replay = "seed_price = 1\n"
    async with ChaosUpstream([Send(completion())], [Send(stream("x"))]) as up:
        async with opened(priced(up, replay)) as door:
            first = await door.post(SEED)
            again = [await door.post(SEED, idempotency_key="k") for _ in range(2)]
            assert replay_of(again[0]) == ("seed", first.headers["x-request-id"])
            assert again[1].headers["idempotent-replayed"] == "true"
            assert again[0].body == again[1].body
            assert said(again[0]) == said(first)
            assert (await door.get("/v1/usage")).json["totals"]["requests"] == 2
            assert is_sound(door)
