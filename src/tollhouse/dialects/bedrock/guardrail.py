"""What a guardrail of Bedrock's found, in the form that all safety results have. Pure.

`decode` calls it with the ``trace`` that a request with ``guardrailConfig: {"trace": "enabled"}`` is answered with.
Each policy of a guardrail has its own list of what it found; what was matched is never repeated here, only which list,
topic or rule it was. A guardrail says what it found, so that a category without a finding is not known to be safe.
Something that is masked (``ANONYMIZED``) is not withheld.
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_GuardrailAssessment.html
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.dialects.filtered import Results, detect, is_filtered, name_of, rate
from tollhouse.types.safety import HIGH, LOW, MEDIUM, SAFE

_MOST = 256
"""Of guardrails, assessments, and findings in one list."""
_MOST_KINDS, _MOST_CHARS = 64, 128
PERSONAL = "personally_identifiable_information"
_CATEGORIES: Mapping[str, str] = MappingProxyType({"insults": "hate", "prompt_attack": "jailbreak"})
_LEVELS: Mapping[object, int] = MappingProxyType({"NONE": SAFE, "LOW": LOW, "MEDIUM": MEDIUM, "HIGH": HIGH})
_OF_STOP: Mapping[str, str] = MappingProxyType(
    {"guardrail_intervened": "guardrail", "content_filtered": "content_filter", "refusal": "refusal"}
)
"""A ``stopReason`` that says that something was withheld, and its category where no finding says why."""


def results_of(trace: object, stop: str) -> tuple[Results, Results]:
    """What was found in the prompt, and in the answer, which ended for the reason ``stop``."""
    asked: Results = {}
    said: Results = {}
    found = trace.get("guardrail") if type(trace) is dict else None
    if type(found) is dict:
        for assessment in _objects(_values(found.get("inputAssessment"))):
            _add(asked, assessment)
        for assessments in _values(found.get("outputAssessments")):
            for assessment in _objects(assessments):
                _add(said, assessment)
    if stop in _OF_STOP and not is_filtered(asked) and not is_filtered(said):
        detect(said, _OF_STOP[stop], filtered=True)
    return asked, said


def _values(given: object) -> list[Any]:
    """The values of a map by guardrail."""
    return list(given.values())[:_MOST] if type(given) is dict else []


def _objects(given: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [one for one in given[:_MOST] if type(one) is dict] if type(given) is list else []


def _add(results: Results, assessment: dict[str, Any]) -> None:
    """Notes one guardrail's assessment of a text, in place."""
    for policy, lists in _POLICIES.items():
        held: Any = assessment.get(policy)
        for name, note in lists.items() if type(held) is dict else ():
            for one in _objects(held.get(name)):
                note(results, one)


def _filter(results: Results, one: dict[str, Any]) -> None:
    """``contentPolicy``: how sure it is of a category, and whether its strength was enough."""
    name = name_of(one.get("type"))
    category = _CATEGORIES.get(name, name)
    confidence = one.get("confidence")
    level = _LEVELS.get(confidence) if type(confidence) is str else None
    if not category or level is None:
        return
    if category == "jailbreak":
        detect(results, category, detected=level > SAFE, filtered=_blocks(one))
    else:
        rate(results, category, level, filtered=_blocks(one))


def _topic(results: Results, one: dict[str, Any]) -> None:
    detect(results, "custom_topics", detected=_finds(one), filtered=_blocks(one), detail=_text(one, "name"))


def _word(results: Results, one: dict[str, Any]) -> None:
    detect(results, "custom_blocklists", detected=_finds(one), filtered=_blocks(one))


def _managed_word(results: Results, one: dict[str, Any]) -> None:
    category = name_of(one.get("type")) or "profanity"
    detect(results, category, detected=_finds(one), filtered=_blocks(one))


def _personal(results: Results, one: dict[str, Any]) -> None:
    """``sensitiveInformationPolicy``: a kind of personal data, or an expression of the operator's by its name."""
    detect(results, PERSONAL, detected=_finds(one), filtered=_blocks(one))
    kinds = results.get(PERSONAL, {}).setdefault("sub_categories", [])
    said = {"filtered": _blocks(one), "detected": _finds(one), "redacted": one.get("action") == "ANONYMIZED"}
    kind = {"sub_category": (_text(one, "type") or _text(one, "name"))[:_MOST_CHARS], **said}
    if kind not in kinds and len(kinds) < _MOST_KINDS:
        kinds.append(kind)


def _grounding(results: Results, one: dict[str, Any]) -> None:
    """``contextualGroundingPolicy``: whether the answer follows from its sources, and answers the question."""
    category = {"GROUNDING": "ungrounded_material", "RELEVANCE": "irrelevant_material"}.get(_text(one, "type"))
    if category is not None:
        blocked = _blocks(one)
        detect(results, category, detected=blocked or one.get("detected") is True, filtered=blocked)


_Note = Callable[[Results, dict[str, Any]], None]
_POLICIES: Mapping[str, Mapping[str, _Note]] = MappingProxyType(
    {
        "contentPolicy": {"filters": _filter},
        "topicPolicy": {"topics": _topic},
        "wordPolicy": {"customWords": _word, "managedWordLists": _managed_word},
        "sensitiveInformationPolicy": {"piiEntities": _personal, "regexes": _personal},
        "contextualGroundingPolicy": {"filters": _grounding},
    }
)
"""For each policy, its lists of findings, and what notes one of them."""


def _blocks(one: Mapping[str, Any]) -> bool:
    return one.get("action") == "BLOCKED"


def _finds(one: Mapping[str, Any]) -> bool:
    """Whether a finding is one: where a trace is full, what was looked for in vain is listed too."""
    return one.get("detected") is not False


def _text(one: Mapping[str, Any], name: str) -> str:
    value = one.get(name)
    return value if type(value) is str else ""
