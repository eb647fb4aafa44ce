"""``failover = "mid-stream"``: an answer that breaks off goes on at another target, and the join cannot be seen."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Pause, Reset, Send, Step, chunk
from tests.fakes.door import Answer, Door
from tests.fakes.openai_wire import delta, event, stream, words
from tests.routing_faults.kit import STREAM, judged, outcomes, served, settled, view
from tests.routing_faults.test_fallback import SSE
from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.gateway.meter import estimate_prompt

MID = 'failover = "mid-stream"'
BEGUN = "The quick brown fox jumps over "
REST = "the lazy dog."


def able(way: str = "plain") -> str:
    """Lines of a host that can go on with an answer."""
    return f'quirks = {{ prefix = "{way}" }}'


def cut(*texts: str, by: Step | None = None, more: tuple[bytes, ...] = ()) -> list[Step]:
    """A stream that says this and breaks off."""
    parts = b"".join([chunk(part) for part in (*words(*texts), *more)])
    return [Send(SSE + parts), Pause(0.02), by or Reset()]


@asynccontextmanager
async def pair(
    first: list[Step], second: list[Step], way: str = "plain", **settings: Any
) -> AsyncIterator[tuple[Door, ChaosUpstream]]:
    """Two routes, the second of which can go on with what the first began."""
    async with ChaosUpstream(first) as a, ChaosUpstream(second) as b:
        hosts = settings.pop("hosts", ["", able(way)])
        async with served(a, b, alias=MID, hosts=hosts, **settings) as door:
            yield door, b


def is_whole(answer: Answer) -> bool:
    """Whether a stream ended as it should, with nothing twice."""
    assert answer.body.count(b'"finish_reason":"stop"') == 1
    assert b'"error"' not in answer.body
    return answer.ended and answer.lines[-1] == b"[DONE]"


CONTINUATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "a host that goes on": ("plain", ("the lazy ", "dog.")),
    "one that begins with the blank": ("plain", (" the lazy ", "dog.")),
    "one whose blank comes alone": ("plain", (" ", "the lazy dog.")),
    "one that repeats all": ("prefix", (BEGUN + "the lazy dog.",)),
    "one that repeats in pieces": ("prefix", ("The quick brown ", "fox jumps ", "over ", "the lazy dog.")),
    "one that repeats without the blank": ("prefix", (BEGUN.rstrip(), " the lazy dog.")),
    "one that repeats unannounced": ("plain", (BEGUN + "the lazy ", "dog.")),
    "one letter at a time": ("prefix", tuple(BEGUN + REST)),
}


@pytest.mark.parametrize("by", [Reset(), Close(), Hang()], ids=["reset", "fin", "stall"])
@pytest.mark.parametrize("name", CONTINUATIONS)
async def test_the_join_is_byte_exact(name: str, by: Step) -> None:
    """However the answer breaks off and however the next host goes on, the client reads the text once, whole."""
    way, texts = CONTINUATIONS[name]
    async with pair(cut("The quick ", "brown fox jumps over ", by=by), [Send(stream(*texts))], way) as (door, second):
        answer = await door.post(STREAM)
        assert answer.text == BEGUN + REST
        assert is_whole(answer)
        sent = json.loads(second.requests[0].body)["messages"][-1]
        assert sent["role"] == "assistant"
        assert sent["content"] == BEGUN.rstrip()
        assert sent.get("prefix", False) is (way == "prefix")


@pytest.mark.parametrize(("begun", "rest"), [("ha ", "ha ha!"), ("1", "10"), ("a", "and"), ("no\n\n", "no\n\nno")])
async def test_words_that_are_the_same_by_chance_are_no_repetition(begun: str, rest: str) -> None:
    """A host that does not repeat may go on with what the answer began with."""
    async with pair(cut(begun), [Send(stream(rest))]) as (door, _):
        assert (await door.post(STREAM)).text == begun + rest


@pytest.mark.parametrize("begun", ["one\n\n", "one \t", "  one", "漢字 ", "e\u0301 👩‍👩‍👧 "])
async def test_blanks_and_any_script_are_joined_as_they_are(begun: str) -> None:
    """What stands at the end of the first part is neither lost nor doubled."""
    async with pair(cut(begun), [Send(stream("two"))]) as (door, _):
        assert (await door.post(STREAM)).text == begun + "two"


async def test_one_charge_a_note_and_both_attempts_on_record() -> None:
    """The prompt is paid once and all that was delivered, estimated; the last event names both targets."""
    async with pair(cut(BEGUN), [Send(stream(REST))]) as (door, second):
        answer = await door.post({**STREAM, "stream_options": {"include_usage": True}})
        assert is_whole(answer)
        last = answer.events[-1]
        assert [each["_failover"] for each in answer.events if "_failover" in each] == [["up0/m", "up1/m"]]
        receipt = await settled(door, answer)
        assert outcomes(receipt) == [("up0", "upstream_interrupted"), ("up1", "ok")]
        (hold,) = await judged(door)
        begun, prompt = estimate_tokens(BEGUN), estimate_prompt(STREAM)
        assert hold.state == "settled"
        assert hold.target == "up1/m"
        assert hold.estimated
        assert not hold.interrupted
        assert abs(hold.output - (begun + 3)) <= 2  # the second host's own count, and the estimate of the first's
        assert abs(last["usage"]["completion_tokens"] - hold.output) <= 2
        assert abs(last["usage"]["prompt_tokens"] - prompt) <= 2
        sent = json.loads(second.requests[0].body)
        assert sent["max_tokens"] <= 50 - begun + 2  # no more than what is left of the client's cap
        assert view(door, "up0").failures == 1


async def test_a_second_cut_goes_on_a_second_time() -> None:
    """Each target is asked once, until one ends the answer."""
    async with ChaosUpstream(cut("one ")) as a, ChaosUpstream(cut("two ")) as b:
        async with ChaosUpstream([Send(stream("three"))]) as c:
            async with served(a, b, c, alias=MID, hosts=["", able(), able("partial")]) as door:
                answer = await door.post(STREAM)
                assert answer.text == "one two three"
                assert is_whole(answer)
                assert answer.events[-1]["_failover"] == ["up0/m", "up1/m", "up2/m"]
                sent = json.loads(c.requests[0].body)["messages"][-1]
                assert sent == {"role": "assistant", "content": "one two", "partial": True}
                assert [hold.state for hold in await judged(door)] == ["settled"]


async def test_when_nobody_is_left_the_stream_ends_with_its_error() -> None:
    """After a second cut without a third target the client has what came, an error event, and one charge for it."""
    async with pair(cut("one "), cut("two ")) as (door, _):
        answer = await door.post(STREAM)
        assert answer.text.startswith("one two")
        assert answer.error["code"] == "upstream_interrupted"
        assert answer.body.count(b'"error"') == 1
        (hold,) = await judged(door)
        assert (hold.state, hold.interrupted) == ("settled", True)


async def test_a_target_that_fails_to_go_on_is_passed_over() -> None:
    """A target that gives an error where it should go on is an attempt like any other: the next one goes on."""
    async with ChaosUpstream(cut("one ")) as a, ChaosUpstream([Close()]) as b:
        async with ChaosUpstream([Send(stream("two"))]) as c:
            async with served(a, b, c, alias=MID, hosts=["", able(), able()]) as door:
                answer = await door.post(STREAM)
                assert answer.text == "one two"
                assert is_whole(answer)


CALL = delta({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}]})
OTHER = delta({"content": "x"}).replace(b'"index": 0', b'"index": 1')

HOPELESS: dict[str, tuple[list[Step], dict[str, Any], str]] = {
    "no ability": (cut("one "), {}, ""),
    "a tool call has begun": (cut(more=(CALL,)), {}, able()),
    "a tool call after words": (cut("one ", more=(CALL,)), {}, able()),
    "several choices": (cut("one ", more=(OTHER,)), {"n": 2}, able()),
    "several asked for, one begun": (cut("one "), {"n": 2}, able()),
    "log probabilities": (
        cut(more=(delta({"content": "one "}).replace(b'"logprobs": null', b'"logprobs": {"content": [{}]}'),)),
        {},
        able(),
    ),
    "a refusal": (cut(more=(delta({"refusal": "I can"}),)), {}, able()),
}  # fmt: skip


@pytest.mark.parametrize("name", HOPELESS)
async def test_what_cannot_go_on_ends_with_an_error_event(name: str) -> None:
    """The next target is not asked; what was delivered is charged once, as an interrupted answer."""
    play, ask, host = HOPELESS[name]
    async with pair(play, [Send(stream("two"))], hosts=["", host]) as (door, second):
        answer = await door.post({**STREAM, **ask})
        assert answer.status == 200
        assert answer.error["code"] == "upstream_interrupted"
        assert b"[DONE]" not in answer.body
        assert not second.requests
        (hold,) = await judged(door)
        assert (hold.state, hold.interrupted) == ("settled", True)


async def test_an_answer_that_only_thought_begins_anew() -> None:
    """Thoughts are not handed on: the next target starts the answer, whether or not it can go on with one."""
    async with pair(cut(more=(delta({"reasoning_content": "hm"}),)), [Send(stream("fine"))], hosts=[]) as (
        door,
        second,
    ):
        answer = await door.post(STREAM)
        assert answer.text == "fine"
        assert is_whole(answer)
        assert json.loads(second.requests[0].body)["messages"] == STREAM["messages"]


async def test_an_error_event_in_mid_stream_is_a_break_too() -> None:
    """D8: an error that the host tells in its stream is not shown where the answer goes on."""
    error = event({"error": {"message": "sk-leak-0123456789", "type": "overloaded_error"}})
    async with pair(cut(BEGUN, more=(error,)), [Send(stream(REST))]) as (door, _):
        answer = await door.post(STREAM)
        assert answer.text == BEGUN + REST
        assert is_whole(answer)


async def test_without_the_setting_nothing_goes_on() -> None:
    """By default a broken stream is an error event (C1), however able the next target is."""
    async with ChaosUpstream(cut("one ")) as a, ChaosUpstream([Send(stream("two"))]) as b:
        async with served(a, b, hosts=[able(), able()]) as door:
            assert (await door.post(STREAM)).error["code"] == "upstream_interrupted"
            assert not b.requests


async def test_continuations_are_paid_from_the_budget_for_retries() -> None:
    """When every stream breaks off, hosts are sent no more extra requests than the budget allows."""
    more = "[routing]\nretry_budget_ratio = 0.2\nretry_min_rate = 0.0\nbreaker_failures = 1000\nbreaker_ratio = 1.0\n"
    async with ChaosUpstream(cut("one ")) as a, ChaosUpstream([Send(stream("two"))]) as b:
        async with served(a, b, alias=MID, hosts=["", able()], more=more) as door:
            answers = [await door.post(STREAM) for _ in range(15)]
            assert len(a.requests) == 15
            assert len(b.requests) == 3
            assert sum(answer.text == "one two" for answer in answers) == 3
