"""How much a client wants a model to think, as ``thinkingConfig``. Called by `encode`.

Gemini 3 takes a level, Gemini 2.5 a budget of tokens; both in one request are a 400. Efforts are turned into either as
Google's own compatible surface does (https://ai.google.dev/gemini-api/docs/openai#thinking; tables in `words`). The
thoughts are asked for as soon as a client says anything about reasoning: they cost the same unseen.
"""

from collections.abc import Mapping
from typing import Any

from tollhouse.dialects.gemini.models import LEVELS, Model
from tollhouse.dialects.gemini.words import BUDGET_OF_EFFORT, LEVEL_OF_EFFORT
from tollhouse.dialects.wishes import Losses, lose

_DEEPEST = ("xhigh", "max")


def thinking_of(body: Mapping[str, Any], model: Model, losses: Losses) -> dict[str, Any] | None:
    """The ``thinkingConfig``; None where the client has said nothing, or the model cannot be told."""
    given, effort = body.get("reasoning"), body.get("reasoning_effort")
    param = "reasoning" if effort is None else "reasoning_effort"
    given = given if isinstance(given, dict) else {}
    effort = effort or given.get("effort")
    effort = effort if isinstance(effort, str) and effort in LEVEL_OF_EFFORT else None
    budget = given.get("max_tokens")
    budget = budget if type(budget) is int and budget >= 0 else None
    off = effort == "none" or given.get("enabled") is False or (budget == 0 and effort is None)
    shown = bool(given.get("summary") or given.get("enabled"))
    if effort is None and budget is None and not off and not shown:
        return None
    if model.thinking == "none":
        if not off:
            lose(losses, param, "the model does not think, or cannot be told how much")
        return None
    if off:
        effort = "none"
    config = _level(effort, budget, model, param, losses) if model.thinking == "level" else None
    if config is None:
        config = _budget(effort, budget, model, param, losses, off=off)
    if not off and given.get("exclude") is not True:
        config["includeThoughts"] = True
    return config


def _level(effort: str | None, budget: int | None, model: Model, param: str, losses: Losses) -> dict[str, Any] | None:
    """The nearest level that the model has, not below the one that was asked for; None for a budget.

    A budget is still taken by Gemini 3, for it was first (docs/thinking, "thinkingBudget is accepted").
    """
    if effort is None:
        return {} if budget is None else None
    wanted = LEVEL_OF_EFFORT[effort]
    above = [level for level in LEVELS[LEVELS.index(wanted) :] if level in model.levels]
    level = above[0] if above else model.levels[-1]
    if level != effort and effort not in _DEEPEST:
        lose(losses, param, f"the nearest level of the model is {level}", "changed")
    return {"thinkingLevel": level}


def _budget(
    effort: str | None, budget: int | None, model: Model, param: str, losses: Losses, *, off: bool
) -> dict[str, Any]:
    if model.thinking == "level":
        return {"thinkingBudget": budget}
    if off:
        if not model.stops:
            lose(losses, param, "the model always thinks", "changed")
        return {"thinkingBudget": 0 if model.stops else model.least_tokens}
    if budget is not None:
        fit = min(max(budget, model.least_tokens), model.most_tokens)
        if fit != budget:
            lose(losses, "reasoning.max_tokens", f"the model takes {fit} here", "changed")
        return {"thinkingBudget": fit}
    if effort is None:
        return {"thinkingBudget": -1}
    return {"thinkingBudget": model.most_tokens if effort in _DEEPEST else BUDGET_OF_EFFORT[effort]}
