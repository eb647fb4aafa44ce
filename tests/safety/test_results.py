"""What clients are told, and what is made of what an upstream says."""

import msgspec
import pytest

from tollhouse.safety.policy import Policies
from tollhouse.safety.results import Shape, Upstream, prompt_filter_results, read_upstream, told
from tollhouse.settings.safety import Safety
from tollhouse.types.safety import CLEAN, COMPLETION, HARMS, HIGH, LOW, MEDIUM, PROMPT, Finding, Verdict

SAFE_HARMS = {name: {"filtered": False, "severity": "safe"} for name in HARMS}
NOT_DETECTED = {"filtered": False, "detected": False}
OFF = {"filtered": False, "detected": None, "detector": "off"}
HOSTILE: list[object] = [
    *(None, 1, "x", [], {}, {"hate": None}, {"hate": []}, {"hate": "high"}, {3: {"filtered": True}}),
    *({"hate": {"filtered": "yes", "severity": 7}}, {"custom_blocklists": {"details": 3}}, {"error": {"code": []}}),
    {"custom_blocklists": {"filtered": True, "details": [None, 3, {"id": 4, "filtered": True}, {"id": "x"}]}},
    *({"jailbreak": {"detected": 1}}, {"custom_topics": {"details": [{"detected": True}]}}, {"x": {"": {"y": [1]}}}),
    {
        "hate": {"filtered": True, "severity": {"deep": [1]}},
        "personally_identifiable_information": {"sub_categories": 1},
    },
]


def upstream(raw: object) -> Upstream:
    """What an upstream says, which is something."""
    read = read_upstream(raw)
    assert read is not None
    return read


# --- our own -----------------------------------------------------------------------------------------------------


def test_a_clean_prompt() -> None:
    """Four harms, jailbreak, profanity: always, and no more."""
    expected = {**SAFE_HARMS, "jailbreak": NOT_DETECTED, "profanity": NOT_DETECTED}
    assert told(Shape(PROMPT), CLEAN) == expected
    assert prompt_filter_results(expected) == [{"prompt_index": 0, "content_filter_results": expected}]


def test_a_clean_answer() -> None:
    """Four harms, profanity, protected text and code."""
    material = {"protected_material_text": NOT_DETECTED, "protected_material_code": NOT_DETECTED}
    assert told(Shape(COMPLETION), CLEAN) == {**SAFE_HARMS, "profanity": NOT_DETECTED, **material}


def test_a_detector_that_is_off_says_so() -> None:
    """Where no texts are configured nobody looked, and nothing is claimed to be safe."""
    results = Policies(Safety()).resolve().decide(CLEAN, COMPLETION).results
    assert results["protected_material_text"] == results["protected_material_code"] == OFF
    licensed = Policies(Safety(licences=True)).resolve().decide(CLEAN, COMPLETION).results
    assert licensed["protected_material_code"] == NOT_DETECTED


def test_lists_are_told_where_a_policy_has_them() -> None:
    """The members for lists, topics and personal data are there whether something was found or not."""
    results = told(Shape(PROMPT, blocklists=True, topics=True, personal=True), CLEAN)
    assert results["custom_blocklists"] == results["custom_topics"] == {"filtered": False, "details": []}
    assert results["personally_identifiable_information"] == {
        "filtered": False,
        "detected": False,
        "sub_categories": [],
    }


def test_the_worst_of_a_category_is_told_with_its_origin() -> None:
    """Where a judge says worse than the classifier its name is told; where it says the same, the classifier stands."""
    local, guard = Finding("hate", LOW), Finding("hate", HIGH, "guard")
    assert told(Shape(PROMPT), Verdict((local, guard)))["hate"] == {
        "filtered": False,
        "severity": "high",
        "origin": "guard",
    }
    assert "origin" not in told(Shape(PROMPT), Verdict((Finding("hate", LOW, "guard"), local)))["hate"]


def test_a_licence_is_cited() -> None:
    """Code with the header of a licence comes with Azure's citation."""
    results = told(Shape(COMPLETION), Verdict((Finding("protected_material_code", HIGH, detail="MIT"),)))
    assert results["protected_material_code"] == {
        "filtered": False,
        "detected": True,
        "citation": {"URL": "https://spdx.org/licenses/MIT.html", "license": "MIT"},
    }


def test_a_judge_that_failed_is_told() -> None:
    """The member ``error`` names it; what was found meanwhile stays."""
    results = told(Shape(PROMPT), Verdict((Finding("hate", LOW),), failed=("guard", "other")))
    assert results["error"] == {"code": 503, "message": "Did not answer: guard, other."}
    assert results["hate"]["severity"] == "low"


