"""Limits on the whole path: what a client is told, and what does and does not count."""

import asyncio

from tests.fakes.chaos import Await, ChaosUpstream, Send
from tests.fakes.door import Door, eventually, opened
from tests.fakes.openai_wire import completion, failure, stream
from tests.gateway.kit import ASK, STREAM, hosts

TIER = '[limits]\ndefault_tier = "free"\n[tiers.free]\n'
PRICED = "input_usd_per_1m = 1.0\noutput_usd_per_1m = 1.0\n"
SHORT = {**ASK, "max_tokens": 50}


def slots(door: Door) -> int:
    """How many requests hold a slot."""
    return door.app.limits.slots


async def test_the_headers_tell_what_is_left_after_this_request() -> None:
    """Each answer counts down, with its tokens as they were used; a stream tells what is reserved (B6)."""
    more = TIER + "requests_per_minute = 3\ntokens_per_minute = 1000\n"
    async with ChaosUpstream([Send(completion())], [Send(stream("a", "b"))]) as up:
        async with opened(hosts(up, more=more)) as door:
            first = (await door.post(SHORT)).headers
            assert (first["x-ratelimit-limit-requests"], first["x-ratelimit-remaining-requests"]) == ("3", "2")
            assert (first["x-ratelimit-limit-tokens"], first["x-ratelimit-remaining-tokens"]) == ("1000", "990")
            second = await door.post({**STREAM, "max_tokens": 50})
            assert second.headers["x-ratelimit-remaining-requests"] == "1"
            assert int(second.headers["x-ratelimit-remaining-tokens"]) < 990 - 50
            third = await door.post({**ASK, "model": "nope"})
            assert (third.status, third.headers["x-ratelimit-remaining-requests"]) == (404, "0")
            assert third.headers["x-ratelimit-remaining-tokens"] == "980"
            fourth = await door.post(SHORT)
            assert (fourth.status, fourth.error["type"], fourth.error["code"]) == (
                429,
                "requests",
                "rate_limit_exceeded",
            )
            assert 58 <= int(fourth.headers["retry-after"]) <= 60
            assert len(up.requests) == 2
            assert door.count("tollhouse_rate_limited", "free", "requests") == 1


async def test_what_fails_upstream_uses_no_tokens() -> None:
    """A request of which nothing was delivered gives its tokens back, and counts as a request."""
    more = TIER + "requests_per_minute = 10\ntokens_per_minute = 1000\n"
    async with ChaosUpstream([Send(failure(500))]) as up:
        async with opened(hosts(up, more=more)) as door:
            for path in ("/v1/chat/completions", "/v1/embeddings"):
                answer = await door.post({**SHORT, "input": "x"} if "emb" in path else SHORT, path)
                assert answer.status in {502, 503}
            last = await door.post({**ASK, "model": "nope"})
            assert last.headers["x-ratelimit-remaining-tokens"] == "1000"
            assert last.headers["x-ratelimit-remaining-requests"] == "7"


async def test_a_slot_is_held_while_it_is_used_and_no_longer() -> None:
    """With two slots the third request at once is refused, and one right after an answer is served (B2, B3)."""
    go = asyncio.Event()
    more = TIER + "concurrent = 2\n[timeouts]\nfirst_byte_s = 20.0\n"
    async with ChaosUpstream([Await(go), Send(completion())]) as up:
        async with opened(hosts(up, more=more)) as door:
            running = [asyncio.create_task(door.post(ASK)) for _ in range(2)]
            await up.arrived(2)
            refused = await door.post(ASK)
            assert (refused.status, refused.error["type"], refused.headers["retry-after"]) == (429, "concurrency", "1")
            go.set()
            assert [answer.status for answer in await asyncio.gather(*running)] == [200, 200]
            for body in (ASK, b"{", {**ASK, "model": "nope"}, ASK, ASK):
                assert (await door.post(body)).status in {200, 400, 404}
            await eventually(lambda: slots(door) == 0)


async def test_a_refusal_for_money_counts_for_nothing() -> None:
    """Who cannot pay is refused with 402, and neither a request nor a token of the limits is gone (B4)."""
    more = TIER + "requests_per_minute = 5\ntokens_per_minute = 1000\n"
    text = hosts(1, more=more) + f'[providers.up0.models."m"]\n{PRICED}'
    text = text.replace('models = ["m"]\n', "")
    async with opened(text) as door:
        office, books = door.app.parts.books.office, door.app.parts.books
        key = next(node for node in office.directory.nodes.values() if node.name == "test")
        await office.act("t", lambda desk: desk.change(key.id, {"budget": {"limit_nusd": 1}}))
        await books.ledger.adopt(office.directory.nodes)
        for _ in range(3):
            answer = await door.post(SHORT)
            assert answer.status == 402
            assert answer.headers["x-ratelimit-remaining-requests"] == "5"
            assert answer.headers["x-ratelimit-remaining-tokens"] == "1000"


async def test_a_reload_changes_the_limits() -> None:
    """A tier that is changed in the file binds what comes next, and what was used stays used."""
    text = hosts(1, more=TIER + "requests_per_minute = 9\n")
    async with opened(text) as door:
        await door.post(ASK)
        door.config_file.write_text(door.config_file.read_text().replace("minute = 9", "minute = 2"))
        await door.app.parts.reloader.reload()
        await door.app._sweep()
        answer = await door.post(ASK)
        assert answer.headers["x-ratelimit-limit-requests"] == "2"
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert (await door.post(ASK)).status == 429
