"""Gemini's ``usageMetadata`` as OpenAI's ``usage``. Called by `decode` and `native`, once for each event.

Gemini counts in classes beside each other: the prompt (with what was read from a cache), what its own tools read
(``toolUsePromptTokenCount``, billed as input), what it answered, and what it thought (billed as output). Its total is
the sum of the four (https://ai.google.dev/api/generate-content#UsageMetadata).
"""

from typing import Any

from tollhouse.dialects.usage import sane

_NONE: list[Any] = []
_MEMBER_OF_MODALITY = {"AUDIO": "audio_tokens", "IMAGE": "image_tokens", "VIDEO": "video_tokens"}


def usage_of(meta: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's object. A count that is not told and does not follow from the others is left out."""
    prompt, total = sane(meta.get("promptTokenCount")), sane(meta.get("totalTokenCount"))
    said, thought = sane(meta.get("candidatesTokenCount")), sane(meta.get("thoughtsTokenCount")) or 0
    if prompt is not None:
        prompt += sane(meta.get("toolUsePromptTokenCount")) or 0
    if said is None:
        if total is not None and prompt is not None:
            said = max(0, total - prompt - thought)
    elif thought and prompt is not None and total == prompt + said:
        said = max(0, said - thought)  # some models count their thoughts among what they say
    usage: dict[str, Any] = {}
    if prompt is not None:
        usage["prompt_tokens"] = prompt
    if said is not None:
        usage["completion_tokens"] = said + thought
        if prompt is not None:
            usage["total_tokens"] = prompt + said + thought
    usage["prompt_tokens_details"] = _details("cached_tokens", meta, "cachedContentTokenCount", "promptTokensDetails")
    usage["completion_tokens_details"] = _details(
        "reasoning_tokens", meta, "thoughtsTokenCount", "candidatesTokensDetails"
    )
    if "cacheTokensDetails" in meta:
        _take_cached_audio(usage["prompt_tokens_details"], meta["cacheTokensDetails"])
    return usage


def _details(name: str, meta: dict[str, Any], counted: str, told: str) -> dict[str, Any]:
    """One count, and the modalities that are not text."""
    details = {name: sane(meta.get(counted)) or 0}
    entries = meta.get(told)
    for entry in entries if type(entries) is list else _NONE:
        if type(entry) is dict and entry.get("modality") != "TEXT":
            _add(details, entry)
    return details


def _add(details: dict[str, Any], entry: dict[str, Any]) -> None:
    member, count = _MEMBER_OF_MODALITY.get(str(entry.get("modality"))), sane(entry.get("tokenCount"))
    if member is not None and count:
        details[member] = details.get(member, 0) + count


def _take_cached_audio(details: dict[str, Any], entries: object) -> None:
    """Takes the sound that was read from a cache out of the sound that was heard anew: a token has one class."""
    cached: dict[str, Any] = {}
    for entry in entries if type(entries) is list else _NONE:
        if type(entry) is dict:
            _add(cached, entry)
    if cached.get("audio_tokens") and details.get("audio_tokens"):
        details["audio_tokens"] = max(0, details["audio_tokens"] - cached["audio_tokens"])
