"""What Gemini says of safety, in whole answers and streams, in the form that everybody tells it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.filtered import Results
from tollhouse.dialects.gemini.decode import GeminiReader, Wanted
from tollhouse.dialects.gemini.ratings import add_ratings, candidate_results, prompt_results
from tollhouse.dialects.gemini.words import FINISH_OF_REASON
from tollhouse.errors import UpstreamInterrupted

WITHHELD = {"filtered": True, "detected": True}


def rating(category: str, probability: str = "NEGLIGIBLE", **more: Any) -> dict[str, Any]:
    """One entry of ``safetyRatings``."""
    return {"category": f"HARM_CATEGORY_{category}", "probability": probability, **more}


def rated(*ratings: Any) -> Results:
    """The results of these."""
    results: Results = {}
    add_ratings(results, list(ratings))
    return results


@pytest.mark.parametrize(
    ("category", "ours"),
    [
        ("HARASSMENT", "hate"),
        ("HATE_SPEECH", "hate"),
        ("IMAGE_HATE", "hate"),
        ("IMAGE_HARASSMENT", "hate"),
        ("SEXUALLY_EXPLICIT", "sexual"),
        ("IMAGE_SEXUALLY_EXPLICIT", "sexual"),
        ("DANGEROUS_CONTENT", "dangerous_content"),
        ("CIVIC_INTEGRITY", "civic_integrity"),
        ("VIOLENCE", "violence"),
    ],
)
def test_every_category_has_a_name(category: str, ours: str) -> None:
    """Harassment counts under hate; what is no category of Azure's keeps its own name."""
    assert rated(rating(category, "MEDIUM")) == {ours: {"filtered": False, "severity": "medium"}}


@pytest.mark.parametrize(
    ("probability", "severity"), [("NEGLIGIBLE", "safe"), ("LOW", "low"), ("MEDIUM", "medium"), ("HIGH", "high")]
)
def test_probability_is_severity(probability: str, severity: str) -> None:
    """Vertex' own severity counts only where there is no probability."""
    one = rating("HATE_SPEECH", probability, severity="HARM_SEVERITY_HIGH", probabilityScore=0.1)
    assert rated(one)["hate"]["severity"] == severity
    del one["probability"]
    assert rated(one)["hate"]["severity"] == "high"


def test_the_worse_of_two_categories_that_are_one_counts() -> None:
    """Hate is as bad as the worse of harassment and hate speech, and filtered where either was blocked."""
    both = rated(rating("HARASSMENT", "HIGH"), rating("HATE_SPEECH", "LOW", blocked=True))
    assert both == {"hate": {"filtered": True, "severity": "high"}}


@pytest.mark.parametrize(("probability", "detected"), [("LOW", False), ("MEDIUM", True), ("HIGH", True)])
def test_a_jailbreak_is_detected(probability: str, detected: bool) -> None:
    """It is one or it is none."""
    assert rated(rating("JAILBREAK", probability)) == {"jailbreak": {"filtered": False, "detected": detected}}


@pytest.mark.parametrize(
    ("reason", "category"),
    [
        ("SAFETY", "harm"),
        ("IMAGE_SAFETY", "harm"),
        ("BLOCKLIST", "custom_blocklists"),
        ("PROHIBITED_CONTENT", "prohibited_content"),
        ("SPII", "personally_identifiable_information"),
        ("RECITATION", "protected_material_text"),
        ("MODEL_ARMOR", "model_armor"),
    ],
)
def test_a_candidate_that_was_stopped_says_why(reason: str, category: str) -> None:
    """The category is the reason's."""
    assert candidate_results({}, reason) == {category: WITHHELD}


def test_safety_without_a_name_is_said_once() -> None:
    """Where a rating says which category was blocked, the reason adds nothing."""
    blocked = rated(rating("SEXUALLY_EXPLICIT", "HIGH", blocked=True))
    assert candidate_results(blocked, "SAFETY") == {"sexual": {"filtered": True, "severity": "high"}}


@pytest.mark.parametrize("reason", [reason for reason, word in FINISH_OF_REASON.items() if word != "content_filter"])
def test_other_reasons_say_nothing_of_safety(reason: str) -> None:
    """An answer that just ends was not filtered."""
    assert candidate_results({}, reason) == {}


@pytest.mark.parametrize(
    ("reason", "category"),
    [
        ("JAILBREAK", "jailbreak"),
        ("OTHER", "other"),
        ("SAFETY", "harm"),
        ("NEW_REASON", "new_reason"),
        ({"a": 1}, "other"),
        ("42", "other"),
    ],
)
def test_a_prompt_that_was_refused_says_why(reason: Any, category: str) -> None:
    """Reasons that nobody knows yet keep their own name."""
    assert prompt_results({"blockReason": reason}) == {category: WITHHELD}


