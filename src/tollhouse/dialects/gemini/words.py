"""The words of Gemini's generateContent and what they are in the inner form, both ways.

Both directions of this package read these tables.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REASONING_FORMAT: Final = "google-gemini-v1"
"""The ``format`` of those ``reasoning_details`` that are Gemini's."""
NO_SIGNATURE: Final = "skip_thought_signature_validator"
"""A ``thoughtSignature`` for a call that no Gemini model made, which the validator of Gemini 3 lets pass
(https://ai.google.dev/gemini-api/docs/thought-signatures, "FAQs").
"""

FINISH_OF_REASON: Mapping[str, str] = MappingProxyType(
    {
        "FINISH_REASON_UNSPECIFIED": "stop",
        "STOP": "stop",
        "MAX_TOKENS": "length",
        "SAFETY": "content_filter",
        "RECITATION": "content_filter",
        "LANGUAGE": "stop",
        "OTHER": "stop",
        "BLOCKLIST": "content_filter",
        "PROHIBITED_CONTENT": "content_filter",
        "SPII": "content_filter",
        "MODEL_ARMOR": "content_filter",
        "ESCALATION": "content_filter",
        "PUP_LIMITED_DISABLED": "content_filter",
        "CONTINUATION": "length",
        "MALFORMED_FUNCTION_CALL": "stop",
        "MALFORMED_RESPONSE": "stop",
        "UNEXPECTED_TOOL_CALL": "stop",
        "TOO_MANY_TOOL_CALLS": "stop",
        "MISSING_THOUGHT_SIGNATURE": "stop",
        "IMAGE_SAFETY": "content_filter",
        "IMAGE_PROHIBITED_CONTENT": "content_filter",
        "IMAGE_RECITATION": "content_filter",
        "IMAGE_OTHER": "stop",
        "NO_IMAGE": "stop",
    }
)
"""``finishReason`` to ``finish_reason`` (https://ai.google.dev/api/generate-content#FinishReason). A candidate with a
``functionCall`` that ends with what is ``stop`` here ends with ``tool_calls``.
"""
BROKEN_REASONS: Final = frozenset(
    {
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
"""Reasons that say that the model failed: an answer that says nothing else is none."""
REASON_OF_FINISH: Mapping[str, str] = MappingProxyType(
    {
        "stop": "STOP",
        "tool_calls": "STOP",
        "function_call": "STOP",
        "length": "MAX_TOKENS",
        "content_filter": "SAFETY",
    }
)
"""``finish_reason`` to ``finishReason``, where the host's own word is not known."""

HARM_CATEGORIES: Final = frozenset(
    {
        "HARM_CATEGORY_HARASSMENT",
        "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT",
        "HARM_CATEGORY_DANGEROUS_CONTENT",
        "HARM_CATEGORY_CIVIC_INTEGRITY",
        "HARM_CATEGORY_JAILBREAK",
        "HARM_CATEGORY_IMAGE_HATE",
        "HARM_CATEGORY_IMAGE_DANGEROUS_CONTENT",
        "HARM_CATEGORY_IMAGE_HARASSMENT",
        "HARM_CATEGORY_IMAGE_SEXUALLY_EXPLICIT",
    }
)
"""https://ai.google.dev/api/generate-content#harmcategory, and those of Vertex."""

STATUS_OF_ERROR: Mapping[str, int] = MappingProxyType(
    {
        "INVALID_ARGUMENT": 400,
        "FAILED_PRECONDITION": 400,
        "OUT_OF_RANGE": 400,
        "UNAUTHENTICATED": 401,
        "PERMISSION_DENIED": 403,
        "NOT_FOUND": 404,
        "ALREADY_EXISTS": 409,
        "ABORTED": 409,
        "RESOURCE_EXHAUSTED": 429,
        "CANCELLED": 499,
        "INTERNAL": 500,
        "UNKNOWN": 500,
        "DATA_LOSS": 500,
        "UNIMPLEMENTED": 501,
        "UNAVAILABLE": 503,
        "DEADLINE_EXCEEDED": 504,
    }
)
"""``error.status`` and its HTTP status (https://cloud.google.com/apis/design/errors#handling_errors)."""
ERROR_OF_STATUS: Mapping[int, str] = MappingProxyType(
    {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        402: "FAILED_PRECONDITION",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ABORTED",
        413: "INVALID_ARGUMENT",
        422: "INVALID_ARGUMENT",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        500: "INTERNAL",
        501: "UNIMPLEMENTED",
        502: "INTERNAL",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }
)
"""An HTTP status, and the ``error.status`` that Google's own clients expect with it."""

MODALITY_OF_KIND: Mapping[str, str] = MappingProxyType({"text": "TEXT", "image": "IMAGE", "audio": "AUDIO"})
"""``modalities`` to ``responseModalities``."""
KIND_OF_MODALITY: Mapping[str, str] = MappingProxyType({word: kind for kind, word in MODALITY_OF_KIND.items()})

LEVEL_OF_EFFORT: Mapping[str, str] = MappingProxyType(
    {
        "none": "minimal",
        "minimal": "minimal",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "high",
        "max": "high",
    }
)
"""``reasoning_effort`` to ``thinkingLevel`` of Gemini 3 (https://ai.google.dev/gemini-api/docs/openai#thinking)."""
EFFORT_OF_LEVEL: Mapping[str, str] = MappingProxyType(
    {"MINIMAL": "minimal", "LOW": "low", "MEDIUM": "medium", "HIGH": "high"}
)
"""``thinkingLevel``, upper-cased, to ``reasoning_effort``."""
BUDGET_OF_EFFORT: Mapping[str, int] = MappingProxyType(
    {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576, "max": 24576}
)
"""``reasoning_effort`` to ``thinkingBudget`` of Gemini 2.5, as Google's own OpenAI surface has it (the same page)."""

AUDIO_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "wav": "audio/wav",
        "mp3": "audio/mp3",
        "aiff": "audio/aiff",
        "aac": "audio/aac",
        "ogg": "audio/ogg",
        "flac": "audio/flac",
        "m4a": "audio/m4a",
        "opus": "audio/opus",
        "pcm16": "audio/pcm",
        "webm": "audio/webm",
    }
)
"""``input_audio.format`` to the media type (https://ai.google.dev/gemini-api/docs/audio#supported-formats)."""
FORMAT_OF_AUDIO: Mapping[str, str] = MappingProxyType(
    {
        **{kind: name for name, kind in AUDIO_TYPES.items()},
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/mpeg": "mp3",
        "audio/mpga": "mp3",
        "audio/l16": "pcm16",
    }
)
"""A media type, lower-case and without parameters, to ``input_audio.format``."""
