"""Azure AI Content Safety: ``text:analyze``, and ``text:shieldPrompt`` for attacks in prompts. Pure.

Shapes: https://learn.microsoft.com/rest/api/contentsafety/text-operations/analyze-text and
https://learn.microsoft.com/azure/ai-services/content-safety/quickstart-jailbreak. Of the eight severities two by two
are one level (https://learn.microsoft.com/azure/ai-services/content-safety/concepts/harm-categories).
"""

from typing import Any

from tollhouse.safety.judges.asked import (
    HTTP,
    Matter,
    Question,
    Said,
    Unreadable,
    as_flag,
    as_list,
    as_object,
    detected,
)
from tollhouse.safety.judges.findings import Table
from tollhouse.settings.judges import JudgeSettings
from tollhouse.types.safety import PROMPT

TABLE: Table = {
    "Hate": ("hate",),
    "SelfHarm": ("self_harm",),
    "Sexual": ("sexual",),
    "Violence": ("violence",),
    "jailbreak": ("jailbreak",),
    "indirect_attack": ("indirect_attack",),
}
_ASKED = ("Hate", "SelfHarm", "Sexual", "Violence")
_HIGHEST = 7


def ask(judge: JudgeSettings, matter: Matter) -> tuple[Question, ...]:
    """The analysis of a text, which may not be empty, and for a prompt the shield."""
    levels = "EightSeverityLevels" if judge.eight_levels else "FourSeverityLevels"
    body = {"text": matter.text, "categories": list(_ASKED), "outputType": levels}
    found = [Question(HTTP, body, read_analysis, _path(judge, "analyze"))] if matter.text.strip() else []
    if judge.shield and matter.side == PROMPT:
        shield = {"userPrompt": matter.prompt, "documents": list(matter.documents)}
        found.append(Question(HTTP, shield, read_shield, _path(judge, "shieldPrompt")))
    return tuple(found)


def _path(judge: JudgeSettings, operation: str) -> str:
    return f"/contentsafety/text:{operation}?api-version={judge.version}"


def read_analysis(answer: Any) -> tuple[Said, ...]:
    """The severities of the four categories. Raises `Unreadable` where one of them is missing."""
    said: dict[str, Said] = {}
    for row in as_list(as_object(answer).get("categoriesAnalysis"), "categoriesAnalysis")[: 2 * len(_ASKED)]:
        label, severity = as_object(row).get("category"), row.get("severity")
        if label not in _ASKED or type(severity) is not int or not 0 <= severity <= _HIGHEST:
            raise Unreadable("a category or its severity is none")
        said[label] = Said(label, severity // 2)
    if len(said) != len(_ASKED):
        raise Unreadable("a category is missing")
    return tuple(said.values())


def read_shield(answer: Any) -> tuple[Said, ...]:
    """Whether the prompt attacks, or a document in it. Raises `Unreadable`."""
    value = as_object(answer)
    prompt = as_flag(as_object(value.get("userPromptAnalysis")).get("attackDetected"), "attackDetected")
    documents = as_list(value.get("documentsAnalysis") or [], "documentsAnalysis")
    attacks = [as_flag(as_object(one).get("attackDetected"), "attackDetected") for one in documents]
    return detected("jailbreak", found=prompt) + detected("indirect_attack", found=any(attacks))
