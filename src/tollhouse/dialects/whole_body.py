"""How a streamed answer begins: as events, or as one JSON object in their place, from hosts that ignore ``stream``.

Every reader of server-sent events asks `is_events` of the first bytes, and gathers what is no stream in a `WholeBody`.
"""

from tollhouse.errors import UpstreamBadResponse, UpstreamTooLarge

MAX_WHOLE_BYTES = 16 * 1024 * 1024
"""What a host may send where it answers a request for a stream with one JSON object."""
BOM = b"\xef\xbb\xbf"
BLANK = b" \t\r\n" + BOM
_EVENT_STARTS = (b"d", b"e", b"i", b"r", b":")
"""First bytes of ``data``, ``event``, ``id``, ``retry`` and of a comment."""


def is_events(data: bytes, whole: tuple[bytes, ...] = (b"{",)) -> bool | None:
    """Whether a body that begins so is an event stream; False for JSON, by its first byte, None while nothing has come.

    Raises `UpstreamBadResponse` where it can be neither.
    """
    start = data.lstrip(BLANK)[:1]
    if not start:
        return None
    if start in whole:
        return False
    if start not in _EVENT_STARTS:
        raise UpstreamBadResponse("The upstream answered with something that is not an event stream.")
    return True


class WholeBody:
    """A body in pieces, of bounded length."""

    __slots__ = ("_max_bytes", "_parts", "_size")

    def __init__(self, max_bytes: int = MAX_WHOLE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """One more piece. Raises `UpstreamTooLarge`."""
        self._size += len(data)
        if self._size > self._max_bytes:
            raise UpstreamTooLarge(f"The upstream's answer is larger than {self._max_bytes} bytes.")
        self._parts.append(data)

    def join(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)
