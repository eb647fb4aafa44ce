"""What an answer says of its own safety: every case of the table, as JSON and as objects of the openai SDK."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import ModerationCreateResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.client.cases import ANSWERS, name
from tollhouse import client
from tollhouse.client import TEMPLATES, CategoryResult, evaluate, filter_results, filtered_categories, was_filtered
from tollhouse.safety import templates as policy_templates
from tollhouse.types.safety import SEVERITIES

each_answer = pytest.mark.parametrize("case", ANSWERS, ids=name)
JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.sampled_from(["", "high", "stop", "content_filter"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("choices", "delta", "index", "finish_reason", "content_filter_results", "prompt_filter_results"),
                    *("results", "flagged", "categories", "content_filters", "source_type", "error", "body", "code"),
                    *("message", "innererror", "content_filter_result", "details", "metadata", "error_id", "hate"),
                    *("filtered", "severity", "detected", "object", "headers", "response", "tool_calls", "function"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


def told(one: CategoryResult) -> dict[str, Any]:
    """A result as the table writes it."""
    members = {"filtered": one.filtered, "severity": one.severity, "detected": one.detected}
    return {key: value for key, value in members.items() if value is not None}


def as_objects(answer: Any) -> Any:
    """An answer as the openai SDK gives it, which does not validate what it does not know."""
    if not isinstance(answer, dict):
        return answer
    if str(answer.get("id", "")).startswith("modr-"):
        return ModerationCreateResponse.construct(**answer)
    chunk = answer.get("object") == "chat.completion.chunk"
    return (ChatCompletionChunk if chunk else ChatCompletion).construct(**answer)


@each_answer
@pytest.mark.parametrize("form", ["json", "objects"])
def test_what_was_filtered(case: dict[str, Any], form: str) -> None:
    """The categories, their results and whether anything was filtered are those of the table."""
    answer = case["answer"]
    if form == "objects":
        answer = [as_objects(one) for one in answer] if isinstance(answer, list) else as_objects(answer)
    found = filter_results(answer)
    assert filtered_categories(answer) == case["filtered"]
    assert was_filtered(answer) is found.any_filtered is case["any"]
    if "choice" in case:
        assert {key: told(one) for key, one in found.choice.items()} == case["choice"]
    if "prompt" in case:
        prompts = [
            {"index": one.index, "results": {key: told(result) for key, result in one.results.items()}}
            for one in found.prompt
        ]
        assert prompts == case["prompt"]


@each_answer
def test_how_it_stands_against_the_templates(case: dict[str, Any]) -> None:
    """What fails under each template is what the table says; with nothing failing and nothing withheld it passes."""
    for template, failed in case.get("failed", {}).items():
        held = evaluate(case["answer"], TEMPLATES[template])
        assert (sorted(held.failed_categories), held.template) == (sorted(failed), template)
        assert held.passed is not (bool(failed) or case.get("fails", False))
    if "detected" in case:
        assert list(evaluate(case["answer"]).detected_categories) == case["detected"]


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("template", policy_templates.TEMPLATES)
def test_the_gateways_templates_say_the_same(template: str, severity: str, filtered: bool) -> None:
    """A client's check with a template and the gateway's policy of that name agree on every severity."""
    results = {name: {"filtered": filtered, "severity": severity} for name in ("hate", "sexual", "violence")}
    ours = policy_templates.failed(policy_templates.TEMPLATES[template], results)
    held = evaluate({"choices": [{"content_filter_results": results}]}, TEMPLATES[template])
    assert sorted(held.failed_categories) == sorted(ours)


def test_the_templates_are_the_same_five() -> None:
    """Name, threshold and categories are those that policies start from."""
    assert list(TEMPLATES) == list(policy_templates.TEMPLATES)
    for mine, theirs in zip(TEMPLATES.values(), policy_templates.TEMPLATES.values(), strict=True):
        assert (mine.id, mine.threshold, mine.by_severity) == (
            theirs.name,
            SEVERITIES[theirs.threshold],
            theirs.fail_on_filtered,
        )
        assert mine.categories is None or mine.categories == theirs.categories


def test_an_exception_of_an_sdk_is_an_answer_too() -> None:
    """Of what was raised for a blocked prompt, the results in its body count."""

    class Raised(Exception):
        body = ANSWERS[[name(case) for case in ANSWERS].index("a blocked prompt")]["answer"]["error"]

    assert filtered_categories(Raised("no")) == ["violence"]
    assert was_filtered(Raised("no"))
    assert not was_filtered(ValueError("no"))


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_nothing_makes_them_raise(value: Any) -> None:
    """Whatever is handed in, as JSON or as objects, comes out as results."""
    for answer in (value, [value], SimpleNamespace(**value) if isinstance(value, dict) else object()):
        assert was_filtered(answer) or not filtered_categories(answer)
        assert isinstance(evaluate(answer, client.MINIMAL).passed, bool)
        assert client.error_id(answer) is None or isinstance(client.error_id(answer), client.ErrorId)
        client.retry_after_s(answer)
        client.request_id(answer)
        client.collect([answer])
