"""POST /v1/quote: what would happen, without its happening."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.counting_house import CATALOGUE, USD, Asking, House, asking, opened_house
from tollhouse import config
from tollhouse.cli.assembly import Assembler
from tollhouse.errors import Fault, Forbidden, InvalidRequest, ModelNotFound, RateLimited
from tollhouse.gateway import router
from tollhouse.gateway.gate import Gate
from tollhouse.gateway.limits import Limits
from tollhouse.gateway.needs import CHAT, chat_needs
from tollhouse.gateway.quotes import QuotePage
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.safety.classifier import NAME
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.tenancy import Principal
from tollhouse.validate.chat import read_chat

SECRET = "sk-upstream-CANARY-0123456789abcdef"
HOST = """
[providers.{name}]
base_url = "https://{name}.example/v1"
api_key = "{secret}"
free = false
[providers.{name}.models."m"]
context_tokens = 100000
output_tokens = 4000
{prices}
"""
PRICED = "input_usd_per_1m = {0}\noutput_usd_per_1m = {1}"
JUDGES = (
    '[safety.judges.guard]\nkind = "webhook"\nurl = "https://judge.example/"\n'
    '[safety.judges.other]\nkind = "webhook"\nurl = "https://other.example/"\n'
    '[safety]\npolicy = "guarded"\n[safety.policies.guarded]\njudges = ["guard"]\n'
)
SETTINGS = (
    '[models.both]\ntargets = ["cheap/m", "dear/m", "bare/m"]\n'
    "[tiers.small]\nrequests_per_minute = 5\nconcurrent = 1\n"
    "[discovery]\nenvironment = false\nloopback = false\n[embedded]\nsim = false\nguide = false\ntiny = false\n"
    + JUDGES
    + HOST.format(name="cheap", secret=SECRET, prices=PRICED.format(1, 2))
    + HOST.format(name="dear", secret=SECRET, prices=PRICED.format(10, 20))
    + HOST.format(name="bare", secret=SECRET, prices="")
)
ASK = {"model": "both", "messages": [{"role": "user", "content": "hello"}], "metadata": {"mine": "1"}}


class Desk:
    """A gateway's gate with three hosts: one cheap, one dear, one without a price."""

    def __init__(self, house: House) -> None:
        self.house = house
        settings = house.live.snapshot.settings
        self.limits = Limits(settings, Metrics())
        self.gate = Gate(*(house.live, house.keyring, self.limits, house.ledger, PriceBook(), Metrics()))

    async def caller(self, amount_nusd: int = 10 * USD, **fields: Any) -> Principal:
        """A key of a new organisation with credit."""
        org = await self.house.node("org")
        if amount_nusd:
            await self.house.grant(org, amount_nusd)
        return await self.house.key(org, **fields)

    async def send(self, who: Principal, body: object = ASK, query: str = "", **headers: str) -> Asking:
        """Asks for a quote."""
        given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        asked = asking("POST", key=self.house.texts[who.key_id], query=query.encode(), body=data, headers=given)
        await QuotePage(self.gate)(asked.exchange)
        return asked

    async def quote(self, who: Principal, body: object = ASK, query: str = "", **headers: str) -> dict[str, Any]:
        """The page."""
        page: dict[str, Any] = (await self.send(who, body, query, **headers)).json
        return page


@asynccontextmanager
async def opened_desk(folder: Path) -> AsyncIterator[Desk]:
    """A desk in a house of its own."""
    file = folder / "tollhouse.toml"
    file.write_text(SETTINGS)
    file.chmod(0o600)
    settings = config.load(file, {"HOME": str(folder)}, CATALOGUE.providers)
    assembler = await Assembler.start(settings, CATALOGUE, {})
    async with opened_house(folder) as house:
        house.live.snapshot = await assembler.make(settings)
        yield Desk(house)
    assembler.close()


async def test_the_highest_price_is_what_would_be_held(tmp_path: Path) -> None:
    """The request itself, sent at the same moment, holds exactly the highest price of its quote."""
    async with opened_desk(tmp_path) as desk:
        who = await desk.caller()
        for body in (ASK, {**ASK, "max_tokens": 7}, {**ASK, "n": 3}):
            page = await desk.quote(who, body)
            sent = asking("POST", body=json.dumps(body).encode())
            visit = desk.gate.admit(sent.exchange, who, CHAT)
            call = read_chat(json.dumps(body).encode())
            plan = router.plan(visit.snapshot, call.model)
            hold = visit.reserve(plan, chat_needs(call, len(json.dumps(body))))
            assert Decimal(page["highest_usd"]) * USD == hold.row.amount
            assert [target["output_tokens_cap"] for target in page["targets"]] == [one.output_cap for one in hold.bids]
            hold.release()
            visit.part()
            assert Decimal(page["lowest_usd"]) < Decimal(page["highest_usd"])


