"""Checks of a text with a client of the openai SDK, whose transport is the test's own."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from tollhouse.client import (
    CHILD_SAFE,
    STRICT,
    check_by_chat,
    check_by_chat_async,
    check_text,
    check_text_async,
)

FLAGGED = {
    "id": "modr-1",
    "model": "local-words-v1",
    "results": [{"flagged": True, "content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}],
}
LOW = {
    "id": "modr-2",
    "model": "local-words-v1",
    "results": [{"flagged": False, "content_filter_results": {"hate": {"filtered": False, "severity": "low"}}}],
}
BLOCKED = {
    "error": {
        "message": "m",
        "code": "content_filter",
        "innererror": {"content_filter_result": {"sexual": {"filtered": True, "severity": "high"}}},
    }
}
ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []}


def answering(status: int, body: object, seen: list[Any]) -> Callable[[httpx2.Request], httpx2.Response]:
    """A transport that answers with ``body`` and keeps what it was asked."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append((request.url.path, json.loads(request.content)))
        return httpx2.Response(status, json=body)

    return answer


def sdk(status: int, body: object, seen: list[Any]) -> openai.OpenAI:
    """The blocking client."""
    transport = httpx2.MockTransport(answering(status, body, seen))
    return openai.OpenAI(
        base_url="http://t/v1", api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def async_sdk(status: int, body: object, seen: list[Any]) -> openai.AsyncOpenAI:
    """The other one."""
    transport = httpx2.MockTransport(answering(status, body, seen))
    return openai.AsyncOpenAI(
        base_url="http://t/v1", api_key="k", max_retries=0, http_client=httpx2.AsyncClient(transport=transport)
    )


def test_by_the_moderations_endpoint() -> None:
    """One request, to the classifier inside unless another model is named; without a template, what was filtered."""
    seen: list[Any] = []
    check = check_text(sdk(200, FLAGGED, seen), "some text")
    assert (check.passed, check.failed_categories, check.evaluation) == (False, ("hate",), None)
    assert seen == [("/v1/moderations", {"model": "tollhouse/safety", "input": "some text"})]
    assert check_text(sdk(200, LOW, seen), "t", model="m").passed
    assert seen[-1][1]["model"] == "m"


def test_against_a_template() -> None:
    """With a template, its rule decides."""
    check = check_text(sdk(200, LOW, []), "t", template=STRICT)
    assert (check.passed, check.failed_categories) == (False, ("hate",))
    assert check.evaluation is not None
    assert check.evaluation.template == "strict"


def test_by_a_chat_completion() -> None:
    """One completion of at most 16 tokens; a prompt that is blocked is a result."""
    seen: list[Any] = []
    assert check_by_chat(sdk(200, ANSWER, seen), "hello", model="m").passed
    question = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 16}
    assert seen == [("/v1/chat/completions", question)]
    check = check_by_chat(sdk(400, BLOCKED, seen), "hello", model="m", template=CHILD_SAFE)
    assert (check.passed, check.failed_categories) == (False, ("sexual",))


def test_any_other_error_is_raised() -> None:
    """A wrong key is no verdict on a text."""
    wrong = {"error": {"message": "m", "code": "invalid_api_key"}}
    with pytest.raises(openai.AuthenticationError):
        check_by_chat(sdk(401, wrong, []), "hello", model="m")
    with pytest.raises(openai.AuthenticationError):
        check_text(sdk(401, wrong, []), "hello")


async def test_the_async_client() -> None:
    """The same, awaited."""
    assert not (await check_text_async(async_sdk(200, FLAGGED, []), "t")).passed
    assert (await check_by_chat_async(async_sdk(200, ANSWER, []), "t", model="m")).passed
    assert (await check_by_chat_async(async_sdk(400, BLOCKED, []), "t", model="m")).failed_categories == ("sexual",)
