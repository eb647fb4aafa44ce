"""What hosts themselves say of safety: merged with ours, its origin kept, for clients of every dialect."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from tests.dialects.bedrock import frames
from tests.fakes.chaos import ChaosUpstream, Send, chunked, whole
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import DONE, IDENTITY, LAST_USAGE, ROLE, completion, event, failure
from tests.gateway import test_gemini_api as gemini
from tests.gateway import test_messages_api as messages
from tests.gateway.safety_clients import CLIENTS, ask_as, heard
from tests.gateway.safety_kit import PLAIN, Results, aliases, of_choice, settings_of_policies, text
from tollhouse.types.safety import DETECTIONS, HARMS

HIGH = {"filtered": False, "severity": "high"}
MEDIUM = {"filtered": False, "severity": "medium"}


class Case(Struct, frozen=True):
    """A host that says something of safety."""

    settings: Callable[[ChaosUpstream], str]
    whole: bytes
    stream: bytes
    prompt: Results
    """What is told of the prompt, among other things."""
    completion: Results
    text: str = PLAIN
    ended: tuple[str, str, str] = ("stop", "end_turn", "STOP")
    """By client."""


def plain_host(up: ChaosUpstream) -> str:
    """A host of OpenAI's dialect."""
    return f'[providers.up]\nbase_url = "{up.url}/v1"\napi_key = "sk-x"\nmodels = ["m"]\nfree = true\n'


def claude_host(up: ChaosUpstream) -> str:
    """One of Anthropic's."""
    return f'{plain_host(up)}provider = "anthropic"\n'


def gemini_host(up: ChaosUpstream) -> str:
    """One of Google's."""
    return f'{plain_host(up).replace("/v1", "/v1beta")}provider = "gemini"\nauth = "x-goog-api-key"\n'


def bedrock_host(up: ChaosUpstream) -> str:
    """One of Amazon's."""
    keys = 'auth = "sigv4"\nregion = "us-east-1"\naccess_key_id = "AKIDX"\nsecret_access_key = "secret"\n'
    plain = plain_host(up).replace('api_key = "sk-x"\n', "").replace("/v1", "")
    return f'{plain}provider = "bedrock"\n{keys}'


def _choice(**more: Any) -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", "content": PLAIN}, "finish_reason": "stop", **more}


def _azure() -> Case:
    prompt = [
        {
            "prompt_index": 0,
            "content_filter_results": {"violence": MEDIUM, "jailbreak": {"filtered": False, "detected": True}},
        }
    ]
    found = {
        "sexual": HIGH,
        "protected_material_code": {
            "filtered": False,
            "detected": True,
            "citation": {"URL": "https://x.example", "license": "MIT"},
        },
    }
    first = event({**IDENTITY, "object": "chat.completion.chunk", "choices": [], "prompt_filter_results": prompt})
    parts = [ROLE, text(PLAIN[:9]), of_choice(0, {"content": PLAIN[9:]}, content_filter_results={"sexual": MEDIUM})]
    end = of_choice(0, {}, "stop", content_filter_results=found)
    return Case(
        plain_host,
        completion(choices=[_choice(content_filter_results=found)], prompt_filter_results=prompt),
        chunked(first, *parts, end, LAST_USAGE, DONE),
        {
            "violence": {**MEDIUM, "origin": "upstream"},
            "jailbreak": {"filtered": False, "detected": True, "origin": "upstream"},
        },
        {
            "sexual": {**HIGH, "origin": "upstream"},
            "protected_material_code": {**found["protected_material_code"], "origin": "upstream"},
        },
    )


def _openai() -> Case:
    def side(category: str) -> dict[str, Any]:
        result = {
            "type": "moderation_result",
            "flagged": True,
            "categories": {category: True},
            "category_scores": {category: 0.9},
        }
        return {"type": "moderation_results", "model": "omni-moderation-latest", "results": [result]}

    moderation = {"input": side("self-harm"), "output": side("harassment")}
    end = {**IDENTITY, "object": "chat.completion.chunk", "moderation": moderation}
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    return Case(
        plain_host,
        completion(choices=[_choice()], moderation=moderation),
        chunked(ROLE, text(PLAIN), event({**end, "choices": [stop]}), LAST_USAGE, DONE),
        {"self_harm": {**HIGH, "origin": "upstream"}},
        {"hate": {**HIGH, "origin": "upstream"}},
    )


