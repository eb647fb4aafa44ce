"""`moderation`, `azure` and `webhook`: their shapes to the letter, and every way to get them wrong."""

import hmac
from hashlib import sha256
from typing import Any

import pytest

from tests.gateway.judges_kit import analysed, moderated, shielded
from tests.safety.judges.kit import ANSWER, GARBAGE, PROMPT, as_findings, found, is_unreadable, judge, question
from tollhouse.safety.judges import azure, moderation, webhook
from tollhouse.safety.judges.asked import HTTP, RELAY, Matter, Unreadable
from tollhouse.safety.judges.kinds import KINDS
from tollhouse.types.safety import HIGH, LOW, MEDIUM
from tollhouse.types.secret import Secret


@pytest.mark.parametrize("kind", ["openai", "azure", "webhook"])
@pytest.mark.parametrize("answer", GARBAGE, ids=repr)
def test_garbage_is_unreadable(kind: str, answer: Any) -> None:
    """No answer of a wrong shape is taken for a clean bill."""
    assert is_unreadable(judge(kind), answer)


# --- OpenAI ------------------------------------------------------------------------------------------------------


def test_the_moderated_text_is_the_one_of_its_side() -> None:
    """It knows no conversation: the prompt, or the answer alone."""
    assert question(judge("openai")).body == {"input": "the prompt"}
    assert question(judge("openai"), ANSWER).body == {"input": "the answer"}
    assert question(judge("openai")).to == RELAY


@pytest.mark.parametrize(
    ("scores", "level"), [({"sexual": 0.3}, LOW), ({"sexual": 0.5}, MEDIUM), ({"sexual": 0.8}, HIGH)]
)
def test_a_flag_is_graded_by_how_sure_it_is(scores: dict[str, float], level: int) -> None:
    """Low, medium from a half, high from four fifths."""
    assert found(judge("openai"), moderated(**scores)) == {"sexual": (level, scores["sexual"])}


def test_minors_are_high_however_sure_it_is() -> None:
    """sexual/minors is sexual, and high."""
    assert found(judge("openai"), moderated(sexual__minors=0.3)) == {"sexual": (HIGH, 0.3)}


def test_every_category_of_openais_has_a_name_of_ours() -> None:
    """The thirteen of the reference, each in one of ours or under its own name."""
    names = {category for categories in moderation.TABLE.values() for category in categories}
    assert len(moderation.TABLE) == 13
    assert names == {"hate", "illicit", "self_harm", "sexual", "violence"}


def test_categories_that_an_older_model_lacks_are_passed_over() -> None:
    """They are null there."""
    answer = moderated(violence=0.9)
    answer["results"][0]["categories"] |= {"illicit": None, "illicit/violent": None}
    assert found(judge("openai"), answer) == {"violence": (HIGH, 0.9)}


def test_a_category_that_nobody_knows_is_not_lost() -> None:
    """New ones keep their names."""
    assert found(judge("openai"), moderated(weapons__biological=0.9)) == {"weapons_biological": (HIGH, 0.9)}


def test_a_flag_without_a_category_is_harm() -> None:
    """Flagged is flagged."""
    answer = moderated()
    answer["results"][0]["flagged"] = True
    assert found(judge("openai"), answer) == {"harm": (HIGH, None)}


def test_what_is_not_flagged_may_be_found_by_stated_thresholds() -> None:
    """The operator may be stricter than the vendor."""
    own = judge("openai", thresholds={"violence": (0.0005, 0.5, 0.9)})
    assert found(own, moderated()) == {"violence": (LOW, 0.001)}


@pytest.mark.parametrize(
    "change",
    [
        {"flagged": "no"},
        {"categories": {}},
        {"categories": {"hate": "yes"}},
        {"categories": {str(n): False for n in range(300)}},
        {"category_scores": {"hate": 2}},
        {"category_scores": [1]},
        {"category_scores": {"hate": "0.1"}},
    ],
    ids=repr,
)
def test_a_moderation_of_a_wrong_shape_is_unreadable(change: dict[str, Any]) -> None:
    """Flags are flags, scores shares, and there are as many as make sense."""
    answer = moderated()
    answer["results"][0] |= change
    with pytest.raises(Unreadable):
        moderation.read(answer)


