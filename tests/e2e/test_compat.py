"""The compatibility traps T0 to T6 of the requirements, each under its name, on the bytes that leave a running gateway.

T7 to T13 are in test_compat_clients.py. What the traps say of other surfaces belongs to those surfaces: the Responses
API's event fields (T2, T13), embeddings as base64 (T2, T13), the Anthropic dialect's pings and block order (T1, T12,
T13); 402 for an empty balance (T2, T12) and `x-ratelimit-*` (T12) belong to balances and limits.
"""

import asyncio
import json
import re
from typing import Any

import pytest

from tests.e2e.wire_readers import READERS, InBand, read_naive_browser, read_writes
from tests.fakes.chaos import ChaosUpstream, Close, Hang, Pause, Send, Step, chunk, chunked, head
from tests.fakes.door import Door, opened
from tests.fakes.openai_wire import DONE, LAST_USAGE, ROLE, STOP, completion, delta, event, failure, words
from tests.gateway.kit import ASK, STREAM, hosts

BEGIN = Send(head(200, "content-type: text/event-stream", "transfer-encoding: chunked"))
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}
QUICK = "[server]\nheartbeat_s = 0.1\n{more}\n[timeouts]\nfirst_byte_s = 3\nidle_s = 3\n"
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":'}}
REST = {"index": 0, "function": {"arguments": "1}"}}


def tool(index: int = 0, **more: Any) -> bytes:
    """A chunk with the first fragment of a call."""
    return delta({"tool_calls": [{"index": index, **CALL, **more}]})


async def writes_of(door: Door, body: dict[str, Any] = STREAM) -> list[bytes]:
    """A stream's body, write by write."""
    reader, _ = await door.send("POST", "/v1/chat/completions", body)
    return await asyncio.wait_for(read_writes(reader), 10)


async def relayed(*parts: bytes, body: dict[str, Any] = STREAM) -> list[bytes]:
    """What the client gets of a host's whole stream."""
    async with ChaosUpstream([Send(chunked(*parts))]) as up, opened(hosts(up)) as door:
        return await writes_of(door, body)


def events_in(writes: list[bytes]) -> list[dict[str, Any]]:
    """The parsed events; the body is nothing but whole ``data: JSON`` events and the end marker."""
    raw = b"".join(writes)
    assert re.fullmatch(rb"(data: \{[^\n]*\}\n\n)*(data: \[DONE\]\n\n)?", raw), raw
    return [json.loads(line[6:]) for line in raw.split(b"\n\n") if line not in (b"", b"data: [DONE]")]


CORPUS: dict[str, tuple[bytes, ...]] = {
    "text": (*words("Hi ", "there 漢字 \U0001f680"), STOP, LAST_USAGE, DONE),
    "two tool calls": (ROLE, tool(), delta({"tool_calls": [REST]}), tool(1, id="c2"), delta({}, "tool_calls"), DONE),
    "text, then a call": (*words("Let me see. "), tool(), delta({"tool_calls": [REST]}), delta({}, "tool_calls"), DONE),
    "reasoning": (ROLE, delta({"reasoning_content": "hm"}), delta({"content": "so"}), STOP, DONE),
    "no role, no done": (delta({"content": "a"}), delta({"content": "b"}, "stop")),
    "an empty choices chunk first": (event({"choices": [], "prompt_filter_results": []}), *words("x"), STOP, DONE),
    "error null": (delta({"content": "a"}, error=None), STOP, DONE),
    "a long text": (*words("y" * 300_000), STOP, DONE),
    "foreign reason": (*words("z"), delta({}, "eos"), DONE),
    "comments and names": (b": ping\n\nevent: message\nid: 7\nretry: 9\n", *words("q"), STOP, DONE),
}


