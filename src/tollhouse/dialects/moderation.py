"""OpenAI's ``moderation`` of a chat completion, in the form that all safety results have. Pure.

A request that asks for it (``moderation: {"model", "policy"}``) is answered with
``moderation: {"input", "output"}``, each of them ``moderation_results`` with a list of results, one for each choice, or
an ``error``. The member stays as it is, for clients who asked for it; beside it stand its results in Azure's form.

OpenAI grades nothing: it flags, and says how sure it is. A category that is not flagged is ``safe``; one that is has
the severity of that score. OpenAI does not say whether a flag has stopped an answer; only where its ``finish_reason``
is ``content_filter`` is what was flagged taken for the cause: what was flagged in the answer, or else in the prompt.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.dialects.filtered import PROMPT, RESULTS, Results, is_filtered, name_of, of_prompt, rate, worse
from tollhouse.safety.judges.moderation import level_of_flag
from tollhouse.types.safety import SAFE

_CATEGORIES: Mapping[str, str] = MappingProxyType({"harassment": "hate"})
"""What OpenAI tells apart and we do not; what stands after a slash is a part of what stands before."""
_MOST_CHOICES = 128


def category_of(word: object) -> str:
    """A category of OpenAI's by our name for it; empty for what is none."""
    name = name_of(word.partition("/")[0]) if type(word) is str else ""
    return _CATEGORIES.get(name, name)


def add_moderation(answer: dict[str, Any], choices: list[dict[str, Any]], *, cut: frozenset[int]) -> None:
    """Puts the results of ``moderation`` where safety results stand, in place. ``cut`` are the indexes of the choices
    that a filter has ended.
    """
    moderation = answer.get("moderation")
    if type(moderation) is not dict:
        return
    outputs = _results(moderation.get("output"))
    asked: Results = {}
    for one in _results(moderation.get("input")):
        asked = worse(asked, _translated(one, filtered=False))
    for place, choice in enumerate(choices):
        told = outputs[place : place + 1] if len(outputs) == len(choices) else outputs
        said: Results = {}
        for one in told:
            said = worse(said, _translated(one, filtered=choice["index"] in cut))
        if said:
            known = choice.get(RESULTS)
            choice[RESULTS] = worse(known, said) if type(known) is dict else said
        if choice["index"] in cut and not is_filtered(said):
            asked = {name: {**entry, "filtered": entry["severity"] != "safe"} for name, entry in asked.items()}
    if asked and PROMPT not in answer:
        answer[PROMPT] = of_prompt(asked)


def _results(side: object) -> list[dict[str, Any]]:
    results = side.get("results") if type(side) is dict else None
    return [one for one in results[:_MOST_CHOICES] if type(one) is dict] if type(results) is list else []


def _translated(one: Mapping[str, Any], *, filtered: bool) -> Results:
    """One ``moderation_result``."""
    flags, scores = one.get("categories"), one.get("category_scores")
    found: Results = {}
    for word, flagged in flags.items() if type(flags) is dict else ():
        category = category_of(word)
        if category and type(flagged) is bool:
            score = scores.get(word) if type(scores) is dict else None
            sure = score if isinstance(score, int | float) else None
            rate(found, category, level_of_flag(word, sure) if flagged else SAFE, filtered=filtered and flagged)
    return found
