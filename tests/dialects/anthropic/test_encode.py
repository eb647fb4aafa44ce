"""A client's request as Anthropic's: its parameters, by what the model takes."""

from typing import Any

import pytest

from tollhouse.dialects.anthropic.encode import BINDING_BETA, Request, encode
from tollhouse.dialects.anthropic.models import Traits, traits_of
from tollhouse.types.calls import ModelFacts

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
DETAILS = [{"type": "reasoning.text", "text": "T", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
LOOP: list[dict[str, Any]] = [USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}]
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "r"}
ALL = {"temperature": 0.3, "top_p": 0.5, "top_k": 9}


def made(model: str = "claude-sonnet-4-5", cap: int | None = None, most: int = 64_000, **body: Any) -> Request:
    """The request for a body with one user message, unless it has others."""
    whole = {"model": "alias", "messages": [USER], **body}
    return encode(whole, model, ModelFacts(model, model, output_tokens=most), cap)


def lost(request: Request) -> dict[str, str]:
    """What is lost, and how."""
    return {loss.param: loss.how for loss in request.losses}


@pytest.mark.parametrize(
    ("cap", "body", "sent", "losses"),
    [
        (None, {}, 64_000, {}),
        (10, {}, 10, {}),
        (None, {"max_tokens": 5}, 5, {}),
        (None, {"max_tokens": 5, "max_completion_tokens": 3}, 3, {}),
        (2, {"max_tokens": 5}, 2, {}),
        (None, {"max_tokens": 100_000}, 64_000, {"max_tokens": "changed"}),
        (None, {"max_tokens": None}, 64_000, {}),
    ],
)
def test_max_tokens_is_always_sent(cap: int | None, body: dict[str, Any], sent: int, losses: dict[str, str]) -> None:
    """The cap, else the client's own, else the model's most; and never more than that."""
    request = made(cap=cap, **body)
    assert request.body["max_tokens"] == sent
    assert lost(request) == losses


def test_max_tokens_of_a_model_that_nothing_is_known_of() -> None:
    """It is 4,096."""
    assert encode({"model": "m", "messages": [USER]}, "who-knows").body["max_tokens"] == 4096


@pytest.mark.parametrize(
    ("model", "body", "sent", "losses"),
    [
        ("claude-opus-4-0", ALL, ALL, {}),
        ("claude-opus-4-0", {"temperature": 1.4}, {"temperature": 1}, {"temperature": "changed"}),
        ("claude-sonnet-4-5", {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}, {"top_p": "dropped"}),
        ("claude-sonnet-4-5", {"temperature": 0.3, "top_p": 1}, {"temperature": 0.3}, {}),
        ("claude-sonnet-4-5", {"top_p": 0.5}, {"top_p": 0.5}, {}),
        ("claude-opus-4-7", ALL, {}, dict.fromkeys(ALL, "dropped")),
        ("claude-opus-4-7", {"temperature": 1, "top_p": 1}, {}, {}),
        (
            "claude-sonnet-4-6",
            {**ALL, "top_p": 0.97, "reasoning_effort": "low"},
            {"top_p": 0.97},
            {"temperature": "dropped", "top_k": "dropped"},
        ),
        ("claude-sonnet-4-6", {"top_p": 0.5, "reasoning_effort": "low"}, {}, {"top_p": "dropped"}),
    ],
)
def test_sampling_by_what_the_model_takes(
    model: str, body: dict[str, Any], sent: dict[str, Any], losses: dict[str, str]
) -> None:
    """What the model refuses with a 400 is left out, and reported unless it is the default."""
    request = made(model, **body)
    assert {name: request.body[name] for name in ("temperature", "top_p", "top_k") if name in request.body} == sent
    assert lost(request) == losses


ENABLED = {"type": "enabled", "budget_tokens": 2048}
ADAPTIVE = {"type": "adaptive"}
SHOWN = {"type": "adaptive", "display": "summarized"}
HIDDEN = {"type": "adaptive", "display": "omitted"}
LOW = {"reasoning_effort": "low"}
FORCED = {**LOW, "tools": [TOOL], "tool_choice": "required"}
MIN_BUDGET = {"type": "enabled", "budget_tokens": 1024}
GONE = {"reasoning_effort": "dropped"}
OTHER = {"reasoning_effort": "changed"}
OTHER_BUDGET = {"reasoning.max_tokens": "changed"}


def budget(tokens: int) -> dict[str, Any]:
    """Thinking with a budget."""
    return {"type": "enabled", "budget_tokens": tokens}