@pytest.mark.parametrize("name", CORPUS)
async def test_t0_every_reader_reads_every_stream(name: str) -> None:
    """Seven readers, each as its client works, get the same text out of whatever a host sends."""
    writes = await relayed(*CORPUS[name])
    assert b"".join(writes).endswith(b"data: [DONE]\n\n")
    texts = {reader(writes) for reader in READERS}
    expected = "".join(event["choices"][0]["delta"].get("content") or "" for event in events_in(writes))
    assert texts == {expected}


async def test_t0_the_canonical_stream() -> None:
    """One identity; the role first; one terminal reason; usage last; [DONE] and the end, though the host stays."""
    parts = (*words("Hi"), tool(), delta({"tool_calls": [REST]}), delta({}, "tool_calls"), LAST_USAGE, DONE)
    play: list[Step] = [BEGIN, Send(b"".join(map(chunk, parts))), Hang()]
    async with ChaosUpstream(play) as up, opened(hosts(up)) as door:
        writes = await writes_of(door, WITH_USAGE)
    assert writes[-1].endswith(b"data: [DONE]\n\n")
    chunks = events_in(writes)
    assert {(one["id"], one["created"], one["model"], one["object"]) for one in chunks} == {
        (chunks[0]["id"], chunks[0]["created"], "both", "chat.completion.chunk")
    }
    assert type(chunks[0]["created"]) is int
    deltas = [one["choices"][0]["delta"] for one in chunks[:-1]]
    first = {**CALL, "index": 0, "function": {"name": "f", "arguments": ""}}
    assert deltas[:3] == [{"role": "assistant", "content": ""}, {"content": "Hi"}, {"tool_calls": [first]}]
    assert "".join(one["tool_calls"][0]["function"]["arguments"] for one in deltas[3:-1]) == '{"a":1}'
    assert deltas[-1] == {}
    assert [one["choices"][0]["finish_reason"] for one in chunks[:-1]] == [None] * (len(deltas) - 1) + ["tool_calls"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["total_tokens"]) == ([], 10)


async def test_t1_keep_alives_are_empty_deltas_between_events() -> None:
    """A silent host, before its first byte and in the middle of an event, costs no reader anything."""
    whole = b"".join(map(chunk, words("Hi")))
    middle = delta({"content": " you"})
    tail = chunk(middle[:20]), chunk(middle[20:]) + chunk(STOP) + chunk(DONE) + b"0\r\n\r\n"
    play: list[Step] = [Pause(0.5), BEGIN, Send(whole), Pause(0.5), Send(tail[0]), Pause(0.5), Send(tail[1])]
    async with ChaosUpstream(play) as up, opened(hosts(up, more=QUICK.format(more=""))) as door:
        writes = await writes_of(door)
    choices = [one["choices"][0] for one in events_in(writes)]
    assert len([choice for choice in choices if not choice["delta"] and not choice["finish_reason"]]) >= 4
    assert {reader(writes) for reader in READERS} == {"Hi you"}


@pytest.mark.parametrize(("kind", "seen"), [("comment", b": keep-alive\n\n"), ("off", b"")])
async def test_t1_the_operator_may_choose_comments_or_silence(kind: str, seen: bytes) -> None:
    """A comment is never the ``: ping`` that Continue takes for the end, and stands between events."""
    more = QUICK.format(more=f'heartbeat = "{kind}"')
    play: list[Step] = [BEGIN, Send(chunk(ROLE)), Pause(0.5), Send(b"".join(map(chunk, (*words("a"), STOP, DONE))))]
    async with ChaosUpstream(play) as up, opened(hosts(up, more=more)) as door:
        writes = await writes_of(door)
    comments = [write for write in writes if not write.startswith(b"data: {")]
    assert set(comments) - {b"data: [DONE]\n\n"} == ({seen} if seen else set())
    assert {reader(writes) for reader in READERS} == {"a"}


