"""Nothing delivered, nothing charged (I9), and nothing delivered for nothing (I10, S44): odd answers, early leavers."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.fakes.chaos import Close, Hang, Pause, Send, Step, chunk, head, whole
from tests.fakes.door import Answer, Door, eventually
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, completion, delta, event
from tests.gateway.test_disconnects import leave
from tests.gateway.test_money_on_the_wire import ASK, STREAM, credit, till

SSE = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
USED = {"prompt_tokens": 100, "completion_tokens": 0, "total_tokens": 100}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "status": "in_progress",
    "model": "m",
    "output": [],
    "usage": None,
}
ERROR = {"code": "server_error", "message": "down"}
FAILED = {**RESPONSE, "status": "failed", "error": ERROR}
NOTHING = Decimal(0)
QUESTION = {"model": "up/m", "input": "hi", "max_output_tokens": 16}


def told(kind: str, **fields: Any) -> bytes:
    """One event of the Responses API."""
    return f"event: {kind}\n".encode() + event({"type": kind, **fields})


def streamed(*parts: bytes) -> list[Step]:
    """A whole stream of these parts."""
    return [Send(SSE + b"".join(map(chunk, parts)) + b"0\r\n\r\n")]


def broken(*parts: bytes) -> list[Step]:
    """A stream that breaks off after these parts, which have arrived by then."""
    return [Send(SSE + b"".join(map(chunk, parts))), Pause(0.1), Close()]


def empty(reason: str | None) -> bytes:
    """A completion without a word."""
    choice = {"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": reason}
    return whole(json.dumps({"object": "chat.completion", "choices": [choice], "usage": USED}).encode())


async def spent(door: Door) -> Decimal:
    """What has been charged so far."""
    await eventually(lambda: door.idle)
    return 20 - Decimal((await credit(door))["balance_usd"])


async def left(door: Door, until: bytes) -> None:
    """Asks for a stream and leaves it once something has come."""
    reader, writer = await door.send("POST", "/v1/chat/completions", STREAM)
    await asyncio.wait_for(reader.readuntil(until), 10)
    leave(writer, reset=True)


@pytest.mark.parametrize(
    "given",
    [
        {"audio": {"id": "a", "data": "QUJD" * 20_000}},
        {"images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": "QUJD first this, then that"}]},
    ],
    ids=["sound", "image", "reasoning"],
)
async def test_what_is_given_beside_text_is_not_free_for_who_leaves(given: dict[str, Any]) -> None:
    """Sound, images and reasoning in members of their own count when the client leaves before the usage comes."""
    async with till([Send(SSE + chunk(ROLE) + chunk(delta(given))), Hang()]) as (door, _):
        await left(door, b"QUJD")
        assert await spent(door) > Decimal("0.00001")


async def test_usage_that_came_before_the_answer_is_not_the_answers() -> None:
    """A host that states one token at the start and is left before the end does not make the answer one token."""
    early = delta({"content": "a"}, usage={"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8})
    async with till([Send(SSE + chunk(early) + chunk(delta({"content": "word " * 200 + "last"}))), Hang()]) as (
        door,
        _,
    ):
        await left(door, b"last")
        assert await spent(door) > 49 * Decimal("0.000015")  # as much as was held


@pytest.mark.parametrize("reason", ["error", "", None])
async def test_an_empty_answer_without_a_reason_is_a_failure(reason: str | None) -> None:
    """Nothing said, and no finish reason but an error: a 502 that costs nothing, whatever usage it states."""
    async with till([Send(empty(reason))]) as (door, _):
        assert (await door.post(ASK)).error["code"] == "upstream_bad_response"
        assert await spent(door) == 0


async def test_an_empty_answer_with_a_reason_is_an_answer() -> None:
    """A model that has nothing to say, and says so, is paid for its prompt."""
    async with till([Send(empty("stop"))]) as (door, _):
        assert (await door.post(ASK)).status == 200
        assert await spent(door) == Decimal("0.0003")


async def test_a_stream_that_ends_in_an_error_has_failed() -> None:
    """The finish reason ``error`` before any content costs nothing; after it, what was delivered."""
    async with till(
        streamed(ROLE, delta({}, "error"), LAST_USAGE, DONE),
        streamed(ROLE, delta({"content": "half of it"}), delta({}, "error"), DONE),
    ) as (door, _):
        assert (await door.post(STREAM)).error["code"] == "upstream_interrupted"
        assert await spent(door) == 0
        answer = await door.post(STREAM)
        assert (answer.error["code"], answer.lines[-1] == b"[DONE]") == ("upstream_interrupted", False)
        assert await spent(door) > 0


async def responses(play: list[Step], **fields: Any) -> tuple[Answer, Decimal]:
    """What a response is answered, and what it cost."""
    async with till(play) as (door, _):
        return await door.post({**QUESTION, **fields}, "/v1/responses"), await spent(door)


async def test_a_response_that_failed_costs_nothing() -> None:
    """In JSON and as a stream the client is told of it as the host tells it."""
    answer, cost = await responses([Send(whole(json.dumps(FAILED).encode()))])
    assert (answer.json["error"], cost) == (ERROR, NOTHING)
    created, failed = told("response.created", response=RESPONSE), told("response.failed", response=FAILED)
    answer, cost = await responses(streamed(created, failed), stream=True)
    assert (b"event: response.failed" in answer.body, cost) == (True, NOTHING)


async def test_a_response_that_failed_after_a_while_costs_what_was_delivered() -> None:
    """Text that came before the failure was given, and is charged as an interrupted answer."""
    text = told("response.output_text.delta", delta="half of an answer")
    answer, cost = await responses(streamed(text, told("response.failed", response=FAILED)), stream=True)
    assert b"event: response.failed" in answer.body
    assert cost > 0


async def test_a_response_that_broke_off_before_its_first_word_costs_nothing() -> None:
    """That one has begun is no part of an answer."""
    _, cost = await responses(broken(told("response.created", response=RESPONSE)), stream=True)
    assert cost == 0


async def test_items_that_come_whole_are_charged_when_the_rest_is_lost() -> None:
    """A host that sends no deltas has delivered an item once it is done."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "all of it, at once"}]}
    _, cost = await responses(broken(told("response.output_item.done", item=item)), stream=True)
    assert cost > 0


