"""The two forms of a Gemini stream: events (``alt=sse``), and the elements of one JSON array. Used by the writers.

https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent
"""

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from tollhouse.errors import UpstreamBadResponse

_encode = msgspec.json.Encoder().encode


class Framing(Protocol):
    """How objects stand in the body of one answer."""

    def wrap(self, objects: Iterable[bytes]) -> bytes:
        """Objects in JSON, ready to be written."""

    def end(self) -> bytes:
        """What stands after the last one."""

    def beat(self, nothing: bytes) -> bytes:
        """What says nothing; ``nothing`` is an object that says so."""


class Events:
    """``data: {...}`` and an empty line."""

    __slots__ = ()

    def wrap(self, objects: Iterable[bytes]) -> bytes:
        """See `Framing`."""
        return b"".join([b"data: " + item + b"\n\n" for item in objects])

    def end(self) -> bytes:
        """See `Framing`: Gemini has no word for the end."""
        return b""

    def beat(self, nothing: bytes) -> bytes:
        """See `Framing`. A comment would do for the standard, but Google's SDKs take it for a piece of JSON."""
        return b"data: " + nothing + b"\n\n"


class Elements:
    """``[{...},{...}]``, of one answer, whatever writers it has."""

    __slots__ = ("_begun",)

    def __init__(self) -> None:
        self._begun = False

    def wrap(self, objects: Iterable[bytes]) -> bytes:
        """See `Framing`."""
        listed = b",\n".join(objects)
        if not listed:
            return b""
        before = b",\n" if self._begun else b"["
        self._begun = True
        return before + listed

    def end(self) -> bytes:
        """See `Framing`."""
        return b"]" if self._begun else b"[]"

    def beat(self, nothing: bytes) -> bytes:
        """See `Framing`: JSON allows white space before an element."""
        del nothing
        return b"\n"


EVENTS = Events()


def in_json(value: dict[str, Any]) -> bytes:
    """An object in JSON. Raises `UpstreamBadResponse` for what JSON cannot carry."""
    try:
        return _encode(value)
    except (ValueError, RecursionError) as problem:
        raise UpstreamBadResponse("The upstream's answer cannot be written as JSON.") from problem
