"""A request of the inner form as the body of Anthropic's Messages API. Called by `providers.anthropic` and the hosts
of Claude that share its wire.

https://platform.claude.com/docs/en/api/messages/create. Anthropic refuses every member that it does not know, so only
what is named here is sent; whatever else the client asked for is reported as lost, unless it asks for nothing.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tollhouse.dialects.anthropic.models import Traits, traits_of
from tollhouse.dialects.anthropic.parts import Block, cache_mark
from tollhouse.dialects.anthropic.schema import Unfit, fit
from tollhouse.dialects.anthropic.thinking import Thinking, decide, sampling_of, wish_of
from tollhouse.dialects.anthropic.toolbox import Choice, choice_of, tools_of, unused_tools
from tollhouse.dialects.anthropic.turns import Turns, thoughts_of
from tollhouse.types.calls import Loss, ModelFacts

BINDING_BETA = "thinking-binding-controls-2026-08-01"
"""https://platform.claude.com/docs/en/build-with-claude/preserved-thinking/fix-bound-to-a-different-conversation"""
_DEFAULT_MAX_TOKENS = 4096
_MAX_MARKS = 4
"""https://platform.claude.com/docs/en/build-with-claude/prompt-caching: at most four breakpoints."""
_USER_ID_CHARS = 256

_READ = frozenset({
    *("model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens"),
    *("temperature", "top_p", "top_k", "stop", "tools", "tool_choice", "parallel_tool_calls", "functions"),
    *("function_call", "reasoning", "reasoning_effort", "thinking", "response_format", "user", "safety_identifier"),
    *("metadata", "service_tier", "cache_control"),
})  # fmt: skip
_NOTHING: Mapping[str, object] = MappingProxyType({
    "n": 1, "frequency_penalty": 0, "presence_penalty": 0, "logit_bias": {}, "logprobs": False, "top_logprobs": 0,
    "store": False, "modalities": ["text"], "verbosity": "medium", "audio": None,
})  # fmt: skip
"""Members that Anthropic lacks, with the value that asks for what it does anyway."""
_TIERS: Mapping[str, tuple[str, bool]] = MappingProxyType(
    {
        "auto": ("auto", True),
        "default": ("standard_only", True),
        "standard_only": ("standard_only", True),
        "priority": ("auto", False),
    }
)
"""OpenAI's service tiers as Anthropic's, and whether they mean the same."""


class Request(Struct, frozen=True):
    """A body to be sent, with what it needs and lacks."""

    body: dict[str, Any]
    losses: tuple[Loss, ...] = ()
    betas: tuple[str, ...] = ()
    """Values for ``anthropic-beta``."""


def encode(body: dict[str, Any], model: str, facts: ModelFacts | None = None, cap: int | None = None) -> Request:
    """The request that a client's body stands for. ``body`` is not changed, but parts of it are in what is made.

    ``cap`` is the most tokens of one answer, in place of the client's own.
    """
    losses: list[Loss] = []
    traits = traits_of(model)
    max_tokens = _max_tokens(body, facts, cap, losses)
    tools = tools_of(body, traits, losses) if "tools" in body or "functions" in body else []
    choice = choice_of(body, tools, traits, losses)
    wish = wish_of(body)
    excluded = _excluded(body, choice) if wish is not None else ""
    thinking = decide(wish, traits, max_tokens, excluded, losses)
    turns = Turns(losses, thinking=thinking.on, inline=traits.inline)
    turns.read(body["messages"])
    turns.close(prefill=traits.prefill and not thinking.on)
    made: dict[str, Any] = {"model": model, "max_tokens": max_tokens, "messages": turns.turns}
    if turns.system:
        made["system"] = _joined(turns.system)
    if choice.tools or turns.called:
        _put_tools(made, choice, list(turns.called))
    betas = _put_thinking(made, thinking, traits, turns)
    made |= sampling_of(body, traits, losses, thinking=thinking.on)
    if len(body) > _USUAL:
        _put_rest(made, body, traits, losses)
    _limit_marks(made, losses)
    return Request(made, tuple(losses), betas)


_USUAL = 2
"""Members that every request has: ``model`` and ``messages``."""


def _max_tokens(body: dict[str, Any], facts: ModelFacts | None, cap: int | None, losses: list[Loss]) -> int:
    """Anthropic wants to be told: the cap, else the client's own, else as much as the model can say."""
    limit = facts.output_tokens if facts is not None else None
    asked = [body[name] for name in ("max_completion_tokens", "max_tokens") if body.get(name) is not None]
    if cap is None and not asked:
        return limit or _DEFAULT_MAX_TOKENS
    value = min(asked) if cap is None else cap
    if limit is None or value <= limit:
        return value
    if cap is None:
        losses.append(Loss("max_tokens", "changed", f"the model's most is {limit}"))
    return limit


def _excluded(body: dict[str, Any], choice: Choice) -> str:
    """Why a thinking budget is refused in this request; empty if it is not.

    https://platform.claude.com/docs/en/build-with-claude/extended-thinking#extended-thinking-with-tool-use
    """
    if choice.forced:
        return "a forced tool call excludes thinking"
    for message in reversed(body["messages"]):
        if message.get("role") == "assistant":
            if message.get("tool_calls") and not thoughts_of(message):
                return "the call that was answered last came without its thoughts"
            return ""
        if message.get("role") not in ("tool", "function"):
            return ""
    return ""


def _joined(system: list[Block]) -> list[Block] | str:
    """One text where there is just one, without a marker."""
    return system[0]["text"] if len(system) == 1 and len(system[0]) == _PLAIN_BLOCK else system


