"""Asking again, sparing and probing: the same target, several keys, circuits; what a client hears when all are out."""

import asyncio
import json
import time
from collections import Counter

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Pause, Send, Step, closed_port
from tests.fakes.door import eventually
from tests.fakes.openai_wire import completion, failure, stream
from tests.routing_faults.kit import (
    AGAIN,
    ASK,
    BILLED_NUSD,
    PATIENT,
    QUICK,
    STREAM,
    judged,
    key_view,
    outcomes,
    said,
    served,
    settled,
    view,
)

TWO_KEYS = 'api_keys = ["sk-a", "sk-b"]'
FINE = [Send(completion("fine"))]


def limited(wait: str = "", status: int = 429) -> bytes:
    """A refusal that states its wait, or does not."""
    answer = failure(status, "slow down", "rate_limit_exceeded" if status == 429 else None)
    return answer.replace(b"content-type", f"retry-after: {wait}\r\ncontent-type".encode(), 1) if wait else answer


def keys_of(upstream: ChaosUpstream) -> list[str]:
    """The key that each request came with."""
    return [request.headers["authorization"].removeprefix("Bearer ") for request in upstream.requests]


# --- the same target again ---------------------------------------------------------------------------------------

PASSING: dict[str, list[Step]] = {
    "500": [Send(failure(500))],
    "503": [Send(failure(503))],
    "closed": [Close()],
    "broken json": [Send(completion()[:-9]), Close()],
}


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
@pytest.mark.parametrize("name", PASSING)
async def test_the_only_target_is_asked_again(name: str, *, streamed: bool) -> None:
    """What passes by itself costs the client nothing but a moment; one charge, both attempts on record."""
    good = [Send(stream("fine"))] if streamed else FINE
    async with ChaosUpstream(PASSING[name], good) as up, served(up, more=QUICK + AGAIN) as door:
        answer = await door.post(STREAM if streamed else ASK)
        assert (answer.status, said(answer)) == (200, "fine")
        receipt = await settled(door, answer)
        assert [outcome for _, outcome in outcomes(receipt)][1:] == ["ok"]
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]


@pytest.mark.parametrize(("play", "most"), [([Hang()], 1), ([Send(failure(401))], 1), ([Send(failure(500))], 2)])
async def test_what_does_not_pass_is_not_asked_again(play: list[Step], most: int) -> None:
    """A timeout and a refused key are final for their only target; a failure is tried once more, and told as it is."""
    async with ChaosUpstream(play) as up, served(up, more=QUICK + AGAIN) as door:
        answer = await door.post(ASK)
        assert answer.status >= 500
        assert len(up.requests) == most


async def test_both_routes_are_asked_before_either_is_asked_again() -> None:
    """The order is first, second, first again: who failed longest ago, and at most ``max_tries`` in all."""
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream([Send(failure(503))]) as b:
        async with served(a, b, more=QUICK + AGAIN) as door:
            answer = await door.post(ASK)
            assert answer.status == 503
            hosts = [host for host, _ in outcomes(await settled(door, answer))]
            assert hosts == ["up0", "up1", "up0", "up1"]
        async with served(a, b, more=QUICK + AGAIN, alias="max_tries = 3") as door:
            answer = await door.post(ASK)
            assert len(outcomes(await settled(door, answer))) == 3


async def test_the_wait_that_a_host_states_is_kept() -> None:
    """A 503 with Retry-After that is as short as a wait may be is asked again after it; a longer one is told."""
    async with ChaosUpstream([Send(limited("1", 503))], FINE) as up, served(up, more=PATIENT + AGAIN) as door:
        began = time.monotonic()
        answer = await door.post(ASK)
        assert answer.status == 200
        assert time.monotonic() - began >= 1.0
    async with ChaosUpstream([Send(limited("7", 503))], FINE) as up, served(up, more=PATIENT + AGAIN) as door:
        answer = await door.post(ASK)
        assert (answer.status, answer.headers["retry-after"]) == (503, "7")
        assert len(up.requests) == 1


# --- rate limits and keys ----------------------------------------------------------------------------------------


