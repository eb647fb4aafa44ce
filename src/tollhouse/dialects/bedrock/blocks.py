"""Content parts of the inner form as blocks of the Converse API. Called by `messages`.

Bedrock reads media from the request itself or from S3, and nothing from the web: a part that is only an address is a
target's reason not to serve (`UpstreamUnfit`), for a request without it would be another question.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from tollhouse.dialects.bedrock.families import Family
from tollhouse.dialects.bedrock.words import AUDIO_FORMATS, DOCUMENT_FORMATS, IMAGE_FORMATS, VIDEO_FORMATS
from tollhouse.dialects.wishes import Losses, lose
from tollhouse.errors import UpstreamUnfit

Block = dict[str, Any]

_NAME_CHARS = 200
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9\-()\[\]]+")
"""https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html; one blank in a row."""
_SUFFIXES = {"jpg": "jpeg", "mpg": "mpeg", "3gp": "three_gp", "htm": "html", "text": "txt", "json": "txt"}


class BlockWriter:
    """Writes the blocks of one request. What is lost goes into ``losses``."""

    __slots__ = ("_family", "_losses", "_names")

    def __init__(self, family: Family, losses: Losses) -> None:
        self._family = family
        self._losses = losses
        self._names: set[str] = set()

    def blocks(self, content: object, where: str, place: str = "messages") -> list[Block]:
        """The blocks of a message's content, without empty texts, each followed by its cache point. ``place`` is where
        they go, as `Family.cache` calls it. Raises `UpstreamUnfit`.
        """
        if isinstance(content, str):
            return [{"text": content}] if content.strip() else []
        blocks: list[Block] = []
        for index, part in enumerate(content if isinstance(content, list) else ()):
            if not isinstance(part, dict):
                continue
            if (block := self._block(part, f"{where}[{index}]")) is not None:
                blocks.append(block)
            if blocks and part.get("cache_control") is not None:
                blocks += self.cache_point(part["cache_control"], place)
        return blocks

    def cache_point(self, control: object, place: str) -> list[Block]:
        """The block that stands for a cache marker; none where the model has no cache there."""
        if place not in self._family.cache:
            lose(self._losses, "cache_control", "the model has no such cache")
            return []
        point = {"type": "default"}
        if isinstance(control, dict) and control.get("ttl") == "1h":
            if self._family.long_cache:
                point["ttl"] = "1h"
            else:
                lose(self._losses, "cache_control.ttl", "the model keeps it for five minutes", "changed")
        return [{"cachePoint": point}]

    def _block(self, part: Mapping[str, Any], where: str) -> Block | None:
        kind = part.get("type")
        if kind in ("text", "refusal"):
            text = part.get(kind)
            return {"text": text} if isinstance(text, str) and text.strip() else None
        if kind == "image_url":
            image = _member(part, "image_url", where)
            if image.get("detail") not in (None, "auto"):
                lose(self._losses, "image_url.detail", "the host has no such parameter")
            return {"image": _media(image.get("url"), IMAGE_FORMATS, where)}
        if kind == "video_url":
            return {"video": _media(_member(part, "video_url", where).get("url"), VIDEO_FORMATS, where)}
        if kind == "input_audio":
            sound = _member(part, "input_audio", where)
            return {"audio": _inline(AUDIO_FORMATS.get(str(sound.get("format"))), sound.get("data"), where)}
        if kind == "file":
            return self._document(_member(part, "file", where), where)
        raise _unfit("The host takes no content of this kind.", where)

    def _document(self, file: Mapping[str, Any], where: str) -> Block:
        data, name = file.get("file_data"), str(file.get("filename") or "")
        if not isinstance(data, str):
            raise _unfit("The host takes files only within the request.", where)
        if ":" not in data[:64]:  # bare base64, as some clients send it
            data = f"data:{_type_of_name(name)};base64,{data}"
        return {"document": {"name": self._name(name), **_media(data, DOCUMENT_FORMATS, where)}}

    def _name(self, filename: str) -> str:
        """A name that the host takes, and that no other document of the request has."""
        stem = filename.rpartition(".")[0] or filename
        base = _NOT_IN_NAMES.sub(" ", stem).strip()[: _NAME_CHARS - 8].strip() or "document"
        name, count = base, 1
        while name in self._names:
            count += 1
            name = f"{base} {count}"
        self._names.add(name)
        return name


def _member(part: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    value = part.get(name)
    if not isinstance(value, dict):
        raise _unfit("The host takes no content of this shape.", where)
    return value


def _media(url: object, formats: Mapping[str, str], where: str) -> Block:
    """``format`` and ``source`` of what an address holds, or is in S3."""
    if not isinstance(url, str):
        raise _unfit("The host takes no content of this shape.", where)
    if url.startswith("s3://"):
        suffix = url.rpartition(".")[2].lower()
        suffix = _SUFFIXES.get(suffix, suffix)
        if suffix not in formats.values():
            raise _unfit("The host takes no media of this type.", where)
        return {"format": suffix, "source": {"s3Location": {"uri": url}}}
    head, comma, data = url.partition(",")
    if not comma or not head.lower().startswith("data:"):
        raise _unfit("The host takes media only within the request, as base64.", where)
    kind, *parameters = head[5:].lower().split(";")
    if "base64" not in parameters:
        data = b64encode(unquote_to_bytes(data)).decode()
    return _inline(formats.get(kind) or _text_format(kind, formats), data, where)


def _text_format(kind: str, formats: Mapping[str, str]) -> str | None:
    """Any text, where texts are taken."""
    is_text = kind.startswith("text/") or kind in ("", "application/json")
    return "txt" if is_text and "txt" in formats.values() else None


def _type_of_name(name: str) -> str:
    suffix = name.rpartition(".")[2].lower()
    suffix = _SUFFIXES.get(suffix, suffix)
    return next((kind for kind, known in DOCUMENT_FORMATS.items() if known == suffix), "application/pdf")


def _inline(kind: str | None, data: object, where: str) -> Block:
    if kind is None:
        raise _unfit("The host takes no media of this type.", where)
    if not isinstance(data, str) or not data:
        raise _unfit("The host takes media only within the request, as base64.", where)
    return {"format": kind, "source": {"bytes": data}}


def _unfit(message: str, where: str) -> UpstreamUnfit:
    return UpstreamUnfit(message, param=where)
