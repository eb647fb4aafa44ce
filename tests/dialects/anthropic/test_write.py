"""Answers in the inner form, as messages: whole, and as the events of a stream that builds the same."""

import json
from typing import Any

import msgspec
import pytest

from tests.dialects.anthropic.assembly import assembled, events_of
from tollhouse.dialects.anthropic.client import ANTHROPIC, error_body
from tollhouse.dialects.anthropic.seals import PLAIN, unseal
from tollhouse.dialects.anthropic.writer import MessageStream
from tollhouse.dialects.client import Account, Identity
from tollhouse.dialects.replies import split_reply, tidy_reply
from tollhouse.errors import (
    Fault,
    InternalError,
    MaxCostExceeded,
    ModelNotFound,
    Overloaded,
    RateLimited,
    Unauthorized,
    UpstreamBadResponse,
    UpstreamTimeout,
)
from tollhouse.types.calls import ChatCall, Usage

ID = Identity("chatcmpl-abc", 1)
CALL = ChatCall("asked", {"model": "asked", "messages": [{"role": "user", "content": "hi"}]}, True, True, "anthropic")
ACCOUNT = Account(Usage(input=5, cache_read=2, cache_write=3, output=7), None, 1500, {"_remaining_credits": None})
CLAUDES = "anthropic-claude-v1"


