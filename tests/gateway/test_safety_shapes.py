"""The shape of safety results in OpenAI's answers: where they stand, what is always there, whatever an answer holds."""

from typing import Any

import pytest

from tests.fakes.chaos import Pause, Send, chunked
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, stream
from tests.gateway.safety_kit import (
    ATTACK,
    CLEAN_ANSWER,
    CLEAN_PROMPT,
    FILLER,
    FOUND,
    HARMS,
    NO_LIST,
    PLAIN,
    SEEN,
    THREAT,
    call,
    of_choice,
    paced,
    text,
    told,
    watched,
)

CALLED = {"role": "assistant", "content": None, "tool_calls": [call("f", '{"list": [3, 1, 2]}')]}
LEGACY = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"list": [3, 1, 2]}'}}
THOUGHT = {"role": "assistant", "content": PLAIN, "reasoning_content": "The argument is a list."}
SAID = {"role": "assistant", "content": PLAIN}
BLANK = {"role": "assistant", "content": ""}
SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "text": (SAID, "stop"),
    "tools": (CALLED, "tool_calls"),
    "function call": (LEGACY, "function_call"),
    "thoughts": (THOUGHT, "stop"),
    "nothing": (BLANK, "stop"),
    "cut short": (SAID, "length"),
}
USAGE_ASKED: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def whole(*messages: tuple[dict[str, Any], str]) -> bytes:
    """An answer with these choices."""
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": reason}
        for index, (message, reason) in enumerate(messages)
    ]
    return completion(choices=choices)


def streamed(message: dict[str, Any], reason: str) -> bytes:
    """The same as a stream of three chunks."""
    said = {name: value for name, value in message.items() if name != "role"}
    if calls := said.get("tool_calls"):
        said["tool_calls"] = [{"index": 0, **calls[0]}]
    return chunked(ROLE, delta(said), delta({}, reason), LAST_USAGE, DONE)


@pytest.mark.parametrize("shape", SHAPES)
async def test_every_answer_is_annotated(shape: str) -> None:
    """Whatever an answer holds, prompt and choice have all their members, whole and streamed, with usage or without."""
    async with watched() as house:
        for play, more in (
            (whole(SHAPES[shape]), {}),
            (streamed(*SHAPES[shape]), {"stream": True}),
            (streamed(*SHAPES[shape]), USAGE_ASKED),
        ):
            answer = await house.ask("plain", play, **more)
            found = told(answer)
            assert found.prompt == CLEAN_PROMPT
            assert found.completion == {0: CLEAN_ANSWER}
            assert found.reasons == {0: SHAPES[shape][1]}
            assert (await house.receipt(answer))["safety"] == {}


async def test_members_stand_in_one_order() -> None:
    """Azure's harms come first, then the detections, in one order on every answer."""
    async with watched() as house:
        found = told(await house.ask("told", stream(PLAIN), stream=True))
    assert list(found.prompt) == [*CLEAN_PROMPT, *NO_LIST]
    assert list(found.completion[0]) == [*CLEAN_ANSWER, *NO_LIST]


async def test_each_of_several_choices_has_its_own() -> None:
    """What is found in one choice is not said of another, in whole answers and in streams that mix them."""
    mixed = [of_choice(index, {"role": "assistant", "content": ""}) for index in (0, 1)]
    mixed += [of_choice(1, {"content": "ven"}), of_choice(0, {"content": "flo"}), of_choice(1, {"content": "om"})]
    mixed += [of_choice(0, {"content": "wer"}), of_choice(1, {}, "stop"), of_choice(0, {}, "length")]
    both = whole(
        ({"role": "assistant", "content": "flower"}, "length"), ({"role": "assistant", "content": "venom"}, "stop")
    )
    async with watched() as house:
        for play, asked in ((both, {}), (chunked(*mixed, LAST_USAGE, DONE), USAGE_ASKED)):
            found = told(await house.ask("told", play, n=2, **asked))
            assert found.texts == {0: "flower", 1: "venom"}
            assert found.reasons == {0: "length", 1: "stop"}
            assert {index: bool(one["custom_blocklists"]["details"]) for index, one in found.completion.items()} == {
                0: False,
                1: True,
            }


