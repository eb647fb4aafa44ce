"""The client's fault: the request is wrong. Imported through `tollhouse.errors`."""

from collections.abc import Mapping, Sequence
from typing import Any

from tollhouse.errors.fault import Fault


class ClientFault(Fault):
    """The request is wrong."""

    status = 400
    type = "invalid_request_error"
    error_id = "INVALID_REQUEST"


class InvalidRequest(ClientFault):
    """A parameter is missing, of the wrong type or out of range; ``param`` is its path."""


class Unauthorized(ClientFault):
    """No key, or a key that is unknown or revoked: the three are told apart by nothing but the missing header."""

    status = 401
    code: str | None = "invalid_api_key"
    error_id = "UNAUTHORIZED"


class Forbidden(ClientFault):
    """The key is good, but not for this."""

    status = 403
    type = "permission_error"
    code = "forbidden"
    error_id = "FORBIDDEN"


class AccountSuspended(ClientFault):
    """The key is good, but the operator has suspended the organisation, team or user that it belongs to."""

    status = 403
    type = "permission_error"
    code = "account_suspended"
    error_id = "ACCOUNT_SUSPENDED"


class Unpriced(ClientFault):
    """No target of the request has a price, and none was called free: it is never taken for 0. An operator must act."""

    status = 403
    type = "permission_error"
    code = "model_unpriced"
    error_id = "MODEL_UNPRICED"


class ModelNotFound(ClientFault):
    """No target serves a model of this name."""

    status = 404
    code = "model_not_found"
    error_id = "MODEL_NOT_FOUND"


class RouteNotFound(ClientFault):
    """No such path."""

    status = 404
    code = "unknown_url"
    error_id = "ENDPOINT_NOT_FOUND"


class ObjectNotFound(ClientFault):
    """Nothing has this id, or nothing that the caller may see: the two are told apart by nothing."""

    status = 404
    code = "not_found"
    error_id = "NOT_FOUND"


class MethodNotAllowed(ClientFault):
    """The path exists, but not for this method; ``allow`` lists those it takes."""

    status = 405
    code = "method_not_supported"
    error_id = "METHOD_NOT_ALLOWED"


class Conflict(ClientFault):
    """What the request names is not in a state for it: a revoked key cannot be rotated."""

    status = 409
    code = "conflict"
    error_id = "CONFLICT"


class IdempotencyConflict(ClientFault):
    """The first request under this Idempotency-Key has no answer that could be given again, now or ever: the code says
    which.
    """

    status = 409
    code = "idempotency_in_progress"
    error_id = "IDEMPOTENCY_CONFLICT"


class IdempotencyMismatch(ClientFault):
    """The Idempotency-Key stands for another request."""

    status = 422
    code = "idempotency_key_reused"
    error_id = "IDEMPOTENCY_KEY_REUSED"


class MaxCostExceeded(ClientFault):
    """The request may cost more than its own X-Max-Cost-Usd."""

    status = 402
    code = "max_cost_exceeded"
    error_id = "MAX_COST_EXCEEDED"


class ContentPolicyViolation(ClientFault):
    """The prompt is not let through by the safety policy that holds for it. Nothing went upstream, nothing is charged.

    The body is Azure's: ``innererror.content_filter_result`` is the key on its wire, the plural the one of its
    reference (https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter). ``results`` say what was
    found, by category (`safety.results`); ``categories`` are those that were filtered.
    """

    code = "content_filter"
    error_id = "CONTENT_POLICY_VIOLATION"

    def __init__(self, categories: Sequence[str], results: Mapping[str, Any]) -> None:
        why = f"the safety policy filters: {', '.join(categories)}"
        super().__init__(f"The prompt was not passed on, because {why}.", param="prompt")
        self.categories = tuple(categories)
        self.results = results

    def body(self, request_id: str) -> dict[str, Any]:
        """See `Fault.body`."""
        body = super().body(request_id)
        body["error"]["innererror"] = {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": self.results,
            "content_filter_results": self.results,
        }
        return body


class InvalidSignature(ClientFault):
    """A payment event that its sender did not sign, or too long ago."""

    code = "invalid_signature"
    error_id = "INVALID_SIGNATURE"


class RequestTimeout(ClientFault):
    """The request arrived too slowly."""

    status = 408
    code = "request_timeout"
    error_id = "REQUEST_TIMEOUT"


class PayloadTooLarge(ClientFault):
    """The body is over the configured cap."""

    status = 413
    code = "request_too_large"
    error_id = "REQUEST_TOO_LARGE"


class UnsupportedMedia(ClientFault):
    """The body's type or encoding is not one that is read here."""

    status = 415
    code = "unsupported_media_type"
    error_id = "UNSUPPORTED_MEDIA_TYPE"


class HeadersTooLarge(ClientFault):
    """The request line or headers are over the cap."""

    status = 431
    code = "headers_too_large"
    error_id = "HEADERS_TOO_LARGE"