async def test_f32_a_limited_target_is_spared_and_the_other_serves() -> None:
    """After a 429 with a wait the first route is not asked until the wait is over; no client hears of it."""
    async with ChaosUpstream([Send(limited("60"))]) as a, ChaosUpstream(FINE) as b, served(a, b) as door:
        answers = [await door.post(ASK) for _ in range(5)]
        assert {answer.status for answer in answers} == {200}
        assert len(a.requests) == 1
        assert key_view(door, "up0").state == "cooling"
        assert 55 < key_view(door, "up0").for_s <= 60


@pytest.mark.parametrize(("first", "second", "told"), [("30", "7", "7"), ("1000000000", "50", "50"), ("0", "9", "1")])
async def test_f32_when_all_are_cooling_the_smallest_wait_is_told(first: str, second: str, told: str) -> None:
    """The client hears 429 at once, no host being asked; a wait without sense counts as a second, or a minute."""
    async with ChaosUpstream([Send(limited(first))]) as a, ChaosUpstream([Send(limited(second))]) as b:
        async with served(a, b) as door:
            assert (await door.post(ASK)).status == 429
            began = time.monotonic()
            answer = await door.post(ASK)
            assert time.monotonic() - began < 0.25
            assert (answer.status, answer.error["code"]) == (429, "rate_limit_exceeded")
            assert int(answer.headers["retry-after"]) in {int(told), int(told) - 1 or 1}
            assert len(a.requests) == len(b.requests) == 1


async def test_a_cooldown_ends() -> None:
    """When the wait is over the target is asked again, and is whole."""
    async with ChaosUpstream([Send(limited("1"))], FINE) as a, served(a) as door:
        assert (await door.post(ASK)).status == 429
        assert (await door.post(ASK)).status == 429
        assert len(a.requests) == 1
        await asyncio.sleep(1.05)
        assert (await door.post(ASK)).status == 200
        assert key_view(door, "up0").state == "ok"


async def test_f33_another_key_of_the_same_host_goes_before_another_host() -> None:
    """A limited key is spared alone: the host's other key answers, in one request with one charge."""
    async with ChaosUpstream([Send(limited("60"))], FINE) as a, ChaosUpstream(FINE) as b:
        async with served(a, b, hosts=[TWO_KEYS]) as door:
            answer = await door.post(ASK)
            assert answer.headers["x-tollhouse-target"] == "up0/m"
            limited_key, good_key = keys_of(a)
            assert {limited_key, good_key} == {"sk-a", "sk-b"}
            for _ in range(6):
                assert (await door.post(ASK)).status == 200
            assert set(keys_of(a)[1:]) == {good_key}
            assert not b.requests
            assert outcomes(await settled(door, answer)) == [("up0", "rate_limit_exceeded"), ("up0", "ok")]
            assert {hold.charge for hold in await judged(door)} == {BILLED_NUSD}


@pytest.mark.parametrize(("status", "state"), [(401, "refused"), (403, "refused"), (402, "empty")])
async def test_f36_a_refused_key_is_marked_and_not_its_host(status: int, state: str) -> None:
    """One bad key of two is left alone from then on; the host and its other key serve, and no circuit counts it."""
    async with ChaosUpstream([Send(failure(status, "sk-a is bad"))], FINE) as a, ChaosUpstream(FINE) as b:
        async with served(a, b, hosts=[TWO_KEYS]) as door:
            answers = [await door.post(ASK) for _ in range(8)]
            assert {(answer.status, answer.headers["x-tollhouse-target"]) for answer in answers} == {(200, "up0/m")}
            bad, *others = keys_of(a)
            assert bad not in others
            slot = ["sk-a", "sk-b"].index(bad)
            assert key_view(door, "up0", slot).state == state
            assert key_view(door, "up0", 1 - slot).state == "ok"
            assert (view(door, "up0").state, view(door, "up0").failures) == ("closed", 0)


async def test_f36_with_every_key_refused_the_client_hears_502_and_nothing_of_the_key() -> None:
    """Not 401, which an SDK would take for its own key; the second time no host is asked."""
    async with ChaosUpstream([Send(failure(401, "Incorrect API key sk-0-very-secret"))]) as a, served(a) as door:
        for _ in range(3):
            answer = await door.post(ASK)
            assert (answer.status, answer.error["code"]) == (502, "upstream_auth")
            assert b"very-secret" not in answer.body
            assert answer.headers["x-should-retry"] == "false"
        assert len(a.requests) == 1


