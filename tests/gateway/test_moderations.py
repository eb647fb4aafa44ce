"""POST /v1/moderations: who answers, in which shape, what is flagged, and what it costs: nothing."""

import asyncio
import json
import threading
from types import MappingProxyType
from typing import Any

import pytest
from openai.types.moderation import Categories, CategoryAppliedInputTypes, CategoryScores

from tests.fakes.chaos import ChaosUpstream, Send, whole
from tests.fakes.door import opened
from tests.gateway.kit import hosts
from tests.gateway.moderations_kit import ATTACK, OWN, PATH, ask, limited, refused
from tollhouse.gateway.moderations import CATEGORIES, OURS, UNSUPPORTED, YARDSTICK, Judged, ModerationsPage, describe
from tollhouse.safety.classifier import HEADS, NAME, Classifier, Reading
from tollhouse.safety.policy import Policies
from tollhouse.settings.safety import PolicyKeys, PolicySettings, Safety
from tollhouse.types.safety import CLEAN, HIGH, LOW, MEDIUM, PROMPT, Finding, Verdict


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """The one that ships."""
    return Classifier.load()


@pytest.mark.parametrize("model", OWN)
async def test_the_classifier_answers_in_openais_shape(model: str | None, classifier: Classifier) -> None:
    """An id, the detector's name, and one result with all thirteen categories; scores are the classifier's."""
    async with opened() as door:
        page = await ask(door, ATTACK, model)
        assert page["id"].startswith("modr-")
        assert (page["model"], len(page["results"])) == (NAME, 1)
        (result,) = page["results"]
        for name, kind in (
            ("categories", Categories),
            ("category_scores", CategoryScores),
            ("category_applied_input_types", CategoryAppliedInputTypes),
        ):
            assert tuple(result[name]) == CATEGORIES
            assert set(result[name]) == {field.alias or at for at, field in kind.model_fields.items()}
            kind.model_validate(result[name], strict=True)
        read = dict(zip(HEADS, classifier.read(ATTACK).scores, strict=True))
        assert {name: result["category_scores"][name] for name in OURS} == {name: read[OURS[name]] for name in OURS}
        assert result["detector"] == NAME
        assert door.idle


async def test_what_nothing_looks_for_is_not_said_to_be_clean() -> None:
    """Categories without a head are false and 0.0, have no input type, and are named as unsupported."""
    async with opened() as door:
        (result,) = (await ask(door, "hello"))["results"]
        assert result["unsupported"] == list(UNSUPPORTED)
        assert {name for name, types in result["category_applied_input_types"].items() if not types} == set(UNSUPPORTED)
        assert not any(result["categories"].values())
        assert not result["flagged"]


@pytest.mark.parametrize(
    ("given", "count"),
    [("one", 1), (["one", "two", "three"], 3), ([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}], 1)],
)
async def test_texts_are_judged_one_by_one_and_parts_together(given: object, count: int) -> None:
    """A result for each string, in order; one for all parts, as OpenAI's."""
    async with opened() as door:
        assert len((await ask(door, given))["results"]) == count


async def test_parts_are_judged_as_one_text(classifier: Classifier) -> None:
    """An attack in the second part is found, and the strings of a list keep their places."""
    async with opened() as door:
        parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": ATTACK}]
        (joined,) = (await ask(door, parts))["results"]
        (alone,) = (await ask(door, f"hello\n{ATTACK}"))["results"]
        assert joined == alone
        benign, attack = (await ask(door, ["hello", ATTACK]))["results"]
        assert not benign["content_filter_results"]["jailbreak"]["detected"]
        found = bool(classifier.verdict(classifier.read(ATTACK)).level("jailbreak"))
        assert attack["content_filter_results"]["jailbreak"]["detected"] is attack["flagged"] is found is True


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({}, "missing_required_parameter", "input"),
        ({"input": 5}, "invalid_type", "input"),
        ({"input": []}, "empty_array", "input"),
        ({"input": ["a"] * 2049}, "array_above_max_length", "input"),
        ({"input": [1, 2]}, "invalid_type", "input[0]"),
        ({"input": [[1]]}, "invalid_type", "input[0]"),
        ({"input": ["a", 1]}, "invalid_type", "input[1]"),
        ({"input": [{"type": "text"}]}, "missing_required_parameter", "input[0].text"),
        ({"input": [{"type": "image_url", "image_url": {"url": "x"}}]}, "unsupported_value", "input[0]"),
        ({"input": "a", "model": 5}, "invalid_type", "model"),
        ({"input": "a", "base_url": "http://x"}, "unsupported_parameter", "base_url"),
    ],
)
async def test_what_is_wrong_is_refused_as_by_openai(body: object, code: str, param: str) -> None:
    """400, with the path of what is wrong; images and token ids are refused, not passed over."""
    async with opened() as door:
        assert await refused(door, body) == (400, code, param)
        assert door.idle


