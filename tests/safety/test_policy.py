"""What follows from a verdict under a policy."""

from timeit import repeat
from types import MappingProxyType

import msgspec
import pytest

from tollhouse.safety.policy import Policies, Policy
from tollhouse.safety.results import read_upstream
from tollhouse.safety.templates import TEMPLATES
from tollhouse.settings.judges import JudgeSettings
from tollhouse.settings.reading import keys
from tollhouse.settings.safety import PERSONAL_KINDS, PolicyKeys, PolicySettings, Safety
from tollhouse.settings.safety import TEMPLATES as NAMES
from tollhouse.settings.safety_files import TermList
from tollhouse.types.safety import CLEAN, COMPLETION, DETECTIONS, HARMS, HIGH, PROMPT, SEVERITIES, Finding, Verdict
from tollhouse.types.tenancy import Tier

SIDES = (PROMPT, COMPLETION)


def found(*findings: Finding) -> Verdict:
    """A verdict of some findings."""
    return Verdict(findings)


def hit(category: str, level: int = HIGH, detail: str = "") -> Verdict:
    """A verdict of one finding."""
    return found(Finding(category, level, detail=detail))


def one(name: str = "mine", /, **stated: object) -> PolicySettings:
    """A policy as a file would state it."""
    return PolicySettings(name, PolicyKeys(**stated), frozenset(stated))  # type: ignore[arg-type]


def settings(*rows: PolicySettings, **flat: object) -> Safety:
    """A ``[safety]`` with some policies."""
    lists = {"rivals": TermList("rivals", ("acme",)), "other": TermList("other", ("x",))}
    return Safety(
        policies={row.name: row for row in rows},
        blocklists=lists,
        topics={"legal": TermList("legal", ("court",))},
        **flat,  # type: ignore[arg-type]
    )


def policy(**stated: object) -> Policy:
    """One policy, alone."""
    return Policies(settings(one("mine", **stated))).named("mine")


def blocks(made: Policy, verdict: Verdict, side: str = PROMPT) -> bool:
    """Whether a policy blocks."""
    return made.decide(verdict, side).blocked


# --- nothing found -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", SIDES)
def test_a_clean_text_is_told_what_is_shared(side: str) -> None:
    """Of a text without findings every decision is one and the same object."""
    made = policy()
    decision = made.decide(CLEAN, side)
    assert decision is made.decide(CLEAN, side)
    assert not decision.blocked
    assert set(decision.results) >= set(HARMS)


@pytest.mark.parametrize("side", [PROMPT, COMPLETION])
def test_what_a_clean_text_is_told_is_json_already(side: str) -> None:
    """It is written once for all answers; what was found in one is an object of its own."""
    made = policy()
    clean, bad = made.decide(CLEAN, side), made.decide(hit("hate"), side)
    assert isinstance(clean.told, msgspec.Raw)
    assert msgspec.json.decode(clean.told) == clean.results
    assert bad.told is bad.results
    observed = made.observe(clean, hit("hate"))
    assert observed.told is observed.results
    assert observed.results["hate"]["severity"] == "high"


def test_a_clean_text_costs_less_than_a_microsecond() -> None:
    """The common case is a comparison and two attributes."""
    made = policy()
    best_s = min(repeat(lambda: made.decide(CLEAN, COMPLETION), number=20_000, repeat=7)) / 20_000
    assert best_s < 1e-6


# --- thresholds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("category", HARMS)
@pytest.mark.parametrize("least", ["off", *SEVERITIES[1:]])
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("side", SIDES)
def test_a_harm_is_filtered_from_its_threshold(category: str, least: str, level: int, side: str) -> None:
    """A level is filtered from the threshold of its category on, and by no other category's."""
    stated = {**dict.fromkeys(HARMS, "off"), category: least}
    decision = policy(**stated).decide(hit(category, level), side)
    expected = least != "off" and level >= SEVERITIES.index(least)
    assert decision.blocked is expected
    assert decision.results[category] == {"filtered": expected, "severity": SEVERITIES[level]}
    assert decision.categories == ((category,) if expected else ())


@pytest.mark.parametrize("category", DETECTIONS)
@pytest.mark.parametrize("wanted", [True, False])
def test_a_detection_is_filtered_where_it_is_on(category: str, *, wanted: bool) -> None:
    """A switch turns the filtering of a detection on and off; what is detected is told in either case."""
    side = COMPLETION if category.startswith("protected") else PROMPT
    decision = policy(**{category: wanted}).decide(hit(category), side)
    assert decision.blocked is wanted
    assert decision.results[category] == {"filtered": wanted, "detected": True}


