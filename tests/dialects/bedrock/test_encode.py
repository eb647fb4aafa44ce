"""Parameters of a request become Converse's, and those that cannot are reported."""

import json
from typing import Any

import pytest

from tollhouse.dialects.bedrock.encode import Model, write_body
from tollhouse.dialects.bedrock.families import family_of
from tollhouse.errors import UpstreamUnfit

SONNET_45 = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
SONNET_46 = "anthropic.claude-sonnet-4-6"
OPUS_48 = "eu.anthropic.claude-opus-4-8"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
QWEN = "qwen.qwen3-32b-v1:0"
LLAMA = "us.meta.llama4-maverick-17b-instruct-v1:0"
MISTRAL = "mistral.mistral-large-3-675b-instruct"
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
OTHER = {"type": "function", "function": {"name": "g", "description": "d"}}
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
HI = {"role": "user", "content": "Hi"}
CALLED = [
    HI,
    {"role": "assistant", "content": None, "tool_calls": [{"id": "c", **FUNCTION, "function": {"name": "f"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "ok"},
]
FORCED = {"type": "function", "function": {"name": "f"}}


def write(
    model: str = SONNET_45, cap: int | None = None, *, schema: bool = True, **body: Any
) -> tuple[dict[str, Any], dict[str, str]]:
    """The body without its messages, and what was lost, by parameter."""
    given = {"model": "m", "messages": [HI], **body}
    before = json.dumps(given)
    out, losses = write_body(given, Model(model, schema=schema), cap)
    assert json.dumps(given) == before
    del out["messages"]
    return out, {loss.param: loss.how for loss in losses}


def test_nothing_asked_is_nothing_sent() -> None:
    """A bare request has messages alone, and values that ask for nothing are not lost."""
    assert write(n=1, store=False, stream=True, user=None, parallel_tool_calls=True, logit_bias={}) == ({}, {})


def test_the_usual_parameters_have_their_places() -> None:
    """Limits, sampling and stop strings go into ``inferenceConfig``; Claude is asked which string stopped it."""
    out, lost = write(max_tokens=9, max_completion_tokens=5, temperature=0.5, stop="END", top_k=20)
    assert out == {
        "inferenceConfig": {"maxTokens": 5, "temperature": 0.5, "stopSequences": ["END"]},
        "additionalModelRequestFields": {"top_k": 20},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }
    assert lost == {}
    assert write(cap=3, max_tokens=9)[0] == {"inferenceConfig": {"maxTokens": 3}}


@pytest.mark.parametrize(
    ("model", "body", "sent", "lost"),
    [
        (LLAMA, {"temperature": 1.5}, {"inferenceConfig": {"temperature": 1}}, {"temperature": "changed"}),
        (LLAMA, {"top_k": 3}, {}, {"top_k": "dropped"}),
        (NOVA_2, {"top_k": 3}, {"additionalModelRequestFields": {"inferenceConfig": {"topK": 3}}}, {}),
        (
            SONNET_45,
            {"temperature": 0.5, "top_p": 0.5},
            {"inferenceConfig": {"temperature": 0.5}},
            {"top_p": "dropped"},
        ),
        (
            OPUS_48,
            {"temperature": 0.5, "top_p": 0.5, "top_k": 1},
            {},
            {"temperature": "dropped", "top_p": "dropped", "top_k": "dropped"},
        ),
        (SONNET_45, {"stop": ["\n", ""]}, {}, {"stop": "dropped"}),
        (LLAMA, {"stop": ["\n"]}, {"inferenceConfig": {"stopSequences": ["\n"]}}, {}),
        (LLAMA, {"seed": 1, "n": 2, "user": "u"}, {}, {"seed": "dropped", "n": "dropped", "user": "dropped"}),
        (LLAMA, {"service_tier": "flex"}, {"serviceTier": {"type": "flex"}}, {}),
        (LLAMA, {"service_tier": "auto"}, {}, {}),
        (LLAMA, {"service_tier": "scale"}, {}, {"service_tier": "dropped"}),
        (LLAMA, {"metadata": {"a": "b c"}}, {"requestMetadata": {"a": "b c"}}, {}),
        (LLAMA, {"metadata": {"a": "é"}}, {}, {"metadata": "dropped"}),
        (LLAMA, {"metadata": {}}, {}, {}),
        (LLAMA, {"response_format": {"type": "json_object"}}, {}, {"response_format": "dropped"}),
        (LLAMA, {"guardrail_config": {"trace": "enabled"}}, {"guardrailConfig": {"trace": "enabled"}}, {}),
        (LLAMA, {"performanceConfig": {"latency": "optimized"}}, {"performanceConfig": {"latency": "optimized"}}, {}),
        (LLAMA, {"additionalModelRequestFields": {"x": 1}}, {"additionalModelRequestFields": {"x": 1}}, {}),
    ],
)
def test_what_models_take_and_what_is_lost(
    model: str, body: dict[str, Any], sent: dict[str, Any], lost: dict[str, str]
) -> None:
    """Each parameter is sent, changed or lost as the model has it."""
    assert write(model, **body) == (sent, lost)


@pytest.mark.parametrize(
    ("model", "body", "fields", "lost"),
    [
        (SONNET_45, {"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, {}),
        (
            SONNET_45,
            {"reasoning": {"max_tokens": 10}},
            {"thinking": {"type": "enabled", "budget_tokens": 1024}},
            {"reasoning.max_tokens": "changed"},
        ),
        (
            SONNET_45,
            {"reasoning_effort": "high", "max_tokens": 2000},
            {"thinking": {"type": "enabled", "budget_tokens": 1600}},
            {},
        ),
        (SONNET_45, {"reasoning_effort": "high", "max_tokens": 1000}, {}, {"reasoning_effort": "dropped"}),
        (SONNET_45, {"reasoning_effort": "none"}, {}, {}),
        (SONNET_46, {"reasoning": {"enabled": True}}, {"thinking": {"type": "adaptive"}}, {}),
        (
            SONNET_46,
            {"reasoning_effort": "minimal"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}},
            {"reasoning_effort": "changed"},
        ),
        (
            SONNET_46,
            {"reasoning": {"max_tokens": 3000}},
            {"thinking": {"type": "enabled", "budget_tokens": 3000}},
            {},
        ),
        (
            OPUS_48,
            {"reasoning": {"max_tokens": 3000, "effort": "xhigh"}},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "xhigh"}},
            {"reasoning.max_tokens": "dropped"},
        ),
        ("anthropic.claude-sonnet-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, {}),
        ("anthropic.claude-3-haiku-20240307-v1:0", {"reasoning_effort": "low"}, {}, {"reasoning_effort": "dropped"}),
        (
            NOVA_2,
            {"reasoning_effort": "high"},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            {},
        ),
        (
            NOVA_2,
            {"reasoning_effort": "high", "max_tokens": 9},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}},
            {"reasoning_effort": "changed"},
        ),
        (NOVA_2, {"reasoning_effort": "none"}, {}, {}),
        (GPT, {"reasoning": {"effort": "medium"}}, {"reasoning_effort": "medium"}, {}),
        (GPT, {"reasoning_effort": "none"}, {"reasoning_effort": "low"}, {"reasoning_effort": "changed"}),
        (QWEN, {"reasoning_effort": "high"}, {"reasoning_config": "high"}, {}),
        (QWEN, {"reasoning_effort": "medium"}, {"reasoning_config": "low"}, {"reasoning_effort": "changed"}),
        (LLAMA, {"reasoning_effort": "high"}, {}, {"reasoning_effort": "dropped"}),
    ],
)
def test_each_model_is_told_to_think_in_its_own_words(
    model: str, body: dict[str, Any], fields: dict[str, Any], lost: dict[str, str]
) -> None:
    """Efforts, budgets and nothing at all, as the kind of model has it."""
    out, losses = write(model, **body)
    assert (out.get("additionalModelRequestFields", {}), losses) == (fields, lost)


def test_a_model_that_thinks_is_not_told_how_to_sample() -> None:
    """Claude refuses sampling while it thinks, and Nova with high effort."""
    out, lost = write(reasoning_effort="low", temperature=0.5, top_p=0.5, top_k=5)
    assert "inferenceConfig" not in out
    assert lost == {"temperature": "dropped", "top_p": "dropped", "top_k": "dropped"}
    assert write(reasoning_effort="low", temperature=1)[0]["inferenceConfig"] == {"temperature": 1}
    assert write(NOVA_2, reasoning_effort="high", temperature=0.5)[1] == {"temperature": "dropped"}


def test_a_forced_call_goes_before_a_thought() -> None:
    """Claude does not think before a call that is forced, nor where the history lacks the thought of its last call."""
    out, lost = write(reasoning_effort="low", tools=[FUNCTION], tool_choice="required")
    assert "additionalModelRequestFields" not in out
    assert lost == {"reasoning_effort": "dropped"}
    assert write(reasoning_effort="low", messages=CALLED, tools=[FUNCTION])[1] == {"reasoning_effort": "dropped"}


@pytest.mark.parametrize(
    ("model", "choice", "sent", "names", "lost"),
    [
        (SONNET_45, "auto", None, "fg", {}),
        (SONNET_45, "required", {"any": {}}, "fg", {}),
        (SONNET_45, FORCED, {"tool": {"name": "f"}}, "fg", {}),
        (NOVA_2, FORCED, {"tool": {"name": "f"}}, "fg", {}),
        (MISTRAL, FORCED, {"any": {}}, "f", {"tool_choice": "emulated"}),
        (LLAMA, "required", None, "fg", {"tool_choice": "dropped"}),
        (LLAMA, FORCED, None, "f", {"tool_choice": "dropped"}),
        (
            SONNET_45,
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [FORCED]}},
            {"any": {}},
            "f",
            {"tool_choice": "emulated"},
        ),
    ],
)
def test_a_choice_is_made_as_the_model_can(
    model: str, choice: Any, sent: dict[str, Any] | None, names: str, lost: dict[str, str]
) -> None:
    """Any tool, one tool or the model's own choice; what it cannot be made to do is reported."""
    out, losses = write(model, tools=[FUNCTION, OTHER], tool_choice=choice)
    config = out["toolConfig"]
    assert (config.get("toolChoice"), losses) == (sent, lost)
    assert "".join(tool["toolSpec"]["name"] for tool in config["tools"]) == names


