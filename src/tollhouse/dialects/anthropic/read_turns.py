"""The turns of a conversation in Anthropic's blocks, as messages of the inner form. Used by `read`.

Theory of operation
-------------------
One turn may become several messages: each ``tool_result`` is a ``tool`` message of its own, before what else the user
says, for a call's result has to follow it. An assistant's texts are one text, its ``tool_use`` blocks are tool calls,
and its thinking is ``reasoning_content`` with the ``reasoning_details`` that prove it: what an earlier answer put under
seal is what its host had said (`seals`). Text stays a plain string wherever nothing is lost by it, for many hosts take
no more than that; a block with a cache marker stays a part. What has no counterpart (files in Anthropic's store, what
its servers' tools said) is a `Loss`.
"""

from typing import Any

import msgspec

from tollhouse.dialects.anthropic.read_parts import READERS, SERVERS
from tollhouse.dialects.anthropic.seals import host_id, is_sealed, unseal
from tollhouse.dialects.anthropic.words import REASONING_FORMAT
from tollhouse.types.calls import Loss

Block = dict[str, Any]
_encode = msgspec.json.Encoder().encode
_PLAIN = 2
"""Members of a block, or of a part, that is text and nothing else."""
_UPLOAD = "container_upload"
"""The block that stands for a stored file, and holds nothing but its name."""


