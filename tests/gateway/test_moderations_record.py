"""Moderations that are on record: what the classifier answers, and what a judge does, who is asked about what."""

import json
import threading
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Send, whole
from tests.fakes.door import eventually, opened
from tests.faults.kit import judged as holds_of
from tests.gateway.kit import hosts
from tests.gateway.moderations_kit import ATTACK, OWN, PATH, ask, limited, refused
from tests.routing_faults.kit import settled
from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.gateway.moderations import ModerationsPage
from tollhouse.ledger.verify.run import verify
from tollhouse.safety.classifier import Classifier, Reading
from tollhouse.stores.reader import open_reader


@pytest.mark.parametrize("model", OWN)
async def test_what_is_judged_here_has_a_receipt_and_counts_as_usage(model: str | None) -> None:
    """Free, under the name that was asked for, with an estimate of the tokens of all its texts."""
    async with opened() as door:
        body = {"input": ["hello you", ATTACK], **({} if model is None else {"model": model})}
        answer = await door.post(body, PATH)
        assert answer.headers["x-tollhouse-target"] == "tollhouse/safety"
        receipt = await settled(door, answer)
        page = (await door.get("/v1/usage?group_by=kind,model")).json
    assert (receipt["state"], receipt["kind"], receipt["cost_usd"]) == ("settled", "moderations", "0.00")
    assert (receipt["model"], receipt["target"]) == (model or "tollhouse/safety", "tollhouse/safety")
    assert (receipt["held_usd"], receipt["estimated"], receipt["price"]["free"]) == ("0.00", True, True)
    assert [attempt["outcome"] for attempt in receipt["attempts"]] == ["ok"]
    tokens = estimate_tokens(f"hello you {ATTACK}")
    assert (receipt["tokens"]["input"], receipt["tokens"]["output"]) == (tokens, 0)
    (line,) = page["data"]
    assert (line["kind"], line["model"], line["requests"]) == ("moderations", "tollhouse/safety", 1)
    assert (line["estimated_requests"], line["cost_usd"]) == (1, "0.00")


async def test_a_retry_under_the_same_name_gets_the_first_answer() -> None:
    """Byte for byte, and there is one record of the two."""
    async with opened() as door:
        first, again = [await door.post({"input": "hello"}, PATH, idempotency_key="k") for _ in range(2)]
        other = await door.post({"input": "other"}, PATH, idempotency_key="k")
        assert (again.status, again.body) == (200, first.body)
        assert again.headers["x-tollhouse-original-request-id"] == first.headers["x-request-id"]
        assert (other.status, other.error["code"]) == (422, "idempotency_key_reused")
        assert len(await holds_of(door)) == 1


async def test_what_is_refused_leaves_no_record() -> None:
    """Neither a body that is wrong, nor a key that may not, opens a hold."""
    async with opened() as door:
        await refused(door, {"input": []})
        await refused(door, {"input": [{"type": "image_url", "image_url": {"url": "x"}}]})
        async with limited(door, models=["up0/*"]):
            await refused(door, {"input": "a"})
        assert await holds_of(door) == []


async def test_what_cannot_be_masked_for_a_judge_leaves_no_record() -> None:
    """More personal data than is masked is refused before anything is held, and the judge is shown nothing."""
    policy = '[safety.policies.own]\njudges = ["own"]\npersonal = "mask"\n'
    text = " ".join([f"a{number}@example.com" for number in range(20_001)])
    async with ChaosUpstream([findings()]) as up, opened(JUDGE.format(port=up.port, more=policy)) as door:
        async with limited(door, safety="own"):
            body = {"input": text, "model": "tollhouse/judge/own"}
            assert (await refused(door, body))[:2] == (400, "too_much_personal_data")
        assert await holds_of(door) == []
        assert up.requests == []


class Slow(Classifier, frozen=True, kw_only=True):
    """A classifier that reads nothing until it may."""

    may: threading.Event

    def read(self, text: str) -> Reading:
        """See `Classifier.read`."""
        self.may.wait(20)
        return super().read(text)


async def test_who_leaves_while_a_long_text_is_read_holds_nothing() -> None:
    """What was not delivered counts as no usage."""
    async with opened() as door:
        (page,) = [route.handler for route in door.app.routes if route.path == PATH]
        assert isinstance(page, ModerationsPage)
        may = threading.Event()
        known = page._classifier
        page._classifier = Slow(known.model, known.name, may=may)
        try:
            _, writer = await door.send("POST", PATH, {"input": "word " * 20_000})
            await eventually(lambda: bool(door.app.ledger.open_holds))
            writer.close()
            (hold,) = await holds_of(door)
        finally:
            may.set()
    assert (hold.state, hold.charge) == ("released", 0)


# --- judges -------------------------------------------------------------------------------------------------------

JUDGE = '[safety.judges.own]\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/judge"\ncost_usd = 0.001\n{more}\n'
BY_POLICY = '[safety.policies.watched]\njudges = ["own"]\n'


def findings(*rows: dict[str, Any]) -> Send:
    """What a webhook says."""
    return Send(whole(json.dumps({"findings": list(rows)}).encode()))


def part(text: str) -> list[dict[str, str]]:
    """A text as a list of parts."""
    return [{"type": "text", "text": text}]