@pytest.mark.parametrize(
    ("model", "body", "thinking", "effort", "losses"),
    [
        ("claude-sonnet-4-5", {"reasoning_effort": "low"}, ENABLED, None, {}),
        ("claude-sonnet-4-5", {"reasoning_effort": "none"}, None, None, {}),
        ("claude-sonnet-4-5", {"reasoning_effort": "default"}, None, None, {}),
        ("claude-sonnet-4-5", {"reasoning": {"enabled": True}}, budget(8192), None, {}),
        ("claude-sonnet-4-5", {"reasoning": {"max_tokens": 2048}}, ENABLED, None, {}),
        ("claude-sonnet-4-5", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, ENABLED, None, {}),
        ("claude-sonnet-4-5", {"reasoning": {"max_tokens": 5}}, MIN_BUDGET, None, OTHER_BUDGET),
        (
            "claude-sonnet-4-5",
            {"reasoning": {"max_tokens": 9000}, "max_tokens": 5000},
            budget(4000),
            None,
            OTHER_BUDGET,
        ),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "max_tokens": 5000}, budget(4000), None, {}),
        ("claude-sonnet-4-5", {"reasoning_effort": "high", "max_tokens": 1024}, None, None, GONE),
        ("claude-sonnet-4-5", FORCED, None, None, GONE),
        ("claude-sonnet-4-5", {**LOW, "tools": [TOOL], "messages": [*LOOP, RESULT]}, None, None, GONE),
        ("claude-3-5-sonnet-20241022", {"reasoning_effort": "low"}, None, None, GONE),
        ("claude-opus-4-5", {"reasoning_effort": "low"}, ENABLED, "low", {}),
        ("claude-opus-4-5", {"reasoning_effort": "xhigh"}, budget(32_768), "high", OTHER),
        ("claude-opus-4-6", {"reasoning_effort": "high"}, ADAPTIVE, "high", {}),
        ("claude-opus-4-6", {"reasoning_effort": "minimal"}, ADAPTIVE, "low", OTHER),
        ("claude-opus-4-6", {"reasoning_effort": "xhigh"}, ADAPTIVE, "max", OTHER),
        ("claude-opus-4-6", {"reasoning": {"max_tokens": 2048}}, ENABLED, None, {}),
        ("claude-opus-4-6", {**FORCED, "reasoning": {"max_tokens": 2048}}, ADAPTIVE, "low", OTHER_BUDGET),
        ("claude-opus-4-8", {"reasoning_effort": "xhigh"}, SHOWN, "xhigh", {}),
        ("claude-opus-4-8", {"reasoning": {"max_tokens": 2048}}, SHOWN, "low", OTHER_BUDGET),
        ("claude-opus-4-8", {"reasoning": {"effort": "high", "exclude": True}}, HIDDEN, "high", {}),
        ("claude-opus-4-8", {"reasoning_effort": "none"}, None, None, {}),
        ("claude-opus-5", {"reasoning_effort": "none"}, {"type": "disabled"}, None, {}),
        ("claude-opus-5", {"reasoning": {"enabled": False}}, {"type": "disabled"}, None, {}),
        ("claude-opus-5-5", {"reasoning_effort": "none"}, None, "low", OTHER),
        ("claude-sonnet-5-5", {"reasoning_effort": "none"}, {"type": "between_tools"}, None, {}),
        ("MiniMax-M2", {"reasoning_effort": "low"}, ENABLED, None, {}),
    ],
)
def test_thinking_by_what_the_model_takes(
    model: str, body: dict[str, Any], thinking: dict[str, Any] | None, effort: str | None, losses: dict[str, str]
) -> None:
    """Older models get a budget below ``max_tokens``, newer ones an effort; what cannot be is reported."""
    request = made(model, **body)
    assert request.body.get("thinking") == thinking
    assert request.body.get("output_config", {}).get("effort") == effort
    assert lost(request) == losses
    assert thinking is None or thinking.get("budget_tokens", 0) < request.body["max_tokens"]


def test_a_budget_goes_with_the_thoughts_of_the_last_call() -> None:
    """Where the call that is being answered has its thoughts, thinking stays on and they are sent."""
    messages = [LOOP[0], {**LOOP[1], "reasoning_details": DETAILS}, RESULT]
    request = made(messages=messages, reasoning_effort="low", tools=[TOOL])
    assert request.body["thinking"] == ENABLED
    assert request.body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "T", "signature": "s"}


def test_thoughts_that_are_bound_are_dropped_rather_than_refused() -> None:
    """The newest models are told to drop thoughts whose conversation was changed, by a beta; others are not."""
    messages = [USER, {"role": "assistant", "content": "A", "reasoning_details": DETAILS}, USER]
    bound = made("claude-opus-5-5", messages=messages)
    assert bound.body["thinking"] == {
        "type": "adaptive",
        "block_binding": {"prefix_mismatch_behavior": "drop_block"},
    }
    assert bound.betas == (BINDING_BETA,)
    assert made("claude-opus-5-5").betas == ()
    assert "thinking" not in made("claude-opus-5", messages=messages).body


UNKNOWN = {"presence_penalty": 1, "prediction": {"type": "content"}, "web_search_options": {}, "verbosity": "high"}
HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