# --- Azure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("severity", range(8))
def test_two_severities_of_azures_are_one_level(severity: int) -> None:
    """0 and 1 are safe, 2 and 3 low, 4 and 5 medium, 6 and 7 high."""
    levels = [one.level for one in azure.read_analysis(analysed(self_harm=severity))]
    assert levels == [0, severity // 2, 0, 0]


def test_eight_levels_are_asked_for_by_name() -> None:
    """And the version of the API is the operator's."""
    own = judge("azure", eight_levels=True, version="2023-10-01", shield=False)
    asked = question(own)
    assert asked.body["outputType"] == "EightSeverityLevels"
    assert asked.path == "/contentsafety/text:analyze?api-version=2023-10-01"
    assert asked.to == HTTP


def test_an_answer_is_not_shielded() -> None:
    """Attacks are looked for in prompts."""
    own = judge("azure")
    assert len(azure.ask(own, PROMPT)) == 2
    assert len(azure.ask(own, ANSWER)) == 1


def test_of_documents_alone_only_the_shield_is_asked() -> None:
    """The analysis takes no empty text."""
    (asked,) = azure.ask(judge("azure"), Matter("", documents=("d",)))
    assert asked.read is azure.read_shield


@pytest.mark.parametrize(
    "rows",
    [
        [],
        analysed()["categoriesAnalysis"][:3],
        [{"category": "Hate", "severity": 0}] * 4,
        [*analysed()["categoriesAnalysis"][:3], {"category": "Violence", "severity": 8}],
        [*analysed()["categoriesAnalysis"][:3], {"category": "Violence", "severity": True}],
        [*analysed()["categoriesAnalysis"][:3], {"category": "Violence", "severity": None}],
        [*analysed()["categoriesAnalysis"][:3], {"category": "Else", "severity": 0}],
        [*analysed()["categoriesAnalysis"][:3], {"category": ["Violence"], "severity": 0}],
    ],
    ids=repr,
)
def test_an_analysis_that_is_not_of_all_four_is_unreadable(rows: list[Any]) -> None:
    """A category that is missing was not judged."""
    with pytest.raises(Unreadable):
        azure.read_analysis({"categoriesAnalysis": rows})


def test_a_shields_word_is_a_jailbreak_or_an_indirect_attack() -> None:
    """Both are detections."""
    own = judge("azure")
    said = azure.read_shield(shielded(prompt=True, documents=(True,)))
    assert {(one.category, one.level) for one in as_findings(own, said)} == {("jailbreak", 3), ("indirect_attack", 3)}
    assert azure.read_shield(shielded(documents=(False,))) == ()


@pytest.mark.parametrize(
    "answer",
    [
        {"userPromptAnalysis": {}},
        {"userPromptAnalysis": {"attackDetected": "false"}},
        {"userPromptAnalysis": {"attackDetected": False}, "documentsAnalysis": [{}]},
        {"userPromptAnalysis": {"attackDetected": False}, "documentsAnalysis": {"0": True}},
    ],
    ids=repr,
)
def test_a_shield_that_does_not_say_is_unreadable(answer: Any) -> None:
    """What is missing is not false."""
    with pytest.raises(Unreadable):
        azure.read_shield(answer)


# --- webhooks ----------------------------------------------------------------------------------------------------


def test_a_webhook_is_told_the_side_and_the_texts() -> None:
    """An empty list of documents is left out, an empty answer is not."""
    own = judge("webhook")
    assert question(own).body == {"version": 1, "judge": "j", "side": "prompt", "prompt": "the prompt"}
    assert question(own, Matter("p", "")).body["completion"] == ""
    assert question(own, Matter("p", documents=("d",))).body["documents"] == ["d"]


def test_a_signature_is_of_the_time_and_the_body() -> None:
    """As Stripe signs: t=TIME,v1=HMAC-SHA256(secret, TIME.body)."""
    wanted = hmac.new(b"s", b'1700000000.{"a":1}', sha256).hexdigest()
    assert webhook.sign(b'{"a":1}', "s", 1_700_000_000) == f"t=1700000000,v1={wanted}"


def test_requests_carry_no_more_than_the_operator_gave() -> None:
    """Without key and secret there are no such headers."""
    headers = KINDS["webhook"].headers
    assert headers(judge("webhook"), b"{}", 1) == ()
    both = judge("webhook", credential=Secret("k"), secret=Secret("s"))
    assert [name for name, _ in headers(both, b"{}", 1)] == ["authorization", "x-tollhouse-signature"]
    assert KINDS["azure"].headers(judge("azure"), b"{}", 1) == ()


@pytest.mark.parametrize(
    "row",
    [
        {"severity": "high"},
        {"category": "", "severity": "high"},
        {"category": "x" * 65, "severity": "high"},
        {"category": 7, "severity": "high"},
        {"category": "hate"},
        {"category": "hate", "severity": 3},
        {"category": "hate", "severity": "HIGH"},
        {"category": "hate", "severity": ["high"]},
        {"category": "hate", "severity": "high", "detected": True},
        {"category": "hate", "detected": 1},
        {"category": "hate", "detected": True, "score": "1"},
    ],
    ids=repr,
)
def test_a_finding_of_a_wrong_shape_is_unreadable(row: dict[str, Any]) -> None:
    """One of them spoils the answer: what else it says cannot be relied on either."""
    with pytest.raises(Unreadable):
        webhook.read({"findings": [{"category": "hate", "severity": "low"}, row]})


def test_far_too_many_findings_are_unreadable() -> None:
    """There are not so many categories."""
    with pytest.raises(Unreadable):
        webhook.read({"findings": [{"category": str(n), "severity": "low"} for n in range(65)]})
