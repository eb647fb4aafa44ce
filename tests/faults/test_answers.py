"""What one request costs when its host, its client's retries, or its key let it down (F32, F33, F76-F78, S44, S47)."""

import asyncio
import json
from typing import Any

import openai
import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Pause, Send, Step, chunk, chunked, whole
from tests.fakes.door import Door, eventually, opened
from tests.fakes.openai_wire import DONE, IDENTITY, LAST_USAGE, STOP, completion, delta, event, failure, stream, words
from tests.faults.kit import ASK, BILLED_NUSD, PATIENT, STREAM, delivered_nusd, judged, pays, priced, till
from tests.gateway.test_upstream_faults import SSE

WAITS = {
    "seconds": ("7", "7"),
    "a date that has passed": ("Wed, 21 Oct 2015 07:28:00 GMT", None),
    "negative": ("-5", None),
    "huge": ("1000000000", None),
    "absent": ("", None),
    "words": ("soon", None),
}


def limited(wait: str) -> bytes:
    """A host's 429 with a Retry-After, or without."""
    answer = failure(429, "slow down", "rate_limit_exceeded")
    return answer.replace(b"content-type", f"retry-after: {wait}\r\ncontent-type".encode(), 1) if wait else answer


@pytest.mark.parametrize("wait", WAITS)
async def test_f32_a_hosts_429_is_passed_on_sanely_and_costs_nothing(wait: str) -> None:
    """Whatever a host says of its wait, the client is told 429 with whole seconds or none, and pays nothing."""
    said, expected = WAITS[wait]
    async with till([Send(limited(said))]) as (door, _):
        answer = await door.post(ASK)
        assert answer.status == 429
        told = answer.headers.get("retry-after")
        assert told == expected or told is None or 0 <= int(told) <= 86_400
        assert [(hold.state, hold.charge) for hold in await judged(door)] == [("released", 0)]