@pytest.mark.parametrize(
    ("body", "sent", "losses"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}, {}),
        ({"stop": ["\n", "END"]}, {"stop_sequences": ["END"]}, {"stop": "changed"}),
        ({"stop": ["\n\n"]}, {}, {"stop": "dropped"}),
        ({"user": "u"}, {"metadata": {"user_id": "u"}}, {}),
        ({"user": "u", "safety_identifier": "s"}, {"metadata": {"user_id": "s"}}, {}),
        ({"metadata": {"user_id": "m"}}, {"metadata": {"user_id": "m"}}, {}),
        ({"metadata": {"a": "b"}}, {}, {"metadata": "dropped"}),
        ({"user": "u" * 257}, {}, {"user": "dropped"}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}, {}),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}, {}),
        ({"service_tier": "priority"}, {"service_tier": "auto"}, {"service_tier": "changed"}),
        ({"service_tier": "flex"}, {}, {"service_tier": "dropped"}),
        ({"n": 1, "logprobs": False, "seed": None, "frequency_penalty": 0.0, "modalities": ["text"]}, {}, {}),
        ({"n": 2, "seed": 1, "logit_bias": {"1": 1}}, {}, {"n": "dropped", "seed": "dropped", "logit_bias": "dropped"}),
        (UNKNOWN, {}, dict.fromkeys(UNKNOWN, "dropped")),
        ({"response_format": {"type": "text"}}, {}, {}),
        ({"response_format": {"type": "json_object"}}, {}, {"response_format": "dropped"}),
        (HOUR, HOUR, {}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}, {}),
    ],
)
def test_other_parameters(body: dict[str, Any], sent: dict[str, Any], losses: dict[str, str]) -> None:
    """Each has its counterpart or is reported, and a value that asks for nothing is neither."""
    request = made(**body)
    rest = {k: v for k, v in request.body.items() if k not in ("model", "max_tokens", "messages")}
    assert rest == sent
    assert lost(request) == losses


def test_a_schema_to_answer_in() -> None:
    """It is sent to models that take one, without the bounds that Anthropic refuses; by others it is lost."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}, "required": ["n"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema, "strict": True}}
    request = made(response_format=form, reasoning_effort="low")
    assert request.body["output_config"]["format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"n": {"type": "integer", "description": "{minimum: 1}"}},
            "required": ["n"],
            "additionalProperties": False,
        },
    }
    assert lost(request) == {"response_format.json_schema.schema": "changed"}
    assert lost(made("claude-opus-4-0", response_format=form)) == {"response_format": "dropped"}
    endless = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    assert lost(made(response_format=endless)) == {"response_format": "dropped"}
    both = made("claude-opus-4-6", response_format=form, reasoning_effort="low").body["output_config"]
    assert both.keys() == {"effort", "format"}


def test_at_most_four_cache_markers() -> None:
    """The first ones are left out, which make the shortest prefixes; tools come first, then the system prompt."""
    mark = {"type": "ephemeral"}
    part = {"type": "text", "text": "x", "cache_control": mark}
    request = made(
        tools=[{**TOOL, "cache_control": mark}],
        messages=[{"role": "system", "content": [part, part]}, {"role": "user", "content": [part, part, part]}],
    )
    assert "cache_control" not in request.body["tools"][0]
    assert ["cache_control" in block for block in request.body["system"]] == [False, True]
    assert all("cache_control" in block for block in request.body["messages"][0]["content"])
    assert lost(request) == {"cache_control": "changed"}


def test_an_hour_never_follows_five_minutes() -> None:
    """Anthropic refuses that order; the later marker is shortened and reported."""
    parts = [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": ttl}} for ttl in ("5m", "1h")]
    request = made(messages=[{"role": "user", "content": parts}])
    assert [b["cache_control"]["ttl"] for b in request.body["messages"][0]["content"]] == ["5m", "5m"]
    assert lost(request) == {"cache_control": "changed"}
    assert lost(made(messages=[{"role": "user", "content": parts[::-1]}])) == {}


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("anthropic/claude-opus-4.8-fast", "claude-opus-4-8"),
        ("claude-opus-4-20250514", "claude-opus-4-0"),
        ("claude-sonnet-5@default", "claude-sonnet-5"),
        ("claude-opus-9-1", "claude-opus-5-5"),
        ("claude-saga-1", "claude-opus-5-5"),
        ("claude-opus-latest", "claude-opus-5-5"),
        ("claude-3-opus-latest", "claude-3-haiku-20240307"),
    ],
)
def test_a_model_is_known_by_any_host_s_name_for_it(name: str, like: str) -> None:
    """Prefixes, dates and dots do not matter, and a model newer than the table is like the newest."""
    assert traits_of(name) == traits_of(like)


def test_a_model_that_is_not_claude_is_taken_at_its_word() -> None:
    """It has no trait that would change a request."""
    assert traits_of("MiniMax-M2") == Traits()
