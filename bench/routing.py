"""What a routing decision costs: each strategy over 50 targets, and `tollhouse/auto` over hundreds of models.

    python -m bench.routing [--rounds N]

No sockets, no clock but the one that measures: `routing.decide` is pure. Figures are microseconds of CPU, the least of
all rounds, with every target well and with every target in some trouble. For `auto` all that depends on the request is
in it: reading its features, guessing how hard it is, deciding.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from bench import dialogues
from bench.translation import least_us
from tollhouse.catalog import store
from tollhouse.catalog.names import Names, Offer
from tollhouse.routing.auto import AUTO, AUTO_OFFER
from tollhouse.routing.decide import Decision, decide
from tollhouse.routing.difficulty import estimate
from tollhouse.routing.features import read_features
from tollhouse.routing.health import Health
from tollhouse.routing.outcomes import Outcome
from tollhouse.routing.request import RouteRequest
from tollhouse.routing.table import Route, Routes
from tollhouse.settings.routing import RouteEntry, RoutePolicy, Routing
from tollhouse.types.calls import Host, ModelFacts, Prices

TARGETS = 50
DECIDE_US = 15.0
AUTO_US = 50.0
STRATEGIES = ("priority", "weighted", "latency", "cost", "round-robin", "sticky")
_NAME = "pool"
_KEY = 12_345_678_901
_SEEDS = tuple(range(1, 1 << 20, 4099))
_AUTO_HOSTS = ("openai", "anthropic", "google", "mistral", "groq", "deepseek", "xai", "openrouter")
_MOST_MODELS = 400
_FAILURES = 5


class Row(NamedTuple):
    """One figure, in microseconds."""

    what: str
    took_us: float
    most_us: float | None
    """The target; None where there is none."""


def pool(strategy: str) -> Route:
    """A name with 50 targets at as many hosts."""
    hosts = [Host(f"h{place}", f"https://h{place}.example/v1") for place in range(TARGETS)]
    offers = [
        Offer(host, {"m": ModelFacts("m", "m", 128_000, 8000, prices=Prices(input=1000 * (place + 1), output=4000))})
        for place, host in enumerate(hosts)
    ]
    entries = tuple([RouteEntry(f"{host.name}/m", weight=1 + place % 3) for place, host in enumerate(hosts)])
    policy = RoutePolicy(entries, strategy="priority" if strategy == "sticky" else strategy)
    names = Names(tuple(offers), {_NAME: tuple([entry.target for entry in entries])}, store.load())
    return found(Routes(names, {_NAME: policy}, Routing(), {}), _NAME)


def found(routes: Routes, name: str) -> Route:
    """The route of a name that is there."""
    route = routes.find(name)
    if route is None:
        raise LookupError(name)
    return route


def tried(route: Route) -> Health:
    """What is known after one good answer of each target."""
    health = Health(Routing())
    for candidate in route.candidates:
        trial = health.start(candidate.target, 0.0)
        if trial is not None:
            health.first_token(trial, 0.1)
            health.end(trial, 0.2, Outcome.OK)
    return health


def troubled(route: Route) -> Health:
    """What is known where every second target fails, and every other is rate limited."""
    health = tried(route)
    for place, candidate in enumerate(route.candidates):
        failing = place % 2 > 0
        for _ in range(_FAILURES if failing else 1):
            trial = health.start(candidate.target, 1.0)
            if trial is not None:
                health.end(trial, 1.1, Outcome.SERVER if failing else Outcome.RATE, 0.5, 30.0)
    return health


def chance() -> Iterator[int]:
    """Seeds, without end."""
    while True:
        yield from _SEEDS


def decision_of(strategy: str, *, well: bool) -> Callable[[], Decision]:
    """Decides once more."""
    route = pool(strategy)
    health = tried(route) if well else troubled(route)
    seeds, key = chance(), _KEY if strategy == "sticky" else 0
    return lambda: decide(RouteRequest(route, 1.2, next(seeds), sticky_key=key, turn=3), health)


def auto_route() -> Route:
    """`tollhouse/auto` over the catalogue's models at eight hosts."""
    catalogue = store.load()
    offers = [
        Offer(Host(name, f"https://{name}.example"), dict(list(catalogue.models(name).items())[:_MOST_MODELS]))
        for name in _AUTO_HOSTS
    ]
    return found(Routes(Names((*offers, AUTO_OFFER), {}, catalogue), {}, Routing(), {}), AUTO)


def auto_of(kind: str) -> Callable[[], Decision]:
    """Reads a request, and chooses a model for it."""
    route, seeds = auto_route(), chance()
    health, raw = Health(Routing()), dialogues.REQUESTS[kind]["openai"]
    body: dict[str, Any] = json.loads(raw)

    def choose() -> Decision:
        features = read_features(body, len(raw))
        difficulty = estimate(body, features).difficulty
        return decide(RouteRequest(route, 1.0, next(seeds), features, difficulty=difficulty), health)

    return choose


def measure(rounds: int) -> list[Row]:
    """Every strategy, then `auto`."""
    works: dict[tuple[str, str], Callable[[], object]] = {}
    for strategy in STRATEGIES:
        works[strategy, "well"] = decision_of(strategy, well=True)
        works[strategy, "in trouble"] = decision_of(strategy, well=False)
    works["auto", "small"] = auto_of("small")
    works["auto", "agent"] = auto_of("agent")
    most = {"well": DECIDE_US, "small": AUTO_US, "agent": AUTO_US}
    return [Row(", ".join(name), us, most.get(name[1])) for name, us in least_us(works, rounds).items()]


def table(rows: list[Row]) -> str:
    """The figures as Markdown."""
    lines = ["| decision | us | target |", "|---|---:|---|"]
    for row in rows:
        told = "" if row.most_us is None else f"<= {row.most_us:g} {'met' if row.took_us <= row.most_us else 'missed'}"
        lines.append(f"| {row.what} | {row.took_us:.1f} | {told} |")
    return "\n".join(lines)


def main() -> None:
    """Reads the arguments, measures, prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.routing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how often each decision is measured")
    wanted = parser.parse_args()
    print(table(measure(wanted.rounds)))


if __name__ == "__main__":
    main()
