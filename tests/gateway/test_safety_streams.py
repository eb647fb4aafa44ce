"""Streamed answers that a policy may cut: what a client is given, when, and what it pays."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.fakes.chaos import CHUNKED_END, Await, ChaosUpstream, Hang, Pause, Reset, Send, Step, chunk, chunked
from tests.fakes.door import Answer, eventually
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, stream
from tests.faults.kit import INPUT_NUSD, OUTPUT_NUSD, HoldRow, judged
from tests.gateway.safety_kit import (
    CLEAN_ANSWER,
    FILLER,
    FOUND,
    HELLO,
    NO_LIST,
    PLAIN,
    THREAT,
    House,
    aliases,
    begun,
    is_hit,
    of_choice,
    paced,
    settings_of_policies,
    text,
    told,
    watched,
)
from tests.routing_faults.kit import PATIENT, served
from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.gateway.meter import estimate_prompt

BOTH_MODES = pytest.mark.parametrize("policy", ["answers", "later"], ids=["buffered", "async"])


def call_delta(arguments: str, **more: Any) -> bytes:
    """A piece of a tool call."""
    return delta({"tool_calls": [{"index": 0, **more, "function": {"arguments": arguments}}]})


def charge_of(*heard: str) -> int:
    """What so much of an answer costs where its host does not say."""
    prompt = estimate_prompt({"model": "m", "messages": HELLO, "max_tokens": 200})
    return prompt * INPUT_NUSD + estimate_tokens("".join(heard)) * OUTPUT_NUSD


async def hold_of(house: House) -> HoldRow:
    """The last hold, when all is durable and verified."""
    return (await judged(house.door))[-1]


@BOTH_MODES
async def test_a_clean_stream_is_as_it_was(policy: str) -> None:
    """Nothing is lost, merged or reordered by being judged, with usage asked for or not."""
    words = [FILLER[at : at + 9] for at in range(0, len(FILLER), 9)] * 12
    play = chunked(ROLE, *map(text, words), STOP, LAST_USAGE, DONE)
    async with watched() as house:
        asked: list[dict[str, Any]] = [{}, {"stream_options": {"include_usage": True}}]
        for more in asked:
            answer = await house.ask(policy, play, stream=True, **more)
            found = told(answer)
            assert found.completion == {0: {**CLEAN_ANSWER, **NO_LIST}}
            assert found.reasons == {0: "stop"}
            assert [one["choices"][0]["delta"]["content"] for one in answer.events[1 : len(words) + 1]] == words


@BOTH_MODES
async def test_a_cut_ends_everything(policy: str) -> None:
    """The client gets ``content_filter``, ``[DONE]`` and the results, its host is hung up on at once, and what it had
    written is charged: never more than was held.
    """
    words = ["Here is ven", "om. ", *([FILLER] * 7)]
    play: list[Step] = [begun(ROLE, *map(text, words)), Hang()]
    async with watched(times=PATIENT) as house:
        answer = await house.ask(policy, play, stream=True)
        await house.up.gone()
        hold = await hold_of(house)
        receipt = await house.receipt(answer)
    found = told(answer)
    assert is_hit(found.completion[0])
    assert found.reasons == {0: "content_filter"}
    assert (hold.state, hold.estimated) == ("settled", True)
    assert 0 < hold.charge <= min(hold.amount, charge_of(*words))
    assert receipt["safety"] == {
        "policy": policy,
        "completion": {"custom_blocklists": "high"},
        "blocked": "completion",
    }
    if policy == "answers":
        assert found.texts == {0: ""}


async def test_a_cut_is_charged_by_what_was_heard() -> None:
    """Of an answer that was all withheld the charge is that of its text, for it was generated."""
    words = ["venom ", *([FILLER] * 4)]
    async with watched() as house:
        await house.ask("answers", [begun(ROLE, *map(text, words)), Hang()], stream=True)
        hold = await hold_of(house)
    assert hold.charge == charge_of(*words)


async def test_a_charge_never_passes_its_hold() -> None:
    """A host that writes past the cap until it is cut is charged for the cap."""
    words = [*([FILLER] * 200), "venom"]
    async with watched() as house:
        answer = await house.ask("later", stream(*words), stream=True, max_tokens=5)
        assert told(answer).reasons == {0: "content_filter"}
        hold = await hold_of(house)
    assert hold.charge == hold.amount


async def test_text_is_held_for_so_long() -> None:
    """Buffered text waits for 256 characters more, not for the end; what was judged goes on while the host writes."""
    gate = asyncio.Event()
    async with watched(times=PATIENT) as house:
        slowly = paced(ROLE, *[text(FILLER)] * 11, gap_s=0.002)[:-1]
        house.up.plays = [[*slowly, Await(gate), Send(b"".join(map(chunk, (STOP, DONE))) + CHUNKED_END)]]
        reader, writer = await house.door.send(
            "POST", "/v1/chat/completions", {"model": "answers", "messages": HELLO, "stream": True}
        )
        got = b""
        async with asyncio.timeout(5):
            while got.count(FILLER.encode()) < 4:
                got += await reader.read(65536)
        assert got.count(FILLER.encode()) < 11
        gate.set()
        async with asyncio.timeout(5):
            while b"[DONE]" not in got:
                got += await reader.read(65536)
        writer.close()
    assert got.count(FILLER.encode()) == 11


@pytest.mark.parametrize("pace", ["one write", "one by one"])
async def test_of_what_is_filtered_not_a_letter_is_given(pace: str) -> None:
    """Wherever the word stands, and wherever it is cut in two, a buffered stream gives none of its letters."""
    async with watched() as house:
        for before in range(240, 262):
            lead = (FILLER * 4)[:before] + " "
            parts = [ROLE, text(lead), text("ven"), text("om "), *([text(FILLER)] * 9), STOP, DONE]
            play: Any = [Send(chunked(*parts))] if pace == "one write" else paced(*parts, gap_s=0.0)
            found = told(await house.ask("answers", play, stream=True))
            assert found.reasons == {0: "content_filter"}
            assert lead.startswith(found.texts[0])
            assert is_hit(found.completion[0])


async def test_async_gives_at_once_and_cuts_soon_after() -> None:
    """Each piece leaves as it comes; at most 256 characters and a piece are read past the hit."""
    words = ["venom ", *([FILLER] * 40)]
    async with watched() as house:
        play = paced(ROLE, *map(text, words), STOP, DONE, gap_s=0.005)
        answer = await house.ask("later", play, stream=True)
        await house.up.gone()
    found = told(answer)
    assert found.reasons == {0: "content_filter"}
    assert found.texts[0].startswith("venom ")
    assert len(found.texts[0]) <= len("venom ") + 256 + 2 * len(FILLER)
    assert is_hit(found.completion[0])


@BOTH_MODES
@pytest.mark.parametrize(
    "parts",
    [
        [delta({"reasoning_content": "so ven"}), delta({"reasoning_content": "om it is"}), text(PLAIN)],
        [call_delta("", id="call_1", type="function"), call_delta('{"a": "ven'), call_delta('om"}')],
        [delta({"function_call": {"name": "f", "arguments": ""}}), delta({"function_call": {"arguments": "venom"}})],
        [text(PLAIN + " "), text("venom")],
        [delta({"function_call": {"name": "venom", "arguments": ""}})],
        [delta({"refusal": "No ven"}), delta({"refusal": "om for you."})],
        [delta({"audio": {"id": "a", "transcript": "venom"}})],
        [delta({"reasoning_details": [{"type": "reasoning.text", "text": "venom"}]}), text(PLAIN)],
    ],
    ids=["thoughts", "tools", "function call", "text", "name", "refusal", "sound", "details"],
)
async def test_every_channel_is_judged(policy: str, parts: list[bytes]) -> None:
    """Thoughts and arguments are cut like text; of a buffered one nothing is given, not even a call's beginning."""
    async with watched() as house:
        if b"tool_calls" in parts[0]:
            opening = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}
            parts = [delta({"tool_calls": [opening]}), *parts[1:]]
        answer = await house.ask(policy, chunked(ROLE, *parts, STOP, LAST_USAGE, DONE), stream=True)
    assert told(answer).reasons == {0: "content_filter"}
    assert told(answer).completion[0].items() >= FOUND.items()
    if policy == "answers":
        assert b"venom" not in answer.body
        assert b"om it is" not in answer.body
        assert b'"arguments":"{' not in answer.body


