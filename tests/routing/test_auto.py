"""tollhouse/auto: what may be chosen, how it is ranked, and what the operator and the client can say about it."""

from typing import Any

import pytest

from tests.routing.kit import NAME, ask, facts, fail, host, ids, offer, routes
from tollhouse.catalog.names import Offer
from tollhouse.routing.abilities import REASONING, TOOLS, VISION
from tollhouse.routing.auto import AUTO
from tollhouse.routing.explain import explain
from tollhouse.routing.features import Features
from tollhouse.routing.health import Health
from tollhouse.routing.outcomes import Outcome
from tollhouse.routing.quality import prior, size_cap
from tollhouse.routing.table import Route
from tollhouse.routing.wishes import Wishes
from tollhouse.settings.routing import PREFERENCES, RouteEntry, RoutePolicy, Routing
from tollhouse.types.calls import Host, ModelFacts, Prices

USD = 1_000_000
"""One US dollar per million tokens, as pico-USD per token."""


def model(name: str, usd: float, **said: object) -> ModelFacts:
    """A model whose answers cost so much, and its prompts a fourth of it."""
    return facts(name, prices=Prices(int(usd * USD / 4), int(usd * USD)), **said)


TINY = model("tiny-3b", 0.05)
SMALL = model("small", 0.4, tools=True)
SEES = model("sees", 4.0, tools=True, input_kinds=("text", "image"))
THINKS = model("thinks", 15.0, tools=True, reasoning=True, input_kinds=("text", "image"), context_tokens=1_000_000)
HOSTS = (offer("cheap", TINY, SMALL), offer("good", SEES, THINKS))


def auto(*offers: Offer, policy: RoutePolicy | None = None, routing: Routing | None = None, name: str = AUTO) -> Route:
    """The route of auto, or of an alias with this policy, over these hosts."""
    found = routes(offers or HOSTS, {NAME: policy} if policy else {}, routing).find(NAME if policy else name)
    assert found is not None
    return found


class TestMembers:
    """What may be chosen."""

    @pytest.mark.parametrize(
        ("row", "code"),
        [
            (facts("unpriced", prices=Prices()), "unpriced"),
            (facts("free", prices=Prices(0, 0)), "free_offer"),
            (model("dear", 41.0), "too_dear"),
        ],
    )
    def test_what_is_not(self, row: ModelFacts, code: str) -> None:
        """A model without a price, one that is free by the catalogue alone, and a very dear one are left out."""
        found = auto(offer("h", row, SMALL))
        assert ids(ask(found)) == ["h/small"]
        reasons = {reason.target: reason.code for reason in ask(found).reasons(Health(Routing()))}
        assert reasons[f"h/{row.id}"] == code

    @pytest.mark.parametrize(
        "row",
        [
            facts("text-embedding-3", prices=Prices(1, 0), output_tokens=1536),
            facts("my-embed", prices=Prices(1, 1)),
            facts("voice-tts-1"),
            facts("pictures", output_kinds=("text", "image")),
            facts("sounds", output_kinds=("audio",)),
        ],
    )
    def test_what_does_not_chat(self, row: ModelFacts) -> None:
        """Embeddings, speech and pictures are no candidates at all."""
        assert [one.id for one in auto(offer("h", row, SMALL)).candidates] == [AUTO, "h/small"]

    def test_the_operator_opens_what_is_closed(self) -> None:
        """A list that names a free offer takes it in, and a setting of 0 any price."""
        rows = offer("h", facts("free", prices=Prices(0, 0)), model("dear", 60.0))
        assert ids(ask(auto(rows, routing=Routing(auto_allow=("h/free",))))) == ["h/free"]
        assert ids(ask(auto(rows, routing=Routing(auto_max_output_usd_per_1m=0.0)))) == ["h/dear"]

    def test_lists_of_the_settings(self) -> None:
        """What the operator denies is never chosen, and with a list only what it names."""
        assert "good/thinks" not in ids(ask(auto(routing=Routing(auto_deny=("*/thinks",))), limit=9))
        assert set(ids(ask(auto(routing=Routing(auto_allow=("good/*",))), limit=9))) == {"good/sees", "good/thinks"}

    def test_embedded_models_are_the_last_resort(self) -> None:
        """The models inside Tollhouse are chosen only where there is no other."""
        toys = Offer(Host("tollhouse", "http://127.0.0.1/v1", free=True), {"sim": ModelFacts("sim", "sim")})
        assert ids(ask(auto(toys))) == ["tollhouse/sim"]
        assert ids(ask(auto(toys, *HOSTS), limit=9))[-1:] != ["tollhouse/sim"]
        health = Health(Routing())
        codes = {reason.target: reason.code for reason in ask(auto(toys, *HOSTS)).reasons(health)}
        assert codes["tollhouse/sim"] == "toy"

    def test_local_engines_count_as_free(self) -> None:
        """A model of an engine on this machine needs no price."""
        local = Offer(Host("ollama", "http://127.0.0.1:11434/v1", auth="none"), {"q": ModelFacts("q", "q")})
        assert ids(ask(auto(local))) == ["ollama/q"]


