"""Answers that are given again to clients of any dialect, from what was passed through and from what was translated."""

import json
from typing import Any

import msgspec
import pytest

from tests.dialects.anthropic.assembly import assembled
from tests.fakes.chaos import ChaosUpstream, Send, chunked, whole
from tests.fakes.door import Answer, Door, opened
from tests.fakes.openai_wire import completion
from tests.gateway import test_gemini_api as gemini
from tests.gateway import test_messages_api as messages
from tests.gateway.replay_kit import BOTH, kept, replay_of

CACHE = {"x_tollhouse_cache": "on"}
EVENTS = chunked(messages.OPENING, messages.WORD, messages.ENDING)
WHOLE = whole(json.dumps(messages.NATIVE).encode())
OBJECTS = gemini.events(gemini.said("Hel"), gemini.said("lo", finishReason="STOP"))
OBJECT = whole(json.dumps(gemini.said("Hello", finishReason="STOP")).encode())
BESIDE = ("_remaining_credits", "_balance_warning", "prompt_filter_results", "completion_filter_results")
"""Money and safety, which each answer is told anew: in a stream, in its last event."""


async def claude(door: Door, **more: Any) -> Answer:
    """A request as Anthropic's clients send it, for what is kept."""
    return await door.post({**messages.HI, **more}, messages.MESSAGES, **messages.VERSION, **CACHE)


async def google(door: Door, *, stream: bool, **more: Any) -> Answer:
    """A request as Google's clients send it, with a seed."""
    body = {**gemini.HI, "generationConfig": {"seed": 7}, **more}
    method = ":streamGenerateContent?alt=sse" if stream else ":generateContent"
    return await door.post(body, gemini.HERE + method)


def message_of(answer: Answer, *, stream: bool) -> Any:
    """Anthropic's message, without what stands beside it."""
    found = assembled(answer.body) if stream else answer.json
    found["usage"].pop("cost", None)
    return {name: value for name, value in found.items() if name not in BESIDE}


@pytest.mark.parametrize("first", [False, True])
async def test_one_entry_serves_every_dialect(first: bool) -> None:
    """What a host of OpenAI's dialect said to one client is given again to clients of two others, whole or streamed."""
    async with ChaosUpstream([Send(completion("Hello."))]) as up, opened(kept(up)) as door:
        made = await claude(door, stream=first)
        assert made.status == 200, made.body
        again = [await claude(door, stream=stream) for stream in (False, True)]
        assert message_of(again[0], stream=False)["content"] == [{"type": "text", "text": "Hello."}]
        assert message_of(again[1], stream=True)["content"] == message_of(again[0], stream=False)["content"]
        body = {"model": "both", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
        other = await door.post(body, **CACHE)
        assert replay_of(other) == ("cache", made.headers["x-request-id"])
        assert other.json["choices"][0]["message"]["content"] == "Hello."
        assert len(up.requests) == 1
        assert door.idle


@pytest.mark.parametrize("first", [False, True])
async def test_what_was_passed_through_is_passed_through_again(first: bool) -> None:
    """A message of a host that speaks the dialect is the same again, its own id and usage too, whole or streamed."""
    async with ChaosUpstream([Send(EVENTS if first else WHOLE)]) as up, opened(messages.claude(up, BOTH)) as door:
        made = message_of(await claude(door, stream=first), stream=first)
        for stream in (False, True, False):
            answer = await claude(door, stream=stream)
            assert replay_of(answer)[0] == "cache"
            assert message_of(answer, stream=stream) == made
        assert len(up.requests) == 1


async def test_a_passed_answer_is_for_its_dialect_alone() -> None:
    """A client of another dialect that asks the same gets an answer of its own; so does one with another beta."""
    async with ChaosUpstream([Send(WHOLE)]) as up, opened(messages.claude(up, BOTH)) as door:
        await claude(door)
        body = {"model": "both", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
        assert replay_of(await door.post(body, **CACHE)) == (None, None)
        other = await door.post(messages.HI, messages.MESSAGES, **messages.VERSION, **CACHE, anthropic_beta="b")
        assert replay_of(other) == (None, None)
        assert replay_of(await claude(door))[0] == "cache"
        assert len(up.requests) == 3


async def test_a_hosts_own_tool_is_used_anew() -> None:
    """A search that the host runs is not given again."""
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    async with ChaosUpstream([Send(WHOLE)]) as up, opened(messages.claude(up, BOTH)) as door:
        for _ in range(2):
            assert replay_of(await claude(door, tools=tools)) == (None, None)
        assert len(up.requests) == 2


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("native", [False, True])
async def test_geminis_own_seed_is_kept_to(first: bool, native: bool) -> None:
    """A seed in ``generationConfig`` gets the same text, whole or streamed, from a host of any dialect."""
    play = (OBJECTS if first else OBJECT) if native else completion("Hello")
    async with ChaosUpstream([Send(play)]) as up:
        host = gemini.gemini_host(up) if native else gemini.openai_host(up)
        async with opened(f"{BOTH}{host}") as door:
            made = await google(door, stream=first)
            assert made.status == 200, made.body
            for stream in (False, True):
                answer = await google(door, stream=stream)
                assert replay_of(answer) == ("seed", made.headers["x-request-id"])
                objects = answer.events if stream else [answer.json]
                assert gemini.texts(objects) == "Hello"
                assert objects[-1]["candidates"][0]["finishReason"] == "STOP"
                total = 5 if native else 10
                assert objects[-1]["usageMetadata"]["totalTokenCount"] == total
            assert len(up.requests) == 1


async def test_a_stream_in_an_array_is_given_again_as_one() -> None:
    """The form of Gemini's streams is the client's to choose, also of one that is given again."""
    async with ChaosUpstream([Send(OBJECTS)]) as up, opened(f"{BOTH}{gemini.gemini_host(up)}") as door:
        await google(door, stream=True)
        body = {**gemini.HI, "generationConfig": {"seed": 7}}
        answer = await door.post(body, gemini.HERE + ":streamGenerateContent")
        assert replay_of(answer)[0] == "seed"
        assert gemini.texts(msgspec.json.decode(answer.body)) == "Hello"
