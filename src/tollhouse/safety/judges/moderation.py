"""OpenAI's moderation endpoint, at any host that serves ``/v1/moderations``. Pure.

Shapes: https://platform.openai.com/docs/api-reference/moderations. A category is flagged at a threshold of the
vendor's own; how sure it is grades it. What is not flagged counts for nothing, unless the operator's thresholds say so.
"""

from typing import Any

from tollhouse.safety.judges.asked import (
    RELAY,
    Matter,
    Question,
    Said,
    Unreadable,
    as_flag,
    as_list,
    as_object,
    as_share,
)
from tollhouse.safety.judges.findings import HARM, Table
from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.safety import HIGH, LOW, MEDIUM, SAFE

KIND = "moderations"
"""The endpoint, below ``/v1/``."""
TABLE: Table = {
    "harassment": ("hate",),
    "harassment/threatening": ("hate",),
    "hate": ("hate",),
    "hate/threatening": ("hate",),
    "illicit": ("illicit",),
    "illicit/violent": ("illicit",),
    "self-harm": ("self_harm",),
    "self-harm/instructions": ("self_harm",),
    "self-harm/intent": ("self_harm",),
    "sexual": ("sexual",),
    "sexual/minors": ("sexual",),
    "violence": ("violence",),
    "violence/graphic": ("violence",),
}
"""Azure counts harassment under hate, and so do we."""
_WORST = frozenset({"sexual/minors"})
_MEDIUM, _HIGH = 0.5, 0.8
_MOST_CATEGORIES = 256


def ask(judge: JudgeSettings, matter: Matter) -> tuple[Question, ...]:
    """One question. It knows no sides: an answer is judged without its prompt."""
    del judge
    return (Question(RELAY, {"input": matter.text}, read),)


def read(answer: Any) -> tuple[Said, ...]:
    """What the one result of an answer says. Raises `Unreadable`."""
    results = as_list(as_object(answer).get("results"), "results")
    if len(results) != 1:
        raise Unreadable("there is not one result")
    result = as_object(results[0])
    flagged = as_flag(result.get("flagged"), "flagged")
    categories = as_object(result.get("categories"))
    scores = as_object(result.get("category_scores") or {})
    if not categories or len(categories) > _MOST_CATEGORIES:
        raise Unreadable("the result has no categories, or far too many")
    said = [_said(label, value, scores.get(label)) for label, value in categories.items() if value is not None]
    if flagged and not any(one.level for one in said):
        said.append(Said(HARM, HIGH))
    return tuple(said)


def _said(label: str, value: Any, score: Any) -> Said:
    """What is said of one category; models that lack one answer null."""
    sure = None if score is None else as_share(score, "a score")
    if not as_flag(value, "a category"):
        return Said(label, SAFE, sure)
    return Said(label, level_of_flag(label, sure), sure)


def level_of_flag(label: str, sure: float | None) -> int:
    """How bad a category is that was flagged, by how sure OpenAI is; `dialects.moderation` asks it too."""
    if label in _WORST or sure is None or sure >= _HIGH:
        return HIGH
    return MEDIUM if sure >= _MEDIUM else LOW
