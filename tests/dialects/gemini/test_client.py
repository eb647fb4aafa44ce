"""Errors in Google's form."""

import json

import pytest

from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.errors import (
    Fault,
    InternalError,
    InvalidRequest,
    MaxCostExceeded,
    MethodNotAllowed,
    ModelNotFound,
    RateLimited,
    Unauthorized,
    UpstreamTimeout,
)


def test_an_error_has_everything_that_ours_has() -> None:
    """The message, the parameter, the wait, and our own words in an ErrorInfo."""
    fault = InvalidRequest("No.", param="contents[0]", code="invalid_type", headers={"retry-after": "3"})
    assert GEMINI.error(fault, "req_1") == {
        "error": {
            "code": 400,
            "message": "No.",
            "status": "INVALID_ARGUMENT",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "INVALID_TYPE",
                    "domain": "tollhouse",
                    "metadata": {
                        "type": "invalid_request_error",
                        "error_id": "INVALID_REQUEST",
                        "request_id": "req_1",
                    },
                },
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{"field": "contents[0]", "description": "No."}],
                },
                {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"},
            ],
        }
    }


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Unauthorized("x"), "UNAUTHENTICATED"),
        (ModelNotFound("x"), "NOT_FOUND"),
        (RateLimited("x"), "RESOURCE_EXHAUSTED"),
        (MaxCostExceeded("x"), "FAILED_PRECONDITION"),
        (MethodNotAllowed("x"), "INVALID_ARGUMENT"),
        (UpstreamTimeout("x"), "DEADLINE_EXCEEDED"),
        (InternalError("x"), "INTERNAL"),
    ],
)
def test_each_status_has_googles_word(fault: Fault, word: str) -> None:
    """Clients of Google's look at it before the number."""
    error = GEMINI.error(fault, "r")["error"]
    assert (error["code"], error["status"]) == (fault.status, word)


def test_an_error_in_a_stream_begins_with_its_name() -> None:
    """The SDK looks for exactly this at the start of an object."""
    event = GEMINI.error_event(GEMINI.error(InternalError("x"), "r"))
    assert event.startswith(b'data: {"error":{"code":500,')
    assert json.loads(event.removeprefix(b"data: "))["error"]["status"] == "INTERNAL"
