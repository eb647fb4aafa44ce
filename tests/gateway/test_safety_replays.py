"""Answers that are given again: judged by the policy of who asks now, with all that was said of them then."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Answer, Door, opened
from tests.fakes.openai_wire import completion, stream
from tests.faults.kit import judged, pays
from tests.gateway.replay_kit import BOTH, is_sound, receipt, replay_of
from tests.gateway.safety_clients import ask_as, heard
from tests.gateway.safety_kit import FOUND, HELLO, NO_LIST, PLAIN, aliases, settings_of_policies, told
from tests.gateway.test_safety_dialects import native_plays
from tests.gateway.test_safety_upstream import claude_host
from tests.routing_faults.kit import QUICK, routes

CACHE = {"x_tollhouse_cache": "on"}
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@asynccontextmanager
async def keeping(*plays: bytes) -> AsyncIterator[tuple[Door, str, ChaosUpstream]]:
    """A gateway that keeps answers, the id of its client's key, and the host."""
    async with ChaosUpstream(*[[Send(play)] for play in plays]) as up:
        more = f"{QUICK}{BOTH}{settings_of_policies()}{aliases(names=['plain'])}"
        async with opened(routes(up, more=more)) as door:
            key = await pays(door)
            yield door, key, up
            assert is_sound(door)


async def under(door: Door, key: str, policy: str | None) -> None:
    """Puts a key under a policy."""
    await door.app.parts.books.office.act("ada", lambda desk: desk.change(key, {"safety": policy}))


async def ask(door: Door, *, stream: bool = False) -> Answer:
    """The request whose answer is kept."""
    return await door.post(
        {"model": "plain", "messages": HELLO, "max_tokens": 50, "seed": 7, "stream": stream}, **CACHE
    )


@both_ways
async def test_a_kept_answer_is_judged_by_who_asks_now(streamed: bool) -> None:
    """What a policy let pass is kept, and withheld from a key whose policy forbids it, whole and streamed."""
    async with keeping(completion("Here is your venom.")) as (door, key, up):
        first = await ask(door)
        assert told(first).texts == {0: "Here is your venom."}
        for policy in ("answers", "later"):
            await under(door, key, policy)
            answer = await ask(door, stream=streamed)
            assert replay_of(answer)[1] == first.headers["x-request-id"]
            assert told(answer).reasons == {0: "content_filter"}
            assert told(answer).completion[0].items() >= FOUND.items()
            if policy == "answers" or not streamed:
                assert b"venom" not in answer.body
            assert (await receipt(door, answer))["safety"]["blocked"] == "completion"
        await under(door, key, None)
        assert told(await ask(door, stream=streamed)).texts == {0: "Here is your venom."}
        assert len(up.requests) == 1
        await judged(door)


@both_ways
async def test_what_was_withheld_is_not_kept(streamed: bool) -> None:
    """A key that may have the text asks anew, and is not given somebody's refusal."""
    bad = stream("ven", "om") if streamed else completion("venom")
    async with keeping(bad, bad) as (door, key, up):
        await under(door, key, "answers")
        assert told(await ask(door, stream=streamed)).reasons == {0: "content_filter"}
        await under(door, key, None)
        again = await ask(door, stream=streamed)
        assert (told(again).texts, replay_of(again)) == ({0: "venom"}, (None, None))
        assert len(up.requests) == 2


@both_ways
async def test_what_a_host_said_is_kept_with_its_answer(streamed: bool) -> None:
    """A replay is annotated as the first answer was, and blocked by what the host said then."""
    results = {"violence": {"filtered": False, "severity": "high"}}
    choice = {"index": 0, "message": {"role": "assistant", "content": PLAIN}, "finish_reason": "stop"}
    prompt = [{"prompt_index": 0, "content_filter_results": {"sexual": {"filtered": False, "severity": "low"}}}]
    play = completion(choices=[{**choice, "content_filter_results": results}], prompt_filter_results=prompt)
    async with keeping(play) as (door, key, up):
        first = told(await ask(door))
        again = told(await ask(door, stream=streamed))
        assert again == first
        assert again.completion[0]["violence"] == {"filtered": False, "severity": "high", "origin": "upstream"}
        assert again.prompt["sexual"] == {"filtered": False, "severity": "low", "origin": "upstream"}
        await under(door, key, "hosts")
        blocked = told(await ask(door, stream=streamed))
        assert (blocked.texts, blocked.reasons) == ({0: ""}, {0: "content_filter"})
        assert len(up.requests) == 1


async def test_a_prompt_that_is_blocked_is_given_nothing() -> None:
    """Nobody gets an answer to a prompt that their policy blocks, though it is kept."""
    poisoned = {"model": "plain", "messages": [{"role": "user", "content": "venom?"}], "max_tokens": 50, "seed": 7}
    async with keeping(completion(PLAIN)) as (door, key, up):
        assert (await door.post(poisoned, **CACHE)).status == 200
        await under(door, key, "listed")
        answer = await door.post(poisoned, **CACHE)
        assert (answer.status, answer.error["code"]) == (400, "content_filter")
        holds = await judged(door)
        assert [hold.state for hold in holds] == ["settled", "released"]
        assert len(up.requests) == 1


async def test_what_was_passed_through_is_not_given_to_those_who_may_be_refused() -> None:
    """An answer in a host's own dialect cannot be taken apart: under a policy that blocks, the host is asked anew."""
    steps = native_plays("anthropic", "a venom")
    async with ChaosUpstream(*[steps[0]] * 3) as up:
        cached = f"{BOTH}{settings_of_policies()}{claude_host(up)}{aliases('up/m')}"
        async with opened(cached) as door:
            asked: dict[str, Any] = {"max_tokens": 50, "messages": HELLO}
            for policy, requests, reason in (
                ("told", 1, "end_turn"),
                ("told", 1, "end_turn"),
                ("answers", 2, "refusal"),
            ):
                answer = await door.post({"model": policy, **asked}, "/v1/messages", **CACHE)
                assert answer.json["stop_reason"] == reason
                assert len(up.requests) == requests


@both_ways
async def test_other_dialects_are_told_of_replays_too(streamed: bool) -> None:
    """What an OpenAI client had kept is annotated and blocked for clients of other dialects."""
    async with keeping(completion("a venom")) as (door, key, up):
        await ask(door)
        for policy, client, reason in (("told", "anthropic", "end_turn"), ("answers", "anthropic", "refusal")):
            await under(door, key, policy)
            answer = await ask_as(door, client, "plain", stream=streamed)
            found = heard(answer, client, stream=streamed)
            assert found.reason == reason
            assert found.completion[0]["custom_blocklists"]["details"]
        assert NO_LIST.keys() <= found.prompt.keys()
        assert len(up.requests) <= 3
