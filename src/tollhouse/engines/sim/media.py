"""What is known of images, audio and files in a prompt: kind, size, and what they count as. Pure.

Token rules, stated in docs/sim.md: an image counts 85 at low detail, else 85 + 170 per 512-pixel tile after scaling
into 2048 x 2048 and to 768 on the short side (765 when its size is not known); audio counts 10 a second; a file one
per 4 bytes. Nothing is fetched.
"""

import base64
import binascii
import math
import re
import struct
from dataclasses import dataclass
from typing import Any

from tollhouse.engines.sim.refusal import wrong_type

HEAD_MAX = 300_000  # base64 characters that are looked at: a JPEG's size stands behind its embedded preview
TILE_TOKENS = 170
IMAGE_TOKENS = 85
UNKNOWN_IMAGE_TOKENS = 765
AUDIO_TOKENS_PER_S = 10
MP3_BYTES_PER_S = 16_000  # at 128 kbit/s; the true rate would need every frame read
DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+=-]+)*?)(;base64)?,")
FRAMES = (0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)


@dataclass(frozen=True, slots=True)
class Medium:
    """One part that is not text: what to say of it, and its tokens."""

    kind: str
    about: str
    tokens: int


def image(part: dict[str, Any], place: str) -> Medium:
    """An ``image_url`` part. Raises `Refusal`."""
    spec = part.get("image_url")
    spec = {"url": spec} if isinstance(spec, str) else spec
    if not isinstance(spec, dict) or not isinstance(spec.get("url"), str):
        raise wrong_type(f"{place}.image_url.url", "a string")
    detail = spec.get("detail") if isinstance(spec.get("detail"), str) else "auto"
    url = spec["url"]
    found = DATA_URL.match(url)
    if found is None:
        tokens = IMAGE_TOKENS if detail == "low" else UNKNOWN_IMAGE_TOKENS
        return Medium("image", f"a link that was not fetched, detail {detail}", tokens)
    size = pixels(decoded(url[found.end() :])) if found[3] else None
    shown = f"{size[0]}x{size[1]} pixels" if size else "of a size that could not be read"
    return Medium("image", f"{found[1] or 'data'}, {shown}, detail {detail}", image_tokens(size, str(detail)))


def audio(part: dict[str, Any], place: str) -> Medium:
    """An ``input_audio`` part. Raises `Refusal`."""
    spec = part.get("input_audio")
    if not isinstance(spec, dict) or not isinstance(spec.get("data"), str):
        raise wrong_type(f"{place}.input_audio.data", "a string")
    kind = spec.get("format") if isinstance(spec.get("format"), str) else "unknown format"
    length = byte_length(spec["data"])
    duration_s = wav_duration_s(decoded(spec["data"]), length) if kind == "wav" else None
    if duration_s is None:
        guess = math.ceil(length / MP3_BYTES_PER_S * AUDIO_TOKENS_PER_S)
        return Medium("audio", f"{kind}, {length} bytes, of a length that could not be read", guess)
    tokens = math.ceil(duration_s * AUDIO_TOKENS_PER_S)
    return Medium("audio", f"{kind}, {duration_s:.2f} seconds", tokens)


def file(part: dict[str, Any], place: str) -> Medium:
    """A ``file`` part. Raises `Refusal`."""
    spec = part.get("file")
    if not isinstance(spec, dict):
        raise wrong_type(f"{place}.file", "an object")
    name = spec.get("filename") if isinstance(spec.get("filename"), str) else "without a name"
    data = spec.get("file_data")
    if not isinstance(data, str):
        return Medium("file", f"{name}, given by id, not read", 0)
    found = DATA_URL.match(data)
    length = byte_length(data[found.end() :] if found else data)
    return Medium("file", f"{name}, {found[1] if found and found[1] else 'unknown type'}, {length} bytes",
                  math.ceil(length / 4))  # fmt: skip


def byte_length(text: str) -> int:
    """How many bytes base64 text stands for."""
    return len(text) * 3 // 4 - text[-2:].count("=")


def decoded(text: str) -> bytes:
    """The first bytes of base64 text; empty when it is not that."""
    head = text[:HEAD_MAX]
    try:
        return base64.b64decode(head[: len(head) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return b""


def pixels(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, WebP or JPEG by its header; None when it is none of them."""
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24:
        return struct.unpack(">II", data[16:24])
    if data[:6] in (b"GIF87a", b"GIF89a") and len(data) >= 10:
        return struct.unpack("<HH", data[6:10])
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return webp_pixels(data)
    return jpeg_pixels(data) if data[:2] == b"\xff\xd8" else None


def webp_pixels(data: bytes) -> tuple[int, int] | None:
    """https://developers.google.com/speed/webp/docs/riff_container"""
    kind = data[12:16]
    if kind == b"VP8X" and len(data) >= 30:
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if kind == b"VP8 " and len(data) >= 30:
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and len(data) >= 25:
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return None


def jpeg_pixels(data: bytes) -> tuple[int, int] | None:
    """The size in the first start-of-frame segment (ITU-T T.81, B.2.2)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in FRAMES:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def image_tokens(size: tuple[int, int] | None, detail: str) -> int:
    """What an image counts."""
    if detail == "low":
        return IMAGE_TOKENS
    if size is None or 0 in size:
        return UNKNOWN_IMAGE_TOKENS
    width, height = (float(side) for side in size)
    shrink = min(1.0, 2048 / max(width, height))
    shrink *= min(1.0, 768 / (min(width, height) * shrink))
    tiles = math.ceil(width * shrink / 512) * math.ceil(height * shrink / 512)
    return IMAGE_TOKENS + TILE_TOKENS * tiles


def wav_duration_s(data: bytes, length: int) -> float | None:
    """Seconds of sound in a WAV file of ``length`` bytes, of which ``data`` is the beginning; None if it is none."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if kind == b"fmt " and at + 20 <= len(data):
            rate = int.from_bytes(data[at + 16 : at + 20], "little")
        if kind == b"data":
            # A streamed WAV has a size of 0 or all ones: what is there counts.
            there = max(0, length - at - 8)
            return min(size or there, there) / rate if rate else None
        at += 8 + size + size % 2
    return None
