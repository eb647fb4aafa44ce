"""Relayed endpoints where a policy withholds answers, masks personal data, asks judges, or cannot read a prompt."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Send
from tests.fakes.door import eventually, opened
from tests.gateway.judges_kit import answered
from tests.gateway.kit import hosts
from tests.gateway.relay_safety_kit import (
    ANSWERS_ONLY,
    ASKED,
    BLOCKS,
    COMPLETION,
    FILTERED,
    MAIL,
    MASKS,
    NOTHING,
    OFF,
    RESPONSE,
    TELLS,
    WORD,
    ask,
    completed,
    listed,
    message,
    record,
    responded,
    subtitled,
)
from tests.gateway.test_disconnects import leave
from tests.gateway.test_money_on_the_wire import till
from tests.gateway.test_relay import events, form, said

# --- answers that are withheld -----------------------------------------------------------------------------------


async def test_a_choice_that_is_filtered_is_withheld() -> None:
    """Its words, and whatever else its host put into it, are gone; other choices stand, and all of it is charged."""
    reply = completed(WORD, "fine", usage={"prompt_tokens": 1, "completion_tokens": 2})
    reply["choices"][0]["thoughts"] = WORD
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up, more=BLOCKS)) as door:
        answer = await door.post({"model": "both", "prompt": "hi"}, "/v1/completions")
        assert WORD not in answer.body.decode()
        first, second = answer.json["choices"]
        assert (first["text"], first["finish_reason"], listed(first)) == ("", "content_filter", FILTERED)
        assert (second["text"], second["finish_reason"], listed(second)) == ("fine", "stop", NOTHING)
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 2
        assert (await record(door))["blocked"] == "completion"


@pytest.mark.parametrize(
    "item",
    [
        message("so ", WORD),
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": json.dumps({"q": WORD})},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": WORD}]},
        {"type": "new_item", "inner": {"words": WORD}},
    ],
    ids=lambda item: item["type"],
)
async def test_a_response_that_is_filtered_is_withheld(item: dict[str, Any]) -> None:
    """Whatever item says it: the output is empty, and the response incomplete because of a filter."""
    reply = {**RESPONSE, "output": [item], "output_text": WORD}
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up, more=BLOCKS)) as door:
        answer = await door.post({"model": "both", "input": "hi"}, "/v1/responses")
        assert WORD not in answer.body.decode()
        assert (answer.json["output"], answer.json["status"]) == ([], "incomplete")
        assert answer.json["incomplete_details"] == {"reason": "content_filter"}
        assert listed(answer.json["completion_filter_results"][0]) == FILTERED


async def test_a_transcript_that_is_filtered_is_withheld() -> None:
    """Neither its text nor its segments are given."""
    reply = {"text": WORD, "segments": [{"text": WORD}], "duration": 3, "usage": {"type": "duration", "seconds": 3}}
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up, more=ANSWERS_ONLY)) as door:
        answer = await ask(door, "audio/transcriptions")
        assert WORD not in answer.body.decode()
        assert (answer.json["text"], answer.json["duration"]) == ("", 3)


async def test_a_very_long_answer_is_judged_like_a_short_one() -> None:
    """It is read on another thread, to its end."""
    async with ChaosUpstream([Send(said(responded("some words " * 8000, WORD)))]) as up:
        async with opened(hosts(up, more=BLOCKS)) as door:
            answer = await door.post({"model": "both", "input": "hi"}, "/v1/responses")
            assert (answer.status, answer.json["output"]) == (200, [])


async def test_an_answer_that_may_pass_is_given_whole() -> None:
    """Under a policy that withholds, what is not filtered keeps every member of its host's."""
    async with ChaosUpstream([Send(said(responded("fine", x_extra=1)))]) as up:
        async with opened(hosts(up, more=BLOCKS)) as door:
            answer = await door.post({"model": "both", "input": "hi"}, "/v1/responses")
            assert {name: answer.json[name] for name in responded()} == {**responded("fine"), "model": "both"}
            assert answer.json["x_extra"] == 1


