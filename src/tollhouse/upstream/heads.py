"""Message heads: the bytes of a request's, checked once and remembered, and the meaning of a reply's.

Called by `pool` and `connection`. The rules kept: nothing a caller passes can end a line early, so no request can
smuggle another (RFC 9112 section 11.2); a reply whose framing could be read in two ways is refused.
"""

import re
from collections.abc import Mapping
from typing import Final

from tollhouse.errors import InternalError, UpstreamProtocol, UpstreamRedirect
from tollhouse.types.wire import Outgoing
from tollhouse.upstream.origin import Origin, Proxy

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE: Final = re.compile(
    r"[\t\x20-\x7e\x80-\xff]*"
)  # RFC 9110 section 5.5: no CR, LF, NUL or other control characters
_TARGET: Final = re.compile(r"/[!-~]*")  # RFC 9112 section 3.2.1: origin-form; no space can end it early

# Framing and hop-by-hop fields belong to the connection, not to the caller (RFC 9110 section 7.6.1).
_OURS: Final = frozenset({
    "host", "content-length", "connection", "transfer-encoding", "keep-alive", "upgrade", "te", "trailer", "expect",
    "proxy-authorization", "proxy-connection",
})  # fmt: skip
_BODY_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
_REMEMBERED: Final = 256


class Heads:
    """Serialises request heads for one origin.

    Requests to one host repeat their headers, so the checked bytes are kept for the last few hundred distinct heads.
    """

    __slots__ = ("_known", "_prefix", "_suffix")

    def __init__(self, origin: Origin, proxy: Proxy | None) -> None:
        relayed = proxy is not None and not origin.tls
        # To a proxy the target is in absolute-form (RFC 9112 section 3.2.2).
        self._prefix = f"http://{origin.authority}" if relayed else ""
        # Replies are asked for uncompressed: nothing here unpacks, so nothing here can be made to unpack a bomb.
        self._suffix = f" HTTP/1.1\r\nhost: {origin.authority}\r\naccept-encoding: identity\r\n"
        if proxy is not None and relayed and proxy.authorization is not None:
            self._suffix += f"proxy-authorization: {proxy.authorization.reveal()}\r\n"
        self._known: dict[tuple[str, str, tuple[tuple[str, str], ...]], bytes] = {}

    def encode(self, outgoing: Outgoing) -> bytes:
        """The head, its blank line included. Raises InternalError on a header, method or path HTTP does not allow."""
        method, body = outgoing.method, outgoing.body
        key = (method, outgoing.path, outgoing.headers)
        known = self._known.get(key)
        if known is None:
            known = self._build(outgoing)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = known
        if body or method in _BODY_METHODS:  # RFC 9110 section 8.6
            return b"%bcontent-length: %d\r\n\r\n" % (known, len(body))
        return known + b"\r\n"

    def _build(self, outgoing: Outgoing) -> bytes:
        if not _TOKEN.fullmatch(outgoing.method) or outgoing.method == "CONNECT":
            raise InternalError("The method of a request to an upstream is not valid.")
        if not _TARGET.fullmatch(outgoing.path):
            raise InternalError("The path of a request to an upstream is not valid.")
        lines = [outgoing.method, " ", self._prefix, outgoing.path, self._suffix]
        for name, value in outgoing.headers:
            lowered = name.lower()
            if lowered in _OURS or not _TOKEN.fullmatch(name):
                raise InternalError("A request to an upstream has a header that may not be set.")
            if not _VALUE.fullmatch(value):
                raise InternalError("A header of a request to an upstream holds a character that HTTP does not allow.")
            if lowered != "accept-encoding":
                lines.append(f"{lowered}: {value}\r\n")
        return "".join(lines).encode("latin-1")


_FRAMING: Final = frozenset({b"transfer-encoding", b"content-encoding"})


def add_field(head: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    """Puts a field into a head: lower-case names; repeated fields joined by ``, `` (RFC 9110 section 5.3)."""
    key = name.lower()
    if key in head:
        value = head[key].rstrip(b" \t") + b", " + value
    head[key] = value


def decode_head(head: Mapping[bytes, bytes]) -> dict[str, str]:
    """The same as text, without space behind values; the parser has stripped what leads."""
    return {name.decode("latin-1"): value.rstrip(b" \t").decode("latin-1") for name, value in head.items()}


def check_reply(status: int, version: str, head: Mapping[bytes, bytes]) -> None:
    """Raises UpstreamRedirect or UpstreamProtocol for a head that must not be acted on.

    The parser has already refused what is not HTTP: control characters in values, folded lines, two lengths, a length
    beside chunked coding.
    """
    if version not in ("1.1", "1.0") or not 100 <= status <= 599:  # RFC 9110 section 15: the only valid statuses
        raise UpstreamProtocol("The upstream's answer is not HTTP/1.1.")
    if 300 <= status <= 399 and status != 304:  # 304 answers a condition; it names no other place
        raise UpstreamRedirect("The upstream answered with a redirect, which is never followed.")
    if status == 204 and head.get(b"content-length", b"0").strip(b"0 \t"):  # RFC 9110 section 8.6
        raise UpstreamProtocol("The upstream announced a body where there is none.")
    if _FRAMING.isdisjoint(head):
        return
    coding = head.get(b"transfer-encoding")
    # RFC 9112 section 6.1: faulty framing in HTTP/1.0 and beside 204; other codings were not asked for.
    if coding is not None and (coding.strip().lower() != b"chunked" or version == "1.0" or status == 204):
        raise UpstreamProtocol("The upstream's answer is framed in a way that was not asked for.")
    if head.get(b"content-encoding", b"").strip().lower() not in (b"identity", b""):
        raise UpstreamProtocol("The upstream compressed its answer, which was not asked for.")
