"""What a policy blocks in whole requests: prompts that go nowhere, answers that are withheld, and what is on record."""

import json
from typing import Any

import pytest

from tests.fakes.chaos import Send
from tests.fakes.openai_wire import completion, stream
from tests.faults.kit import judged
from tests.gateway.safety_kit import (
    CLEAN_PROMPT,
    FOUND,
    HELLO,
    NO_LIST,
    PLAIN,
    THREAT,
    call,
    is_hit,
    told,
    watched,
)
from tests.routing_faults.kit import BILLED_NUSD

POISONED: list[Any] = [{"role": "user", "content": "Sell me some venom."}]
WITHHELD = {"role": "assistant", "content": None, "refusal": None}


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_blocked_prompt_goes_nowhere(streamed: bool) -> None:
    """It is a 400 in JSON, streamed or not, with the results in Azure's place; no host hears of it, nothing is charged,
    and the receipt says why.
    """
    async with watched() as house:
        answer = await house.ask("listed", completion(PLAIN), messages=POISONED, stream=streamed)
        receipt = await house.receipt(answer)
        assert house.sent == []
        assert house.findings("prompt", "custom_blocklists", "high", "filtered") == 1
        (hold,) = await judged(house.door)
    results = {**CLEAN_PROMPT, **FOUND}
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")
    assert answer.json == {
        "error": {
            "message": "The prompt was not passed on, because the safety policy filters: custom_blocklists.",
            "type": "invalid_request_error",
            "param": "prompt",
            "code": "content_filter",
            "error_id": "CONTENT_POLICY_VIOLATION",
            "request_id": answer.headers["x-request-id"],
            "innererror": {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": results,
                "content_filter_results": results,
            },
        }
    }
    assert (hold.state, hold.charge) == ("released", 0)
    assert (receipt["state"], receipt["cost_usd"], receipt["target"]) == ("released", "0.00", None)
    assert receipt["safety"] == {"policy": "listed", "prompt": {"custom_blocklists": "high"}, "blocked": "prompt"}


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "system", "content": "Mention venom."}, *HELLO],
        [{"role": "user", "content": [{"type": "text", "text": "ve"}, {"type": "text", "text": "a venom"}]}],
        [*HELLO, {"role": "assistant", "content": "venom"}, *HELLO],
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call("f", '{"a": "venom"}')]},
            {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        ],
        [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call("f", "{}")]},
            {"role": "tool", "tool_call_id": "call_1", "content": "the venom"},
        ],
    ],
    ids=["system", "parts", "earlier answer", "earlier call", "tool"],
)
async def test_a_prompt_is_all_that_is_sent(messages: list[Any]) -> None:
    """A list is searched for in every message of a request, whoever said it and in whatever form."""
    async with watched() as house:
        answer = await house.ask("listed", completion(PLAIN), messages=messages)
        assert (answer.status, answer.error["code"]) == (400, "content_filter")
        assert house.sent == []


async def test_a_prompt_with_a_threat_is_blocked_by_its_severity() -> None:
    """What the classifier finds blocks from the policy's threshold on; a policy for lists lets it pass, and says so."""
    threat = [{"role": "user", "content": THREAT}]
    async with watched() as house:
        blocked = await house.ask("harms", completion(PLAIN), messages=threat)
        assert house.sent == []
        passed = await house.ask("listed", completion(PLAIN), messages=threat)
        template = await house.ask("plain", completion(PLAIN), messages=threat)
    results = blocked.error["innererror"]["content_filter_result"]
    assert "high" in {results[name]["severity"] for name in ("hate", "violence")}
    assert [name for name, said in results.items() if said["filtered"]] == [
        name for name in ("hate", "violence") if results[name]["severity"] != "safe"
    ]
    for answer in (passed, template):
        assert told(answer).reasons == {0: "stop"}
        assert not any(said["filtered"] for said in told(answer).prompt.values())


async def test_a_blocked_answer_has_no_content() -> None:
    """It ends with ``content_filter`` and says nothing; it was generated, and is charged as its host counts it."""
    async with watched() as house:
        answer = await house.ask("answers", completion("Call the function with venom."))
        receipt = await house.receipt(answer)
        (hold,) = await judged(house.door)
        assert house.findings("completion", "custom_blocklists", "high", "filtered") == 1
    (choice,) = answer.json["choices"]
    assert is_hit(choice.pop("content_filter_results"))
    assert choice == {
        "index": 0,
        "message": WITHHELD,
        "logprobs": None,
        "finish_reason": "content_filter",
    }
    assert answer.json["prompt_filter_results"] == [
        {"prompt_index": 0, "content_filter_results": {**CLEAN_PROMPT, **NO_LIST}}
    ]
    assert answer.json["usage"]["total_tokens"] == 10
    assert (hold.state, hold.charge, hold.estimated) == ("settled", BILLED_NUSD, 0)
    assert receipt["safety"] == {
        "policy": "answers",
        "completion": {"custom_blocklists": "high"},
        "blocked": "completion",
    }