@pytest.mark.parametrize(
    ("category", "side"),
    [("jailbreak", COMPLETION), ("protected_material_text", PROMPT), ("protected_material_code", PROMPT)],
)
def test_some_detections_are_of_one_side(category: str, side: str) -> None:
    """An answer is no attack on its model, and a prompt may hold what it likes: neither is told nor filtered."""
    decision = policy().decide(hit(category), side)
    assert not decision.blocked
    assert category not in decision.results


@pytest.mark.parametrize(("mode", "blocked"), [("off", False), ("annotate", False), ("block", True)])
def test_only_block_blocks(mode: str, *, blocked: bool) -> None:
    """Annotating tells the severity and filters nothing; off tells nothing."""
    made = policy(mode=mode, hate="low", blocklists=("rivals",))
    decision = made.decide(found(Finding("hate", 3), Finding("custom_blocklists", 3, detail="rivals")), PROMPT)
    assert decision.blocked is blocked
    assert made.is_off is (mode == "off")
    assert decision.results == {} if mode == "off" else decision.results["hate"]["severity"] == "high"


@pytest.mark.parametrize(("prompt", "completion"), [(True, False), (False, True)])
def test_a_policy_may_block_one_side_alone(*, prompt: bool, completion: bool) -> None:
    """The side that is not blocked is annotated."""
    made = policy(prompt=prompt, completion=completion, hate="low")
    assert [blocks(made, hit("hate"), side) for side in SIDES] == [prompt, completion]
    assert [part.blocks for part in (made.prompt, made.completion)] == [prompt, completion]
    assert made.holds_back is completion
    assert made.guards_prompts is prompt


@pytest.mark.parametrize(("other", "blocked"), [("off", False), ("medium", True), ("high", False)])
def test_categories_without_a_setting_go_by_other(other: str, *, blocked: bool) -> None:
    """What a judge finds beyond the known categories has a threshold too."""
    assert blocks(policy(other=other), hit("illicit", 2)) is blocked


@pytest.mark.parametrize("category", ["personally_identifiable_information", "custom_blocklists", "custom_topics"])
def test_what_a_judge_says_without_naming_it_goes_by_other(category: str) -> None:
    """A list, a topic or a kind of data counts by its name; that there is one is like any category of a judge."""
    said = found(Finding(category, HIGH, "guard"))
    assert [blocks(policy(other=other), said) for other in ("off", "high")] == [False, True]
    assert not blocks(policy(other="low"), hit(category, detail="somewhere else"))
    told = policy().decide(said, PROMPT).results[category]
    assert (told["filtered"], told["origin"]) == (True, "guard")
    assert not any(told.get(name) for name in ("details", "sub_categories"))


def test_a_list_is_filtered_where_it_is_named() -> None:
    """Of two lists that are found only the named one is filtered, and so of topics."""
    made = policy(blocklists=("rivals",), topics=("legal",))
    both = found(
        Finding("custom_blocklists", 3, detail="rivals"),
        Finding("custom_blocklists", 3, detail="other"),
        Finding("custom_topics", 3, detail="legal"),
    )
    decision = made.decide(both, COMPLETION)
    assert decision.results["custom_blocklists"] == {
        "filtered": True,
        "details": [{"filtered": True, "id": "rivals"}, {"filtered": False, "id": "other"}],
    }
    assert decision.results["custom_topics"] == {"filtered": True, "details": [{"detected": True, "id": "legal"}]}
    assert not blocks(policy(), both)


# --- personal data -----------------------------------------------------------------------------------------------


def test_personal_data_may_be_blocked_or_masked() -> None:
    """Masking looks for kinds and filters nothing; blocking filters them, in prompts alone."""
    email = hit("personally_identifiable_information", detail="email")
    masking = policy(personal="mask")
    barring = policy(personal="block", personal_kinds=("email",))
    assert masking.masked == masking.kinds >= {"email", "iban"}
    assert barring.kinds == {"email"}
    assert not barring.masked
    assert masking.hidden == masking.kinds
    assert barring.hidden == {"email"}
    assert not policy().hidden
    assert [blocks(masking, email), blocks(barring, email), blocks(barring, email, COMPLETION)] == [False, True, False]
    kinds = masking.decide(email, PROMPT).results["personally_identifiable_information"]["sub_categories"]
    assert kinds == [{"sub_category": "Email", "filtered": False, "detected": True, "redacted": True}]


# --- templates ---------------------------------------------------------------------------------------------------

LEAST = {"strict": 1, "moderate": 2, "minimal": None, "child_safe": 1, "enterprise": 1}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("category", HARMS)
def test_a_templates_policy_filters_as_the_template_fails(name: str, level: int, category: str) -> None:
    """From the template's threshold each of its harms is filtered; nothing of ours is by the one that looks at none."""
    least = LEAST[name]
    expected = least is not None and level >= least and category in TEMPLATES[name].categories
    assert blocks(Policies(Safety()).named(name), hit(category, level)) is expected


