"""Anthropic's usage as OpenAI's. Called by the readers of answers.

https://platform.claude.com/docs/en/api/messages/create: ``input_tokens`` leaves out what was read from the cache or
written to it, ``output_tokens`` holds the thinking. In a stream ``message_start`` tells the prompt, and
``message_delta`` what was counted since; counts are cumulative, so the last one is right. Some compatible hosts
send zeros for what they have said before; a zero takes nothing back.
"""

from operator import add
from typing import Any

from tollhouse.dialects.usage import sane

_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
_RIDING = ("server_tool_use", "service_tier", "inference_geo", "speed", "iterations")
"""What OpenAI's object has no name for."""


def merge_usage(known: dict[str, Any], said: object) -> None:
    """Adds what one event says to what is known, in place."""
    if not isinstance(said, dict):
        return
    for name, value in said.items():
        before = known.get(name)
        if isinstance(value, dict):
            known[name] = merged = dict(before) if isinstance(before, dict) else {}
            merge_usage(merged, value)
        elif value is not None and not (value == 0 and before):
            known[name] = value


def _compactions(iterations: object) -> list[dict[str, Any]]:
    """What was counted for summing up the conversation first: it is billed, and not in the counts at the top
    (https://platform.claude.com/docs/en/build-with-claude/compaction#understanding-usage).
    """
    if not isinstance(iterations, list):
        return []
    return [one for one in iterations if isinstance(one, dict) and one.get("type") == "compaction"]


def opening_usage(usage: dict[str, Any] | None) -> dict[str, Any] | None:
    """What an answer used whose end told nothing: the count of ``message_start`` is of its first token."""
    if usage is None:
        return None
    return {name: value for name, value in usage.items() if name not in ("completion_tokens", "total_tokens")}


def openai_usage(raw: dict[str, Any]) -> dict[str, Any]:
    """The same in OpenAI's form. What cannot be a count is taken for none."""
    plain, read, written, output = [sane(raw.get(name)) or 0 for name in _COUNTS]
    split = raw.get("cache_creation")
    kept = {name: sane(count) or 0 for name, count in split.items()} if isinstance(split, dict) else {}
    written = max(written, sum(kept.values()))
    for beside in _compactions(raw.get("iterations")):
        counts = [sane(beside.get(name)) or 0 for name in _COUNTS]
        plain, read, written, output = map(add, (plain, read, written, output), counts)
    prompt = plain + read + written
    details: dict[str, Any] = {"cached_tokens": read, "cache_creation_input_tokens": written}
    if written and kept:
        details["cache_creation"] = kept
    said = raw.get("output_tokens_details")
    thought = sane(said.get("thinking_tokens")) if isinstance(said, dict) else None
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": details,
    }
    if thought is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": min(thought, output)}
    return usage | {name: raw[name] for name in _RIDING if raw.get(name) is not None}