async def test_several_keys_share_the_requests() -> None:
    """Of two keys each gets its part."""
    async with ChaosUpstream(FINE) as up, served(up, hosts=[TWO_KEYS]) as door:
        for _ in range(40):
            assert (await door.post(ASK)).status == 200
        shares = Counter(keys_of(up))
        assert set(shares) == {"sk-a", "sk-b"}
        assert min(shares.values()) >= 8  # 40 fair draws fall below that once in 20,000 times


# --- circuits ----------------------------------------------------------------------------------------------------

SHORT = "[routing]\nbreaker_open_s = 0.3\nbreaker_open_max_s = 0.3\nsame_target_retries = 0\n"


async def test_f34_five_failures_open_the_circuit_and_the_first_route_is_asked_no_more() -> None:
    """Clients see nothing of it: the second route serves, and the first gets five requests in all."""
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream(FINE) as b, served(a, b) as door:
        answers = [await door.post(ASK) for _ in range(12)]
        assert {answer.status for answer in answers} == {200}
        assert len(a.requests) == 5
        assert view(door, "up0").state == "open"


async def test_f01_connections_refused_open_the_hosts_circuit() -> None:
    """Nothing listens: after five tries nobody is sent there, and the second route serves."""
    async with ChaosUpstream(FINE) as b, served(closed_port(), b) as door:
        answers = [await door.post(ASK) for _ in range(8)]
        assert [len(answer.headers.get("x-tollhouse-attempts", "1")) for answer in answers] == [1] * 8
        assert sum("x-tollhouse-attempts" in answer.headers for answer in answers) == 5


async def test_f39_all_circuits_open_is_503_at_once() -> None:
    """No upstream is contacted, the wait is told, and the answer takes milliseconds, whatever a host would take."""
    failing: list[Step] = [Send(failure(500))]
    async with ChaosUpstream(failing) as a, ChaosUpstream(failing) as b, served(a, b) as door:
        for _ in range(5):
            assert (await door.post(ASK)).status == 503
        asked = len(a.requests) + len(b.requests)
        assert asked == 10
        took = []
        for _ in range(20):
            began = time.monotonic()
            answer = await door.post(STREAM)
            took.append(time.monotonic() - began)
            assert (answer.status, answer.error["code"]) == (503, "no_route_available")
            assert 1 <= int(answer.headers["retry-after"]) <= 2
        assert len(a.requests) + len(b.requests) == asked
        assert sorted(took)[10] < 0.05
        assert {hold.charge for hold in await judged(door)} == {0}


async def test_f34_half_open_lets_one_probe_through_at_a_time() -> None:
    """Of ten clients at once one probes the host that was down; the others are served by the second route."""
    down: list[Step] = [Send(failure(500))]
    slow: list[Step] = [Pause(0.3), Send(completion("back"))]
    async with ChaosUpstream(*[down] * 5, slow) as a, ChaosUpstream(FINE) as b:
        async with served(a, b, more=PATIENT + SHORT) as door:
            for _ in range(5):
                await door.post(ASK)
            await asyncio.sleep(0.4)
            answers = await asyncio.gather(*[door.post(ASK) for _ in range(10)])
            assert {answer.status for answer in answers} == {200}
            assert sorted(said(answer) for answer in answers) == ["back", *["fine"] * 9]
            assert len(a.requests) == 6
            assert view(door, "up0").state == "half_open"


async def test_f34_two_probes_that_succeed_close_the_circuit() -> None:
    """When the host is back two answers in a row are enough, and it has all requests again."""
    down: list[Step] = [Send(failure(500))]
    async with ChaosUpstream(*[down] * 5, FINE) as a, ChaosUpstream(FINE) as b:
        async with served(a, b, more=PATIENT + SHORT) as door:
            for _ in range(5):
                await door.post(ASK)
            await asyncio.sleep(0.4)
            for _ in range(2):
                assert (await door.post(ASK)).headers["x-tollhouse-target"] == "up0/m"
            assert view(door, "up0").state == "closed"
            answers = await asyncio.gather(*[door.post(ASK) for _ in range(10)])
            assert {answer.headers["x-tollhouse-target"] for answer in answers} == {"up0/m"}


