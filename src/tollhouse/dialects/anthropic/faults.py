"""Anthropic's errors as faults. Called by `providers.anthropic`, and by the readers for errors inside an answer.

https://platform.claude.com/docs/en/api/errors. The type of an error tells most; but what is wrong with the account
comes as ``invalid_request_error`` too, and is known by its words alone.
"""

import re
from calendar import timegm
from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.words import STATUS_OF_ERROR
from tollhouse.dialects.faults import fault_of_object, fault_of_reply, http_date_s
from tollhouse.errors import UpstreamAuth, UpstreamFault, UpstreamFiltered, UpstreamQuota, UpstreamRejected

_ACCOUNT = re.compile(
    r"credit balance is too low|specified API usage limits|reached your .{0,40}usage limit", re.IGNORECASE
)
_CLOSED = re.compile(r"organization has been disabled|account has been (disabled|suspended)", re.IGNORECASE)
_TOO_LONG = re.compile(r"prompt is too long|exceed(s|ed)? (the )?context limit|exceeds the maximum size", re.IGNORECASE)
_FILTERED = re.compile(r"blocked by (our )?content filter", re.IGNORECASE)
_RESET = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z")
_LIMITS = ("requests", "tokens", "input-tokens", "output-tokens")

_decode = msgspec.json.Decoder().decode


def fault_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
    """What an answer with a status other than 200 stands for. Never raises."""
    if status == STATUS_OF_ERROR["rate_limit_error"] and "retry-after" not in headers:
        headers = {**headers, **_until_reset(headers)}
    return _read_words(fault_of_reply(status, headers, body), _message_of(body))


def fault_of_event(error: object) -> UpstreamFault:
    """What the ``error`` of an answer that began with 200, or of an event, stands for. Never raises."""
    if not isinstance(error, dict):
        return fault_of_object(error)
    kind = error.get("type")
    status = STATUS_OF_ERROR.get(kind) if isinstance(kind, str) else None
    return _read_words(fault_of_object(error if status is None else {**error, "status": status}), error.get("message"))


def _read_words(fault: UpstreamFault, message: object) -> UpstreamFault:
    if not isinstance(fault, UpstreamRejected) or not isinstance(message, str):
        return fault
    if _ACCOUNT.search(message):
        return UpstreamQuota("The gateway's account at the upstream host is out of quota.")
    if _CLOSED.search(message):
        return UpstreamAuth("The upstream host refused the gateway's credential.")
    if _TOO_LONG.search(message):
        return UpstreamRejected(fault.message, status=fault.status, code="context_length_exceeded")
    if _FILTERED.search(message):
        return UpstreamFiltered(fault.message, status=fault.status)
    return fault


def _message_of(body: bytes) -> object:
    try:
        error: Any = _decode(body)["error"]["message"]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return None
    return error


def _until_reset(headers: Mapping[str, str]) -> dict[str, str]:
    """How long the limit that is used up has yet to last, by the answer's own date; nothing where that is not told.

    https://platform.claude.com/docs/en/api/rate-limits#response-headers: resets are in RFC 3339.
    """
    now_s = http_date_s(headers.get("date", "").strip())
    ends = [
        headers.get(f"anthropic-ratelimit-{limit}-reset", "")
        for limit in _LIMITS
        if headers.get(f"anthropic-ratelimit-{limit}-remaining") == "0"
    ]
    waits_s = [end_s - now_s for end in ends if now_s is not None and (end_s := _rfc3339_s(end)) is not None]
    return {"retry-after": str(max(waits_s))} if waits_s else {}


def _rfc3339_s(text: str) -> int | None:
    match = _RESET.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups())
    return timegm((year, month, day, hour, minute, second)) if year and 1 <= month <= _MONTHS else None


_MONTHS = 12
