"""The one table that turns what sockets, TLS and the resolver raise into `UpstreamFault`.

Called by `dial` and `connection`. The rule kept: messages are fixed sentences. They never hold an address, a URL, a
header or a word from the other side; the original exception stays chained for the log.
"""

import enum
import ssl

from tollhouse.errors import UpstreamDns, UpstreamFault, UpstreamTimeout, UpstreamTls, UpstreamUnreachable


class Phase(enum.Enum):
    """How far opening a connection had come."""

    RESOLVE = "resolve"
    CONNECT = "connect"
    TUNNEL = "tunnel"
    TLS = "tls"


_TIMED_OUT: dict[Phase, tuple[type[UpstreamFault], str]] = {
    Phase.RESOLVE: (UpstreamDns, "The {peer}'s name was not resolved in time."),
    Phase.CONNECT: (UpstreamTimeout, "The {peer} did not accept a connection in time."),
    Phase.TUNNEL: (UpstreamTimeout, "The proxy did not open a tunnel in time."),
    Phase.TLS: (UpstreamTls, "The upstream did not finish the TLS handshake in time."),
}

_BROKE: dict[Phase, tuple[type[UpstreamFault], str]] = {
    Phase.RESOLVE: (UpstreamDns, "The {peer}'s name did not resolve."),
    Phase.CONNECT: (UpstreamUnreachable, "The {peer} could not be reached."),
    Phase.TUNNEL: (UpstreamUnreachable, "The proxy closed the connection before the tunnel was open."),
    Phase.TLS: (UpstreamTls, "The upstream closed the connection during the TLS handshake."),
}

# X509_V_ERR_* of OpenSSL, https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_CERTIFICATE = {
    9: "The upstream's certificate is not valid yet.",
    10: "The upstream's certificate has expired.",
    18: "The upstream's certificate is self-signed.",
    19: "The upstream's certificate chain ends in a self-signed certificate that is not trusted.",
    20: "The upstream's certificate was not issued by a trusted authority.",
    21: "The upstream's certificate was not issued by a trusted authority.",
    23: "The upstream's certificate was revoked.",
    62: "The upstream's certificate is for another name.",
    64: "The upstream's certificate is for another address.",
}

# What OpenSSL calls an answer in plain text, by version and by its first bytes.
_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"})


def fault_of(error: OSError | UnicodeError, phase: Phase, peer: str) -> UpstreamFault:
    """The fault for an exception raised while a connection was being opened to ``peer`` ("upstream" or "proxy")."""
    if isinstance(error, ssl.SSLError):
        return tls_fault(error)
    if isinstance(error, ConnectionRefusedError):
        return UpstreamUnreachable(f"The {peer} refused the connection.")
    timed_out = isinstance(error, TimeoutError)
    kind, message = (_TIMED_OUT if timed_out else _BROKE)[phase]
    return kind(message.format(peer=peer))


def tls_fault(error: ssl.SSLError) -> UpstreamTls:
    """The fault for a failed handshake, or for a TLS alert that came in place of a reply."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return UpstreamTls(_CERTIFICATE.get(error.verify_code, "The upstream's certificate could not be verified."))
    if error.reason in _NOT_TLS:
        return UpstreamTls("The upstream does not speak TLS on this port.")
    return UpstreamTls("TLS with the upstream failed.")
