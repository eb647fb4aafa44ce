"""How a model of Bedrock is told to think: what ``reasoning_effort`` and ``reasoning`` become. Called by `encode`.

Each kind of model has its own words in ``additionalModelRequestFields``; `Family.thinking` says which.
Claude: https://docs.aws.amazon.com/bedrock/latest/userguide/claude-messages-extended-thinking.html and
.../claude-messages-adaptive-thinking.html. Nova 2:
https://docs.aws.amazon.com/nova/latest/nova2-userguide/extended-thinking.html.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tollhouse.dialects.anthropic.models import Traits
from tollhouse.dialects.wishes import Losses, Thought, lose

Fields = dict[str, Any]

_RISING = ("minimal", "low", "medium", "high", "xhigh", "max")
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 65_536}
"""Tokens to think with, for models that count them."""
_LEAST_BUDGET = 1024
_CLOSEST = "the closest that the model takes is sent"


class Setting(Struct, frozen=True):
    """What else of a request decides how a model can be told to think."""

    traits: Traits
    most: int | None
    """The most tokens of the answer, thoughts included."""
    forced: bool = False
    """A tool has to be called."""
    loose_call: bool = False
    """The history's last call does not show the thought that led to it."""


def _claude(thought: Thought, setting: Setting, losses: Losses) -> Fields:
    traits = setting.traits
    if not thought.enabled:
        if not traits.thinks:
            return {}
        if traits.off:
            return {"thinking": {"type": traits.off}}
        lose(losses, thought.param, "the model always thinks", "changed")
        return {}
    if setting.forced and not traits.thinks:
        lose(losses, thought.param, "the model does not think before a call that is forced")
        return {}
    if traits.adaptive and not (traits.budget and thought.budget_tokens):
        return _adaptive(thought, traits, losses)
    if traits.budget:
        return _budget(thought, setting, losses)
    lose(losses, thought.param, "the model does not think")
    return {}


def _adaptive(thought: Thought, traits: Traits, losses: Losses) -> Fields:
    if thought.budget_tokens:
        lose(losses, "reasoning.max_tokens", "the model decides for itself how long it thinks")
    thinking = {"type": "adaptive"}
    if traits.silent:
        thinking["display"] = "summarized"
    fields: Fields = {"thinking": thinking}
    if thought.effort is not None and traits.efforts:
        fields["output_config"] = {"effort": _nearest(thought, traits.efforts, losses)}
    return fields


def _budget(thought: Thought, setting: Setting, losses: Losses) -> Fields:
    wanted = thought.budget_tokens or _BUDGETS.get(thought.effort or "medium", _BUDGETS["medium"])
    if setting.loose_call:
        lose(losses, thought.param, "the history does not show the thought that led to its last call")
        return {}
    if setting.most is not None and setting.most <= _LEAST_BUDGET:
        lose(losses, thought.param, f"the model thinks only where an answer may have over {_LEAST_BUDGET} tokens")
        return {}
    budget = max(wanted, _LEAST_BUDGET)
    if setting.most is not None and budget >= setting.most:
        budget = max(_LEAST_BUDGET, min(setting.most - 1, setting.most * 4 // 5))
    if thought.budget_tokens and budget != thought.budget_tokens:
        lose(
            losses,
            "reasoning.max_tokens",
            "the model takes 1024 and more, and less than the answer may have",
            "changed",
        )
    return {"thinking": {"type": "enabled", "budget_tokens": budget}}


def _nova(thought: Thought, setting: Setting, losses: Losses) -> Fields:
    if not thought.enabled:
        return {}
    efforts = ("low", "medium", "high") if setting.most is None else ("low", "medium")  # high refuses maxTokens
    if thought.budget_tokens:
        lose(losses, "reasoning.max_tokens", "the model knows efforts alone")
    effort = _nearest(thought, efforts, losses)
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}


def _gpt(thought: Thought, setting: Setting, losses: Losses) -> Fields:
    del setting
    if not thought.enabled:
        lose(losses, thought.param, "the model always thinks", "changed")
        return {"reasoning_effort": "low"}
    if thought.budget_tokens:
        lose(losses, "reasoning.max_tokens", "the model knows efforts alone")
    return {"reasoning_effort": _nearest(thought, ("low", "medium", "high"), losses)}


def _qwen(thought: Thought, setting: Setting, losses: Losses) -> Fields:
    del setting
    if not thought.enabled:
        return {}
    if thought.budget_tokens:
        lose(losses, "reasoning.max_tokens", "the model knows efforts alone")
    return {"reasoning_config": _nearest(thought, ("low", "high"), losses)}


def _none(thought: Thought, setting: Setting, losses: Losses) -> Fields:
    del setting
    if thought.enabled:
        lose(losses, thought.param, "the model is not told how to think")
    return {}


THINKERS: Mapping[str, Callable[[Thought, Setting, Losses], Fields]] = MappingProxyType(
    {"claude": _claude, "nova": _nova, "gpt": _gpt, "qwen": _qwen, "": _none}
)
"""By `Family.thinking`."""


def _nearest(thought: Thought, levels: tuple[str, ...], losses: Losses) -> str:
    """The level itself, else the next lower, else the lowest. Of what says nothing, the middle one."""
    effort = thought.effort
    if effort is None:
        return "medium" if "medium" in levels else levels[-1]
    if effort in levels:
        return effort
    lose(losses, thought.param, _CLOSEST, "changed")
    if effort not in _RISING:
        return levels[-1]
    lower = [level for level in levels if _RISING.index(level) <= _RISING.index(effort)]
    return lower[-1] if lower else levels[0]
