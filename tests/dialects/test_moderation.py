"""OpenAI's ``moderation``, told as everybody tells safety results."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.moderation import add_moderation, category_of


def results(*each: dict[str, float], flagged: tuple[str, ...] = ()) -> dict[str, Any]:
    """One side, with these scores for each result."""
    made = [
        {
            "type": "moderation_result",
            "flagged": True,
            "categories": {n: n in flagged for n in one},
            "category_scores": one,
        }
        for one in each
    ]
    return {"type": "moderation_results", "model": "omni-moderation-latest", "results": made}


def told(answer: dict[str, Any], *, choices: int = 1, cut: tuple[int, ...] = ()) -> tuple[Any, list[Any]]:
    """The results of the prompt, and those of each choice."""
    made: list[dict[str, Any]] = [{"index": index} for index in range(choices)]
    add_moderation(answer, made, cut=frozenset(cut))
    found = answer.get("prompt_filter_results")
    return found and found[0]["content_filter_results"], [one.get("content_filter_results") for one in made]


SCORES = {"harassment": 0.4, "harassment/threatening": 0.46, "hate": 0.03, "violence": 0.95, "illicit/violent": 0.05}


def test_a_flag_has_the_severity_of_its_score() -> None:
    """What is not flagged is safe, whatever its score; harassment is hate, as Azure has it."""
    side = results(SCORES, flagged=("harassment", "harassment/threatening", "violence"))
    prompt, (completion,) = told({"moderation": {"input": side, "output": results({"hate": 0.99})}})
    assert prompt == {
        "hate": {"filtered": False, "severity": "low"},
        "violence": {"filtered": False, "severity": "high"},
        "illicit": {"filtered": False, "severity": "safe"},
    }
    assert completion == {"hate": {"filtered": False, "severity": "safe"}}


@pytest.mark.parametrize(
    ("word", "score", "severity"),
    [("hate", 0.49, "low"), ("hate", 0.5, "medium"), ("hate", 0.8, "high"), ("sexual/minors", 0.1, "high")],
)
def test_severities(word: str, score: float, severity: str) -> None:
    """Half sure is medium, nearly sure high; what concerns minors is never less."""
    _, (completion,) = told({"moderation": {"output": results({word: score}, flagged=(word,))}})
    assert completion == {word.partition("/")[0]: {"filtered": False, "severity": severity}}


def test_nothing_was_withheld_unless_the_answer_ended_so() -> None:
    """A flag alone is no block: OpenAI answers flagged prompts too. Where a filter ended the answer, flags are why."""
    flagged = {"moderation": {"input": results({"hate": 0.9}, flagged=("hate",)), "output": results({"violence": 0.9})}}
    prompt, _ = told(dict(flagged))
    assert prompt["hate"]["filtered"] is False
    prompt, (completion,) = told(dict(flagged), cut=(0,))
    assert (prompt["hate"]["filtered"], completion["violence"]["filtered"]) == (True, False)
    both = {"moderation": {**flagged["moderation"], "output": results({"violence": 0.9}, flagged=("violence",))}}
    prompt, (completion,) = told(both, cut=(0,))
    assert (prompt["hate"]["filtered"], completion["violence"]["filtered"]) == (False, True)


def test_each_choice_has_its_result() -> None:
    """As many results as choices are one each; otherwise nobody knows whose they are, and all have the worst."""
    two = results({"hate": 0.9}, {"hate": 0.1}, flagged=("hate",))
    _, choices = told({"moderation": {"output": two}}, choices=2)
    assert [one["hate"]["severity"] for one in choices] == ["high", "low"]
    _, choices = told({"moderation": {"output": two}}, choices=3)
    assert [one["hate"]["severity"] for one in choices] == ["high"] * 3


def test_what_azure_says_stands_beside_it() -> None:
    """Results that are there already are not lost."""
    choice: dict[str, Any] = {
        "index": 0,
        "content_filter_results": {"jailbreak": {"filtered": False, "detected": True}},
    }
    add_moderation({"moderation": {"output": results({"hate": 0.1})}}, [choice], cut=frozenset())
    assert choice["content_filter_results"].keys() == {"jailbreak", "hate"}


def test_an_error_says_nothing() -> None:
    """A moderation that failed leaves no results; its own member says so."""
    failed = {"type": "error", "code": "server_error", "message": "x"}
    assert told({"moderation": {"input": failed, "output": failed}}) == (None, [None])


@pytest.mark.parametrize("word", [7, None, "", "/", "\x00", "x" * 100, "ä/b"])
def test_strange_words_are_no_categories(word: object) -> None:
    """Only what can be a name is one."""
    assert category_of(word) == ""


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["input", "output", "results", "categories", "category_scores", "hate"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(values)
def test_anything_is_survived(value: Any) -> None:
    """Whatever stands in the member, nothing raises, and what is told is in shape."""
    prompt, completions = told({"moderation": value})
    for found in (prompt, *completions):
        assert all(entry.keys() == {"filtered", "severity"} for entry in (found or {}).values())
