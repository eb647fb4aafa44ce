"""Hedging: a request whose first token is late goes to a second target too; one answer is seen, recorded and paid."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Hang, Pause, Send, Step, chunk
from tests.fakes.door import Door, eventually
from tests.fakes.openai_wire import ROLE, completion, failure, stream
from tests.routing_faults.kit import (
    ASK,
    BILLED_NUSD,
    PATIENT,
    STREAM,
    health,
    judged,
    outcomes,
    rested,
    said,
    served,
    settled,
    under_way,
    view,
)
from tests.routing_faults.test_fallback import SSE

HEDGE = "hedge = true"
EAGER = f"{PATIENT}[routing]\nhedge_samples = 2\nhedge_min_s = 0.05\nhedge_max_share = 1.0\n"
ANSWERS = {True: Send(stream("ok")), False: Send(completion("ok"))}


def ask(*, streamed: bool) -> dict[str, object]:
    """The request."""
    return STREAM if streamed else ASK


@asynccontextmanager
async def hedged(
    first: Sequence[Step], second: Sequence[Step], more: str = EAGER, *, streamed: bool = True
) -> AsyncIterator[tuple[Door, ChaosUpstream, ChaosUpstream]]:
    """Two routes, the first of which has answered twice at once and then does as the play says."""
    usual = [ANSWERS[streamed]]
    async with ChaosUpstream(usual, usual, first) as a, ChaosUpstream(second) as b:
        async with served(a, b, alias=HEDGE, more=more) as door:
            for _ in range(2):
                assert (await door.post(ask(streamed=streamed))).status == 200
            yield door, a, b


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_the_second_wins_and_the_first_is_hung_up_on(*, streamed: bool) -> None:
    """The loser's socket is closed within a second, it is on record as overtaken, and the charge is one."""
    fine = [Send(stream("fast") if streamed else completion("fast"))]
    async with hedged([Hang()], fine, streamed=streamed) as (door, first, _):
        answer = await door.post(ask(streamed=streamed))
        assert (answer.status, said(answer)) == (200, "fast")
        assert answer.headers["x-tollhouse-target"] == "up1/m"
        assert answer.headers["x-tollhouse-attempts"] == "2"
        await first.gone()
        assert outcomes(await settled(door, answer)) == [("up0", "overtaken"), ("up1", "ok")]
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD] * 3
        assert view(door, "up0").failures == 0, "being slower is no failure"


async def test_a_stream_that_has_only_opened_is_overtaken_too() -> None:
    """An empty delta is no first token: the second target's words are the only ones."""
    async with hedged([Send(SSE + chunk(ROLE)), Hang()], [Send(stream("fast"))]) as (door, first, _):
        answer = await door.post(STREAM)
        assert answer.text == "fast"
        assert answer.body.count(b'"role"') == 1
        await first.gone()


async def test_the_first_wins_where_the_second_is_slower() -> None:
    """The first target speaks after the second was asked: the second is hung up on."""
    late: list[Step] = [Pause(0.3), Send(stream("first"))]
    async with hedged(late, [Hang()]) as (door, _, second):
        answer = await door.post(STREAM)
        assert answer.text == "first"
        await second.gone()
        assert outcomes(await settled(door, answer)) == [("up1", "overtaken"), ("up0", "ok")]


async def test_no_hedge_before_its_time() -> None:
    """A target that answers as fast as it does is never raced."""
    async with hedged([ANSWERS[True]], [Send(stream("other"))]) as (door, _, second):
        for _ in range(5):
            assert (await door.post(STREAM)).text == "ok"
        assert not second.requests


@pytest.mark.parametrize("second", [[Send(failure(500))], [Send(failure(429))]], ids=["500", "429"])
async def test_a_hedge_that_fails_leaves_the_first_its_time(second: list[Step]) -> None:
    """The first target's late answer counts where the second fails."""
    late: list[Step] = [Pause(0.4), Send(stream("late"))]
    async with hedged(late, second) as (door, _, other):
        answer = await door.post(STREAM)
        assert answer.text == "late"
        assert len(other.requests) == 1
        assert outcomes(await settled(door, answer))[-1] == ("up0", "ok")


