"""`gateway.judging`: judges over real sockets, each played with its vendor's own shapes; doubt and money."""

import hmac
import time
from dataclasses import replace
from hashlib import sha256

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Send, Step, whole
from tests.gateway.judges_kit import analysed, answered, benched, body_of, host, moderated, said, shielded
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.safety import CLEAN, HIGH, LOW, MEDIUM, Finding

GUARD = '[safety.judges.guard]\nkind = "llama_guard"\nmodel = "up/guard"\n'


def webhook(upstream: ChaosUpstream, more: str = "", name: str = "own") -> str:
    """Settings of a webhook."""
    return f'[safety.judges.{name}]\nkind = "webhook"\nurl = "{upstream.url}/judge"\n{more}\n'


async def test_openais_moderation_is_asked_of_any_host_that_serves_it() -> None:
    """The body is OpenAI's, categories come as ours, harassment as hate, and the answer costs nothing."""
    play = answered(moderated(harassment=0.6, violence=0.93, illicit=0.7))
    async with ChaosUpstream(play) as up:
        text = host(up, '["omni-moderation-latest"]') + (
            '[safety.judges.vendor]\nkind = "openai"\nmodel = "up/omni-moderation-latest"\n'
        )
        async with benched(text) as bench:
            judged, records = await bench.judge("words")
            assert up.requests[0].target == "/v1/moderations"
            assert body_of(up.requests[0]) == {"input": "words", "model": "omni-moderation-latest"}
    assert not judged.closed
    assert judged.verdict.judged_by == ("vendor",)
    assert judged.verdict.failed == ()
    assert {(one.category, one.level, one.origin, one.score) for one in judged.verdict.findings} == {
        ("hate", MEDIUM, "vendor", 0.6),
        ("violence", HIGH, "vendor", 0.93),
        ("illicit", MEDIUM, "vendor", 0.7),
    }
    (record,) = records
    assert (record.target, record.outcome, record.cost_nusd) == ("up/omni-moderation-latest", "judge", 0)


async def test_azure_is_asked_twice_about_a_prompt_and_once_about_an_answer() -> None:
    """Severities become levels, the shield's word becomes jailbreak, the key goes into its own header, each request
    costs what the operator says.
    """
    async with ChaosUpstream(answered(analysed(hate=2, violence=6))) as up:
        text = f'[safety.judges.azure]\nkind = "azure"\nurl = "{up.url}"\napi_key = "az-CANARY"\ncost_usd = 0.00038\n'
        async with benched(text + "shield = false\n") as bench:
            judged, records = await bench.judge("ask", "answer")
    assert [(one.category, one.level) for one in judged.verdict.findings] == [("hate", LOW), ("violence", HIGH)]
    assert up.requests[0].target == "/contentsafety/text:analyze?api-version=2024-09-01"
    assert up.requests[0].headers["ocp-apim-subscription-key"] == "az-CANARY"
    assert body_of(up.requests[0]) == {
        "text": "answer",
        "categories": ["Hate", "SelfHarm", "Sexual", "Violence"],
        "outputType": "FourSeverityLevels",
    }
    assert [(one.target, one.outcome, one.cost_nusd) for one in records] == [("judge:azure", "judge", 380_000)]


async def test_azures_shield_looks_at_the_prompt_and_at_what_it_quotes() -> None:
    """Both requests go out at once; an attack in a document is an indirect one."""
    shield = answered(shielded(prompt=True, documents=(False, True)))
    async with ChaosUpstream(shield) as up:
        text = f'[safety.judges.azure]\nkind = "azure"\nurl = "{up.url}"\napi_key = "k"\ncost_usd = 0.001\n'
        async with benched(text) as bench:
            judged, records = await bench.judge("ask", documents=("one", "two"))
    sent = {request.target.partition("?")[0]: body_of(request) for request in up.requests}
    assert sent["/contentsafety/text:shieldPrompt"] == {"userPrompt": "ask", "documents": ["one", "two"]}
    found = {(one.category, one.level) for one in judged.verdict.findings}
    assert found == {("jailbreak", HIGH), ("indirect_attack", HIGH)}
    assert judged.verdict.failed == ("azure",)  # the analysis was answered with a shield's shape
    assert sum(one.cost_nusd for one in records) == 2_000_000