@pytest.mark.parametrize("case", ["completions", "responses", "audio/transcriptions"])
async def test_a_stream_that_could_not_be_withheld_is_refused(case: str) -> None:
    """The client is told what to do, and nothing is sent; without ``stream`` the same request works."""
    async with ChaosUpstream([Send(said({"text": "", "choices": [], "output": []}))]) as up:
        async with opened(hosts(up, more=ANSWERS_ONLY)) as door:
            answer = await (
                subtitled(door, "stream", "true") if "file" in ASKED[case] else ask(door, case, stream=True)
            )
            assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "stream_not_judged", "stream")
            assert "without 'stream'" in answer.error["message"]
            assert up.requests == []
            assert door.idle
            assert (await ask(door, case)).status == 200


async def test_streams_that_say_nothing_in_words_go_on() -> None:
    """A policy that withholds answers has nothing to withhold of images and sound."""
    event = {"type": "image_generation.completed", "b64_json": "AA=="}
    async with ChaosUpstream([Send(events((event["type"], event)))]) as up:
        async with opened(hosts(up, more=ANSWERS_ONLY)) as door:
            answer = await ask(door, "images/generations", stream=True)
            assert answer.status == 200
            assert b'"b64_json":"AA=="' in answer.body


async def test_a_transcript_that_could_not_be_withheld_is_refused() -> None:
    """Subtitles are not read here: under a policy that withholds answers a transcript has to be JSON."""
    async with ChaosUpstream() as up, opened(hosts(up, more=ANSWERS_ONLY)) as door:
        answer = await subtitled(door, "response_format", "srt")
        assert (answer.status, answer.error["code"]) == (400, "format_not_judged")
        assert up.requests == []


async def test_a_host_that_streams_although_it_was_not_asked_to_gives_nothing() -> None:
    """Where an answer has to be whole, events are no answer: nothing of them reaches the client."""
    play = events({**COMPLETION, "choices": [{"index": 0, "text": WORD, "finish_reason": "stop"}]}, "[DONE]")
    async with ChaosUpstream([Send(play)]) as up, opened(hosts(up, more=BLOCKS)) as door:
        answer = await door.post({"model": "both", "prompt": "hi"}, "/v1/completions")
        assert (answer.status, answer.error["code"]) == (502, "upstream_bad_response")
        assert WORD not in answer.body.decode()
        assert door.idle


# --- prompts that cannot be read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        ("completions", {"prompt": [1, 2]}, "prompt"),
        ("completions", {"prompt": [[1], [2]]}, "prompt"),
        ("completions", {"prompt": "hi", "prompt_embeds": "AAAA"}, "prompt_embeds"),
        ("embeddings", {"input": [[1, 2]]}, "input"),
    ],
)
async def test_tokens_are_no_way_around_a_policy(kind: str, fields: dict[str, Any], param: str) -> None:
    """A policy that blocks prompts refuses what it cannot read; one that annotates lets it pass, and does not call it
    safe.
    """
    body = {**fields, "model": "both"}
    async with ChaosUpstream([Send(said(completed("hi")))]) as up:
        async with opened(hosts(up, more=BLOCKS)) as door:
            refused = await door.post(body, f"/v1/{kind}")
            assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "prompt_not_judged", param)
            assert up.requests == []
        async with opened(hosts(up, more=TELLS)) as door:
            passed = await door.post(body, f"/v1/{kind}")
            assert passed.status == 200
            assert "prompt_filter_results" not in passed.json


async def test_a_streamed_answer_to_tokens_is_refused_too_where_it_may_be_withheld() -> None:
    """A policy that only blocks answers lets tokens in, and still wants the answer whole."""
    async with ChaosUpstream() as up, opened(hosts(up, more=ANSWERS_ONLY)) as door:
        answer = await door.post({"model": "both", "prompt": [1], "stream": True}, "/v1/completions")
        assert answer.error["code"] == "stream_not_judged"


@pytest.mark.parametrize("value", [WORD.encode("utf-16"), b"\xff\xfe bytes"])
async def test_a_form_in_another_encoding_is_refused(value: bytes) -> None:
    """What is not UTF-8 may be read otherwise by its host."""
    async with ChaosUpstream() as up, opened(hosts(up, more=BLOCKS)) as door:
        answer = await ask(door, "images/edits", prompt=value)
        assert (answer.status, answer.error["code"]) == (400, "prompt_not_judged")
        assert up.requests == []


