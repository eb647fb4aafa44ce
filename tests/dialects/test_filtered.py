"""Safety results of hosts: how they are made, put together, and what of a host's own makes sense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.filtered import (
    Results,
    detect,
    is_filtered,
    level_of,
    name_of,
    rate,
    sides,
    tidy_prompt,
    tidy_results,
    worse,
)

SAFE = {"filtered": False, "severity": "safe"}
LOW = {"filtered": True, "severity": "low"}
HIGH = {"filtered": False, "severity": "high"}
FOUND = {"filtered": False, "detected": True}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["high", "prompt", "completion"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["hate", "self-harm", "filtered", "severity", "detected", "error", "content_filter_results", "\x00"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


def test_the_worse_word_on_a_category_counts() -> None:
    """Said twice, a category has the higher severity, and is filtered where either says so."""
    results: Results = {}
    rate(results, "hate", 3)
    rate(results, "hate", 1, filtered=True)
    detect(results, "jailbreak", detected=False)
    detect(results, "jailbreak", filtered=True, detail="x" * 1000)
    assert results["hate"] == {"filtered": True, "severity": "high"}
    assert results["jailbreak"] == {
        "filtered": True,
        "detected": True,
        "details": [{"id": "x" * 128, "filtered": True, "detected": True}],
    }


def test_a_category_that_is_found_and_graded_stays_graded() -> None:
    """Two reports of one category never make an entry that claims both."""
    results: Results = {}
    detect(results, "hate")
    rate(results, "hate", 1)
    detect(results, "hate", filtered=True)
    assert results["hate"] == {"filtered": True, "detected": True, "severity": "high"}


def test_there_is_an_end_to_categories() -> None:
    """A host cannot fill a report with names of its own."""
    results: Results = {}
    for number in range(1000):
        rate(results, f"a{'b' * number}", 1)
        detect(results, f"c{'d' * number}")
        detect(results, "a", detail=f"{number}")
    assert len(results) == 64
    assert len(results["a"]["details"]) == 64


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("HATE", "hate"),
        ("self-harm", "self_harm"),
        ("a b", "a_b"),
        ("", ""),
        ("x\n", ""),
        (7, ""),
        ("a" * 49, ""),
        ("a1", ""),
    ],
)
def test_names_are_words(word: object, name: str) -> None:
    """A category is a short lower-case word, or none."""
    assert name_of(word) == name


@pytest.mark.parametrize(
    ("entry", "level"),
    [(SAFE, 0), (LOW, 1), (HIGH, 3), (FOUND, 3), ({"filtered": True}, 3), ({"detected": False}, 0), ({}, 0)],
)
def test_levels(entry: dict[str, Any], level: int) -> None:
    """What is found without being graded is high."""
    assert level_of(entry) == level


def test_two_reports_are_one() -> None:
    """Of each category the worse stands, and what only one of them says stays."""
    both = worse({"hate": LOW, "sexual": SAFE}, {"hate": HIGH, "violence": SAFE})
    assert both == {"hate": {"filtered": True, "severity": "high"}, "sexual": SAFE, "violence": SAFE}
    assert worse({"hate": HIGH}, {"hate": LOW})["hate"] == {"filtered": True, "severity": "high"}


def test_sound_results_stay_the_object_they_are() -> None:
    """Azure's own results are passed on as they came, details and all."""
    given_: dict[str, Any] = {
        "hate": SAFE,
        "profanity": FOUND,
        "custom_blocklists": {"filtered": True, "details": [{"filtered": True, "id": "l"}]},
        "protected_material_code": {**FOUND, "citation": {"URL": "u", "license": "MIT"}},
        "error": {"code": "content_filter_error", "message": "The contents are not filtered"},
    }
    assert tidy_results(given_) is given_
    assert tidy_results({}) == {}
    assert is_filtered(given_)


def test_what_makes_no_sense_is_left_out() -> None:
    """Wrong types and names go; older forms are made the newer."""
    odd: dict[Any, Any] = {
        "self-harm": SAFE,
        "hate": {"filtered": "yes", "severity": "high"},
        "sexual": {"filtered": True, "severity": "terrible"},
        "jailbreak": {"filtered": True, "detected": 1},
        "violence": None,
        "\x00": SAFE,
        "custom_blocklists": [{"filtered": True, "id": "l"}, 7],
    }
    assert tidy_results(odd) == {
        "self_harm": SAFE,
        "custom_blocklists": {"filtered": True, "details": [{"filtered": True, "id": "l"}]},
    }
    assert tidy_results([]) is None
    assert tidy_prompt([{"content_filter_result": {"hate": SAFE}, "prompt_index": "x"}, 7, {"prompt_index": 1}]) == [
        {"prompt_index": 0, "content_filter_results": {"hate": SAFE}}
    ]


def test_several_stretches_of_one_side_are_one() -> None:
    """Responses of Azure's report each side once or more often."""
    filters = [
        {"source_type": "completion", "content_filter_results": {"hate": SAFE}},
        {"source_type": "completion", "content_filter_results": {"hate": HIGH}},
        {"source_type": "prompt", "content_filter_results": {"jailbreak": FOUND}},
        {"source_type": "tool", "content_filter_results": {"hate": HIGH}},
        {"source_type": []},
    ]
    assert sides(filters) == {"completion": {"hate": HIGH}, "prompt": {"jailbreak": FOUND}}


@given(json_values)
def test_anything_is_read(value: Any) -> None:
    """Whatever a host sends, what is kept has a boolean for what was filtered, and a level."""
    kept = [
        tidy_results(value),
        *sides([value]).values(),
        *(one["content_filter_results"] for one in tidy_prompt([value])),
    ]
    for results in kept:
        for category, entry in worse(results or {}, results or {}).items():
            assert category == name_of(category)
            assert category == "error" or type(entry["filtered"]) is bool
            assert level_of(entry) in range(4)