@pytest.mark.parametrize("body", [ASK, STREAM], ids=["json", "stream"])
async def test_f33_a_429_and_then_an_answer_elsewhere_is_one_request_and_one_charge(body: dict[str, Any]) -> None:
    """The client sees the second host's answer; the receipt has one charge and both attempts."""
    good = completion() if body is ASK else chunked(*words("Hello"), STOP, LAST_USAGE, DONE)
    async with ChaosUpstream([Send(limited("60"))]) as full, ChaosUpstream([Send(good)]) as free:
        async with opened(priced(full, free)) as door:
            await pays(door)
            answer = await door.post({**body, "model": "both"})
            assert (answer.status, answer.headers["x-tollhouse-attempts"]) == (200, "2")
            (hold,) = await judged(door)
            assert (hold.charge, hold.target) == (BILLED_NUSD, "up1/m")
            receipt = (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
            assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["rate_limit_exceeded", "ok"]


def sdk(door: Door) -> openai.AsyncOpenAI:
    """OpenAI's client as it comes, with its two retries, but less patient: a stall is a third of a second."""
    url = f"http://127.0.0.1:{door.port}/v1"
    return openai.AsyncOpenAI(api_key=door.key, base_url=url, timeout=0.35)


@pytest.mark.parametrize(("headers", "most"), [({}, 3), ({"Idempotency-Key": "order-1"}, 1)], ids=["plain", "named"])
async def test_f76_the_sdks_own_retries_are_charged_as_documented(headers: dict[str, str], most: int) -> None:
    """A host that bills what it began stalls past the client's patience: without a name each retry is a request of its
    own, with one there is a single charge however often the SDK asks.
    """
    slow: list[Step] = [Pause(0.9), Send(completion())]
    async with till(slow, policy="drain") as (door, up):
        async with sdk(door) as client:
            asked = client.chat.completions.create(
                model="up/m", max_tokens=50, messages=[{"role": "user", "content": "hello"}], extra_headers=headers
            )
            try:
                answer = await asked
                assert answer.choices[0].message.content == "Hello there!"
            except (openai.APITimeoutError, openai.ConflictError):
                assert most == 3 or len(up.requests) == 1
        charges = [hold.charge for hold in await judged(door)]
        assert charges == [BILLED_NUSD] * most
        assert len(up.requests) == most


async def test_f77_a_key_revoked_in_mid_stream_is_served_to_the_end_and_never_again() -> None:
    """The stream that runs ends whole and is settled; the next request is 401 at once."""
    go = asyncio.Event()
    rest = chunk(delta({"content": "gun"}) + STOP + LAST_USAGE + DONE) + b"0\r\n\r\n"
    play: list[Step] = [Send(SSE + chunk(delta({"content": "be"}))), Await(go), Send(rest)]
    async with ChaosUpstream(play) as up, opened(priced(up)) as door:
        key_id = await pays(door)
        running = asyncio.create_task(door.post(STREAM))
        await up.arrived()
        await door.app.parts.books.office.act("ada", lambda desk: desk.revoke(key_id))
        refused = await door.post(ASK)
        assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
        go.set()
        answer = await running
        assert (answer.text, answer.lines[-1]) == ("begun", b"[DONE]")
        assert [(hold.state, hold.charge) for hold in await judged(door)] == [("settled", BILLED_NUSD)]
        assert len(up.requests) == 1


async def test_f78_five_hundred_at_once_on_one_dollar_spend_at_most_that() -> None:
    """Each may cost some three cents: as many are admitted as the dollar covers, the others are 402 that say what was
    needed and what there is, and reach no host.
    """
    more = f"[server]\nmax_in_flight = 1000\n{PATIENT}"
    async with ChaosUpstream([Pause(0.05), Send(completion())]) as up:
        text = priced(up, more=more).replace("output_usd_per_1m = 15", "output_usd_per_1m = 600")
        async with opened(text) as door:
            await pays(door, 10**9)
            answers = await asyncio.gather(*[door.post(ASK) for _ in range(500)])
            refused = [answer for answer in answers if answer.status == 402]
            served = [answer for answer in answers if answer.status == 200]
            assert len(served) + len(refused) == 500
            assert {answer.error["code"] for answer in refused} == {"insufficient_balance"}
            assert all("needed" in answer.error["message"] or "$" in answer.error["message"] for answer in refused)
            holds = await judged(door)
            assert len(holds) == len(served) == len(up.requests)
            spent = sum(hold.charge for hold in holds)
            assert 0 < spent <= 10**9
            assert spent == len(served) * (7 * 3_000 + 3 * 600_000)
            assert len(served) * max(hold.amount for hold in holds) >= 10**9 - max(hold.amount for hold in holds)


LIES: dict[str, Any] = {
    "more than the hold": {"prompt_tokens": 7, "completion_tokens": 10**9, "total_tokens": 10**9 + 7},
    "negative": {"prompt_tokens": -7, "completion_tokens": -3, "total_tokens": -10},
    "a float": {"prompt_tokens": 7.5, "completion_tokens": 3.5, "total_tokens": 11.0},
    "words": {"prompt_tokens": "7", "completion_tokens": "3", "total_tokens": "10"},
    "beyond all integers": {"prompt_tokens": 10**30, "completion_tokens": 10**30, "total_tokens": 10**31},
    "no object": "seven",
    "nothing": None,
}


@pytest.mark.parametrize("lie", LIES)
async def test_s47_a_hosts_word_is_not_believed_beyond_the_hold(lie: str) -> None:
    """Usage that is no sane count is replaced by the estimate, and no usage charges more than what was held."""
    usage = LIES[lie]
    play = [Send(chunked(*words("Hello"), STOP, event({**IDENTITY, "choices": [], "usage": usage}), DONE))]
    flat = json.dumps({**json.loads(completion().partition(b"\r\n\r\n")[2]), "usage": usage}).encode()
    async with till(play, [Send(whole(flat))]) as (door, _):
        assert (await door.post(STREAM)).lines[-1] == b"[DONE]"
        assert (await door.post(ASK)).status in {200, 502}
        holds = await judged(door)
        assert all(hold.charge <= hold.amount for hold in holds)
        stream = holds[0]
        assert stream.charge == (stream.amount if lie == "more than the hold" else delivered_nusd("Hello"))


async def test_s44_a_thousand_ways_of_leaving_early_are_never_free_and_never_double() -> None:
    """A client that always leaves after the first word has paid for each word it got: the sum is exact."""
    async with till([Send(SSE + chunk(delta({"content": "word"}))), Pause(10)]) as (door, up):
        for _ in range(2):
            streams = [await door.send("POST", "/v1/chat/completions", STREAM) for _ in range(40)]
            await asyncio.gather(*[reader.readuntil(b"word") for reader, _ in streams])
            for _, writer in streams:
                writer.transport.abort()
            await eventually(lambda: door.idle)
        charges = [hold.charge for hold in await judged(door)]
        assert charges == [delivered_nusd("word")] * 80
        assert len(up.requests) == 80


async def test_i12_what_a_failed_attempt_cost_is_entered_as_the_operators() -> None:
    """A host that counts tokens and then fails has been paid for by the operator, not by the client."""
    counted = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    told = event({"choices": [], "usage": counted}) + event({"error": {"message": "no", "type": "server_error"}})
    async with ChaosUpstream([Send(chunked(told))]) as bad, ChaosUpstream([Send(stream("hi"))]) as good:
        async with opened(priced(bad, good)) as door:
            await pays(door)
            answer = await door.post({**ASK, "model": "both", "stream": True})
            assert answer.text == "hi"
            await judged(door)
            query = (
                "SELECT account.name, entry.amount FROM entry"
                " JOIN account ON account.id = entry.account WHERE kind = 'cost' ORDER BY account.name"
            )
            found = door.app.parts.books.store.read_now(lambda db: db.execute(query).fetchall())
            assert found == [("provider:up:cost", 450_000), ("sys:absorbed", -450_000)]
