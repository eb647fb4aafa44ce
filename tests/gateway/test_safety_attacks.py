"""What people try against a policy that blocks, and what it must not do whoever tries.

A block list stands for all that may be found, for it finds the same whatever the classifier was trained on.
"""

import asyncio
import json
import random
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Pause, Reset, Send, Step, chunked, whole
from tests.fakes.door import Answer
from tests.fakes.openai_wire import DONE, IDENTITY, LAST_USAGE, ROLE, STOP, USAGE, completion, delta, words
from tests.routing_faults.kit import judged, said, served, settled

WORD = "zebrafish"
BAD = f"There was a {WORD} in the tank. "
PLAIN = "The garden has many flowers, and the weather is lovely. "
POLICIES = f"""
[safety.blocklists.fish]
terms = ["{WORD}"]
[safety.policies.asked]
blocklists = ["fish"]
completion = false
[safety.policies.told]
blocklists = ["fish"]
prompt = false
[safety.policies.behind]
blocklists = ["fish"]
prompt = false
stream = "async"
"""
HELLO: dict[str, Any] = {"model": "both", "max_tokens": 200, "messages": [{"role": "user", "content": "hi there"}]}
STREAM = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
USER = {"role": "user", "content": "hi there"}
NOTHING = {"type": "object", "properties": {}}