async def test_no_json_and_no_key() -> None:
    """A body that is no JSON is a 400 that says where; a caller without a key learns nothing."""
    async with opened() as door:
        answer = await door.post(b'{"input": ', PATH)
        assert (answer.status, answer.error["type"]) == (400, "invalid_request_error")
        assert (await door.post({"input": "a"}, PATH, authorization="")).status == 401
        assert door.idle


async def test_the_model_of_a_host_is_relayed_as_ever() -> None:
    """What a host says comes back under the name that was asked for; a model that nobody has is a 404."""
    said = {"id": "modr-9", "model": "m", "results": [{"flagged": False}]}
    async with ChaosUpstream([Send(whole(json.dumps(said).encode()))]) as up, opened(hosts(up)) as door:
        page = await ask(door, [{"type": "image_url", "image_url": {"url": "data:"}}], "both")
        assert (page["id"], page["model"]) == ("modr-9", "both")
        assert up.requests[0].target == "/v1/moderations"
        unknown = await door.post({"input": "a", "model": "omni-moderation-latest"}, PATH)
        assert (unknown.status, unknown.error["code"], unknown.error["param"]) == (404, "model_not_found", "model")
        assert "Without 'model'" in unknown.error["message"]
        assert len(up.requests) == 1
        assert door.idle


# --- what is flagged ----------------------------------------------------------------------------------------------


def policies(**levels: str | bool) -> Policies:
    """Policies with one of these levels, named ``own``."""
    settings = PolicySettings("own", PolicyKeys(**levels), frozenset(levels))  # type: ignore[arg-type]
    return Policies(Safety(policies=MappingProxyType({"own": settings})))


def flagged(policy: Any, *findings: Finding) -> tuple[bool, set[str]]:
    """Whether a text of which this was found is flagged, and in which of OpenAI's categories."""
    verdict = Verdict(findings) if findings else CLEAN
    told = describe(Judged(policy.decide(verdict, PROMPT), {}), NAME)
    return told["flagged"], {name for name, is_flagged in told["categories"].items() if is_flagged}


def test_the_yardstick_flags_what_is_high() -> None:
    """Where no policy blocks, a harm is flagged at `high`, and so is an attack on instructions; swearing is not."""
    assert flagged(YARDSTICK) == (False, set())
    assert flagged(YARDSTICK, Finding("sexual", MEDIUM)) == (False, set())
    assert flagged(YARDSTICK, Finding("sexual", HIGH)) == (True, {"sexual"})
    assert flagged(YARDSTICK, Finding("hate", HIGH)) == (True, {"hate", "harassment"})
    assert flagged(YARDSTICK, Finding("self_harm", HIGH)) == (True, {"self-harm"})
    assert flagged(YARDSTICK, Finding("jailbreak", HIGH)) == (True, set())
    assert flagged(YARDSTICK, Finding("profanity", HIGH)) == (False, set())


def test_a_policy_that_blocks_sets_the_threshold() -> None:
    """From the severity from which its prompts are blocked."""
    policy = policies(violence="low", sexual="off").named("own")
    assert flagged(policy, Finding("violence", LOW), Finding("sexual", HIGH)) == (True, {"violence"})


def test_scores_stand_behind_openais_names() -> None:
    """Each supported category has the score of ours; the rest have none."""
    told = describe(Judged(YARDSTICK.decide(CLEAN, PROMPT), {"hate": 0.25, "violence": 0.5}), NAME)
    scores = {name: score for name, score in told["category_scores"].items() if score}
    assert scores == {"hate": 0.25, "harassment": 0.25, "violence": 0.5}


