"""Google's errors as faults. Called by `providers.gemini`, `providers.vertex` and the readers of this package.

An error is ``{"error": {"code", "message", "status", "details"}}``, in a list where a list was due. Most
of it is the one table of `dialects.faults`; here is what only Google does: a bad key is a 400, a wait stands in the
body, and a quota of nothing looks like a rate limit (https://ai.google.dev/gemini-api/docs/troubleshooting).
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.faults import fault_of_error
from tollhouse.dialects.gemini.words import STATUS_OF_ERROR
from tollhouse.errors import UpstreamAuth, UpstreamFault, UpstreamQuota, UpstreamUnavailable

_TOO_LONG = re.compile(r"token count.{0,60}exceeds|exceeds the maximum number of (input )?tokens", re.IGNORECASE)
_BAD_KEY = re.compile(r"API key (not valid|expired|not found)|API_KEY_INVALID", re.IGNORECASE)
_PLACE = re.compile(r"User location is not supported", re.IGNORECASE)
_UNPAID = re.compile(r"billing|prepayment credits|free tier is not available", re.IGNORECASE)
_ITS_OWN = re.compile(r"\b(the File|CachedContent|cached content|file[sS]/)\b", re.IGNORECASE)
"""A 403 or 404 about a thing that the request names: not about our key, and not about the model."""
_NO_QUOTA = re.compile(r"limit: 0\b|per ?day|daily", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_decode = msgspec.json.Decoder().decode


def google_fault(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
    """What an answer with a status other than 200 stands for. Header names are lower-case. Never raises."""
    return fault_of(status, headers, error_of(body))


def event_fault(error: object) -> UpstreamFault:
    """What the ``error`` member of a 200 answer, or of an event of its stream, stands for. Never raises."""
    found = error if isinstance(error, dict) else {"message": str(error)}
    status = found.get("code")
    if type(status) is not int or not 400 <= status <= 599:
        status = STATUS_OF_ERROR.get(str(found.get("status")), 503)
    return fault_of(status, {}, found)


def error_of(body: bytes) -> dict[str, Any]:
    """The error object of a body; empty when there is none to be found."""
    try:
        value = _decode(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:
        value = value[0]
    error = value.get("error") if isinstance(value, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def fault_of(status: int, headers: Mapping[str, str], error: dict[str, Any]) -> UpstreamFault:
    """The fault of one error object."""
    told = error.get("message")
    message = told if isinstance(told, str) else ""
    if status in (400, 413) and _TOO_LONG.search(message):
        return fault_of_error(400, {}, {"message": message, "code": "context_length_exceeded"})
    if status == 400 and _BAD_KEY.search(message):
        return UpstreamAuth("The upstream host refused the gateway's credential.")
    if status in (400, 403) and _PLACE.search(message):
        return UpstreamUnavailable("The upstream host does not serve the place where the gateway runs.")
    if _is_unpaid(status, error, message):
        return UpstreamQuota("The gateway's account at the upstream host is out of quota.")
    if status in (403, 404) and _ITS_OWN.search(message):
        return fault_of_error(400, {}, {"message": message})
    return fault_of_error(status, _with_delay(headers, error), error)


def _is_unpaid(status: int, error: dict[str, Any], message: str) -> bool:
    if status in (400, 402, 403):
        return bool(error.get("status") == "FAILED_PRECONDITION" and _UNPAID.search(message))
    if status != 429:
        return False
    return bool(_NO_QUOTA.search(message)) or any(_is_daily(detail) for detail in _details(error))


def _is_daily(detail: dict[str, Any]) -> bool:
    """Whether a detail is a quota that is used up for the day: waiting seconds changes nothing."""
    violations = detail.get("violations")
    found = violations if isinstance(violations, list) else []
    return any("PerDay" in str(one.get("quotaId")) for one in found if isinstance(one, dict))


def _with_delay(headers: Mapping[str, str], error: dict[str, Any]) -> Mapping[str, str]:
    """The headers with the wait that a ``RetryInfo`` asks for (google.rpc.RetryInfo: ``"51.5s"``)."""
    if "retry-after" in headers:
        return headers
    for detail in _details(error):
        match = _DELAY.fullmatch(str(detail.get("retryDelay")))
        if match:
            return {**headers, "retry-after": match[1]}
    return headers


def _details(error: dict[str, Any]) -> list[dict[str, Any]]:
    details = error.get("details")
    return [one for one in details if isinstance(one, dict)] if isinstance(details, list) else []
