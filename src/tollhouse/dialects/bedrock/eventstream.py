"""Amazon's event stream encoding: bytes of a body in, whole messages out. Called by `decode`.

Theory of operation
-------------------
https://smithy.io/2.0/aws/amazon-eventstream.html. A message is

    total length (4)  header length (4)  CRC-32 of these eight (4)  headers  payload  CRC-32 of all before (4)

with numbers in network order. A header is a name's length (1), the name, a type (1) and a value whose size depends on
the type. Three headers say what a message is: ``:message-type`` (``event``, ``exception`` or ``error``) and the
``:event-type``, ``:exception-type`` or ``:error-code`` that goes with it.

Both checksums are verified: the first before the length is believed, for a length that was garbled would have us wait
for ever; the second before the payload is read. After either fails nothing of the rest can be found, so it is a fault.

*Headers repeat.* Every text chunk of a stream has the very same header block, so blocks are read once and looked up by
their bytes afterwards. The memory is bounded; what does not fit is read again.

*Linear time.* A message that has not arrived whole is not looked at again until as many bytes are there as it says.
"""

from collections.abc import Iterator
from struct import Struct
from zlib import crc32

from tollhouse.errors import UpstreamBadResponse, UpstreamTooLarge

MAX_EVENT_BYTES = 1024 * 1024

Message = tuple[str, str, bytes]
"""``(type, name, payload)``: ``:message-type``, what the event, exception or error is called, and its bytes."""
Headers = dict[str, str]

_PRELUDE = Struct(">III")
_CRC = Struct(">I")
_OVERHEAD_BYTES = _PRELUDE.size + _CRC.size
_KNOWN_BLOCKS = 64
_STRING = 7
_SIZED = frozenset({6, _STRING})
"""Byte arrays and strings have a length of two bytes before them."""
_VALUE_BYTES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""True, false, byte, short, integer, long, timestamp, UUID."""
_NAMES = {"event": ":event-type", "exception": ":exception-type", "error": ":error-code"}


class MessageParser:
    """The messages of one stream."""

    __slots__ = ("_buffer", "_known", "_max_bytes", "_need")

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_event_bytes
        self._buffer = bytearray()
        self._need = _PRELUDE.size
        self._known: dict[bytes, tuple[str, str]] = {}

    def read(self, data: bytes) -> Iterator[Message]:
        """The messages that these bytes complete, each when it is asked for: those before a fault are given out first.
        Take all of them, or none of the stream any more.

        Raises `UpstreamBadResponse`, and `UpstreamTooLarge` when one is over the cap.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        at, size = 0, len(data)
        self._need = _PRELUDE.size
        while size - at >= _PRELUDE.size:
            total, headers_bytes, checksum = _PRELUDE.unpack_from(data, at)
            if crc32(data[at : at + 8]) != checksum:
                raise UpstreamBadResponse("The upstream's answer is not an event stream, or was garbled on its way.")
            if total > self._max_bytes:
                raise UpstreamTooLarge(f"The upstream sent one event of more than {self._max_bytes} bytes.")
            if headers_bytes + _OVERHEAD_BYTES > total:
                raise malformed()
            if size - at < total:
                self._need = total
                break
            yield self._message(data[at : at + total], headers_bytes)
            at += total
        if at < size:
            self._buffer += data[at:]

    def _message(self, data: bytes, headers_bytes: int) -> Message:
        (checksum,) = _CRC.unpack_from(data, len(data) - _CRC.size)
        if crc32(data[: -_CRC.size]) != checksum:
            raise UpstreamBadResponse("An event of the upstream's stream was garbled on its way.")
        end = _PRELUDE.size + headers_bytes
        block = data[_PRELUDE.size : end]
        known = self._known.get(block)
        if known is None:
            known = _kind_of(read_headers(block))
            if len(self._known) < _KNOWN_BLOCKS:
                self._known[block] = known
        return (*known, data[end : -_CRC.size])


def read_headers(block: bytes) -> Headers:
    """The headers of a message that are strings. Raises `UpstreamBadResponse`."""
    headers: Headers = {}
    at, size = 0, len(block)
    try:
        while at < size:
            named = at + 1 + block[at]
            name, kind = block[at + 1 : named].decode(), block[named]
            start = named + (3 if kind in _SIZED else 1)
            end = start + (int.from_bytes(block[named + 1 : start], "big") if kind in _SIZED else _VALUE_BYTES[kind])
            if start > size or end > size:
                raise malformed()
            if kind == _STRING:
                headers[name] = block[start:end].decode()
            at = end
    except (IndexError, KeyError, UnicodeDecodeError) as problem:
        raise malformed() from problem
    return headers


def _kind_of(headers: Headers) -> tuple[str, str]:
    kind = headers.get(":message-type", "")
    return kind, headers.get(_NAMES.get(kind, ""), "")


def malformed() -> UpstreamBadResponse:
    """The fault of a message that contradicts itself."""
    return UpstreamBadResponse("The upstream sent an event whose parts do not fit together.")