async def test_t2_openai_python_a_cut_stream_says_so() -> None:
    """The SDK takes a missing [DONE] for success, so a broken answer ends with an error that every reader sees."""
    play: list[Step] = [BEGIN, Send(b"".join(map(chunk, words("half an ")))), Close()]
    async with ChaosUpstream(play) as up, opened(hosts(up)) as door:
        writes = await writes_of(door)
    assert b"[DONE]" not in b"".join(writes)
    for reader in READERS:
        with pytest.raises(InBand, match=r"broke off|interrupted|ended|closed|cut"):
            reader(writes)


async def test_t2_openai_python_tool_indexes_count_from_zero() -> None:
    """A host that counts blocks, repeats ids and names and leaves out types gives canonical deltas all the same."""
    again = tool(1, function={"name": "f", "arguments": "1}"})
    parts = (ROLE, tool(1), again, tool(3, id="c9"), delta({}, "stop"), DONE)
    deltas = [one["choices"][0]["delta"] for one in events_in(await relayed(*parts))]
    calls = [call for said in deltas for call in said.get("tool_calls", ())]
    assert [call["index"] for call in calls if "id" in call] == [0, 1]
    assert {call["index"] for call in calls} == {0, 1}
    assert all("name" not in call["function"] and "type" not in call for call in calls if "id" not in call)
    arguments = [call["function"]["arguments"] for call in calls if call["index"] == 0]
    assert "".join(arguments) == '{"a":1}'


async def test_t2_openai_python_gets_valid_utf8_whatever_the_host_sends() -> None:
    """A byte that is no UTF-8 becomes an error event, for the SDK's decoder would die of it."""
    bad = delta({"content": "@@"}).replace(b"@@", b"\xff")
    writes = await relayed(*words("ok "), bad, STOP, DONE)
    assert b"".join(writes).decode("utf-8", "strict")
    with pytest.raises(InBand):
        read_naive_browser(writes)


async def test_t2_openai_python_retry_headers() -> None:
    """Retry-After is a whole number of at most 60, and after the gateway's own attempts ``x-should-retry`` is false."""
    slow = failure(429).replace(b"\r\n\r\n", b"\r\nretry-after: 3600.5\r\n\r\n", 1)
    async with ChaosUpstream([Send(slow)]) as up, opened(hosts(up, up)) as both, opened(hosts(up)) as one:
        first, second = await both.post(ASK), await one.post(ASK)
    assert (first.status, first.headers["retry-after"], first.headers["x-should-retry"]) == (429, "60", "false")
    assert (second.status, second.headers["retry-after"]) == (429, "60")


async def test_t2_openai_python_gets_json_for_everything() -> None:
    """Every answer that is not a stream is application/json, an unknown route's and a broken request's too."""
    async with opened() as door:
        for line in ("GET /nothing", "POST /v1/nope", "PUT /v1/chat/completions", "GET /v1/models/x"):
            method, path = line.split()
            answer = await door.request(method, path, b"")
            assert answer.headers["content-type"] == "application/json", path
            assert answer.error["message"]
        assert (await door.post(b"{nope")).headers["content-type"] == "application/json"


async def test_t3_openai_node_no_names_and_the_end_at_once() -> None:
    """A host's event names, ids and retry lines stop here; after [DONE] the body ends though the host's does not."""
    named = b"".join([b"event: chunk\nid: 1\nretry: 5\n" + part for part in (*words("Hi"), STOP, DONE)])
    async with ChaosUpstream([BEGIN, Send(chunk(named)), Hang()]) as up, opened(hosts(up)) as door:
        writes = await writes_of(door)
        await up.gone()
    assert not re.search(rb"^(event|id|retry):", b"".join(writes), re.MULTILINE)
    assert len(events_in(writes)) == 3


