"""Anthropic as a provider: what goes to its hosts, and what their errors stand for."""

import json
from typing import Any

import pytest

from tollhouse.dialects.anthropic.encode import BINDING_BETA
from tollhouse.dialects.anthropic.events import MessageReader
from tollhouse.dialects.anthropic.passing import NativeReader
from tollhouse.errors import (
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamFiltered,
    UpstreamModelMissing,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tollhouse.providers import load
from tollhouse.providers.anthropic import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.secret import Secret

HOST = Host("h", "https://h/v1?x=1", credential=Secret("s3cret"), auth="x-api-key")
BODY = {"model": "alias", "messages": [{"role": "user", "content": "Hi"}]}
NATIVE = {"model": "alias", "max_tokens": 9, "messages": [], "stream": True, "unknown": {"a": None}}


def native(*, stream: bool = True, wire: tuple[tuple[str, str], ...] = ()) -> ChatCall:
    """A call of a client that speaks Anthropic's dialect."""
    return ChatCall("alias", BODY, stream, stream, dialect="anthropic", native=NATIVE).but(wire_headers=wire)


def test_it_is_found_by_its_name() -> None:
    """The catalogue names it."""
    assert load("anthropic") is PROVIDER


def test_a_native_call_goes_through() -> None:
    """The client's body, with the model's name at the host, the cap, and whether it streams; no more is changed."""
    before = json.dumps(NATIVE)
    outgoing = PROVIDER.encode_chat(native(), Target(HOST, "claude"), 5).outgoing
    assert (outgoing.method, outgoing.path) == ("POST", "/v1/messages?x=1")
    assert json.loads(outgoing.body) == {**NATIVE, "model": "claude", "max_tokens": 5}
    whole = json.loads(PROVIDER.encode_chat(native(stream=False), Target(HOST, "claude")).outgoing.body)
    assert "stream" not in whole
    assert json.dumps(NATIVE) == before
    assert isinstance(PROVIDER.decode_chat(native(), Target(HOST, "claude")), NativeReader)
    foreign = ChatCall("alias", BODY, False, False, dialect="gemini", native=NATIVE)
    assert isinstance(PROVIDER.decode_chat(foreign, Target(HOST, "claude")), MessageReader)


def test_the_client_s_version_and_betas_are_passed_on() -> None:
    """A version replaces ours, betas are added to the operator's, and no other field is taken."""
    host = Host("h", "https://h", credential=Secret("s"), auth="x-api-key", headers=(("Anthropic-Beta", "a"),))
    fields = (("anthropic-version", "2024-01-01"), ("anthropic-beta", "b,c"), ("x-api-key", "theirs"))
    headers = dict(PROVIDER.encode_chat(native(wire=fields), Target(host, "m")).outgoing.headers)
    assert headers["anthropic-version"] == "2024-01-01"
    assert headers["anthropic-beta"] == "a,b,c"
    assert headers["x-api-key"] == "s"
    plain = dict(PROVIDER.encode_chat(native(), Target(HOST, "m")).outgoing.headers)
    assert plain["anthropic-version"] == "2023-06-01"
    assert "anthropic-beta" not in plain


def test_a_translated_call_has_the_betas_that_it_needs() -> None:
    """Only where thoughts are replayed to a model that binds them."""
    details = [{"type": "reasoning.text", "text": "", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
    said = {"role": "assistant", "content": "A", "reasoning_details": details}
    body = {**BODY, "messages": [*BODY["messages"], said, *BODY["messages"]]}
    call = ChatCall("alias", body, False, False)
    headers = dict(PROVIDER.encode_chat(call, Target(HOST, "claude-opus-5-5")).outgoing.headers)
    assert headers["anthropic-beta"] == BINDING_BETA
    assert "anthropic-beta" not in dict(PROVIDER.encode_chat(call, Target(HOST, "claude-opus-5")).outgoing.headers)


def test_a_stream_is_asked_for_where_the_call_streams() -> None:
    """By the body and by the header."""
    outgoing = PROVIDER.encode_chat(ChatCall("alias", BODY, True, False), Target(HOST, "m")).outgoing
    assert json.loads(outgoing.body)["stream"] is True
    assert dict(outgoing.headers)["accept"] == "text/event-stream"


def test_losses_are_reported() -> None:
    """What is not sent is told by name."""
    call = ChatCall("alias", {**BODY, "seed": 1}, False, False)
    assert PROVIDER.encode_chat(call, Target(HOST, "m")).dropped == ("seed",)


def test_tokens_are_counted_and_nothing_else_is_relayed() -> None:
    """The one other endpoint has the same headers; any other kind is not to be had."""
    made = PROVIDER.encode_relay("messages/count_tokens", "application/json", b"{}", Target(HOST, "m"))
    assert (made.method, made.path, made.body) == ("POST", "/v1/messages/count_tokens?x=1", b"{}")
    assert dict(made.headers)["x-api-key"] == "s3cret"
    assert dict(made.headers)["anthropic-version"] == "2023-06-01"
    with pytest.raises(UpstreamModelMissing):
        PROVIDER.encode_relay("embeddings", "application/json", b"{}", Target(HOST, "m"))


def fault(status: int, kind: str = "", message: str = "m", **headers: str) -> UpstreamFault:
    """The fault of an answer with this error."""
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}).encode()
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return PROVIDER.decode_error(status, fields, body)


TOO_LONG = "context_length_exceeded"
UNAVAILABLE = "upstream_unavailable"


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected", "code"),
    [
        (400, "invalid_request_error", "temperature: bad", UpstreamRejected, None),
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8 maximum", UpstreamRejected, TOO_LONG),
        (400, "invalid_request_error", "`max_tokens` exceed context limit: 9 + 9 > 10", UpstreamRejected, TOO_LONG),
        (413, "request_too_large", "Request exceeds the maximum size", UpstreamRejected, TOO_LONG),
        (
            400,
            "invalid_request_error",
            "Output blocked by content filtering",
            UpstreamFiltered,
            "content_filter",
        ),
        (400, "invalid_request_error", "Your credit balance is too low", UpstreamQuota, "upstream_quota"),
        (400, "invalid_request_error", "reached your specified API usage limits", UpstreamQuota, "upstream_quota"),
        (400, "invalid_request_error", "This organization has been disabled.", UpstreamAuth, "upstream_auth"),
        (401, "authentication_error", "invalid x-api-key", UpstreamAuth, "upstream_auth"),
        (402, "billing_error", "m", UpstreamQuota, "upstream_quota"),
        (403, "permission_error", "m", UpstreamAuth, "upstream_auth"),
        (404, "not_found_error", "model: x", UpstreamModelMissing, "model_not_found"),
        (409, "conflict_error", "m", UpstreamRejected, None),
        (429, "rate_limit_error", "m", UpstreamRateLimited, "rate_limit_exceeded"),
        (500, "api_error", "m", UpstreamBadResponse, "upstream_bad_response"),
        (504, "timeout_error", "m", UpstreamTimeout, "upstream_timeout"),
        (529, "overloaded_error", "m", UpstreamUnavailable, UNAVAILABLE),
    ],
)
def test_errors(status: int, kind: str, message: str, expected: type[UpstreamFault], code: str | None) -> None:
    """Each of the vendor's errors is the fault that it stands for, by its type, its status or its words."""
    found = fault(status, kind, message)
    assert type(found) is expected
    assert found.code == code