class ReadTurns:
    """The messages read so far, and what could not be read into them."""

    __slots__ = ("losses", "messages", "sealed", "unseen")

    def __init__(self, losses: list[Loss]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.losses = losses
        self.sealed = False
        """Whether anything was under seal: Anthropic must not be sent it."""
        self.unseen = False
        """Whether anything has a size that is not known here: Anthropic reads it from its own store."""

    def system(self, content: str | list[Block]) -> None:
        """The system prompt."""
        if content:
            self.messages.append({"role": "system", "content": self._content(content, "system")})

    def add(self, turn: dict[str, Any], place: int) -> None:
        """One turn."""
        content, role = turn["content"], turn["role"]
        if type(content) is str:
            self.messages.append({"role": role, "content": content})
        elif role == "assistant":
            self._assistant(content, f"messages[{place}].content")
        else:
            self._user(content, role, f"messages[{place}].content")

    def _user(self, content: list[Block], role: str, path: str) -> None:
        said: list[tuple[int, Block]] = []
        answered = False
        for index, block in enumerate(content):
            if block["type"] == "tool_result":
                answered = True
                self._result(block, f"{path}[{index}]")
            else:
                said.append((index, block))
        parts = [part for index, block in said for part in self._parts(block, f"{path}[{index}]")]
        if parts or not answered:
            self.messages.append({"role": role, "content": _plain(parts)})

    def _result(self, block: Block, path: str) -> None:
        content: Any = block.get("content") or ""
        if type(content) is list:
            content = self._content(content, f"{path}.content")
        if (marker := block.get("cache_control")) is not None:
            parts = [{"type": "text", "text": content}] if type(content) is str and content else content
            if parts:
                parts[-1]["cache_control"] = marker
                content = parts
        message = {"role": "tool", "tool_call_id": host_id(block["tool_use_id"]), "content": content}
        if block.get("is_error") is True:
            message["is_error"] = True
        self.messages.append(message)

    def _content(self, content: str | list[Block], path: str) -> Any:
        if type(content) is str:
            return content
        return _plain([part for index, block in enumerate(content) for part in self._parts(block, f"{path}[{index}]")])

    def _parts(self, block: Any, path: str) -> list[dict[str, Any]]:
        """The parts that a block is; none where it says nothing, or cannot be said."""
        kind = block["type"]
        if kind == "text":
            parts = [{"type": "text", "text": block["text"]}] if block["text"] else []
        else:
            self.unseen = self.unseen or kind == _UPLOAD or _is_stored(block.get("source"))
            read = READERS.get(kind)
            parts = read(block, path, self.losses) if read is not None else []
            if read is None:
                self.losses.append(Loss(path, "dropped", SERVERS))
        if parts and block.get("cache_control") is not None:
            parts[-1]["cache_control"] = block["cache_control"]
        return parts

    # --- what the model said -------------------------------------------------------------------------------------

    def _assistant(self, content: list[Block], path: str) -> None:
        parts: list[dict[str, Any]] = []
        calls: list[dict[str, Any]] = []
        details: list[dict[str, Any]] = []
        thoughts: list[str] = []
        extras: dict[str, Any] = {}
        for index, block in enumerate(content):
            kind = block["type"]
            if kind == "tool_use":
                calls.append(_call(block))
            elif kind == "text" and len(block) == _PLAIN:
                if block["text"]:
                    parts.append({"type": "text", "text": block["text"]})
            elif kind == "thinking":
                thoughts.append(block["thinking"])
                self._thought(block, block.get("signature") or "", details, extras)
            elif kind == "redacted_thinking":
                self._thought(block, block["data"], details, extras)
            else:
                parts += self._parts(block, f"{path}[{index}]")
                self._note_citations(block, f"{path}[{index}]")
        message: dict[str, Any] = {"role": "assistant", "content": _joined(parts)}
        if thought := "".join(thoughts):
            message["reasoning_content"] = thought
        if details:
            message["reasoning_details"] = [{**entry, "index": place} for place, entry in enumerate(details)]
        if calls:
            message["content"] = message["content"] or None
            message["tool_calls"] = calls
        if calls and extras:
            message["tool_calls"] = [
                {**call, "extra_content": extras[call["id"]]} if call["id"] in extras else call for call in calls
            ]
        self.messages.append(message)

    def _thought(self, block: Block, proof: str, details: list[dict[str, Any]], extras: dict[str, Any]) -> None:
        """One block of thinking: Claude's own, or what an answer of another host put under seal."""
        if is_sealed(proof):
            self.sealed = True
            _take_unsealed(block, unseal(proof), details, extras)
        elif block["type"] == "redacted_thinking":
            details.append({"type": "reasoning.encrypted", "data": proof, "format": REASONING_FORMAT})
        elif proof:
            text = block["thinking"]
            details.append({"type": "reasoning.text", "text": text, "signature": proof, "format": REASONING_FORMAT})

    def _note_citations(self, block: Block, path: str) -> None:
        cited = block.get("citations")
        if type(cited) is not list or not cited:
            return
        self.losses.append(Loss(f"{path}.citations", "dropped", "what an earlier answer cited"))
        if any(type(one) is dict and is_sealed(one.get("encrypted_index")) for one in cited):
            self.sealed = True


def _is_stored(source: object) -> bool:
    """Whether an image or a document, or what a document is made of, is a file in Anthropic's store."""
    if type(source) is not dict:
        return False
    if source.get("type") not in ("base64", "url", "text", "content"):
        return True
    held = source.get("content")
    return type(held) is list and any(_is_stored(one.get("source")) for one in held)


def _take_unsealed(block: Block, entry: dict[str, Any], details: list[dict[str, Any]], extras: dict[str, Any]) -> None:
    if "extra_content" in entry:
        extras[entry["call"]] = entry["extra_content"]
    elif entry.keys() > {"type"}:
        text = block.get("thinking")
        named = "summary" if entry["type"] == "reasoning.summary" else "text"
        details.append({**entry, named: text} if type(text) is str and text else entry)


def _call(block: Block) -> dict[str, Any]:
    function = {"name": block["name"], "arguments": _encode(block["input"]).decode()}
    return {"id": host_id(block["id"]), "type": "function", "function": function}


def _plain(parts: list[dict[str, Any]]) -> Any:
    """A single text as a string."""
    if len(parts) == 1 and _is_plain(parts[0]):
        return parts[0]["text"]
    return parts or ""


def _is_plain(part: dict[str, Any]) -> bool:
    """Whether a part is text and nothing else."""
    return len(part) == _PLAIN and "text" in part


def _joined(parts: list[dict[str, Any]]) -> Any:
    """What a model said in several blocks is one text, unless a cache marker stands in it."""
    if len(parts) == 1:
        return _plain(parts)
    return "".join([part["text"] for part in parts]) if all(map(_is_plain, parts)) else parts
