"""Names as routes: what is worked out before a request, and how snapshots hold it."""

from pathlib import Path

from tests.routing.kit import CATALOGUE, NAME, ask, facts, fail, host, ids, offer, routes
from tollhouse.config import Settings
from tollhouse.config import load as load_settings
from tollhouse.discovery import declared
from tollhouse.routing.auto import AUTO
from tollhouse.routing.patterns import Patterns
from tollhouse.routing.table import CACHE_ROUTES
from tollhouse.settings.routing import RouteEntry, RoutePolicy, Routing
from tollhouse.snapshot import Live, build
from tollhouse.types.calls import Target


def test_a_bare_name_shares_its_weight() -> None:
    """An entry that means several hosts gives each of them its part of the weight."""
    policy = RoutePolicy((RouteEntry("m", weight=3), RouteEntry("h2/n", weight=1)), strategy="weighted")
    found = routes([offer("h0"), offer("h1"), offer("h2", facts("n"))], {NAME: policy}).find(NAME)
    assert found is not None
    assert {one.id: one.weight for one in found.candidates} == {"h0/m": 1.5, "h1/m": 1.5, "h2/n": 1.0}


def test_patterns_have_policies() -> None:
    """A name that fits a pattern has the pattern's policy, the last resort included."""
    policies = {
        "gpt-*": RoutePolicy((RouteEntry("h0/*"),), hedge=True),
        "*": RoutePolicy((RouteEntry("h1/m"),), failover="mid-stream"),
    }
    found = routes([offer("h0", facts("gpt-5")), offer("h1")], policies)
    for name, target, policy in (("gpt-5", "h0/gpt-5", policies["gpt-*"]), ("what", "h1/m", policies["*"])):
        route = found.find(name)
        assert route is not None
        assert (ids(ask(route)), route.policy) == ([target], policy)


def test_where_nothing_is_left_to_choose() -> None:
    """A name has its one target ready only where it has one, with one key, that no rule of the operator's bars."""
    lone = routes([offer("h0")]).find("h0/m")
    assert lone is not None
    assert lone.only is not None
    assert lone.only.targets == ask(lone).targets
    for found, name in (
        (routes([offer("h1", keys=2)]), "h1/m"),
        (routes([offer("h0")], {NAME: RoutePolicy((RouteEntry("h0/m"),), deny=("h0/*",))}), NAME),
        (routes([offer("h0"), offer("h1")], {NAME: RoutePolicy((RouteEntry("h0/m"), RouteEntry("h1/m")))}), NAME),
        (routes([offer("h0")]), AUTO),
    ):
        other = found.find(name)
        assert other is not None
        assert other.only is None


def test_a_name_that_means_nothing() -> None:
    """Nothing is found for it, and inventing names does not fill the memory."""
    found = routes([offer("h0")])
    for at in range(CACHE_ROUTES + 10):
        assert found.find(f"nothing-{at}") is None
    assert len(found._known) <= CACHE_ROUTES


def test_patterns_are_only_stars() -> None:
    """Other signs of shell patterns stand for themselves, and case does not matter."""
    target = Target(host("openai"), "gpt-4o-mini")
    for pattern, fits in (
        ("OpenAI/*", True),
        ("*mini", True),
        ("gpt-4o-mini", True),
        ("gpt-?o-mini", False),
        ("*[a-z]*", False),
    ):
        assert Patterns([pattern]).fits(target) is fits
    assert not Patterns([]).fits(target)


def test_patterns_without_end_are_quick() -> None:
    """A pattern of many stars is decided at once (no backtracking without bound)."""
    target = Target(host("h"), "a" * 256)
    assert not Patterns(["*a" * 60 + "*b"]).fits(target)


def test_a_snapshot_has_routes_and_health_survives_it() -> None:
    """A reload makes new routes, takes the new constants, and keeps what is known of hosts that stay."""
    old = build(Settings(), CATALOGUE, (offer("h0"), offer("h1")))
    live = Live(old)
    route = old.routes.find("m")
    assert route is not None
    fail(live.health, route.candidates[0].target, 0.0, times=5)
    live.swap(build(Settings(routing=Routing(max_tries=9)), CATALOGUE, (offer("h0"),)))
    assert live.health.routing.max_tries == 9
    assert live.health.hosts.keys() == {"h0"}
    again = live.snapshot.routes.find("m")
    assert again is not None
    assert not ask(again, live.health, 0.1).picks


def test_auto_is_a_name_where_there_are_models() -> None:
    """``tollhouse/auto`` is listed and means something as soon as one host says what it has, and not before."""
    assert AUTO in build(Settings(), CATALOGUE, (offer("h0"),)).names.listed()
    empty = build(Settings(), CATALOGUE, ())
    assert empty.routes.find(AUTO) is None
    assert AUTO not in empty.names.listed()


def test_several_keys_are_one_offer(tmp_path: Path) -> None:
    """A host with three keys is offered once, with a row for each key beside the first."""
    path = tmp_path / "t.toml"
    path.write_text('[providers.mine]\nbase_url = "https://x.example/v1"\napi_keys = ["env:A", "env:B", "env:C"]\n')
    environ = {name: f"sk-{name}-0123456789" for name in "ABC"}
    settings = load_settings(path, {**environ, "HOME": str(tmp_path)}, CATALOGUE.providers)
    offers, _ = declared(settings, CATALOGUE)
    assert len(offers) == 1
    rows = (offers[0].host, *offers[0].more)
    assert [row.slot for row in rows] == [0, 1, 2]
    assert [row.credential.reveal() for row in rows if row.credential] == list(environ.values())
