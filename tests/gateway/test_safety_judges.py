"""Judges in the pipeline: gates and observers, of prompts and answers, whole and streamed; their time and cost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Hang, Pause, Send, Step
from tests.fakes.door import Answer, eventually
from tests.fakes.openai_wire import completion, stream
from tests.faults.kit import judged
from tests.gateway.judges_kit import answered, body_of
from tests.gateway.safety_kit import HELLO, PLAIN, THREAT, TOLERANT, House, aliases, paced, told, watched
from tests.routing_faults.kit import BILLED_NUSD

NOTHING: dict[str, Any] = {"findings": []}
VIOLENT: dict[str, Any] = {"findings": [{"category": "violence", "severity": "high"}]}
FOUND = {"filtered": True, "severity": "high", "origin": "own"}
SEEN = {"filtered": False, "severity": "high", "origin": "own"}
SAFE = {"filtered": False, "severity": "safe"}
FAILED = {"code": 503, "message": "Did not answer: own."}
MISSED = {"code": 503, "message": "Did not answer: own. Nothing passes without a verdict from: own."}
COST_NUSD = 100_000
both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])


@asynccontextmanager
async def judging(
    play: Sequence[Step], when: str, side: str, on_failure: str = "open", deadline_ms: int = 2000
) -> AsyncIterator[House]:
    """A gateway with one judge, and the policy ``judged`` that names it."""
    async with ChaosUpstream(play) as hook:
        judge = (
            f'[safety.judges.own]\nkind = "webhook"\nurl = "{hook.url}"\nwhen = "{when}"\nsides = ["{side}"]\n'
            f'on_failure = "{on_failure}"\ndeadline_ms = {deadline_ms}\ncost_usd = 0.0001\n'
        )
        rules = TOLERANT.replace('violence = "off"', 'violence = "high"')
        policies = "".join(
            [
                f'[safety.policies.{name}]\n{rules}judges = ["own"]\n{mode}'
                for name, mode in (("judged", ""), ("advised", 'mode = "annotate"\n'))
            ]
        )
        async with watched(judge + policies + aliases(names=["judged", "advised"])) as house:
            house.hook = hook
            yield house


def reply(streamed: bool) -> bytes:
    """What the model answers."""
    return stream(PLAIN[:10], PLAIN[10:]) if streamed else completion(PLAIN)


async def costs(house: House) -> dict[str, int]:
    """What the operator has spent, by who was paid."""
    await judged(house.door)
    query = (
        "SELECT account.name, sum(entry.amount) FROM entry JOIN account ON account.id = entry.account"
        " WHERE account.name LIKE 'provider:%' GROUP BY account.name"
    )
    rows = house.door.app.parts.books.store.read_now(lambda db: db.execute(query).fetchall())
    return {str(name): abs(int(str(amount))) for name, amount in rows}


@both_ways
async def test_a_gate_shuts_a_prompt_out(streamed: bool) -> None:
    """What a judge finds in a prompt blocks it before any host hears of it; the judge is paid, the client is not
    charged.
    """
    async with judging(answered(VIOLENT), "gate", "prompt") as house:
        answer = await house.ask("judged", reply(streamed), stream=streamed)
        receipt = await house.receipt(answer)
        assert house.sent == []
        assert (receipt["state"], receipt["cost_usd"]) == ("released", "0.00")
        assert receipt["safety"]["blocked"] == "prompt"
        assert (await costs(house))["provider:judge:own:cost"] == COST_NUSD
        (asked,) = [body_of(request) for request in house.hook.requests]
    assert (answer.status, answer.error["code"]) == (400, "content_filter")
    assert answer.error["innererror"]["content_filter_result"]["violence"] == FOUND
    assert (asked["side"], asked["prompt"]) == ("prompt", HELLO[0]["content"])


@both_ways
async def test_a_gate_lets_a_prompt_pass(streamed: bool) -> None:
    """Then the answer is as ever, and the charge is the answer's alone."""
    async with judging(answered(NOTHING), "gate", "prompt") as house:
        answer = await house.ask("judged", reply(streamed), stream=streamed)
        (hold,) = await judged(house.door)
        assert (await costs(house))["provider:judge:own:cost"] == COST_NUSD
    assert told(answer).texts == {0: PLAIN}
    assert told(answer).prompt["violence"] == SAFE
    assert (hold.state, hold.charge) == ("settled", BILLED_NUSD)


@both_ways
async def test_a_gate_withholds_an_answer(streamed: bool) -> None:
    """All of it waits for the verdict, streamed too; it was generated, and is charged as its host counts it."""
    async with judging(answered(VIOLENT), "gate", "completion") as house:
        answer = await house.ask("judged", reply(streamed), stream=streamed)
        (hold,) = await judged(house.door)
        (asked,) = [body_of(request) for request in house.hook.requests]
        assert (await costs(house))["provider:judge:own:cost"] == COST_NUSD
    found = told(answer)
    assert (found.texts, found.reasons) == ({0: ""}, {0: "content_filter"})
    assert found.completion[0]["violence"] == FOUND
    assert PLAIN[:10].encode() not in answer.body
    assert (asked["side"], asked["completion"]) == ("completion", PLAIN)
    assert (hold.state, hold.charge) == ("settled", BILLED_NUSD)


async def test_a_clean_answer_passes_a_gate_whole() -> None:
    """The stream comes in its order once the judge has spoken; heartbeats keep the client's connection meanwhile."""
    async with judging([Pause(0.3), *answered(NOTHING)], "gate", "completion") as house:
        answer = await house.ask("judged", stream(*PLAIN), stream=True)
    assert told(answer).texts == {0: PLAIN}
    assert told(answer).completion[0]["violence"] == SAFE


