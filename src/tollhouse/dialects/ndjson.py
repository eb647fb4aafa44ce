"""Newline-delimited JSON: bytes of a stream in, whole lines out. Called by the readers of such streams.

Linear time: only the unfinished line is kept between reads, as the pieces it came in, and joined when its end arrives.
What one line may hold is capped. Blank lines say nothing; a CR before the LF is white space to JSON.
"""

from tollhouse.dialects.sse import MAX_EVENT_BYTES
from tollhouse.errors import UpstreamTooLarge


class LineParser:
    """The lines of one stream. Feed it what arrives, then call `finish` once."""

    __slots__ = ("_max_bytes", "_pieces", "_size")

    def __init__(self, max_line_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_line_bytes
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that these bytes complete, without their ends. Lines before one that is over the cap are given
        out first; then raises `UpstreamTooLarge`.
        """
        *lines, rest = data.split(b"\n")
        if self._pieces:
            if not lines:
                self._keep(rest)
                return []
            lines[0] = b"".join([*self._pieces, lines[0]])
            self._pieces, self._size = [], 0
        for place, line in enumerate(lines):
            if len(line) > self._max_bytes:
                if not place:
                    raise self._too_large()
                self._pieces, self._size = [line], len(line)
                return _said(lines[:place])
        if rest:
            self._pieces, self._size = [rest], len(rest)
            if not lines and self._size > self._max_bytes:
                raise self._too_large()
        return _said(lines)

    def _keep(self, rest: bytes) -> None:
        self._size += len(rest)
        if self._size > self._max_bytes:
            raise self._too_large()
        if rest:
            self._pieces.append(rest)

    def finish(self) -> bytes:
        """The last line, if the stream ended without the line feed that would have ended it; else empty. Raises
        `UpstreamTooLarge`.
        """
        if self._size > self._max_bytes:
            raise self._too_large()
        last = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return last.strip()

    def _too_large(self) -> UpstreamTooLarge:
        return UpstreamTooLarge(f"The upstream sent one line of more than {self._max_bytes} bytes.")


def _said(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if line and not line.isspace()]
