"""Money as a client meets it: through the whole gateway, over sockets, with an upstream that has a price."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from tests.fakes.chaos import Await, ChaosUpstream, Close, Send, Step, chunked, head
from tests.fakes.door import HELLO, Answer, Door, eventually, opened
from tests.fakes.openai_wire import completion, stream, words
from tests.gateway.test_stripe import SECRET, SESSION, sign

ASK = {"model": "up/m", **HELLO, "max_tokens": 50}
STREAM = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
COST = "0.000066"
"""Seven tokens at $3 and three at $15 for a million."""


def settings(up: ChaosUpstream) -> str:
    """One host, with a price."""
    return (
        f'[billing]\nstripe_webhook_secret = "{SECRET}"\n'
        f'[providers.up]\nbase_url = "http://127.0.0.1:{up.port}/v1"\napi_key = "sk-x"\n'
        '[providers.up.models."m"]\ninput_usd_per_1m = 3\noutput_usd_per_1m = 15\ncontext_tokens = 1000\n'
    )


@asynccontextmanager
async def till(*plays: list[Step]) -> AsyncIterator[tuple[Door, ChaosUpstream]]:
    """A gateway whose client has paid $20 by webhook."""
    async with ChaosUpstream(*plays) as up, opened(settings(up)) as door:
        books = door.app.parts.books
        org = await books.office.act("ada", lambda desk: desk.create_org({"name": "Acme"}))
        key = await books.office.act("ada", lambda desk: desk.create_key(org.node.id, {"name": "k"}))
        door.key = key.text.reveal()
        paid = await pay(door, org.node.id)
        assert paid.json == {"received": True, "outcome": "credited"}
        yield door, up


async def pay(door: Door, org: str) -> Answer:
    """Stripe tells of $20 for an organisation."""
    session = {**SESSION, "client_reference_id": org}
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": session}}
    body = json.dumps(event).encode()
    now_s = int(time.time())
    return await door.post(
        body, "/webhooks/stripe", authorization="", stripe_signature=f"t={now_s},v1={sign(body, now_s)}"
    )


async def credit(door: Door) -> dict[str, Any]:
    """GET /v1/credits."""
    page: dict[str, Any] = (await door.get("/v1/credits")).json
    return page


async def test_every_place_states_the_same_cost() -> None:
    """Header, usage, receipt, day and balance agree to the nano-dollar, and a stream costs what the same answer costs
    unstreamed (A1, A21).
    """
    async with till([Send(completion())], [Send(stream("Hello", " there!"))]) as (door, _):
        whole, streamed = await door.post(ASK), await door.post(STREAM)
        assert whole.headers["x-tollhouse-cost"] == COST
        assert b'"cost":' + COST.encode() in whole.body
        assert b'"cost":' + COST.encode() in streamed.body
        assert "x-tollhouse-cost" not in streamed.headers
        for answer in (whole, streamed):
            receipt = (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
            assert (receipt["cost_usd"], receipt["estimated"]) == (COST, False)
        day = (await door.get("/v1/usage")).json["totals"]
        page = await credit(door)
        spent = 2 * Decimal(COST)
        assert Decimal(day["cost_usd"]) == spent
        assert Decimal(page["balance_usd"]) == 20 - spent
        assert page["held_usd"] == "0.00"


async def test_replies_tell_what_is_left() -> None:
    """JSON and stream carry what is left after their own charge; the stream on the chunk with its finish reason."""
    async with till([Send(completion())], [Send(stream("Hello"))]) as (door, _):
        whole = await door.post(ASK)
        assert b'"_remaining_credits":1999.9934,"_balance_warning":false' in whole.body
        streamed = await door.post(STREAM)
        (noted,) = [event for event in streamed.events if "_remaining_credits" in event]
        assert noted["choices"][0]["finish_reason"] == "stop"
        assert noted["_remaining_credits"] == 1999.9868


async def test_duplicates_run_once() -> None:
    """Of fifty requests of one name, sent at once while the host is slow, one reaches the host and is charged; the
    others are told to wait, and then get the same bytes (F74, F75).
    """
    slow = asyncio.Event()
    async with till([Await(slow), Send(completion())]) as (door, up):
        asked = [asyncio.ensure_future(door.post(ASK, idempotency_key="order-1")) for _ in range(50)]
        await eventually(lambda: sum(task.done() for task in asked) == 49, within_s=10)
        refused = [task.result() for task in asked if task.done()]
        slow.set()
        answers = await asyncio.gather(*asked)
        assert {(one.status, one.error["code"]) for one in refused} == {(409, "idempotency_in_progress")}
        assert {one.headers["retry-after"] for one in refused} == {"1"}
        (first,) = [one for one in answers if one.status == 200]
        again = await door.post(ASK, idempotency_key="order-1")
        assert (again.body, again.headers["idempotent-replayed"]) == (first.body, "true")
        assert again.headers["x-tollhouse-original-request-id"] == first.headers["x-request-id"]
        other = await door.post({**ASK, "n": 2}, idempotency_key="order-1")
        assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
        assert len(up.requests) == 1
        assert Decimal((await credit(door))["balance_usd"]) == 20 - Decimal(COST)


async def test_a_stream_is_replayed_byte_for_byte() -> None:
    """A stream that is asked for again comes as the same bytes, with a stream's headers."""
    async with till([Send(stream("Hello", " there!"))]) as (door, up):
        first = await door.post(STREAM, idempotency_key="s")
        again = await door.post(STREAM, idempotency_key="s")
        assert again.body == first.body
        assert again.headers["content-type"] == first.headers["content-type"]
        assert again.lines[-1] == b"[DONE]"
        assert len(up.requests) == 1