@pytest.mark.parametrize("model", [None, "tollhouse/safety", NAME, "tollhouse/judge/guard"])
async def test_what_is_judged_here_is_free(tmp_path: Path, model: str | None) -> None:
    """Moderations of the classifier or of a judge that the key may ask cost nothing, take no tokens, and go nowhere."""
    async with opened_desk(tmp_path) as desk:
        body = {"input": ["hello", "there"], **({} if model is None else {"model": model})}
        page = await desk.quote(await desk.caller(0), body, "kind=moderations", x_max_cost_usd="0")
        (target,) = page["targets"]
        asked = model if model == "tollhouse/judge/guard" else "tollhouse/safety"
        assert (target["target"], target["price"]["free"], target["upstream_body"]) == (asked, True, None)
        assert (page["kind"], page["model"]) == ("moderations", model or "tollhouse/safety")
        assert (page["lowest_usd"], page["highest_usd"], page["refusal"], page["dropped"]) == ("0.00", "0.00", None, [])
        assert page["limits"]["tokens_counted"] == 0
        assert page["prompt_tokens_estimated"] > 0


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"model": "tollhouse/judge/none", "input": "x"}, ModelNotFound),
        ({"model": "tollhouse/judge/other", "input": "x"}, Forbidden),
        ({"model": "tollhouse/judge/guard", "input": ["x"] * 33}, InvalidRequest),
        ({"input": [{"type": "image_url", "image_url": {"url": "https://x.example/i.png"}}]}, InvalidRequest),
        ({"input": []}, InvalidRequest),
    ],
)
async def test_what_would_not_be_judged_here_is_refused(tmp_path: Path, body: object, kind: type[Fault]) -> None:
    """A judge that is not there or not the key's, too many texts, and what is no text are refused as there."""
    async with opened_desk(tmp_path) as desk:
        who = await desk.caller()
        with pytest.raises(kind):
            await desk.send(who, body, "kind=moderations")


async def test_moderations_of_a_host_are_quoted_as_its_own(tmp_path: Path) -> None:
    """Any other model is quoted at its host."""
    async with opened_desk(tmp_path) as desk:
        page = await desk.quote(await desk.caller(), {"model": "cheap/m", "input": "x"}, "kind=moderations")
        assert [target["target"] for target in page["targets"]] == ["cheap/m"]
        assert page["targets"][0]["upstream_body"]["input"] == "x"


async def test_a_quote_tells_the_way(tmp_path: Path) -> None:
    """Targets are in the order of trying with the translated body of each; the one without a price is left out, and the
    reason is said. No credential is in it.
    """
    async with opened_desk(tmp_path) as desk:
        asked = await desk.send(await desk.caller(), {**ASK, "max_completion_tokens": 50})
        page = asked.json
        assert (page["object"], page["kind"], page["model"]) == ("quote", CHAT, "both")
        assert [target["target"] for target in page["targets"]] == ["cheap/m", "dear/m"]
        body = page["targets"][1]["upstream_body"]
        assert body["model"] == "m"
        assert body["messages"] == ASK["messages"]
        assert body["metadata"] == {"mine": "1"}
        assert 50 in body.values()
        assert [(drop["target"], drop["code"]) for drop in page["dropped"]] == [("bare/m", "model_unpriced")]
        assert page["prompt_tokens_estimated"] > 0
        assert page["available_usd"] == "10.00"
        assert page["refusal"] is None
        assert SECRET not in asked.sheet.data.decode()


async def test_a_quote_spends_nothing(tmp_path: Path) -> None:
    """A quote takes no money, no tokens and keeps no slot; it counts as one request of the minute."""
    async with opened_desk(tmp_path) as desk:
        who = await desk.caller(tier="small")
        written = desk.house.ledger.journal.appended
        for left in (4, 3, 2, 1, 0):
            asked = await desk.send(who)
            assert f"x-ratelimit-remaining-requests: {left}" in asked.head
            assert asked.json["limits"]["headers"]["x-ratelimit-remaining-requests"] == str(left)
            assert asked.json["limits"]["tokens_counted"] > 0
        with pytest.raises(RateLimited):
            await desk.send(who)
        standing = desk.house.ledger.standing(who)
        assert (standing.held_nusd, standing.available_nusd) == (0, 10 * USD)
        assert desk.house.ledger.open_holds == 0
        assert desk.house.ledger.journal.appended == written
        assert (desk.gate.in_flight, desk.limits.slots) == (0, 0)


async def test_a_key_that_may_only_look_may_ask(tmp_path: Path) -> None:
    """A key with the permission to read gets quotes, for they call no model."""
    async with opened_desk(tmp_path) as desk:
        page = await desk.quote(await desk.caller(permission="read"))
        assert page["refusal"] is None