# --- in answers ---------------------------------------------------------------------------------------------------


def answer(text: str, *ratings: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    """A piece of an answer."""
    candidate: dict[str, Any] = {
        "content": {"parts": [{"text": text}], "role": "model"},
        "safetyRatings": list(ratings),
    }
    return {"candidates": [candidate | ({"finishReason": reason} if reason else {})], "responseId": "r", **more}


def stream(*pieces: dict[str, Any], size: int = 0) -> list[dict[str, Any]]:
    """The chunks of a stream, in reads of this many bytes."""
    body = b"".join(b"data: " + json.dumps(piece).encode() + b"\r\n\r\n" for piece in pieces)
    reader, step = GeminiReader(Wanted()), size or len(body)
    return [chunk for at in range(0, len(body), step) for chunk in reader.feed(body[at : at + step])] + reader.finish()


FEEDBACK = {"safetyRatings": [rating("HATE_SPEECH", "LOW")]}
PIECES = (
    answer("a", rating("HATE_SPEECH", "HIGH"), promptFeedback=FEEDBACK),
    answer("b", rating("HATE_SPEECH", "LOW")),
    answer("", rating("HATE_SPEECH"), rating("DANGEROUS_CONTENT", "HIGH", blocked=True), reason="SAFETY"),
)
PROMPT = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "low"}}}]


@pytest.mark.parametrize("size", [0, 1])
def test_a_stream_tells_the_worst_at_its_end(size: int) -> None:
    """The prompt's results are on the first chunk, the answer's on its last: of all ratings the worst."""
    chunks = stream(*PIECES, size=size)
    assert [chunk.get("prompt_filter_results") for chunk in chunks] == [PROMPT, None, None]
    choice = chunks[-1]["choices"][0]
    assert choice["content_filter_results"] == {
        "hate": {"filtered": False, "severity": "high"},
        "dangerous_content": {"filtered": True, "severity": "high"},
    }
    assert (choice["finish_reason"], choice["safety_ratings"]) == (
        "content_filter",
        PIECES[2]["candidates"][0]["safetyRatings"],
    )


def test_ratings_are_no_end() -> None:
    """A stream that was cut is broken, whatever it said of safety."""
    with pytest.raises(UpstreamInterrupted):
        stream(*PIECES[:2])


def test_a_whole_answer_tells_the_same() -> None:
    """As one object, or as a list of them."""
    reply = GeminiReader(Wanted()).reply(json.dumps(list(PIECES)).encode())
    assert reply["prompt_filter_results"] == PROMPT
    assert reply["choices"][0]["content_filter_results"]["hate"]["severity"] == "high"
    plain = GeminiReader(Wanted()).reply(json.dumps(answer("a", reason="STOP")).encode())
    assert "prompt_filter_results" not in plain
    assert "content_filter_results" not in plain["choices"][0]


@pytest.mark.parametrize("size", [0, 1])
def test_a_refused_prompt_says_nothing_of_the_answer(size: int) -> None:
    """What was found is the prompt's: there is no answer."""
    refused = {"promptFeedback": {"blockReason": "JAILBREAK", "safetyRatings": [rating("HATE_SPEECH", "LOW")]}}
    found = {"hate": {"filtered": False, "severity": "low"}, "jailbreak": WITHHELD}
    (chunk,) = stream(refused, size=size)
    reply = GeminiReader(Wanted()).reply(json.dumps(refused).encode())
    for told in (chunk, reply):
        assert told["prompt_filter_results"] == [{"prompt_index": 0, "content_filter_results": found}]
        assert "content_filter_results" not in told["choices"][0]
        assert told["choices"][0]["finish_reason"] == "content_filter"


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["HIGH", "HARM_CATEGORY_HATE_SPEECH", "", "\x00"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["category", "probability", "severity", "blocked", "safetyRatings", "blockReason"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(values, values)
def test_anything_is_survived(feedback: Any, ratings: Any) -> None:
    """Whatever stands where ratings should, an answer is read, and its results are in shape."""
    piece = answer("a", reason="STOP", promptFeedback=feedback)
    piece["candidates"][0]["safetyRatings"] = ratings
    (chunk, end) = stream(piece)
    found = [one["content_filter_results"] for one in chunk.get("prompt_filter_results", [])]
    found.append(end["choices"][0].get("content_filter_results", {}))
    for results in found:
        assert all(type(entry["filtered"]) is bool and len(entry) == 2 for entry in results.values())