async def test_a_failure_is_not_kept() -> None:
    """A failure that cost nothing, and a refusal, leave their name free: the retry runs."""
    broken: list[Step] = [Send(head(500, "content-length: 0")), Close()]
    async with till(broken, [Send(completion())]) as (door, up):
        assert (await door.post(ASK, idempotency_key="f")).status >= 500
        assert (await door.post({**ASK, "model": "gpt-99"}, idempotency_key="f")).status == 404
        retried = await door.post(ASK, idempotency_key="f")
        assert (retried.status, "idempotent-replayed" in retried.headers) == (200, False)
        assert len(up.requests) == 2


async def test_an_answer_that_broke_off_never_runs_again() -> None:
    """A stream that broke off and was charged is a 409 that names it; the host is not asked again."""
    whole = chunked(*words("Hello", " there"))
    async with till([Send(whole[: whole.rindex(b"0\r\n\r\n")]), Close()]) as (door, up):
        first = await door.post(STREAM, idempotency_key="b")
        assert first.error["code"] == "upstream_interrupted"
        again = await door.post(STREAM, idempotency_key="b")
        assert (again.status, again.error["code"]) == (409, "idempotency_interrupted")
        assert first.headers["x-request-id"] in again.error["message"]
        receipt = (await door.get(f"/v1/usage/{first.headers['x-request-id']}")).json
        assert receipt["interrupted"] is True
        assert Decimal(receipt["cost_usd"]) > 0
        assert len(up.requests) == 1


async def test_a_quote_is_kept() -> None:
    """What is quoted is what is held, and no answer costs more; the quote itself reaches no host."""
    async with till([Send(completion())]) as (door, up):
        quote = (await door.post(ASK, "/v1/quote")).json
        assert up.requests == []
        answer = await door.post(ASK)
        receipt = (await door.get(f"/v1/usage/{answer.headers['x-request-id']}")).json
        assert receipt["held_usd"] == quote["highest_usd"]
        assert Decimal(quote["lowest_usd"]) <= Decimal(receipt["cost_usd"]) <= Decimal(quote["highest_usd"])
        assert json.loads(up.requests[0].body) == quote["targets"][0]["upstream_body"]


async def test_a_request_may_cap_its_own_cost() -> None:
    """With X-Max-Cost-Usd a request that may cost more is a 402 that reaches no host; one that may not is served."""
    async with till([Send(completion())]) as (door, up):
        highest = (await door.post(ASK, "/v1/quote")).json["highest_usd"]
        refused = await door.post(ASK, x_max_cost_usd="0.000001")
        assert (refused.status, refused.error["code"]) == (402, "max_cost_exceeded")
        assert highest in refused.error["message"]
        assert up.requests == []
        assert (await door.post(ASK, x_max_cost_usd=highest)).status == 200


async def test_a_replayed_payment_is_credited_once() -> None:
    """The same signed event, sent ten times over the wire, is one credit; a changed one is refused."""
    async with till([Send(completion())]) as (door, _):
        org = (await credit(door))["organisation"]
        outcomes = [(await pay(door, org)).json["outcome"] for _ in range(10)]
        assert set(outcomes) == {"known"}
        forged = await door.post(b"{}", "/webhooks/stripe", stripe_signature=f"t={int(time.time())},v1=00")
        assert (forged.status, forged.error["code"]) == (400, "invalid_signature")
        assert (await credit(door))["balance_usd"] == "20.00"


async def test_without_a_secret_there_is_no_webhook() -> None:
    """Where no secret is set the endpoint does not exist, and the log says so at start (S41)."""
    async with opened() as door:
        assert (await door.post({}, "/webhooks/stripe", authorization="")).status == 404
        await eventually(lambda: b"stripe_webhook_secret is empty" in door.log.getvalue())
