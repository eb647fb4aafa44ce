"""The safety of the endpoints that are relayed: none of them is a way around a policy."""

import json
from typing import Any

import openai
import pytest
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.audio import Transcription
from openai.types.responses import Response

from tests.fakes.chaos import ChaosUpstream, Send, Step, closed_port, whole
from tests.fakes.door import opened
from tests.gateway.kit import hosts
from tests.gateway.relay_safety_kit import (
    ANSWERS_ONLY,
    ASKED,
    BLOCKS,
    COMPLETION,
    FILTERED,
    FOUND,
    LISTED,
    NOTHING,
    OFF,
    TELLS,
    WORD,
    ask,
    completed,
    listed,
    message,
    record,
    responded,
)
from tests.gateway.test_relay import events, said


@pytest.mark.parametrize("case", ASKED)
async def test_a_blocked_prompt_goes_nowhere_by_any_endpoint(case: str) -> None:
    """Wherever a prompt stands: 400 in the client's terms, no request upstream, no charge, and a record of it."""
    async with ChaosUpstream() as up, opened(hosts(up, more=BLOCKS)) as door:
        answer = await ask(door, case)
        assert (answer.status, answer.error["code"]) == (400, "content_filter")
        assert answer.error["error_id"] == "CONTENT_POLICY_VIOLATION"
        assert answer.error["innererror"]["content_filter_result"]["custom_blocklists"] == FILTERED
        assert up.requests == []
        assert await record(door) == {"policy": "p", "prompt": {"custom_blocklists": "high"}, "blocked": "prompt"}
        assert door.count("tollhouse_safety_findings", "prompt", "custom_blocklists", "high", "filtered") == 1
        assert door.idle


@pytest.mark.parametrize("case", ASKED)
async def test_a_prompt_that_is_only_annotated_reaches_its_host_as_it_is(case: str) -> None:
    """JSON answers of every endpoint say at their root what was found in the prompt; the host is sent every byte."""
    async with ChaosUpstream([Send(said({"object": "thing", "data": []}))]) as up:
        async with opened(hosts(up, more=TELLS)) as door:
            answer = await ask(door, case)
            assert answer.status == 200
            (told,) = answer.json["prompt_filter_results"]
            assert (told["prompt_index"], listed(told)) == (0, FOUND)
            assert WORD.encode() in up.requests[0].body
            assert (await record(door))["prompt"] == {"custom_blocklists": "high"}


async def test_the_policy_of_an_alias_counts_here_too() -> None:
    """An alias may be stricter than the default; a policy that looks at nothing says nothing."""
    text = f'[safety]\nmode = "off"\n[safety.policies.p]\n{OFF}blocklists = ["words"]\n{LISTED}'
    async with ChaosUpstream([Send(said(completed("hi")))]) as up:
        declared = hosts(up, more=text) + '[models.strict]\ntargets = ["up0/m"]\nsafety = "p"\n'
        async with opened(declared) as door:
            free = await ask(door, "completions")
            assert free.status == 200
            assert "prompt_filter_results" not in free.json
            assert "content_filter_results" not in free.json["choices"][0]
            strict = await door.post({"model": "strict", "prompt": WORD}, "/v1/completions")
            assert strict.error["code"] == "content_filter"


async def test_moderations_judge_and_are_not_judged() -> None:
    """What is asked of a host's moderation passes any policy."""
    async with ChaosUpstream([Send(said({"results": []}))]) as up, opened(hosts(up, more=BLOCKS)) as door:
        answer = await door.post({"model": "both", "input": WORD}, "/v1/moderations")
        assert answer.status == 200
        assert "prompt_filter_results" not in answer.json


# --- what answers are told ---------------------------------------------------------------------------------------


async def test_official_types_keep_what_is_told() -> None:
    """OpenAI's SDK reads annotated answers of every endpoint with JSON, and keeps the members that it does not know."""
    vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
    usage = {"prompt_tokens": 1, "total_tokens": 1, "completion_tokens": 0}
    plays: list[list[Step]] = [
        [Send(said(completed(WORD, "fine", usage=usage)))],
        [Send(said(responded("well, ", WORD)))],
        [Send(said({"object": "list", "model": "m", "data": [vector], "usage": usage}))],
        [Send(said({"created": 1, "data": [{"url": "https://x.example/1.png"}]}))],
        [Send(said({"text": WORD}))],
    ]
    async with ChaosUpstream(*plays) as up, opened(hosts(up, more=TELLS)) as door:
        client = openai.AsyncOpenAI(api_key=door.key, base_url=f"http://127.0.0.1:{door.port}/v1", max_retries=0)
        async with client:
            completion: Completion = await client.completions.create(model="both", prompt=[WORD])
            response: Response = await client.responses.create(model="both", input="hi")
            embedding: CreateEmbeddingResponse = await client.embeddings.create(
                model="both", input=WORD, encoding_format="float"
            )
            image: ImagesResponse = await client.images.generate(model="both", prompt="hi")
            transcript: Transcription = await client.audio.transcriptions.create(model="both", file=b"RIFF")
    first, second = (choice.model_extra for choice in completion.choices)
    assert first is not None
    assert second is not None
    assert (listed(first), listed(second)) == (FOUND, NOTHING)
    told = [one.model_extra or {} for one in (completion, response, embedding, image, transcript)]
    prompts = [listed(extra["prompt_filter_results"][0]) for extra in told]
    assert prompts == [FOUND, NOTHING, FOUND, NOTHING, NOTHING]
    results = [[(one["index"], listed(one)) for one in extra.get("completion_filter_results", ())] for extra in told]
    assert results == [[], [(0, FOUND)], [], [], [(0, FOUND)]]
    assert embedding.data[0].embedding == [0.5]
    assert transcript.text == WORD