async def test_who_cannot_pay_is_told(tmp_path: Path) -> None:
    """A caller without credit gets the quote's refusal: the very error that the request would be answered."""
    async with opened_desk(tmp_path) as desk:
        page = await desk.quote(await desk.caller(0))
        assert page["targets"] == []
        assert (page["lowest"], page["highest_usd"], page["limits"]["tokens_counted"]) == (None, None, None)
        assert [drop["code"] for drop in page["dropped"]] == ["insufficient_balance"] * 2 + ["model_unpriced"]
        refusal = page["refusal"]
        assert (refusal["status"], refusal["code"]) == (402, "insufficient_balance")
        assert refusal["required_credits"] > refusal["available_credits"] == 0


async def test_dear_targets_are_left_out_of_a_small_purse(tmp_path: Path) -> None:
    """Where the money is enough for one target and not for the other, the quote has the one, and why not the other."""
    async with opened_desk(tmp_path) as desk:
        page = await desk.quote(await desk.caller(5_000_000), {**ASK, "max_tokens": 1000})
        assert [target["target"] for target in page["targets"]] == ["cheap/m"]
        assert [drop["target"] for drop in page["dropped"]] == ["dear/m", "bare/m"]
        assert page["refusal"] is None


async def test_the_requests_own_limit_counts(tmp_path: Path) -> None:
    """With X-Max-Cost-Usd the quote says what the limit leaves, and the refusal where it leaves nothing."""
    async with opened_desk(tmp_path) as desk:
        who = await desk.caller()
        capped = {**ASK, "max_tokens": 1000}
        page = await desk.quote(who, capped, x_max_cost_usd="0.005")
        assert [target["target"] for target in page["targets"]] == ["cheap/m"]
        page = await desk.quote(who, capped, x_max_cost_usd="0.000001")
        assert page["refusal"]["code"] == "max_cost_exceeded"
        with pytest.raises(InvalidRequest):
            await desk.quote(who, capped, x_max_cost_usd="a lot")


async def test_a_key_sees_the_models_it_may_use(tmp_path: Path) -> None:
    """Targets that the key may not use are left out, and named as such."""
    async with opened_desk(tmp_path) as desk:
        page = await desk.quote(await desk.caller(models=["dear/*"]))
        assert [target["target"] for target in page["targets"]] == ["dear/m"]
        assert [(drop["target"], drop["code"]) for drop in page["dropped"]] == [
            ("cheap/m", "model_not_allowed"),
            ("bare/m", "model_not_allowed"),
        ]


async def test_other_endpoints_are_quoted(tmp_path: Path) -> None:
    """With ?kind= the body is that of another endpoint, and so are its bounds and its translation."""
    async with opened_desk(tmp_path) as desk:
        who = await desk.caller()
        page = await desk.quote(who, {"model": "both", "input": "hello"}, "kind=embeddings")
        assert (page["kind"], page["targets"][0]["output_tokens_cap"]) == ("embeddings", None)
        assert page["targets"][0]["upstream_body"] == {"model": "m", "input": "hello"}
        page = await desk.quote(who, {"model": "both", "input": "hello"}, "kind=/v1/responses")
        assert page["targets"][0]["upstream_body"]["max_output_tokens"] == page["targets"][0]["output_tokens_cap"]


async def test_a_form_is_quoted_without_its_body(tmp_path: Path) -> None:
    """An upload is priced by its size; its bytes are not sent back."""
    form = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nboth\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + b"x" * 9600 + b"\r\n--b--\r\n"
    )
    async with opened_desk(tmp_path) as desk:
        headers = {"content_type": "multipart/form-data; boundary=b"}
        page = await desk.quote(await desk.caller(), form, "kind=audio/transcriptions", **headers)
        assert page["targets"][0]["upstream_body"] is None
        assert page["targets"][0]["input_tokens_bound"] > 400


@pytest.mark.parametrize(
    ("body", "query", "fault"),
    [
        (ASK, "kind=chat", InvalidRequest),
        (ASK, "model=x", InvalidRequest),
        (ASK, "%ff", InvalidRequest),
        (b"{", "", InvalidRequest),
        ({"model": "both"}, "", InvalidRequest),
        ({"input": "hello"}, "kind=embeddings", InvalidRequest),
        ({"input": "hello"}, "kind=responses", InvalidRequest),
        ({**ASK, "model": "gpt-99"}, "", ModelNotFound),
        ({**ASK, "base_url": "http://x"}, "", InvalidRequest),
    ],
)
async def test_a_wrong_request_is_refused_as_itself(
    tmp_path: Path, body: object, query: str, fault: type[Exception]
) -> None:
    """What would be refused as a request is refused as a quote, and leaves no slot taken."""
    async with opened_desk(tmp_path) as desk:
        who = await desk.caller(tier="small")
        with pytest.raises(fault):
            await desk.send(who, body, query)
        assert (desk.gate.in_flight, desk.limits.slots) == (0, 0)