# --- personal data -----------------------------------------------------------------------------------------------


async def test_a_masked_completion_is_restored() -> None:
    """The host never sees an address; the client sees its own in the answer."""
    async with ChaosUpstream([Send(said(completed("write to [EMAIL_1]!")))]) as up:
        async with opened(hosts(up, more=MASKS)) as door:
            answer = await door.post({"model": "both", "prompt": ["hi", f"mail {MAIL}"]}, "/v1/completions")
            assert json.loads(up.requests[0].body)["prompt"] == ["hi", "mail [EMAIL_1]"]
            assert answer.json["choices"][0]["text"] == f"write to {MAIL}!"
            told = answer.json["prompt_filter_results"][0]["content_filter_results"]
            assert told["personally_identifiable_information"]["sub_categories"][0]["redacted"]


async def test_a_masked_response_is_restored_deep() -> None:
    """Texts, thoughts, and calls, whose JSON stays JSON; ids and names are not touched on either way."""
    asked = [
        {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": MAIL}]},
        {"type": "function_call", "call_id": MAIL, "name": "f", "arguments": json.dumps({"to": MAIL})},
        {"type": "function_call_output", "call_id": MAIL, "output": f"sent to {MAIL}"},
    ]
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": '{"to":"[EMAIL_1]"}'}
    reply = {**responded("to [EMAIL_1]"), "instructions": "ask [EMAIL_1]"}
    reply["output"].append(call)
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up, more=MASKS)) as door:
        body = {"model": "both", "input": asked, "instructions": f"ask {MAIL}", "user": MAIL}
        answer = (await door.post(body, "/v1/responses")).json
        sent = json.loads(up.requests[0].body)
        assert sent["input"][0]["content"][0]["text"] == "[EMAIL_1]"
        assert (sent["input"][1]["arguments"], sent["input"][1]["call_id"]) == ('{"to": "[EMAIL_1]"}', MAIL)
        assert (sent["input"][2]["output"], sent["instructions"]) == ("sent to [EMAIL_1]", "ask [EMAIL_1]")
        assert sent["user"] == MAIL
        assert answer["output"][0]["content"][0]["text"] == f"to {MAIL}"
        assert json.loads(answer["output"][1]["arguments"]) == {"to": MAIL}
        assert answer["instructions"] == f"ask {MAIL}"


async def test_a_stored_conversation_is_not_masked() -> None:
    """Its placeholders are those of other requests: what would be restored to the wrong value is refused."""
    async with ChaosUpstream([Send(said(responded("[EMAIL_1]")))]) as up, opened(hosts(up, more=MASKS)) as door:
        body = {"model": "both", "input": MAIL, "previous_response_id": "resp_1"}
        refused = await door.post(body, "/v1/responses")
        assert (refused.status, refused.error["code"]) == (400, "stored_not_masked")
        passed = await door.post({**body, "input": "hello"}, "/v1/responses")
        assert passed.json["output"][0]["content"][0]["text"] == "[EMAIL_1]"


async def test_a_stream_that_could_not_be_restored_is_refused() -> None:
    """Only where something was masked; any other stream goes on."""
    play = events({**COMPLETION, "choices": [{"index": 0, "text": "hi", "finish_reason": "stop"}]}, "[DONE]")
    async with ChaosUpstream([Send(play)]) as up, opened(hosts(up, more=MASKS)) as door:
        refused = await door.post({"model": "both", "prompt": MAIL, "stream": True}, "/v1/completions")
        assert refused.error["code"] == "stream_not_judged"
        assert (await door.post({"model": "both", "prompt": "hi", "stream": True}, "/v1/completions")).status == 200


