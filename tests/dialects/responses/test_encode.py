"""A chat call as a Responses request: what is the same, what is written otherwise, what is lost."""

from typing import Any

import pytest

from tollhouse.dialects.responses.encode import Fit, encode_request
from tollhouse.types.calls import Loss

HI = [{"role": "user", "content": "Hi"}]


def encode(fit: Fit | None = None, **members: Any) -> tuple[dict[str, Any], dict[str, Loss]]:
    """The body for a call with these members, and the losses by name."""
    body, losses = encode_request({"model": "m", "messages": HI, **members}, fit or Fit())
    return body, {loss.param: loss for loss in losses}


def test_a_plain_call_is_stored_nowhere_and_loses_nothing() -> None:
    """The least request is its input and ``store: false``."""
    assert encode() == ({"input": [{"role": "user", "content": "Hi"}], "store": False}, {})


@pytest.mark.parametrize(
    ("strict", "sent"), [(None, False), (False, False), (True, True)], ids=["unsaid", "false", "true"]
)
def test_a_function_is_as_strict_as_the_chat_call_says(strict: bool | None, sent: bool) -> None:
    """Strictness is always said, for the two APIs differ in what is meant where it is not."""
    function: dict[str, Any] = {"name": "f", "parameters": {"type": "object"}}
    if strict is not None:
        function["strict"] = strict
    body, _ = encode(tools=[{"type": "function", "function": function}])
    assert body["tools"] == [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": sent}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        ({"type": "web_search"}, {"type": "web_search"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "custom", "name": "c"}]},
            },
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "c"}]},
        ),
    ],
    ids=["word", "function", "custom", "hosted", "allowed"],
)
def test_the_choice_of_a_tool_loses_its_nesting(choice: Any, sent: Any) -> None:
    """Every form of ``tool_choice`` arrives flat."""
    assert encode(tool_choice=choice)[0]["tool_choice"] == sent


@pytest.mark.parametrize(
    ("members", "cap", "lost"),
    [
        ({"max_tokens": 100}, 100, []),
        ({"max_tokens": 100, "max_completion_tokens": 50}, 50, []),
        ({"max_tokens": 16}, 16, []),
        ({"max_tokens": 15}, 16, ["max_tokens"]),
        ({"max_tokens": 100, "max_completion_tokens": 5}, 16, ["max_completion_tokens"]),
        ({"max_tokens": None}, None, []),
    ],
)
def test_the_stricter_cap_counts_and_a_tiny_one_is_raised(members: Any, cap: int | None, lost: list[str]) -> None:
    """Caps under 16 become 16, which is reported as a change."""
    body, losses = encode(**members)
    assert body.get("max_output_tokens") == cap
    assert [(loss.param, loss.how) for loss in losses.values()] == [(name, "changed") for name in lost]


@pytest.mark.parametrize(
    ("members", "reasoning"),
    [
        ({"reasoning_effort": "low"}, {"effort": "low"}),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"effort": "high", "summary": "auto"}),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, {"effort": "low"}),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, {"effort": "low"}),
        ({"reasoning": {"enabled": False}}, {"effort": "none"}),
        ({"reasoning": {"enabled": True}}, None),
        ({"reasoning_effort": "default"}, None),
        ({"reasoning": "much"}, None),
    ],
)
def test_reasoning_is_asked_for_in_one_object(members: Any, reasoning: Any) -> None:
    """Effort and summary are gathered; the chat API's own member wins."""
    assert encode(**members)[0].get("reasoning") == reasoning


def test_a_budget_of_reasoning_is_told_as_an_effort() -> None:
    """Tokens of reasoning cannot be asked for; where there is an effort beside them, that counts."""
    body, losses = encode(reasoning={"enabled": True, "max_tokens": 8000})
    assert (body["reasoning"], losses["reasoning.max_tokens"].how) == ({"effort": "medium"}, "changed")
    for given in ({"effort": "low", "max_tokens": 9}, {"max_tokens": 9}):
        body, losses = encode(reasoning_effort="low", reasoning=given)
        assert (body["reasoning"], losses["reasoning.max_tokens"].how) == ({"effort": "low"}, "dropped")


def test_encrypted_reasoning_is_asked_for_only_where_it_is_given() -> None:
    """Models that do not reason refuse the question."""
    assert encode(Fit(reasons=True))[0]["include"] == ["reasoning.encrypted_content"]
    assert "include" not in encode(Fit(reasons=False))[0]
    body, _ = encode(Fit(reasons=True), include=["reasoning.encrypted_content", "file_search_call.results"])
    assert body["include"] == ["reasoning.encrypted_content", "file_search_call.results"]