async def test_a_guard_model_is_asked_through_the_gateways_own_models_at_their_price() -> None:
    """The chat goes to the host as any other, without chance, and what its answer took is the operator's cost."""
    prices = "[providers.up.models.guard]\ninput_usd_per_1m = 2.0\noutput_usd_per_1m = 10.0\n"
    async with ChaosUpstream(said("unsafe\nS1,S10")) as up:
        text = f'[providers.up]\nbase_url = "{up.url}/v1"\nauth = "none"\n{prices}{GUARD}'
        async with benched(text) as bench:
            judged, records = await bench.judge("ask", "answer")
    sent = body_of(up.requests[0])
    assert up.requests[0].target == "/v1/chat/completions"
    assert sent["messages"] == [{"role": "user", "content": "ask"}, {"role": "assistant", "content": "answer"}]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("guard", 0, 32)
    assert "logprobs" not in sent
    assert judged.verdict.findings == (Finding("violence", HIGH, "guard"), Finding("hate", HIGH, "guard"))
    (record,) = records
    assert (record.target, record.outcome) == ("up/guard", "judge")
    assert record.cost_nusd == 7 * 2_000 + 3 * 10_000  # 7 tokens in, 3 out: the fake's usage
    assert record.upstream_id is not None


async def test_a_probability_is_asked_for_and_read_through_the_whole_path() -> None:
    """The host's logprobs survive the decoder, and grade the verdict."""
    row = {"token": "unsafe", "logprob": -0.105, "bytes": None}
    other = {"token": "safe", "logprob": -2.303, "bytes": None}
    logprobs = {"content": [{**row, "top_logprobs": [row, other]}], "refusal": None}
    async with ChaosUpstream(said("unsafe\nS1", logprobs=logprobs)) as up:
        async with benched(host(up) + GUARD + "logprobs = true\n") as bench:
            judged, _ = await bench.judge()
    assert body_of(up.requests[0])["top_logprobs"] == 5
    (finding,) = judged.verdict.findings
    assert (finding.category, finding.level) == ("violence", HIGH)
    assert finding.score == pytest.approx(0.9, abs=0.001)


async def test_the_operators_figure_goes_over_a_models_price() -> None:
    """Where cost_usd is stated, an answered request costs that."""
    async with ChaosUpstream(said("safe")) as up, benched(host(up) + GUARD + "cost_usd = 0.5\n") as bench:
        judged, (record,) = await bench.judge()
    assert judged.verdict.findings == ()
    assert judged.verdict.judged_by == ("guard",)
    assert record.cost_nusd == 500_000_000


async def test_a_model_without_a_price_judges_all_the_same() -> None:
    """A text must not go unjudged for want of a price: what nobody priced is booked as nothing."""
    async with ChaosUpstream(said("safe")) as up, benched(host(up, more="free = false") + GUARD) as bench:
        judged, (record,) = await bench.judge()
    assert judged.verdict.failed == ()
    assert record.cost_nusd == 0


@pytest.mark.parametrize(
    "answer",
    [{"error": {"message": "no", "type": "server_error"}}, [moderated()], {"results": []}, "results"],
    ids=repr,
)
async def test_a_moderation_that_is_none_is_a_failure(answer: object) -> None:
    """An error with the status 200, a list, nothing: what such a host says is no clean bill."""
    async with ChaosUpstream(answered(answer)) as up:
        text = host(up, '["mod"]') + '[safety.judges.vendor]\nkind = "openai"\nmodel = "up/mod"\n'
        async with benched(text) as bench:
            judged, _ = await bench.judge()
    assert judged.verdict.failed == ("vendor",)
    assert judged.verdict.judged_by == ()


async def test_a_judge_that_the_snapshot_has_no_way_to_fails() -> None:
    """It cannot happen, and would be a failure."""
    async with ChaosUpstream(answered({"findings": []})) as up, benched(webhook(up)) as bench:
        bench.snapshot = replace(bench.snapshot, judges={})
        judged, _ = await bench.judge()
    assert judged.verdict.failed == ("own",)


async def test_a_guard_models_alias_fails_over_like_any_other() -> None:
    """The first target fails, the second one judges: both requests are on record, none of them as ok."""
    async with ChaosUpstream(answered({"error": {"message": "no"}}, 500)) as bad, ChaosUpstream(said("safe")) as good:
        text = (
            f'[providers.bad]\nbase_url = "{bad.url}/v1"\nauth = "none"\nmodels = ["g"]\n'
            f'[providers.good]\nbase_url = "{good.url}/v1"\nauth = "none"\nmodels = ["g"]\n'
            '[models.guards]\ntargets = ["bad/g", "good/g"]\n[routing]\nsame_target_retries = 0\n'
            '[safety.judges.guard]\nkind = "llama_guard"\nmodel = "guards"\n'
        )
        async with benched(text) as bench:
            judged, records = await bench.judge()
    assert judged.verdict.failed == ()
    assert [(one.target, one.outcome) for one in records] == [("bad/g", "judge_failed"), ("good/g", "judge")]


