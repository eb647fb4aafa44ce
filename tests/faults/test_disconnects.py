"""A client that leaves a paid answer (F53-F56, F58, S44): never free, never twice, under both policies of a host.

``cancel``: the host is hung up on, and what was delivered is charged by our estimate. ``drain``: the answer is read on,
and the host's own usage is charged.
"""

import asyncio
from random import Random

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Hang, Send, Step, chunk
from tests.fakes.door import Door, eventually, opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, stream
from tests.faults.kit import ASK, BILLED_NUSD, PATIENT, STREAM, HoldRow, delivered_nusd, judged, pays, priced, till
from tests.gateway.test_disconnects import leave
from tests.gateway.test_upstream_faults import SSE

WORDS = ["The river ", "runs past ", "the old ", "mill and on"]
END = chunk(STOP + LAST_USAGE + DONE) + b"0\r\n\r\n"


def said(count: int) -> Send:
    """The head of a stream and so many of the words."""
    return Send(SSE + chunk(ROLE) + b"".join(chunk(delta({"content": word})) for word in WORDS[:count]))


def rest(count: int) -> Send:
    """The words after those, the usage, and the end."""
    return Send(b"".join(chunk(delta({"content": word})) for word in WORDS[count:]) + END)


async def hears(door: Door, text: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that was read up to a text."""
    reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
    await reader.readuntil(text.encode())
    return reader, writer


async def only(door: Door) -> HoldRow:
    """The one hold there is."""
    (hold,) = await judged(door)
    return hold


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["json", "stream"])
async def test_f53_who_leaves_before_the_hosts_headers_pays_nothing(body: dict[str, object]) -> None:
    """Under ``cancel`` the host is hung up on within a second and the hold is released."""
    async with till([Hang()]) as (door, up):
        _, writer = await door.send("POST", "/v1/chat/completions", body)
        await up.arrived()
        leave(writer, reset=True)
        await up.gone(within_s=1.3)
        hold = await only(door)
        assert (hold.state, hold.charge) == ("released", 0)


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["json", "stream"])
async def test_f53_a_drained_answer_is_charged_as_the_host_bills_it(body: dict[str, object]) -> None:
    """Under ``drain`` the host is heard out, and charged is its own usage, exactly, though nobody reads the answer."""
    go = asyncio.Event()
    answer = stream(*WORDS) if "stream" in body else completion()
    async with till([Await(go), Send(answer)], policy="drain") as (door, up):
        _, writer = await door.send("POST", "/v1/chat/completions", body)
        await up.arrived()
        leave(writer, reset=True)
        await eventually(lambda: len(door.app.gate.drains) == 1 and door.app.gate.in_flight == 0)
        assert not up.visits[0].gone
        go.set()
        hold = await only(door)
        assert (hold.state, hold.charge, hold.estimated) == ("settled", BILLED_NUSD, False)


@pytest.mark.parametrize("count", [1, 3])
async def test_f54_who_leaves_in_mid_stream_pays_for_what_was_delivered(count: int) -> None:
    """After one word or after three: the prompt and those words, by the estimate, marked so; not a token more."""
    async with till([said(count), Hang()]) as (door, up):
        _, writer = await hears(door, WORDS[count - 1].strip())
        leave(writer, reset=True)
        await up.gone(within_s=1.3)
        hold = await only(door)
        assert hold.charge == delivered_nusd(*WORDS[:count])
        assert (hold.state, hold.estimated, hold.interrupted) == ("settled", True, True)


@pytest.mark.parametrize("count", [1, 3])
async def test_f54_a_drained_stream_is_charged_to_its_end(count: int) -> None:
    """Under ``drain`` what is charged does not depend on when the client left."""
    go = asyncio.Event()
    async with till([said(count), Await(go), rest(count)], policy="drain") as (door, _):
        _, writer = await hears(door, WORDS[count - 1].strip())
        leave(writer, reset=True)
        await eventually(lambda: len(door.app.gate.drains) == 1)
        go.set()
        hold = await only(door)
        assert (hold.charge, hold.estimated, hold.output) == (BILLED_NUSD, False, 3)


@pytest.mark.parametrize("policy", ["cancel", "drain"])
async def test_f54_after_the_last_token_it_is_the_hosts_word_that_counts(policy: str) -> None:
    """The usage has come, ``[DONE]`` has not: either policy charges the usage."""
    last = Send(b"".join(chunk(delta({"content": word})) for word in WORDS[1:]) + chunk(STOP + LAST_USAGE))
    end = asyncio.Event()
    async with till([said(1), last, Await(end), Send(chunk(DONE) + b"0\r\n\r\n")], policy=policy) as (door, _):
        _, writer = await hears(door, WORDS[-1])
        leave(writer, reset=True)
        await eventually(lambda: door.app.gate.in_flight == 0)
        end.set()
        hold = await only(door)
        assert (hold.charge, hold.estimated) == (BILLED_NUSD, False)


@pytest.mark.parametrize("policy", ["cancel", "drain"])
@pytest.mark.parametrize("seed", range(2))
async def test_f55_leaving_in_the_tick_of_the_hosts_end_ends_once(policy: str, seed: int) -> None:
    """Client and host end within a few turns of the loop of each other, in every order: each request is resolved
    exactly once, for the host's usage or what was delivered, and never for both.
    """
    chance = Random(seed)  # noqa: S311 - a race that can be repeated
    go = [asyncio.Event() for _ in range(40)]
    plays: list[list[Step]] = [[said(2), Await(event), rest(2)] for event in go]
    async with till(*plays, policy=policy) as (door, _):
        for event in go:
            _, writer = await hears(door, WORDS[1].strip())
            first, second = event.set, writer.transport.abort
            if chance.randrange(2):
                first, second = second, first
            first()
            for _ in range(chance.randrange(9)):
                await asyncio.sleep(0)
            second()
        holds = await judged(door)
        least, most = delivered_nusd(*WORDS[:2]), delivered_nusd(*WORDS)
        assert len(holds) == 40
        assert {hold.state for hold in holds} == {"settled"}
        assert all(hold.charge == BILLED_NUSD or least <= hold.charge <= most for hold in holds)
        assert policy == "cancel" or {hold.charge for hold in holds} == {BILLED_NUSD}


async def test_f56_of_two_hundred_that_leave_at_once_as_many_are_drained_as_may() -> None:
    """With room for fifty drains, fifty are charged the host's usage, the others what was delivered; none is open."""
    go = asyncio.Event()
    more = f"[billing]\nmax_drains = 50\n{PATIENT}"
    async with till([said(2), Await(go), rest(2)], policy="drain", more=more) as (door, up):
        clients = await asyncio.gather(*[hears(door, WORDS[1].strip()) for _ in range(200)])
        drains = door.app.gate.drains
        for _, writer in clients:
            leave(writer, reset=True)
        await eventually(lambda: door.app.gate.in_flight == 0 and len(drains) == 50)
        await eventually(lambda: sum(visit.gone for visit in up.visits) == 150)
        go.set()
        charges = [hold.charge for hold in await judged(door)]
        assert charges.count(BILLED_NUSD) == 50
        assert charges.count(delivered_nusd(*WORDS[:2])) == 150


async def test_f56_a_drain_is_bounded_in_time() -> None:
    """A host that says nothing more is hung up on after ``drain_s``, and the answer is charged as delivered."""
    more = f"[billing]\ndrain_s = 0.2\n{PATIENT}"
    async with till([said(2), Hang()], policy="drain", more=more) as (door, up):
        _, writer = await hears(door, WORDS[1].strip())
        leave(writer, reset=True)
        await up.gone()
        hold = await only(door)
        assert (hold.charge, hold.estimated) == (delivered_nusd(*WORDS[:2]), True)


async def test_f56_a_gateway_that_stops_resolves_its_drains() -> None:
    """What is being drained when the gateway stops is charged as delivered, and is on disk when it has stopped."""
    async with ChaosUpstream([said(2), Hang()]) as up, opened(priced(up, policy="drain")) as door:
        await pays(door)
        _, writer = await hears(door, WORDS[1].strip())
        leave(writer, reset=True)
        drains = door.app.gate.drains
        await eventually(lambda: len(drains) == 1)
        await drains.stop()
        hold = await only(door)
        assert (hold.state, hold.charge) == ("settled", delivered_nusd(*WORDS[:2]))


async def test_f58_who_stops_reading_is_charged_for_what_was_sent() -> None:
    """After ``write_timeout_s`` without a byte taken the client counts as gone: one charge, within the hold."""
    piece = chunk(delta({"content": "word " * 800}))
    more = f"[server]\nwrite_timeout_s = 0.3\n{PATIENT}"
    async with till([Send(SSE + chunk(ROLE) + piece * 4000), Hang()], more=more) as (door, up):
        _, writer = await door.send("POST", "/v1/chat/completions", STREAM)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a StreamWriter's is an asyncio.Transport
        await up.arrived()
        await up.gone(within_s=3.0)
        hold = await only(door)
        assert (hold.state, hold.interrupted, hold.charge) == ("settled", True, hold.amount)
        leave(writer, reset=True)