@pytest.mark.parametrize("order", ["one after another", "mixed"])
@BOTH_MODES
async def test_one_choice_is_cut_and_the_others_go_on(policy: str, order: str) -> None:
    """A choice that is filtered ends; those beside it or after it are told whole, and usage is the host's."""
    first = [
        of_choice(0, {"role": "assistant", "content": ""}),
        of_choice(0, {"content": "venom!"}),
        of_choice(0, {}, "stop"),
    ]
    second = [
        of_choice(1, {"role": "assistant", "content": ""}),
        of_choice(1, {"content": PLAIN}),
        of_choice(1, {}, "stop"),
    ]
    parts = [*first, *second] if order != "mixed" else [one for pair in zip(first, second, strict=True) for one in pair]
    async with watched() as house:
        answer = await house.ask(policy, paced(*parts, LAST_USAGE, DONE, gap_s=0.005), stream=True, n=2)
        hold = await hold_of(house)
    found = told(answer)
    assert found.texts == {0: "" if policy == "answers" else "venom!", 1: PLAIN}
    assert found.reasons == {0: "content_filter", 1: "stop"}
    assert is_hit(found.completion[0])
    assert found.completion[1] == {**CLEAN_ANSWER, **NO_LIST}
    assert (hold.state, hold.estimated, hold.output) == ("settled", False, 3)


