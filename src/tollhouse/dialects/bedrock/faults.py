"""Bedrock's errors as faults. Called for an answer that is not 200, and for an exception inside a stream.

https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html: an error is told by its name,
in the header ``x-amzn-errortype`` (sometimes with a URL after a colon), in the body's ``__type`` (after a ``#``), or in
the name of an exception event. Only a `ValidationException`, and names not known here, are about the request.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.faults import fault_of_error, wait_headers
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

_decode = msgspec.json.Decoder().decode

_TOO_LONG = re.compile(
    r"input is too long|too many (input )?tokens|prompt is too long|exceeds? the (model's )?(maximum )?context"
    r"|maximum (context|number of (input )?tokens)|context (length|window|limit)",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model identifier is invalid|on-demand throughput|access to the model|model access is denied|model not found"
    r"|doesn.t support the model|end of its life|not authorized to access this model|model isn.t available"
    r"|access to this model",
    re.IGNORECASE,
)
"""What a host that has not this model says, in validation, permission and quota errors alike."""

_MODEL_MISSING = "The upstream host does not serve this model to the gateway's account."
_REFUSED = "The upstream host refused the gateway's credential."
_BUSY = "The upstream host is overloaded or unavailable."
_LIMITED = "The upstream host's rate limit is reached."
_FAILED = "The model failed at the upstream host."

_Row = tuple[type[UpstreamFault], str]
_OF_NAME: dict[str, _Row] = {
    "throttlingexception": (UpstreamRateLimited, _LIMITED),
    "toomanyrequestsexception": (UpstreamRateLimited, _LIMITED),
    "servicequotaexceededexception": (UpstreamQuota, "The gateway's account is over a quota of the host."),
    "modelnotreadyexception": (UpstreamUnavailable, "The upstream host is still loading the model."),
    "serviceunavailableexception": (UpstreamUnavailable, _BUSY),
    "serviceunavailable": (UpstreamUnavailable, _BUSY),
    "internalserverexception": (UpstreamBadResponse, "The upstream host failed."),
    "internalfailure": (UpstreamBadResponse, "The upstream host failed."),
    "modelerrorexception": (UpstreamBadResponse, _FAILED),
    "modelstreamerrorexception": (UpstreamBadResponse, _FAILED),
    "modeltimeoutexception": (UpstreamTimeout, "The model took too long at the upstream host."),
    "accessdeniedexception": (UpstreamAuth, _REFUSED),
    "notauthorized": (UpstreamAuth, _REFUSED),
    "optinrequired": (UpstreamAuth, _REFUSED),
    "expiredtokenexception": (UpstreamAuth, "The gateway's AWS session token has expired."),
    "expiredtoken": (UpstreamAuth, "The gateway's AWS session token has expired."),
    "requestexpired": (UpstreamAuth, "The upstream host refused the signature: the gateway's clock is wrong."),
    "unrecognizedclientexception": (UpstreamAuth, _REFUSED),
    "invalidclienttokenid": (UpstreamAuth, _REFUSED),
    "invalidsignatureexception": (UpstreamAuth, _REFUSED),
    "signaturedoesnotmatch": (UpstreamAuth, _REFUSED),
    "incompletesignature": (UpstreamAuth, _REFUSED),
    "incompletesignatureexception": (UpstreamAuth, _REFUSED),
    "missingauthenticationtoken": (UpstreamAuth, _REFUSED),
    "missingauthenticationtokenexception": (UpstreamAuth, _REFUSED),
    "resourcenotfoundexception": (UpstreamModelMissing, _MODEL_MISSING),
    "badcscoreexception": (UpstreamModelMissing, _MODEL_MISSING),
    "ftuformnotfilled": (UpstreamModelMissing, _MODEL_MISSING),
}
_ABOUT_THE_MODEL = frozenset({"validationexception", "accessdeniedexception", ""})
"""Names under which the host also says that it has not the model."""


def fault_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
    """What an answer with a status other than 200 stands for. Header names are lower-case. Never raises."""
    try:
        error = _decode(body)
    except (ValueError, RecursionError):
        error = {}
    if not isinstance(error, dict):
        error = {}
    name = headers.get("x-amzn-errortype") or error.get("__type") or error.get("code") or ""
    return fault_of(str(name), status, error, headers)


def fault_of_exception(name: str, payload: bytes) -> UpstreamFault:
    """What an exception or error event of a stream stands for. Never raises."""
    error: Any
    try:
        error = _decode(payload)
    except (ValueError, RecursionError):
        error = {}
    if not isinstance(error, dict):
        error = {}
    return fault_of(name, 400 if name.lower() == "validationexception" else 503, error, {})


def fault_of(name: str, status: int, error: dict[str, Any], headers: Mapping[str, str]) -> UpstreamFault:
    """The fault of a named error."""
    name = name.partition(":")[0].rpartition("#")[2].strip().lower()
    message = error.get("message") or error.get("Message") or ""
    text = message if isinstance(message, str) else ""
    if name in _ABOUT_THE_MODEL and _NO_MODEL.search(text):
        return _missing()
    if name not in _OF_NAME:
        return _of_request(status, text, headers)
    kind, words = _OF_NAME[name]
    if kind is UpstreamModelMissing:
        return _missing()
    return kind(words, headers=wait_headers(headers))


def _missing() -> UpstreamModelMissing:
    return UpstreamModelMissing(_MODEL_MISSING, status=404)


def _of_request(status: int, text: str, headers: Mapping[str, str]) -> UpstreamFault:
    fault = fault_of_error(status, headers, {"message": text} if text else {})
    if isinstance(fault, UpstreamRejected) and _TOO_LONG.search(text):
        return UpstreamRejected(fault.message, status=400, param="messages", code="context_length_exceeded")
    return fault
