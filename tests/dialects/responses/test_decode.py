"""Whole responses as chat completions."""

from typing import Any

import pytest

from tollhouse.dialects.responses.decode import read_reply
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamRejected,
    UpstreamUnavailable,
)


def response(*output: Any, **members: Any) -> dict[str, Any]:
    """A response with these items."""
    return {"id": "resp_1", "created_at": 1760000000, "model": "m", "status": "completed", "output": list(output)} | (
        members
    )


def text(*texts: str, **members: Any) -> dict[str, Any]:
    """A message item."""
    return {"type": "message", "content": [{"type": "output_text", "text": one} for one in texts], **members}


def choice(*output: Any, **members: Any) -> dict[str, Any]:
    """The one choice of a reply."""
    found: dict[str, Any] = read_reply(response(*output, **members))["choices"][0]
    return found


def test_the_envelope_is_the_hosts() -> None:
    """The id is made of the host's own, in the form that a chat completion's has."""
    reply = read_reply(response(text("x"), service_tier="flex"))
    assert (reply["id"], reply["created"], reply["model"]) == ("chatcmpl-1", 1760000000, "m")
    assert (reply["object"], reply["service_tier"]) == ("chat.completion", "flex")


def test_messages_are_joined_and_their_parts_too() -> None:
    """Parts of one message follow each other; another message begins a paragraph; citations count from the start."""
    cited = text("ab", "cd")
    cited["content"][1]["annotations"] = [{"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u"}]
    message = choice(text("x", phase="commentary"), cited)["message"]
    assert message["content"] == "x\n\nabcd"
    assert message["annotations"] == [
        {"type": "url_citation", "url_citation": {"start_index": 5, "end_index": 6, "url": "u"}}
    ]
    assert message["phase"] == "commentary"


def test_calls_of_both_kinds_are_calls() -> None:
    """Functions and custom tools keep their order and their ids."""
    made = choice(
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "i"},
    )
    assert made["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "i"}},
    ]
    assert made["finish_reason"] == "tool_calls"


def test_reasoning_says_how_many_calls_it_came_after() -> None:
    """The place of a reasoning item is kept, for the request that sends it again."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    proof = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "p"}
    details = choice(proof, call, {**proof, "id": "rs_2"})["message"]["reasoning_details"]
    assert [(entry["id"], entry.get("after", 0), entry["index"]) for entry in details] == [
        ("rs_1", 0, 0),
        ("rs_2", 1, 1),
    ]


def test_what_the_host_did_itself_is_kept() -> None:
    """Pictures are images; other items stand as they are in ``content_parts``."""
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    picture = {"type": "image_generation_call", "id": "ig_1", "result": "aGk=", "output_format": "webp"}
    message = choice(search, picture, text("x"))["message"]
    assert message["images"] == [{"type": "image_url", "index": 0, "image_url": {"url": "data:image/webp;base64,aGk="}}]
    assert message["content_parts"] == [
        search,
        {"type": "image_generation_call", "id": "ig_1", "output_format": "webp"},
    ]


@pytest.mark.parametrize(
    ("members", "reason", "native"),
    [
        ({}, "stop", "completed"),
        ({"status": "complete"}, "stop", "complete"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete", "incomplete_details": {"reason": "steps"}}, "length", "steps"),
        ({"status": "incomplete", "incomplete_details": None}, "length", "incomplete"),
        ({"status": None}, "stop", "completed"),
    ],
)
def test_why_an_answer_ended(members: dict[str, Any], reason: str, native: str) -> None:
    """The status and its details are one of OpenAI's words, and the host's own beside it."""
    made = choice(text("x"), **members)
    assert (made["finish_reason"], made["native_finish_reason"]) == (reason, native)


@pytest.mark.parametrize(
    ("members", "kind", "code"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, UpstreamUnavailable, None),
        ({"status": "failed", "error": None}, UpstreamUnavailable, None),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}, UpstreamRejected, "invalid_prompt"),
        ({"error": {"code": "image_too_large", "message": "m"}}, UpstreamRejected, "image_too_large"),
        ({"error": {"code": "context_length_exceeded"}}, UpstreamRejected, "context_length_exceeded"),
        ({"error": "boom"}, UpstreamUnavailable, None),
        ({"status": "cancelled"}, UpstreamInterrupted, None),
        ({"status": "queued"}, UpstreamBadResponse, None),
        ({"status": "in_progress"}, UpstreamBadResponse, None),
        ({"output": None}, UpstreamBadResponse, None),
        ({"output": [3]}, UpstreamBadResponse, None),
        ({"output": [{"type": "function_call", "arguments": "{}"}]}, UpstreamBadResponse, None),
    ],
)
def test_what_is_no_answer_is_a_fault(members: dict[str, Any], kind: type[UpstreamFault], code: str | None) -> None:
    """A response that failed, is not there yet, or makes no sense."""
    with pytest.raises(kind) as caught:
        read_reply(response(**members))
    assert code is None or caught.value.code == code


def test_an_answer_without_text_has_no_content() -> None:
    """Reasoning that used up every token leaves nothing said."""
    made = choice({"type": "reasoning", "summary": []}, status="incomplete")
    assert made["message"]["content"] is None
    assert made["finish_reason"] == "length"


def test_the_older_form_of_a_call() -> None:
    """A client that sent ``functions`` is answered with ``function_call``."""
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    made = read_reply(response(call), legacy=True)["choices"][0]
    assert made["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert made["finish_reason"] == "function_call"