def call(index: int, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    """A tool call."""
    return {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def answer(reason: str = "stop", native: str | None = None, sequence: str | None = None, **said: Any) -> dict[str, Any]:
    """A whole answer in the inner form."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **said}, "finish_reason": reason}
    choice |= {"native_finish_reason": native} if native else {}
    choice |= {"stop_sequence": sequence} if sequence else {}
    reply = {"id": "x", "choices": [choice]}
    tidy_reply(reply, "x")
    return reply


def whole(given: dict[str, Any], account: Account = ACCOUNT) -> dict[str, Any]:
    """The message."""
    found = json.loads(msgspec.json.encode(ANTHROPIC.reply(given, CALL, ID, account)))
    assert isinstance(found, dict)
    return found


def streamed(given: dict[str, Any]) -> dict[str, Any]:
    """The message that the stream of the same answer builds."""
    writer = ANTHROPIC.writer(CALL, ID)
    raw = b"".join([writer.encode([chunk]) for chunk in split_reply(given)])
    return assembled(raw + writer.finish(ACCOUNT))


ANSWERS: dict[str, dict[str, Any]] = {
    "text": answer(content="Hello."),
    "length": answer("length", content="Hel"),
    "refusal": answer(refusal="No."),
    "filtered": answer("content_filter", content="x"),
    "sequence": answer(content="x", sequence="END", native="stop_sequence"),
    "pause": answer(content="x", native="pause_turn"),
    "window": answer("length", content="x", native="model_context_window_exceeded"),
    "foreign": answer("length", content="x", native="MAX_TOKENS"),
    "thinking": answer(content="x", reasoning_content="Hm."),
    "signed": answer(
        content="x",
        reasoning_content="Hm.",
        reasoning_details=[
            {"type": "reasoning.text", "text": "Hm.", "signature": "EqkE", "format": CLAUDES, "index": 0},
            {"type": "reasoning.encrypted", "data": "Eo8B", "format": CLAUDES, "index": 1},
        ],
    ),
    "openai": answer(
        content="x",
        reasoning_content="Hm.",
        reasoning_details=[
            {"type": "reasoning.summary", "summary": "Hm.", "format": "openai-responses-v1", "id": "rs_1", "index": 0},
            {"type": "reasoning.encrypted", "data": "gAAA", "format": "openai-responses-v1", "id": "rs_1", "index": 1},
        ],
    ),
    "tools": answer(
        "tool_calls",
        content="x",
        tool_calls=[
            call(0, "f", '{"x":1}', extra_content={"google": {"thought_signature": "CpcH"}}),
            call(1, "g", "{}"),
        ],
    ),
    "odd ids": answer("tool_calls", tool_calls=[{**call(0, "f", "{}"), "id": "functions.f:0"}]),
    "cited": answer(
        content="x",
        annotations=[{"type": "url_citation", "url_citation": {"url": "u", "title": "t", "start_index": 0}}, {}],
    ),
    "empty": answer(content="", native="end_turn"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_builds_what_the_whole_answer_is(name: str) -> None:
    """Blocks, stop reason, usage: the same by either way, and the stream is one that every client can read."""
    expected = whole(msgspec.json.decode(msgspec.json.encode(ANSWERS[name])))
    found = streamed(msgspec.json.decode(msgspec.json.encode(ANSWERS[name])))
    assert found == {key: value for key, value in expected.items() if key != "_remaining_credits"}
    assert expected["id"] == "msg_abc"
    assert (expected["type"], expected["role"], expected["model"]) == ("message", "assistant", "asked")


@pytest.mark.parametrize(
    ("name", "stop", "sequence"),
    [
        ("text", "end_turn", None),
        ("length", "max_tokens", None),
        ("refusal", "refusal", None),
        ("filtered", "refusal", None),
        ("sequence", "stop_sequence", "END"),
        ("pause", "pause_turn", None),
        ("window", "model_context_window_exceeded", None),
        ("foreign", "max_tokens", None),
        ("tools", "tool_use", None),
    ],
)
def test_why_it_stopped(name: str, stop: str, sequence: str | None) -> None:
    """In Anthropic's words, the host's own where they are Anthropic's."""
    found = whole(ANSWERS[name])
    assert (found["stop_reason"], found["stop_sequence"]) == (stop, sequence)


def test_usage_is_told_in_anthropics_classes() -> None:
    """The input without the caches, each cache by itself, and the cost."""
    usage = Usage(input=5, cache_read=2, cache_write=3, cache_write_1h=4, output=7, reasoning=6)
    raw = {"service_tier": "priority", "server_tool_use": {"web_search_requests": 1}}
    assert whole(answer(content="x"), Account(usage, raw, 1500, {}))["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": 2,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 6},
        "cost": 0.0000015,
        "service_tier": "priority",
        "server_tool_use": {"web_search_requests": 1},
    }


def test_thinking_carries_what_proves_it() -> None:
    """Claude's own signature as it is, any other host's under seal, and a plain one where nobody signed."""
    (thought, redacted, _) = whole(ANSWERS["signed"])["content"]
    assert (thought["signature"], redacted["data"]) == ("EqkE", "Eo8B")
    (summary, encrypted, _) = whole(ANSWERS["openai"])["content"]
    about = {"format": "openai-responses-v1", "id": "rs_1"}
    assert unseal(summary["signature"]) == {"type": "reasoning.summary", **about}
    assert unseal(encrypted["data"]) == {"type": "reasoning.encrypted", "data": "gAAA", **about}
    assert whole(ANSWERS["thinking"])["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": PLAIN}


def test_a_calls_signature_stands_before_it() -> None:
    """In a block that the client returns, with the id of its call."""
    _, proof, first, second = whole(ANSWERS["tools"])["content"]
    assert unseal(proof["data"]) == {"call": "call_0", "extra_content": {"google": {"thought_signature": "CpcH"}}}
    assert first == {"type": "tool_use", "id": "call_0", "name": "f", "input": {"x": 1}}
    assert second["input"] == {}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", {}), (" ", {}), ('{"a"', {"INVALID_JSON": '{"a"'}), ("[1]", {"INVALID_JSON": "[1]"}), ('{"a":1}', {"a": 1})],
)
def test_input_is_always_an_object(arguments: str, expected: dict[str, Any]) -> None:
    """Arguments that are none are told under a name of their own."""
    given = answer("tool_calls", tool_calls=[call(0, "f", "{}")])
    given["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = arguments
    assert whole(given)["content"][0]["input"] == expected


def test_a_custom_call_has_its_text_as_input() -> None:
    """A call without JSON is a tool use with one member, whole and streamed."""
    made = {"id": "c", "type": "custom", "custom": {"name": "f", "input": "x\n"}}
    (block,) = whole(answer("tool_calls", tool_calls=[made]))["content"]
    assert block["input"] == {"input": "x\n"}
    writer = MessageStream(CALL, ID)
    entry = {"index": 0, **made}
    raw = writer.encode([chunk({"tool_calls": [entry]}), chunk({}, "tool_calls")]) + writer.finish(ACCOUNT)
    assert assembled(raw)["content"] == [block]


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0) -> dict[str, Any]:
    """A chunk of the inner form."""
    return {"choices": [{"index": index, "delta": delta, "finish_reason": reason}]}


def piece(index: int, text: str, name: str | None = None) -> dict[str, Any]:
    """A fragment of a tool call."""
    if name is None:
        return chunk({"tool_calls": [{"index": index, "function": {"arguments": text}}]})
    function = {"name": name, "arguments": text}
    return chunk({"tool_calls": [{"index": index, "id": f"call_{index}", "type": "function", "function": function}]})


def built(*chunks: dict[str, Any]) -> dict[str, Any]:
    """The message of a stream, each chunk in a write of its own."""
    writer = MessageStream(CALL, ID)
    return assembled(b"".join([writer.encode([one]) for one in chunks]) + writer.finish(ACCOUNT))


def test_calls_whose_arguments_come_in_turns_are_told_one_after_the_other() -> None:
    """A block stays open until its arguments are whole, and what is said meanwhile waits."""
    found = built(
        piece(0, "", "f"),
        piece(1, '{"b"', "g"),
        piece(0, '{"a":'),
        chunk({"content": "late"}),
        piece(1, ":2}"),
        piece(0, "1}"),
        chunk({}, "tool_calls"),
    )
    assert [block.get("input", block.get("text")) for block in found["content"]] == [{"a": 1}, {"b": 2}, "late"]