@pytest.mark.parametrize("name", NAMES)
def test_a_templates_policy_and_detections(name: str) -> None:
    """A detection counts as high in the templates that are about every category."""
    made = Policies(Safety()).named(name)
    every = name not in {"child_safe", "minimal"}
    assert blocks(made, hit("jailbreak")) is every
    assert blocks(made, hit("protected_material_text"), COMPLETION) is every
    assert not blocks(made, hit("profanity"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("category", ["hate", "protected_material_code", "ungrounded_material"])
def test_what_an_upstream_filtered_fails(name: str, category: str) -> None:
    """``filtered`` fails in every template that is about the category."""
    upstream = read_upstream({category: {"filtered": True, "severity": "safe"}})
    decision = Policies(Safety()).named(name).decide(CLEAN, COMPLETION, upstream)
    assert decision.blocked is (name != "child_safe" or category == "hate")
    assert decision.results[category]["filtered"] is True


def test_a_policy_states_more_than_its_template() -> None:
    """What is stated goes over the template; what is not, is the template's and not the default."""
    made = policy(template="child_safe", hate="off", profanity=True)
    assert not blocks(made, hit("hate"))
    assert blocks(made, hit("sexual", 1))
    assert blocks(made, hit("profanity"))
    assert not blocks(made, hit("jailbreak"))


# --- several policies --------------------------------------------------------------------------------------------


def test_without_a_name_the_default_holds() -> None:
    """The mode of ``[safety]`` alone, or its policy with that mode in place of its own."""
    assert Policies(Safety()).resolve().mode == "annotate"
    assert blocks(Policies(Safety("block")).resolve(), hit("hate", 3))
    assert not blocks(Policies(Safety("block")).resolve(), hit("hate", 2))
    assert Policies(Safety("", "strict")).resolve().mode == "block"
    assert Policies(Safety("annotate", "strict")).resolve().mode == "annotate"
    assert Policies(Safety("annotate", "strict")).named("strict").mode == "block"


def test_the_strictest_of_all_that_are_named_counts() -> None:
    """Key, alias and tier add up; none loosens another, and the default is not asked."""
    rows = (one("a", hate="low", violence="off", stream="async"), one("b", hate="off", sexual="medium"))
    policies = Policies(settings(*rows, mode="off"), {"free": Tier("free", safety="b")})
    made = policies.resolve(("a",), "free")
    assert blocks(made, hit("hate", 1))
    assert blocks(made, hit("sexual", 2))
    assert blocks(made, hit("violence", 3))
    assert not blocks(made, hit("violence", 2))
    assert made.stream == "buffered"
    assert made.name == "a+b"
    assert policies.resolve((), "free").name == policies.resolve((), None, "b").name == "b"


def test_a_policy_that_annotates_does_not_sharpen_one_that_blocks() -> None:
    """Thresholds count only where something is blocked by them; lists and judges are asked for in either case."""
    rows = (one("a", mode="annotate", hate="low", blocklists=("rivals",), template="strict"), one("b", stream="async"))
    made = Policies(settings(*rows)).resolve(("a", "b"))
    assert made.mode == "block"
    assert not blocks(made, hit("hate", 2))
    assert blocks(made, hit("hate", 3))
    assert made.blocklists == ("rivals",)
    assert not blocks(made, hit("custom_blocklists", detail="rivals"))
    assert made.stream == "async"


def test_off_gives_way_to_anything_else() -> None:
    """A key may be left alone, unless its tier or the alias says otherwise."""
    policies = Policies(settings(one("none", mode="off", personal="mask"), one("b")))
    assert policies.named("none").is_off
    assert not policies.named("none").kinds
    assert blocks(policies.resolve(("none", "b")), hit("hate"))


def test_what_is_looked_for_unless_a_policy_says() -> None:
    """Every kind but addresses of machines, whether masked or blocked, as the reference of the key says."""
    policies = Policies(settings(one("a", personal="mask"), one("b", personal="block")))
    assert policies.named("a").masked == policies.named("b").kinds == set(PERSONAL_KINDS) - {"ip"}
    assert not blocks(policies.named("b"), hit("personally_identifiable_information", detail="ip"))
    assert blocks(policies.named("b"), hit("personally_identifiable_information", detail="phone"))
    (doc,) = [setting.doc for setting in keys(PolicyKeys) if setting.name == "personal_kinds"]
    assert "all but ip" in doc


def test_a_kind_that_one_policy_blocks_is_not_masked() -> None:
    """Of masking and blocking the latter is stricter, kind by kind."""
    rows = (one("a", personal="mask"), one("b", personal="block", personal_kinds=("iban",)))
    made = Policies(settings(*rows)).resolve(("a", "b"))
    assert "email" in made.masked
    assert "iban" not in made.masked
    assert blocks(made, hit("personally_identifiable_information", detail="iban"))
    assert not blocks(made, hit("personally_identifiable_information", detail="email"))


def test_a_name_that_nobody_declared_opens_nothing() -> None:
    """A key whose policy was taken out of the file has every policy that is left, and the strictest template."""
    policies = Policies(settings(one("a", profanity=True, judges=()), mode="off"))
    made = policies.resolve(("gone",))
    assert made.unknown == ("gone",)
    assert policies.unknown == {"gone"}
    assert blocks(made, hit("hate", 1))
    assert blocks(made, hit("profanity"))


def test_a_tier_that_nobody_declared_has_the_policies_of_all() -> None:
    """An unknown tier is as strict as any; no tier is the default one."""
    tiers = {"a": Tier("a", safety="strict"), "b": Tier("b", safety="child_safe"), "c": Tier("c")}
    policies = Policies(Safety(), tiers, "b")
    assert policies.resolve((), "gone").name == "strict+child_safe"
    assert policies.resolve().name == "child_safe"
    assert policies.resolve((), "c").name == "default"
    assert not policies.resolve((), "gone").unknown


def test_a_combination_is_worked_out_once() -> None:
    """The same names give the same object."""
    policies = Policies(settings(one()))
    assert policies.resolve(("mine",), None, "") is policies.resolve(("mine",), None, "")


# --- judges ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closed", "mode", "blocked"), [(True, "block", True), (False, "block", False), (True, "annotate", False)]
)
def test_a_judge_that_must_be_heard(mode: str, *, closed: bool, blocked: bool) -> None:
    """Where a judge fails closed and the policy blocks, no verdict is no passage; the failure is told in any case."""
    judges = MappingProxyType({"guard": JudgeSettings("guard", "openai", closed=closed)})
    made = Policies(settings(one(judges=("guard",), mode=mode), judges=judges)).named("mine")
    decision = made.decide(Verdict(failed=("guard",)), PROMPT)
    assert decision.blocked is blocked
    assert decision.categories == ()
    assert decision.is_unjudged is blocked
    assert "guard" in decision.results["error"]["message"]
    assert ("Nothing passes" in decision.results["error"]["message"]) is blocked
    assert made.observe(decision, CLEAN).results == decision.results


@pytest.mark.parametrize(
    ("policy", "sides", "shut"),
    [
        ({}, (PROMPT, COMPLETION), {PROMPT, COMPLETION}),
        ({"prompt": False}, (PROMPT, COMPLETION), {COMPLETION}),
        ({"completion": False}, (PROMPT, COMPLETION), {PROMPT}),
        ({}, (PROMPT,), {PROMPT}),
        ({"prompt": False}, (PROMPT,), set()),
    ],
)
def test_a_judge_must_be_heard_where_it_is_asked_and_the_policy_blocks(
    policy: dict[str, bool], sides: tuple[str, ...], shut: set[str]
) -> None:
    """A side that is only annotated, or that the judge never sees, passes without it and holds nothing back."""
    judges = MappingProxyType({"guard": JudgeSettings("guard", "openai", closed=True, sides=sides)})
    off = dict.fromkeys(HARMS, "off") | dict.fromkeys(("jailbreak", "indirect_attack"), False)
    off |= dict.fromkeys(("protected_material_text", "protected_material_code"), False) | {"other": "off"}
    made = Policies(settings(one(judges=("guard",), **off, **policy), judges=judges)).named("mine")
    failed = Verdict(failed=("guard",))
    assert {side for side in (PROMPT, COMPLETION) if made.decide(failed, side).blocked} == shut
    assert (made.prompt.blocks, made.completion.blocks) == (PROMPT in shut, COMPLETION in shut)
    both = Policies(settings(one(judges=("guard",), **off, **policy), one("other", **off), judges=judges))
    joint = both.resolve(("mine", "other"))
    assert {side for side in (PROMPT, COMPLETION) if joint.decide(failed, side).blocked} == shut


def test_what_was_found_goes_over_who_did_not_answer() -> None:
    """A text in which something is filtered is not one that nobody could judge."""
    judges = MappingProxyType({"guard": JudgeSettings("guard", "openai", closed=True)})
    made = Policies(settings(one(judges=("guard",), hate="low"), judges=judges)).named("mine")
    decision = made.decide(Verdict((Finding("hate", HIGH),), failed=("guard",)), PROMPT)
    assert (decision.blocked, decision.categories, decision.is_unjudged) == (True, ("hate",), False)