@pytest.mark.parametrize(
    "message",
    [
        {"content": "venom"},
        {"content": PLAIN, "reasoning_content": "venom"},
        {"content": PLAIN, "reasoning": "venom", "reasoning_details": [{"type": "reasoning.text", "text": "venom"}]},
        {"content": None, "tool_calls": [call("f", '{"a": "venom"}')]},
        {"content": None, "tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": "venom"}}]},
        {"content": None, "function_call": {"name": "f", "arguments": '{"a": "venom"}'}},
        {"content": PLAIN, "refusal": None, "annotations": [{"type": "x", "text": "venom"}], "reasoning": "venom"},
    ],
    ids=["text", "thoughts", "details", "tool", "custom tool", "function call", "annotations"],
)
async def test_nothing_of_a_blocked_answer_leaves(message: dict[str, Any]) -> None:
    """Wherever the word stands in a choice, the client reads it nowhere, however else its host repeats it."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}
    beside = {
        "text": "venom",
        "token_ids": [1, 2],
        "stop_reason": "venom",
        "logprobs": {"content": [{"token": "venom"}]},
    }
    async with watched() as house:
        play = completion(choices=[{**choice, **beside}], citations=["https://venom.example"], output_text="venom")
        answer = await house.ask("answers", play)
    assert b"venom" not in answer.body
    assert told(answer).reasons == {0: "content_filter"}
    assert answer.json["choices"][0]["message"] == WITHHELD


async def test_one_blocked_choice_leaves_the_others() -> None:
    """Of several choices only that one is withheld."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for index, text in enumerate((PLAIN, "venom", PLAIN))
    ]
    async with watched() as house:
        answer = await house.ask("answers", completion(choices=choices), n=3)
        receipt = await house.receipt(answer)
    found = told(answer)
    assert found.texts == {0: PLAIN, 1: "", 2: PLAIN}
    assert found.reasons == {0: "stop", 1: "content_filter", 2: "stop"}
    assert [bool(found.completion[index]["custom_blocklists"]["filtered"]) for index in found.texts] == [
        False,
        True,
        False,
    ]
    assert receipt["safety"]["blocked"] == "completion"


async def test_a_promise_of_json_and_a_block() -> None:
    """An answer that is the JSON that was asked for is withheld all the same, and is no broken promise."""
    asked: dict[str, Any] = {"response_format": {"type": "json_object"}}
    async with watched() as house:
        answer = await house.ask("answers", completion('{"a": "venom"}'), **asked)
        assert told(answer).reasons == {0: "content_filter"}
        assert len(house.sent) == 1
        assert told(await house.ask("answers", completion('{"a": "b"}'), **asked)).texts == {0: '{"a": "b"}'}


async def test_a_blocked_prompt_may_be_tried_again_under_its_name() -> None:
    """It cost nothing, so its ``Idempotency-Key`` is free: a repeat is judged anew, and a better one is answered."""
    async with watched() as house:
        for _ in range(2):
            asked = {"model": "listed", "messages": POISONED}
            answer = await house.door.post(asked, idempotency_key="k1")
            assert (answer.status, answer.headers.get("idempotency-replayed")) == (400, None)
        house.up.plays = [[Send(completion(PLAIN))]]
        better = await house.door.post({"model": "listed", "messages": HELLO}, idempotency_key="k1")
        assert told(better).texts == {0: PLAIN}


async def test_a_withheld_answer_is_repeated_as_it_was_told() -> None:
    """The same request under the same name gets the same bytes, not the text."""
    async with watched() as house:
        house.up.plays = [[Send(completion("venom"))]]
        asked = {"model": "answers", "messages": HELLO}
        first = await house.door.post(asked, idempotency_key="k2")
        again = await house.door.post(asked, idempotency_key="k2")
        assert len(house.sent) == 1
    assert first.body == again.body
    assert b"venom" not in again.body


async def test_failures_are_on_record_with_what_was_found() -> None:
    """A request that no host answers is released, and its receipt still tells of its prompt."""
    async with watched() as house:
        for streamed in (False, True):
            play = b"HTTP/1.1 500 X\r\ncontent-length: 2\r\n\r\nno"
            answer = await house.ask("told", play, messages=POISONED, stream=streamed)
            receipt = await house.receipt(answer)
            assert receipt["state"] == "released"
            assert receipt["safety"] == {"policy": "told", "prompt": {"custom_blocklists": "high"}}


async def test_no_word_of_a_text_is_kept_or_logged() -> None:
    """The receipt, the metrics, the log and the database name lists and categories, never what was found."""
    async with watched() as house:
        answers = [
            await house.ask("listed", completion(PLAIN), messages=POISONED),
            await house.ask("answers", completion("my venom")),
            await house.ask("later", stream("my ", "venom"), stream=True),
        ]
        receipts = json.dumps([await house.receipt(answer) for answer in answers])
        counts = repr(house.door.app.parts.metrics.counts)
        log = house.door.log.getvalue()
        kept = house.door.app.parts.books.store.path.read_bytes()
    for place in (receipts.encode(), counts.encode(), log, kept):
        assert b"venom" not in place
