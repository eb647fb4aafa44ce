"""The words of Anthropic's Messages API and what they are in the inner form, both ways.

Both directions of this package read these tables.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

VERSION: Final = "2023-06-01"
"""https://platform.claude.com/docs/en/api/versioning: the only value of ``anthropic-version`` since 2023."""
REASONING_FORMAT: Final = "anthropic-claude-v1"
"""The ``format`` of those ``reasoning_details`` that are Claude's."""
EPHEMERAL: Final = "ephemeral"

FINISH_OF_STOP: Mapping[str, str] = MappingProxyType(
    {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "pause_turn": "stop",
        "tool_use": "tool_calls",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "refusal": "content_filter",
        "compaction": "stop",
    }
)
"""``stop_reason`` to ``finish_reason`` (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons)."""

STOP_OF_FINISH: Mapping[str, str] = MappingProxyType(
    {
        "stop": "end_turn",
        "tool_calls": "tool_use",
        "function_call": "tool_use",
        "length": "max_tokens",
        "content_filter": "refusal",
    }
)
"""``finish_reason`` to ``stop_reason``, where the host's own word is not known."""

STATUS_OF_ERROR: Mapping[str, int] = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "conflict_error": 409,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "api_error": 500,
        "timeout_error": 504,
        "overloaded_error": 529,
    }
)
"""https://platform.claude.com/docs/en/api/errors: the types of errors, and the status that each comes with."""
ERROR_OF_STATUS: Mapping[int, str] = MappingProxyType({status: name for name, status in STATUS_OF_ERROR.items()})

CUSTOM_INPUT: Final = "input"
"""The one parameter of the function that a custom tool is sent as."""
