"""The decision: strategies, what leaves a target out, what passes it by, and what is said where nothing is left."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.routing.kit import NAME, ask, facts, fail, ids, offer, route, routes
from tollhouse.errors import InvalidRequest, UpstreamAuth, UpstreamRateLimited, UpstreamUnavailable
from tollhouse.routing.abilities import TOOLS, VISION
from tollhouse.routing.features import Features
from tollhouse.routing.health import Health
from tollhouse.routing.outcomes import Outcome
from tollhouse.routing.reasons import CHOSEN, WHY_NOT
from tollhouse.routing.sticky import conversation_key
from tollhouse.routing.table import Route
from tollhouse.routing.wishes import Wishes
from tollhouse.settings.routing import STRATEGIES, RouteEntry, RoutePolicy, Routing
from tollhouse.types.calls import Prices

DRAWS = 6000


def firsts(found: Route, health: Health | None = None, now: float = 0.0) -> Counter[str]:
    """Which target is first, over many seeds."""
    return Counter(ids(ask(found, health, now, seed=seed * 0x9E3779B97F4A7C15))[0] for seed in range(DRAWS))


class TestStrategies:
    """Who is first."""

    def test_priority_is_the_order_of_the_list(self) -> None:
        """Without more said, targets are tried as listed, no more than the limit."""
        assert ids(ask(route(5))) == ["h0/m", "h1/m", "h2/m"]
        assert ids(ask(route(5), limit=2)) == ["h0/m", "h1/m"]

    def test_lower_priorities_come_first(self) -> None:
        """A priority number goes before the order of the list."""
        entries = (RouteEntry("h0/m", priority=2), RouteEntry("h1/m", priority=1), RouteEntry("h2/m"))
        assert ids(ask(route(3, RoutePolicy(entries)))) == ["h2/m", "h1/m", "h0/m"]

    def test_weights_are_respected(self) -> None:
        """Targets of weights 1, 3 and 6 are first in these shares (chi-square, two degrees of freedom, 0.1 %)."""
        entries = tuple(RouteEntry(f"h{i}/m", weight) for i, weight in enumerate((1, 3, 6)))
        counts = firsts(route(3, RoutePolicy(entries, strategy="weighted")))
        expected = {f"h{i}/m": DRAWS * weight / 10 for i, weight in enumerate((1, 3, 6))}
        assert sum((counts[name] - e) ** 2 / e for name, e in expected.items()) < 13.8

    def test_the_share_of_one_that_is_down_goes_to_the_others_by_weight(self) -> None:
        """With the heaviest down the others are first in their own proportion."""
        entries = tuple(RouteEntry(f"h{i}/m", weight) for i, weight in enumerate((1, 3, 6)))
        found, health = route(3, RoutePolicy(entries, strategy="weighted")), Health(Routing())
        fail(health, found.candidates[2].target, 0.0, times=5)
        counts = firsts(found, health, 0.1)
        assert counts.keys() == {"h0/m", "h1/m"}
        assert 2.6 < counts["h1/m"] / counts["h0/m"] < 3.4

    def test_every_target_is_drawn_once(self) -> None:
        """A long list by weight names each target once, those without weight last."""
        entries = tuple(RouteEntry(f"h{i}/m", (i * 7) % 5) for i in range(40))
        found = route(40, RoutePolicy(entries, strategy="weighted"))
        for seed in range(50):
            order = ids(ask(found, seed=seed, limit=40))
            assert len(set(order)) == 40
            assert set(order[-8:]) == {f"h{i}/m" for i in range(40) if (i * 7) % 5 == 0}

    def test_the_faster_of_two_is_preferred(self) -> None:
        """Of three targets the slow one is never first, and the two fast ones share the rest."""
        found, health = route(3, strategy="latency"), Health(Routing())
        for at, took in enumerate((0.1, 0.1, 2.0)):
            trial = health.start(found.candidates[at].target, 0.0, stream=False)
            assert trial is not None
            health.first_token(trial, took)
            health.end(trial, took, Outcome.OK)
        counts = firsts(found, health, 2.0)
        assert "h2/m" not in counts
        assert 0.4 < counts["h0/m"] / DRAWS < 0.6

    def test_requests_under_way_count(self) -> None:
        """Of two equally fast targets the one with fewer requests under way is first."""
        found, health = route(2, strategy="latency"), Health(Routing())
        for at in range(2):
            trial = health.start(found.candidates[at].target, 0.0, stream=False)
            assert trial is not None
            health.first_token(trial, 0.1)
            health.end(trial, 0.1, Outcome.OK)
        assert health.start(found.candidates[0].target, 0.1) is not None
        assert firsts(found, health, 0.2) == {"h1/m": DRAWS}

    def test_the_cheapest_first(self) -> None:
        """Targets are tried by rising price, those without one last."""
        prices = [Prices(5, 5), Prices(), Prices(1, 2), Prices(3, 3)]
        offers = [offer(f"h{i}", facts(prices=price)) for i, price in enumerate(prices)]
        policy = RoutePolicy(tuple(RouteEntry(f"h{i}/m") for i in range(4)), strategy="cost")
        found = routes(offers, {NAME: policy}).find(NAME)
        assert found is not None
        assert ids(ask(found, limit=4)) == ["h2/m", "h3/m", "h0/m", "h1/m"]

    def test_in_turn(self) -> None:
        """Each turn starts with the next target."""
        found, health = route(3, strategy="round-robin"), Health(Routing())
        assert [ids(ask(found, turn=health.next_turn(NAME)))[0] for _ in range(4)] == ["h0/m", "h1/m", "h2/m", "h0/m"]

    def test_a_conversation_stays(self) -> None:
        """With one key the order is always the same, and losing another target does not change the first."""
        found, health = route(5, sticky="conversation"), Health(Routing())
        key = conversation_key({"user": "u"}, {})
        order = ids(ask(found, sticky_key=key, limit=5))
        assert all(ids(ask(found, sticky_key=key, seed=seed, limit=5)) == order for seed in range(20))
        last = next(one.target for one in found.candidates if one.id == order[-1])
        fail(health, last, 0.0, times=5)
        assert ids(ask(found, health, 0.1, sticky_key=key, limit=5)) == order[:-1]

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_the_same_seed_is_the_same_decision(self, strategy: str) -> None:
        """A decision can be made again: nothing but its arguments counts."""
        found, health = route(9, strategy=strategy), Health(Routing())
        for seed in range(20):
            assert ask(found, health, seed=seed).picks == ask(found, health, seed=seed).picks


class TestLeavingOut:
    """What a target lacks."""

    def test_an_ability_that_only_some_have(self) -> None:
        """A target that is known to lack what is needed is left out while another has it."""
        offers = [offer("h0"), offer("h1", facts(input_kinds=("text", "image"), tools=True))]
        found = routes(offers, {NAME: RoutePolicy((RouteEntry("h0/m"), RouteEntry("h1/m")))}).find(NAME)
        assert found is not None
        decision = ask(found, features=Features(need=VISION | TOOLS))
        assert ids(decision) == ["h1/m"]
        assert decision.reasons(Health(Routing()))[1].sentence == "it does not take images, tools"

    def test_an_ability_that_nobody_has(self) -> None:
        """Where all are known to lack it, none is left out: the catalogue may be wrong."""
        decision = ask(route(2), features=Features(need=VISION))
        assert ids(decision) == ["h0/m", "h1/m"]
        assert decision.everyone_lacks

    def test_what_is_not_known_may_be_there(self) -> None:
        """A model that the catalogue does not know is not left out for what nobody said of it."""
        offers = [offer("h0", facts(released_on=None)), offer("h1", facts(input_kinds=("text", "image")))]
        found = routes(offers, {NAME: RoutePolicy((RouteEntry("h0/m"), RouteEntry("h1/m")))}).find(NAME)
        assert found is not None
        assert ids(ask(found, features=Features(need=VISION))) == ["h0/m", "h1/m"]

    def test_a_context_that_is_too_small(self) -> None:
        """A prompt that fits into one context alone goes there alone; one that fits nowhere goes to all."""
        offers = [offer("h0", facts(context_tokens=8_000)), offer("h1")]
        found = routes(offers, {NAME: RoutePolicy((RouteEntry("h0/m"), RouteEntry("h1/m")))}).find(NAME)
        assert found is not None
        assert ids(ask(found, features=Features(prompt_tokens=9_000))) == ["h1/m"]
        assert ids(ask(found, features=Features(prompt_tokens=900_000))) == ["h0/m", "h1/m"]

    def test_lists_and_prices_of_the_client(self) -> None:
        """What a client denies or caps is never tried, even where nothing else is left."""
        found = route(3)
        assert ids(ask(found, wishes=Wishes(deny=("h0/*",)))) == ["h1/m", "h2/m"]
        assert ids(ask(found, wishes=Wishes(allow=("H1/M",)))) == ["h1/m"]
        decision = ask(found, wishes=Wishes(max_output_pusd=3_999_999), features=Features(need=VISION))
        assert ids(decision) == []
        assert isinstance(decision.fault(), InvalidRequest)

    def test_the_clients_word_holds_where_all_lack_something(self) -> None:
        """A denied target stays out although every other lacks what is needed."""
        assert ids(ask(route(2), features=Features(need=VISION), wishes=Wishes(deny=("h0/m",)))) == ["h1/m"]

    def test_prices_of_the_operator(self) -> None:
        """A cap of the alias leaves dear targets out, and those without a price."""
        offers = [offer("h0"), offer("h1", facts(prices=Prices())), offer("h2", facts(prices=Prices(1, 2)))]
        policy = RoutePolicy(tuple(RouteEntry(f"h{i}/m") for i in range(3)), max_output_pusd=100)
        found = routes(offers, {NAME: policy}).find(NAME)
        assert found is not None
        assert ids(ask(found)) == ["h2/m"]

    def test_an_endpoint_that_is_not_served(self) -> None:
        """Positions that the caller bars are left out."""
        assert ids(ask(route(2), barred={0: "no_endpoint"})) == ["h1/m"]


class TestHealth:
    """What passes a target by."""

    def test_one_in_trouble_is_passed_by(self) -> None:
        """A cooling target and an open one are skipped for those that are well."""
        found, health = route(3), Health(Routing())
        fail(health, found.candidates[0].target, 0.0, Outcome.RATE)
        fail(health, found.candidates[1].target, 0.0, times=5)
        assert ids(ask(found, health, 0.1)) == ["h2/m"]

    def test_a_probe_has_a_safety_net(self) -> None:
        """A circuit that may close is tried first, marked as a probe, with the next target behind it."""
        found, health = route(2), Health(Routing())
        fail(health, found.candidates[0].target, 0.0, times=5)
        picks = ask(found, health, 2.0).picks
        assert [(pick.target.id, pick.probe) for pick in picks] == [("h0/m", True), ("h1/m", False)]

    def test_an_ejected_target_comes_last(self) -> None:
        """One that fails too often is tried after the others, never left out."""
        found, health = route(3), Health(Routing())
        for turn in range(20):
            fail(health, found.candidates[0].target, 0.0, Outcome.SERVER if turn % 2 else Outcome.OK)
        assert ids(ask(found, health, 0.1)) == ["h1/m", "h2/m", "h0/m"]

    def test_never_more_than_a_share_is_put_behind(self) -> None:
        """When all fail too often, half of them keep their place, and none is lost."""
        found, health = route(4), Health(Routing())
        for candidate in found.candidates:
            for turn in range(20):
                fail(health, candidate.target, 0.0, Outcome.SERVER if turn % 2 else Outcome.OK)
        assert ids(ask(found, health, 0.1, limit=4)) == ["h2/m", "h3/m", "h0/m", "h1/m"]

    @pytest.mark.parametrize(
        ("outcomes", "kind", "status", "wait"),
        [
            ((Outcome.RATE, Outcome.RATE), UpstreamRateLimited, 429, "1"),
            ((Outcome.AUTH, Outcome.AUTH), UpstreamAuth, 502, None),
            ((Outcome.SERVER, Outcome.SERVER), UpstreamUnavailable, 503, "1"),
            ((Outcome.SERVER, Outcome.RATE), UpstreamUnavailable, 503, "1"),
            ((Outcome.AUTH, Outcome.RATE), UpstreamUnavailable, 503, "1"),
            ((Outcome.QUOTA, Outcome.QUOTA), UpstreamUnavailable, 503, "60"),
        ],
    )
    def test_when_nothing_can_be_tried(
        self, outcomes: tuple[Outcome, ...], kind: type[Exception], status: int, wait: str | None
    ) -> None:
        """The client is told at once what all share, with the shortest wait."""
        found, health = route(2), Health(Routing())
        for at, outcome in enumerate(outcomes):
            fail(health, found.candidates[at].target, 0.0, outcome, 5 if outcome is Outcome.SERVER else 1)
        decision = ask(found, health, 0.1)
        fault = decision.fault()
        assert not decision.picks
        assert isinstance(fault, kind)
        assert (fault.status, fault.headers.get("retry-after")) == (status, wait)
        if status == 503:
            assert fault.code == "no_route_available"


class TestKeys:
    """Hosts with several keys."""

    def keyed(self, strategy: str = "priority") -> Route:
        """A host with three keys before one with one."""
        policy = RoutePolicy((RouteEntry("h0/m"), RouteEntry("h1/m")), strategy=strategy)
        found = routes([offer("h0", keys=3), offer("h1")], {NAME: policy}).find(NAME)
        assert found is not None
        return found

    def test_keys_share_the_requests(self) -> None:
        """Each key is first as often as another (chi-square, two degrees of freedom, 0.1 %)."""
        counts = Counter(ask(self.keyed(), seed=seed * 977).picks[0].target.host.slot for seed in range(DRAWS))
        assert sum((counts[slot] - DRAWS / 3) ** 2 / (DRAWS / 3) for slot in range(3)) < 13.8

    def test_two_keys_and_another_host(self) -> None:
        """Of several keys two are tried before the next target, and each has its own credential."""
        targets = ask(self.keyed()).targets
        assert [target.host.name for target in targets] == ["h0", "h0", "h1"]
        credentials = {target.host.credential.reveal() for target in targets if target.host.credential is not None}
        assert len(credentials) == 3

    def test_a_limited_key_is_not_tried(self) -> None:
        """The other keys of a host take over from one that is cooling, and one that is refused."""
        found, health = self.keyed(), Health(Routing())
        fail(health, found.candidates[0].variants[0], 0.0, Outcome.RATE)
        fail(health, found.candidates[0].variants[1], 0.0, Outcome.AUTH)
        for seed in range(20):
            assert [target.host.slot for target in ask(found, health, 0.1, seed=seed).targets] == [2, 0]

    def test_a_conversation_keeps_its_key(self) -> None:
        """Vendors cache by account: with a conversation's key the slot is always the same."""
        found = self.keyed()
        slots = {ask(found, seed=seed, sticky_key=77).picks[0].target.host.slot for seed in range(20)}
        assert len(slots) == 1


