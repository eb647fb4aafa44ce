"""Sixty seconds of storm at 500 requests a second, in simulated time: what clients see, and what hosts are sent."""

import heapq
import random
from collections import Counter
from collections.abc import Callable
from itertools import count

import pytest

from tests.routing.kit import route
from tollhouse.routing.course import Course, Step
from tollhouse.routing.decide import decide
from tollhouse.routing.health import Health, Trial
from tollhouse.routing.outcomes import Outcome
from tollhouse.routing.request import RouteRequest
from tollhouse.routing.table import Route
from tollhouse.settings.routing import Routing
from tollhouse.types.calls import Target

RATE = 500
Upstream = Callable[[Target, float, random.Random], tuple[Outcome, float]]
"""How a target answers at a time, and after how many seconds."""


class Client:
    """One request on its course."""

    def __init__(self, at: float, course: Course, targets: tuple[Target, ...]) -> None:
        self.at = at
        self.course = course
        self.targets = targets


class Storm:
    """The gateway's loop around routing, with a clock that is moved by hand."""

    def __init__(self, found: Route, upstream: Upstream, seed: int = 1) -> None:
        self.route = found
        self.upstream = upstream
        self.chance = random.Random(seed)  # noqa: S311  a fixed seed
        self.health = Health(Routing())
        self.seen: Counter[str] = Counter()
        self.sent: list[tuple[float, str]] = []
        """When each request went upstream, and where."""
        self.answered: list[tuple[float, float, bool]] = []
        """When each client came, how long it waited, and whether it got an answer."""
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()

    def at(self, when: float, what: Callable[[float], None]) -> None:
        """Something that happens at a time."""
        heapq.heappush(self._events, (when, next(self._number), what))

    def run(self, seconds: float) -> None:
        """Clients come in a Poisson stream; ends when all have been answered."""
        now = 0.0
        while now < seconds:
            now += self.chance.expovariate(RATE)
            self.at(now, self.arrive)
        while self._events:
            when, _, what = heapq.heappop(self._events)
            what(when)

    def arrive(self, now: float) -> None:
        """A client comes."""
        decision = decide(RouteRequest(self.route, now, self.chance.getrandbits(64)), self.health)
        if not decision.picks:
            self.seen[f"refused {decision.fault().status}"] += 1
            self.answered.append((now, 0.0, False))
            return
        client = Client(now, Course(decision.targets, self.route.policy, self.health), decision.targets)
        self.begin(client, client.course.first(now), now)

    def begin(self, client: Client, step: Step, now: float) -> None:
        """A request goes upstream."""
        target = client.targets[step.index]
        trial = self.health.start(target, now)
        if trial is None:
            self.next(client, step, Outcome.BUSY_PROBE, now)
            return
        self.sent.append((now, target.id))
        outcome, took = self.upstream(target, now, self.chance)
        self.at(now + took, lambda when: self.finish(client, step, trial, outcome, when))

    def finish(self, client: Client, step: Step, trial: Trial, outcome: Outcome, now: float) -> None:
        """Its answer is here."""
        if outcome is Outcome.OK:
            self.health.first_token(trial, now)
        self.health.end(trial, now, outcome, self.chance.random())
        if outcome is Outcome.OK:
            self.answered.append((client.at, now - client.at, True))
            self.seen["ok"] += 1
            return
        self.next(client, step, outcome, now)

    def next(self, client: Client, step: Step, outcome: Outcome, now: float) -> None:
        """It failed: somebody else is asked, or the client is told."""
        further = client.course.after(step, outcome, now, self.chance.random())
        if further is None:
            self.answered.append((client.at, now - client.at, False))
            self.seen["failed"] += 1
            return
        self.at(now + further.wait_s, lambda when: self.begin(client, further, when))

    @property
    def amplification(self) -> float:
        """Requests sent upstream for each of the clients'."""
        return len(self.sent) / len(self.answered)

    @property
    def errors(self) -> float:
        """The share of clients that got no answer."""
        return sum(1 for _, _, well in self.answered if not well) / len(self.answered)


def takes(chance: random.Random) -> float:
    """How long a good answer takes, about a twelfth of a second."""
    return chance.lognormvariate(-2.5, 0.5)


