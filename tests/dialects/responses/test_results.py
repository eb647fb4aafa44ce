"""What hosts of the Responses API say of safety, whole and streamed, in the form that everybody tells it."""

from typing import Any

import pytest

from tollhouse.dialects.responses.decode import read_reply
from tollhouse.dialects.responses.events import Events

SAFE = {"hate": {"filtered": False, "severity": "safe"}}
HIGH = {"hate": {"filtered": True, "severity": "high"}}
JAILBREAK = {"jailbreak": {"filtered": False, "detected": True}}


def side(source: str, found: dict[str, Any], **more: Any) -> dict[str, Any]:
    """One entry of Azure's ``content_filters``."""
    offsets = {"start_offset": 0, "end_offset": 9, "check_offset": 0}
    return {"blocked": False, "source_type": source, "content_filter_results": found, **more} | {
        "content_filter_offsets": offsets,
        "content_filter_raw": [],
    }


FLAGGED = {
    "type": "moderation_result",
    "flagged": True,
    "model": "omni-moderation-latest",
    "categories": {"self-harm/intent": True, "hate": False},
    "category_scores": {"self-harm/intent": 0.7, "hate": 0.1},
}
GRADED = {"self_harm": {"filtered": False, "severity": "medium"}, "hate": {"filtered": False, "severity": "safe"}}


def response(**members: Any) -> dict[str, Any]:
    """A response that says ``x``."""
    item = {"type": "message", "content": [{"type": "output_text", "text": "x"}]}
    return {"id": "resp_1", "status": "completed", "output": [item], **members}


def both_ways(**members: Any) -> list[dict[str, Any]]:
    """The same response as a whole answer, and as the last chunk of a stream."""
    last = Events(legacy=False).take({"response": response(**members)}, "response.completed")
    assert last is not None
    return [read_reply(response(**members)), last]


def test_azures_filters() -> None:
    """Several stretches of one side are one; the list itself stays."""
    filters = [side("prompt", JAILBREAK), side("completion", HIGH), side("completion", SAFE), side("x", HIGH), 7]
    for told in both_ways(content_filters=filters):
        assert told["prompt_filter_results"] == [{"prompt_index": 0, "content_filter_results": JAILBREAK}]
        assert told["choices"][0]["content_filter_results"] == HIGH
        assert told["content_filters"] == filters


def test_openais_moderation() -> None:
    """One result for each side, flagged and scored."""
    for told in both_ways(moderation={"input": FLAGGED, "output": FLAGGED}):
        assert told["prompt_filter_results"] == [{"prompt_index": 0, "content_filter_results": GRADED}]
        assert told["choices"][0]["content_filter_results"] == GRADED


def test_an_answer_that_was_cut_says_so() -> None:
    """``incomplete`` for the filter's sake: what was flagged in the answer was the cause."""
    cut = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
    for told in both_ways(moderation={"input": FLAGGED, "output": FLAGGED}, **cut):
        found = told["choices"][0]["content_filter_results"]
        assert {name: entry["filtered"] for name, entry in found.items()} == {"self_harm": True, "hate": False}
        assert told["prompt_filter_results"][0]["content_filter_results"] == GRADED
        assert told["choices"][0]["finish_reason"] == "content_filter"


@pytest.mark.parametrize("odd", [None, 7, "x", [], {}, [[]], [{"source_type": "prompt"}], {"input": 7, "output": []}])
def test_odd_members_say_nothing(odd: Any) -> None:
    """Null in snapshots, and what makes no sense, is no word about safety."""
    for told in both_ways(content_filters=odd, moderation=odd):
        assert "prompt_filter_results" not in told
        assert "content_filter_results" not in told["choices"][0]
