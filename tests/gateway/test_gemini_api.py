"""Gemini's API at the door of a whole gateway, before hosts of its own dialect and of others."""

import asyncio
import json
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Pause, Send, Step, chunked, whole
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, failure, stream
from tests.gateway.kit import SECRET

HI: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
FAST = "timeouts = { first_byte_s = 2.0, idle_s = 1.0 }\n"
HERE = "/v1beta/models/up/m"
USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5}


def openai_host(upstream: ChaosUpstream) -> str:
    """Settings with one host of OpenAI's dialect."""
    return f'[providers.up]\nbase_url = "{upstream.url}/v1"\napi_key = "{SECRET}"\nmodels = ["m"]\n{FAST}'


def gemini_host(upstream: ChaosUpstream) -> str:
    """Settings with one host of Gemini's dialect."""
    how = 'provider = "gemini"\nauth = "x-goog-api-key"\n'
    return f'[providers.up]\nbase_url = "{upstream.url}/v1beta"\napi_key = "{SECRET}"\nmodels = ["m"]\n{how}{FAST}'


def said(text: str, **more: Any) -> dict[str, Any]:
    """An object that a Gemini host sends."""
    content = {"parts": [{"text": text}], "role": "model"}
    return {"candidates": [{"content": content, **more}], "usageMetadata": USAGE, "modelVersion": "m-001"}


def events(*values: dict[str, Any]) -> bytes:
    """A Gemini host's stream."""
    return chunked(*[b"data: " + json.dumps(value).encode() + b"\r\n\r\n" for value in values])


def texts(found: list[Any]) -> str:
    """The text of some objects."""
    return "".join(part.get("text", "") for one in found for part in one["candidates"][0]["content"]["parts"])


async def test_a_host_of_another_dialect() -> None:
    """It is asked in its own words, and answers in Gemini's; the cost is told in the header too."""
    async with ChaosUpstream([Send(completion())]) as upstream, opened(openai_host(upstream)) as door:
        asked = {**HI, "generationConfig": {"maxOutputTokens": 9}}
        answer = await door.post(asked, HERE + ":generateContent")
        sent = json.loads(upstream.requests[0].body)
        assert door.idle
    assert sent == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
    assert texts([answer.json]) == "Hello there!"
    assert answer.json["usageMetadata"]["totalTokenCount"] == 10
    assert "_remaining_credits" in answer.json
    assert answer.headers["x-tollhouse-cost"]


