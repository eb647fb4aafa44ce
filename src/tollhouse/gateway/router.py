"""Which targets a call is tried on, in which order: a route's candidates, judged by `routing.decide`. Pure.

`gateway.pipeline` calls `choose`, `gateway.relay` `choose_endpoint`; `plan` is for pages that ask what a name means.
What a decision has to know is gathered here; how it is made is `routing`, for production and for ``tollhouse route
explain``.
"""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from tollhouse.errors import ModelNotFound
from tollhouse.routing.decide import Decision, decide
from tollhouse.routing.difficulty import Signs, estimate
from tollhouse.routing.features import read_features
from tollhouse.routing.health import Health
from tollhouse.routing.patterns import Patterns
from tollhouse.routing.request import RouteRequest
from tollhouse.routing.sticky import conversation_key
from tollhouse.routing.table import Route
from tollhouse.routing.wishes import has_wishes, read_wishes, without_wishes
from tollhouse.settings.routing import RoutePolicy, Routing
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import ChatCall, Plan
from tollhouse.types.values import Value

_UNTRIED: Final = Health(Routing())
"""Of nobody anything is known. Never written to."""


def find_route(snapshot: Snapshot, model: str) -> Route:
    """What a model's name means. Raises `ModelNotFound`, saying what may be meant."""
    route = snapshot.routes.find(model)
    if route is None:
        raise ModelNotFound(snapshot.suggestions.explain(model), param="model")
    return route


def unserved(snapshot: Snapshot, route: Route, kind: str) -> dict[int, str]:
    """The positions of a route's candidates that are known to lack an endpoint other than chat, for
    `RouteRequest.barred`. Raises `ModelNotFound` where all of them do.
    """
    lacking = {
        at: "no_endpoint"
        for at, one in enumerate(route.candidates[: route.own])
        if snapshot.endpoint(one.target, kind) is None
    }
    if len(lacking) == route.own:
        raise ModelNotFound(f"The model '{route.name}' does not serve /v1/{kind}.", param="model")
    return lacking


def plan(snapshot: Snapshot, model: str, kind: str | None = None) -> Plan:
    """The targets of a model's name by its policy alone, as many as one request may be tried on.

    ``kind`` is an endpoint other than chat: targets that are known to lack it are left out. Raises `ModelNotFound`,
    saying what may be meant.
    """
    route = find_route(snapshot, model)
    barred = {} if kind is None else unserved(snapshot, route, kind)
    decision = decide(RouteRequest(route, 0.0, limit=snapshot.max_attempts, barred=barred), _UNTRIED)
    if not decision.picks:
        raise decision.fault()
    return Plan(model, decision.targets)


class Asked(Value, frozen=True):
    """A chat call, what came with it, and the chance and the moment of asking."""

    call: ChatCall
    headers: Mapping[bytes, bytes]
    body_bytes: int
    tenant: str
    """Whose conversations stay together."""
    allowed: tuple[str, ...]
    """Patterns of the only targets that the caller may use, where the name itself is not among them; else empty."""
    now: float
    seed: int
    """64 bits of chance."""


class Choice:
    """Where a call goes, in which order, and why. Never changed."""

    __slots__ = ("call", "plan", "policy", "summary")

    def __init__(self, call: ChatCall, plan: Plan, policy: RoutePolicy, summary: str) -> None:
        self.call = call
        """The call as it goes on: without what was said to the router alone."""
        self.plan = plan
        self.policy = policy
        self.summary = summary
        """One line of ASCII that says why; empty where there was nothing to choose."""


def choose_only(
    snapshot: Snapshot, health: Health, call: ChatCall, headers: dict[bytes, bytes], now: float
) -> Choice | None:
    """What `choose` would say where there is nothing to choose: one target that is well, and a call without wishes of a
    caller without restrictions. None wherever more has to be asked. Raises `ModelNotFound`.
    """
    route = find_route(snapshot, call.model)
    only = route.only
    if only is None or has_wishes(call.body, headers):
        return None
    state = health.hosts.get(only.targets[0].host.name)
    if state is not None and now < state.troubled_until:
        return None
    return Choice(_goes_on(call, route), only, route.policy, "")


def choose(snapshot: Snapshot, health: Health, asked: Asked) -> Choice:
    """The targets of a chat call. Raises `ModelNotFound`, `InvalidRequest`, and what a route without any stands for."""
    call = asked.call
    request, _ = question(snapshot, health, asked)
    decision = _decided(request, health)
    route = request.route
    body = without_wishes(call.body)
    if body is not call.body:
        native = without_wishes(call.native) if call.native is not None else None
        call = call.but(body=body, native=native)
    summary = decision.summary(health) if len(route.candidates) > 1 else ""
    return Choice(_goes_on(call, route), Plan(route.name, decision.targets), route.policy, summary)


def _goes_on(call: ChatCall, route: Route) -> ChatCall:
    """The call in the form in which its stream can go on elsewhere, where it may: only the inner form can."""
    if call.native is not None and call.stream and route.policy.goes_on:
        return call.but(native=None)
    return call


def question(snapshot: Snapshot, health: Health, asked: Asked) -> tuple[RouteRequest, Signs | None]:
    """What a call asks of `routing.decide`, and what makes it difficult. Raises `ModelNotFound`, `InvalidRequest`."""
    call = asked.call
    route = find_route(snapshot, call.model)
    policy = route.policy
    features = read_features(call.body, asked.body_bytes, stream=call.stream)
    signs = estimate(call.body, features) if route.wants_difficulty else None
    wishes = read_wishes(call.body, asked.headers)
    bound = bool(asked.allowed) and not wishes.allow
    barred: dict[int, str] = {}
    if bound:
        wishes = replace(wishes, allow=asked.allowed)
    elif asked.allowed:
        own = Patterns(asked.allowed)
        barred = {at: "not_allowed" for at, one in enumerate(route.candidates) if not own.fits(one.target)}
    request = RouteRequest(
        route,
        asked.now,
        seed=asked.seed,
        features=features,
        wishes=wishes,
        limit=snapshot.max_attempts,
        sticky_key=conversation_key(call.body, asked.headers, asked.tenant) if policy.sticky else 0,
        turn=health.next_turn(route.name) if policy.strategy == "round-robin" else 0,
        difficulty=signs.difficulty if signs is not None else 0.0,
        bound=bound,
        barred=barred,
    )
    return request, signs


def choose_endpoint(snapshot: Snapshot, health: Health, model: str, kind: str, now: float, seed: int) -> Choice:
    """The targets of a call to an endpoint other than chat. ``call`` is not there. Raises as `choose` does."""
    route = find_route(snapshot, model)
    barred = unserved(snapshot, route, kind)
    turn = health.next_turn(route.name) if route.policy.strategy == "round-robin" else 0
    request = RouteRequest(route, now, seed=seed, limit=snapshot.max_attempts, turn=turn, barred=barred)
    decision = _decided(request, health)
    summary = decision.summary(health) if len(route.candidates) > 1 else ""
    return Choice(_NO_CALL, Plan(route.name, decision.targets), route.policy, summary)


def _decided(request: RouteRequest, health: Health) -> Decision:
    decision = decide(request, health)
    if not decision.picks:
        raise decision.fault()
    return decision


_NO_CALL: Final = ChatCall("", {}, stream=False, include_usage=False)
