"""The upstream's fault: another machine failed. Imported through `tollhouse.errors`."""

from collections.abc import Mapping
from typing import Any

from tollhouse.errors.fault import Fault


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


class UpstreamBadJson(UpstreamBadResponse):
    """The model was asked for JSON, and what it said is none, or not what its schema asks for."""

    code = "upstream_bad_json"
    error_id = "UPSTREAM_BAD_JSON"


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


class UpstreamQuota(UpstreamUnavailable):
    """The gateway's account at the host has no money or no quota left. An operator must act."""

    code = "upstream_quota"
    error_id = "UPSTREAM_QUOTA"


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


class UpstreamFiltered(UpstreamRejected):
    """The host's own rules about content refused this request.

    ``results`` are what it found, by category (`dialects.filtered`); the body holds them where `ContentPolicyViolation`
    has them. Empty: it does not say.
    """

    code = "content_filter"
    error_id = "CONTENT_POLICY_VIOLATION"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        param: str | None = None,
        code: str | None = None,
        results: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, status=status, param=param, code=code)
        self.results = results or {}

    def body(self, request_id: str) -> dict[str, Any]:
        """See `Fault.body`."""
        body = super().body(request_id)
        if self.results:
            body["error"]["innererror"] = {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": self.results,
                "content_filter_results": self.results,
            }
        return body


class JsonCutShort(UpstreamRejected):
    """The JSON that was asked for did not fit into the cap on the answer."""

    code = "json_incomplete"
    error_id = "JSON_INCOMPLETE"

    def __init__(self, message: str) -> None:
        super().__init__(message, status=400, param="max_completion_tokens")


class UpstreamUnfit(UpstreamRejected):
    """The target does not honour a parameter that the client insists on; it was not asked. Another target may."""

    code = "unsupported_parameter"
    error_id = "UNSUPPORTED_PARAMETER"
    retryable = True

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message, status=400, param=param)


class UpstreamModelMissing(UpstreamRejected):
    """The host does not serve this model, or not to this credential. Another host may."""

    code = "model_not_found"
    error_id = "UPSTREAM_MODEL_MISSING"
    retryable = True
