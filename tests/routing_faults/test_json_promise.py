"""JSON that is asked for is JSON that comes: asked again with instructions, taken out of words, or a clear error."""

import json
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.openai_wire import USAGE, completion, stream
from tests.routing_faults.kit import (
    AGAIN,
    ASK,
    BILLED_NUSD,
    QUICK,
    STREAM,
    judged,
    outcomes,
    said,
    served,
    settled,
    view,
)

SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
FORM = {"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA}}
GOOD = '{"age": 7}'
NONE = 'quirks = { schema = "none" }'
ONLY_OBJECTS = 'quirks = { schema = "object" }'


def asking(body: dict[str, Any], form: dict[str, Any] | None = None) -> dict[str, Any]:
    """The request with a form."""
    return {**body, "response_format": form or FORM}


def cut_short(text: str) -> bytes:
    """A whole answer that reached its cap."""
    message = {"role": "assistant", "content": text, "refusal": None}
    return completion(choices=[{"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}])


BAD = ["no", '{"age": "seven"}', "[]", '{"age": 7', "", "{}", '{"age": NaN}']


@pytest.mark.parametrize("text", [text for text in BAD if text])
async def test_invalid_json_is_asked_for_again_with_instructions(text: str) -> None:
    """The only target is told the schema the second time, and that answer counts; one charge, both are recorded."""
    async with ChaosUpstream([Send(completion(text))], [Send(completion(GOOD))]) as up:
        async with served(up, more=QUICK + AGAIN) as door:
            answer = await door.post(asking(ASK))
            assert (answer.status, said(answer)) == (200, GOOD)
            first, second = [json.loads(request.body) for request in up.requests]
            assert first["response_format"] == FORM
            assert first["messages"] == ASK["messages"]
            assert json.dumps(SCHEMA) in second["messages"][0]["content"]
            receipt = await settled(door, answer)
            assert outcomes(receipt) == [("up0", "upstream_bad_json"), ("up0", "ok")]
            assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]


async def test_another_route_is_asked_before_the_same_again() -> None:
    """The second route may simply do it right; it is asked as it would be, without instructions."""
    async with ChaosUpstream([Send(completion("no"))]) as a, ChaosUpstream([Send(completion(GOOD))]) as b:
        async with served(a, b) as door:
            answer = await door.post(asking(ASK))
            assert (said(answer), answer.headers["x-tollhouse-target"]) == (GOOD, "up1/m")
            assert json.loads(b.requests[0].body)["response_format"] == FORM


async def test_never_valid_is_a_clear_502_that_costs_the_client_nothing() -> None:
    """After as many tries as there are the client is told what was wrong, and pays nothing."""
    async with ChaosUpstream([Send(completion("no"))]) as up, served(up, more=QUICK + AGAIN) as door:
        answer = await door.post(asking(ASK))
        assert (answer.status, answer.error["code"]) == (502, "upstream_bad_json")
        assert "not valid JSON" in answer.error["message"]
        assert len(up.requests) == 2
        assert [(hold.state, hold.charge) for hold in await judged(door)] == [("released", 0)]


@pytest.mark.parametrize("host", ["", NONE], ids=["enforced", "told"])
async def test_json_that_did_not_fit_is_400_json_incomplete(host: str) -> None:
    """A cap that is too small is the client's to raise: nobody is asked again."""
    async with ChaosUpstream([Send(cut_short('{"age": '))]) as a, ChaosUpstream([Send(completion(GOOD))]) as b:
        async with served(a, b, hosts=[host], more=QUICK + AGAIN) as door:
            answer = await door.post(asking(ASK))
            assert (answer.status, answer.error["code"]) == (400, "json_incomplete")
            assert answer.error["param"] == "max_completion_tokens"
            assert (len(a.requests), len(b.requests)) == (1, 0)


async def test_a_client_that_asks_for_what_no_model_says_harms_nobody() -> None:
    """However many answers are not the JSON of one client, no circuit opens, and others are served."""
    async with ChaosUpstream([Send(completion("no"))]) as up, served(up) as door:
        for _ in range(8):
            assert (await door.post(asking(ASK))).error["code"] == "upstream_bad_json"
        assert (view(door, "up0").state, view(door, "up0").ejected) == ("closed", False)
        assert (await door.post(ASK)).status == 200


@pytest.mark.parametrize(
    "text", [f"Sure!\n```json\n{GOOD}\n```\nBye", f"Here: {GOOD}.", f"<think>{{}}</think>{GOOD}", GOOD]
)
@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_host_that_enforces_nothing_is_told_and_the_json_taken_out(text: str, *, streamed: bool) -> None:
    """The schema stands in the system message, no response_format is sent, and the loss is reported."""
    async with ChaosUpstream([Send(completion(text))]) as up, served(up, hosts=[NONE]) as door:
        answer = await door.post(asking(STREAM if streamed else ASK))
        assert said(answer) == GOOD
        assert answer.headers["x-tollhouse-fidelity"] == "response_format=emulated"
        sent = json.loads(up.requests[0].body)
        assert "response_format" not in sent
        assert "stream" not in sent
        assert sent["messages"][0]["role"] == "system"
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]


async def test_a_host_that_enforces_objects_is_asked_for_one() -> None:
    """``json_object`` is passed on as it is; a schema becomes ``json_object`` and instructions."""
    async with ChaosUpstream([Send(completion(GOOD))]) as up, served(up, hosts=[ONLY_OBJECTS]) as door:
        assert said(await door.post(asking(ASK))) == GOOD
        assert said(await door.post(asking(ASK, {"type": "json_object"}))) == GOOD
        first, second = [json.loads(request.body) for request in up.requests]
        assert first["response_format"] == second["response_format"] == {"type": "json_object"}
        assert (len(first["messages"]), len(second["messages"])) == (2, 1)


@pytest.mark.parametrize("parts", [("no",), ('{"age": ', '"seven"}'), ('{"age"', ": 7")])
async def test_a_stream_whose_json_is_wrong_ends_with_an_error_event(parts: tuple[str, ...]) -> None:
    """What a host that enforces schemas streamed cannot be taken back: the end says that it is not what was asked."""
    async with ChaosUpstream([Send(stream(*parts))]) as up, served(up) as door:
        answer = await door.post(asking(STREAM))
        assert answer.status == 200
        assert answer.text == "".join(parts)
        assert answer.error["code"] == "upstream_bad_json"
        assert b"[DONE]" not in answer.body
        assert [hold.state for hold in await judged(door)] == ["settled"]


async def test_a_stream_whose_json_is_right_ends_as_any() -> None:
    """The check costs the client nothing: the pieces come as they are."""
    async with ChaosUpstream([Send(stream('{"age"', ": 7}"))]) as up, served(up) as door:
        answer = await door.post(asking(STREAM))
        assert answer.text == GOOD
        assert answer.lines[-1] == b"[DONE]"
        assert [hold.charge for hold in await judged(door)] == [BILLED_NUSD]


async def test_a_told_host_that_streams_nothing_right_falls_back_before_a_byte() -> None:
    """Where the answer is checked before it is streamed, the second route's is the only one seen."""
    async with ChaosUpstream([Send(completion("no"))]) as a, ChaosUpstream([Send(stream(GOOD))]) as b:
        async with served(a, b, hosts=[NONE]) as door:
            answer = await door.post(asking(STREAM))
            assert answer.text == GOOD
            assert answer.lines[-1] == b"[DONE]"
            receipt = await settled(door, answer)
            assert outcomes(receipt) == [("up0", "upstream_bad_json"), ("up1", "ok")]
            assert receipt["tokens"]["output"] == USAGE["completion_tokens"]
