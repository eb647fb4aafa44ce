"""The error answers of the embedded models, in OpenAI's shape. Pure."""

from typing import Any

import msgspec

SHAPES: dict[int, tuple[str, str | None, str]] = {
    400: ("invalid_request_error", None, "The request is invalid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "There is no credit left."),
    403: ("permission_error", "forbidden", "The key may not do this."),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    408: ("timeout", "request_timeout", "The request took too long."),
    409: ("conflict_error", "conflict", "The resource was changed by another request."),
    413: ("invalid_request_error", "request_too_large", "The request is too large."),
    422: ("invalid_request_error", "unprocessable_entity", "The request was well-formed but could not be followed."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again later."),
    500: ("server_error", None, "The server had an error while processing your request."),
    502: ("server_error", "bad_gateway", "Bad gateway."),
    503: ("service_unavailable_error", "server_is_overloaded", "The server is overloaded. Please try again later."),
    504: ("server_error", "gateway_timeout", "Gateway timeout."),
}
SIMULATED = " (simulated by tollhouse/sim)"


class Refusal(Exception):
    """An error reply: status and the four fields of OpenAI's error object."""

    def __init__(self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status
        self.type = shape(status)[0]
        self.code = code
        self.headers: dict[str, str] = {}

    def body(self) -> bytes:
        """The JSON of the reply, and of an error event inside a stream."""
        error: dict[str, Any] = {
            "message": self.message, "type": self.type, "param": self.param, "code": self.code,
        }  # fmt: skip
        return msgspec.json.encode({"error": error})


def shape(status: int) -> tuple[str, str | None, str]:
    """Type, code and message of OpenAI's errors of a status; those of its class where it has none of its own."""
    return SHAPES.get(status) or SHAPES[500 if status >= 500 else 400]


def scripted(status: int, retry_after_s: int | None) -> Refusal:
    """The error that a script asks for. A 429 always says when to come back."""
    _, code, message = shape(status)
    refusal = Refusal(message + SIMULATED, status=status, code=code)
    wait_s = 1 if retry_after_s is None and status == 429 else retry_after_s
    if wait_s is not None:
        refusal.headers["retry-after"] = str(wait_s)
    return refusal


def wrong_type(param: str, expected: str) -> Refusal:
    """A field of the wrong JSON type."""
    return Refusal(f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


def wrong_value(param: str, why: str) -> Refusal:
    """A field of the right type whose value cannot be used."""
    return Refusal(f"Invalid value for '{param}': {why}", param=param, code="invalid_value")