@both_ways
@pytest.mark.parametrize("side", ["prompt", "completion"])
async def test_an_observer_tells_and_blocks_nothing(side: str, streamed: bool) -> None:
    """What it finds is told in the results, of a stream in its last chunk, and the text has passed."""
    async with judging(answered(VIOLENT), "observe", side) as house:
        answer = await house.ask("judged", reply(streamed), stream=streamed)
        receipt = await house.receipt(answer)
        assert (await costs(house))["provider:judge:own:cost"] == COST_NUSD
    found = told(answer)
    assert (found.texts, found.reasons) == ({0: PLAIN}, {0: "stop"})
    assert (found.prompt if side == "prompt" else found.completion[0])["violence"] == SEEN
    assert receipt["safety"] == {"policy": "judged", side: {"violence": "high"}}


@both_ways
async def test_an_observer_is_asked_beside_the_answer(streamed: bool) -> None:
    """A slow one does not keep the prompt from the host."""
    async with judging([Pause(0.3), *answered(NOTHING)], "observe", "prompt") as house:
        asking = asyncio.create_task(house.ask("judged", reply(streamed), stream=streamed))
        await eventually(lambda: house.up.requests and house.hook.requests, within_s=0.25)
        answer: Answer = await asking
    assert told(answer).texts == {0: PLAIN}


@both_ways
@pytest.mark.parametrize("side", ["prompt", "completion"])
@pytest.mark.parametrize(("when", "on_failure"), [("gate", "open"), ("gate", "closed"), ("observe", "open")])
async def test_a_judge_that_does_not_answer(when: str, on_failure: str, side: str, streamed: bool) -> None:
    """At its deadline the text goes on and the results name it; where the gate is closed in doubt, a prompt is a 503
    that was sent nowhere and costs nothing, and an answer is withheld with the reason told.
    """
    async with judging([Hang()], when, side, on_failure, deadline_ms=100) as house:
        answer = await house.ask("judged", reply(streamed), stream=streamed)
        receipt = await house.receipt(answer)
        sent = len(house.sent)
    assert receipt["safety"]["failed"] == ["own"]
    closed = on_failure == "closed"
    assert receipt["safety"].get("blocked") == (side if closed else None)
    if closed and side == "prompt":
        assert (answer.status, answer.error["code"], sent) == (503, "safety_unavailable", 0)
        assert (answer.headers["retry-after"], answer.error["error_id"]) == ("1", "SAFETY_UNAVAILABLE")
        assert (receipt["state"], receipt["cost_usd"]) == ("released", "0.00")
        return
    found = told(answer)
    assert found.texts == {0: "" if closed else PLAIN}
    assert (found.prompt if side == "prompt" else found.completion[0])["error"] == (MISSED if closed else FAILED)
    assert found.reasons == {0: "content_filter" if closed else "stop"}


async def test_a_prompt_without_a_verdict_is_an_error_in_other_dialects_too() -> None:
    """Anthropic's and Google's clients get their own form of a 503, with the same time to wait."""
    native = {"messages": HELLO, "max_tokens": 50}, {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    async with judging([Hang()], "gate", "prompt", "closed", deadline_ms=100) as house:
        by_anthropic = await house.door.post({"model": "judged", **native[0]}, "/v1/messages")
        by_google = await house.door.post(native[1], "/v1beta/models/judged:generateContent")
        assert house.sent == []
    for answer in (by_anthropic, by_google):
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert b"SAFETY_UNAVAILABLE" in answer.body
        assert b"content_filter" not in answer.body


async def test_a_policy_that_annotates_blocks_by_no_judge() -> None:
    """What a gate finds under it is told, and passes."""
    async with judging(answered(VIOLENT), "gate", "prompt") as house:
        found = told(await house.ask("advised", completion(PLAIN)))
    assert found.texts == {0: PLAIN}
    assert found.prompt["violence"] == SEEN


async def test_a_blocked_prompt_costs_no_judge() -> None:
    """What the policy blocks by itself is shown to nobody."""
    async with judging(answered(NOTHING), "gate", "prompt") as house:
        answer = await house.ask("judged", completion(PLAIN), messages=[{"role": "user", "content": THREAT}])
        assert answer.status == 400
        assert house.hook.requests == []


@pytest.mark.parametrize("side", ["prompt", "completion"])
async def test_a_client_that_leaves_while_a_judge_thinks(side: str) -> None:
    """The judge is left too, nothing stays held, and an answer that was generated is paid for."""
    async with judging([Hang()], "gate", side, deadline_ms=5000) as house:
        house.up.plays = [paced()] if side == "prompt" else [[Send(completion(PLAIN))]]
        asked = {"model": "judged", "messages": HELLO, "max_tokens": 50}
        _, writer = await house.door.send("POST", "/v1/chat/completions", asked)
        await house.hook.arrived()
        writer.close()
        await house.hook.gone()
        (hold,) = await judged(house.door)
    assert (hold.state, hold.charge) == (("released", 0) if side == "prompt" else ("settled", BILLED_NUSD))


async def test_each_of_several_choices_is_judged() -> None:
    """A judge is asked about each, and withholds the one."""
    choices = [
        {"index": index, "message": {"role": "assistant", "content": f"{PLAIN} {index}"}, "finish_reason": "stop"}
        for index in (0, 1)
    ]
    async with judging([], "gate", "completion") as house:
        house.hook.plays = [answered(VIOLENT), answered(NOTHING)]
        found = told(await house.ask("judged", completion(choices=choices), n=2))
        assert len(house.hook.requests) == 2
        assert (await costs(house))["provider:judge:own:cost"] == 2 * COST_NUSD
    assert sorted(found.reasons.values()) == ["content_filter", "stop"]
