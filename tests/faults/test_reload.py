"""Prices and tiers that change, or are wrong, while paid requests run (F110-F112)."""

import asyncio

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Pause, Send, Step, chunk
from tests.fakes.door import QUIET, Door, opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, STOP, completion, delta
from tests.faults.kit import ASK, BILLED_NUSD, INPUT_NUSD, STREAM, judged, pays, priced
from tests.gateway.test_upstream_faults import SSE

TIER = "[tiers.small]\nrequests_per_minute = 5\n"
DEARER_NUSD = 7 * INPUT_NUSD + 3 * 30_000


async def reload(door: Door, text: str) -> str:
    """Other settings, read now; how that ended."""
    door.config_file.write_text(f"{text}\n{QUIET}")
    await door.app.parts.reloader.reload()
    return str(door.app.parts.reloader.report()["last_reload"]["result"])


WRONG = {
    "a negative price": ("output_usd_per_1m = 15", "output_usd_per_1m = -15"),
    "a price that is no number": ("output_usd_per_1m = 15", 'output_usd_per_1m = "dear"'),
    "a price that is infinite": ("output_usd_per_1m = 15", "output_usd_per_1m = inf"),
    "a price too fine": ("output_usd_per_1m = 15", "output_usd_per_1m = 0.0000001"),
    "a price out of all bounds": ("output_usd_per_1m = 15", "output_usd_per_1m = 1e12"),
    "an unknown key of a price": ("output_usd_per_1m = 15", "output_usd_per_1m = 15\noutput_euro_per_1m = 1"),
    "a tier with a negative limit": ("requests_per_minute = 5", "requests_per_minute = -5"),
    "a tier with an unknown limit": ("requests_per_minute = 5", "requests_per_fortnight = 5"),
    "a tier that is no table": (TIER, "tiers = 3\n"),
    "a secret that is missing": ('api_key = "sk-x"', 'api_key = "env:NOT_SET_ANYWHERE"'),
    "half a file": ("context_tokens = 1000", "context_tok"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_f110_wrong_prices_and_tiers_change_nothing(wrong: str) -> None:
    """The old price is charged and the old tier in force for every request; one line of the log says what is wrong."""
    async with ChaosUpstream([Send(completion())]) as up:
        good = TIER + priced(up)
        bad = good.replace(*WRONG[wrong])
        assert bad != good
        async with opened(good) as door:
            await pays(door)
            before = door.app.parts.live.snapshot
            assert await reload(door, bad) == "invalid"
            assert door.app.parts.live.snapshot is before
            assert (await door.post(ASK)).status == 200
            assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]
            assert door.app.parts.reloader.report()["last_reload"]["problems"]
            assert await reload(door, good) == "ok"


@pytest.mark.parametrize("half", ["input_usd_per_1m = 3\n", "output_usd_per_1m = 15\n"])
async def test_f110_half_a_price_is_no_price_and_never_0(half: str) -> None:
    """A model of which the file prices the prompt or the answer alone is refused, also on a host of this machine."""
    async with ChaosUpstream([Send(completion())]) as up, opened(priced(up)) as door:
        await pays(door)
        assert await reload(door, priced(up).replace(half, "")) == "ok"
        answer = await door.post(ASK)
        assert (answer.status, answer.error["code"]) == (403, "model_unpriced")
        assert up.requests == []
        assert await reload(door, priced(up)) == "ok"
        assert (await door.post(ASK)).status == 200


async def test_f112_a_price_that_changes_in_mid_stream_is_the_next_requests() -> None:
    """A stream is charged by the version it was reserved with, though the file and the admin have set others since; the
    next request by the new one; the ledger knows both versions.
    """
    go = asyncio.Event()
    begun = Send(SSE + chunk(delta({"content": "be"})))
    ended = Send(chunk(delta({"content": "gun"}) + STOP + LAST_USAGE + DONE) + b"0\r\n\r\n")
    async with ChaosUpstream([begun, Await(go), ended], [Send(completion())]) as up, opened(priced(up)) as door:
        await pays(door)
        running = asyncio.create_task(door.post(STREAM))
        await up.arrived()
        assert await reload(door, priced(up, output_usd=30)) == "ok"
        dearer = await door.post(ASK)
        go.set()
        assert (await running).text == "begun"
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD, DEARER_NUSD]
        receipt = (await door.get(f"/v1/usage/{dearer.headers['x-request-id']}")).json
        assert receipt["cost_usd"] == "0.000111"
        assert door.app.parts.books.store.read_now(
            lambda db: next(db.execute("SELECT count(DISTINCT price) FROM hold"))[0] == 2
        )


async def test_f111_two_hundred_reloads_of_prices_under_load_charge_one_of_the_two() -> None:
    """While the price goes up and down, and is wrong now and then, no request fails, and each is charged by one version
    or the other: the sums of requests and charges agree.
    """
    play: list[Step] = [Pause(0.002), Send(completion())]
    async with ChaosUpstream(play) as up:
        cheap, dear = priced(up), priced(up, output_usd=30)
        texts = [cheap, dear, cheap.replace("= 15", "= -15")]
        async with opened(cheap) as door:
            await pays(door)
            stop = asyncio.Event()
            statuses: list[int] = []

            async def client() -> None:
                while not stop.is_set():
                    statuses.append((await door.post(ASK)).status)

            clients = [asyncio.create_task(client()) for _ in range(4)]
            results = [await reload(door, texts[number % 3]) for number in range(200)]
            stop.set()
            await asyncio.gather(*clients)
            assert results.count("invalid") == 66
            assert set(statuses) == {200}
            charges = [hold.charge for hold in await judged(door)]
            assert len(charges) == len(statuses)
            assert set(charges) == {BILLED_NUSD, DEARER_NUSD}