async def test_a_webhooks_request_is_signed_over_its_time_and_body() -> None:
    """Whoever holds the secret can tell that the gateway sent it, now."""
    async with ChaosUpstream(answered({"findings": []})) as up:
        more = 'secret = "whsec-CANARY"\napi_key = "hook-CANARY"\ncost_usd = 0.0001\n'
        async with benched(webhook(up, more)) as bench:
            before = int(time.time())
            judged, (record,) = await bench.judge("ask", "answer", documents=("quoted",))
    request = up.requests[0]
    fields = dict(part.split("=", 1) for part in request.headers["x-tollhouse-signature"].split(","))
    wanted = hmac.new(b"whsec-CANARY", fields["t"].encode() + b"." + request.body, sha256).hexdigest()
    assert hmac.compare_digest(fields["v1"], wanted)
    assert before <= int(fields["t"]) <= int(time.time())
    assert request.headers["authorization"] == "Bearer hook-CANARY"
    assert request.target == "/judge"
    assert body_of(request) == {
        "version": 1,
        "judge": "own",
        "side": "completion",
        "prompt": "ask",
        "completion": "answer",
        "documents": ["quoted"],
    }
    assert judged.verdict.judged_by == ("own",)
    assert record == AttemptRecord("judge:own", "judge", None, record.ms, 100_000)


@pytest.mark.parametrize(("written", "target"), [("", "/"), ("/", "/"), ("/a/b", "/a/b"), ("/a/b/", "/a/b/")])
async def test_a_webhooks_address_is_taken_as_it_is_written(written: str, target: str) -> None:
    """A final slash may matter to whoever listens."""
    async with ChaosUpstream(answered({"findings": []})) as up:
        async with benched(f'[safety.judges.own]\nkind = "webhook"\nurl = "{up.url}{written}"\n') as bench:
            await bench.judge()
    assert up.requests[0].target == target


async def test_a_webhooks_findings_are_read_with_the_operators_words_and_thresholds() -> None:
    """Its names may be mapped or left out; a stated threshold goes over its severity; detections know no degrees."""
    rows = [
        {"category": "hate", "severity": "low", "score": 0.97},
        {"category": "toxicity", "severity": "medium"},
        {"category": "spam", "severity": "high"},
        {"category": "jailbreak", "detected": True},
        {"category": "Medical Advice", "severity": "low"},
        {"category": "violence", "severity": "safe"},
    ]
    more = (
        '[safety.judges.own.categories]\ntoxicity = "sexual"\nspam = ""\n'
        "[safety.judges.own.thresholds]\nhate = [0.2, 0.5, 0.9]\n"
    )
    async with ChaosUpstream(answered({"findings": rows})) as up, benched(webhook(up, more)) as bench:
        judged, _ = await bench.judge()
    assert judged.verdict.findings == (
        Finding("hate", HIGH, "own", 0.97),
        Finding("sexual", MEDIUM, "own"),
        Finding("jailbreak", HIGH, "own"),
        Finding("medical_advice", LOW, "own"),
    )


@pytest.mark.parametrize(
    "play",
    [
        pytest.param([Send(whole(b"<html>", 200, "text/html"))], id="no JSON"),
        pytest.param(answered([]), id="a list"),
        pytest.param(answered({"findings": "none"}), id="no list"),
        pytest.param(answered({"findings": [{"category": "hate", "severity": "dire"}]}), id="no severity"),
        pytest.param(answered({"findings": [{"category": "hate"}] * 2}), id="nothing said"),
        pytest.param(answered({"findings": [{"category": "hate", "severity": "low", "score": 7}]}), id="no share"),
        pytest.param(answered({"findings": []}, 500), id="a failure"),
        pytest.param(answered({"findings": []}, 302), id="a redirect"),
        pytest.param(answered({"findings": []}, 204), id="not 200"),
        pytest.param([Send(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), Close()], id="cut short"),
        pytest.param([Send(whole(b'{"findings": [' + b'{"category": "x"},' * 70_000 + b"]}"))], id="endless"),
        pytest.param([Send(whole(b"[" * 100_000))], id="deep"),
        pytest.param([Close()], id="nothing"),
    ],
)
@pytest.mark.parametrize("doubt", ["open", "closed"])
async def test_what_cannot_be_read_is_a_failure_and_never_a_clean_bill(play: list[Step], doubt: str) -> None:
    """A broken answer fails its judge; a gate that is closed in doubt stays shut, an open one lets pass."""
    async with ChaosUpstream(play) as up:
        async with benched(webhook(up, f'when = "gate"\non_failure = "{doubt}"\ncost_usd = 1')) as bench:
            judged, records = await bench.judge()
    assert judged.verdict.failed == ("own",)
    assert judged.verdict.findings == ()
    assert judged.verdict.judged_by == ()
    assert judged.closed == (doubt == "closed")
    assert bench.count("own", "failed") == 1
    assert [one.outcome for one in records] in (["judge"], ["judge_failed"])