async def test_a_streamed_completion_tells_each_choice_where_it_ends() -> None:
    """Words cut anywhere are heard; the verdict stands on the choice's last event, the prompt's on the last of all."""
    pieces = [{"index": at, "text": text} for text in (WORD[:5], WORD[5:]) for at in (0, 1)]
    pieces[3]["text"] = "else"
    ends = [{"index": at, "text": "", "finish_reason": "stop"} for at in (0, 1)]
    play = events(*[{**COMPLETION, "choices": [piece]} for piece in (*pieces, *ends)], "[DONE]")
    async with ChaosUpstream([Send(play, size=9)]) as up, opened(hosts(up, more=TELLS)) as door:
        answer = await ask(door, "completions", stream=True)
        *before, first, second = answer.events
        assert not any("content_filter_results" in event["choices"][0] for event in before)
        assert (listed(first["choices"][0]), listed(second["choices"][0])) == (FOUND, NOTHING)
        assert listed(second["prompt_filter_results"][0]) == FOUND
        assert "_remaining_credits" in second
        found = await record(door)
        assert found["completion"] == found["prompt"] == {"custom_blocklists": "high"}


RESPONSE_STREAMS: dict[str, list[dict[str, Any]]] = {
    "in pieces": [
        {"type": "response.output_text.delta", "output_index": 0, "delta": piece} for piece in (WORD[:4], WORD[4:])
    ],
    "whole at the end of an item": [{"type": "response.output_item.done", "output_index": 0, "item": message(WORD)}],
    "at the very end": [],
}


@pytest.mark.parametrize("case", RESPONSE_STREAMS)
async def test_a_streamed_response_tells_it_in_its_last_event(case: str) -> None:
    """Whether words come in pieces or whole, they are heard once, and the response that ends the stream tells it."""
    closing = {"type": "response.completed", "response": responded(WORD)}
    play = events(*[(event["type"], event) for event in (*RESPONSE_STREAMS[case], closing)])
    async with ChaosUpstream([Send(play)]) as up, opened(hosts(up, more=TELLS)) as door:
        answer = await door.post({"model": "both", "input": "hi", "stream": True}, "/v1/responses")
        last = json.loads(answer.body.split(b"data: ")[-1])["response"]
        assert [(one["index"], listed(one)) for one in last["completion_filter_results"]] == [(0, FOUND)]
        assert listed(last["prompt_filter_results"][0]) == NOTHING
        assert last["output"][0]["content"][0]["text"] == WORD


async def test_what_the_host_says_of_safety_is_merged() -> None:
    """Azure's own results of a legacy completion stand with ours, and say where they come from."""
    reply = completed("hi", prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {
        "violence": {"filtered": False, "severity": "medium"}}}])  # fmt: skip
    reply["choices"][0]["content_filter_results"] = {"sexual": {"filtered": False, "severity": "low"}}
    async with ChaosUpstream([Send(said(reply))]) as up, opened(hosts(up, more=TELLS)) as door:
        answer = (await ask(door, "completions")).json
        asked = answer["prompt_filter_results"][0]["content_filter_results"]
        assert asked["violence"] == {"filtered": False, "severity": "medium", "origin": "upstream"}
        assert asked["custom_blocklists"] == FOUND
        told = answer["choices"][0]["content_filter_results"]
        assert told["sexual"] == {"filtered": False, "severity": "low", "origin": "upstream"}


async def test_sound_stays_as_it_is() -> None:
    """An answer that is neither JSON nor events is the host's, byte for byte."""
    async with ChaosUpstream([Send(whole(WORD.encode(), content_type="audio/mpeg"))]) as up:
        async with opened(hosts(up, more=ANSWERS_ONLY)) as door:
            assert (await ask(door, "audio/speech")).body == WORD.encode()


async def test_what_was_found_is_recorded_although_no_host_answers() -> None:
    """A request that fails upstream is released, and its record still says what was in the prompt."""
    async with opened(hosts(closed_port(), more=TELLS)) as door:
        answer = await ask(door, "embeddings")
        assert answer.status >= 500
        assert (await record(door))["prompt"] == {"custom_blocklists": "high"}
        assert door.count("tollhouse_safety_findings", "prompt", "custom_blocklists", "high", "annotated") == 1
