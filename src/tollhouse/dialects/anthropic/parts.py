"""Content of the inner form as Anthropic's blocks: text, images, documents. Called by `turns`.

https://platform.claude.com/docs/en/api/messages/create: a block of text may not be blank, so blank ones are left out.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes

from tollhouse.errors import UpstreamUnfit
from tollhouse.types.calls import Loss

Block = dict[str, Any]

_IMAGES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""https://platform.claude.com/docs/en/build-with-claude/vision"""
_PDF = "application/pdf"
_TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_OWN = frozenset({"image", "document", "search_result", "container_upload"})
"""Blocks that a client may write in Anthropic's own form."""
_MARKS = ("cache_control", "prompt_cache_breakpoint")
_NO_PART = "Anthropic has no content of this type"


def blocks_of(content: object, where: str, losses: list[Loss]) -> list[Block]:
    """The blocks of a message's content. ``where`` is the message's path, for what is lost.

    Raises `UpstreamUnfit` for media that Anthropic does not take: without it the request would be another question.
    """
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content and not content.isspace() else []
    blocks: list[Block] = []
    for index, part in enumerate(content if isinstance(content, list) else ()):
        block = _block_of(part) if isinstance(part, dict) else _NO_PART
        if isinstance(block, str):
            path = f"{where}.content[{index}]"
            if block is not _NO_PART:
                raise UpstreamUnfit(f"{path} cannot be sent to this host: {block}.", param=path)
            losses.append(Loss(path, why=block))
        elif block is not None:
            if mark := cache_mark(part):
                block["cache_control"] = mark
            if _asks_detail(part):
                path = f"{where}.content[{index}].image_url.detail"
                losses.append(Loss(path, why="Anthropic chooses the detail of images"))
            blocks.append(block)
    return blocks


def cache_mark(holder: Mapping[str, Any]) -> dict[str, str] | None:
    """The cache marker of a part, a tool or a message; None where it has none. OpenAI's explicit breakpoint is one too
    (https://platform.openai.com/docs/guides/prompt-caching).
    """
    mark = holder.get("cache_control") or holder.get("prompt_cache_breakpoint")
    if not isinstance(mark, dict):
        return None
    return {"type": "ephemeral", "ttl": mark["ttl"]} if mark.get("ttl") in ("5m", "1h") else {"type": "ephemeral"}


def _block_of(part: dict[str, Any]) -> Block | str | None:
    """The block of one part, None for one that says nothing, or why there is none."""
    kind = part.get("type")
    if not isinstance(kind, str):
        return _NO_PART
    if kind in _OWN:
        return {name: value for name, value in part.items() if name not in _MARKS}
    make = _MAKERS.get(kind)
    return make(part) if make is not None else _NO_PART


def _text(part: dict[str, Any]) -> Block | None:
    text = part.get(part["type"])
    return {"type": "text", "text": text} if isinstance(text, str) and text and not text.isspace() else None


def _image(part: dict[str, Any]) -> Block | str:
    given = part.get("image_url")
    url = given.get("url") if isinstance(given, dict) else given
    if not isinstance(url, str):
        return "the image has no URL"
    if not url.startswith("data:"):
        return {"type": "image", "source": {"type": "url", "url": url}}
    kind, data = _split(url)
    return _image_of(kind, data)


def _image_of(kind: str, data: str) -> Block | str:
    kind = "image/jpeg" if kind == "image/jpg" else kind
    if kind not in _IMAGES:
        return "Anthropic takes images as JPEG, PNG, GIF and WebP"
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _asks_detail(part: dict[str, Any]) -> bool:
    given = part.get("image_url")
    return isinstance(given, dict) and given.get("detail") in ("low", "high")


def _file(part: dict[str, Any]) -> Block | str:
    file = part.get("file")
    if not isinstance(file, dict):
        return "the part has no file"
    source = _source(file)
    if isinstance(source, str) or source.get("type") == "image":
        return source
    block: Block = {"type": "document", "source": source}
    if isinstance(file.get("filename"), str) and file["filename"]:
        block["title"] = file["filename"]
    return block


def _source(file: dict[str, Any]) -> Block | str:
    """The source of a document, an image block where the file is an image, or why it cannot be sent."""
    data, file_id = file.get("file_data"), file.get("file_id")
    if not isinstance(data, str) or not data:
        if isinstance(file_id, str) and file_id.startswith("file_"):
            return {"type": "file", "file_id": file_id}
        return "files are known to the host that they were uploaded to, and to no other"
    if data.startswith(("https://", "http://")):
        return {"type": "url", "url": data}
    kind, content = _split(data) if data.startswith("data:") else (_PDF, data)
    if kind == _PDF:
        return {"type": "base64", "media_type": _PDF, "data": content}
    if kind.startswith("image/"):
        return _image_of(kind, content)
    if not kind.startswith("text/") and kind not in _TEXTUAL:
        return "Anthropic takes PDF and text as documents"
    text = _text_of(data)
    return (
        "the file is not text in UTF-8" if text is None else {"type": "text", "media_type": "text/plain", "data": text}
    )


def _split(url: str) -> tuple[str, str]:
    """The media type and the data of a data URL."""
    head, _, data = url.partition(",")
    return head[5:].partition(";")[0].strip().lower(), data


def _text_of(url: str) -> str | None:
    head, _, data = url.partition(",")
    try:
        raw = b64decode(data) if head.endswith(";base64") else unquote_to_bytes(data)
        return raw.decode()
    except (binascii.Error, ValueError):
        return None


def _audio(part: dict[str, Any]) -> str:
    del part
    return "Anthropic takes no sound"


def _video(part: dict[str, Any]) -> str:
    del part
    return "Anthropic takes no video"


_MAKERS: Mapping[str, Callable[[dict[str, Any]], Block | str | None]] = MappingProxyType(
    {
        "text": _text,
        "refusal": _text,
        "image_url": _image,
        "file": _file,
        "input_audio": _audio,
        "video_url": _video,
    }
)
