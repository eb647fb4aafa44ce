"""What is refused on the strength of a request's head alone, before a byte of its body is read. Pure.

`web.connection` asks once for each request. What the parser already refuses (ambiguous framing, control characters,
folded lines) is not looked at again here.
"""

import re
from typing import Any, Final

from tollhouse.errors import Fault, HeadersTooLarge, InvalidRequest, Overloaded, PayloadTooLarge, UnsupportedMedia
from tollhouse.web.exchange import Exchange
from tollhouse.web.host import Host
from tollhouse.web.limits import ServerLimits

_USUAL: Final = (b"authorization", b"connection", b"content-length", b"content-type", b"host", b"user-agent")
NAMES: Final = {spelling: name for name in _USUAL for spelling in (name, name.title())}
"""The header names that most requests have, as clients write them, in lower case."""
SINGLETONS: Final = {b"host", b"authorization", b"x-api-key", b"content-type", b"content-encoding", b"origin"}
"""What is given once or not at all."""
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
"""A name or an address, and a port (RFC 3986 section 3.2.2); without the comma, the mark of two that were joined."""
_RARE: Final = frozenset({b"transfer-encoding", b"content-encoding", b"expect"})


def judge_head(exchange: Exchange, version: str, host: Host[Any], *, overlong: bool) -> Fault | None:
    """The fault of a head, or None; notes in passing whether the client waits for ``100 Continue``.

    ``overlong``: the head has more bytes than the limit.
    """
    limits, headers = host.limits, exchange.headers
    if overlong or len(headers) > limits.max_headers:
        return HeadersTooLarge(f"The head is over {limits.max_header_bytes} bytes or {limits.max_headers} headers.")
    if version not in ("1.1", "1.0"):  # the parser reads a request line without a version as HTTP/0.9, and reads 2.0
        return InvalidRequest("Only HTTP/1.1 and HTTP/1.0 are spoken here (RFC 9112 section 2.3).")
    name = headers.get(b"host")
    if name is None and version == "1.1":
        return InvalidRequest("The Host header is missing (RFC 9112 section 3.2).")
    if name is not None and _HOST.fullmatch(name) is None:
        return InvalidRequest("The Host header is malformed (RFC 9112 section 3.2).")
    if not exchange.path.startswith(b"/") and exchange.path != b"*":
        return InvalidRequest("Only the origin form of a request target is read here, as in 'POST /v1/...'.")
    if not _RARE.isdisjoint(headers) and (fault := _judge_rare(exchange)) is not None:
        return fault
    length = int(headers.get(b"content-length", b"0"))
    if length > limits.max_body_bytes:
        return too_large(limits)
    if not host.holds(length):
        return Overloaded("The gateway holds as many request bodies as it may.", headers={"retry-after": "1"})
    return None


def _judge_rare(exchange: Exchange) -> Fault | None:
    """What few requests have: a coding of the transfer or of the content, an expectation."""
    headers = exchange.headers
    if b"transfer-encoding" in headers and exchange.http_1_0:
        return InvalidRequest("HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1).")
    if headers.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        return InvalidRequest("The only Transfer-Encoding that is read here is chunked.")
    if headers.get(b"content-encoding", b"identity") not in {b"identity", b""}:
        return UnsupportedMedia("Send the body without Content-Encoding.")
    exchange.expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
    return None


def too_large(limits: ServerLimits) -> PayloadTooLarge:
    """The refusal of a body over the cap."""
    return PayloadTooLarge(f"The request body is over the limit of {limits.max_body_bytes} bytes.")