async def test_the_policy_of_the_caller_holds() -> None:
    """The same text is told as the key's policy would treat it; one that says nothing at all falls back on `high`."""
    config = '[safety]\nmode = "off"\n[safety.policies.own]\nprofanity = true\njailbreak = false\n'
    async with opened(config) as door:
        (plain,) = (await ask(door, ATTACK))["results"]
        assert plain["flagged"]
        async with limited(door, safety="own"):
            (own,) = (await ask(door, ATTACK))["results"]
        assert not own["flagged"]
        assert own["content_filter_results"]["jailbreak"] == {"filtered": False, "detected": True}


async def test_lists_and_personal_data_of_the_policy_are_looked_for() -> None:
    """What a prompt would be blocked for beside the classifier flags a text too, and is named."""
    config = (
        '[safety.blocklists.names]\nterms = ["Project Zebra"]\n'
        '[safety.policies.own]\nblocklists = ["names"]\npersonal = "block"\n'
    )
    async with opened(config) as door, limited(door, safety="own"):
        clean, named, mail = (await ask(door, ["hello", "the project zebra", "write to ada@example.com"]))["results"]
        assert [clean["flagged"], named["flagged"], mail["flagged"]] == [False, True, True]
        assert named["content_filter_results"]["custom_blocklists"]["filtered"]
        assert mail["content_filter_results"]["personally_identifiable_information"]["filtered"]
        assert not any(named["categories"].values())


# --- who may, and what it takes -----------------------------------------------------------------------------------


async def test_it_counts_as_a_request_and_takes_no_money() -> None:
    """A key without credit is served until its requests of the minute are used up; its answer says that it was free."""
    config = '[limits]\ndefault_tier = "free"\n[tiers.free]\nrequests_per_minute = 2\n'
    async with opened(config) as door:
        async with limited(door):
            answer = await door.post({"input": "a"}, PATH)
            assert (answer.status, answer.headers["x-tollhouse-cost"]) == (200, "0.00")
            assert answer.headers["x-ratelimit-remaining-requests"] == "1"
            await ask(door, "a")
            limit = await door.post({"input": "a"}, PATH)
            assert (limit.status, limit.error["code"]) == (429, "rate_limit_exceeded")
        assert door.idle


@pytest.mark.parametrize(
    ("fields", "model", "status"),
    [
        ({"models": ["up0/*"]}, None, 403),
        ({"models": ["up0/*"]}, NAME, 403),
        ({"models": ["tollhouse/*"]}, None, 200),
        ({"models": [NAME]}, "tollhouse/safety", 200),
        ({"kinds": ["embeddings"]}, None, 403),
        ({"kinds": ["moderations"]}, None, 200),
    ],
)
async def test_restrictions_of_a_key_hold(fields: dict[str, Any], model: str | None, status: int) -> None:
    """A key that may use other models or endpoints may not use this; either name of the classifier opens both."""
    async with opened() as door, limited(door, **fields):
        body = {"input": "a"} if model is None else {"input": "a", "model": model}
        assert (await door.post(body, PATH)).status == status
        assert door.idle


class Noting(Classifier, frozen=True):
    """A classifier that notes on which thread it works."""

    threads: list[int] = []  # noqa: RUF012 - a field of msgspec's, new for each

    def read(self, text: str) -> Reading:
        """See `Classifier.read`."""
        self.threads.append(threading.get_ident())
        return super().read(text)


async def test_long_texts_are_judged_off_the_loop(classifier: Classifier) -> None:
    """Up to 64 Ki characters on the loop itself, above it on another thread, many texts counted together, each as 512
    more.
    """
    async with opened() as door:
        (page,) = [route.handler for route in door.app.routes if route.path == PATH]
        assert isinstance(page, ModerationsPage)
        threads: list[int] = []
        page._classifier = Noting(classifier.model, classifier.name, threads=threads)
        await ask(door, "word " * 1000)
        assert set(threads) == {threading.get_ident()}
        for long in ("word " * 14_000, ["word " * 1000] * 14, ["a"] * 200):
            threads.clear()
            await ask(door, long)
            assert threading.get_ident() not in threads
        await asyncio.sleep(0)
