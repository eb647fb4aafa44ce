"""OpenAI's ``usage`` object: which numbers of a foreign one may be believed, and how ours is shown to clients.

`gateway.meter` reads with `sane`; the client side writes with `usage_object` and `tidy_usage`.
"""

from collections.abc import Mapping
from typing import Any

from tollhouse.types.calls import Usage

MAX_TOKENS = 2**31


def sane(value: object) -> int | None:
    """The value if it is an integer in 0..2^31, else ``None``: floats, booleans, text and giants are not counts."""
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None


def usage_object(usage: Usage, raw: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a client is shown: the metered totals, with whatever else the host's own object holds."""
    prompt = usage.input + usage.cache_read + usage.cache_write
    details = {"cached_tokens": usage.cache_read}
    if usage.cache_write:
        details["cache_write_tokens"] = usage.cache_write
    return {
        **(raw or {}),
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {**_object(raw, "prompt_tokens_details"), **details},
        "completion_tokens_details": {
            **_object(raw, "completion_tokens_details"),
            "reasoning_tokens": usage.reasoning,
        },
    }


def tidy_usage(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A host's object with the three totals that strict clients need, as integers; the sum is made here."""
    prompt, completion = sane(raw.get("prompt_tokens")) or 0, sane(raw.get("completion_tokens")) or 0
    total = sane(raw.get("total_tokens"))
    if total is None or total < prompt + completion:
        total = prompt + completion
    return {**raw, "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": total}


def _object(raw: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    value = raw.get(name) if raw else None
    return value if isinstance(value, dict) else {}
