"""`tollhouse/sim` under arbitrary requests: an answer in OpenAI's shape or an error reply, never anything else."""

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engines.sim_asking import ask
from tests.engines.test_sim_schema import SCALARS, WILD

QUIET = settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
TEXT = st.text(max_size=30)
NAME = st.sampled_from(["get_weather", "f", "a-b", "add_numbers", "search"])
TEXT_PART = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
IMAGE = st.fixed_dictionaries({
    "type": st.just("image_url"),
    "image_url": st.fixed_dictionaries({
        "url": st.sampled_from(["https://x.example/y.png", "data:image/png;base64,iVBORw0KGgo=", "data:,x", "",
        "data:;base64,???"]),
    }, optional={"detail": st.sampled_from(["auto", "low", "high"])}),
})  # fmt: skip
SOUND = st.fixed_dictionaries({
    "type": st.just("input_audio"),
    "input_audio": st.fixed_dictionaries({"data": st.sampled_from(["", "AAAA", "UklGRg=="]),
                                          "format": st.sampled_from(["wav", "mp3"])}),
})  # fmt: skip
FILE = st.fixed_dictionaries({
    "type": st.just("file"),
    "file": st.fixed_dictionaries({}, optional={"filename": TEXT, "file_data": TEXT, "file_id": TEXT}),
})  # fmt: skip
CALL = st.fixed_dictionaries({
    "id": TEXT, "type": st.just("function"), "function": st.fixed_dictionaries({"name": NAME, "arguments": TEXT}),
})  # fmt: skip
MESSAGES = st.lists(st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "developer"]), "content": TEXT}),
    st.fixed_dictionaries({"role": st.just("user"), "content": st.one_of(
        TEXT, st.lists(st.one_of(TEXT_PART, IMAGE, SOUND, FILE), min_size=1, max_size=3))}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": st.one_of(st.none(), TEXT)},
                          optional={"tool_calls": st.lists(CALL, min_size=1, max_size=2), "refusal": TEXT}),
    st.fixed_dictionaries({"role": st.just("tool"), "tool_call_id": TEXT, "content": TEXT}),
    st.fixed_dictionaries({"role": st.just("function"), "name": NAME, "content": st.one_of(st.none(), TEXT)}),
), min_size=1, max_size=4)  # fmt: skip
TOOL = st.one_of(
    st.fixed_dictionaries({"type": st.just("function"), "function": st.fixed_dictionaries(
        {"name": NAME}, optional={"description": TEXT, "strict": st.booleans(), "parameters": st.one_of(
            WILD, st.dictionaries(TEXT, SCALARS, max_size=3).map(lambda p: {"type": "object", "properties": p}))})}),
    st.fixed_dictionaries({"type": st.just("custom"), "custom": st.fixed_dictionaries({"name": NAME}, optional={
        "format": st.fixed_dictionaries({"type": st.just("grammar"), "grammar": st.fixed_dictionaries({
            "syntax": st.sampled_from(["lark", "regex"]), "definition": TEXT})})})}),
)  # fmt: skip
CHOICE = st.one_of(
    st.sampled_from(["none", "auto", "required"]),
    st.fixed_dictionaries({"type": st.just("function"), "function": st.fixed_dictionaries({"name": NAME})}),
    st.fixed_dictionaries({"type": st.just("allowed_tools"), "allowed_tools": st.fixed_dictionaries(
        {"mode": st.sampled_from(["auto", "required"]), "tools": st.lists(TOOL, max_size=2)})}),
)  # fmt: skip
FORM = st.one_of(
    st.just({"type": "text"}), st.just({"type": "json_object"}),
    st.fixed_dictionaries({"type": st.just("json_schema"), "json_schema": st.fixed_dictionaries(
        {"name": NAME}, optional={"schema": st.one_of(WILD, SCALARS), "strict": st.booleans()})}),
)  # fmt: skip
BODY = st.fixed_dictionaries({"model": st.just("sim"), "messages": MESSAGES}, optional={
    "stream": st.booleans(), "stream_options": st.fixed_dictionaries({"include_usage": st.booleans()}),
    "n": st.integers(1, 4), "stop": st.one_of(st.none(), TEXT, st.lists(TEXT, min_size=1, max_size=4)),
    "max_tokens": st.one_of(st.none(), st.integers(1, 60)), "max_completion_tokens": st.integers(1, 60),
    "seed": st.integers(-(2**63), 2**63 - 1), "temperature": st.floats(0, 2), "top_p": st.floats(0, 1),
    "logprobs": st.booleans(), "top_logprobs": st.integers(0, 20), "tools": st.lists(TOOL, max_size=3),
    "tool_choice": CHOICE, "parallel_tool_calls": st.booleans(), "response_format": FORM, "user": TEXT,
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "verbosity": st.sampled_from(["low", "medium", "high"]), "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
    "prediction": st.fixed_dictionaries({"type": st.just("content"), "content": TEXT}),
    "modalities": st.just(["text", "audio"]), "logit_bias": st.dictionaries(TEXT, st.integers(-100, 100), max_size=2),
    "audio": st.fixed_dictionaries({"voice": TEXT, "format": st.sampled_from(["wav", "pcm16", "mp3"])}),
    "functions": st.lists(st.fixed_dictionaries({"name": NAME}), min_size=1, max_size=2),
    "function_call": st.one_of(st.sampled_from(["none", "auto"]), st.fixed_dictionaries({"name": NAME})),
    "frequency_penalty": st.floats(-2, 2), "store": st.booleans(), "service_tier": st.sampled_from(["auto", "fast"]),
})  # fmt: skip


@QUIET
@given(BODY)
def test_any_request_of_the_schema(body: dict[str, Any]) -> None:
    """A request that OpenAI's schema allows gets a completion that OpenAI's types allow, or an error reply."""
    answer = asyncio.run(ask(body))
    assert answer.status in (200, 400)
    if answer.status == 200:
        for index in range(body.get("n", 1)):
            assert len(answer.finish(index)) == 1


JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)


@QUIET
@given(BODY, st.data())
def test_any_junk_in_any_field(body: dict[str, Any], data: st.DataObject) -> None:
    """Any JSON in any field's place gets an answer or an error reply."""
    name = data.draw(st.sampled_from([*sorted(body), "messages", "tools", "tool_choice", "tollhouse_sim", "functions"]))
    body = {**body, name: data.draw(JUNK)}
    if isinstance(body.get("stream"), bool | None):
        assert asyncio.run(ask(body)).status in (200, 400)
