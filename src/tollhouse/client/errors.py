"""What went wrong, as a typed name: from an exception of an SDK, or from the JSON of an error.

Applications call `error_id`, `retry_after_s` and `request_id` in their ``except`` clause. `ErrorId` has every error
that Tollhouse sends (its page on errors says what to do about each), those of APIs that use the same member, and names
for what never reached a server.
"""

import math
from enum import StrEnum

from tollhouse.client.shapes import items, member, text


class ErrorId(StrEnum):
    """Names of errors, for ever the same. Each equals its own text."""

    # What Tollhouse sends.
    ACCOUNT_SUSPENDED = "ACCOUNT_SUSPENDED"
    CONFLICT = "CONFLICT"
    CONTENT_POLICY_VIOLATION = "CONTENT_POLICY_VIOLATION"
    ENDPOINT_NOT_FOUND = "ENDPOINT_NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    HEADERS_TOO_LARGE = "HEADERS_TOO_LARGE"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    INSUFFICIENT_CREDITS = "INSUFFICIENT_CREDITS"
    INTERNAL_ERROR = "INTERNAL_ERROR"
    INVALID_REQUEST = "INVALID_REQUEST"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    JSON_INCOMPLETE = "JSON_INCOMPLETE"
    MAX_COST_EXCEEDED = "MAX_COST_EXCEEDED"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    MODEL_UNPRICED = "MODEL_UNPRICED"
    NOT_FOUND = "NOT_FOUND"
    RATE_LIMIT_EXCEEDED = "RATE_LIMIT_EXCEEDED"
    REQUEST_TIMEOUT = "REQUEST_TIMEOUT"
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    SAFETY_UNAVAILABLE = "SAFETY_UNAVAILABLE"
    SERVER_DRAINING = "SERVER_DRAINING"
    SERVICE_UNAVAILABLE = "SERVICE_UNAVAILABLE"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    UNAUTHORIZED = "UNAUTHORIZED"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    UNSUPPORTED_PARAMETER = "UNSUPPORTED_PARAMETER"
    UPSTREAM_AUTH = "UPSTREAM_AUTH"
    UPSTREAM_BAD_JSON = "UPSTREAM_BAD_JSON"
    UPSTREAM_BAD_RESPONSE = "UPSTREAM_BAD_RESPONSE"
    UPSTREAM_DNS = "UPSTREAM_DNS"
    UPSTREAM_ERROR = "UPSTREAM_ERROR"
    UPSTREAM_INTERRUPTED = "UPSTREAM_INTERRUPTED"
    UPSTREAM_MODEL_MISSING = "UPSTREAM_MODEL_MISSING"
    UPSTREAM_PROTOCOL = "UPSTREAM_PROTOCOL"
    UPSTREAM_QUOTA = "UPSTREAM_QUOTA"
    UPSTREAM_RATE_LIMITED = "UPSTREAM_RATE_LIMITED"
    UPSTREAM_REDIRECT = "UPSTREAM_REDIRECT"
    UPSTREAM_REJECTED = "UPSTREAM_REJECTED"
    UPSTREAM_STALLED = "UPSTREAM_STALLED"
    UPSTREAM_TIMEOUT = "UPSTREAM_TIMEOUT"
    UPSTREAM_TLS = "UPSTREAM_TLS"
    UPSTREAM_TOO_LARGE = "UPSTREAM_TOO_LARGE"
    UPSTREAM_UNAVAILABLE = "UPSTREAM_UNAVAILABLE"
    UPSTREAM_UNREACHABLE = "UPSTREAM_UNREACHABLE"

    # What other servers with this member send.
    INFERENCE_ERROR = "INFERENCE_ERROR"
    INFERENCE_RATE_LIMITED = "INFERENCE_RATE_LIMITED"
    INFERENCE_TIMEOUT = "INFERENCE_TIMEOUT"
    INVALID_INPUT = "INVALID_INPUT"
    INVALID_PARAMETER = "INVALID_PARAMETER"
    PAYMENT_REQUIRED = "PAYMENT_REQUIRED"
    RATE_LIMITED = "RATE_LIMITED"
    SECURITY_VIOLATION = "SECURITY_VIOLATION"

    # What SDKs say where no server did.
    ABORTED = "ABORTED"
    API_ERROR = "API_ERROR"
    HTTP_ERROR = "HTTP_ERROR"
    INVALID_JSON = "INVALID_JSON"
    NETWORK_ERROR = "NETWORK_ERROR"
    PREDICTION_FAILED = "PREDICTION_FAILED"
    SDK_ERROR = "SDK_ERROR"
    SERVER_ERROR = "SERVER_ERROR"
    UNKNOWN_ERROR = "UNKNOWN_ERROR"
    WAIT_TIMEOUT = "WAIT_TIMEOUT"
    WEBHOOK_SIGNATURE_INVALID = "WEBHOOK_SIGNATURE_INVALID"


