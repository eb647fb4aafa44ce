"""Errors of hosts: whose fault each is, and that nothing of a host's text leaks that should not."""

import json
from typing import Any

import pytest

from tollhouse.dialects.faults import fault_of_object, fault_of_reply, retry_after_s
from tollhouse.errors import (
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamFiltered,
    UpstreamModelMissing,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRedirect,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def body(message: object = "It is wrong.", **error: object) -> bytes:
    """An error body in OpenAI's shape."""
    return json.dumps({"error": {"message": message, **error}}).encode()


@pytest.mark.parametrize(
    ("status", "raw", "kind", "shown"),
    [
        (400, body(type="invalid_request_error"), UpstreamRejected, 400),
        (401, body(code="invalid_api_key"), UpstreamAuth, 502),
        (403, body(), UpstreamAuth, 502),
        (400, body(status="INVALID_ARGUMENT", details=[{"reason": "API_KEY_INVALID"}]), UpstreamAuth, 502),
        (400, b'[{"error":{"code":400,"details":[{},{"reason":"API_KEY_INVALID"}]}}]', UpstreamAuth, 502),
        (402, body(), UpstreamQuota, 503),
        (429, body(code="insufficient_quota", type="insufficient_quota"), UpstreamQuota, 503),
        (429, body(code="credit_balance_exhausted"), UpstreamQuota, 503),
        (403, body(type="billing_error"), UpstreamQuota, 503),
        (429, body(code="rate_limit_exceeded"), UpstreamRateLimited, 429),
        (429, b"", UpstreamRateLimited, 429),
        (400, body(code="rate_limit_exceeded"), UpstreamRateLimited, 429),
        (429, body(type="engine_overloaded_error"), UpstreamUnavailable, 503),
        (429, body(code="slow_down", type="rate_limit_error"), UpstreamUnavailable, 503),
        (404, body("The model `x` does not exist", code="model_not_found"), UpstreamModelMissing, 404),
        (404, body('model "x" not found, try pulling it first'), UpstreamModelMissing, 404),
        (403, body(code="model_not_found"), UpstreamModelMissing, 404),
        (400, body(type="invalid_model"), UpstreamModelMissing, 404),
        (404, body("No file with id file-1."), UpstreamRejected, 404),
        (404, b"<html>nginx</html>", UpstreamBadResponse, 502),
        (404, b'{"detail":"Not Found"}', UpstreamBadResponse, 502),
        (405, b'{"detail":"Method Not Allowed"}', UpstreamBadResponse, 502),
        (409, body(), UpstreamRejected, 409),
        (413, b"<html>", UpstreamRejected, 413),
        (422, b'{"detail":[{"loc":["body"],"msg":"x"}]}', UpstreamRejected, 422),
        (451, body(code="content_policy_violation"), UpstreamFiltered, 451),
        (400, body(code="content_filter"), UpstreamFiltered, 400),
        (403, body(metadata={"reasons": ["x"], "flagged_input": "y"}), UpstreamFiltered, 403),
        (403, body("Blocked by guardrails: jailbreaking 0.98 > 0.8"), UpstreamFiltered, 403),
        (403, b'{"object":"error","type":"guardrail_error","message":{"scores":{}}}', UpstreamFiltered, 403),
        (408, b"", UpstreamTimeout, 504),
        (504, b"<html>", UpstreamTimeout, 504),
        (524, b"<html>", UpstreamTimeout, 504),
        (500, body(type="server_error"), UpstreamBadResponse, 502),
        (502, b"<html>", UpstreamBadResponse, 502),
        (503, body(), UpstreamUnavailable, 503),
        (529, body(type="overloaded_error"), UpstreamUnavailable, 503),
        (500, body(type="overloaded_error"), UpstreamUnavailable, 503),
        (302, b"", UpstreamRedirect, 502),
        (204, b"", UpstreamBadResponse, 502),
        (201, b"{}", UpstreamBadResponse, 502),
        (999, b"{}", UpstreamBadResponse, 502),
    ],
)
def test_whose_fault_it_is(status: int, raw: bytes, kind: type[UpstreamFault], shown: int) -> None:
    """Each status and error word of a host maps to one fault, with the status that the client is shown."""
    fault = fault_of_reply(status, {}, raw)
    assert type(fault) is kind
    assert fault.status == shown


def test_which_faults_another_host_may_cure() -> None:
    """A missing model is worth the next target; a request that is wrong is not."""
    assert fault_of_reply(404, {}, body(code="model_not_found")).retryable
    assert not fault_of_reply(400, {}, body()).retryable
    assert fault_of_reply(401, {}, b"").retryable


def test_what_a_rejection_shows() -> None:
    """The host's message, param and code for a wrong request reach the client, and nothing else of its body does."""
    raw = json.dumps(
        {
            "error": {
                "message": "Bad role.",
                "param": "messages[0].role",
                "code": "unsupported_value",
                "inner": "HIDDEN",
            },
            "debug": "HIDDEN",
        }
    )
    fault = fault_of_reply(400, {}, raw.encode())
    shown = fault.body("req")["error"]
    assert (shown["message"], shown["param"], shown["code"]) == ("Bad role.", "messages[0].role", "unsupported_value")
    assert "HIDDEN" not in json.dumps(shown)


@pytest.mark.parametrize(
    "raw",
    [
        body(f"Incorrect API key provided: {SECRET}.", param=SECRET, code=SECRET),
        body(f"header was Authorization: Bearer {SECRET}"),
        body("key=" + "QUJD" * 20),
        json.dumps({"error": f"bad key {SECRET}"}).encode(),
        json.dumps({"object": "error", "message": f"bad key {SECRET}"}).encode(),
        f"<html>{SECRET}</html>".encode(),
    ],
)
@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500])
def test_keys_are_never_echoed(status: int, raw: bytes) -> None:
    """A credential that a host prints in its error does not reach the client, wherever it is."""
    shown = json.dumps(fault_of_reply(status, {}, raw).body("req"))
    assert SECRET not in shown
    assert "QUJDQUJDQUJD" not in shown