def test_everything_is_down_for_a_minute() -> None:
    """Circuits open within two seconds, clients are refused at once, hosts see a handful of probes, and when they are
    back all is well within ten seconds.
    """

    def upstream(_target: Target, now: float, chance: random.Random) -> tuple[Outcome, float]:
        return (Outcome.SERVER, 0.005) if 5.0 <= now < 65.0 else (Outcome.OK, takes(chance))

    storm = Storm(route(2), upstream)
    storm.run(80.0)
    assert storm.amplification <= 1.2
    calm = [at for at, name in storm.sent if 7.0 <= at < 65.0]
    assert 10 <= len(calm) <= 120  # a probe in up to six seconds and two targets, each with its net behind it
    during = [took for at, took, _ in storm.answered if 7.0 <= at < 64.0]
    assert sorted(during)[int(0.99 * len(during))] < 0.05
    assert storm.seen["refused 503"] > 20_000
    late = [well for at, _, well in storm.answered if at > 75.0]
    assert all(late)


def test_one_of_two_is_dead() -> None:
    """With one provider dead less than one client in ten thousand sees it, at no more than a fifth of extra traffic."""

    def upstream(target: Target, now: float, chance: random.Random) -> tuple[Outcome, float]:
        dead = target.host.name == "h0" and 5.0 <= now < 50.0
        return (Outcome.UNREACHABLE, 0.003) if dead else (Outcome.OK, takes(chance))

    storm = Storm(route(2), upstream)
    storm.run(60.0)
    assert storm.errors < 0.0001
    assert storm.amplification <= 1.2
    sent = [at for at, name in storm.sent if name == "h0/m"]
    assert sum(1 for at in sent if 7.0 <= at < 50.0) <= 60
    assert sum(1 for at in sent if at >= 57.0) > 0.9 * sum(1 for at, _, _ in storm.answered if at >= 57.0)


@pytest.mark.parametrize("strategy", ["priority", "weighted", "latency"])
def test_one_request_in_ten_fails(strategy: str) -> None:
    """With two targets that fail at random in one of ten requests, less than one client in a thousand sees an error."""

    def upstream(_target: Target, _now: float, chance: random.Random) -> tuple[Outcome, float]:
        return (Outcome.SERVER, 0.02) if chance.random() < 0.1 else (Outcome.OK, takes(chance))

    storm = Storm(route(2, strategy=strategy), upstream)
    storm.run(60.0)
    assert storm.errors < 0.001
    assert storm.amplification <= 1.2


@pytest.mark.parametrize("share", [0.2, 0.4, 0.49, 0.6, 0.9])
def test_retries_never_multiply_a_storm(share: float) -> None:
    """However many requests fail, hosts are sent at most a fifth more than clients ask, and some are served."""

    def upstream(_target: Target, _now: float, chance: random.Random) -> tuple[Outcome, float]:
        return (Outcome.OVERLOAD, 0.05) if chance.random() < share else (Outcome.OK, takes(chance))

    storm = Storm(route(3), upstream)
    storm.run(30.0)
    assert storm.amplification <= 1.2
    assert storm.seen["ok"] > 0


def test_a_host_that_hangs_is_left() -> None:
    """Timeouts open the circuit too: after the first ones nobody waits for the host but its probes."""

    def upstream(target: Target, _now: float, chance: random.Random) -> tuple[Outcome, float]:
        return (Outcome.TIMEOUT, 1.0) if target.host.name == "h0" else (Outcome.OK, takes(chance))

    storm = Storm(route(2), upstream)
    storm.run(20.0)
    waits = [took for at, took, _ in storm.answered if at > 2.0]
    assert sum(1 for took in waits if took > 1.0) < 20
    assert storm.errors < 0.0001 + 600 / len(storm.answered)


def test_a_limited_key_is_spared() -> None:
    """A key that is limited to 100 requests a second gets little more than it takes, and the other target the rest."""
    window: Counter[int] = Counter()

    def upstream(target: Target, now: float, chance: random.Random) -> tuple[Outcome, float]:
        if target.host.name == "h1":
            return Outcome.OK, takes(chance)
        window[int(now)] += 1
        return (Outcome.RATE, 0.004) if window[int(now)] > 100 else (Outcome.OK, takes(chance))

    storm = Storm(route(2), upstream)
    storm.run(30.0)
    assert storm.errors == 0.0
    assert storm.amplification <= 1.05
