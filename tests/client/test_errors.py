"""Typed errors: every name that the gateway has, read from bodies and from the openai SDK's exceptions."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import openai
import pytest

from tests.client.cases import ERRORS, WAITS, name
from tollhouse import errors
from tollhouse.client import ErrorId, error_id, is_content_filter, request_id, retry_after_s
from tollhouse.errors import Fault

OTHERS = (
    *("UNAUTHORIZED", "FORBIDDEN", "INVALID_REQUEST", "INVALID_PARAMETER", "INVALID_INPUT", "MODEL_NOT_FOUND"),
    *("ENDPOINT_NOT_FOUND", "RATE_LIMIT_EXCEEDED", "RATE_LIMITED", "INFERENCE_RATE_LIMITED", "INSUFFICIENT_CREDITS"),
    *("PAYMENT_REQUIRED", "ACCOUNT_SUSPENDED", "SECURITY_VIOLATION", "CONTENT_POLICY_VIOLATION", "INFERENCE_ERROR"),
    *("INTERNAL_ERROR", "SERVICE_UNAVAILABLE", "INFERENCE_TIMEOUT", "REQUEST_TIMEOUT", "NETWORK_ERROR", "ABORTED"),
    *("WAIT_TIMEOUT", "PREDICTION_FAILED", "SDK_ERROR", "INVALID_JSON", "SERVER_ERROR", "HTTP_ERROR", "API_ERROR"),
    *("WEBHOOK_SIGNATURE_INVALID", "UNKNOWN_ERROR"),
)
"""The vocabulary of Skytells' SDK, whose member this is."""


def faults(kind: type[Fault] = Fault) -> Iterator[type[Fault]]:
    """Every class of `errors`."""
    for child in kind.__subclasses__():
        if child.__module__.startswith(errors.__name__):
            yield child
            yield from faults(child)


def test_every_error_of_the_gateway_has_its_name() -> None:
    """Whatever ``error_id`` a class of `errors` has, and every one of the older vocabulary, is a member."""
    missing = {kind.error_id for kind in faults()} - set(ErrorId)
    assert missing == set(), "add them to ErrorId, and to sdk/js/index.js and index.d.ts"
    assert set(OTHERS) <= set(ErrorId)


def test_a_name_is_its_own_text() -> None:
    """A member may be compared with, and used as, a string."""
    for one in ErrorId:
        assert (one.name, str(one)) == (one.value, one.value)
    known: dict[str, int] = {ErrorId.FORBIDDEN: 1}
    assert known["FORBIDDEN"] == 1


@pytest.mark.parametrize("case", ERRORS, ids=name)
def test_of_a_body(case: dict[str, Any]) -> None:
    """The name and the request's id are those of the table."""
    assert error_id(case["body"]) == case["id"]
    assert request_id(case["body"]) == case["request"]
    assert not is_content_filter(case["body"])


@pytest.mark.parametrize("case", WAITS, ids=lambda case: str(case["headers"]))
def test_how_long_to_wait(case: dict[str, Any]) -> None:
    """Seconds of either header; a date, or nonsense, is none."""
    raised = SimpleNamespace(response=SimpleNamespace(headers=case["headers"]))
    assert retry_after_s(raised) == case["seconds"]
    assert retry_after_s(SimpleNamespace(headers=case["headers"])) == case["seconds"]


def test_of_the_sdks_exceptions() -> None:
    """What the SDK raised for a status has name, id and wait; what it raised without an answer has a name."""
    request = httpx2.Request("POST", "http://t/v1/chat/completions")
    headers = {"retry-after": "3", "x-request-id": "req_9"}
    response = httpx2.Response(429, headers=headers, request=request)
    limited = openai.RateLimitError("m", response=response, body={"message": "m", "error_id": "RATE_LIMIT_EXCEEDED"})
    assert (error_id(limited), request_id(limited), retry_after_s(limited)) == ("RATE_LIMIT_EXCEEDED", "req_9", 3.0)
    assert error_id(openai.InternalServerError("m", response=response, body="<html>")) is None
    assert error_id(openai.APITimeoutError(request)) is ErrorId.REQUEST_TIMEOUT
    assert error_id(openai.ContentFilterFinishReasonError()) is ErrorId.CONTENT_POLICY_VIOLATION
    assert error_id(openai.APIConnectionError(request=request)) is ErrorId.NETWORK_ERROR
    assert error_id(openai.APIError("m", request, body={"message": "m", "error_id": "UPSTREAM_STALLED"})) == (
        "UPSTREAM_STALLED"
    )
    assert error_id(ConnectionResetError()) is ErrorId.NETWORK_ERROR
    assert error_id(ValueError("m")) is None
