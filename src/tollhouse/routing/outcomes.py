"""What became of an attempt, as far as routing cares: whose fault it was, and so what is to be spared.

Called by `gateway.attempts`. Errors of the client's own request spare nothing: they say nothing of the target.
"""

from enum import StrEnum

from tollhouse.errors import (
    UpstreamAuth,
    UpstreamBadJson,
    UpstreamFault,
    UpstreamModelMissing,
    UpstreamQuota,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamStalled,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnfit,
    UpstreamUnreachable,
)


class Outcome(StrEnum):
    """How an attempt ended."""

    OK = "ok"
    CANCELLED = "cancelled"
    """The client left, or another attempt of a hedged request was first."""
    CLIENT = "client"
    """The host refused the request itself: 400, 413, 422... It is alive, and no other would say otherwise."""
    TOO_LONG = "too_long"
    """The host refused it for its length: a model with a longer context may take it."""
    MISSING = "missing"
    """The host does not have the model; another may."""
    UNFIT = "unfit"
    """It was not asked: it cannot honour what the client insists on."""
    RATE = "rate"
    AUTH = "auth"
    QUOTA = "quota"
    OVERLOAD = "overload"
    SERVER = "server"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    BROKEN = "broken"
    """What came back is no answer, or it broke off."""
    BAD_JSON = "bad_json"
    """The host is well, but the model's words are not the JSON that was asked for: by another target, or told more
    plainly, they may be. It counts against nobody, for it may be what this client asks for.
    """
    BUSY_PROBE = "busy_probe"
    """It was not asked: its circuit lets one request through at a time, and that one is under way."""


OK, GONE = Outcome.OK, Outcome.CANCELLED
"""For the path that every request takes: Python 3.11 looks for a member of an enumeration 0.2 us long, each time."""

_BY_CLASS: dict[type[UpstreamFault], Outcome] = {
    UpstreamRateLimited: Outcome.RATE,
    UpstreamAuth: Outcome.AUTH,
    UpstreamUnavailable: Outcome.OVERLOAD,
    UpstreamQuota: Outcome.QUOTA,
    UpstreamUnreachable: Outcome.UNREACHABLE,
    UpstreamTimeout: Outcome.TIMEOUT,
    UpstreamStalled: Outcome.TIMEOUT,
    UpstreamBadJson: Outcome.BAD_JSON,
    UpstreamModelMissing: Outcome.MISSING,
    UpstreamUnfit: Outcome.UNFIT,
    UpstreamRejected: Outcome.CLIENT,
}

_BY_CODE = {
    (Outcome.CLIENT, "context_length_exceeded"): Outcome.TOO_LONG,
}

KEY_FAULTS = frozenset({Outcome.RATE, Outcome.AUTH, Outcome.QUOTA})
"""Another key of the same host may do better."""
SERVICE_FAULTS = frozenset({Outcome.OVERLOAD, Outcome.SERVER, Outcome.UNREACHABLE, Outcome.TIMEOUT, Outcome.BROKEN})
"""The target's own: they open circuits."""
UNSENT = frozenset({Outcome.UNFIT, Outcome.BUSY_PROBE})
"""Nothing was sent: they cost no try."""
FINAL = frozenset({Outcome.OK, Outcome.CANCELLED, Outcome.CLIENT})
"""There is nothing to try after them."""


def classify(fault: UpstreamFault) -> Outcome:
    """Whose fault it is. A class that is not listed counts as the nearest above it that is."""
    for kind in type(fault).__mro__:
        if kind in _BY_CLASS:
            outcome = _BY_CLASS[kind]
            return _BY_CODE.get((outcome, fault.code or ""), outcome)
    return Outcome.BROKEN if type(fault) is not UpstreamFault else Outcome.SERVER