class TestRanking:
    """Who comes first."""

    def best(self, prefer: str, difficulty: float, **said: Any) -> str:
        """The first choice."""
        return ids(ask(auto(), wishes=Wishes(prefer=prefer), difficulty=difficulty, features=Features(**said)))[0]

    def test_preferences(self) -> None:
        """An easy request goes to a cheap model and a hard one to a good one; who prefers quality gets the best."""
        assert self.best("price", 0.0) in {"cheap/tiny-3b", "cheap/small"}
        assert self.best("balanced", 0.2) == "cheap/small"
        assert self.best("balanced", 1.0) == "good/thinks"
        assert self.best("quality", 0.0) == "good/thinks"

    def test_needs_are_hard(self) -> None:
        """A model that is known to lack what is needed is not chosen, whatever it costs."""
        assert self.best("price", 0.0, need=VISION) == "good/sees"
        assert self.best("price", 0.0, need=VISION | REASONING) == "good/thinks"
        assert self.best("price", 0.0, need=TOOLS) == "cheap/small"

    def test_the_context_is_needed(self) -> None:
        """A long prompt goes to the model that holds it; one that nobody holds goes to the longest."""
        assert self.best("price", 0.0, prompt_tokens=500_000) == "good/thinks"
        assert self.best("price", 0.0, prompt_tokens=5_000_000) == "good/thinks"

    def test_harder_never_means_worse(self) -> None:
        """For every preference the quality of the first choice does not fall as the difficulty rises."""
        found = auto()
        table = found.auto
        assert table is not None
        for prefer in PREFERENCES:
            picks = [ask(found, wishes=Wishes(prefer=prefer), difficulty=tenth / 10).picks[0].at for tenth in range(11)]
            points = [table.priors[at].points for at in picks]
            assert points == sorted(points), prefer

    def test_measured_speed_counts(self) -> None:
        """Of two hosts with the same model at the same price the one that is measured to be slow comes second."""
        found, health = auto(offer("a", SMALL), offer("b", SMALL)), Health(Routing())
        assert ids(ask(found))[0] == "a/small"
        trial = health.start(found.candidates[1].target, 0.0, stream=False)
        assert trial is not None
        health.first_token(trial, 9.0)
        health.end(trial, 9.0, Outcome.OK)
        assert ids(ask(found, health, 9.0))[0] == "b/small"

    def test_one_in_trouble_is_passed_by(self) -> None:
        """An open circuit takes a model out of the choice."""
        found, health = auto(), Health(Routing())
        first = ask(found, health).picks[0].target
        fail(health, first, 0.0, times=5)
        assert first.id not in ids(ask(found, health, 0.1))

    def test_the_clients_lists(self) -> None:
        """A client narrows the choice for itself, and is refused where it leaves nothing."""
        assert ids(ask(auto(), wishes=Wishes(allow=("good/*",), deny=("*/thinks",)))) == ["good/sees"]
        assert set(ids(ask(auto(), wishes=Wishes(max_output_pusd=USD)))) == {"cheap/small", "cheap/tiny-3b"}
        nothing = ask(auto(), wishes=Wishes(allow=("nobody/*",)))
        assert (nothing.picks, nothing.fault().status) == ((), 400)