async def test_what_is_lost_is_told() -> None:
    """In the header, in the client's own words; strict fidelity refuses instead, in Google's form."""
    asked = {**HI, "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}]}
    async with ChaosUpstream([Send(completion())]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(asked, HERE + ":generateContent")
        strict = await door.post(asked, HERE + ":generateContent", x_tollhouse_fidelity="strict")
    assert "safetySettings" in answer.headers["x-tollhouse-fidelity"]
    assert (strict.status, strict.json["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_a_stream_of_a_host_of_another_dialect() -> None:
    """As events, or as one JSON array that is no event stream."""
    async with ChaosUpstream([Send(stream("He", "llo"))]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":streamGenerateContent?alt=sse")
        array = await door.post(HI, HERE + ":streamGenerateContent")
        assert door.idle
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert array.headers["content-type"] == "application/json"
    assert texts(answer.events) == texts(array.json) == "Hello"
    for found in (answer.events, array.json):
        assert found[-1]["candidates"][0]["finishReason"] == "STOP"
        assert found[-1]["usageMetadata"]["totalTokenCount"] == 10


async def test_a_stream_that_begins_with_a_call_has_its_end() -> None:
    """The call is told when it is whole; until then nothing is written, and not the end of the body either."""
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "w", "arguments": "{"}}
    begun = chunked(delta({"role": "assistant", "tool_calls": [call]})).removesuffix(b"0\r\n\r\n")
    rest = chunked(
        delta({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}), delta({}, "tool_calls"), LAST_USAGE, DONE
    ).partition(b"\r\n\r\n")[2]
    play: list[Step] = [Send(begun), Pause(0.1), Send(rest)]
    async with ChaosUpstream(play) as upstream, opened(openai_host(upstream)) as door:
        answers = [await door.post(HI, HERE + ":streamGenerateContent?alt=sse") for _ in range(2)]
        assert door.idle
    for answer in answers:
        [part] = answer.events[0]["candidates"][0]["content"]["parts"]
        assert part["functionCall"]["name"] == "w"
        assert answer.events[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_a_host_that_speaks_the_dialect_is_passed_through() -> None:
    """The request as it came, with the host's own key; the answer as it came, with our cost."""
    host_says = said("Hello", finishReason="STOP", newMember=1)
    play = [Send(whole(json.dumps(host_says).encode()))]
    asked = {**HI, "safetySettings": [{"category": "C", "threshold": "OFF"}], "generationConfig": {"newMember": 1}}
    async with ChaosUpstream(play) as upstream, opened(gemini_host(upstream)) as door:
        answer = await door.post(asked, HERE + ":generateContent?alt=json")
        [sent] = upstream.requests
    assert sent.target.endswith("/models/m:generateContent")
    assert json.loads(sent.body) == asked
    assert SECRET.encode() in sent.head
    found = answer.json
    assert found.pop("_remaining_credits", 0) is None
    for name in ("_balance_warning", "prompt_filter_results", "completion_filter_results"):
        found.pop(name)
    assert found["usageMetadata"].pop("cost") == 0
    assert found == host_says
    assert answer.headers["x-tollhouse-fidelity"] == "full"


async def test_a_stream_that_is_passed_through() -> None:
    """Its objects are the host's, as events or as an array."""
    host_says = [said("He"), said("llo", finishReason="STOP")]
    async with ChaosUpstream([Send(events(*host_says))]) as upstream, opened(gemini_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":streamGenerateContent?alt=sse")
        array = await door.post(HI, HERE + ":streamGenerateContent")
        assert upstream.requests[1].target.endswith(":streamGenerateContent?alt=sse")
    for found in (answer.events, array.json):
        assert found[0] == host_says[0]
        assert found[1]["candidates"] == host_says[1]["candidates"]
        assert "cost" in found[1]["usageMetadata"]


@pytest.mark.parametrize("query", ["?alt=sse", ""])
async def test_a_stream_that_breaks_ends_with_an_error(query: str) -> None:
    """In the form that Google's SDKs look for; an array is whole JSON all the same."""
    broken = chunked(ROLE, delta({"content": "He"}))[:-5]
    async with ChaosUpstream([Send(broken), Close()]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":streamGenerateContent" + query)
        assert door.idle
    found = answer.events if query else answer.json
    assert texts(found[:-1]) == "He"
    assert found[-1]["error"]["code"] == 502
    assert list(found[-1]) == ["error"]


@pytest.mark.parametrize("query", ["?alt=sse", ""])
async def test_heartbeats(query: str) -> None:
    """While a host is silent, before its first word and between words, the answer stays one that can be read."""
    play: list[Step] = [Pause(0.5), Send(chunked(ROLE, delta({"content": "He"}))[:-5]), Pause(0.5)]
    rest = chunked(delta({"content": "llo"}), STOP, LAST_USAGE, DONE).partition(b"\r\n\r\n")[2]
    config = "[server]\nheartbeat_s = 0.1\n"
    async with ChaosUpstream([*play, Send(rest)]) as upstream, opened(config + openai_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":streamGenerateContent" + query)
    found = answer.events if query else answer.json
    assert texts(found) == "Hello"
    assert len(found) > 5 if query else b"\n\n" in answer.body


@pytest.mark.parametrize(
    ("path", "status", "word"),
    [
        ("/v1beta/models/nobody/m:generateContent", 404, "NOT_FOUND"),
        (HERE, 404, "NOT_FOUND"),
        (HERE + ":embedContent", 404, "NOT_FOUND"),
        (HERE + ":generateContent?api_base=x", 400, "INVALID_ARGUMENT"),
    ],
)
async def test_errors_have_googles_form(path: str, status: int, word: str) -> None:
    """Whatever is wrong with the path."""
    async with ChaosUpstream([Send(completion())]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(HI, path)
        assert upstream.requests == []
    assert (answer.status, answer.error["code"], answer.error["status"]) == (status, status, word)


async def test_an_error_of_the_host_is_told_in_googles_form() -> None:
    """With the status of the fault that it is."""
    async with ChaosUpstream([Send(failure(400, "too hot"))]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":generateContent")
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT")
    assert answer.error["message"] == "too hot"


async def test_keys(capfd: pytest.CaptureFixture[str]) -> None:
    """In Google's header or in the query of these paths alone; one in the query is written nowhere."""
    path = HERE + ":generateContent"
    async with ChaosUpstream([Send(completion())]) as upstream, opened(openai_host(upstream)) as door:
        header = await door.post(HI, path, authorization="", x_goog_api_key=door.key)
        query = await door.post(HI, f"{path}?alt=json&key={door.key}", authorization="")
        listed = await door.get(f"/v1beta/models?key={door.key}", authorization="")
        wrong = await door.post(HI, f"{path}?key=sk-WRONG-CANARY", authorization="")
        none = await door.post(HI, path, authorization="")
        other = await door.get(f"/v1/usage?key={door.key}", authorization="")
        asked = [request.head for request in upstream.requests]
    assert [one.status for one in (header, query, listed, wrong, none, other)] == [200, 200, 200, 401, 401, 401]
    assert wrong.error["status"] == none.error["status"] == "UNAUTHENTICATED"
    log = door.log.getvalue()
    assert b"route" in log
    captured = capfd.readouterr()
    for place in (log, *asked, captured.out.encode(), captured.err.encode()):
        assert door.key.encode() not in place
        assert b"CANARY-0" in place or b"CANARY" not in place


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta/models/up%2Fm:generateContent",
        "/v1beta/models/models/up/m%3AgenerateContent",
        "/v1/models/up/m:generateContent",
        "/v1beta1/publishers/up/models/m:generateContent",
        "/v1beta1/publishers/google/models/up/m:generateContent",
        "/v1/projects/p/locations/l/publishers/google/models/up/m:generateContent",
    ],
)
async def test_every_spelling_of_a_path(path: str) -> None:
    """With Google's prefixes or without, encoded or not, under each of its versions."""
    async with ChaosUpstream([Send(completion())]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(HI, path)
    assert answer.status == 200


async def test_the_same_name_for_another_model_or_method_is_a_mismatch() -> None:
    """An Idempotency-Key stands for the path too; the same request has its answer again, in its own form."""
    async with ChaosUpstream([Send(stream("a"))], [Send(completion())]) as upstream:
        async with opened(openai_host(upstream)) as door:
            first = await door.post(HI, HERE + ":streamGenerateContent", idempotency_key="k")
            again = await door.post(HI, HERE + ":streamGenerateContent", idempotency_key="k")
            other = await door.post(HI, HERE + ":generateContent", idempotency_key="k")
            assert len(upstream.requests) == 1
    assert again.body == first.body
    assert again.headers["content-type"] == "application/json"
    assert other.status == 422
    assert other.error["details"][0]["reason"] == "IDEMPOTENCY_KEY_REUSED"


# --- models ----------------------------------------------------------------------------------------------------------


async def test_models_in_pages() -> None:
    """Every name once, in Google's shape; a wrong token is refused."""
    config = '[models]\nquick = "tollhouse/sim"\n'
    async with opened(config) as door:
        openai = [model["id"] for model in (await door.get("/v1/models")).json["data"]]
        names: list[str] = []
        token = ""
        while True:
            page = (await door.get(f"/v1beta/models?pageSize=1&pageToken={token}")).json
            names += [model["name"] for model in page["models"]]
            if (token := page.get("nextPageToken", "")) == "":
                break
        wrong = await door.get("/v1beta/models?pageToken=x")
    assert names == [f"models/{name}" for name in openai]
    assert (wrong.status, wrong.error["status"]) == (400, "INVALID_ARGUMENT")


async def test_one_model() -> None:
    """By its name with or without Google's prefix; what is not there is a 404."""
    async with opened() as door:
        one = await door.get("/v1beta/models/tollhouse%2Fsim")
        prefixed = await door.get("/v1beta/models/models/tollhouse/sim")
        missing = await door.get("/v1beta/models/nobody")
    assert one.json["name"] == "models/tollhouse/sim"
    assert one.json["supportedGenerationMethods"] == ["generateContent", "streamGenerateContent", "countTokens"]
    assert one.json["inputTokenLimit"] > 0
    assert prefixed.json == one.json
    assert (missing.status, missing.error["status"]) == (404, "NOT_FOUND")


async def test_googles_sdks_are_told_models_in_their_shape_under_v1_too() -> None:
    """They are known by their headers: the SDK's own default version is v1."""
    async with opened() as door:
        listed = await door.get("/v1/models", x_goog_api_client="google-genai-sdk/3")
        one = await door.get("/v1/models/tollhouse/sim", x_goog_api_key=door.key, authorization="")
        missing = await door.get("/v1/models/nobody", x_goog_api_key=door.key)
        openai = await door.get("/v1/models")
    assert "models" in listed.json
    assert one.json["name"] == "models/tollhouse/sim"
    assert missing.error["status"] == "NOT_FOUND"
    assert openai.json["object"] == "list"


# --- tokens ----------------------------------------------------------------------------------------------------------


async def test_tokens_are_counted_by_a_host_that_speaks_the_dialect() -> None:
    """It is asked about the whole request, and its answer is passed on."""
    counted = {"totalTokens": 31, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 31}]}
    play = [Send(whole(json.dumps(counted).encode()))]
    asked = {**HI, "systemInstruction": {"parts": [{"text": "Be brief."}]}}
    async with ChaosUpstream(play) as upstream, opened(gemini_host(upstream)) as door:
        answer = await door.post(asked, HERE + ":countTokens")
        [sent] = upstream.requests
        assert door.idle
    assert answer.json == counted
    assert answer.headers["x-tollhouse-target"] == "up/m"
    assert sent.target.endswith("/models/m:countTokens")
    assert json.loads(sent.body) == {"generateContentRequest": {**asked, "model": "models/m"}}


@pytest.mark.parametrize("play", [whole(b'{"totalTokens": "x"}'), whole(b"{}"), failure(503)])
async def test_tokens_are_estimated_where_the_host_cannot_say(play: bytes) -> None:
    """And the header tells that."""
    async with ChaosUpstream([Send(play)]) as upstream, opened(gemini_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":countTokens")
    assert answer.json["totalTokens"] > 0
    assert answer.headers["x-tollhouse-target"] == "estimate"


async def test_tokens_are_estimated_where_a_policy_guards_prompts() -> None:
    """An alias whose policy may refuse or change prompts sends none to be counted."""
    alias = '[safety.policies.own]\npersonal = "mask"\n[models.guarded]\ntargets = ["up/m"]\nsafety = "own"\n'
    play = [Send(whole(b'{"totalTokens": 31}'))]
    async with ChaosUpstream(play) as upstream, opened(gemini_host(upstream) + alias) as door:
        guarded = await door.post(HI, "/v1beta/models/guarded:countTokens")
        assert upstream.requests == []
        plain = await door.post(HI, HERE + ":countTokens")
    assert guarded.headers["x-tollhouse-target"] == "estimate"
    assert plain.json["totalTokens"] == 31


async def test_tokens_for_any_other_host_are_estimated() -> None:
    """Nothing is asked; a request that is wrong is refused."""
    async with ChaosUpstream([Send(completion())]) as upstream, opened(openai_host(upstream)) as door:
        answer = await door.post(HI, HERE + ":countTokens")
        wrong = await door.post({"contents": 1}, HERE + ":countTokens")
        assert upstream.requests == []
    assert answer.json["totalTokens"] > 0
    assert wrong.error["status"] == "INVALID_ARGUMENT"


async def test_many_at_once_keep_their_arrays_apart() -> None:
    """Each array belongs to one answer."""

    async def ask(door: Door) -> Any:
        return (await door.post(HI, HERE + ":streamGenerateContent")).json

    async with ChaosUpstream([Send(stream("a", "b"))]) as upstream, opened(openai_host(upstream)) as door:
        answers = await asyncio.gather(*[ask(door) for _ in range(8)])
    assert [texts(answer) for answer in answers] == ["ab"] * 8
