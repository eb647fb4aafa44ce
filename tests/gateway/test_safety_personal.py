"""Personal data at the door of a whole gateway: masked on its way to the host, restored on its way to the client."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send, chunked, whole
from tests.fakes.door import opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, stream
from tests.gateway.judges_kit import answered
from tests.gateway.relay_safety_kit import responded
from tests.gateway.safety_clients import CLIENTS, ask_as, heard
from tests.gateway.safety_kit import CLEAN_ANSWER, CLEAN_PROMPT, FOUND, PLAIN, aliases, call, paced, text, told, watched
from tests.gateway.test_safety_dialects import native_plays, settings

MAIL = "joe.doe@example.com"
ASKED: list[Any] = [{"role": "user", "content": f"Write to {MAIL} please."}]
SAID = "I wrote to [EMAIL_1], as you asked."
RESTORED = f"I wrote to {MAIL}, as you asked."
PERSONAL = "personally_identifiable_information"


def kinds(*, filtered: bool) -> dict[str, Any]:
    """What is told of a prompt with an address."""
    kind = {"sub_category": "Email", "filtered": filtered, "detected": True, "redacted": not filtered}
    return {"filtered": filtered, "detected": True, "sub_categories": [kind]}


async def test_a_host_never_sees_it_and_the_client_does() -> None:
    """The host is asked with a placeholder, the client reads the address; neither receipt nor metrics hold it."""
    async with watched() as house:
        for play, streamed in ((completion(SAID), False), (stream(SAID), True)):
            answer = await house.ask("mask", play, messages=ASKED, stream=streamed)
            receipt = await house.receipt(answer)
            assert told(answer).texts == {0: RESTORED}
            assert told(answer).prompt[PERSONAL]["detected"] is True
            assert told(answer).prompt[PERSONAL]["sub_categories"] == kinds(filtered=False)["sub_categories"]
            assert house.sent[0]["messages"][0]["content"] == "Write to [EMAIL_1] please."
            assert MAIL.encode() not in house.up.requests[0].body
            assert receipt["safety"]["prompt"] == {PERSONAL: "high"}
            assert MAIL not in json.dumps(receipt)
        assert MAIL.encode() not in house.door.log.getvalue()


@pytest.mark.parametrize("policy", ["mask", "masked"], ids=["annotated", "buffered"])
async def test_every_split_restores_the_same(policy: str) -> None:
    """Wherever a stream is cut, through the placeholder too, the client reads the same text, and the same verdict."""
    async with watched() as house:
        whole = told(await house.ask(policy, completion(SAID), messages=ASKED))
        assert whole.texts == {0: RESTORED}
        for at in range(1, len(SAID)):
            found = told(await house.ask(policy, stream(SAID[:at], SAID[at:]), messages=ASKED, stream=True))
            assert (found.texts, found.reasons) == ({0: RESTORED}, {0: "stop"})
            assert found.completion == whole.completion
        singly = told(await house.ask(policy, stream(*SAID), messages=ASKED, stream=True))
        assert (singly.texts, singly.completion) == (whole.texts, whole.completion)


async def test_a_cut_of_a_masked_stream() -> None:
    """What was held, a placeholder's half among it, is not given."""
    async with watched() as house:
        play = paced(ROLE, text("I wrote to [EMA"), text("IL_1] of venom"), STOP, DONE, gap_s=0.0)
        answer = await house.ask("masked", play, messages=ASKED, stream=True)
    assert told(answer).reasons == {0: "content_filter"}
    assert told(answer).texts == {0: ""}
    assert told(answer).completion[0].items() >= FOUND.items()
    assert MAIL.encode() not in answer.body


async def test_arguments_are_restored_inside_their_json() -> None:
    """A tool is called with the address, whole and streamed in pieces."""
    arguments = '{"to": "[EMAIL_1]"}'
    message = {"role": "assistant", "content": None, "tool_calls": [call("send", arguments)]}
    opening = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "send", "arguments": ""}}
    pieces = [arguments[at : at + 4] for at in range(0, len(arguments), 4)]
    parts = [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in pieces]
    async with watched() as house:
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        answer = await house.ask("mask", completion(choices=[choice]), messages=ASKED)
        (made,) = answer.json["choices"][0]["message"]["tool_calls"]
        assert json.loads(made["function"]["arguments"]) == {"to": MAIL}
        deltas = [delta(part) for part in ({"tool_calls": [opening]}, *parts)]
        play = chunked(ROLE, *deltas, delta({}, "tool_calls"), LAST_USAGE, DONE)
        answer = await house.ask("mask", play, messages=ASKED, stream=True)
        told_pieces = [
            entry["function"].get("arguments", "")
            for one in answer.events
            for choice in one["choices"]
            for entry in choice["delta"].get("tool_calls", ())
        ]
        assert json.loads("".join(told_pieces)) == {"to": MAIL}


