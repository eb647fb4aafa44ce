"""What Bedrock's guardrails found, in whole answers and streams, in the form that everybody tells it."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialects.bedrock.frames import event
from tollhouse.dialects.bedrock.decode import ConverseReader
from tollhouse.dialects.bedrock.guardrail import results_of

WITHHELD = {"filtered": True, "detected": True}


def said(**policies: Any) -> dict[str, Any]:
    """The results of an answer that a guardrail assesses so."""
    return results_of({"guardrail": {"outputAssessments": {"g": [policies]}}}, "end_turn")[1]


def content(kind: str, confidence: str = "HIGH", action: str = "NONE", **more: Any) -> dict[str, Any]:
    """An assessment with one content filter."""
    return {"contentPolicy": {"filters": [{"type": kind, "confidence": confidence, "action": action, **more}]}}


@pytest.mark.parametrize(
    ("kind", "category"),
    [
        ("HATE", "hate"),
        ("INSULTS", "hate"),
        ("SEXUAL", "sexual"),
        ("VIOLENCE", "violence"),
        ("MISCONDUCT", "misconduct"),
    ],
)
def test_content_filters(kind: str, category: str) -> None:
    """Confidence is severity; what is no category of Azure's keeps its own name."""
    assert said(**content(kind, "MEDIUM", "BLOCKED")) == {category: {"filtered": True, "severity": "medium"}}
    assert said(**content(kind, "NONE", detected=False)) == {category: {"filtered": False, "severity": "safe"}}


def test_a_prompt_attack_is_a_jailbreak() -> None:
    """It is detected or not."""
    assert said(**content("PROMPT_ATTACK", "LOW", "BLOCKED")) == {"jailbreak": WITHHELD}
    assert said(**content("PROMPT_ATTACK", "NONE")) == {"jailbreak": {"filtered": False, "detected": False}}


def test_words_and_topics() -> None:
    """Lists of words and denied topics are told by name, and what was matched is told nowhere."""
    word = {"match": "SECRET", "action": "BLOCKED", "detected": True}
    found = said(
        wordPolicy={"customWords": [word], "managedWordLists": [{**word, "type": "PROFANITY", "action": "NONE"}]},
        topicPolicy={"topics": [{"name": "Finance", "type": "DENY", "action": "BLOCKED"}]},
    )
    assert found == {
        "custom_topics": {**WITHHELD, "details": [{"id": "Finance", **WITHHELD}]},
        "custom_blocklists": WITHHELD,
        "profanity": {"filtered": False, "detected": True},
    }


def test_personal_data_is_told_by_its_kind() -> None:
    """What is masked is not withheld, and said to be masked; the text itself is not repeated."""
    entity = {"match": "SECRET", "type": "EMAIL", "action": "ANONYMIZED"}
    named = {"match": "SECRET", "name": "badge", "regex": "x", "action": "BLOCKED"}
    found = said(sensitiveInformationPolicy={"piiEntities": [entity, entity], "regexes": [named]})
    assert found == {
        "personally_identifiable_information": {
            "filtered": True,
            "detected": True,
            "sub_categories": [
                {"sub_category": "EMAIL", "filtered": False, "detected": True, "redacted": True},
                {"sub_category": "badge", "filtered": True, "detected": True, "redacted": False},
            ],
        }
    }


def test_grounding() -> None:
    """An answer that does not follow from its sources, or not from the question."""
    one = {"threshold": 0.7, "score": 0.2, "action": "BLOCKED", "detected": True}
    filters = [{"type": "GROUNDING", **one}, {"type": "RELEVANCE", **one, "action": "NONE", "detected": False}]
    assert said(contextualGroundingPolicy={"filters": filters}) == {
        "ungrounded_material": WITHHELD,
        "irrelevant_material": {"filtered": False, "detected": False},
    }


