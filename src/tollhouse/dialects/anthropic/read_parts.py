"""Images, documents and search results of a client's request, as content parts of the inner form. Used by `read_turns`.

A document that is text is told as text, since every model reads that; a PDF is a file. What is kept in Anthropic's own
store reaches no other host.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.types.calls import Loss

Block = dict[str, Any]
Parts = list[dict[str, Any]]

SERVERS = "only Anthropic's own servers can read it"
_STORED = "files in Anthropic's store reach no other host"
_FILENAME = "document.pdf"


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _image(block: Block, path: str, losses: list[Loss]) -> Parts:
    source = block["source"]
    if source["type"] == "base64":
        return [{"type": "image_url", "image_url": {"url": f"data:{source['media_type']};base64,{source['data']}"}}]
    if source["type"] == "url":
        return [{"type": "image_url", "image_url": {"url": source["url"]}}]
    losses.append(Loss(f"{path}.source", "dropped", _STORED))
    return []


def _document(block: Block, path: str, losses: list[Loss]) -> Parts:
    source, kind = block["source"], block["source"]["type"]
    if (block.get("citations") or {}).get("enabled") is True:
        losses.append(Loss(f"{path}.citations", "dropped", "known to Claude alone"))
    about = [_text(block["context"])] if block.get("context") else []
    if kind in ("text", "content"):
        losses.append(Loss(path, "emulated", "told as text"))
        return [*about, *_inline(block, path, losses)]
    if kind not in ("base64", "url"):
        losses.append(Loss(f"{path}.source", "dropped", _STORED))
        return []
    data = source["url"] if kind == "url" else f"data:{source['media_type']};base64,{source['data']}"
    return [*about, {"type": "file", "file": {"file_data": data, "filename": block.get("title") or _FILENAME}}]


def _inline(block: Block, path: str, losses: list[Loss]) -> Parts:
    """The content of a document that is text, or text and images, under its title."""
    source = block["source"]
    parts = [_text(f"{block['title']}:")] if block.get("title") else []
    held = source["data"] if source["type"] == "text" else source["content"]
    if type(held) is str:
        return [*parts, _text(held)] if held else parts
    for index, one in enumerate(held):
        if one["type"] == "image":
            parts += _image(one, f"{path}.source.content[{index}]", losses)
        elif one["type"] == "text":
            parts.append(_text(one["text"]))
        else:
            losses.append(Loss(f"{path}.source.content[{index}]", "dropped", SERVERS))
    return parts


def _search_result(block: Block, path: str, losses: list[Loss]) -> Parts:
    losses.append(Loss(path, "emulated", "told as text"))
    body = "".join([part["text"] for part in block["content"]])
    return [_text(f"{block['title']} ({block['source']}):\n{body}")]


def _tool_reference(block: Block, path: str, losses: list[Loss]) -> Parts:
    """What a client's own tool search found: every tool is offered from the start, so that its name is enough."""
    losses.append(Loss(path, "emulated", "told as text"))
    return [_text(f"The tool {block.get('tool_name')} can be called now.")]


READERS: Mapping[str, Callable[[Block, str, list[Loss]], Parts]] = MappingProxyType(
    {
        "image": _image,
        "document": _document,
        "search_result": _search_result,
        "tool_reference": _tool_reference,
    }
)
"""By the type of the block. Each gives its parts, and notes what is lost at its path."""
