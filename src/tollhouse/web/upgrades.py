"""Upgrades that are not taken up: the request is read on as if it had not asked. Called by `web.connection`.

A server may ignore Upgrade (RFC 9110 section 7.8), and the client then expects an ordinary answer: Java's HTTP client
asks for h2c with every first request, its body included. httptools stops behind such a head as if the request were
over. So a new parser is put in its place, which has been shown nothing but the framing of what comes next.
"""

from typing import Protocol

from httptools import HttpRequestParser

from tollhouse.web.exchange import Exchange


class Callbacks(Protocol):
    """What a parser calls."""

    def on_message_begin(self) -> None:
        """The first byte of a request."""

    def on_url(self, url: bytes) -> None:
        """A part of the target."""

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""

    def on_headers_complete(self) -> None:
        """The head is complete."""

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""

    def on_message_complete(self) -> None:
        """The request is complete."""


class Gate:
    """Passes calls on once it is open."""

    def __init__(self, behind: Callbacks) -> None:
        self.open = False
        self._behind = behind
        self.on_body = behind.on_body

    def on_message_begin(self) -> None:
        """See `Callbacks`; so for the others."""
        if self.open:
            self._behind.on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        if self.open:
            self._behind.on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        if self.open:
            self._behind.on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is complete."""
        if self.open:
            self._behind.on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is complete."""
        if self.open:
            self._behind.on_message_complete()


def body_follows(exchange: Exchange, parser: HttpRequestParser) -> bool:
    """Whether the parser stops behind a head that asks for an upgrade and has a body (RFC 9112 section 6.3)."""
    if not parser.should_upgrade():
        return False
    headers = exchange.headers
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip(b"0") != b""


def parser_behind(exchange: Exchange | None, callbacks: Callbacks) -> HttpRequestParser:
    """A parser that has just read the head of ``exchange``; without one, a parser between two requests."""
    framing = b""
    if exchange is not None:
        names = (b"transfer-encoding", b"content-length")
        framing = b"".join(b"%b: %b\r\n" % (name, exchange.headers[name]) for name in names if name in exchange.headers)
    gate = Gate(callbacks)
    parser = HttpRequestParser(gate)
    parser.feed_data(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n" % framing)
    gate.open = True
    return parser
