"""Requests in the inner form, written for Gemini: where each member goes, and what is told as lost."""

import json
from typing import Any

import pytest

from tests.dialects.gemini.asking import HI, call, called, lost, result, sent
from tollhouse.dialects.gemini.encode import Surface, encode

# --- thinking ---


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        ("gemini-2.5-flash", {"reasoning_effort": "low"}, {"thinkingBudget": 1024, "includeThoughts": True}),
        ("gemini-2.5-flash", {"reasoning_effort": "none"}, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"thinkingBudget": 128}),
        ("gemini-2.5-pro", {"reasoning_effort": "xhigh"}, {"thinkingBudget": 32768, "includeThoughts": True}),
        ("gemini-2.5-flash-lite", {"reasoning": {"max_tokens": 5}}, {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemini-2.5-flash", {"reasoning": {"enabled": True}}, {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-2.5-flash", {"reasoning": {"effort": "high", "exclude": True}}, {"thinkingBudget": 24576}),
        ("gemini-3-pro-preview", {"reasoning_effort": "medium"}, {"thinkingLevel": "high", "includeThoughts": True}),
        (
            "gemini-3.1-pro-preview",
            {"reasoning_effort": "medium"},
            {"thinkingLevel": "medium", "includeThoughts": True},
        ),
        ("gemini-3-1-pro", {"reasoning_effort": "minimal"}, {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3-flash-preview", {"reasoning_effort": "none"}, {"thinkingLevel": "minimal"}),
        ("gemini-3.5-flash", {"reasoning": {"max_tokens": 900}}, {"thinkingBudget": 900, "includeThoughts": True}),
        ("gemini-3.5-flash", {"reasoning": {"summary": "auto"}}, {"includeThoughts": True}),
        ("gemini-flash-latest", {"reasoning_effort": "high"}, {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-2.0-flash", {"reasoning_effort": "high"}, None),
        ("gemini-2.5-flash-image", {"reasoning_effort": "high"}, None),
        ("gemini-2.5-flash", {"reasoning_effort": None}, None),
        ("gemini-2.5-flash", {"reasoning": {"effort": 7, "max_tokens": "x"}}, None),
        ("gemini-2.5-flash", {"reasoning": 7}, None),
    ],
)
def test_thinking_is_told_as_the_model_takes_it(model: str, asked: dict[str, Any], expected: Any) -> None:
    """A level for Gemini 3, a budget within its limits for 2.5, and nothing for those that do not think."""
    assert sent(model, **asked).get("generationConfig", {}).get("thinkingConfig") == expected


@pytest.mark.parametrize(
    ("model", "asked", "expected"),
    [
        ("gemini-2.5-pro", {"reasoning_effort": "none"}, {"reasoning_effort": "changed"}),
        ("gemini-3-pro-preview", {"reasoning_effort": "medium"}, {"reasoning_effort": "changed"}),
        ("gemini-3-flash-preview", {"reasoning": {"enabled": False}}, {"reasoning": "changed"}),
        ("gemini-2.0-flash", {"reasoning_effort": "high"}, {"reasoning_effort": "dropped"}),
        ("gemini-2.0-flash", {"reasoning_effort": "none"}, {}),
        ("gemini-2.5-flash-lite", {"reasoning": {"max_tokens": 5}}, {"reasoning.max_tokens": "changed"}),
        ("gemini-2.5-flash", {"reasoning_effort": "high"}, {}),
    ],
)
def test_thinking_that_is_not_as_asked_is_reported(model: str, asked: dict[str, Any], expected: dict[str, str]) -> None:
    """What was asked for and is not done is told."""
    assert lost(model, **asked) == expected


# --- tools ---

F = {
    "type": "function",
    "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}},
}
G = {"type": "function", "function": {"name": "g", "strict": True}}
ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
}


@pytest.mark.parametrize(
    ("model", "tools", "choice", "expected"),
    [
        ("gemini-2.5-flash", [F], "auto", None),
        ("gemini-2.5-flash", [F], "none", {"mode": "NONE"}),
        ("gemini-2.5-flash", [F], "required", {"mode": "ANY"}),
        (
            "gemini-2.5-flash",
            [F],
            {"type": "function", "function": {"name": "f"}},
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        ("gemini-2.5-flash", [F, G], ALLOWED, {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        ("gemini-2.0-flash", [F, G], ALLOWED, None),
        ("gemini-2.5-flash", [F, G], None, {"mode": "VALIDATED"}),
        ("gemini-2.0-flash", [F, G], None, None),
    ],
)
def test_the_choice_of_tools(model: str, tools: list[Any], choice: Any, expected: Any) -> None:
    """Names go with the modes that take them."""
    body = {"tools": tools, **({"tool_choice": choice} if choice else {})}
    assert sent(model, **body).get("toolConfig", {}).get("functionCallingConfig") == expected


def test_tools_of_every_kind() -> None:
    """Functions, free text as a function, and those that Google runs; others are told as lost."""
    custom = {"type": "custom", "custom": {"name": "c", "format": {"type": "grammar"}}}
    tools = [F, custom, {"type": "google_search"}, {"type": "code_interpreter", "container": "x"}, {"type": "mystery"}]
    made = sent(tools=tools)["tools"]
    assert [one["name"] for one in made[0]["functionDeclarations"]] == ["f", "c"]
    assert made[1:] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert lost(tools=tools) == {
        "tools[1]": "emulated",
        "tools[1].custom.format": "dropped",
        "tools[3]": "changed",
        "tools[4]": "dropped",
    }


@pytest.mark.parametrize(
    "parameters", [None, {}, {"type": "object", "properties": {}}, {"type": "object", "$schema": "x"}]
)
def test_a_function_without_parameters_has_no_schema(parameters: Any) -> None:
    """An empty object is a 400 for some models."""
    tool = {"type": "function", "function": {"name": "f", **({} if parameters is None else {"parameters": parameters})}}
    assert sent(tools=[tool])["tools"] == [{"functionDeclarations": [{"name": "f"}]}]


# --- the rest ---


def test_numbers_keep_their_value_under_googles_names() -> None:
    """Penalties of nothing, and one choice, are not sent: models refuse them."""
    body: dict[str, Any] = {
        "temperature": 0,
        "top_p": 1,
        "top_k": 3,
        "n": 2,
        "presence_penalty": 0,
        "frequency_penalty": 0.5,
    }
    assert sent(**body)["generationConfig"] == {
        "temperature": 0, "topP": 1, "topK": 3, "candidateCount": 2, "frequencyPenalty": 0.5,
    }  # fmt: skip
    assert "generationConfig" not in sent(n=1, presence_penalty=0.0)


@pytest.mark.parametrize(
    ("body", "cap", "expected"),
    [
        ({"max_tokens": 9}, None, 9),
        ({"max_tokens": 9, "max_completion_tokens": 5}, None, 5),
        ({"max_tokens": 9}, 7, 7),
        ({}, 7, 7),
    ],
)
def test_the_cap(body: dict[str, Any], cap: int | None, expected: int) -> None:
    """Ours, else the stricter of the client's."""
    assert sent(cap=cap, **body)["generationConfig"]["maxOutputTokens"] == expected


def test_a_long_seed_is_folded() -> None:
    """The host has 32 bits."""
    assert sent(seed=2**31)["generationConfig"]["seed"] == -(2**31)
    assert lost(seed=2**31) == {"seed": "changed"}
    assert lost(seed=-1) == {}


def test_googles_own_members_pass() -> None:
    """In google, in extra_body, and as safety_settings; names in either spelling."""
    google = {"thinking_config": {"thinking_budget": 5, "include_thoughts": True}, "cached_content": "cachedContents/1"}
    for body in ({"google": google}, {"extra_body": {"google": google}}):
        made = sent(**body)
        assert made["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 5, "includeThoughts": True}
        assert made["cachedContent"] == "cachedContents/1"
        assert lost(**body) == {}
    setting = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}
    assert sent(safety_settings=[setting])["safetySettings"] == [setting]
    assert lost(google={"tools": []}, extra_body={"x": 1}) == {"google.tools": "dropped", "extra_body": "dropped"}
    assert lost(google=7, extra_body=7) == {}


def test_labels_are_vertex_own() -> None:
    """The other host keeps no metadata."""
    metadata = {"team": "a", "Bad": "x"}
    assert lost(metadata=metadata) == {"metadata": "dropped"}
    assert sent(vertex=True, metadata=metadata)["labels"] == {"team": "a"}
    assert lost(vertex=True, metadata=metadata) == {"metadata": "changed"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"service_tier": "flex"}, {}),
        ({"service_tier": "scale"}, {"service_tier": "dropped"}),
        (
            {"logit_bias": {"1": 2}, "user": "u", "verbosity": "low"},
            {"logit_bias": "dropped", "user": "dropped", "verbosity": "dropped"},
        ),
        ({"store": False, "logprobs": False, "parallel_tool_calls": True, "stream_options": {}}, {}),
        ({"stop": ["a"] * 6}, {"stop": "changed"}),
        ({"cache_control": {"type": "ephemeral"}}, {"cache_control": "emulated"}),
        ({"unheard_of": 1}, {"unheard_of": "dropped"}),
        ({"modalities": ["text", "audio"], "audio": {"voice": "Kore", "format": "pcm16"}}, {}),
        (
            {"modalities": ["audio"], "audio": {"voice": "alloy", "format": "mp3"}},
            {"audio.voice": "changed", "audio.format": "changed"},
        ),
    ],
)
def test_nothing_is_dropped_in_silence(body: dict[str, Any], expected: dict[str, str]) -> None:
    """What asks for something and is not sent is told; what asks for nothing is not."""
    assert lost(**body) == expected


def test_speech_has_a_voice() -> None:
    """Models that speak write no text."""
    config = sent(modalities=["text", "audio"], audio={"voice": "Kore", "format": "wav"})["generationConfig"]
    assert config["responseModalities"] == ["AUDIO"]
    assert config["speechConfig"] == {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}


def test_the_clients_body_is_not_touched() -> None:
    """Other targets are asked with the same one."""
    messages = [HI, called(call("a")), result("a"), {"role": "assistant", "content": "x"}, HI]
    body = {"model": "m", "messages": messages, "tools": [F], "response_format": {"type": "json_object"}}
    before = json.dumps(body)
    encode(body, "gemini-3-pro-preview", 5, Surface())
    assert json.dumps(body) == before


@pytest.mark.parametrize("asked", [{"enabled": False}, {"effort": "none"}, {"max_tokens": 0}])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gemini-2.5-flash", {"thinkingBudget": 0}),
        ("gemini-3-flash-preview", {"thinkingLevel": "minimal"}),
        ("gemini-3.1-pro-preview", {"thinkingLevel": "low"}),
    ],
)
def test_thinking_is_turned_off_as_far_as_it_can_be(
    asked: dict[str, Any], model: str, expected: dict[str, Any]
) -> None:
    """Whatever word the client has for it, and without showing the rest."""
    assert sent(model, reasoning=asked)["generationConfig"]["thinkingConfig"] == expected