def test_log_probabilities_are_included_by_name() -> None:
    """``logprobs`` is an entry of ``include``; ``top_logprobs`` needs it."""
    body, losses = encode(logprobs=True, top_logprobs=3)
    assert (body["include"], body["top_logprobs"]) == (["message.output_text.logprobs"], 3)
    assert not losses
    body, losses = encode(logprobs=False, top_logprobs=0)
    assert not body.keys() & {"include", "top_logprobs"}
    assert not losses


SAMPLED = {"temperature": 0.2, "top_p": 0.5, "logprobs": True, "top_logprobs": 2}


def test_a_model_that_refuses_sampling_is_not_sent_it() -> None:
    """What reasoning models answer 400 to is taken out and reported."""
    body, losses = encode(Fit(reasons=True, samples=False), **SAMPLED)
    assert not body.keys() & SAMPLED.keys()
    assert body["include"] == ["reasoning.encrypted_content"]
    assert sorted(losses) == sorted(SAMPLED)


def test_sampling_is_sent_where_nothing_is_reasoned() -> None:
    """With effort ``none`` the same models take it."""
    body, losses = encode(Fit(reasons=True, samples=False), reasoning_effort="none", **SAMPLED)
    assert body["temperature"] == 0.2
    assert not losses


def test_the_usual_values_are_no_loss() -> None:
    """What says what happens anyway is left out in silence."""
    usual = {"temperature": 1, "top_p": 1.0, "n": 1, "presence_penalty": 0, "stop": None, "modalities": ["text"]}
    body, losses = encode(Fit(samples=False), **usual)
    assert body.keys() == {"input", "store"}
    assert not losses


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("stop", "x"),
        ("stop", ["x"]),
        ("seed", 0),
        ("n", 2),
        ("frequency_penalty", 0.5),
        ("presence_penalty", -1),
        ("logit_bias", {"1": 1}),
        ("prediction", {"type": "content", "content": "x"}),
        ("audio", {"voice": "alloy", "format": "wav"}),
        ("modalities", ["text", "audio"]),
        ("top_k", 3),
        ("background", True),
    ],
)
def test_what_there_is_not_is_dropped_and_reported(name: str, value: Any) -> None:
    """No parameter disappears in silence."""
    body, losses = encode(**{name: value})
    assert name not in body
    assert losses[name].how == "dropped"
    assert losses[name].why


def test_a_schema_is_a_format_of_the_text() -> None:
    """The schema of an answer stands in ``text.format``, as strict as the call says."""
    wanted = {"name": "a", "schema": {"type": "object"}, "strict": True, "description": "d"}
    body, _ = encode(response_format={"type": "json_schema", "json_schema": wanted}, verbosity="high")
    assert body["text"] == {"format": {"type": "json_schema", **wanted}, "verbosity": "high"}
    body, _ = encode(response_format={"type": "json_schema", "json_schema": {"name": "a"}})
    assert body["text"]["format"] == {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": False}
    assert encode(response_format={"type": "json_object"})[0]["text"]["format"] == {"type": "json_object"}


def test_tools_of_every_kind_are_flat() -> None:
    """Custom tools lose their nesting, the host's own pass as they are, and markers of caches are reported."""
    hosted = {"type": "mcp", "server_label": "s", "server_url": "https://x.example"}
    marked = {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}, "cache_control": {"type": "x"}}
    body, losses = encode(tools=[hosted, marked])
    assert body["tools"] == [hosted, {"type": "custom", "name": "c", "format": {"type": "text"}}]
    assert list(losses) == ["cache_control"]


def test_a_search_is_a_tool() -> None:
    """``web_search_options``, even empty, asks for the search tool, beside the tools there are."""
    tool = {"type": "function", "function": {"name": "f"}}
    body, losses = encode(web_search_options={}, tools=[tool])
    assert sorted(tool["type"] for tool in body["tools"]) == ["function", "web_search"]
    assert not losses


def test_the_client_may_have_its_answer_stored() -> None:
    """``store`` is the client's to say."""
    assert encode(store=True)[0]["store"] is True


def test_the_call_is_not_changed() -> None:
    """The body of a call serves several attempts."""
    call = {"model": "m", "messages": HI, "tools": [{"type": "web_search"}], "include": ["x"], "reasoning": {"a": 1}}
    before = repr(call)
    encode_request(call, Fit(reasons=True, samples=False))
    assert repr(call) == before