def a_reply(message: dict[str, Any]) -> list[Step]:
    """A whole answer with these members of its message."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop"}
    answer = {**IDENTITY, "object": "chat.completion", "choices": [choice], "usage": USAGE}
    return [Send(whole(json.dumps(answer).encode()))]


def in_pieces(*events: bytes, gap_s: float = 0.0) -> list[Step]:
    """A streamed answer, each event in a read of its own."""
    steps: list[Step] = [
        Send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    ]
    for event in events:
        steps += [Send(b"%x\r\n%s\r\n" % (len(event), event)), Pause(gap_s)]
    return [*steps, Send(b"0\r\n\r\n")]


def reasons(answer: Answer) -> list[str]:
    """The finish reasons of a stream."""
    choices = [choice for event in answer.events for choice in event["choices"]]
    return [choice["finish_reason"] for choice in choices if choice["finish_reason"]]


TOOL = {"type": "function", "function": {"name": "f", "parameters": NOTHING}}


def _message(**members: Any) -> dict[str, Any]:
    return {"messages": [USER, {"role": "assistant", "content": "well", **members}, USER]}


PROMPTS: dict[str, dict[str, Any]] = {
    "a system prompt": {"messages": [{"role": "system", "content": BAD}, USER]},
    "a developer's": {"messages": [{"role": "developer", "content": BAD}, USER]},
    "an earlier answer": {"messages": [{"role": "assistant", "content": BAD}, USER]},
    "a part": {"messages": [{"role": "user", "content": [{"type": "text", "text": BAD}]}]},
    "parts that cut a word": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": text} for text in (BAD[:15], BAD[15:])]}]
    },
    "a tool's description": {
        **HELLO,
        "tools": [{"type": "function", "function": {"name": "f", "description": BAD, "parameters": NOTHING}}],
    },
    "a parameter's name": {
        **HELLO,
        "tools": [
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"type": "object", "properties": {WORD: {"type": "string"}}}},
            }
        ],
    },
    "a tool of the old kind": {**HELLO, "functions": [{"name": "f", "description": BAD, "parameters": NOTHING}]},
    "a name": {"messages": [{"role": "user", "name": WORD, "content": "hi"}]},
    "an earlier refusal": _message(refusal=BAD),
    "an earlier thought": _message(reasoning_content=BAD),
    "an earlier call": _message(function_call={"name": "f", "arguments": BAD}),
    "a prediction": {**HELLO, "prediction": {"type": "content", "content": BAD}},
}


@pytest.mark.parametrize("name", PROMPTS)
async def test_no_place_of_a_prompt_is_a_way_around_a_policy(name: str) -> None:
    """What is on a list is found wherever a model would read it, and nothing is sent or charged."""
    async with (
        ChaosUpstream([Send(completion("fine"))]) as up,
        served(up, alias='safety = "asked"', more=POLICIES) as door,
    ):
        answer = await door.post({**HELLO, **PROMPTS[name]})
        receipt = await settled(door, answer)
        assert (answer.status, answer.json["error"]["code"]) == (400, "content_filter")
        assert up.requests == []
        assert (receipt["state"], float(receipt["cost"])) == ("released", 0.0)


SPELLINGS = {
    "soft hyphens": "zebra\u00adfish",
    "nothing visible": "zebra\u200b\u2060fish",
    "tags": "".join(chr(0xE0000 + ord(letter)) for letter in WORD),
    "full width": "".join(chr(0xFEE0 + ord(letter)) for letter in WORD),
    "other scripts": "z\u0435br\u0430fish",
    "mathematics": "".join(chr(0x1D41A + ord(letter) - 97) for letter in WORD),
    "circles": "".join(chr(0x24D0 + ord(letter) - 97) for letter in WORD),
    "accents": "ze\u0301bra\u0308fish",
    "the other direction": "zebra\u202efish",
}


@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_word_is_found_however_it_is_dressed(name: str) -> None:
    """Look-alikes and invisible characters hide nothing from a list."""
    async with (
        ChaosUpstream([Send(completion("fine"))]) as up,
        served(up, alias='safety = "asked"', more=POLICIES) as door,
    ):
        answer = await door.post({**HELLO, "messages": [{"role": "user", "content": f"a {SPELLINGS[name]} b"}]})
        assert answer.status == 400
        assert up.requests == []


ANSWERS: dict[str, dict[str, Any]] = {
    "content": {"content": BAD},
    "refusal": {"refusal": BAD},
    "a thought": {"reasoning_content": BAD, "content": "well"},
    "details of a thought": {"reasoning_details": [{"type": "reasoning.text", "text": BAD}], "content": "well"},
    "blocks of thought": {"thinking_blocks": [{"type": "thinking", "thinking": BAD}], "content": "well"},
    "parts": {"content": [{"type": "text", "text": "well"}, {"type": "note", "note": BAD}]},
    "a transcript": {"audio": {"id": "a", "data": "AAAA", "transcript": BAD, "expires_at": 1}},
    "a citation": {
        "content": "well",
        "annotations": [{"type": "url_citation", "url_citation": {"title": BAD, "url": "http://x"}}],
    },
    "a tool's name": {"tool_calls": [{"id": "c", "type": "function", "function": {"name": WORD, "arguments": "{}"}}]},
    "arguments": {
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": BAD})}}]
    },
    "a custom tool": {"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "f", "input": BAD}}]},
    "a member that nobody knows": {"content": "well", "final": BAD},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", ANSWERS)
async def test_no_place_of_an_answer_is_a_way_around_a_policy(name: str, stream: bool) -> None:
    """What is on a list is withheld wherever an answer says it, whole or streamed."""
    play = a_reply(ANSWERS[name])
    if stream:
        play = [Send(chunked(ROLE, delta(ANSWERS[name]), STOP, LAST_USAGE, DONE))]
    async with ChaosUpstream(play) as up, served(up, alias='safety = "told"', more=POLICIES) as door:
        answer = await door.post(STREAM if stream else HELLO)
        receipt = await settled(door, answer)
        assert WORD.encode() not in answer.body
        ended = reasons(answer) if stream else [answer.json["choices"][0]["finish_reason"]]
        assert ended == ["content_filter"]
        assert receipt["safety"]["blocked"] == "completion"


@pytest.mark.parametrize("policy", ["told", "behind"])
async def test_what_ends_an_answer_is_judged_before_its_end_is_told(policy: str) -> None:
    """An answer whose last words are filtered never ends as if nothing were wrong, even where text is not held back."""
    tool = [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": BAD})}}]
    plays: list[list[Step]] = [
        [Send(chunked(ROLE, delta({"content": BAD}, "stop"), LAST_USAGE, DONE))],
        [Send(chunked(ROLE, delta({"content": BAD}), STOP, LAST_USAGE, DONE))],
        [Send(chunked(ROLE, delta({"tool_calls": tool}), delta({}, "tool_calls"), LAST_USAGE, DONE))],
    ]
    async with ChaosUpstream(*plays) as up, served(up, alias=f'safety = "{policy}"', more=POLICIES) as door:
        for _ in plays:
            assert reasons(await door.post(STREAM)) == ["content_filter"]


async def test_nothing_of_what_is_blocked_is_kept() -> None:
    """Neither the database nor the log holds a word of a blocked prompt or answer, repeated or replayed or not."""
    more = f'{POLICIES}[replay]\nseed = true\n[safety.policies.full]\nblocklists = ["fish"]\n'
    async with ChaosUpstream([Send(completion(BAD))]) as up, served(up, alias='safety = "full"', more=more) as door:
        for number, body in enumerate((HELLO, {**HELLO, "messages": [{"role": "user", "content": BAD}]})):
            for _ in range(2):
                answer = await door.post({**body, "seed": 7}, idempotency_key=f"k{number}")
                assert WORD.encode() not in answer.body
                assert not any(WORD in value for value in answer.headers.values())
        await judged(door)
        path = door.app.parts.books.store.path
        files = [file for file in path.parent.iterdir() if file.name.startswith(path.name)]
        assert files
        assert not any(WORD.encode() in file.read_bytes() for file in files)
        assert WORD.encode() not in door.log.getvalue()


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_was_kept_is_judged_by_who_asks_now(stream: bool) -> None:
    """A replay of what was given under a milder policy is withheld, whole and streamed."""
    more = f'{POLICIES}[replay]\nseed = true\n[safety.policies.mild]\nmode = "annotate"\n'
    async with ChaosUpstream([Send(completion(BAD))]) as up, served(up, alias='safety = "mild"', more=more) as door:
        first = await door.post({**HELLO, "seed": 7})
        assert WORD in said(first)
        door.config_file.write_text(door.config_file.read_text().replace('safety = "mild"', 'safety = "told"'))
        await door.app.parts.reloader.reload()
        again = await door.post({**(STREAM if stream else HELLO), "seed": 7})
        assert again.headers["x-tollhouse-replay"] == "seed"
        assert WORD.encode() not in again.body


async def test_a_stream_keeps_the_policy_that_it_began_under() -> None:
    """A reload in the middle of an answer loosens nothing of it."""
    play = in_pieces(*words(*[PLAIN * 3] * 4, BAD, PLAIN), STOP, LAST_USAGE, DONE, gap_s=0.02)
    more = f'{POLICIES}[safety.policies.mild]\nmode = "annotate"\n'
    async with ChaosUpstream(play) as up, served(up, alias='safety = "told"', more=more) as door:
        running = asyncio.create_task(door.post(STREAM))
        await asyncio.sleep(0.05)
        door.config_file.write_text(door.config_file.read_text().replace('safety = "told"', 'safety = "mild"'))
        await door.app.parts.reloader.reload()
        answer = await running
        assert WORD.encode() not in answer.body
        assert reasons(answer) == ["content_filter"]


async def test_whatever_goes_wrong_the_books_are_right() -> None:
    """Blocked, cut, broken and abandoned requests leave nothing held, and every promise of the ledger stands."""
    chance = random.Random(5)  # noqa: S311  a test
    texts = [words(*[PLAIN * chance.randrange(1, 6)] * 3, chance.choice([BAD, PLAIN]), PLAIN) for _ in range(60)]
    plays = [in_pieces(*text, STOP, LAST_USAGE, DONE, gap_s=chance.choice([0, 0.004])) for text in texts]
    breaks: list[Step] = [Close(), Reset()]
    for place in range(0, len(plays), 5):
        plays[place] = [*plays[place][: chance.randrange(1, 9)], chance.choice(breaks)]
    names = ("asked", "told", "behind")
    aliases = "".join(f'[models.{name}]\ntargets = ["up0/m"]\nsafety = "{name}"\n' for name in names)
    async with ChaosUpstream(*plays) as up, served(up, more=POLICIES + aliases) as door:

        async def ask(number: int) -> None:
            content = BAD if number % 7 == 0 else "hi there"
            body = {**STREAM, "model": names[number % 3], "messages": [{"role": "user", "content": content}]}
            reader, writer = await door.send("POST", "/v1/chat/completions", body)
            if number % 2:
                await asyncio.sleep(chance.choice([0, 0.005, 0.02]))
                writer.transport.abort()
            else:
                await reader.read()
                writer.close()

        for first in range(0, len(plays), 12):
            await asyncio.gather(*[ask(number) for number in range(first, first + 12)])
        rows = await judged(door)
        assert {row.state for row in rows} == {"settled", "released"}
        assert all(row.charge == 0 for row in rows if row.state == "released")