async def test_a_risk_that_fails_leaves_what_the_others_found() -> None:
    """A judge with several questions fails as a whole, but a harm that one of them found is not forgotten."""
    text = '[safety.judges.shield]\nkind = "shieldgemma"\nmodel = "up/guard"\nasks = ["hate", "sexual"]\n'
    async with ChaosUpstream(said("Yes"), said("hm")) as up, benched(host(up) + text) as bench:
        judged, records = await bench.judge()
    assert judged.verdict.failed == ("shield",)
    assert judged.verdict.judged_by == ("shield",)
    assert len(judged.verdict.findings) == 1
    assert [one.outcome for one in records] == ["judge", "judge"]


async def test_only_the_share_of_requests_that_is_asked_for_is_judged() -> None:
    """The sample is drawn by the request's id: always the same for the same one, and independent between judges."""
    async with ChaosUpstream(answered({"findings": []})) as up:
        text = webhook(up, "sample = 0.25") + webhook(up, "sample = 0.0", "never") + webhook(up, "sample = 1", "always")
        async with benched(text) as bench:

            def chosen(number: int) -> set[str]:
                names = ("own", "never", "always", "nobody")
                found = bench.judges.chosen(bench.snapshot, names, "prompt", f"req_{number}", gate=False)
                return {judge.name for judge in found}

            draws = [chosen(number) for number in range(2000)]
            assert draws == [chosen(number) for number in range(2000)]
    assert all("always" in draw and "never" not in draw for draw in draws)
    assert 400 < sum("own" in draw for draw in draws) < 600


async def test_gates_and_observers_are_chosen_apart_and_by_side() -> None:
    """Who is asked before a text goes on, and who beside it, is told by the settings."""
    async with ChaosUpstream(answered({"findings": []})) as up:
        text = webhook(up, 'when = "gate"\nsides = ["prompt"]', "door") + webhook(up, 'sides = ["completion"]', "eye")
        risk = '[safety.judges.granite]\nkind = "granite_guardian"\nmodel = "up/guard"\nasks = ["jailbreak"]\n'
        async with benched(text + host(up) + risk) as bench:
            names = tuple(bench.snapshot.settings.safety.judges)

            def chosen(side: str, *, gate: bool) -> list[str]:
                return [one.name for one in bench.judges.chosen(bench.snapshot, names, side, "r", gate=gate)]

            assert chosen("prompt", gate=True) == ["door"]
            assert chosen("prompt", gate=False) == ["granite"]
            assert chosen("completion", gate=True) == []
            assert chosen("completion", gate=False) == ["eye"]


async def test_of_a_long_text_a_judge_sees_the_end_and_the_receipt_says_so() -> None:
    """max_chars bounds what is sent; what was not seen is told as a loss."""
    async with ChaosUpstream(answered({"findings": []})) as up, benched(webhook(up, "max_chars = 100")) as bench:
        _, (record,) = await bench.judge("a" * 900 + "b" * 100)
        _, (short,) = await bench.judge("c" * 100)
    assert body_of(up.requests[0])["prompt"] == "b" * 100
    (loss,) = record.losses
    assert (loss.param, loss.how) == ("prompt", "changed")
    assert "100 of 1000" in loss.why
    assert short.losses == ()


async def test_a_judge_whose_model_nobody_serves_fails() -> None:
    """A model that is not there is a failure like any other, on record nowhere, for nobody was asked."""
    text = '[safety.judges.guard]\nkind = "llama_guard"\nmodel = "nobody/guard"\nwhen = "gate"\non_failure = "closed"\n'
    async with benched(text) as bench:
        judged, records = await bench.judge()
    assert judged.closed
    assert judged.verdict.failed == ("guard",)
    assert records == ()


@pytest.mark.parametrize("text", ["", " \n"])
async def test_an_empty_text_is_not_shown_to_anybody(text: str) -> None:
    """There is nothing to judge, and nothing to fail: a picture alone does not shut a gate. What it quotes is shown."""
    hook = answered({"findings": []})
    async with ChaosUpstream(hook) as up, ChaosUpstream(said("safe")) as model:
        gate = 'when = "gate"\non_failure = "closed"\n'
        async with benched(webhook(up, gate) + host(model) + GUARD + gate) as bench:
            judged, records = await bench.judge(text)
            assert (judged.verdict.failed, judged.closed, records) == ((), False, ())
            await bench.judge(text, documents=("quoted",))
        assert len(up.requests) == 1
        assert model.requests == []


async def test_without_judges_there_is_nothing_to_say() -> None:
    """An inquiry of nobody is clean at once."""
    async with benched("") as bench:
        judged, records = await bench.judge()
    assert judged.verdict is CLEAN
    assert not judged.closed
    assert records == ()
