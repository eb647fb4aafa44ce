"""Whole answers that came in one piece, read without a parser. Called by `upstream.connection`.

Theory of operation
-------------------
An answer in JSON comes as one read of the socket: ``HTTP/1.1 200 OK``, some fields, an empty line, and as many bytes as
its ``content-length`` says. That form is recognised here exactly, and means here what it means to the parser (the tests
compare the two). Anything else is left to the parser, which has not seen a byte of it: another status, a body that is
not all there or followed by more, a field that bears on framing or on what becomes of the connection, a field that
comes twice, and every byte that HTTP does not allow.

Most lines of a head are the same in each answer of a host, so what a line says is remembered for a while.
"""

from typing import Final

from tollhouse.upstream.reply import Reply

_START: Final = b"HTTP/1.1 200 OK\r\n"
_FIELDS_AT: Final = 17
_SPACE: Final = 0x20
_FLAW: Final = 0
"""What the tables make of a byte that does not belong there."""
_TOKEN: Final = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_NAME: Final = bytes([byte if byte in _TOKEN else _FLAW for byte in bytes(range(256)).lower()])
"""Makes a name lower-case (RFC 9110 section 5.6.2)."""
_VALUE: Final = bytes([byte if byte >= _SPACE and byte != 0x7F else _FLAW for byte in range(256)])
"""Leaves a value as it is (RFC 9110 section 5.5; a tab is rare enough for the parser)."""
_MEANINGFUL: Final = frozenset({b"transfer-encoding", b"content-encoding", b"proxy-connection", b"upgrade", b"trailer"})
"""Fields that only the parser understands."""
_MOST_LINES: Final = 512
_Field = tuple[bytes, bytes]


class PlainReplies:
    """The reader."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, _Field] = {}
        """By line, what it says."""

    def read(self, reply: Reply, data: bytes, most_fields: int) -> bool:
        """Fills a reply. False, and nothing done, where the parser has to read."""
        end = data.find(b"\r\n\r\n", _FIELDS_AT)
        if end < 0 or not data.startswith(_START):
            return False
        lines = data[_FIELDS_AT:end].split(b"\r\n")
        if len(lines) > most_fields:
            return False
        head: dict[bytes, bytes] = {}
        for line in lines:
            field = self._known.get(line)
            if field is None:
                field = self._learn(line)
            if field is None:
                return False
            head[field[0]] = field[1]
        if len(head) < len(lines):  # a name came twice
            return False
        body = data[end + 4 :]
        if head.get(b"content-length") != str(len(body)).encode():
            return False
        if body:
            reply.parts.append(body)
        reply.status, reply.head = 200, head
        reply.opened = reply.ended = True
        return True

    def _learn(self, line: bytes) -> _Field | None:
        """What a line says; None where that is the parser's to understand, or to refuse."""
        spelled, _, value = line.partition(b": ")
        name = spelled.translate(_NAME)
        if not name or not value or _FLAW in name or _FLAW in value.translate(_VALUE) or name in _MEANINGFUL:
            return None
        if value[0] == _SPACE or value[-1] == _SPACE or (name == b"connection" and value.lower() != b"keep-alive"):
            return None
        if len(self._known) >= _MOST_LINES:
            self._known.clear()
        self._known[line] = name, value
        return name, value
