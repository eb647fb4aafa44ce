"""The error tree: every failure a client can see, split by whose fault it is.

Fault
├── ClientFault      the request is wrong; the same request will fail again
│   ├── InvalidRequest        400   (param names the path; code says which limit)
│   ├── Unauthorized          401
│   ├── Forbidden             403
│   ├── ModelNotFound         404
│   ├── RouteNotFound         404
│   ├── MethodNotAllowed      405
│   ├── RequestTimeout        408   the client sent its request too slowly
│   ├── PayloadTooLarge       413
│   ├── UnsupportedMedia      415
│   └── HeadersTooLarge       431
├── PolicyFault      the request is fine, the operator's rules say not now
│   ├── RateLimited           429
│   └── Overloaded            503
├── UpstreamFault    another machine failed; trying the next target may help
│   ├── UpstreamUnreachable   502   refused, reset before a byte, no such host (UpstreamDns), TLS (UpstreamTls)
│   ├── UpstreamProtocol      502   not HTTP, too large (UpstreamTooLarge), redirect (UpstreamRedirect)
│   ├── UpstreamBadResponse   502   HTTP, but not the answer of a model
│   ├── UpstreamInterrupted   502   the answer broke off; UpstreamStalled: it stopped moving
│   ├── UpstreamTimeout       504
│   ├── UpstreamAuth          502   our credential was refused (never 401: it is not the client's key)
│   ├── UpstreamRateLimited   429
│   ├── UpstreamUnavailable   503   the host says it cannot, or every target failed
│   └── UpstreamRejected      4xx   the host refused this request; its status is kept (UpstreamModelMissing: 404)
└── OurFault         500 InternalError, 503 Draining, StorageUnavailable

``web`` turns a Fault into JSON in one place. ``message`` is always safe to show: an upstream's own text is used
only where `UpstreamRejected` received it from an allow-listed field. ``type`` and ``code`` follow OpenAI's
vocabulary, ``error_id`` is the stable upper-case name that documentation and dashboards use.
"""

from typing import Any, ClassVar


class Fault(Exception):
    """A failure with everything needed to tell a client about it.

    ``headers`` are added to the response (for example ``retry-after``, integer seconds).
    """

    status: int = 500
    type: ClassVar[str] = "server_error"
    code: str | None = None
    error_id: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False
    """Whether another *target* may succeed where this one failed."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        if code is not None:
            self.code = code
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """The JSON object of the response: ``{"error": {...}}``."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
                "error_id": self.error_id,
                "request_id": request_id,
            }
        }


# --- the client's fault ------------------------------------------------------------------------------------------


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


class MethodNotAllowed(ClientFault):
    """The path exists, but not for this method; ``allow`` lists those it takes."""

    status = 405
    code = "method_not_supported"
    error_id = "METHOD_NOT_ALLOWED"


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


# --- the operator's rules ----------------------------------------------------------------------------------------


class PolicyFault(Fault):
    """The request is fine; the rules of this gateway refuse it for now."""

    status = 429


class RateLimited(PolicyFault):
    """Too many requests, tokens or concurrent calls for this key."""

    type = "requests"
    code = "rate_limit_exceeded"
    error_id = "RATE_LIMIT_EXCEEDED"


class Overloaded(PolicyFault):
    """The gateway itself is full."""

    status = 503
    type = "service_unavailable_error"
    code = "overloaded"
    error_id = "SERVICE_UNAVAILABLE"


# --- the upstream's fault ----------------------------------------------------------------------------------------


class UpstreamFault(Fault):
    """A host failed. The next target may do better."""

    status = 502
    type = "upstream_error"
    code: str | None = "upstream_error"
    error_id = "UPSTREAM_ERROR"
    retryable = True


class UpstreamUnreachable(UpstreamFault):
    """No connection, or it was lost before a byte of the answer came."""

    code = "upstream_unreachable"
    error_id = "UPSTREAM_UNREACHABLE"


class UpstreamDns(UpstreamUnreachable):
    """The host's name did not resolve."""

    code = "upstream_dns"
    error_id = "UPSTREAM_DNS"


class UpstreamTls(UpstreamUnreachable):
    """TLS failed: a certificate, a name or the handshake."""

    code = "upstream_tls"
    error_id = "UPSTREAM_TLS"


class UpstreamProtocol(UpstreamFault):
    """What came back is not HTTP/1.1 as RFC 9112 has it, or breaks our limits."""

    code = "upstream_protocol"
    error_id = "UPSTREAM_PROTOCOL"


class UpstreamTooLarge(UpstreamProtocol):
    """The answer, or one event of it, is over the cap."""

    code = "upstream_too_large"
    error_id = "UPSTREAM_TOO_LARGE"


class UpstreamRedirect(UpstreamProtocol):
    """The host redirected; provider calls are never followed, for they carry a credential."""

    code = "upstream_redirect"
    error_id = "UPSTREAM_REDIRECT"


class UpstreamBadResponse(UpstreamFault):
    """HTTP, but not the answer of a model: wrong type, broken JSON, missing parts."""

    code = "upstream_bad_response"
    error_id = "UPSTREAM_BAD_RESPONSE"


class UpstreamInterrupted(UpstreamFault):
    """The answer broke off before its end."""

    code = "upstream_interrupted"
    error_id = "UPSTREAM_INTERRUPTED"


class UpstreamStalled(UpstreamInterrupted):
    """The answer stopped moving for longer than the idle timeout."""

    status = 504
    code = "upstream_stalled"
    error_id = "UPSTREAM_STALLED"


class UpstreamTimeout(UpstreamFault):
    """Connecting, the first byte, or the whole answer took too long."""

    status = 504
    code = "upstream_timeout"
    error_id = "UPSTREAM_TIMEOUT"


class UpstreamAuth(UpstreamFault):
    """The host refused the gateway's credential. An operator must act; the client's key is fine."""

    code = "upstream_auth"
    error_id = "UPSTREAM_AUTH"


class UpstreamRateLimited(UpstreamFault):
    """The host's own rate limit; ``retry-after`` is passed on as integer seconds."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    error_id = "UPSTREAM_RATE_LIMITED"


class UpstreamUnavailable(UpstreamFault):
    """The host is overloaded or out of quota, or all targets of a plan failed."""

    status = 503
    type = "service_unavailable_error"
    code = "upstream_unavailable"
    error_id = "UPSTREAM_UNAVAILABLE"


class UpstreamRejected(UpstreamFault):
    """The host refused this request as wrong (400, 404, 409, 413, 422, 451): its status and code are kept."""

    status = 400
    type = "invalid_request_error"
    code: str | None = None
    error_id = "UPSTREAM_REJECTED"
    retryable = False

    def __init__(self, message: str, *, status: int, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.status = status


class UpstreamModelMissing(UpstreamRejected):
    """The host does not serve this model, or not to this credential. Another host may."""

    code = "model_not_found"
    error_id = "UPSTREAM_MODEL_MISSING"
    retryable = True


# --- our fault ---------------------------------------------------------------------------------------------------


class OurFault(Fault):
    """The gateway failed."""


class InternalError(OurFault):
    """A bug. The request id finds it in the log."""

    code = "internal_error"


class Draining(OurFault):
    """The gateway is shutting down."""

    status = 503
    type = "service_unavailable_error"
    code = "server_draining"
    error_id = "SERVER_DRAINING"


class StorageUnavailable(OurFault):
    """The database does not answer. Never shown as a bad key."""

    status = 503
    type = "service_unavailable_error"
    code = "storage_unavailable"
    error_id = "STORAGE_UNAVAILABLE"
