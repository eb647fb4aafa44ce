"""The table from foreign exceptions to faults."""

import errno
import socket
import ssl

import pytest

from tollhouse.errors import UpstreamDns, UpstreamFault, UpstreamTimeout, UpstreamTls, UpstreamUnreachable
from tollhouse.upstream.faults import Phase, fault_of, tls_fault

WORDS = "10.1.2.3 secret-host"


def certificate_error(code: int) -> ssl.SSLCertVerificationError:
    """As OpenSSL raises it, with words of the certificate in its message."""
    error = ssl.SSLCertVerificationError(1, WORDS)
    error.verify_code = code
    return error


def tls_error(reason: str) -> ssl.SSLError:
    """As OpenSSL raises it."""
    error = ssl.SSLError(1, WORDS)
    error.reason = reason
    return error


@pytest.mark.parametrize(
    ("error", "phase", "fault", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, WORDS), Phase.RESOLVE, UpstreamDns, "did not resolve"),
        (socket.gaierror(socket.EAI_AGAIN, WORDS), Phase.RESOLVE, UpstreamDns, "did not resolve"),
        (UnicodeError(WORDS), Phase.RESOLVE, UpstreamDns, "did not resolve"),
        (TimeoutError(WORDS), Phase.RESOLVE, UpstreamDns, "in time"),
        (ConnectionRefusedError(WORDS), Phase.CONNECT, UpstreamUnreachable, "refused"),
        (OSError(errno.EHOSTUNREACH, WORDS), Phase.CONNECT, UpstreamUnreachable, "could not be reached"),
        (OSError(errno.EMFILE, WORDS), Phase.CONNECT, UpstreamUnreachable, "could not be reached"),
        (TimeoutError(WORDS), Phase.CONNECT, UpstreamTimeout, "in time"),
        (ConnectionResetError(WORDS), Phase.TUNNEL, UpstreamUnreachable, "proxy closed"),
        (TimeoutError(WORDS), Phase.TUNNEL, UpstreamTimeout, "proxy did not"),
        (ConnectionResetError(WORDS), Phase.TLS, UpstreamTls, "closed the connection during"),
        (TimeoutError(WORDS), Phase.TLS, UpstreamTls, "handshake in time"),
        (certificate_error(10), Phase.TLS, UpstreamTls, "expired"),
        (tls_error("WRONG_VERSION_NUMBER"), Phase.TLS, UpstreamTls, "does not speak TLS"),
    ],
)
def test_exceptions_become_faults(
    error: OSError | UnicodeError, phase: Phase, fault: type[UpstreamFault], words: str
) -> None:
    """Each exception in each phase is one fault, whose message is ours alone."""
    made = fault_of(error, phase, "upstream")
    assert type(made) is fault
    assert words in made.message
    assert "secret" not in made.message
    assert "{" not in made.message
    assert made.retryable


@pytest.mark.parametrize("phase", [Phase.RESOLVE, Phase.CONNECT])
@pytest.mark.parametrize("error", [TimeoutError(), OSError(), ConnectionRefusedError()])
def test_proxy_is_named(error: OSError, phase: Phase) -> None:
    """When it was the proxy that could not be reached, the message says so."""
    assert fault_of(error, phase, "proxy").message.startswith("The proxy")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (9, "not valid yet"),
        (10, "expired"),
        (18, "self-signed"),
        (19, "self-signed"),
        (20, "trusted authority"),
        (21, "trusted authority"),
        (23, "revoked"),
        (62, "another name"),
        (64, "another address"),
        (999, "could not be verified"),
    ],
)
def test_certificate_faults_say_what_is_wrong(code: int, words: str) -> None:
    """An operator can tell from the message what to repair in a certificate."""
    assert words in tls_fault(certificate_error(code)).message


def test_other_tls_failure_says_no_more_than_that() -> None:
    """A TLS failure without a known reason has a fixed message."""
    assert tls_fault(tls_error("TLSV1_ALERT_INTERNAL_ERROR")).message == "TLS with the upstream failed."
