"""Which policy holds for a request: the key's, the tier's, the alias's, the default, and all of them together."""

from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import completion
from tests.faults.kit import pays
from tests.gateway.safety_kit import HELLO, LISTS, PLAIN, aliases, settings_of_policies, told, watched
from tests.routing_faults.kit import QUICK, routes

HARMFUL: list[Any] = [{"role": "user", "content": "venom, please"}]
BARE: dict[str, Any] = {"model": "plain", "max_tokens": 20}


async def change(door: Door, node: str, **fields: Any) -> None:
    """Changes a key or a node above it."""
    await door.app.parts.books.office.act("ada", lambda desk: desk.change(node, fields))


def settings(up: ChaosUpstream, more: str = "") -> str:
    """A gateway with every policy, and an alias for each."""
    return routes(up, more=f"{QUICK}{settings_of_policies()}{aliases()}{more}")


async def status(door: Door, model: str = "plain", messages: list[Any] = HARMFUL) -> int:
    """How a prompt that some policy blocks is answered."""
    answer = await door.post({**BARE, "model": model, "messages": messages})
    assert answer.status == 200 or answer.error["code"] == "content_filter"
    return answer.status


async def test_a_key_names_a_policy_and_forgets_it() -> None:
    """From the next request on it holds, and no more when it is taken away."""
    async with ChaosUpstream([Send(completion(PLAIN))]) as up, opened(settings(up)) as door:
        key = await pays(door)
        assert await status(door) == 200
        await change(door, key, safety="listed")
        assert await status(door) == 400
        assert await status(door, messages=HELLO) == 200
        await change(door, key, safety=None)
        assert await status(door) == 200


async def test_what_stands_above_a_key_holds_for_it() -> None:
    """An organisation's policy and its key's hold together: the key may add, and cannot take away."""
    async with ChaosUpstream([Send(completion(PLAIN))]) as up, opened(settings(up)) as door:
        key = await pays(door)
        tree = door.app.parts.books.office.directory
        org = tree.line(tree.numbers[key])[-1].id
        await change(door, org, safety="listed")
        for policy in ("told", "silent", None):
            await change(door, key, safety=policy)
            assert await status(door) == 400
        await change(door, org, safety=None)
        await change(door, key, safety="silent")
        answer = await door.post({**BARE, "messages": HARMFUL})
        assert answer.status == 200
        assert b"filter_results" not in answer.body


async def test_a_tier_names_a_policy() -> None:
    """The keys of a tier are under its policy, those of another are not."""
    tiers = '[tiers.free]\nsafety = "listed"\n[tiers.paid]\nsafety = "told"\n'
    async with ChaosUpstream([Send(completion(PLAIN))]) as up, opened(settings(up, tiers)) as door:
        key = await pays(door)
        for tier, expected in (("free", 400), ("paid", 200)):
            await change(door, key, tier=tier)
            assert await status(door) == expected


@pytest.mark.parametrize(
    ("safety", "expected"),
    [
        ("", 200),
        ('policy = "listed"', 400),
        ('policy = "listed"\nmode = "annotate"', 200),
        ('mode = "block"', 200),
        ('policy = "silent"', 200),
    ],
)
async def test_the_default_is_for_those_for_whom_nobody_names_one(safety: str, expected: int) -> None:
    """It holds for an alias without a policy; one that names its own is under that alone."""
    async with watched(safety=safety) as house:
        first = await house.ask("plain", completion(PLAIN), messages=HARMFUL)
        assert first.status == expected
        assert (b"filter_results" in first.body) is (safety != 'policy = "silent"')
        assert (await house.ask("told", completion(PLAIN), messages=HARMFUL)).status == 200
        assert (await house.ask("listed", completion(PLAIN), messages=HARMFUL)).status == 400


@pytest.mark.parametrize("template", ["strict", "moderate", "child_safe", "enterprise", "minimal"])
async def test_a_template_can_be_named_as_it_is(template: str) -> None:
    """An alias names a template; what a host has filtered fails under every one of them, and plain words under none."""
    filtered = {"violence": {"filtered": True, "severity": "high"}}
    choice = {"index": 0, "message": {"role": "assistant", "content": PLAIN}, "finish_reason": "stop"}
    async with watched(aliases(names=[template])) as house:
        assert told(await house.ask(template, completion(PLAIN))).reasons == {0: "stop"}
        play = completion(choices=[{**choice, "content_filter_results": filtered}])
        found = told(await house.ask(template, play))
        assert found.reasons == {0: "content_filter"}
        assert found.completion[0]["violence"] == {"filtered": True, "severity": "high", "origin": "upstream"}


async def test_a_name_that_is_gone_opens_nothing() -> None:
    """A key's policy that is not in the configuration any more stands for the strictest there is."""
    async with ChaosUpstream([Send(completion(PLAIN))]) as up, opened(settings(up)) as door:
        key = await pays(door)
        await change(door, key, safety="listed")
        without = f'{QUICK}{LISTS}[safety.policies.other]\nblocklists = ["bad"]\n{aliases(names=["plain"])}'
        door.config_file.write_text(door.config_file.read_text().replace(settings(up), routes(up, more=without)))
        await door.app.parts.reloader.reload()
        assert door.app.parts.reloader.report()["last_reload"]["result"] == "ok"
        assert await status(door) == 400


async def test_an_alias_in_front_of_any_target() -> None:
    """A target that is asked for by its own name is under the default, or its key's policy; never under an alias's."""
    async with watched() as house:
        house.up.plays = [[Send(completion(PLAIN))]]
        assert (await house.door.post({**BARE, "model": "up0/m", "messages": HARMFUL})).status == 200
        assert (await house.door.post({**BARE, "model": "listed", "messages": HARMFUL})).status == 400
