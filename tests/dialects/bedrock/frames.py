"""Writes messages of Amazon's event stream encoding, for tests to read."""

import zlib
from typing import Any

import msgspec

_NAMES = {"event": ":event-type", "exception": ":exception-type", "error": ":error-code"}


def message(kind: str, name: str, payload: bytes, **more: str) -> bytes:
    """One message, as Bedrock sends it; ``more`` are further headers, with ``_`` for ``-``."""
    headers = {_NAMES.get(kind, ":other"): name, ":content-type": "application/json", ":message-type": kind}
    headers |= {":" + key.replace("_", "-"): value for key, value in more.items()}
    return framed(b"".join([header(key, 7, value.encode()) for key, value in headers.items()]), payload)


def event(name: str, payload: dict[str, Any]) -> bytes:
    """One event with a JSON object."""
    return message("event", name, msgspec.json.encode(payload))


def header(name: str, kind: int, value: bytes) -> bytes:
    """One header. Strings and byte arrays get their length."""
    sized = len(value).to_bytes(2, "big") + value if kind in (6, 7) else value
    return bytes([len(name.encode())]) + name.encode() + bytes([kind]) + sized


def framed(headers: bytes, payload: bytes) -> bytes:
    """A message with these header bytes."""
    prelude = (16 + len(headers) + len(payload)).to_bytes(4, "big") + len(headers).to_bytes(4, "big")
    data = prelude + zlib.crc32(prelude).to_bytes(4, "big") + headers + payload
    return data + zlib.crc32(data).to_bytes(4, "big")
