"""Response heads as bytes. Every header line that leaves the gateway is built here or checked by `header_line`."""

import time
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final

import msgspec

STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_ENCODER: Final = msgspec.json.Encoder()


class _Date:
    """The Date line (RFC 9110 section 6.6.1), formatted once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def line(self) -> str:
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._line = f"date: {formatdate(now, usegmt=True)}\r\n"
        return self._line


_DATE: Final = _Date()


def header_line(name: str, value: str) -> str:
    """One line. Anything but printable ASCII is percent-encoded, so that no value can start a line of its own
    (RFC 9110 section 5.5; response splitting).
    """
    if not (value.isascii() and value.isprintable()):
        value = "".join([c if " " <= c <= "~" else "".join([f"%{b:02X}" for b in c.encode()]) for c in value])
    return f"{name}: {value}\r\n"


def response_head(status: int, lines: str, *, keep_alive: bool) -> bytes:
    """The status line and headers. ``lines`` are ready lines."""
    connection = "" if keep_alive else "connection: close\r\n"
    first = STATUS_LINES.get(status) or f"HTTP/1.1 {status} Unknown\r\n"  # an upstream's own, as 499, is passed on
    return f"{first}{_DATE.line()}{lines}{connection}\r\n".encode("latin-1")


def json_body(value: Any) -> bytes:
    """Compact JSON."""
    return _ENCODER.encode(value)
