"""OpenAI-shaped errors of upstreams, as faults: the one table from what a host says to whose fault it is.

Providers call `fault_of_reply` for an answer that is not 200 and `fault_of_object` for an error inside one that is.
A host's own words reach a client only where the client's request was refused, only from the members ``message``,
``param`` and ``code`` of its error object, cut short and with everything like a credential taken out: hosts print keys.
A refusal for what the request says (`UpstreamFiltered`) tells the results of the host's filter too.
"""

import re
from calendar import timegm
from collections.abc import Container, Mapping
from typing import Any

import msgspec

from tollhouse.dialects.filtered import Results, detect, results_of_error
from tollhouse.dialects.moderation import category_of
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
from tollhouse.telemetry.redact import redact

MAX_RETRY_AFTER_S = 60
"""OpenAI's SDKs wait for at most this long, and give up when told to wait longer."""
_MESSAGE_CHARS = 1000
_decode = msgspec.json.Decoder().decode

_MODEL = frozenset({"model_not_found", "invalid_model", "model_not_available", "model_not_supported"})
_POLICY = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
_BAD_REQUEST = frozenset({"invalid_request_error", "bad_request_error", "invalid_argument", "badrequesterror"})
_FORBIDDEN, _GUARDRAIL = 403, "guardrail"
_MOST_REASONS = 64
_REFUSALS = frozenset({400, 404, 409, 413, 422, 451})
_TOO_LONG = re.compile(r"context[ _](length|window|size)|prompt is too long|too many (input )?tokens", re.IGNORECASE)

_Row = tuple[Container[int], frozenset[str], type[UpstreamFault], str]
_HOST_FAULTS: tuple[_Row, ...] = (
    (
        (401, 403),
        frozenset({"invalid_api_key", "authentication_error", "api_key_invalid", "unauthenticated", "unauthorized"}),
        UpstreamAuth,
        "The upstream host refused the gateway's credential.",
    ),
    (
        (402,),
        frozenset({
            "insufficient_quota", "credit_balance_exhausted", "billing_error", "billing_hard_limit_reached",
            "organization_spend_limit_exceeded", "project_spend_limit_exceeded", "organization_usage_limit_exceeded",
            "insufficient_balance", "insufficient_credits", "payment_required", "exceeded_current_quota_error",
        }),
        UpstreamQuota,
        "The gateway's account at the upstream host is out of quota.",
    ),
    (
        (503, 520, 521, 523, 529),
        frozenset({
            "overloaded_error", "overloaded", "server_is_overloaded", "engine_overloaded_error", "unavailable",
            "slow_down", "service_unavailable_error",
        }),
        UpstreamUnavailable,
        "The upstream host is overloaded or unavailable.",
    ),
    (
        (429,),
        frozenset({
            "rate_limit_exceeded", "rate_limit_error", "rate_limit_reached_error", "rate_limited", "too_many_requests",
            "resource_exhausted", "throttlingexception",
        }),
        UpstreamRateLimited,
        "The upstream host's rate limit is reached.",
    ),
    ((408, 504, 522, 524), frozenset({"timeout"}), UpstreamTimeout, "The upstream host timed out."),
    (range(300, 400), frozenset(), UpstreamRedirect, "The upstream host redirected, which is never followed."),
)  # fmt: skip
"""Statuses, and words in lower case, that mean a fault of the host or of our account there. A word says more."""


