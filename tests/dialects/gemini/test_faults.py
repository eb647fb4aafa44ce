"""Google's errors: each is the fault that it stands for."""

import json
from typing import Any

import pytest

from tollhouse.dialects.gemini.faults import google_fault
from tollhouse.errors import (
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamModelMissing,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

DELAY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "51.2s"}
DAILY = {"@type": "x", "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}


def fault(status: int, message: str = "no", word: str = "X", *details: Any, wrapped: bool = False) -> UpstreamFault:
    """The fault of one error."""
    value: Any = {"error": {"code": status, "message": message, "status": word, "details": list(details)}}
    return google_fault(status, {}, json.dumps([value] if wrapped else value).encode())


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("status", "message", "word", "details", "kind"),
    [
        (400, "API key not valid.", "INVALID_ARGUMENT", [{"reason": "API_KEY_INVALID"}], UpstreamAuth),
        (400, "API key expired. Please renew the API key.", "INVALID_ARGUMENT", [], UpstreamAuth),
        (401, "no", "UNAUTHENTICATED", [], UpstreamAuth),
        (403, "no", "PERMISSION_DENIED", [], UpstreamAuth),
        (403, "You do not have permission to access the File abc", "PERMISSION_DENIED", [], UpstreamRejected),
        (403, "CachedContent not found (or permission denied)", "PERMISSION_DENIED", [], UpstreamRejected),
        (400, "User location is not supported for the API use.", "FAILED_PRECONDITION", [], UpstreamUnavailable),
        (400, "Please enable billing on the project.", "FAILED_PRECONDITION", [], UpstreamQuota),
        (429, "Quota exceeded for metric: x, limit: 0, model: y", "RESOURCE_EXHAUSTED", [DELAY], UpstreamQuota),
        (429, "Quota exceeded", "RESOURCE_EXHAUSTED", [DAILY], UpstreamQuota),
        (429, "Quota exceeded, limit: 20", "RESOURCE_EXHAUSTED", [DELAY], UpstreamRateLimited),
        (404, "models/x is not found for API version v1beta", "NOT_FOUND", [], UpstreamModelMissing),
        (400, "Invalid value", "INVALID_ARGUMENT", [], UpstreamRejected),
        (500, "no", "INTERNAL", [], UpstreamBadResponse),
        (503, "The model is overloaded.", "UNAVAILABLE", [], UpstreamUnavailable),
        (504, "no", "DEADLINE_EXCEEDED", [], UpstreamTimeout),
    ],
)
def test_every_error_is_its_fault(
    status: int, message: str, word: str, details: list[Any], kind: type[UpstreamFault], wrapped: bool
) -> None:
    """Also where it comes in a list."""
    assert type(fault(status, message, word, *details, wrapped=wrapped)) is kind


def test_the_wait_stands_in_the_body() -> None:
    """It is rounded up, cut at a minute, and a header says more."""
    assert fault(429, "slow", "RESOURCE_EXHAUSTED", DELAY).headers["retry-after"] == "52"
    assert fault(429, "slow", "RESOURCE_EXHAUSTED", {"retryDelay": "900s"}).headers["retry-after"] == "60"
    assert "retry-after" not in fault(429, "slow", "RESOURCE_EXHAUSTED", {"retryDelay": "soon"}).headers
    body = json.dumps({"error": {"status": "RESOURCE_EXHAUSTED", "details": [DELAY]}}).encode()
    assert google_fault(429, {"retry-after": "3"}, body).headers["retry-after"] == "3"


def test_a_long_prompt_has_openais_code() -> None:
    """The client is told in the word that it knows."""
    found = fault(400, "The input token count (9) exceeds the maximum number of tokens allowed (8).")
    assert (type(found), found.code) == (UpstreamRejected, "context_length_exceeded")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"[7]", b'{"error":7}', b'{"error":"text"}', b'{"error":{"details":[7],"message":7}}'],
)
@pytest.mark.parametrize("status", [400, 403, 404, 429, 500])
def test_any_body_is_a_fault(status: int, body: bytes) -> None:
    """Nothing that a host sends raises anything else."""
    assert isinstance(google_fault(status, {}, body), UpstreamFault)
