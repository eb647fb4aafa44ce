"""What Gemini says of the safety of a prompt or a candidate, in the form that all safety results have. Pure.

`decode` and `candidate` call it. A rating grades a category by how probable the harm is, and Vertex also by how severe
it would be; thresholds are about the probability unless a request says otherwise, and so are results. ``blocked``, a
``blockReason``, or a ``finishReason`` that names a rule, say that Google withheld the text. "Dangerous content" helps
to do harm, which is not what Azure calls violence: it keeps its own name, as every category does that has no other.
https://ai.google.dev/gemini-api/docs/safety-settings
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.dialects.filtered import UNNAMED, Results, detect, is_filtered, name_of, rate
from tollhouse.dialects.gemini.words import FINISH_OF_REASON
from tollhouse.types.safety import DETECTIONS, MEDIUM, SAFE

_PREFIXES = ("HARM_CATEGORY_", "IMAGE_")
_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {"harassment": "hate", "hate_speech": "hate", "sexually_explicit": "sexual", "unspecified": ""}
)
_LEVELS: Mapping[str, int] = MappingProxyType({"NEGLIGIBLE": SAFE, "LOW": 1, "MEDIUM": MEDIUM, "HIGH": 3})
_OF_REASON: Mapping[str, str] = MappingProxyType(
    {
        "SAFETY": UNNAMED,
        "IMAGE_SAFETY": UNNAMED,
        "BLOCKLIST": "custom_blocklists",
        "IMAGE_PROHIBITED_CONTENT": "prohibited_content",
        "SPII": "personally_identifiable_information",
        "RECITATION": "protected_material_text",
        "IMAGE_RECITATION": "protected_material_image",
        "BLOCKED_REASON_UNSPECIFIED": "other",
        "BLOCK_REASON_UNSPECIFIED": "other",
    }
)
"""Categories of reasons; those of the others have the reason's own name."""
_MOST_RATINGS = 64


def add_ratings(results: Results, ratings: object) -> None:
    """Notes ``safetyRatings``, in place; what makes no sense is passed over."""
    for rating in ratings[:_MOST_RATINGS] if type(ratings) is list else ():
        if type(rating) is not dict or type(word := rating.get("category")) is not str:
            continue
        for prefix in _PREFIXES:
            word = word.removeprefix(prefix)
        name = name_of(word)
        category = _CATEGORIES.get(name, name)
        level, blocked = _level(rating), rating.get("blocked") is True
        if not category or (level is None and not blocked):
            continue
        if level is None or category in DETECTIONS:
            detect(results, category, detected=blocked or (level or SAFE) >= MEDIUM, filtered=blocked)
        else:
            rate(results, category, level, filtered=blocked)


def _level(rating: Mapping[str, Any]) -> int | None:
    for member, prefix in (("probability", ""), ("severity", "HARM_SEVERITY_")):
        word = rating.get(member)
        if type(word) is str and (level := _LEVELS.get(word.removeprefix(prefix))) is not None:
            return level
    return None


def add_reason(results: Results, reason: object) -> None:
    """Notes that Google withheld a text for this reason, in place. Where a rating says which category it was, it has
    been said.
    """
    word = reason if type(reason) is str else "OTHER"
    category = _OF_REASON.get(word) or name_of(word) or "other"
    if category != UNNAMED or not is_filtered(results):
        detect(results, category, filtered=True)


def prompt_results(feedback: object) -> Results:
    """What ``promptFeedback`` says."""
    results: Results = {}
    if type(feedback) is dict:
        add_ratings(results, feedback.get("safetyRatings"))
        if reason := feedback.get("blockReason"):
            add_reason(results, reason)
    return results


def candidate_results(rated: Results, reason: object) -> Results:
    """What a candidate's ratings and the reason for its end say. ``rated`` is taken over."""
    if type(reason) is str and FINISH_OF_REASON.get(reason) == "content_filter":
        add_reason(rated, reason)
    return rated