def _gemini() -> Case:
    ratings = [
        {"category": "HARM_CATEGORY_SEXUALLY_EXPLICIT", "probability": "MEDIUM"},
        {"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "LOW"},
        {"category": "HARM_CATEGORY_HARASSMENT", "probability": "NEGLIGIBLE"},
    ]
    last = gemini.said(PLAIN[9:], finishReason="STOP", safetyRatings=ratings)
    return Case(
        gemini_host,
        whole(json.dumps(gemini.said(PLAIN, finishReason="STOP", safetyRatings=ratings)).encode()),
        gemini.events(gemini.said(PLAIN[:9]), last),
        {},
        {"sexual": {**MEDIUM, "origin": "upstream"}, "hate": {"filtered": False, "severity": "safe"}},
    )


def _refused_by_gemini() -> Case:
    feedback = {
        "blockReason": "SAFETY",
        "safetyRatings": [{"category": "HARM_CATEGORY_HARASSMENT", "probability": "HIGH", "blocked": True}],
    }
    said = {"promptFeedback": feedback, "usageMetadata": gemini.USAGE, "modelVersion": "m-001"}
    return Case(
        gemini_host,
        whole(json.dumps(said).encode()),
        gemini.events(said),
        {"hate": {"filtered": True, "severity": "high", "origin": "upstream"}},
        {},
        "",
        ("content_filter", "refusal", ""),
    )


def _anthropic() -> Case:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    told = {**messages.NATIVE, "content": [], "stop_reason": "refusal", "stop_details": details}
    delta = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}
    ending = messages.event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}})
    opening = messages.event(
        {"type": "message_start", "message": {**messages.NATIVE, "content": [], "stop_reason": None}}
    )
    withheld = {"filtered": True, "detected": True}
    return Case(
        claude_host,
        whole(json.dumps(told).encode()),
        chunked(opening, ending, messages.event({"type": "message_stop"})),
        {},
        {"refusal": {**withheld, "origin": "upstream", "details": [{"id": "cyber", **withheld}]}},
        "",
        ("content_filter", "refusal", "SAFETY"),
    )


def _bedrock() -> Case:
    def found(kind: str, action: str) -> dict[str, Any]:
        return {
            "contentPolicy": {"filters": [{"type": kind, "confidence": "HIGH", "action": action, "detected": True}]}
        }

    assessed = {
        "inputAssessment": {"g": found("HATE", "NONE")},
        "outputAssessments": {"g": [found("VIOLENCE", "BLOCKED")]},
    }
    trace = {"guardrail": assessed}
    usage = {"inputTokens": 5, "outputTokens": 3, "totalTokens": 8}
    message = {"role": "assistant", "content": [{"text": PLAIN}]}
    said = {"output": {"message": message}, "stopReason": "guardrail_intervened", "usage": usage, "trace": trace}
    parts = [
        frames.event("messageStart", {"role": "assistant"}),
        frames.event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": PLAIN}}),
        frames.event("contentBlockStop", {"contentBlockIndex": 0}),
        frames.event("messageStop", {"stopReason": "guardrail_intervened"}),
        frames.event("metadata", {"usage": usage, "trace": trace}),
    ]
    return Case(
        bedrock_host,
        whole(json.dumps(said).encode()),
        chunked(*parts, content_type="application/vnd.amazon.eventstream"),
        {"hate": {**HIGH, "origin": "upstream"}},
        {"violence": {"filtered": True, "severity": "high", "origin": "upstream"}},
        PLAIN,
        ("content_filter", "refusal", "SAFETY"),
    )


