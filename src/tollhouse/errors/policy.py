"""The operator's rules: the request is fine, but not now. Imported through `tollhouse.errors`."""

from collections.abc import Sequence
from typing import Any

from tollhouse.errors.fault import Fault


class PolicyFault(Fault):
    """The request is fine; the rules of this gateway refuse it for now."""

    status = 429


class InsufficientBalance(PolicyFault):
    """What the request may cost at most is more than the caller may still spend.

    ``amounts`` are added to the body: ``required_credits``, ``available_credits``, and both in US dollars.
    """

    status = 402
    type = "insufficient_balance"
    code = "insufficient_balance"
    error_id = "INSUFFICIENT_CREDITS"

    def __init__(self, message: str, *, amounts: dict[str, float | str], param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.amounts = amounts

    def body(self, request_id: str) -> dict[str, Any]:
        """See `Fault.body`."""
        body = super().body(request_id)
        body["error"] |= self.amounts
        return body


class RateLimited(PolicyFault):
    """Too many requests, tokens or concurrent calls for this key; ``type`` says which of the three."""

    type = "requests"
    code = "rate_limit_exceeded"
    error_id = "RATE_LIMIT_EXCEEDED"

    def __init__(self, message: str, *, dimension: str = "requests", headers: dict[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.type = dimension


class Overloaded(PolicyFault):
    """The gateway itself is full."""

    status = 503
    type = "service_unavailable_error"
    code = "overloaded"
    error_id = "SERVICE_UNAVAILABLE"


class SafetyUnavailable(PolicyFault):
    """Judges without whose verdict nothing passes gave none: nobody found out whether the prompt may pass."""

    status = 503
    type = "service_unavailable_error"
    code = "safety_unavailable"
    error_id = "SAFETY_UNAVAILABLE"

    def __init__(self, judges: Sequence[str], *, wait_s: int) -> None:
        message = (
            f"The prompt was not passed on, because it could not be judged. No verdict came from: {', '.join(judges)}."
        )
        super().__init__(message, headers={"retry-after": str(wait_s)})
