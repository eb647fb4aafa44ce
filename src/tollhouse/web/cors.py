"""Which browser pages may call: an allow-list of origins, never with credentials.

A key travels in a header that a page must set itself, so no cookie is ever at stake; what the list keeps out is a
foreign page probing a gateway on the visitor's own network. ``http://localhost:*`` admits any port of a host, ``*``
any origin; ``null`` (a sandboxed or ``file:`` page) only where it is listed (Fetch Standard, CORS protocol).
"""

_METHODS = "GET, POST, DELETE, OPTIONS"
_EXPOSED = (
    "x-request-id, request-id, retry-after, x-should-retry, x-tollhouse-target, x-tollhouse-attempts, "
    "x-tollhouse-dropped-params, x-tollhouse-fidelity, x-tollhouse-route, x-tollhouse-cost, x-tollhouse-replay, "
    "x-tollhouse-replay-of"
)

_ALLOWED = (
    "authorization, content-type, x-api-key, x-request-id, anthropic-version, anthropic-beta, "
    "anthropic-dangerous-direct-browser-access, x-goog-api-key, x-goog-api-client"
)
"""What a preflight is told that asks for nothing that can be read: the headers of the dialects' own SDKs."""


class Cors:
    """The policy of one snapshot."""

    def __init__(self, origins: tuple[str, ...], max_age_s: int = 86_400) -> None:
        self._any = "*" in origins
        self._exact = frozenset(origins)
        self._hosts = frozenset(origin.removesuffix(":*") for origin in origins if origin.endswith(":*"))
        self._max_age_s = max_age_s

    def allows(self, origin: str) -> bool:
        """Whether a page of this origin may read an answer."""
        if self._any or origin in self._exact:
            return True
        host, colon, port = origin.rpartition(":")
        if colon and port.isdigit() and host in self._hosts:
            return True
        return origin in self._hosts

    def headers(self, origin: str) -> str:
        """The header lines of any response to a request with this Origin, errors too."""
        if not self.allows(origin):
            return "vary: origin\r\n"
        allowed = "*" if self._any else origin
        return (
            f"access-control-allow-origin: {allowed}\r\nvary: origin\r\naccess-control-expose-headers: {_EXPOSED}\r\n"
        )

    def preflight(self, requested_headers: str) -> str:
        """The further lines of the answer to a preflight. ``requested_headers`` is its own header, echoed when it
        holds nothing but header names.
        """
        names = (
            requested_headers if requested_headers.replace("-", "").replace(",", "").replace(" ", "").isalnum() else ""
        )
        allowed = names or _ALLOWED
        return (
            f"access-control-allow-methods: {_METHODS}\r\n"
            f"access-control-allow-headers: {allowed}\r\n"
            f"access-control-max-age: {self._max_age_s}\r\n"
        )