async def test_a_judge_answers_for_keys_whose_policy_names_it() -> None:
    """One question for each input; its findings are categories and scores."""
    said = findings({"category": "violence", "severity": "high"}, {"category": "hate", "severity": "low", "score": 0.4})
    async with ChaosUpstream([said]) as up, opened(JUDGE.format(port=up.port, more=BY_POLICY)) as door:
        async with limited(door, safety="watched"):
            page = await ask(door, ["one", "two"], "tollhouse/judge/own")
        assert (page["model"], len(page["results"])) == ("tollhouse/judge/own", 2)
        for result in page["results"]:
            assert (result["flagged"], result["detector"]) == (True, "tollhouse/judge/own")
            assert result["categories"]["violence"]
            assert (result["category_scores"]["violence"], result["category_scores"]["hate"]) == (1.0, 0.4)
            told = result["content_filter_results"]["violence"]
            assert (told["filtered"], told["severity"], told["origin"]) == (True, "high", "own")
        assert sorted(json.loads(request.body)["prompt"] for request in up.requests) == ["one", "two"]
        assert door.idle


async def test_what_a_judge_was_asked_counts_as_usage_of_its_name() -> None:
    """As what the classifier reads does: free, with an estimate of the tokens."""
    async with ChaosUpstream([findings()]) as up, opened(JUDGE.format(port=up.port, more=BY_POLICY)) as door:
        async with limited(door, safety="watched"):
            answer = await door.post({"input": ["one", "two"], "model": "tollhouse/judge/own"}, PATH)
            receipt = await settled(door, answer)
    assert receipt["target"] == answer.headers["x-tollhouse-target"] == "tollhouse/judge/own"
    assert (receipt["cost_usd"], receipt["estimated"]) == ("0.00", True)
    assert receipt["tokens"]["input"] == estimate_tokens("one two")
    assert [attempt["target"] for attempt in receipt["attempts"]] == ["tollhouse/judge/own"]


@pytest.mark.parametrize("personal", ["mask", "block", "off"])
async def test_nobody_else_is_shown_what_is_masked(personal: str) -> None:
    """Where the key's policy masks personal data, or refuses it, neither a judge nor a host is shown any."""
    mails = ["write to ada@example.com", "ada@example.com, bob@example.com"]
    shown = mails if personal == "off" else ["write to [EMAIL_1]", "[EMAIL_1], [EMAIL_2]"]
    policy = f'[safety.policies.own]\njudges = ["own"]\npersonal = "{personal}"\n'
    async with ChaosUpstream([findings()]) as hook, ChaosUpstream([Send(whole(b'{"results": []}'))]) as up:
        config = JUDGE.format(port=hook.port, more=policy) + hosts(up)
        async with opened(config) as door, limited(door, safety="own"):
            for given, model in ((mails, "tollhouse/judge/own"), (mails, "both"), (part(mails[0]), "both")):
                await ask(door, given, model)
        assert sorted(json.loads(request.body)["prompt"] for request in hook.requests) == sorted(shown)
        assert [json.loads(request.body)["input"] for request in up.requests] == [shown, part(shown[0])]


async def test_who_may_ask_a_judge() -> None:
    """Not a key whose policy does not name it; a key that was given it by name; nobody a judge that is not there."""
    async with ChaosUpstream([findings()]) as up, opened(JUDGE.format(port=up.port, more="")) as door:
        body = {"input": "a", "model": "tollhouse/judge/own"}
        assert await refused(door, body) == (403, "model_not_allowed", "model")
        async with limited(door, models=["tollhouse/safety"]):
            assert await refused(door, body) == (403, "model_not_allowed", "model")
        async with limited(door, models=["tollhouse/judge/own"]):
            assert not (await ask(door, "a", "tollhouse/judge/own"))["results"][0]["flagged"]
        assert await refused(door, {**body, "model": "tollhouse/judge/no"}) == (404, "model_not_found", "model")
        assert len(up.requests) == 1
        assert door.idle


async def test_a_judge_that_fails_is_an_error_and_never_a_clean_bill() -> None:
    """503, nothing held; more inputs than a judge is asked for at once are refused before it is."""
    async with ChaosUpstream([Close()]) as up, opened(JUDGE.format(port=up.port, more=BY_POLICY)) as door:
        async with limited(door, safety="watched"):
            body = {"input": "a", "model": "tollhouse/judge/own"}
            answer = await door.post(body, PATH)
            assert (answer.status, answer.error["code"]) == (503, "upstream_unavailable")
            assert answer.headers["retry-after"] == "1"
            many = {**body, "input": ["a"] * 33}
            assert await refused(door, many) == (400, "array_above_max_length", "input")
        assert door.idle


async def test_the_ledger_of_judged_moderations_is_sound(tmp_path: Any) -> None:
    """Every promise of the ledger is kept after a judge answered and after one failed."""
    async with ChaosUpstream([findings({"category": "hate", "severity": "high"})], [Close()]) as up:
        async with opened(JUDGE.format(port=up.port, more=BY_POLICY), volume=tmp_path) as door:
            async with limited(door, safety="watched"):
                await ask(door, "a", "tollhouse/judge/own")
                await refused(door, {"input": "a", "model": "tollhouse/judge/own"})
    with open_reader(tmp_path / "tollhouse.db") as reader:
        report = verify(reader, now_s=2_000_000_000.0, max_age_s=10**9)
    assert list(report.findings) == []
    assert report.counts["hold"] == 2
