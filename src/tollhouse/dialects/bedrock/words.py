"""The words of the Converse API and what they are in the inner form. Both directions of this package read them.

The shapes are those of the service model, botocore's ``bedrock-runtime/2023-09-30/service-2.json``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CLAUDE_FORMAT: Final = "anthropic-claude-v1"
"""The ``format`` of those ``reasoning_details`` that are Claude's: here they are signed as they are at Anthropic."""
OTHER_FORMAT: Final = "unknown"

FINISH_OF_STOP: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "guardrail_intervened": "content_filter",
        "content_filtered": "content_filter",
        "refusal": "content_filter",
        "malformed_model_output": "stop",
        "malformed_tool_use": "stop",
    }
)
"""``stopReason`` to ``finish_reason``."""

IMAGE_FORMATS: Mapping[str, str] = MappingProxyType(
    {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
)
DOCUMENT_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "application/pdf": "pdf",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
        "text/x-markdown": "md",
    }
)
VIDEO_FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "video/x-matroska": "mkv",
        "video/quicktime": "mov",
        "video/mp4": "mp4",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    }
)
AUDIO_FORMATS: Mapping[str, str] = MappingProxyType(
    {name: name for name in ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "m4a", "pcm", "webm")}
    | {"pcm16": "pcm"}
)
"""Media types, or the formats of ``input_audio``, to the ``format`` of a block."""

SERVICE_TIERS: Mapping[str, str] = MappingProxyType({"default": "default", "flex": "flex", "priority": "priority"})
"""``service_tier`` to ``serviceTier.type``; ``auto`` is the host's own choice, and not sent."""