DATE = {"date": "Wed, 25 Feb 2026 20:02:00 GMT"}


def used_up(left: str = "0", reset: str = "2026-02-25T20:02:37Z") -> dict[str, str]:
    """What a host says of one limit."""
    return {"anthropic_ratelimit_tokens_remaining": left, "anthropic_ratelimit_tokens_reset": reset}


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry_after": "7"}, "7"),
        (DATE | used_up(), "37"),
        (DATE | used_up(left="5"), None),
        (used_up(), None),
        (DATE | used_up(reset="2026-99-25T20:02:37Z"), None),
        (DATE | used_up() | {"retry_after": "7"}, "7"),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], wait: str | None) -> None:
    """What the host asks for, else until the limit that is used up is reset, by the answer's own date."""
    assert fault(429, "rate_limit_error", **headers).headers.get("retry-after") == wait


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":3}', b'{"error":{"message":3,"type":[]}}', b'{"error":"x"}']
)
def test_errors_that_say_nothing_are_faults_all_the_same(body: bytes) -> None:
    """No body makes `decode_error` fail."""
    found: Any = [PROVIDER.decode_error(status, {}, body) for status in (400, 404, 429, 500, 529)]
    assert all(isinstance(one, UpstreamFault) for one in found)


RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]}
USE = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "s"}


@pytest.mark.parametrize(
    ("said", "last", "kept"),
    [
        ([USE], RESULT, False),
        ([{"type": "text", "text": "I look."}, USE], RESULT, False),
        ([THOUGHT, USE], RESULT, True),
        ([{"type": "redacted_thinking", "data": "d"}, USE], RESULT, True),
        ([USE], {"role": "user", "content": "And now?"}, True),
        ("Well.", {"role": "user", "content": "And now?"}, True),
    ],
)
def test_thinking_is_left_out_of_a_native_call_where_it_would_be_refused(said: Any, last: Any, kept: bool) -> None:
    """A call that another host has made is answered without a thought of Claude's before it, and that is reported."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": said}, last]
    call = native().but(native={"max_tokens": 4000, "messages": turns, "thinking": thinking})
    encoded = PROVIDER.encode_chat(call, Target(HOST, "claude"))
    assert ("thinking" in json.loads(encoded.outgoing.body)) is kept
    assert [loss.param for loss in encoded.losses] == ([] if kept else ["thinking"])
    assert call.native is not None
    assert call.native["thinking"] == thinking
