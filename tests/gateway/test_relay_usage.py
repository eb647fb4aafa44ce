"""Usage in streams of the legacy completions: hosts are always asked for it, clients see it only where they asked."""

import json
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send, chunked
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import DONE, event
from tests.gateway.kit import hosts

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
ASK = {"model": "up0/m", "prompt": "hi", "stream": True}
ASKS_USAGE = {**ASK, "stream_options": {"include_usage": True}}


def said(text: str, reason: str | None = None, **more: Any) -> bytes:
    """One event of a completion."""
    choice = {"index": 0, "text": text, "finish_reason": reason, "logprobs": None}
    return event({"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice], **more})


ANSWER = chunked(
    said("a", usage=None),
    said("b", "stop", usage=None),
    event({"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [], "usage": USAGE}),
    DONE,
)


def metered(door: Door) -> tuple[int, int]:
    """Tokens of prompts and of answers."""
    return (
        door.count("tollhouse_tokens", "up0", "m", "input"),
        door.count("tollhouse_tokens", "up0", "m", "output"),
    )


@pytest.mark.parametrize("asked", [False, True])
async def test_a_stream_is_metered_whether_the_client_asked_or_not(*, asked: bool) -> None:
    """The host is asked for usage and its figures count; the client sees them exactly where it asked for them."""
    async with ChaosUpstream([Send(ANSWER)]) as up, opened(hosts(up)) as door:
        answer = await door.post(ASKS_USAGE if asked else ASK, "/v1/completions")
        assert answer.status == 200
        assert json.loads(up.requests[0].body)["stream_options"] == {"include_usage": True}
        assert metered(door) == (3, 2)
        assert [one["choices"][0]["text"] for one in answer.events if one["choices"]] == ["a", "b"]
        shown = [one["usage"] for one in answer.events if one.get("usage")]
        assert shown == ([{**USAGE, "cost": 0.0}] if asked else [])
        assert asked or not any("usage" in one or not one["choices"] for one in answer.events)
        assert answer.lines[-1] == b"[DONE]"


async def test_a_host_that_refuses_the_question_is_not_asked() -> None:
    """``stream_usage = false`` keeps ``stream_options`` from the host."""
    async with ChaosUpstream([Send(ANSWER)]) as up:
        text = hosts(up).replace("[models.both]", "[providers.up0.quirks]\nstream_usage = false\n[models.both]")
        async with opened(text) as door:
            assert (await door.post(ASKS_USAGE, "/v1/completions")).status == 200
            assert "stream_options" not in json.loads(up.requests[0].body)


async def test_a_whole_answer_is_not_touched() -> None:
    """Without a stream nothing is asked for, and usage is the client's to see."""
    whole = {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [], "usage": USAGE}
    body = json.dumps(whole).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    async with ChaosUpstream([Send(head + body)]) as up, opened(hosts(up)) as door:
        answer = await door.post({**ASK, "stream": False}, "/v1/completions")
        assert answer.json["usage"] == {**USAGE, "cost": 0.0}
        assert "stream_options" not in json.loads(up.requests[0].body)
        assert metered(door) == (3, 2)


async def test_an_event_over_the_cap_is_refused() -> None:
    """``max_event_bytes`` holds for every endpoint that streams."""
    long = chunked(said("x" * 5000), DONE)
    async with ChaosUpstream([Send(long)]) as up:
        async with opened(hosts(up, more="[upstream]\nmax_event_bytes = 2000")) as door:
            answer = await door.post(ASK, "/v1/completions")
            assert (answer.status, answer.error["code"]) == (502, "upstream_too_large")