def test_text_thinking_and_text_are_three_blocks() -> None:
    """Each change of kind closes a block, and thoughts of two entries are two."""
    found = built(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "a"}),
        chunk({"content": "b"}),
        chunk({"reasoning": "c"}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "d", "format": "xai", "index": 1}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "e", "index": 2}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "format": CLAUDES, "index": 2}]}),
        chunk({"content": "f"}, "stop"),
    )
    assert [block.get("text", block.get("thinking")) for block in found["content"]] == ["ab", "cd", "e", "f"]
    assert unseal(found["content"][1]["signature"]) == {"type": "reasoning.text", "format": "xai"}
    assert found["content"][2]["signature"] == "s"


def test_long_text_is_cut_into_lines() -> None:
    """Text, thinking and arguments of any length are whole, in lines that every client reads."""
    long = "\x01" * 30_000
    arguments = json.dumps({"a": long})
    found = built(chunk({"reasoning_content": long}), chunk({"content": long}), piece(0, arguments, "f"))
    thought, text, made = found["content"]
    assert (thought["thinking"], text["text"], made["input"]) == (long, long, {"a": long})


def test_a_heartbeat_may_come_at_any_time() -> None:
    """It is a ping, before the message and within it."""
    writer = MessageStream(CALL, ID)
    raw = writer.heartbeat() + writer.encode([chunk({"content": "a"})]) + writer.heartbeat()
    raw += writer.encode([chunk({"content": "b"}, "stop")]) + writer.finish(ACCOUNT)
    assert [event["type"] for event in events_of(raw)].count("ping") == 2
    assert assembled(raw)["content"] == [{"type": "text", "text": "ab"}]


def test_what_was_given_is_counted() -> None:
    """Text, thinking, names and arguments count, and nothing does before the first of them."""
    writer = MessageStream(CALL, ID)
    assert writer.tokens() == 0
    counts = []
    for one in (chunk({"content": "word " * 20}), chunk({"reasoning": "word " * 20}), piece(0, '{"a":1}', "f")):
        writer.encode([one])
        counts.append(writer.tokens())
    assert 0 < counts[0] < counts[1] < counts[2]
    assert writer.sound_tokens() == 0


def test_a_stream_that_says_nothing_is_whole() -> None:
    """A message without content, as Anthropic sends it."""
    assert built()["content"] == []


def test_other_choices_are_not_told() -> None:
    """The dialect has one answer."""
    assert built(chunk({"content": "a"}), chunk({"content": "b"}, index=1))["content"][0]["text"] == "a"


def test_what_json_cannot_carry_is_the_upstreams_fault() -> None:
    """Half a surrogate pair is no text."""
    writer = MessageStream(CALL, ID)
    writer.encode([chunk({"content": "a"})])
    for delta in ({"content": "\ud800"}, {"reasoning": "\ud800"}):
        with pytest.raises(UpstreamBadResponse):
            writer.encode([chunk(delta)])


HOSTILE: list[Any] = [None, 1, "x", [], [1], {}, {"type": 1}, [{"index": [], "text": 1}], [{"type": "x", "text": []}]]


@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_members_of_any_type_break_nothing(value: Any) -> None:
    """What a host says in members that no decoder checks is told as far as it can be."""
    names = ("reasoning_content", "reasoning", "reasoning_details", "annotations", "refusal", "extra_content")
    for name in names:
        assert built(chunk({"content": "a", name: value}), chunk({}, "stop"))["stop_reason"]
        given = answer(content="a")
        given["choices"][0]["message"][name] = value
        given["choices"][0] |= {"native_finish_reason": value, "stop_sequence": value}
        assert whole(given)["content"]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Unauthorized("m"), "authentication_error"),
        (ModelNotFound("m"), "not_found_error"),
        (RateLimited("m"), "rate_limit_error"),
        (MaxCostExceeded("m"), "billing_error"),
        (Overloaded("m"), "overloaded_error"),
        (UpstreamTimeout("m"), "timeout_error"),
        (UpstreamBadResponse("m"), "api_error"),
        (InternalError("m"), "api_error"),
    ],
)
def test_errors_are_told_in_anthropics_shape(fault: Fault, kind: str) -> None:
    """The type goes by the status, and the event of a stream has the same object under its own name."""
    body = error_body(fault, "req_1")
    assert body["type"] == "error"
    assert body["error"]["type"] == kind
    assert body["request_id"] == "req_1"
    assert ANTHROPIC.error_event(body).startswith(b'event: error\ndata: {"type":"error","error":{"type":"')