TRACE = {
    "guardrail": {
        "inputAssessment": {"g": content("HATE", "LOW")},
        "outputAssessments": {"g": [content("VIOLENCE", "HIGH", "BLOCKED"), content("VIOLENCE", "LOW")]},
    }
}
PROMPT = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "low"}}}]
SAID = {"violence": {"filtered": True, "severity": "high"}}
USAGE = {"inputTokens": 1, "outputTokens": 2, "totalTokens": 3}


def test_a_whole_answer() -> None:
    """The trace stays, and what it says of both sides stands where safety results do."""
    body = {"output": {"message": {"content": [{"text": "No."}]}}, "stopReason": "guardrail_intervened", "trace": TRACE}
    reply = ConverseReader(claude=False, custom=frozenset()).reply(json.dumps(body).encode())
    assert (reply["prompt_filter_results"], reply["choices"][0]["content_filter_results"]) == (PROMPT, SAID)
    assert (reply["trace"], reply["choices"][0]["finish_reason"]) == (TRACE, "content_filter")


STOPPED = b"".join(
    [
        event("messageStart", {"role": "assistant"}),
        event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "No."}}),
        event("messageStop", {"stopReason": "guardrail_intervened"}),
    ]
)
STREAM = STOPPED + event("metadata", {"usage": USAGE, "trace": TRACE})


@pytest.mark.parametrize("size", [len(STREAM), 1])
def test_a_stream(size: int) -> None:
    """The trace comes last, and so do the results, on the chunk with the reason."""
    reader = ConverseReader(claude=False, custom=frozenset())
    chunks = [chunk for at in range(0, len(STREAM), size) for chunk in reader.feed(STREAM[at : at + size])]
    chunks += reader.finish()
    assert ["prompt_filter_results" in chunk for chunk in chunks] == [False, True]
    assert (chunks[-1]["prompt_filter_results"], chunks[-1]["choices"][0]["content_filter_results"]) == (PROMPT, SAID)


def test_a_stream_whose_trace_is_missing_says_who_stopped_it() -> None:
    """A body that ends after the reason is whole; why, nobody told."""
    reader = ConverseReader(claude=False, custom=frozenset())
    chunks = reader.feed(STREAM[: len(STOPPED) + 20]) + reader.finish()
    assert chunks[-1]["choices"][0]["content_filter_results"] == {"guardrail": WITHHELD}


@pytest.mark.parametrize(
    ("stop", "category"),
    [("guardrail_intervened", "guardrail"), ("content_filtered", "content_filter"), ("refusal", "refusal")],
)
def test_who_withheld_is_said_where_nothing_else_is(stop: str, category: str) -> None:
    """Without a trace the reason is all there is; one that names the cause is enough."""
    assert results_of(None, stop) == ({}, {category: WITHHELD})
    asked, answered = results_of({"guardrail": {"inputAssessment": {"g": content("HATE", "LOW", "BLOCKED")}}}, stop)
    assert (asked["hate"]["filtered"], answered) == (True, {})


def test_a_trace_that_found_nothing_says_nothing() -> None:
    """A guardrail lists what it found: an empty list is no proof of safety."""
    empty = {"g": {"invocationMetrics": {"guardrailProcessingLatency": 397}}}
    trace = {"guardrail": {"inputAssessment": empty, "modelOutput": [], "outputAssessments": {"g": [empty["g"]]}}}
    assert results_of(trace, "end_turn") == ({}, {})


NAMES = (
    *("guardrail", "inputAssessment", "outputAssessments", "contentPolicy", "wordPolicy", "topicPolicy", "filters"),
    *("sensitiveInformationPolicy", "piiEntities", "topics", "customWords", "type", "action", "confidence", "name"),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["HIGH", "HATE", "BLOCKED", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=25,
)


@settings(deadline=None)
@given(values)
def test_anything_is_survived(trace: Any) -> None:
    """Whatever a trace is, nothing raises, and what is told is in shape."""
    for results in results_of({"guardrail": trace}, "end_turn"):
        assert all(type(entry["filtered"]) is bool for entry in results.values())