async def test_t4_vercel_ai_sdk_shapes() -> None:
    """Usage without choices, ``error: null``, role "", content parts, arguments as an object: all leave as it wants."""
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    parts = (
        delta({"role": "", "content": [{"type": "text", "text": "Hi"}]}, error=None),
        delta({"tool_calls": [call]}, error=None),
        delta({}, "stop"),
        event({"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, "error": None}),
        DONE,
    )
    for body in (STREAM, WITH_USAGE):
        writes = await relayed(*parts, body=body)
        assert b'"error"' not in b"".join(writes)
        assert {reader(writes) for reader in READERS if body is STREAM or reader is not read_naive_browser} == {"Hi"}
    chunks = events_in(writes)
    assert [one["usage"] and one["usage"]["total_tokens"] for one in chunks] == [None] * (len(chunks) - 1) + [3]
    assert chunks[-1]["choices"] == []


async def test_t4_vercel_ai_sdk_usage_is_injected_and_stripped() -> None:
    """It asks for no usage: the host is asked all the same, and the chunk is kept from the client."""
    async with ChaosUpstream([Send(chunked(*words("a"), STOP, LAST_USAGE, DONE))]) as up, opened(hosts(up)) as door:
        writes = await writes_of(door)
        assert json.loads(up.requests[0].body)["stream_options"] == {"include_usage": True}
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 3
    assert b"usage" not in b"".join(writes)


async def test_t4_vercel_ai_sdk_signatures_go_round() -> None:
    """``extra_content`` of a tool call passes in both directions, and so do both names of reasoning."""
    signed = {"google": {"thought_signature": "c2ln"}}
    parts = (tool(extra_content=signed), delta({"tool_calls": [REST]}), delta({}, "tool_calls"), DONE)
    deltas = [one["choices"][0]["delta"] for one in events_in(await relayed(delta({"reasoning": "r"}), *parts))]
    assert [one["reasoning"] for one in deltas if "reasoning" in one] == ["r"]
    assert [c["extra_content"] for one in deltas for c in one.get("tool_calls", ()) if "extra_content" in c] == [signed]
    message = {"role": "assistant", "content": None, "tool_calls": [{**CALL, "extra_content": signed}]}
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        await door.post({**ASK, "messages": [*ASK["messages"], message]})
        assert json.loads(up.requests[0].body)["messages"][-1] == message


async def test_t5_langchain_choices_are_always_a_list_with_deltas() -> None:
    """``choices: null``, a choice without delta, usage without choices: every chunk has a list of deltas."""
    bare = event({"choices": [{"index": 0, "finish_reason": None}]})
    usage = event({"choices": None, "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}})
    writes = await relayed(ROLE, event({"choices": None}), bare, *words("x")[1:], STOP, usage, DONE, body=WITH_USAGE)
    chunks = events_in(writes)
    assert all(isinstance(one["choices"], list) for one in chunks)
    assert all("delta" in choice for one in chunks for choice in one["choices"])
    assert chunks[-1]["usage"]["total_tokens"] == 2


async def test_t5_langchain_stream_options_may_come_or_not() -> None:
    """Its Python part leaves stream_options out, its JavaScript part sends them: both work, and both are metered."""
    streamed = [Send(chunked(*words("a"), STOP, LAST_USAGE, DONE))]
    async with ChaosUpstream(streamed, streamed, streamed, [Send(completion())]) as up, opened(hosts(up)) as door:
        for body in (STREAM, WITH_USAGE, {**STREAM, "stream_options": None}, {**WITH_USAGE, "stream": False}):
            assert (await door.post(body)).status == 200
        assert door.count("tollhouse_tokens", "up0", "m", "output") == 4 * 3


async def test_t6_llamaindex_base_urls_with_and_without_v1() -> None:
    """It joins paths to whatever base URL it is given: with ``/v1``, with a slash after it, or without."""
    async with ChaosUpstream([Send(completion())]) as up, opened(hosts(up)) as door:
        for path in ("/v1/chat/completions", "/chat/completions", "//v1//chat/completions", "/v1/chat/completions/"):
            assert (await door.post(ASK, path)).json["choices"]