class TestReasons:
    """What is said of it."""

    def test_every_candidate_has_one(self) -> None:
        """Each target and key has a code that is known, and a sentence without a hole in it."""
        found, health = route(6), Health(Routing())
        for at, outcome in enumerate((Outcome.RATE, Outcome.AUTH, Outcome.QUOTA, Outcome.SERVER)):
            fail(health, found.candidates[at].target, 0.0, outcome, 5 if outcome is Outcome.SERVER else 1)
        reasons = ask(found, health, 0.1, limit=1).reasons(health)
        assert [(reason.code, reason.place) for reason in reasons] == [
            ("chosen", 0),
            *(("cooling", None), ("key_refused", None), ("key_empty", None), ("circuit_open", None)),
            ("ranked_lower", None),
        ]
        assert all(reason.code in CHOSEN.keys() | WHY_NOT.keys() for reason in reasons)
        assert not any("{" in reason.sentence for reason in reasons)

    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_the_summary_is_one_line(self, strategy: str) -> None:
        """The header's text is printable ASCII and names the targets."""
        line = ask(route(3, strategy=strategy)).summary(Health(Routing()))
        assert line.isascii()
        assert line.isprintable()
        assert "h0/m" in line


@given(
    st.sampled_from(STRATEGIES),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from(list(Outcome)), st.integers(1, 6)), max_size=12),
    st.integers(0, 1 << 64),
    st.integers(0, 255),
    st.integers(0, 300_000),
)
def test_any_question(
    strategy: str, history: list[tuple[int, Outcome, int]], seed: int, need: int, prompt_tokens: int
) -> None:
    """Whatever happened and is asked, the decision holds each target and key once, none that is blocked, or a fault."""
    found, health = route(6, strategy=strategy), Health(Routing())
    for at, outcome, times in history:
        for _ in range(times):
            trial = health.start(found.candidates[at].target, 0.0)
            if trial is not None:
                health.end(trial, 0.0, outcome)
    decision = ask(found, health, 0.5, seed=seed, features=Features(need=need, prompt_tokens=prompt_tokens))
    seen = [(pick.at, pick.target.host.slot) for pick in decision.picks]
    assert len(seen) == len(set(seen)) <= 3
    for pick in decision.picks:
        trouble = health.trouble(pick.target, 0.5)
        assert trouble is None or not trouble.blocks
    if not decision.picks:
        assert decision.fault().status in {429, 502, 503}
        assert all((trouble := health.trouble(c.target, 0.5)) and trouble.blocks for c in found.candidates)
    assert len(decision.reasons(health)) == 6