_PLAIN_BLOCK = 2


def _put_tools(made: dict[str, Any], choice: Choice, called: list[str]) -> None:
    if choice.tools:
        made["tools"] = choice.tools
        if choice.value is not None:
            made["tool_choice"] = choice.value
        return
    made["tools"] = unused_tools(called)
    made["tool_choice"] = {"type": "none"}


def _put_thinking(made: dict[str, Any], thinking: Thinking, traits: Traits, turns: Turns) -> tuple[str, ...]:
    """Puts in how to think. Returns the betas that this takes."""
    if thinking.effort is not None:
        made["output_config"] = {"effort": thinking.effort}
    config = thinking.config
    betas: tuple[str, ...] = ()
    if traits.bound and (config is None or config["type"] == "adaptive") and _has_thoughts(turns.turns):
        config = {**(config or {"type": "adaptive"}), "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
        betas = (BINDING_BETA,)
    if config is not None:
        made["thinking"] = config
    return betas


def _has_thoughts(turns: list[dict[str, Any]]) -> bool:
    kinds = {block["type"] for turn in turns if turn["role"] == "assistant" for block in turn["content"]}
    return not kinds.isdisjoint(("thinking", "redacted_thinking"))


def _put_rest(made: dict[str, Any], body: dict[str, Any], traits: Traits, losses: list[Loss]) -> None:
    """What a request has beside its conversation, its tools and its ways of choosing words."""
    if body.get("stream") is True:
        made["stream"] = True
    if (stop := body.get("stop")) is not None:
        _put_stop(made, [stop] if isinstance(stop, str) else stop, losses)
    if (form := body.get("response_format")) is not None:
        _put_format(made, form, traits, losses)
    if (tier := body.get("service_tier")) is not None:
        _put_tier(made, tier, losses)
    _put_user(made, body, losses)
    if mark := cache_mark(body):
        made["cache_control"] = mark
    if body.keys() <= _READ:
        return
    others = [name for name in body if name not in _READ and body[name] is not None]
    unknown = [name for name in others if body[name] != _NOTHING.get(name)]
    losses += [Loss(name, why="Anthropic has no such parameter") for name in unknown]


def _put_stop(made: dict[str, Any], stops: list[str], losses: list[Loss]) -> None:
    taken = [stop for stop in stops if stop and not stop.isspace()]
    if len(taken) < len(stops):
        losses.append(Loss("stop", "changed" if taken else "dropped", "Anthropic does not stop at white space"))
    if taken:
        made["stop_sequences"] = taken


def _put_format(made: dict[str, Any], form: dict[str, Any], traits: Traits, losses: list[Loss]) -> None:
    if form.get("type") == "text":
        return
    named = form.get("json_schema")
    if form.get("type") != "json_schema" or not isinstance(named, dict) or not traits.schema:
        losses.append(Loss("response_format", why="the model takes no such format"))
        return
    try:
        fitted = fit(named.get("schema"))
    except Unfit as reason:
        losses.append(Loss("response_format", why=f"the schema cannot be enforced: {reason}"))
        return
    form = {"type": "json_schema", "schema": fitted.schema}
    made["output_config"] = {**made.get("output_config", {}), "format": form}
    if not fitted.whole:
        path = "response_format.json_schema.schema"
        losses.append(Loss(path, "changed", "bounds are told to the model, and not enforced"))


def _put_tier(made: dict[str, Any], tier: str, losses: list[Loss]) -> None:
    known = _TIERS.get(tier)
    if known is None:
        losses.append(Loss("service_tier", why="Anthropic has no such tier"))
        return
    made["service_tier"] = known[0]
    if not known[1]:
        losses.append(Loss("service_tier", "changed", "priority is used where the account has it"))


def _put_user(made: dict[str, Any], body: dict[str, Any], losses: list[Loss]) -> None:
    """The end user's name; of ``metadata``, Anthropic knows nothing else."""
    metadata = body.get("metadata") or {}
    user = body.get("safety_identifier") or body.get("user") or metadata.get("user_id")
    if metadata.keys() - {"user_id"}:
        losses.append(Loss("metadata", why="Anthropic keeps no metadata"))
    if not user:
        return
    if len(user) > _USER_ID_CHARS:
        losses.append(Loss("user", why=f"Anthropic's user id has at most {_USER_ID_CHARS} characters"))
        return
    made["metadata"] = {"user_id": user}


def _limit_marks(made: dict[str, Any], losses: list[Loss]) -> None:
    """Keeps the last four cache markers, which make the longest prefixes, and none for an hour after one for less."""
    system = made.get("system", ())
    held = [*made.get("tools", ()), *(system if isinstance(system, list) else ())]
    for turn in made["messages"]:
        held += turn["content"]
    marked = [block for block in held if "cache_control" in block]
    if not marked:
        return
    room = _MAX_MARKS - ("cache_control" in made)
    if len(marked) > room:
        losses.append(Loss("cache_control", "changed", "the first markers are left out: Anthropic takes four"))
        for block in marked[:-room]:
            del block["cache_control"]
        del marked[:-room]
    short = False
    for block in marked:
        if block["cache_control"].get("ttl") == "1h" and short:
            block["cache_control"] = {"type": "ephemeral", "ttl": "5m"}
            losses.append(Loss("cache_control", "changed", "an hour's marker cannot follow one of five minutes"))
        short = short or block["cache_control"].get("ttl") != "1h"