_KNOWN = {one.value: one for one in ErrorId}
_CLASSES = {
    "ContentFilterFinishReasonError": ErrorId.CONTENT_POLICY_VIOLATION,
    "APITimeoutError": ErrorId.REQUEST_TIMEOUT,
    "APIConnectionError": ErrorId.NETWORK_ERROR,
    "APIUserAbortError": ErrorId.ABORTED,
    "InvalidWebhookSignatureError": ErrorId.WEBHOOK_SIGNATURE_INVALID,
    "TimeoutError": ErrorId.REQUEST_TIMEOUT,
    "ConnectionError": ErrorId.NETWORK_ERROR,
    "CancelledError": ErrorId.ABORTED,
}
"""Exceptions for which no server has spoken, by the names of their classes: the openai and anthropic SDKs' and
Python's own.
"""
_FILTERED = "content_filter"
_SECONDS = (("retry-after-ms", 1000.0), ("retry-after", 1.0))
"""Headers that say how long to wait, and how many of theirs make a second. The first is Azure's, and finer."""


def error_body(failure: object) -> object:
    """The object with ``message``, ``code`` and ``error_id``: of an SDK's exception, of a whole body, or of what was in
    its ``error``. None where there is none.
    """
    body = member(failure, "body")
    for found in (member(failure, "error"), member(body, "error"), body, failure):
        told = any(member(found, name) is not None for name in ("message", "code", "error_id"))
        if told and not isinstance(found, BaseException):
            return found
    return None


def error_id(failure: object) -> ErrorId | None:
    """The name of what went wrong: of an exception, or of an error's JSON.

    `ErrorId.UNKNOWN_ERROR` is a name that this version does not know; None, that none is given.
    """
    body = error_body(failure)
    told = text(member(body, "error_id"))
    for detail in items(member(body, "details")):  # where Google's dialect has room for it
        told = told or text(member(member(detail, "metadata"), "error_id"))
    if told is not None:
        return _KNOWN.get(told, ErrorId.UNKNOWN_ERROR)
    for kind in type(failure).__mro__:
        if isinstance(failure, BaseException) and kind.__name__ in _CLASSES:
            return _CLASSES[kind.__name__]
    return None


def is_content_filter(failure: object) -> bool:
    """Whether an error says that the prompt, or the answer, was held back for what it is about."""
    body = error_body(failure)
    return member(body, "code") == _FILTERED or error_id(failure) is ErrorId.CONTENT_POLICY_VIOLATION


def retry_after_s(failure: object) -> float | None:
    """How many seconds the server asks to wait; None where it does not say, or says it as a date."""
    for name, per_second in _SECONDS:
        try:
            seconds = float(_header(failure, name) or "") / per_second
        except ValueError:
            continue
        if math.isfinite(seconds) and seconds >= 0:
            return seconds
    return None


def request_id(subject: object) -> str | None:
    """The id under which the gateway's log, and ``GET /v1/usage/{request_id}``, know a request: of an exception, an
    error's JSON, or an answer of the openai SDK.
    """
    body = error_body(subject)
    for holder, name in ((body, "request_id"), (subject, "request_id"), (subject, "_request_id")):
        if (found := text(member(holder, name))) is not None:
            return found
    return _header(subject, "x-request-id")


def _header(subject: object, name: str) -> str | None:
    response = member(subject, "response")
    return text(member(member(subject if response is None else response, "headers"), name))
