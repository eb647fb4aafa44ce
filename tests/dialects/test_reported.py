"""What upstreams say of safety where their answers are passed through: the same as where they are translated."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.reported import (
    PROMPT_SIDE,
    Reported,
    reported,
    reported_by_anthropic,
    reported_by_gemini,
    reported_by_responses,
)

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
REFUSED = {"refusal": {"filtered": True, "detected": True}}


def sides(found: Iterable[Reported]) -> dict[int, Any]:
    """Results by choice."""
    return {one.choice: one.results for one in found}


def test_the_inner_form() -> None:
    """The prompt's results and each choice's, of a whole answer or a chunk."""
    choices = [{"index": 0}, {"index": 1, "content_filter_results": REFUSED}]
    answer = {"choices": choices, "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]}
    assert sides(reported(answer)) == {PROMPT_SIDE: SAFE, 1: REFUSED}
    assert sides(reported({"choices": [{"index": 0, "delta": {"content": "a"}}]})) == {}


@pytest.mark.parametrize(
    ("holder", "category"),
    [({}, None), ({"stop_details": {"category": None}}, None), ({"stop_details": {"category": "cyber"}}, "cyber")],
)
def test_anthropic(holder: dict[str, Any], category: str | None) -> None:
    """A refusal, whole or in the event that tells why an answer stopped; the policy is a detail of it."""
    stopped = {"stop_reason": "refusal", **holder}
    found = [sides(reported_by_anthropic(one)) for one in (stopped, {"type": "message_delta", "delta": stopped})]
    assert found[0] == found[1]
    details = found[0][0]["refusal"].get("details")
    assert details == (category and [{"id": category, "filtered": True, "detected": True}])
    assert sides(reported_by_anthropic({"type": "message", "stop_reason": "end_turn"})) == {}


def test_gemini() -> None:
    """The prompt's feedback, and each candidate's ratings and reason."""
    low = {"category": "HARM_CATEGORY_HARASSMENT", "probability": "LOW"}
    piece = {
        "promptFeedback": {"blockReason": "JAILBREAK"},
        "candidates": [
            {"index": 3, "safetyRatings": [low]},
            {"finishReason": "RECITATION"},
            {"finishReason": "STOP"},
            7,
        ],
    }
    assert sides(reported_by_gemini(piece)) == {
        PROMPT_SIDE: {"jailbreak": {"filtered": True, "detected": True}},
        3: {"hate": {"filtered": False, "severity": "low"}},
        1: {"protected_material_text": {"filtered": True, "detected": True}},
    }


def test_responses() -> None:
    """A whole response, and the event that ends one; pieces say nothing."""
    filters = [{"source_type": "prompt", "content_filter_results": SAFE}]
    whole = {"object": "response", "status": "completed", "content_filters": filters}
    assert sides(reported_by_responses(whole)) == {PROMPT_SIDE: SAFE}
    assert sides(reported_by_responses({"type": "response.completed", "response": whole})) == {PROMPT_SIDE: SAFE}
    assert sides(reported_by_responses({"type": "response.output_text.delta", "delta": "a"})) == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["refusal", "message_delta", "response.completed"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("type", "delta", "stop_reason", "stop_details", "candidates", "promptFeedback", "safetyRatings"),
                    *("response", "content_filters", "moderation", "index", "finishReason", "blockReason", "input"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["type", "delta", "candidates", "promptFeedback", "response"]), values))
def test_anything_is_survived(piece: dict[str, Any]) -> None:
    """Whatever is passed through, nothing raises."""
    for read in (reported_by_anthropic, reported_by_gemini, reported_by_responses):
        assert all(isinstance(one.results, dict) for one in read(piece))