async def test_a_first_that_fails_leaves_the_hedge_its_time() -> None:
    """The second target answers although the first fails while it is being asked."""
    failing: list[Step] = [Pause(0.2), Send(failure(500))]
    async with hedged(failing, [Pause(0.3), Send(stream("fine"))]) as (door, _, second):
        answer = await door.post(STREAM)
        assert answer.text == "fine"
        assert len(second.requests) == 1
        assert outcomes(await settled(door, answer)) == [("up0", "upstream_bad_response"), ("up1", "ok")]


async def test_when_both_fail_the_third_is_asked() -> None:
    """A race without a winner ends, and the course goes on."""
    usual = [ANSWERS[True]]
    async with ChaosUpstream(usual, usual, [Pause(0.2), Send(failure(500))]) as a:
        async with ChaosUpstream([Pause(0.1), Send(failure(500))]) as b, ChaosUpstream([Send(stream("third"))]) as c:
            async with served(a, b, c, alias=HEDGE, more=EAGER) as door:
                await door.post(STREAM)
                await door.post(STREAM)
                answer = await door.post(STREAM)
                assert answer.text == "third"
                assert [host for host, _ in outcomes(await settled(door, answer))] == ["up1", "up0", "up2"]


async def test_an_error_of_the_request_ends_the_race() -> None:
    """A 400 of either target is the client's at once; the other is hung up on."""
    refusing: list[Step] = [Pause(0.2), Send(failure(400, "bad"))]
    async with hedged(refusing, [Hang()]) as (door, _, second):
        answer = await door.post(STREAM)
        assert (answer.status, answer.error["message"]) == (400, "bad")
        await second.gone()


async def test_two_answers_at_the_same_moment_are_one() -> None:
    """However the answers of both coincide one is given, charged and recorded as ok, and no place stays taken."""
    go = asyncio.Event()
    async with hedged([Await(go), Send(stream("one"))], [Await(go), Send(stream("two"))]) as (door, first, second):
        for number in range(20):
            go.clear()
            asked = asyncio.create_task(door.post(STREAM))
            await first.arrived(3 + number)
            await second.arrived(1 + number)
            go.set()
            answer = await asked
            assert answer.text == {"up0/m": "one", "up1/m": "two"}[answer.headers["x-tollhouse-target"]]
            await rested(door)
            receipt = await settled(door, answer)
            assert sorted(outcome for _, outcome in outcomes(receipt)) == ["ok", "overtaken"]
            assert receipt["target"] == answer.headers["x-tollhouse-target"]
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD] * 22


async def test_hedges_keep_to_their_share() -> None:
    """Of a hundred requests that are all late no more are hedged than the budget allows."""
    more = EAGER.replace("hedge_max_share = 1.0", "hedge_max_share = 0.05")
    slow: list[Step] = [Pause(0.12), Send(stream("slow"))]
    async with hedged(slow, [Send(stream("fast"))], more) as (door, _, second):
        for _ in range(4):
            answers = await asyncio.gather(*[door.post(STREAM) for _ in range(25)])
            assert {answer.status for answer in answers} == {200}
        assert 1 <= len(second.requests) <= 6  # 5 % of 102, and the one that rounds up


@pytest.mark.parametrize("raced", [False, True], ids=["before", "during"])
async def test_a_client_that_leaves_a_race_leaves_nothing(*, raced: bool) -> None:
    """Before the hedge and during it: every socket is closed, every place free, the hold released, each recorded."""
    more = EAGER if raced else EAGER.replace("hedge_min_s = 0.05", "hedge_min_s = 9.0")
    async with hedged([Hang()], [Hang()], more) as (door, first, second):
        _, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        await first.arrived(3)
        if raced:
            await second.arrived()
        writer.close()
        await first.gone()
        await rested(door)
        if raced:
            await second.gone()
        assert under_way(health(door)) == 0
        assert [hold.state for hold in await judged(door)][2:] == ["released"]
        await eventually(lambda: door.count("tollhouse_attempts", "up0", "cancelled") == 1)
        assert door.count("tollhouse_attempts", "up1", "cancelled") == raced