async def test_every_split_gives_the_same_verdict() -> None:
    """Cut at every character, and into single ones, a stream is told exactly what the whole answer is told."""
    said = f"é😀 {THREAT} {PLAIN}"
    async with watched() as house:
        whole = told(await house.ask("plain", completion(said)))
        assert whole.completion[0]["violence"]["severity"] != "safe"
        for at in range(1, len(said), 3):
            found = told(await house.ask("plain", stream(said[:at], said[at:]), stream=True))
            assert found.completion == whole.completion
            assert found.texts == whole.texts
        for policy in ("plain", "told", "answers", "later"):
            found = told(await house.ask(policy, stream(*said), stream=True))
            assert {name: found.completion[0][name] for name in whole.completion[0]} == whole.completion[0]


async def test_bytes_may_be_cut_anywhere() -> None:
    """The host's bytes may arrive in any pieces, through a character or through a line's end: the verdict is one."""
    said = "é😀 ven"
    data = chunked(ROLE, text(said), text("om"), STOP, LAST_USAGE, DONE)
    async with watched() as house:
        for size in (1, 2, 3, 7, 64, 1000):
            answer = await house.ask("answers", [Send(data, size)], stream=True)
            assert is_hit(told(answer).completion[0])
            assert told(answer).texts == {0: ""}


@BOTH_MODES
async def test_a_client_that_leaves(policy: str) -> None:
    """The host is hung up on within a second, nothing stays held, and the books agree, whatever was waiting."""
    play: list[Step] = [begun(ROLE, text("Once upon "), text("a time ")), Hang()]
    async with watched(times=PATIENT) as house:
        house.up.plays = [play]
        asked = {"model": policy, "messages": HELLO, "stream": True, "max_tokens": 50}
        _, writer = await house.door.send("POST", "/v1/chat/completions", asked)
        await house.up.arrived()
        await asyncio.sleep(0.1)
        writer.close()
        await house.up.gone()
        hold = await hold_of(house)
        await eventually(lambda: house.door.idle)
    assert hold.charge <= charge_of("Once upon a time ")
    assert hold.state in ("settled", "released")


@asynccontextmanager
async def pair(first: Sequence[Any], second: Sequence[Any]) -> AsyncIterator[House]:
    """A gateway over two hosts, of which the second goes on with what the first began."""
    hosts = ["", 'quirks = { prefix = "plain" }']
    route = aliases('up0/m", "up1/m', ["answers"], 'failover = "mid-stream"\n')
    more = f"{PATIENT}{settings_of_policies()}{route}"
    async with (
        ChaosUpstream(first) as one,
        ChaosUpstream(second) as two,
        served(one, two, more=more, hosts=hosts) as door,
    ):
        yield House(door, one)


@pytest.mark.parametrize(("rest", "reason"), [("ous snake.", "stop"), (" and more.", "content_filter")])
async def test_an_answer_that_breaks_off_goes_on_elsewhere(rest: str, reason: str) -> None:
    """With text on hold too: nothing is told twice or lost, all of it is judged as one, and all of it is charged."""
    broken = [begun(ROLE, text("Once upon "), text("a ven")), Pause(0.05), Reset()]
    async with pair(broken, [Send(stream("om", rest))]) as house:
        asked = {"model": "answers", "messages": HELLO, "stream": True, "max_tokens": 50}
        answer = await house.door.post(asked)
        hold = await hold_of(house)
    found = told(answer)
    assert found.reasons == {0: reason}
    assert found.texts == {0: "Once upon a venomous snake." if reason == "stop" else ""}
    assert hold.output >= estimate_tokens("Once upon a ven") + 3
    if reason == "stop":
        assert answer.events[-1]["_failover"] == ["up0/m", "up1/m"]
    else:
        assert is_hit(found.completion[0])


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [(['{"a": ', '"venom"}'], "content_filter"), (['{"a": ', '"b"}'], "stop")],
)
async def test_a_promise_of_json_in_a_stream(pieces: list[str], reason: str) -> None:
    """What is cut is no broken promise of JSON; what passes keeps it."""
    asked: dict[str, Any] = {"stream": True, "response_format": {"type": "json_object"}}
    async with watched() as house:
        answer = await house.ask("answers", stream(*pieces), **asked)
    assert told(answer).reasons == {0: reason}
    if reason == "stop":
        assert json.loads(told(answer).texts[0]) == {"a": "b"}


@BOTH_MODES
async def test_a_broken_promise_is_still_an_error(policy: str) -> None:
    """Text that is no JSON ends with the error, whatever was held."""
    asked: dict[str, Any] = {"stream": True, "response_format": {"type": "json_object"}}
    async with watched() as house:
        answer: Answer = await house.ask(policy, stream('{"a": ', "b"), **asked)
    assert answer.error["code"] == "upstream_bad_json"


@BOTH_MODES
async def test_a_host_that_breaks_off(policy: str) -> None:
    """The client is told of it by an error event, and what was held and never judged is not given."""
    async with watched() as house:
        answer = await house.ask(policy, [begun(ROLE, text("Once upon a time")), Pause(0.02), Reset()], stream=True)
        hold = await hold_of(house)
    assert "error" in answer.events[-1]
    assert b"[DONE]" not in answer.body
    assert hold.charge <= charge_of("Once upon a time")