class TestAliases:
    """Auto under another name."""

    def test_an_alias_of_its_own(self) -> None:
        """An alias that leads to auto has its own preference and lists."""
        policy = RoutePolicy((RouteEntry(AUTO),), prefer="quality", deny=("*/thinks",))
        assert ids(ask(auto(policy=policy)))[0] == "good/sees"

    def test_among_its_own_targets(self) -> None:
        """With the strategy auto a name chooses among what it lists, and nothing else."""
        policy = RoutePolicy((RouteEntry("cheap/small"), RouteEntry("good/thinks")), strategy="auto")
        found = auto(policy=policy)
        assert ids(ask(found, difficulty=0.0)) == ["cheap/small", "good/thinks"]
        assert ids(ask(found, difficulty=1.0)) == ["good/thinks", "cheap/small"]

    def test_behind_a_target(self) -> None:
        """Auto may be the fallback of a target: it comes in its place of the list."""
        policy = RoutePolicy((RouteEntry("good/sees"), RouteEntry(AUTO)))
        assert ids(ask(auto(policy=policy)))[0] == "good/sees"
        assert len(ids(ask(auto(policy=policy)))) == 3

    def test_it_is_never_a_target(self) -> None:
        """The virtual host is in no decision and no list of targets."""
        for policy in (
            None,
            RoutePolicy((RouteEntry(AUTO),)),
            RoutePolicy((RouteEntry("good/sees"), RouteEntry(AUTO))),
        ):
            found = auto(policy=policy)
            decision = ask(found, limit=99)
            assert AUTO not in ids(decision)
            assert AUTO not in [target.id for target in found.targets]
            assert AUTO not in [reason.target for reason in decision.reasons(Health(Routing()))]


class TestQuality:
    """The prior."""

    def test_its_parts(self) -> None:
        """Dearer, newer, reasoning, longer and tool-using models have more points, and never more than 100."""
        plain = prior(model("m", 1.0), "2026-06-01", USD)
        for better in (
            prior(model("m", 1.0), "2026-06-01", 10 * USD),
            prior(model("m", 1.0, released_on="2026-06-01"), "2026-06-01", USD),
            prior(model("m", 1.0, reasoning=True), "2026-06-01", USD),
            prior(model("m", 1.0, tools=True), "2026-06-01", USD),
        ):
            assert plain.points < better.points <= 100.0

    def test_the_operators_word(self) -> None:
        """A stated quality is taken as it is."""
        assert prior(model("m", 1.0, quality=7), "2026-06-01", USD).points == 7.0

    @pytest.mark.parametrize(
        ("name", "cap"),
        [
            ("llama-3.2-1b", 25.0),
            ("gemma-3-4b-it", 32.0),
            ("qwen3-30b-a3b", 62.0),
            ("gpt-5", 100.0),
            ("llama-70b", 100.0),
            ("8bit", 100.0),
        ],
    )
    def test_small_models_are_capped(self, name: str, cap: float) -> None:
        """The size in a name bounds what price and age could say."""
        assert size_cap(name) == cap

    @pytest.mark.parametrize("date", ["2025", "2025-06", "2025-06-01", "soon", "", "2025-xx-01", "1-2-3-4"])
    def test_dates_of_any_form(self, date: str) -> None:
        """A date that is short or none is no error."""
        assert 0.0 < prior(model("m", 1.0, released_on=date), "2026-06-01", USD).points <= 100.0

    def test_a_cheap_host_does_not_make_a_model_worse(self) -> None:
        """The same model at two hosts has one quality."""
        found = auto(offer("a", model("maker/same-1.5", 8.0)), offer("b", model("same-1-5", 2.0)))
        assert found.auto is not None
        assert len({prior.points for prior in found.auto.priors.values()}) == 1


def test_explaining() -> None:
    """The explanation names the policy, the needs, every candidate and why, and is plain JSON."""
    health = Health(Routing())
    decision = ask(auto(), health, difficulty=0.4, features=Features(need=VISION | TOOLS, prompt_tokens=9))
    told = explain(decision, health, {"base": 0.1, "media": 0.1, "tools": 0.2})
    assert told["policy"]["prefer"] == "balanced"
    assert told["needs"]["abilities"] == ["images", "tools"]
    assert told["needs"]["difficulty_signs"] == {"base": 0.1, "media": 0.1, "tools": 0.2}
    assert [row["target"] for row in told["targets"]] == ids(decision)
    assert {row["target"]: row["code"] for row in told["candidates"]} == {
        "good/sees": "chosen",
        "good/thinks": "chosen",
        "cheap/small": "lacks",
        "cheap/tiny-3b": "lacks",
    }
    assert told["error"] is None
    assert "auto prefer=balanced difficulty=0.40 need=images,tools quality=" in told["summary"]


def test_explaining_a_refusal() -> None:
    """Where nothing may be tried, the explanation holds the error that a client would get."""
    found, health = auto(offer("h", SMALL)), Health(Routing())
    fail(health, found.candidates[1].target, 0.0, Outcome.RATE)
    told = explain(ask(found, health, 0.1), health)
    assert (told["error"]["status"], told["summary"], told["targets"]) == (429, "refused", [])
    assert host("h").credential is not None
    assert "sk-" not in str(told)
