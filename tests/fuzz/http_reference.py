"""HTTP/1.1 read slowly and strictly, straight from RFC 9112: what the fuzzer compares the server with.

Shares nothing with the gateway. Where RFC 9112 lets a recipient be lenient, this reader is as lenient as the server.
"""

import re
from dataclasses import dataclass

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") +([\x21-\x7e\x80-\xff]+) +HTTP/1\.([01])")
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]+")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
CHUNK = re.compile(rb"([0-9A-Fa-f]+)[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r\n")


class Malformed(Exception):
    """Not HTTP/1.1, or cut short."""


@dataclass
class Message:
    """A request, or a final response (``method`` is then its status). ``body`` is None where it is faulty or cut."""

    method: bytes
    target: bytes
    body: bytes | None
    close: bool
    headers: dict[bytes, bytes]


def read_requests(data: bytes) -> list[Message]:
    """The requests that these bytes hold. The last may lack its body; what follows it is not looked at."""
    found: list[Message] = []
    at = 0
    while at < len(data):
        while data[at : at + 1] in (b"\r", b"\n"):  # RFC 9112 section 2.2: an empty line before a request is skipped
            at += 1
        try:
            lines, at = read_head(data, at)
            first = matched(REQUEST_LINE, lines[0])
            headers = read_fields(lines[1:])
            close = first[3] == b"0" or b"close" in headers.get(b"connection", b"").lower()
            found.append(Message(first[1], first[2], None, close, headers))
            found[-1].body, at = read_body(data, at, headers)
        except Malformed:
            break
    return found


def read_responses(data: bytes, methods: list[str]) -> tuple[list[Message], bytes]:
    """The final responses to requests with these methods, in order, and what is left over. Raises `Malformed`."""
    found: list[Message] = []
    at = 0
    while at < len(data):
        lines, start = read_head(data, at)
        first = matched(STATUS_LINE, lines[0])
        headers = read_fields(lines[1:])
        if first[1] == b"100" and not headers:
            at = start
            continue
        if len(found) == len(methods):
            return found, data[at:]
        body: bytes | None = None
        if methods[len(found)] == "HEAD" or first[1] == b"204":
            body = b""
        elif b"content-length" not in headers and b"transfer-encoding" not in headers:
            body, start = data[start:], len(data)
        try:
            body, at = (body, start) if body is not None else read_body(data, start, headers)
        except Malformed:
            return found, data[at:]
        found.append(Message(first[1], b"", body, headers.get(b"connection") == b"close", headers))
    return found, b""


def matched(pattern: re.Pattern[bytes], line: bytes) -> re.Match[bytes]:
    """The match of a whole line."""
    match = pattern.fullmatch(line)
    if match is None:
        raise Malformed
    return match


def read_head(data: bytes, at: int) -> tuple[list[bytes], int]:
    """The lines of the head that begins here, and where its body begins."""
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        raise Malformed
    lines = data[at:end].split(b"\r\n")
    if any(b"\r" in line or b"\n" in line for line in lines):
        raise Malformed
    return lines, end + 4


def read_fields(lines: list[bytes]) -> dict[bytes, bytes]:
    """Fields by lower-case name. Framing fields may not be repeated."""
    headers: dict[bytes, bytes] = {}
    for line in lines:
        field = matched(FIELD, line)
        name, value = field[1].lower(), field[2].rstrip(b" \t")
        if name in headers and name in {b"content-length", b"transfer-encoding", b"host"}:
            raise Malformed
        headers[name] = f"{headers[name].decode('latin-1')}, ".encode("latin-1") + value if name in headers else value
    return headers


def read_body(data: bytes, at: int, headers: dict[bytes, bytes]) -> tuple[bytes, int]:
    """The body that begins here by RFC 9112 section 6.3, and where the next message begins."""
    length, coding = headers.get(b"content-length"), headers.get(b"transfer-encoding")
    if coding is not None:
        if coding.lower() != b"chunked" or length is not None:
            raise Malformed
        return read_chunks(data, at)
    if length is not None and not length.isdigit():
        raise Malformed
    end = at + int(length or 0)
    if end > len(data):
        raise Malformed
    return data[at:end], end


def read_chunks(data: bytes, at: int) -> tuple[bytes, int]:
    """A chunked body, its trailers skipped."""
    body = b""
    while True:
        head = CHUNK.match(data, at)
        if head is None:
            raise Malformed
        size, at = int(head[1], 16), head.end()
        if size == 0:
            break
        body += data[at : at + size]
        if data[at + size : at + size + 2] != b"\r\n":
            raise Malformed
        at += size + 2
    if data.startswith(b"\r\n", at):
        return body, at + 2
    lines, at = read_head(data, at)
    read_fields(lines)
    return body, at