async def test_f34_a_probe_that_fails_costs_its_client_nothing() -> None:
    """The second route stands behind a probe; the circuit opens again."""
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream(FINE) as b:
        async with served(a, b, more=PATIENT + SHORT) as door:
            for _ in range(5):
                await door.post(ASK)
            await asyncio.sleep(0.4)
            answer = await door.post(ASK)
            assert (answer.status, answer.headers["x-tollhouse-target"]) == (200, "up1/m")
            assert len(a.requests) == 6
            assert (view(door, "up0").state, view(door, "up0").times_open) == ("open", 2)


async def test_a_probe_that_hangs_is_hedged_whatever_the_alias_says() -> None:
    """The client whose request is the probe of a host that hangs has its answer from the second route in a second."""
    down: list[Step] = [Send(failure(500))]
    async with ChaosUpstream(*[down] * 5, [Hang()]) as a, ChaosUpstream(FINE) as b:
        async with served(a, b, more=PATIENT + SHORT) as door:
            for _ in range(5):
                await door.post(ASK)
            await asyncio.sleep(0.4)
            began = time.monotonic()
            answer = await door.post(ASK)
            assert said(answer) == "fine"
            assert 0.9 < time.monotonic() - began < 5.0
            await a.gone()
            assert outcomes(await settled(door, answer)) == [("up0", "overtaken"), ("up1", "ok")]


@pytest.mark.parametrize("named", [False, True])
async def test_when_the_only_probe_is_taken_others_are_told_to_wait_a_second(*, named: bool) -> None:
    """One route, half open: while one request probes, another hears 503 with a wait, and nothing is sent for it; also
    where the place was free when it was decided, for a named request waits for its name in between.
    """
    down: list[Step] = [Send(failure(500))]
    slow: list[Step] = [Pause(0.4), *FINE]
    async with ChaosUpstream(*[down] * 5, slow) as a, served(a, more=PATIENT + SHORT) as door:
        for _ in range(5):
            await door.post(ASK)
        await asyncio.sleep(0.4)
        names = [{"idempotency_key": f"order-{number}"} if named else {} for number in range(5)]
        answers = await asyncio.gather(*[door.post(ASK, **name) for name in names])
        assert sorted(answer.status for answer in answers) == [200, 503, 503, 503, 503]
        refused = [answer for answer in answers if answer.status == 503]
        assert {(each.error["code"], each.headers["retry-after"]) for each in refused} == {("no_route_available", "1")}
        assert len(a.requests) == 6


async def test_a_host_whose_streams_break_off_is_left_too() -> None:
    """Answers that break off after their first words count as failures: the fifth opens the circuit."""
    begun = stream("a")[:-60]
    async with ChaosUpstream([Send(begun), Close()]) as a, ChaosUpstream([Send(stream("fine"))]) as b:
        async with served(a, b) as door:
            for _ in range(5):
                assert (await door.post(STREAM)).error["code"] == "upstream_interrupted"
            assert (await door.post(STREAM)).text == "fine"
            assert view(door, "up0").state == "open"


async def test_reload_keeps_what_is_known() -> None:
    """Settings that change leave open circuits open and cooling keys cooling."""
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream(FINE) as b, served(a, b) as door:
        for _ in range(6):
            await door.post(ASK)
        door.config_file.write_text(door.config_file.read_text() + "\n[limits]\n")
        await door.app.parts.reloader.reload()
        assert str(door.app.parts.reloader.report()["last_reload"]["result"]) == "ok"
        asked = len(a.requests)
        assert (await door.post(ASK)).status == 200
        assert len(a.requests) == asked
        assert view(door, "up0").state == "open"
        await eventually(lambda: door.idle)


async def test_retries_stop_where_their_budget_ends() -> None:
    """While every request fails hosts are sent no more than the budget's share beside the requests themselves."""
    more = "[routing]\nretry_min_rate = 0.0\nretry_budget_ratio = 0.2\nbreaker_failures = 1000\nbreaker_ratio = 1.0\n"
    async with ChaosUpstream([Send(failure(500))]) as a, ChaosUpstream([Send(failure(500))]) as b:
        async with served(a, b, more=more) as door:
            answers = await asyncio.gather(*[door.post(ASK) for _ in range(50)])
            assert {answer.status for answer in answers} <= {502, 503}
            assert 50 <= len(a.requests) + len(b.requests) <= 60
            assert json.loads(a.requests[0].body)["model"] == "m"