@pytest.mark.parametrize(
    "message",
    [
        {"content": f"Listen. {THREAT}"},
        {"content": PLAIN, "reasoning_content": THREAT},
        {"content": None, "tool_calls": [call("f", f'{{"text": "{THREAT}"}}')]},
        {"content": None, "function_call": {"name": "f", "arguments": f'{{"text": "{THREAT}"}}'}},
    ],
    ids=["text", "thoughts", "tools", "function call"],
)
async def test_a_threat_is_found_wherever_it_stands(message: dict[str, Any]) -> None:
    """The classifier reads texts, thoughts and arguments; a stream is told what the whole answer is told."""
    async with watched() as house:
        first = told(await house.ask("plain", whole(({"role": "assistant", **message}, "stop"))))
        second = told(await house.ask("plain", streamed({"role": "assistant", **message}, "stop"), stream=True))
        receipt = await house.receipt(await house.ask("plain", whole(({"role": "assistant", **message}, "stop"))))
        findings = [
            labels for labels in house.door.app.parts.metrics.counts if labels[0] == "tollhouse_safety_findings"
        ]
    levels = {name: first.completion[0][name]["severity"] for name in HARMS}
    assert "high" in (levels["hate"], levels["violence"])
    assert first.completion == second.completion
    assert not any(one.get("filtered") for one in first.completion[0].values())
    assert receipt["safety"]["policy"] == "default"
    assert receipt["safety"]["completion"] == {name: level for name, level in levels.items() if level != "safe"}
    assert {labels[4] for labels in findings} == {"annotated"}


async def test_an_attack_is_looked_for_in_what_users_and_tools_say() -> None:
    """A jailbreak in a user's or tool's message is told; in a system prompt it is the operator's own word."""
    result = {"role": "tool", "tool_call_id": "call_1", "content": ATTACK}
    turn = {"role": "assistant", "content": None, "tool_calls": [call("f", "{}")]}
    hello = {"role": "user", "content": "hello"}
    async with watched() as house:
        for messages, detected in (
            ([{"role": "user", "content": ATTACK}], True),
            ([{"role": "user", "content": [{"type": "text", "text": ATTACK}]}], True),
            ([hello, turn, result], True),
            ([{"role": "system", "content": ATTACK}, hello], False),
        ):
            answer = await house.ask("plain", completion("No."), messages=messages)
            assert told(answer).prompt["jailbreak"]["detected"] is detected
            assert "jailbreak" not in told(answer).completion[0]


@pytest.mark.parametrize("policy", ["plain", "told", "answers", "later"])
async def test_heartbeats_come_before_the_results(policy: str) -> None:
    """While a host is silent a client is given beats that say nothing; the first chunk of the answer tells of the
    prompt, and ids stay the same.
    """
    more = "[server]\nheartbeat_s = 0.1\n"
    async with watched(more) as house:
        play = [Pause(0.25), *paced(ROLE, text(FILLER), STOP, DONE)]
        answer = await house.ask(policy, play, stream=True)
        marked = [place for place, one in enumerate(answer.events) if "prompt_filter_results" in one]
        assert marked[0] >= 2
        assert all(one["choices"][0]["delta"].get("content", "") == "" for one in answer.events[: marked[0]])
        assert all(one["choices"] for one in answer.events)
        assert len({one["id"] for one in answer.events}) == 1
        last = answer.events[-1]["choices"][0]
        assert (last["finish_reason"], last["content_filter_results"]["hate"]) == ("stop", CLEAN_ANSWER["hate"])
        assert answer.text == FILLER


async def test_off_says_nothing_at_all() -> None:
    """Without a policy that looks, an answer has not one member more, and the receipt says that nobody looked."""
    async with watched() as house:
        first = await house.ask("silent", completion(THREAT))
        second = await house.ask("silent", stream(THREAT), stream=True)
        receipts = [await house.receipt(answer) for answer in (first, second)]
        assert not [labels for labels in house.door.app.parts.metrics.counts if "safety" in labels[0]]
    for answer in (first, second):
        assert b"filter_results" not in answer.body
        assert THREAT in (answer.text if answer is second else answer.json["choices"][0]["message"]["content"])
    assert [receipt["safety"] for receipt in receipts] == [None, None]


async def test_a_whole_section_that_is_off() -> None:
    """``mode = "off"`` is for requests for which nobody names a policy; an alias that names one is watched."""
    async with watched(safety='mode = "off"') as house:
        assert b"filter_results" not in (await house.ask("plain", completion("venom"))).body
        assert told(await house.ask("answers", completion("venom"))).completion[0].items() >= FOUND.items()


@pytest.mark.parametrize("streamed_by", ["tokens", "one write"])
async def test_a_long_answer_is_read_as_it_comes(streamed_by: str) -> None:
    """What stands in the middle of many harmless words is found, and no piece of the text is changed."""
    words = [*([FILLER] * 20), "some ven", "om. ", *([FILLER] * 20)]
    parts = [ROLE, *map(text, words), STOP, LAST_USAGE, DONE]
    play = [Send(chunked(*parts))] if streamed_by == "one write" else paced(*parts, gap_s=0.0)
    async with watched() as house:
        found = told(await house.ask("told", play, stream=True))
    assert found.texts == {0: "".join(words)}
    assert found.completion == {0: {**CLEAN_ANSWER, **SEEN}}