async def test_a_response_that_begins_with_an_error_is_a_fault() -> None:
    """The Responses API's own error event, as the first, is answered with a status, and another host could be asked."""
    answer, cost = await responses(
        streamed(told("error", code="server_error", message="down", param=None)), stream=True
    )
    assert (answer.error["code"], cost) == ("upstream_unavailable", NOTHING)


@pytest.mark.parametrize("field", ["models", "fallbacks"])
async def test_a_client_cannot_have_another_gateway_take_another_model(field: str) -> None:
    """What would run a model that nobody here allowed or priced is refused, on every endpoint."""
    async with till([Send(completion())]) as (door, up):
        for path, body in (("/v1/chat/completions", ASK), ("/v1/responses", QUESTION)):
            refused = await door.post({**body, field: ["vendor/dearest"]}, path)
            assert (refused.status, refused.error["code"]) == (400, "unsupported_parameter")
        assert up.requests == []


@pytest.mark.parametrize("more", [{"service_tier": "priority"}, {"provider": {"order": ["dearest"]}}])
async def test_what_makes_tokens_dearer_needs_a_price(more: dict[str, Any]) -> None:
    """Where money binds, the same tokens at a higher price are refused; the usual tiers pass."""
    async with till([Send(completion())]) as (door, up):
        for path, body in (("/v1/chat/completions", ASK), ("/v1/responses", QUESTION)):
            assert (await door.post({**body, **more}, path)).error["code"] == "model_unpriced"
        assert up.requests == []
        assert (await door.post({**ASK, "service_tier": "flex"})).status == 200


async def test_a_key_that_is_revoked_while_its_body_comes_is_not_let_in() -> None:
    """I23: a request is judged by the tree of the moment at which it is admitted, not at which its head came."""
    async with till([Send(completion())]) as (door, up):
        body = json.dumps(ASK).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        lines = f"host: t\r\nauthorization: Bearer {door.key}\r\ncontent-length: {len(body)}\r\n"
        writer.write(f"POST /v1/chat/completions HTTP/1.1\r\n{lines}\r\n".encode() + body[:9])
        await eventually(lambda: door.app.server.busy == 1)
        books = door.app.parts.books
        key = next(node for node in books.office.directory.nodes.values() if node.name == "k")
        await books.office.act("ada", lambda desk: desk.revoke(key.id))
        writer.write(body[9:])
        assert b" 401 " in await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        assert up.requests == []
