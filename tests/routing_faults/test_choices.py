"""``n`` at a host that gives one choice at a time: asked that many times, put together, paid once, all or nothing."""

import asyncio
from typing import Any

import pytest

from tests.fakes.chaos import Await, ChaosUpstream, Hang, Pause, Reset, Send, Step, chunk
from tests.fakes.door import Answer
from tests.fakes.openai_wire import completion, delta, event, failure, stream, words
from tests.routing_faults.kit import ASK, BILLED_NUSD, PATIENT, STREAM, judged, outcomes, rested, served, settled
from tests.routing_faults.test_fallback import SSE

ONE = "quirks = { choices = false }"
N = 3


def texts(answer: Answer) -> dict[int, str]:
    """What each choice says, by its index, of a whole answer or a stream."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return {choice["index"]: choice["message"]["content"] for choice in answer.json["choices"]}
    found: dict[int, str] = {}
    for each in answer.events:
        for choice in each.get("choices", ()):
            found[choice["index"]] = found.get(choice["index"], "") + (choice["delta"].get("content") or "")
    return found


def asks(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The request for three."""
    return {**body, "n": N, **more}


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_each_choice_comes_under_its_index_and_usage_is_summed(*, streamed: bool) -> None:
    """Three requests without ``n``, three choices 0 to 2, one usage, one charge: three prompts and three answers."""
    replies = [[Send(stream("a", str(n)) if streamed else completion(f"a{n}"))] for n in range(N)]
    async with ChaosUpstream(*replies) as up, served(up, hosts=[ONE]) as door:
        ask = asks(STREAM, stream_options={"include_usage": True}) if streamed else asks(ASK)
        answer = await door.post(ask)
        assert answer.status == 200
        found = texts(answer)
        assert sorted(found) == [0, 1, 2]
        assert sorted(found.values()) == ["a0", "a1", "a2"]
        assert len(up.requests) == N
        assert not any(b'"n"' in request.body for request in up.requests)
        usage = answer.events[-1]["usage"] if streamed else answer.json["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (21, 9, 30)
        assert answer.headers["x-tollhouse-fidelity"] == "n=emulated"
        (hold,) = await judged(door)
        assert (hold.charge, hold.estimated) == (N * BILLED_NUSD, False)
        assert outcomes(await settled(door, answer)) == [("up0", "ok")]
        if streamed:
            assert answer.body.count(b'"finish_reason":"stop"') == N
            assert answer.body.count(b"[DONE]") == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_if_one_fails_the_trial_fails_and_the_next_route_answers(*, streamed: bool) -> None:
    """The others are hung up on; nothing of them is seen or paid, and the second route gives all three."""
    go: list[Step] = [Pause(0.1), Send(failure(500))]
    usual = [Send(stream("x") if streamed else completion("x"))]
    async with ChaosUpstream([Hang()], go, [Hang()]) as a, ChaosUpstream(usual) as b:
        async with served(a, b, hosts=[ONE, ONE], more=PATIENT) as door:
            answer = await door.post(asks(STREAM if streamed else ASK))
            assert texts(answer) == {0: "x", 1: "x", 2: "x"}
            assert answer.headers["x-tollhouse-target"] == "up1/m"
            for visit in (0, 2):
                await a.gone(visit)
            assert outcomes(await settled(door, answer)) == [("up0", "upstream_bad_response"), ("up1", "ok")]
            assert [hold.charge for hold in await judged(door)] == [N * BILLED_NUSD]


async def test_all_failing_at_once_is_one_failed_attempt() -> None:
    """Three errors are one attempt on record."""
    async with ChaosUpstream([Send(failure(503))]) as up, served(up, hosts=[ONE]) as door:
        answer = await door.post(asks(ASK))
        assert answer.status == 503
        assert outcomes(await settled(door, answer)) == [("up0", "upstream_unavailable")]


async def test_one_that_breaks_off_in_mid_stream_ends_the_stream_with_an_error() -> None:
    """What all three said until then is charged, as interrupted; the others are hung up on."""
    go = asyncio.Event()
    begun = Send(SSE + b"".join(chunk(part) for part in words("a")))
    async with ChaosUpstream([begun, Hang()], [begun, Await(go), Reset()], [begun, Hang()]) as up:
        async with served(up, hosts=[ONE], more=PATIENT) as door:
            asyncio.get_running_loop().call_later(0.1, go.set)
            answer = await door.post(asks(STREAM))
            assert answer.error["code"] == "upstream_interrupted"
            assert texts(answer) == {0: "a", 1: "a", 2: "a"}
            for visit in range(N):
                await up.gone(visit)
            (hold,) = await judged(door)
            assert (hold.state, hold.interrupted) == ("settled", True)


async def test_an_error_told_in_the_same_breath_as_the_first_words_is_not_lost() -> None:
    """A stream that fails in the read that began it makes the whole answer an error, though the others end well."""
    error = event({"error": {"message": "x", "type": "overloaded_error"}})
    broken = Send(SSE + chunk(delta({"content": "b"}) + error) + b"0\r\n\r\n")
    usual = [Send(stream("a"))]
    async with ChaosUpstream(usual, [broken], usual) as up, served(up, hosts=[ONE]) as door:
        answer = await door.post(asks(STREAM))
        assert b"[DONE]" not in answer.body
        assert answer.error["code"]


async def test_two_that_break_off_at_once_are_one_error() -> None:
    """No read is left without anybody to look at how it ended."""
    go = asyncio.Event()
    begun = Send(SSE + b"".join(chunk(part) for part in words("a")))
    async with ChaosUpstream([begun, Await(go), Reset()]) as up, served(up, hosts=[ONE], more=PATIENT) as door:
        asyncio.get_running_loop().call_later(0.1, go.set)
        assert (await door.post(asks(STREAM))).error["code"] == "upstream_interrupted"
        await rested(door)


async def test_usage_that_one_host_left_out_is_estimated() -> None:
    """A sum with a part missing is no usage: all is estimated, and flagged."""
    bare = completion("a").replace(b'"usage"', b'"used_"')
    async with ChaosUpstream([Send(completion("a"))], [Send(bare)]) as up, served(up, hosts=[ONE]) as door:
        answer = await door.post(asks(ASK))
        assert answer.status == 200
        (hold,) = await judged(door)
        assert hold.estimated
        assert hold.output > 0
        assert answer.json["usage"]["completion_tokens"] == hold.output


@pytest.mark.parametrize("streamed", [False, True], ids=["json", "stream"])
async def test_a_client_that_leaves_hangs_up_on_all(*, streamed: bool) -> None:
    """Every socket is closed, nothing is held."""
    async with ChaosUpstream([Hang()]) as up, served(up, hosts=[ONE], more=PATIENT) as door:
        _, writer = await door.send("POST", "/v1/chat/completions", asks(STREAM if streamed else ASK))
        await up.arrived(N)
        writer.close()
        for visit in range(N):
            await up.gone(visit)
        assert [hold.state for hold in await judged(door)] == ["released"]


async def test_a_host_that_takes_n_is_asked_once() -> None:
    """Only a host that is known to give one is asked several times."""
    async with ChaosUpstream([Send(completion("x"))]) as up, served(up) as door:
        assert (await door.post(asks(ASK))).status == 200
        assert len(up.requests) == 1
        assert b'"n":3' in up.requests[0].body