def test_no_tool_is_to_be_called() -> None:
    """``none`` takes the tools away, unless the history called some: Converse then wants to know of them."""
    assert write(tools=[FUNCTION], tool_choice="none") == ({}, {"tool_choice": "emulated"})
    out, lost = write(tools=[FUNCTION], tool_choice="none", messages=CALLED)
    assert (out["toolConfig"]["tools"], lost) == ([SPEC], {"tool_choice": "dropped"})


def test_tools_that_were_called_are_told_of() -> None:
    """A history of calls without any tools is refused by the host."""
    out, lost = write(messages=CALLED)
    spec = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}
    assert (out["toolConfig"], lost) == ({"tools": [spec]}, {"tools": "changed"})


def test_tools_are_told_with_what_they_promise() -> None:
    """Descriptions, strictness where the model has it, cache markers, and custom tools as functions of one text."""
    strict = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}
    custom = {"type": "custom", "custom": {"name": "shell", "description": "Runs"}, "cache_control": {}}
    out, lost = write(tools=[strict, OTHER, custom], parallel_tool_calls=False)
    first, second, third, point = out["toolConfig"]["tools"]
    assert first["toolSpec"]["strict"] is True
    assert second["toolSpec"]["description"] == "d"
    assert third["toolSpec"]["inputSchema"]["json"]["required"] == ["input"]
    assert point == {"cachePoint": {"type": "default"}}
    assert lost == {"tools[2]": "emulated", "parallel_tool_calls": "dropped"}
    assert write(schema=False, tools=[strict])[1] == {"tools[0].function.strict": "dropped"}
    assert write(tools=[{"type": "web_search"}]) == ({}, {"tools[0]": "dropped"})


