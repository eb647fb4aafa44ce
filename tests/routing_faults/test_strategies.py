"""Which route a request goes to, seen from the hosts: weights, turns, speed, price, and conversations that stay."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import pytest

from tests.fakes.chaos import ChaosUpstream, Pause, Send, Step
from tests.fakes.door import Door
from tests.fakes.openai_wire import completion, failure
from tests.routing_faults.kit import ASK, PATIENT, health, said, served

CHI_SQUARE_1_IN_1000 = {1: 10.83, 2: 13.82}
"""By degrees of freedom: what fair draws exceed once in a thousand times."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The same chance each time."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@asynccontextmanager
async def three(
    *plays: list[Step], alias: str = "", targets: str = "", more: str = PATIENT
) -> AsyncIterator[tuple[Door, list[ChaosUpstream]]]:
    """Three routes, each of which says its number unless a play is given."""
    async with AsyncExitStack() as stack:
        found = []
        for number in range(3):
            play = plays[number] if number < len(plays) else [Send(completion(str(number)))]
            found.append(await stack.enter_async_context(ChaosUpstream(play)))
        async with served(*found, alias=alias, targets=targets, more=more) as door:
            yield door, found


async def test_weights_are_kept() -> None:
    """Of 400 requests each route gets its share: chi-square, at one in a thousand, with a fixed seed."""
    targets = '{ model = "up0/m", weight = 6 }, { model = "up1/m", weight = 3 }, { model = "up2/m", weight = 1 }'
    with seeded(7):
        async with three(alias='strategy = "weighted"', targets=targets) as (door, ups):
            for _ in range(20):
                await asyncio.gather(*[door.post(ASK) for _ in range(20)])
            expected = [240, 120, 40]
            seen = [len(up.requests) for up in ups]
            assert sum(seen) == 400
            distance = sum((one - other) ** 2 / other for one, other in zip(seen, expected, strict=True))
            assert distance < CHI_SQUARE_1_IN_1000[2]


async def test_a_weight_of_none_is_for_when_the_others_fail() -> None:
    """Weight 0 gets nothing while the others serve, and everything when they do not."""
    targets = '{ model = "up0/m", weight = 1 }, { model = "up1/m", weight = 0 }'
    down: list[Step] = [Send(failure(500))]
    async with three(alias='strategy = "weighted"', targets=targets) as (door, ups):
        assert {said(await door.post(ASK)) for _ in range(20)} == {"0"}
        ups[0].plays = [down]
        assert {said(await door.post(ASK)) for _ in range(4)} == {"1"}


async def test_a_lower_priority_goes_first_and_the_next_when_it_fails() -> None:
    """Priorities are groups: the second is asked only where the first is out."""
    targets = '{ model = "up0/m", priority = 2 }, { model = "up1/m", priority = 1 }, { model = "up2/m", priority = 0 }'
    async with three(targets=targets) as (door, ups):
        assert said(await door.post(ASK)) == "2"
        ups[2].plays = [[Send(failure(500))]]
        assert said(await door.post(ASK)) == "1"


async def test_round_robin_takes_turns() -> None:
    """Each route in turn, whoever asks."""
    async with three(alias='strategy = "round-robin"') as (door, _):
        assert [said(await door.post(ASK)) for _ in range(7)] == ["0", "1", "2", "0", "1", "2", "0"]


async def test_latency_picks_the_faster() -> None:
    """Once all are known, the slow one of three gets what chance leaves it: next to nothing."""
    slow: list[Step] = [Pause(0.15), Send(completion("slow"))]
    async with three(slow, alias='strategy = "latency"') as (door, ups):
        for _ in range(40):
            assert (await door.post(ASK)).status == 200
        assert len(ups[0].requests) <= 3
        assert min(len(ups[1].requests), len(ups[2].requests)) >= 5


async def test_cost_picks_the_cheaper() -> None:
    """The cheapest route serves; when it is down, the next cheapest."""
    async with three(alias='strategy = "cost"') as (door, ups):
        cheap = '[providers.cheap]\nbase_url = "http://127.0.0.1:%d/v1"\napi_key = "k"\n[providers.cheap.models."m"]\n'
        price = "input_usd_per_1m = 1\noutput_usd_per_1m = 2\ncontext_tokens = 100000\n"
        text = door.config_file.read_text().replace('"up0/m", ', '"up0/m", "cheap/m", ')
        async with ChaosUpstream([Send(completion("cheap"))]) as other:
            door.config_file.write_text(cheap % other.port + price + text)
            await door.app.parts.reloader.reload()
            assert str(door.app.parts.reloader.report()["last_reload"]["result"]) == "ok"
            assert {said(await door.post(ASK)) for _ in range(5)} == {"cheap"}
            other.plays = [[Send(failure(500))]]
            assert said(await door.post(ASK)) == "0"
            assert not ups[1].requests


STICKY = 'strategy = "round-robin"\nsticky = "conversation"'


async def test_a_conversation_stays_and_others_are_spread() -> None:
    """All turns of one conversation meet one route; thirty conversations meet all three."""
    async with three(alias=STICKY) as (door, _):
        homes = {}
        for name in range(30):
            turns = [said(await door.post({**ASK, "session_id": f"talk-{name}"})) for _ in range(3)]
            assert len(set(turns)) == 1
            homes[name] = turns[0]
        assert set(homes.values()) == {"0", "1", "2"}


async def test_only_the_conversations_of_a_route_that_is_down_move() -> None:
    """They come back when it does; the others never move."""
    more = PATIENT + "[routing]\nbreaker_open_s = 0.2\nbreaker_open_max_s = 0.2\n"
    async with three(alias=STICKY, more=more) as (door, ups):

        async def homes() -> dict[int, str]:
            return {n: said(await door.post({**ASK, "session_id": f"talk-{n}"})) for n in range(24)}

        before = await homes()
        ups[0].plays = [[Send(failure(500))]]
        during = await homes()
        moved = {name for name in before if before[name] != during[name]}
        assert moved == {name for name, home in before.items() if home == "0"}
        ups[0].plays = [[Send(completion("0"))]]
        await asyncio.sleep(0.3)
        await homes()  # two of these are the probes
        assert await homes() == before


@pytest.mark.parametrize("named", [True, False])
async def test_a_conversation_stays_with_one_key(*, named: bool) -> None:
    """Prompt caches are per account: the turns of a conversation come with one of a host's keys, named or not."""
    async with ChaosUpstream([Send(completion("fine"))]) as up:
        async with served(up, alias='sticky = "conversation"', hosts=['api_keys = ["a", "b", "c", "d"]']) as door:
            used = Counter[str]()
            for talk in range(12):
                up.requests.clear()
                name = {"session_id": f"t{talk}"} if named else {}
                await asyncio.gather(*[door.post({**body, **name}) for body in turns(talk)])
                assert len({request.headers["authorization"] for request in up.requests}) == 1
                used[up.requests[0].headers["authorization"]] += 1
            assert len(used) >= 2
            assert health(door).hosts.keys() == {"up0"}


def turns(talk: int) -> list[dict[str, object]]:
    """Three requests of one conversation, each with one turn more."""
    first = {"role": "user", "content": f"question {talk}"}
    more = [{"role": "assistant", "content": "so"}, {"role": "user", "content": "and"}]
    return [{**ASK, "messages": [first, *more * turn]} for turn in range(3)]
