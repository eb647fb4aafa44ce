"""Hosts, names and health for the tests of routing."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tollhouse.catalog.names import Names, Offer
from tollhouse.catalog.store import load
from tollhouse.routing.auto import AUTO_OFFER
from tollhouse.routing.decide import Decision, decide
from tollhouse.routing.health import Health
from tollhouse.routing.outcomes import Outcome
from tollhouse.routing.request import RouteRequest
from tollhouse.routing.table import Route, Routes
from tollhouse.settings.routing import RouteEntry, RoutePolicy, Routing
from tollhouse.types.calls import Host, ModelFacts, Prices, Target
from tollhouse.types.secret import Secret

CATALOGUE = load()
NAME = "name"


def facts(name: str = "m", **said: object) -> ModelFacts:
    """A model of the catalogue with text, a context of 128,000 tokens and a price, but for what is said."""
    plain = ModelFacts(name, name, 128_000, 8_000, released_on="2025-06-01", prices=Prices(1_000_000, 4_000_000))
    return replace(plain, **said)  # type: ignore[arg-type]


def host(name: str, slot: int = 0) -> Host:
    """A host with a key of its own for each slot."""
    return Host(name, f"https://{name}.example/v1", Secret(f"sk-{name}-{slot}"), slot=slot)


def offer(name: str, *models: ModelFacts, keys: int = 1) -> Offer:
    """A host that has these models, ``m`` where none are given."""
    rows = models or (facts(),)
    return Offer(host(name), {one.id: one for one in rows}, more=tuple(host(name, slot) for slot in range(1, keys)))


def routes(
    offers: Iterable[Offer], policies: Mapping[str, RoutePolicy] | None = None, routing: Routing | None = None
) -> Routes:
    """The routes of these hosts, with ``tollhouse/auto``."""
    listed = (*offers, AUTO_OFFER)
    stated = policies or {}
    aliases = {name: tuple([entry.target for entry in policy.entries]) for name, policy in stated.items()}
    more = {one.host.name: one.more for one in listed if one.more}
    return Routes(Names(listed, aliases, CATALOGUE), stated, routing or Routing(), more)


def route(count: int = 3, policy: RoutePolicy | None = None, **said: object) -> Route:
    """A name for the model ``m`` at the hosts ``h0``, ``h1``... with one entry each, or those of the policy."""
    policy = policy or RoutePolicy(entries=tuple(RouteEntry(f"h{i}/m") for i in range(count)), **said)  # type: ignore[arg-type]
    found = routes([offer(f"h{i}") for i in range(count)], {NAME: policy}).find(NAME)
    assert found is not None
    return found


def fail(health: Health, target: Target, now: float, outcome: Outcome = Outcome.SERVER, times: int = 1) -> None:
    """That many attempts at a target end so."""
    for _ in range(times):
        trial = health.start(target, now)
        assert trial is not None
        health.end(trial, now, outcome)


def ids(decision: Decision) -> list[str]:
    """The targets in the order of trying."""
    return [target.id for target in decision.targets]


def ask(found: Route, health: Health | None = None, now: float = 0.0, **said: object) -> Decision:
    """The decision for a request with these fields."""
    return decide(RouteRequest(found, now, **said), health or Health(Routing()))  # type: ignore[arg-type]