def test_a_schema_goes_where_the_model_follows_one() -> None:
    """The schema is JSON in a string; Claude's objects take no other members, and what does not follow one loses it."""
    schema = {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "object", "properties": {}}}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    out, lost = write(GPT, response_format=wanted)
    told = out["outputConfig"]["textFormat"]
    assert (told["type"], lost) == ("json_schema", {})
    definition = told["structure"]["jsonSchema"]
    assert (definition["name"], json.loads(definition["schema"])) == ("n", schema)
    out, lost = write(response_format=wanted)
    closed = json.loads(out["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"])
    assert closed["additionalProperties"] is closed["properties"]["a"]["items"]["additionalProperties"] is False
    assert lost == {"response_format": "changed"}
    assert write(schema=False, response_format=wanted) == ({}, {"response_format": "dropped"})


def test_a_begun_answer_is_left_to_models_that_go_on_with_one() -> None:
    """The newest Claude models refuse it; another target may not."""
    begun = [HI, {"role": "assistant", "content": "a"}]
    write(SONNET_45, messages=begun)
    with pytest.raises(UpstreamUnfit):
        write(SONNET_46, messages=begun)


@pytest.mark.parametrize(
    ("model", "claude"),
    [
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("us-gov.anthropic.claude-3-7-sonnet-20250219-v1:0", True),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-6", True),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-v2", True),
        ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3", False),
        ("global.amazon.nova-2-lite-v1:0", False),
        ("", False),
    ],
)
def test_a_family_is_known_by_any_name_of_its_models(model: str, claude: bool) -> None:
    """Regions and ARNs stand before a model's name; an ARN that does not name one says nothing."""
    assert family_of(model).claude is claude
