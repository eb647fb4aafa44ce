"""What an answer says of its own safety: was anything held back, of which kind, and how bad was the rest.

Applications call `was_filtered`, `filtered_categories`, `filter_results` and `evaluate` with whatever they have: a
chat completion (of the openai SDK, or its JSON), its chunks, a choice, an answer of the Responses or moderations
endpoint, or the error that a blocked prompt is answered with. The rule kept: nothing that is handed in makes them
raise.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tollhouse.client.errors import error_body, is_content_filter
from tollhouse.client.shapes import items, member, names, number, text
from tollhouse.client.streams import collect, is_chunk
from tollhouse.client.templates import SEVERITIES, STRICT, Template

_PROMPTS = ("prompt_filter_results", "prompt_annotations")
"""The member, and its name in older versions of Azure's API."""
_RESULTS = "content_filter_results"
_KINDS = {
    "self_harm": "self_harm",
    "hate": "hate",
    "harassment": "hate",
    "sexual": "sexual",
    "violence": "violence",
    "illicit": "illicit",
}
"""What the categories of the moderations endpoint begin with, and which of ours each belongs to."""


@dataclass(frozen=True, slots=True)
class CategoryResult:
    """What was found of one category. A category has a severity or is detected, not both."""

    filtered: bool
    """Whether it was, or would have been, held back for this."""
    severity: str | None = None
    """``safe``, ``low``, ``medium`` or ``high``."""
    detected: bool | None = None


Results = dict[str, CategoryResult]
"""By the name of the category."""


@dataclass(frozen=True, slots=True)
class PromptResults:
    """What was found in one prompt."""

    index: int
    results: Results


@dataclass(frozen=True, slots=True)
class FilterResults:
    """What was found, all choices in one."""

    choice: Results
    """Of several choices the first; a later one takes its place where it was filtered."""
    prompt: tuple[PromptResults, ...]
    any_filtered: bool
    """Also where an answer was held back and nobody says for what."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How an answer stands against a template."""

    passed: bool
    failed_categories: tuple[str, ...]
    """Each once, choices first. Empty though it failed, where an answer was held back and nobody says for what."""
    detected_categories: tuple[str, ...]
    """Detected but not filtered. They have no severity, so no template fails them: the caller may."""
    template: str
    details: FilterResults


@dataclass(slots=True)
class _Found:
    """Every result of an answer, one by one."""

    choices: list[Results] = field(default_factory=list)
    prompts: list[PromptResults] = field(default_factory=list)
    withheld: bool = False

    def every(self) -> list[Results]:
        return [*self.choices, *(prompt.results for prompt in self.prompts)]


def was_filtered(answer: object) -> bool:
    """Whether anything of the prompt or of the answer was held back."""
    return filter_results(answer).any_filtered


def filtered_categories(answer: object) -> list[str]:
    """The categories that were filtered, each once, those of choices first."""
    found = _find(answer)
    return _distinct(name for results in found.every() for name, one in results.items() if one.filtered)


def filter_results(answer: object) -> FilterResults:
    """Everything that an answer says of its safety."""
    return _summary(_find(answer))


def evaluate(answer: object, template: Template = STRICT) -> Evaluation:
    """How an answer stands against a template: every choice and every prompt by itself."""
    found = _find(answer)
    summary = _summary(found)
    failed: list[str] = []
    detected: list[str] = []
    unexplained = found.withheld
    for results in found.every():
        unexplained = unexplained and not any(one.filtered for one in results.values())
        looked_at = {name: one for name, one in results.items() if name in (template.categories or results)}
        failed += [name for name, one in looked_at.items() if _fails(one, template)]
        detected += [name for name, one in looked_at.items() if one.detected and not one.filtered]
    names_ = tuple(_distinct(failed))
    return Evaluation(not names_ and not unexplained, names_, tuple(_distinct(detected)), template.id, summary)


def _fails(result: CategoryResult, template: Template) -> bool:
    level = SEVERITIES.index(result.severity) if result.severity in SEVERITIES else 0
    return result.filtered or (template.by_severity and level > 0 and level >= SEVERITIES.index(template.threshold))


def _summary(found: _Found) -> FilterResults:
    choice: Results = {}
    for results in found.choices:
        choice |= {name: one for name, one in results.items() if one.filtered or name not in choice}
    filtered = any(one.filtered for results in found.every() for one in results.values())
    return FilterResults(choice, tuple(found.prompts), filtered or found.withheld)


def _distinct(found: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(found))


def _find(answer: object) -> _Found:
    found = _Found()
    parts = items(answer)
    chunks = [part for part in parts if is_chunk(part)]
    if chunks:
        _read(collect(chunks), found)
    for part in (answer,) if not isinstance(answer, list | tuple) else parts:
        if not is_chunk(part) or part is answer:
            _read(part, found)
    return found


def _read(answer: object, found: _Found) -> None:
    """Takes in one answer, choice, or error."""
    choices = items(member(answer, "choices"))
    for holder in (answer, *choices):
        if results := _results(member(holder, _RESULTS)):
            found.choices.append(results)
        found.withheld = found.withheld or member(holder, "finish_reason") == "content_filter"
    for name in _PROMPTS:
        for at, prompt in enumerate(items(member(answer, name))):
            found.prompts.append(_prompt(member(prompt, _RESULTS), number(member(prompt, "prompt_index"), at)))
    for at, judged in enumerate(items(member(answer, "results"))):  # of /v1/moderations
        found.prompts.append(PromptResults(at, _results(member(judged, _RESULTS)) or _flagged(judged)))
        found.withheld = found.withheld or member(judged, "flagged") is True
    for one in items(member(answer, "content_filters")):  # of /v1/responses
        _read_response_filter(one, found)
    if is_content_filter(answer):
        found.withheld = True
        inner = member(error_body(answer), "innererror")  # Azure writes the singular, and documents the plural
        found.prompts.append(_prompt(member(inner, "content_filter_result") or member(inner, _RESULTS), 0))


def _read_response_filter(one: object, found: _Found) -> None:
    found.withheld = found.withheld or member(one, "blocked") is True
    if member(one, "source_type") == "prompt":
        found.prompts.append(_prompt(member(one, _RESULTS), len(found.prompts)))
    elif results := _results(member(one, _RESULTS)):
        found.choices.append(results)


def _flagged(judged: object) -> Results:
    """What a moderations endpoint says that knows yes and no alone: OpenAI's own."""
    found: Results = {}
    categories = member(judged, "categories")
    for name in names(categories):
        flagged = member(categories, name)
        kind = next((kind for start, kind in _KINDS.items() if name.replace("-", "_").startswith(start)), name)
        if isinstance(flagged, bool):
            found[kind] = CategoryResult(flagged or (kind in found and found[kind].filtered))
    return found


def _prompt(results: object, index: int) -> PromptResults:
    return PromptResults(index, _results(results))


def _results(value: object) -> Results:
    """The categories of one object. Whatever has no boolean ``filtered`` is none: Azure puts an ``error`` there too."""
    found: Results = {}
    for name in names(value):
        one = member(value, name)
        filtered, detected = member(one, "filtered"), member(one, "detected")
        if isinstance(filtered, bool):
            known = detected if isinstance(detected, bool) else None
            found[name] = CategoryResult(filtered, text(member(one, "severity")), known)
    return found
