"""The five templates, and the rule by which they judge."""

import pytest

from tollhouse.safety.templates import CATEGORIES, TEMPLATES, failed
from tollhouse.types.safety import HARMS, HIGH, LOW, MEDIUM, SAFE, SEVERITIES

SEVEN = {*HARMS, "jailbreak", "protected_material_text", "protected_material_code"}
RULES = {
    "strict": (SAFE, True, CATEGORIES),
    "moderate": (MEDIUM, True, CATEGORIES),
    "minimal": (HIGH, False, CATEGORIES),
    "child_safe": (LOW, True, ("sexual", "violence", "self_harm", "hate")),
    "enterprise": (SAFE, True, CATEGORIES),
}
FAILS = {
    # template: the least severity that fails where it was not filtered; None where none does
    "strict": "low",
    "moderate": "medium",
    "minimal": None,
    "child_safe": "low",
    "enterprise": "low",
}


@pytest.mark.parametrize("name", RULES)
def test_a_template_holds_what_the_sdk_has(name: str) -> None:
    """Threshold, whether severities count, and categories are Skytells' (wire-facts B2)."""
    template = TEMPLATES[name]
    assert (template.threshold, template.fail_on_filtered, template.categories) == RULES[name]
    assert set(CATEGORIES) >= SEVEN


@pytest.mark.parametrize("name", FAILS)
@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("category", HARMS)
def test_a_severity_fails_from_the_threshold_but_never_safe(name: str, severity: str, category: str) -> None:
    """What was not filtered fails from the template's threshold on, where the template looks at severities at all."""
    least = FAILS[name]
    expected = least is not None and SEVERITIES.index(severity) >= SEVERITIES.index(least)
    results = {category: {"filtered": False, "severity": severity}}
    assert (failed(TEMPLATES[name], results) == (category,)) is expected


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("category", CATEGORIES)
def test_what_was_filtered_fails_where_its_category_is_looked_at(name: str, category: str) -> None:
    """``filtered`` fails in every template that names the category, whatever the severity."""
    results = {category: {"filtered": True, "severity": "safe"}}
    assert (failed(TEMPLATES[name], results) == (category,)) is (category in TEMPLATES[name].categories)


@pytest.mark.parametrize("name", RULES)
def test_what_was_only_detected_does_not_fail(name: str) -> None:
    """Detections have no severity: until they are filtered, a client's own check lets them pass, as the SDK's does."""
    assert failed(TEMPLATES[name], {"jailbreak": {"filtered": False, "detected": True}}) == ()


def test_any_of_several_results_may_fail() -> None:
    """Prompt and answer are judged together, and each category is told once."""
    low, high = ({"hate": {"filtered": False, "severity": word}} for word in ("low", "high"))
    assert failed(TEMPLATES["moderate"], low, high, high) == ("hate",)
    assert failed(TEMPLATES["moderate"], low) == ()


@pytest.mark.parametrize("said", [None, 1, "high", [], {}, {"severity": 3}, {"filtered": 1}, {"severity": "dire"}])
def test_nonsense_does_not_fail(said: object) -> None:
    """What is no result says nothing."""
    assert failed(TEMPLATES["strict"], {"hate": said}) == ()
