"""Clocks that step, and clocks that began elsewhere (F103, F104): money, limits and durations do not notice."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.fakes.chaos import Await, Pause, Send, Step, chunk
from tests.fakes.door import Door
from tests.fakes.openai_wire import DONE, LAST_USAGE, STOP, completion, delta
from tests.faults.kit import ASK, BILLED_NUSD, STREAM, delivered_nusd, judged, till
from tests.gateway.limits_kit import caller, limiter, tier
from tests.gateway.test_upstream_faults import SSE
from tests.ledger.kit import KEY, ORG, bid, opened
from tollhouse.errors import RateLimited
from tollhouse.ledger.holds import Hold
from tollhouse.ledger.verify.run import verify
from tollhouse.ledger.wallet import Shortage
from tollhouse.stores.reader import open_reader
from tollhouse.types.calls import Usage
from tollhouse.types.tenancy import Budget

SECOND_US = 1_000_000
STEPS_US = [
    *(0, 0, 0, SECOND_US, -SECOND_US, 3600 * SECOND_US, -3600 * SECOND_US),
    *(86_400 * SECOND_US, -86_400 * SECOND_US, -500_000),
]
REST = chunk(delta({"content": "gun"}) + STOP + LAST_USAGE + DONE) + b"0\r\n\r\n"
BEGUN = Send(SSE + chunk(delta({"content": "be"})))


@pytest.mark.parametrize("seed", range(3))
async def test_f103_a_wall_clock_that_jumps_about_changes_no_sum(tmp_path: Path, seed: int) -> None:
    """Steps of seconds, hours and days, both ways, between any two moves: every invariant holds, no day's budget is
    exceeded, and memory and disk agree.
    """
    chance = Random(seed)  # noqa: S311 - steps that can be repeated
    async with opened(tmp_path, {KEY: Budget(40_000, "day", "Europe/Berlin")}) as bench:
        await bench.credit(2_000_000)
        running: list[Hold] = []
        for _ in range(200):
            bench.now_us += chance.choice(STEPS_US) + chance.randrange(1000)
            if running and chance.randrange(2):
                hold = running.pop(chance.randrange(len(running)))
                amount = chance.randrange(1, 9)
                hold.settle(bid(10_000), Usage(input=amount)) if chance.randrange(4) else hold.release()
                continue
            try:
                running.append(bench.reserve(10_000))
            except Shortage:
                assert bench.available() < 10_000  # type: ignore[operator]  # the key has a budget
        for hold in running:
            hold.release()
        await bench.landed()
        charged = bench.rows("SELECT coalesce(sum(charge), 0) FROM hold")[0][0]
        posted = bench.rows("SELECT max(posted) FROM account WHERE name LIKE 'org:%'")[0][0]
        assert posted == 2_000_000 - charged
        assert bench.ledger.wallet.purses[ORG].posted == 2_000_000 - charged
        assert bench.rows("SELECT max(amount) FROM spend")[0][0] <= 40_000
        with open_reader(bench.store.path) as reader:
            assert verify(reader, now_s=bench.now_us / SECOND_US, max_age_s=0.001).findings == []


@pytest.mark.parametrize("step_s", [3600, -3600, 86_400, -86_400, 1, -1])
async def test_f103_a_step_in_mid_stream_is_one_charge_like_any_other(step_s: int) -> None:
    """The wall clock steps while a stream runs: it ends whole, and its receipt, the day and the balance agree."""
    go = asyncio.Event()
    async with till([BEGUN, Await(go), Send(REST)], [Send(completion())]) as (door, up):
        running = asyncio.create_task(door.post(STREAM))
        await up.arrived()
        real = door.app.ledger.clock_us
        door.app.ledger.clock_us = lambda: real() + step_s * SECOND_US
        go.set()
        answer = await running
        assert answer.text == "begun"
        assert (await door.post(ASK)).status == 200
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD] * 2
        assert (await door.get("/v1/credits")).json["balance_usd"] == "19.999868"
        receipt = (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
        assert (receipt["cost_usd"], receipt["duration_ms"] >= 0) == ("0.000066", True)


def decisions(offset_ns: int) -> list[object]:
    """What limits of five requests and a thousand tokens a minute decide in a fixed course of events."""
    chance = Random(5)  # noqa: S311
    limits, clock = limiter(tier(5, 1000, 3))
    clock.ns = offset_ns
    found: list[object] = []
    leases = []
    for _ in range(300):
        clock.ns += chance.randrange(8_000_000_000)
        try:
            lease = limits.admit(caller())
            lease.reserve("m", chance.randrange(400))
            leases.append(lease)
            found.append(lease.headers())
        except RateLimited as refused:
            found.append((refused.type, refused.headers["retry-after"]))
        if len(leases) > chance.randrange(4):
            leases.pop(0).leave()
    return found


def test_f104_limits_do_not_depend_on_where_the_monotonic_clock_began() -> None:
    """A machine that has just started, one that ran for years, one resumed from a snapshot: the same decisions, whole
    seconds to wait, and none negative.
    """
    first = decisions(0)
    assert any(isinstance(each, tuple) for each in first)
    assert any(isinstance(each, str) for each in first)
    assert all(int(each[1]) >= 1 for each in first if isinstance(each, tuple))
    for offset_ns in (1, 10**9, 3 * 10**17, 2**62):
        assert decisions(offset_ns) == first


class ShiftedLoop(asyncio.SelectorEventLoop):
    """An event loop whose monotonic clock began elsewhere, and may leap."""

    offset_s = 0.0

    def time(self) -> float:
        """See `asyncio.AbstractEventLoop`."""
        return super().time() + self.offset_s


def on_loop(offset_s: float, work: Callable[[ShiftedLoop], Coroutine[Any, Any, None]]) -> None:
    """Runs work on such a loop."""
    loop = ShiftedLoop()
    loop.offset_s = offset_s
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work(loop))


async def durations(door: Door, request_id: str) -> list[int]:
    """How long each attempt took, in milliseconds."""
    receipt = (await door.get(f"/v1/usage/{request_id}")).json
    return [int(attempt["duration_ms"]) for attempt in receipt["attempts"]]


@pytest.mark.parametrize("offset_s", [0.0, 1e7, 1e9], ids=["new", "years", "a snapshot"])
def test_f104_a_gateway_whose_clock_began_anywhere_serves_and_measures(offset_s: float) -> None:
    """It starts, answers, charges, and no duration is negative or longer than the test."""

    async def work(loop: ShiftedLoop) -> None:
        assert loop.time() > offset_s
        async with till([Pause(0.02), Send(completion())]) as (door, _):
            answer = await door.post(ASK)
            assert all(0 <= took < 20_000 for took in await durations(door, answer.headers["x-request-id"]))
            assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]

    on_loop(offset_s, work)


def test_f104_a_clock_that_leaps_under_a_live_stream_leaves_nothing_open() -> None:
    """All timers of the loop fire at once: a silent stream ends when its host's patience is over by the clock, is
    resolved once, and the next request is served.
    """

    async def work(loop: ShiftedLoop) -> None:
        play: list[Step] = [BEGUN, Await(asyncio.Event())]
        more = "[timeouts]\nidle_s = 0.4\n"
        async with till(play, [Send(completion())], more=more) as (door, up):
            reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
            await reader.readuntil(b'"be"')
            loop.offset_s += 3600
            assert b"[DONE]" not in await reader.read(-1)
            writer.close()
            await up.gone()
            (hold,) = await judged(door)
            assert (hold.state, hold.charge, hold.interrupted) == ("settled", delivered_nusd("be"), True)
            answer = await door.post(ASK)
            assert answer.status == 200
            assert all(0 <= took < 20_000 for took in await durations(door, answer.headers["x-request-id"]))

    on_loop(0.0, work)