def test_a_category_of_a_judges_own() -> None:
    """What has no place of its own is told as a detection."""
    assert told(Shape(PROMPT), Verdict((Finding("illicit", LOW, "guard"),)))["illicit"] == {
        "filtered": False,
        "detected": True,
        "origin": "guard",
    }


# --- an upstream's -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", HOSTILE)
def test_an_upstream_may_say_anything(raw: object) -> None:
    """Nothing that an upstream sends raises, and what is told of it is JSON in the usual shape."""
    read = read_upstream(raw)
    for name in ("strict", "minimal"):
        decision = Policies(Safety()).named(name).decide(CLEAN, COMPLETION, read)
        msgspec.json.encode(decision.results)
        assert isinstance(decision.results["hate"]["filtered"], bool)
    assert read is None or read.verdict.level("violence") == 0


@pytest.mark.parametrize(
    ("said", "level"),
    [
        ({"filtered": False, "severity": "safe"}, 0),
        ({"filtered": False, "severity": "medium"}, MEDIUM),
        ({"filtered": True, "severity": "safe"}, LOW),
        ({"filtered": True}, HIGH),
        ({"filtered": True, "severity": "dire"}, HIGH),
        ({"filtered": False, "detected": True}, HIGH),
        ({"filtered": False, "detected": False}, 0),
    ],
)
def test_an_upstreams_words_have_levels(said: dict[str, object], level: int) -> None:
    """By severity where it is known; what was filtered or detected without one is high."""
    verdict = upstream({"hate": said}).verdict
    assert verdict.level("hate") == level
    assert all(finding.origin == "upstream" for finding in verdict.findings)


def test_what_an_upstream_filtered_stays_filtered() -> None:
    """Under a policy that blocks nothing too, and its severity is told with its origin."""
    raw = {"violence": {"filtered": True, "severity": "medium"}}
    decision = Policies(Safety()).resolve().decide(Verdict((Finding("violence", LOW),)), COMPLETION, upstream(raw))
    assert decision.results["violence"] == {"filtered": True, "severity": "medium", "origin": "upstream"}
    assert not decision.blocked


def test_what_only_an_upstream_knows_survives() -> None:
    """Categories and members that we do not have are passed on word for word."""
    spans = [{"completion_start_offset": 0, "completion_end_offset": 5}]
    citation = {"URL": "https://lib.example", "license": "MIT"}
    raw: dict[str, dict[str, object]] = {
        "ungrounded_material": {"filtered": False, "detected": True, "details": spans},
        "indirect_attack": {"filtered": False, "detected": False},
        "protected_material_code": {"filtered": False, "detected": True, "citation": citation},
        "custom_blocklists": {"filtered": True, "details": [{"filtered": True, "id": "theirs"}]},
        "custom_topics": {"filtered": False, "details": [{"detected": False, "id": "t"}]},
        "error": {"code": "late", "message": "too late"},
    }
    results = Policies(Safety()).resolve().decide(CLEAN, COMPLETION, upstream(raw)).results
    for name, said in raw.items():
        assert {member: results[name][member] for member in said} == said
        assert results[name]["origin"] == "upstream"


def test_lists_of_both_are_told_together() -> None:
    """Our block list and the upstream's stand beside each other."""
    ours = Verdict((Finding("custom_blocklists", HIGH, detail="ours"),))
    raw = {"custom_blocklists": {"filtered": True, "details": [{"filtered": True, "id": "theirs"}]}}
    results = Policies(Safety()).resolve().decide(ours, PROMPT, upstream(raw)).results
    assert results["custom_blocklists"]["details"] == [
        {"filtered": False, "id": "ours"},
        {"filtered": True, "id": "theirs"},
    ]


def test_an_upstream_that_looked_stands_for_a_detector_that_is_off() -> None:
    """Where nobody looks here, what the upstream says is told as its own."""
    results = (
        Policies(Safety()).resolve().decide(CLEAN, COMPLETION, upstream({"protected_material_text": NOT_DETECTED}))
    )
    assert results.results["protected_material_text"] == {**NOT_DETECTED, "origin": "upstream"}


def test_another_tollhouse_upstream_does_not_turn_ours_off() -> None:
    """Its members of ours are about its own detectors."""
    made = (
        Policies(Safety(licences=True)).resolve().decide(CLEAN, COMPLETION, upstream({"protected_material_code": OFF}))
    )
    assert made.results["protected_material_code"] == NOT_DETECTED


def test_shared_results_are_not_changed_by_a_merge() -> None:
    """What one answer is told leaves no trace in the next."""
    made = Policies(Safety()).resolve()
    before = msgspec.json.encode(made.decide(CLEAN, COMPLETION).results)
    made.decide(CLEAN, COMPLETION, upstream({name: {"filtered": True} for name in HARMS}))
    assert msgspec.json.encode(made.decide(CLEAN, COMPLETION).results) == before
