"""What a chat request needs of a model, read from its inner form. Pure, and cheap: one pass over the messages.

Called by the pipelines before `routing.decide`. The prompt's length in tokens is estimated low, at four bytes a token,
for a target is left out by it: where the estimate is wrong, the host says so itself.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tollhouse.routing.abilities import AUDIO, FILES, REASONING, SCHEMA, SPEECH, TOOLS, VIDEO, VISION

BYTES_PER_TOKEN = 4
"""What OpenAI gives as the rule of thumb for English."""
IMAGE_TOKENS = 1000
"""About what a full-size picture becomes at most hosts."""
_PARTS = {
    "image_url": VISION,
    "input_image": VISION,
    "image": VISION,
    "input_audio": AUDIO,
    "audio": AUDIO,
    "video_url": VIDEO,
    "file": FILES,
    "document": FILES,
}
_LIGHT = frozenset({"none", "minimal", "low"})
"""Efforts that ask for little or no reasoning: no model is left out for them."""


class Features(Struct, frozen=True):
    """What one request needs."""

    need: int = 0
    """Bits of `abilities`."""
    prompt_tokens: int = 0
    """An estimate, low rather than high."""
    output_tokens: int = 0
    """The client's own cap; 0 where it states none."""
    turns: int = 0
    """Messages of users."""
    stream: bool = False
    effort: str = ""
    """The reasoning effort that is asked for."""

    @property
    def context_tokens(self) -> int:
        """The context that is needed: the prompt, and the answer where its cap is stated."""
        return self.prompt_tokens + self.output_tokens


def read_features(body: Mapping[str, Any], body_bytes: int, *, stream: bool = False) -> Features:
    """The features of a validated request in the inner form. ``body_bytes`` is the length of the JSON that came."""
    need = turns = 0
    media = None
    for message in body.get("messages", ()):
        turns += message.get("role") == "user"
        content = message.get("content")
        if content.__class__ is list:
            media = media or _Media()
            media.add(content)
        if message.get("tool_calls"):
            need |= TOOLS
    media = media or _NO_MEDIA
    effort = _effort(body)
    return Features(
        need=need | media.need | _top_level(body, effort),
        prompt_tokens=max(body_bytes - media.taken, 0) // BYTES_PER_TOKEN + media.images * IMAGE_TOKENS,
        output_tokens=_cap(body),
        turns=turns,
        stream=stream,
        effort=effort,
    )


class _Media:
    """The parts of a prompt that are not text."""

    __slots__ = ("images", "need", "taken")

    def __init__(self) -> None:
        self.need = self.images = self.taken = 0

    def add(self, parts: list[Any]) -> None:
        """Notes what is among the parts of a message."""
        for part in parts:
            bit = _PARTS.get(str(part.get("type")), 0) if part.__class__ is dict else 0
            if bit:
                self.need |= _bit_of_file(part) if bit == FILES else bit
                self.taken += _media_bytes(part)
                self.images += bit == VISION


def _top_level(body: Mapping[str, Any], effort: str) -> int:
    need = TOOLS if (body.get("tools") or body.get("functions")) and body.get("tool_choice") != "none" else 0
    wanted = body.get("response_format")
    if wanted.__class__ is dict and wanted.get("type") in {"json_schema", "json_object"}:
        need |= SCHEMA
    if effort and effort not in _LIGHT:
        need |= REASONING
    modalities = body.get("modalities")
    if modalities.__class__ is list and "audio" in modalities:
        need |= SPEECH
    return need


def _effort(body: Mapping[str, Any]) -> str:
    """The effort asked for; ``medium`` where reasoning is asked for without one."""
    effort = body.get("reasoning_effort")
    reasoning = body.get("reasoning")
    if effort is None and reasoning.__class__ is dict:
        effort = reasoning.get("effort")
        if effort is None and (reasoning.get("enabled") or reasoning.get("max_tokens")):
            effort = "medium"
    return effort if effort.__class__ is str else ""


def _cap(body: Mapping[str, Any]) -> int:
    cap = body.get("max_completion_tokens")
    if cap is None:
        cap = body.get("max_tokens")
    return cap if cap.__class__ is int and cap > 0 else 0


def _bit_of_file(part: Mapping[str, Any]) -> int:
    """A text file is text to any model."""
    file = part.get("file")
    data = file.get("file_data") if file.__class__ is dict else None
    return 0 if data.__class__ is str and data.startswith("data:text/") else FILES


def _media_bytes(part: Mapping[str, Any]) -> int:
    """How much of the body a part is that is not text: the longest string in it."""
    longest = 0
    for value in part.values():
        inner = value.values() if value.__class__ is dict else (value,)
        for one in inner:
            if one.__class__ is str and len(one) > longest:
                longest = len(one)
    return longest


_NO_MEDIA = _Media()