@pytest.mark.parametrize("status", [401, 403, 402, 429, 500, 503])
def test_texts_about_our_account_stay_here(status: int) -> None:
    """What a host says about the operator's key, quota or its own trouble is not the client's to read."""
    shown = json.dumps(fault_of_reply(status, {}, body("organization org-1234 of Ada")).body("req"))
    assert "Ada" not in shown


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"[]",
        b"[1,2]",
        b'"x"',
        b"{}",
        b'{"error":null}',
        b'{"error":7}',
        b'{"error":[]}',
        b'{"error":{"message":7,"param":[],"code":{}}}',
        b'{"error":{"message":"  "}}',
        b'{"error":{"details":7,"metadata":7}}',
        b'{"error":{"details":[7]}}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"error":' * 100_000,
    ],
)
def test_no_body_breaks_the_table(raw: bytes) -> None:
    """Any bytes at all as an error body give a fault with a message of our own."""
    for status in (400, 404, 429, 500):
        fault = fault_of_reply(status, {}, raw)
        assert fault.message
        assert fault.param is None


def test_messages_are_cut_short() -> None:
    """A host's message is shown up to 1000 characters."""
    assert len(fault_of_reply(400, {}, body("word " * 5000)).message) == 1000


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens.",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "the request exceeds the available context size",
        "Too many input tokens",
    ],
)
def test_too_long_a_prompt_has_openais_code(message: str) -> None:
    """Clients shorten a conversation when they see context_length_exceeded, whatever a host calls it."""
    assert fault_of_reply(400, {}, body(message, code=400)).code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("error", "kind", "shown"),
    [
        ({"message": "x", "code": 429}, UpstreamRateLimited, 429),
        ({"type": "invalid_request_error", "code": "tool_use_failed", "status_code": 400}, UpstreamRejected, 400),
        ({"message": "x", "type": "invalid_request_error"}, UpstreamRejected, 400),
        ({"message": "x", "type": "BadRequestError", "code": 400}, UpstreamRejected, 400),
        ({"message": "x", "code": 502}, UpstreamBadResponse, 502),
        ({"message": "x", "type": "server_error"}, UpstreamUnavailable, 503),
        ({"message": "x", "code": "rate_limit_exceeded"}, UpstreamRateLimited, 429),
        ({"message": "x", "code": 1}, UpstreamUnavailable, 503),
        ("out of memory", UpstreamUnavailable, 503),
        (True, UpstreamUnavailable, 503),
        ({}, UpstreamUnavailable, 503),
    ],
)
def test_errors_inside_an_answer(error: Any, kind: type[UpstreamFault], shown: int) -> None:
    """An error object in a 200 answer or its stream stands for what it would as a status of its own."""
    fault = fault_of_object(error)
    assert type(fault) is kind
    assert fault.status == shown


