"""How much the model is to think, and how freely to choose its words, by what it takes. Called by `encode`.

https://platform.claude.com/docs/en/build-with-claude/thinking and .../effort: the newer models think adaptively and are
steered by an effort, the older ones by a budget of at least 1,024 tokens that is part of ``max_tokens``. The client's
``max_tokens`` is never raised for it, for it is what the client agreed to pay: the budget is lowered instead.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tollhouse.dialects.anthropic.models import Traits
from tollhouse.types.calls import Loss

MIN_BUDGET_TOKENS = 1024
_BUDGETS: Mapping[str, int] = MappingProxyType({
    "minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 49_152,
})  # fmt: skip
"""Budgets in tokens for OpenAI's efforts; our own choice, near what other gateways use."""
_EFFORT_BELOW = ((4096, "low"), (12_288, "medium"), (32_768, "high"), (1 << 62, "xhigh"))
"""For a model that takes no budget: the effort that comes near one."""
_ORDER = ("minimal", "low", "medium", "high", "xhigh", "max")


class Wish(Struct, frozen=True):
    """What a client asks for. ``param`` is where it does."""

    param: str
    off: bool = False
    effort: str | None = None
    budget_tokens: int | None = None
    hidden: bool = False


class Thinking(Struct, frozen=True):
    """What is sent."""

    config: dict[str, Any] | None = None
    effort: str | None = None
    on: bool = False
    """Whether the model will think: it then refuses most other wishes."""


def wish_of(body: dict[str, Any]) -> Wish | None:
    """From ``reasoning``, ``reasoning_effort``, or ``thinking`` in Anthropic's own form; None for no wish at all."""
    given, effort = body.get("reasoning"), body.get("reasoning_effort")
    if isinstance(own := body.get("thinking"), dict) and not isinstance(given, dict):
        given = {"enabled": own.get("type") != "disabled", "max_tokens": own.get("budget_tokens")}
        given["exclude"] = own.get("display") == "omitted"
    if not isinstance(given, dict):
        return None if effort in (None, "default") else Wish("reasoning_effort", effort == "none", _level(effort))
    effort = given.get("effort") or effort
    budget = given.get("max_tokens")
    wish = Wish(
        "reasoning",
        effort == "none" or given.get("enabled") is False,
        _level(effort),
        budget if type(budget) is int and budget > 0 else None,
        given.get("exclude") is True,
    )
    asked = wish.off or wish.effort or wish.budget_tokens or given.get("enabled") or given.get("summary")
    return wish if asked else None


def _level(effort: object) -> str | None:
    return effort if isinstance(effort, str) and effort in _BUDGETS else None


def decide(wish: Wish | None, traits: Traits, max_tokens: int, excluded: str, losses: list[Loss]) -> Thinking:
    """What to send. ``excluded`` says why a budget cannot be given in this request; empty if it can."""
    if wish is None:
        return Thinking(on=traits.thinks)
    if wish.off:
        return _silence(wish, traits, losses)
    effort = _effort(wish, traits, losses)
    if traits.adaptive and not (traits.budget and wish.budget_tokens and not excluded):
        config: dict[str, Any] = {"type": "adaptive"}
        if wish.hidden or traits.silent:
            config["display"] = "omitted" if wish.hidden else "summarized"
        if wish.budget_tokens:
            losses.append(Loss("reasoning.max_tokens", "changed", "the model takes an effort, and no budget"))
        return Thinking(config, effort, on=True)
    if not traits.budget:
        losses.append(Loss(wish.param, why="the model does not think"))
        return Thinking()
    budget = 0 if excluded else _budget(wish, max_tokens, losses)
    if not budget:
        losses.append(Loss(wish.param, why=excluded or "max_tokens leaves no room for thinking"))
        return Thinking(effort=effort)
    return Thinking({"type": "enabled", "budget_tokens": budget}, effort, on=True)


def _silence(wish: Wish, traits: Traits, losses: list[Loss]) -> Thinking:
    if not traits.thinks:
        return Thinking()
    if traits.off:
        return Thinking({"type": traits.off}, on=traits.off != "disabled")
    losses.append(Loss(wish.param, "changed", "the model cannot but think; it is asked for the least"))
    return Thinking(effort=traits.efforts[0], on=True)


def _effort(wish: Wish, traits: Traits, losses: list[Loss]) -> str | None:
    """The level that comes nearest to what is asked for."""
    if not traits.efforts:
        return None
    asked = wish.effort
    if asked is None:
        if wish.budget_tokens is None or traits.budget:
            return None
        asked = next(level for below, level in _EFFORT_BELOW if wish.budget_tokens < below)
    if asked in traits.efforts:
        return asked
    rank = _ORDER.index(asked)
    level = next((one for one in traits.efforts if _ORDER.index(one) >= rank), traits.efforts[-1])
    if wish.effort is not None:
        losses.append(Loss(wish.param, "changed", f"the model's nearest effort is {level}"))
    return level


def _budget(wish: Wish, max_tokens: int, losses: list[Loss]) -> int:
    """The budget in tokens, below ``max_tokens``; 0 where it leaves none."""
    asked = wish.budget_tokens or _BUDGETS[wish.effort or "medium"]
    budget = max(asked, MIN_BUDGET_TOKENS)
    if budget >= max_tokens:
        budget = max(max_tokens * 4 // 5, MIN_BUDGET_TOKENS)
    if budget >= max_tokens:
        return 0
    if wish.budget_tokens is not None and budget != asked:
        losses.append(Loss("reasoning.max_tokens", "changed", f"the budget is {budget} tokens"))
    return budget


def sampling_of(body: dict[str, Any], traits: Traits, losses: list[Loss], *, thinking: bool) -> dict[str, Any]:
    """``temperature``, ``top_p`` and ``top_k`` as far as they are taken; values that are the default are just left out
    where they are not.
    """
    made: dict[str, Any] = {}
    if (temperature := body.get("temperature")) is not None:
        if not traits.sampling or thinking:
            _lose("temperature", losses, traits, default=temperature == 1)
        else:
            made["temperature"] = min(temperature, 1)
            if temperature > 1:
                losses.append(Loss("temperature", "changed", "Anthropic's highest is 1"))
    if (top_p := body.get("top_p")) is not None:
        if not traits.sampling or (thinking and top_p < _THINKING_TOP_P):
            _lose("top_p", losses, traits, default=top_p >= _DEFAULT_TOP_P)
        elif traits.either and made:
            _lose("top_p", losses, traits, default=top_p == 1)
        else:
            made["top_p"] = top_p
    top_k = body.get("top_k")
    if type(top_k) is int and top_k > 0:
        if traits.sampling and not thinking:
            made["top_k"] = top_k
        else:
            _lose("top_k", losses, traits, default=False)
    return made


_THINKING_TOP_P = 0.95
"""A model that thinks takes none lower (``build-with-claude/extended-thinking#feature-compatibility``)."""
_DEFAULT_TOP_P = 0.99


def _lose(name: str, losses: list[Loss], traits: Traits, *, default: bool) -> None:
    if default:
        return
    why = "the model takes temperature or top_p, not both" if name == "top_p" and traits.either else ""
    if not traits.sampling:
        why = "the model refuses it"
    losses.append(Loss(name, why=why or "a model that thinks refuses it"))
