"""What the Responses API calls things, and what the inner form calls them: small tables, and values read through them.

`encode`, `decode` and `events` read it. https://platform.openai.com/docs/api-reference/responses
"""

from collections.abc import Mapping
from typing import Any

from tollhouse.dialects.faults import fault_of_object
from tollhouse.dialects.usage import sane
from tollhouse.errors import UpstreamFault

FORMAT = "openai-responses-v1"
"""The ``format`` of what proves a reasoning item."""
ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"
MIN_OUTPUT_TOKENS = 16
"""The least that ``max_output_tokens`` may be."""
PHASES = ("commentary", "final_answer")
BETWEEN_MESSAGES = "\n\n"
"""What stands between the texts of two message items, which become one message."""

_STATUS_OF_CODE = {
    "server_error": 503,
    "vector_store_timeout": 504,
    **dict.fromkeys(
        (
            *("invalid_prompt", "data_residency_mismatch", "bio_policy", "cyber_policy", "context_length_exceeded"),
            *("invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url", "image_too_large"),
            *("image_too_small", "image_parse_error", "image_content_policy_violation", "invalid_image_mode"),
            *("image_file_too_large", "unsupported_image_media_type", "empty_image_file", "unsupported_file"),
            *("failed_to_download_image", "image_file_not_found", "invalid_encrypted_content"),
        ),
        400,
    ),
}
"""``ResponseErrorCode``, and what is seen beside it: whose fault it is, as the status that it would have had."""


def fault_of(error: object) -> UpstreamFault:
    """The fault of an ``error`` event, or of a response that failed.

    The event is flat in the schema and nested on the wire (openai-dotnet#881, openai-node#2021): both are read.
    """
    given = error if isinstance(error, dict) else {"message": error}
    inner = given.get("error")
    if isinstance(inner, dict):
        given = {**{name: given.get(name) for name in ("code", "message", "param")}, **inner}
    found = {name: value for name, value in given.items() if value is not None}
    code = found.get("code")
    status = _STATUS_OF_CODE.get(code) if isinstance(code, str) else None
    return fault_of_object(found if status is None else {"status_code": status, **found})


def usage_of(raw: object) -> dict[str, Any] | None:
    """A response's ``usage`` under the names of a chat completion; what has no name there rides along."""
    if not isinstance(raw, dict):
        return None
    usage = {name: value for name, value in raw.items() if name not in _USAGE_NAMES}
    for name, chat_name in _USAGE_NAMES.items():
        if (value := raw.get(name)) is not None:
            usage[chat_name] = dict(value) if isinstance(value, dict) else value
    return usage


_USAGE_NAMES = {
    "input_tokens": "prompt_tokens",
    "output_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "input_tokens_details": "prompt_tokens_details",
    "output_tokens_details": "completion_tokens_details",
}


def citation_of(annotation: Mapping[str, Any], shift: int) -> dict[str, Any]:
    """An annotation as a chat completion nests it. ``shift`` is how far from the message's start its text begins."""
    kind = str(annotation.get("type") or "url_citation")
    inner = {name: value for name, value in annotation.items() if name != "type"}
    if shift:
        for name in ("start_index", "end_index"):
            if (place := sane(inner.get(name))) is not None:
                inner[name] = place + shift
    return {"type": kind, kind: inner}


def logprobs_of(tokens: object) -> list[dict[str, Any]]:
    """Token log probabilities with the members that a chat completion's always have; streams leave some out."""
    given = tokens if isinstance(tokens, list) else []
    return [
        {**_logprob(token), "top_logprobs": [_logprob(other) for other in _objects(token.get("top_logprobs"))]}
        for token in _objects(given)
    ]


def _logprob(token: dict[str, Any]) -> dict[str, Any]:
    return {"bytes": None, **token}


def _objects(values: object) -> list[dict[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def moderation_of(given: object) -> object:
    """A response's ``moderation``, whose results a chat completion holds in lists."""
    if not isinstance(given, dict):
        return None
    sides = {name: side for name, side in given.items() if isinstance(side, dict)}
    return {
        name: side
        if side.get("type") != "moderation_result"
        else {"type": "moderation_results", "model": side.get("model"), "results": [side]}
        for name, side in sides.items()
    }


def text_of(value: object) -> str:
    """Text, or none."""
    return value if isinstance(value, str) else ""
