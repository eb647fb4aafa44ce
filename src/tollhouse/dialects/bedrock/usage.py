"""Bedrock's ``usage`` as OpenAI's. Called by `decode`.

``inputTokens`` are those that no cache had anything to do with: the prompt is the sum of the three counts
(https://docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html). Reasoning is part of ``outputTokens``, and
is not told apart.
"""

from typing import Any

from tollhouse.dialects.usage import sane


def usage_of(usage: dict[str, Any]) -> dict[str, Any]:
    """Those of the counts that can be believed, in OpenAI's form; empty where there is none."""
    read, written = sane(usage.get("cacheReadInputTokens")), sane(usage.get("cacheWriteInputTokens"))
    prompt, completion = sane(usage.get("inputTokens")), sane(usage.get("outputTokens"))
    found: dict[str, Any] = {}
    if prompt is not None:
        prompt += (read or 0) + (written or 0)
        found["prompt_tokens"] = prompt
    if completion is not None:
        found["completion_tokens"] = completion
    if prompt is not None and completion is not None:
        found["total_tokens"] = prompt + completion
    details: dict[str, Any] = {}
    if read is not None:
        details["cached_tokens"] = read
    if written is not None:
        details["cache_creation_input_tokens"] = written
    if written and (kept := _kept(usage.get("cacheDetails"))):
        details["cache_creation"] = kept
    if found and details:
        found["prompt_tokens_details"] = details
    return found


def _kept(details: object) -> dict[str, int]:
    """Cache writes by how long they are kept."""
    kept: dict[str, int] = {}
    for detail in details if isinstance(details, list) else ():
        count = sane(detail.get("inputTokens")) if isinstance(detail, dict) else None
        if count is not None and detail.get("ttl") in ("5m", "1h"):
            name = f"ephemeral_{detail['ttl']}_input_tokens"
            kept[name] = kept.get(name, 0) + count
    return kept