def fault_of_reply(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
    """What an answer with a status other than 200 stands for. Header names are lower-case. Never raises."""
    return _fault(status, headers, _error_of_body(body))


def fault_of_object(error: object) -> UpstreamFault:
    """What the ``error`` member of a 200 answer, or of an event of its stream, stands for. Never raises."""
    found = _as_error(error)
    status = next((found[name] for name in ("status_code", "code", "status") if _is_status(found.get(name))), None)
    if status is None:
        status = 400 if _words(found) & _BAD_REQUEST else 503
    return _fault(status, {}, found)


def fault_of_error(status: int, headers: Mapping[str, str], error: dict[str, Any]) -> UpstreamFault:
    """What an error with these members (``message``, ``code``, ``type``, ``param``) stands for, of a dialect whose own
    table says nothing of it. Never raises.
    """
    return _fault(status, headers, error)


def _is_status(value: object) -> bool:
    return type(value) is int and 400 <= value <= 599


def _fault(status: int, headers: Mapping[str, str], error: dict[str, Any]) -> UpstreamFault:
    words = _words(error)
    if words & _MODEL or (status == 404 and "model" in str(error.get("message", "")).lower()):
        return UpstreamModelMissing(_text(error, "The upstream host has no such model."), status=404)
    if words & _POLICY or _is_flagged(status, error):
        return _filtered(status if 400 <= status < 500 else 400, error)
    rows = [row for row in _HOST_FAULTS if words & row[1]] or [row for row in _HOST_FAULTS if status in row[0]]
    if rows:
        _, _, kind, message = rows[0]
        return kind(message, headers=wait_headers(headers))
    if status in _REFUSALS and (error or status != 404):
        return _rejected(status, error)
    return UpstreamBadResponse(f"The upstream host answered with status {status}.")


def _rejected(status: int, error: dict[str, Any]) -> UpstreamRejected:
    message = _text(error, f"The upstream host refused the request (status {status}).")
    code = _name(error.get("code"))
    if _TOO_LONG.search(message) and status in (400, 413, 422):
        code = "context_length_exceeded"
    return UpstreamRejected(message, status=status, param=_name(error.get("param")), code=code)


def _filtered(status: int, error: dict[str, Any]) -> UpstreamFiltered:
    message = _text(error, "The upstream host refused the request for what it says.")
    param, code = _name(error.get("param")), _name(error.get("code"))
    told = {name: _shown(entry) for name, entry in results_of_error(error).items()}
    results = {name: entry for name, entry in told.items() if entry} or _reasons(error)
    return UpstreamFiltered(message, status=status, param=param, code=code, results=results)


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """Of one category what may be shown: never a piece of the text, nor a word that is not known."""
    return {name: entry[name] for name in ("filtered", "severity", "detected") if name in entry}


def _reasons(error: dict[str, Any]) -> Results:
    """The categories that OpenRouter names in ``metadata.reasons``."""
    metadata = error.get("metadata")
    reasons = metadata.get("reasons") if isinstance(metadata, dict) else None
    results: Results = {}
    for reason in reasons[:_MOST_REASONS] if isinstance(reasons, list) else ():
        if category := category_of(reason):
            detect(results, category, filtered=True)
    return results


def _text(error: dict[str, Any], otherwise: str) -> str:
    message = error.get("message")
    if not isinstance(message, str) or not message.strip():
        return otherwise
    return redact(message.strip()[: 4 * _MESSAGE_CHARS])[:_MESSAGE_CHARS]


def _name(value: object) -> str | None:
    """A ``param`` or ``code`` that may be shown: a short path or word."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w.\-\[\]$/ ]{1,128}", value):
        return None
    return redact(value)


def _words(error: dict[str, Any]) -> set[str]:
    """Everything by which hosts name a kind of error, in lower case."""
    found = [error.get("code"), error.get("type"), error.get("status")]
    details = error.get("details")
    if isinstance(details, list):
        found += [detail.get("reason") for detail in details if isinstance(detail, dict)]
    return {word.lower() for word in found if isinstance(word, str)}


def _is_flagged(status: int, error: dict[str, Any]) -> bool:
    """A 403 that is about the request's content: taken for a bad credential, it would let a client disable the key.

    OpenRouter tells it in ``metadata``; Mistral answers so where one of a request's ``guardrails`` is crossed
    (https://docs.mistral.ai/capabilities/guardrailing).
    """
    metadata = error.get("metadata")
    if isinstance(metadata, dict) and ("flagged_input" in metadata or "reasons" in metadata):
        return True
    return status == _FORBIDDEN and any(_GUARDRAIL in str(error.get(name)).lower() for name in ("type", "message"))


def _error_of_body(body: bytes) -> dict[str, Any]:
    """The error object of a body, empty when there is none to be found."""
    try:
        value = _decode(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and len(value) == 1:  # Gemini's compatible surface wraps it in a list
        value = value[0]
    if not isinstance(value, dict):
        return {}
    if value.get("error"):
        return _as_error(value["error"])
    return value if value.get("object") == "error" else {}  # Mistral, and vLLM up to 0.9


def _as_error(error: object) -> dict[str, Any]:
    """``{"error": "text"}``, as Ollama's and TGI's own surfaces have it, is an error with that message."""
    if isinstance(error, dict):
        return error
    return {"message": error} if isinstance(error, str) else {}


# --- retry-after -------------------------------------------------------------------------------------------------

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_HTTP_DATE = re.compile(r"\w{3}, (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT")


def retry_after_s(headers: Mapping[str, str]) -> int | None:
    """The wait a reply asks for, in whole seconds, 0..60, rounded up; ``None`` if it asks for none.

    Seconds or an HTTP date (RFC 9110, 10.2.3). A date counts from the reply's own ``date``, so no clock is asked and
    none has to agree with the host's; without that header it says nothing.
    """
    raw = headers.get("retry-after", "").strip()
    if re.fullmatch(r"-?\d{1,15}(\.\d{0,9})?", raw):
        wait_s = float(raw)
    else:
        until, since = http_date_s(raw), http_date_s(headers.get("date", "").strip())
        if until is None or since is None:
            return None
        wait_s = float(until - since)
    return int(-(-min(max(wait_s, 0.0), MAX_RETRY_AFTER_S) // 1))


def http_date_s(text: str) -> int | None:
    """Seconds since 1970 of the IMF-fixdate form, the only one that hosts may generate (RFC 9110, 5.6.7)."""
    match = _HTTP_DATE.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    return timegm((year, _MONTHS.index(match[2]) + 1, day, hour, minute, second)) if year else None


def wait_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The ``retry-after`` that a client is given for a reply with these headers; empty where it asks for no wait."""
    wait_s = retry_after_s(headers)
    return {} if wait_s is None else {"retry-after": str(wait_s)}