async def test_a_policy_may_refuse_it() -> None:
    """Then the prompt goes nowhere, and the error names the kind, not the address."""
    async with watched() as house:
        answer = await house.ask("private", completion(PLAIN), messages=ASKED)
        assert house.sent == []
    assert (answer.status, answer.error["code"]) == (400, "content_filter")
    assert answer.error["innererror"]["content_filter_result"][PERSONAL] == kinds(filtered=True)
    assert MAIL.encode() not in answer.body


async def test_without_any_nothing_changes() -> None:
    """A prompt that holds none is sent word for word, and told so."""
    async with watched() as house:
        found = told(await house.ask("mask", completion("It says [EMAIL_1].")))
        assert found.texts == {0: "It says [EMAIL_1]."}
        assert found.prompt == {**CLEAN_PROMPT, PERSONAL: {"filtered": False, "detected": False, "sub_categories": []}}
        assert found.completion.keys() == {0}
        assert found.completion[0].keys() == CLEAN_ANSWER.keys()


@pytest.mark.parametrize(("path", "asked"), [("chat/completions", ASKED), ("responses", None)])
async def test_judges_of_other_machines_do_not_see_it(path: str, asked: Any) -> None:
    """They are shown what the host is shown, of the prompt and of the answer."""
    said = json.dumps(responded(SAID)).encode() if asked is None else None
    async with ChaosUpstream(answered({"findings": []})) as hook:
        judge = f'[safety.judges.own]\nkind = "webhook"\nurl = "{hook.url}"\nwhen = "gate"\n'
        policy = '[safety.policies.shown]\npersonal = "mask"\njudges = ["own"]\n'
        async with watched(judge + policy + aliases(names=["shown"])) as house:
            body = {"messages": asked, "input": None if asked else ASKED[0]["content"]}
            play = completion(SAID) if said is None else whole(said)
            answer = await house.ask("shown", play, f"/v1/{path}", max_tokens=None, **body)
            assert answer.status == 200, answer.body
            assert RESTORED.encode() in answer.body
        prompt, reply = [json.loads(request.body) for request in hook.requests]
    assert prompt["prompt"] == reply["prompt"] == "Write to [EMAIL_1] please."
    assert (prompt["side"], reply["completion"]) == ("prompt", SAID)


@pytest.mark.parametrize("size", [2_000, 40_000])
async def test_much_of_it_is_masked_beside_the_loop_or_refused(size: int) -> None:
    """Not by the threads that find the addresses of hosts; and what is too much is refused, with a code."""
    mails = " ".join([f"e{number}@example.com, for all that it is worth" for number in range(size)])
    async with watched() as house:
        taken = threading.Event()
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, taken.wait)
        try:
            messages = [{"role": "user", "content": mails}]
            answer = await house.ask("mask", completion("[EMAIL_9]"), messages=messages)
        finally:
            taken.set()
        await busy
    if size == 2_000:
        assert told(answer).texts == {0: "e8@example.com"}
    else:
        assert (answer.status, answer.error["code"]) == (400, "too_much_personal_data")
        assert house.sent == []
        assert house.door.idle


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("native", [False, True], ids=["other host", "own host"])
async def test_clients_of_every_dialect(client: str, native: bool) -> None:
    """Masked and restored for all of them, before a host of the client's own dialect too."""
    own = native and client != "openai"
    steps = (
        native_plays(client, SAID[:14], SAID[14:])
        if own
        else [[Send(completion(SAID))], [Send(stream(SAID[:14], SAID[14:]))]]
    )
    async with ChaosUpstream(*steps) as up, opened(settings(client, own, up)) as door:
        for streamed in (False, True):
            answer = await ask_as(door, client, "mask", stream=streamed, prompt=f"Write to {MAIL} please.")
            found = heard(answer, client, stream=streamed)
            assert found.text == RESTORED
            assert found.prompt[PERSONAL]["detected"] is True
        assert all(MAIL.encode() not in request.body for request in up.requests)
        assert all(b"[EMAIL_1]" in request.body for request in up.requests)