CASES: dict[str, Case] = {
    "azure": _azure(),
    "openai": _openai(),
    "gemini": _gemini(),
    "gemini's refusal": _refused_by_gemini(),
    "anthropic": _anthropic(),
    "bedrock": _bedrock(),
}


def config(case: Case, up: ChaosUpstream) -> str:
    """A gateway before the host of a case."""
    return f"{settings_of_policies()}{case.settings(up)}{aliases('up/m')}"


async def receipt(door: Door, request_id: str) -> Any:
    """What is on record of a request."""
    return (await door.get(f"/v1/usage/{request_id}")).json


def on_record(results: Results) -> set[str]:
    """The categories that receipts name: those that we know ourselves."""
    known = {*HARMS, *DETECTIONS}
    return {name if name in known else "other" for name, said in results.items() if said.get("severity") != "safe"}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("client", CLIENTS)
async def test_what_a_host_says_is_told(name: str, client: str) -> None:
    """Whole and streamed, in the client's dialect, and in the receipt; the text is the host's own."""
    case = CASES[name]
    async with ChaosUpstream([Send(case.whole)], [Send(case.stream)]) as up, opened(config(case, up)) as door:
        for stream in (False, True):
            answer = await ask_as(door, client, "plain", stream=stream)
            found = heard(answer, client, stream=stream)
            assert found.prompt.items() >= case.prompt.items()
            for index in found.completion:
                assert found.completion[index].items() >= case.completion.items()
            if case.completion:
                assert list(found.completion) == [0]
            assert found.reason == case.ended[CLIENTS.index(client)]
            if case.text:
                assert found.text == case.text
            told = (await receipt(door, answer.headers["x-request-id"]))["safety"]
            assert set(told.get("completion", ())) >= on_record(case.completion)
            assert set(told.get("prompt", ())) >= on_record(case.prompt)


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ["azure", "bedrock"])
async def test_a_policy_may_block_by_what_a_host_says(client: str, name: str) -> None:
    """A severity that the host alone has found withholds the answer, whole and streamed."""
    case = CASES[name]
    category = next(iter(case.completion))
    rules = f'[safety.policies.own]\nprompt = false\n{category} = "high"\n'
    policy = rules + aliases("up/m", ["own"])
    async with ChaosUpstream([Send(case.whole)], [Send(case.stream)]) as up, opened(config(case, up) + policy) as door:
        for stream in (False, True):
            answer = await ask_as(door, client, "own", stream=stream)
            found = heard(answer, client, stream=stream)
            assert found.text == ""
            assert found.reason == ("content_filter", "refusal", "SAFETY")[CLIENTS.index(client)]
            assert found.completion[0][category]["filtered"] is True
            assert PLAIN[:9].encode() not in answer.body
            assert (await receipt(door, answer.headers["x-request-id"]))["safety"]["blocked"] == "completion"


async def test_a_refusal_of_the_prompt_is_passed_on() -> None:
    """Azure's 400 keeps its code and results; it is charged nothing."""
    refused = {
        "message": "The response was filtered",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {"violence": {"filtered": True, "severity": "high"}},
        },
    }
    play = whole(json.dumps({"error": refused}).encode(), 400)
    case = CASES["azure"]
    async with ChaosUpstream([Send(play)]) as up, opened(config(case, up)) as door:
        for stream in (False, True):
            answer = await ask_as(door, "openai", "plain", stream=stream)
            error = answer.error
            assert (error["code"], error["error_id"]) == ("content_filter", "CONTENT_POLICY_VIOLATION")
            assert error["innererror"]["content_filter_result"]["violence"]["filtered"] is True


async def test_a_failure_is_no_report() -> None:
    """An upstream's error says nothing of safety: the results of the prompt are in no one's answer."""
    case = CASES["azure"]
    async with ChaosUpstream([Send(failure(500))]) as up, opened(config(case, up)) as door:
        answer = await ask_as(door, "openai", "plain", stream=False)
        assert answer.status == 502
        assert b"filter_results" not in answer.body
