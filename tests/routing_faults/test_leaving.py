"""What else may happen while routes fail: the client leaves, names its request, is drained; the settings change."""

import asyncio

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Close, Hang, Pause, Reset, Send, Step, chunk
from tests.fakes.door import eventually
from tests.fakes.openai_wire import completion, failure, stream, words
from tests.routing_faults.kit import AGAIN, ASK, BILLED_NUSD, PATIENT, STREAM, judged, outcomes, rested, served, settled
from tests.routing_faults.test_fallback import SSE

DRAIN = 'on_disconnect = "drain"'


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_client_that_leaves_at_the_second_route_leaves_nothing(*, streamed: bool) -> None:
    """The first route has failed, the second is being asked: it is hung up on, and nothing is charged."""
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream([Hang()]) as b:
        async with served(a, b, more=PATIENT) as door:
            _, writer = await door.send("POST", "/v1/chat/completions", STREAM if streamed else ASK)
            await b.arrived()
            writer.close()
            await b.gone()
            await rested(door)
            (hold,) = await judged(door)
            assert (hold.state, hold.charge) == ("released", 0)


async def test_a_client_that_leaves_while_the_gateway_waits_to_ask_again() -> None:
    """In the wait between two tries nothing is open anywhere, and after it nobody is asked."""
    more = PATIENT + AGAIN.replace("backoff_max_s = 1.0", "backoff_max_s = 60.0")
    busy = failure(503).replace(b"content-type", b"retry-after: 30\r\ncontent-type", 1)
    async with ChaosUpstream([Send(busy)], [Send(completion())]) as up, served(up, more=more) as door:
        _, writer = await door.send("POST", "/v1/chat/completions", ASK)
        await up.arrived()
        await eventually(lambda: door.count("tollhouse_attempts", "up0", "upstream_unavailable") == 1)
        writer.close()
        await rested(door)
        assert len(up.requests) == 1
        assert [hold.state for hold in await judged(door)] == ["released"]


async def test_a_client_that_leaves_where_the_answer_goes_on_pays_for_what_it_was_given() -> None:
    """Between the break and the second route's first words: one charge, of the words so far."""
    begun: list[Step] = [Send(SSE + b"".join(chunk(part) for part in words("one "))), Pause(0.05), Reset()]
    hosts = ["", 'quirks = { prefix = "plain" }']
    async with ChaosUpstream(begun) as a, ChaosUpstream([Hang()]) as b:
        async with served(a, b, alias='failover = "mid-stream"', hosts=hosts, more=PATIENT) as door:
            reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
            await reader.readuntil(b"one ")
            await b.arrived()
            writer.close()
            await b.gone()
            await rested(door)
            (hold,) = await judged(door)
            assert (hold.state, hold.interrupted) == ("settled", True)
            assert 0 < hold.charge < BILLED_NUSD * 10


async def test_a_named_request_that_fell_back_is_replayed_and_not_repeated() -> None:
    """I11: the second time the client gets the second route's answer without any route being asked."""
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream([Send(completion("fine"))]) as b:
        async with served(a, b) as door:
            first = await door.post(ASK, idempotency_key="order-1")
            again = await door.post(ASK, idempotency_key="order-1")
            assert first.status == again.status == 200
            assert first.json["choices"] == again.json["choices"]
            assert (len(a.requests), len(b.requests)) == (1, 1)
            assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]


async def test_a_named_stream_that_went_on_elsewhere_is_replayed_whole() -> None:
    """What is kept for a name is what the client saw: one text, joined."""
    begun: list[Step] = [Send(SSE + b"".join(chunk(part) for part in words("one "))), Pause(0.02), Reset()]
    hosts = ["", 'quirks = { prefix = "plain" }']
    async with ChaosUpstream(begun) as a, ChaosUpstream([Send(stream("two"))]) as b:
        async with served(a, b, alias='failover = "mid-stream"', hosts=hosts) as door:
            first = await door.post(STREAM, idempotency_key="order-2")
            again = await door.post(STREAM, idempotency_key="order-2")
            assert first.text == again.text == "one two"
            assert (len(a.requests), len(b.requests)) == (1, 1)


async def test_a_host_that_bills_all_is_read_to_its_end_after_a_fallback() -> None:
    """A client that leaves at a draining second route is charged what that host bills, once."""
    go = asyncio.Event()
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream([Await(go), Send(completion())]) as b:
        async with served(a, b, hosts=["", DRAIN], more=PATIENT) as door:
            _, writer = await door.send("POST", "/v1/chat/completions", ASK)
            await b.arrived()
            writer.close()
            await eventually(lambda: door.app.gate.in_flight == 0)
            go.set()
            (hold,) = await judged(door)
            assert (hold.state, hold.charge, hold.target) == ("settled", BILLED_NUSD, "up1/m")


async def test_a_reload_between_two_routes_changes_nothing_for_a_running_request() -> None:
    """A request that began with two routes falls back to the second though the settings have it no more."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), Close()]) as a, ChaosUpstream([Send(completion("second"))]) as b:
        async with served(a, b, more=PATIENT) as door:
            asked = asyncio.create_task(door.post(ASK))
            await a.arrived()
            text = door.config_file.read_text().replace('["up0/m", "up1/m"]', '["up0/m"]')
            door.config_file.write_text(text)
            await door.app.parts.reloader.reload()
            assert str(door.app.parts.reloader.report()["last_reload"]["result"]) == "ok"
            go.set()
            answer = await asked
            assert answer.json["choices"][0]["message"]["content"] == "second"
            assert outcomes(await settled(door, answer))[-1] == ("up1", "ok")
            assert len(b.requests) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_clients_that_leave_at_any_moment_leave_nothing(*, streamed: bool) -> None:
    """Forty clients leave at forty moments of failing, waiting, racing and answering; every hold is resolved once."""
    good = stream("a", "b") if streamed else completion("ab")
    first: list[list[Step]] = [[Pause(0.01), Send(failure(500))], [Pause(0.06), Send(good)], [Close()], [Hang()]]
    more = PATIENT + AGAIN + "hedge_samples = 1\nhedge_min_s = 0.02\nhedge_max_share = 1.0\nbreaker_failures = 1000\n"
    second: list[list[Step]] = [[Pause(0.03), Send(good)], [Close()]]
    async with ChaosUpstream(*first * 20) as a, ChaosUpstream(*second * 40) as b:
        async with served(a, b, alias="hedge = true", more=more) as door:
            for number in range(40):
                _, writer = await door.send("POST", "/v1/chat/completions", STREAM if streamed else ASK)
                await asyncio.sleep(number * 0.003)
                writer.close()
            await rested(door)
            holds = await judged(door)
            assert {hold.state for hold in holds} <= {"settled", "released"}
            assert all(hold.charge <= hold.amount for hold in holds)