@pytest.mark.parametrize("case", ["embeddings", "images/generations", "audio/speech", "images/edits"])
async def test_what_is_not_answered_in_words_is_masked_for_good(case: str) -> None:
    """The host is sent a placeholder, in a form of the same parts too."""
    async with ChaosUpstream([Send(said({"data": []}))]) as up, opened(hosts(up, more=MASKS)) as door:
        name = "input" if "input" in ASKED[case] else "prompt"
        given = f"of {MAIL} é"
        answer = await ask(door, case, **{name: given.encode() if case == "images/edits" else given})
        assert answer.status == 200
        body = up.requests[0].body
        assert MAIL.encode() not in body
        if case == "images/edits":
            assert body == form({"image": b"\x89PNG", "prompt": "of [EMAIL_1] é".encode(), "model": b"m"})
        else:
            assert json.loads(body)[name] == "of [EMAIL_1] é"


# --- judges ------------------------------------------------------------------------------------------------------


def judged(up: ChaosUpstream, *, when: str = "gate", asks: str = '["prompt", "completion"]') -> str:
    """A policy with a webhook that is asked too."""
    return (
        f'[safety]\npolicy = "p"\n[safety.policies.p]\n{OFF}other = "high"\njudges = ["own"]\n'
        f'[safety.judges.own]\nkind = "webhook"\nurl = "{up.url}/judge"\nwhen = "{when}"\nsides = {asks}\n'
    )


FINDS = {"findings": [{"category": "libel", "severity": "high"}]}


async def test_a_gate_is_asked_about_every_prompt_of_a_batch() -> None:
    """Its word blocks, and what it was shown holds all the texts, so that none hides behind another."""
    async with ChaosUpstream(answered(FINDS)) as judge, ChaosUpstream() as up:
        async with opened(hosts(up, more=judged(judge, asks='["prompt"]'))) as door:
            answer = await door.post({"model": "both", "input": ["hello", "two"]}, "/v1/embeddings")
            assert (answer.status, answer.error["code"]) == (400, "content_filter")
            assert json.loads(judge.requests[0].body)["prompt"] == "hello\n\ntwo"
            assert up.requests == []
            assert door.idle


async def test_a_prompt_without_the_verdict_of_a_closed_gate_is_a_503() -> None:
    """Nobody found anything in it, so it is not said to be bad; no host hears of it."""
    async with ChaosUpstream(answered({}, 503)) as judge, ChaosUpstream() as up:
        config = judged(judge, asks='["prompt"]') + 'on_failure = "closed"\n'
        async with opened(hosts(up, more=config)) as door:
            answer = await door.post({"model": "both", "input": "hello"}, "/v1/embeddings")
            assert (answer.status, answer.error["code"]) == (503, "safety_unavailable")
            assert answer.headers["retry-after"] == "1"
            assert up.requests == []
            assert door.idle


async def test_a_gate_is_asked_about_an_answer() -> None:
    """What it finds is withheld, and said to be its own."""
    async with ChaosUpstream(answered(FINDS)) as judge, ChaosUpstream([Send(said(responded("words")))]) as up:
        async with opened(hosts(up, more=judged(judge, asks='["completion"]'))) as door:
            answer = await door.post({"model": "both", "input": "hi"}, "/v1/responses")
            assert answer.json["output"] == []
            assert json.loads(judge.requests[0].body)["completion"] == "words"
            (told,) = answer.json["completion_filter_results"]
            assert told["content_filter_results"]["libel"] == {
                "filtered": True,
                "detected": True,
                "origin": "own",
            }


async def test_who_leaves_while_an_answer_is_judged_pays_for_it() -> None:
    """It was generated: a client that hangs up on its judge is charged for it, once."""
    slow = asyncio.Event()
    reply = completed("words", usage={"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110})
    async with ChaosUpstream([Await(slow), *answered(FINDS)]) as judge:
        async with till([Send(said(reply))]) as (door, _):
            text = door.config_file.read_text()
            door.config_file.write_text(judged(judge, asks='["completion"]') + "\n" + text)
            await door.app.parts.reloader.reload()
            _, writer = await door.send("POST", "/v1/completions", {"model": "up/m", "prompt": "hi", "max_tokens": 20})
            await judge.arrived()
            leave(writer, reset=True)
            await eventually(lambda: door.idle)
            assert door.count("tollhouse_tokens", "up", "m", "output") == 10
            slow.set()