DATE = "Sat, 21 Nov 2026 03:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "0.2"}, 1),
        ({"retry-after": "7.0"}, 7),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "1000000000"}, 60),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "1e3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Sat, 21 Nov 2026 03:00:09 GMT", "date": DATE}, 9),
        ({"retry-after": "Sat, 21 Nov 2026 02:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Sun, 22 Nov 2026 03:00:00 GMT", "date": DATE}, 60),
        ({"retry-after": "Sat, 21 Nov 2026 03:00:09 GMT"}, None),
        ({"retry-after": "Sat, 21 Nov 0000 03:00:09 GMT", "date": DATE}, None),
        ({"retry-after": "Sat, 21 Nix 2026 03:00:09 GMT", "date": DATE}, None),
        ({"retry-after": "Sat, 21 Nov 2026 03:00:60 GMT", "date": DATE}, 60),
    ],
)
def test_retry_after(headers: dict[str, str], wait_s: int | None) -> None:
    """Seconds or a date become whole seconds between 0 and 60; what says nothing stays nothing."""
    assert retry_after_s(headers) == wait_s
    fault = fault_of_reply(429, headers, b"")
    assert fault.headers == ({} if wait_s is None else {"retry-after": str(wait_s)})


def test_a_filter_tells_what_it_found() -> None:
    """The results of Azure's filter reach the client, in whichever place they stand, and nothing else beside them."""
    hate = {"filtered": True, "severity": "high", "citation": SECRET}
    odd = {"jailbreak": {"filtered": False, "detected": False}, "sexual": 7, "error": {"code": 1}, SECRET: hate}
    inner = {"code": SECRET, "content_filter_result": {"hate": hate, **odd}, "revised_prompt": SECRET}
    fault = fault_of_reply(400, {}, body(code="content_filter", innererror=inner))
    told = fault.body("r")["error"]
    found = {
        "hate": {"filtered": True, "severity": "high"},
        "jailbreak": {"filtered": False, "detected": False},
    }
    assert told["innererror"] == {
        "code": "ResponsibleAIPolicyViolation",
        "content_filter_result": found,
        "content_filter_results": found,
    }
    assert (told["code"], told["error_id"], fault.status) == ("content_filter", "CONTENT_POLICY_VIOLATION", 400)
    assert SECRET not in json.dumps(told)


def test_a_filter_of_responses_tells_it_in_a_list() -> None:
    """Azure's Responses API lists what it found; OpenRouter names the categories alone."""
    found = {"source_type": "prompt", "blocked": True, "content_filter_results": {"violence": {"filtered": True}}}
    fault = fault_of_reply(400, {}, body(code="content_filter", content_filters=[found, 7]))
    assert fault.body("r")["error"]["innererror"]["content_filter_result"] == {"violence": {"filtered": True}}
    named = fault_of_reply(403, {}, body(metadata={"reasons": ["violence/graphic", 7], "flagged_input": SECRET}))
    assert named.body("r")["error"]["innererror"]["content_filter_result"] == {
        "violence": {"filtered": True, "detected": True}
    }
    assert named.code == "content_filter"


@pytest.mark.parametrize("inner", [None, 7, [], {}, {"content_filter_result": 7}, {"content_filter_results": {"a": 1}}])
def test_a_filter_may_say_nothing(inner: Any) -> None:
    """Without results there is no member for them."""
    fault = fault_of_reply(400, {}, body(code="content_filter", innererror=inner))
    assert "innererror" not in fault.body("r")["error"]
