"""A decision as JSON, for ``POST /v1/route/explain`` and ``tollhouse route explain``. Pure."""

from collections.abc import Mapping
from typing import Any

from msgspec import to_builtins

from tollhouse.routing import abilities
from tollhouse.routing.decide import Decision
from tollhouse.routing.health import Health
from tollhouse.routing.reasons import preference
from tollhouse.routing.request import RouteRequest


def explain(decision: Decision, health: Health, signs: Mapping[str, float] | None = None) -> dict[str, Any]:
    """What would be tried, and of everything else why not. ``signs`` are those of `difficulty.estimate`.

    ``{"model", "policy", "needs", "targets": [...], "summary", "candidates": [...], "error"}``; ``error`` is None
    where there are targets. Amounts are US dollars per million tokens.
    """
    request = decision.request
    reasons = decision.reasons(health)
    fault = None if decision.picks else decision.fault()
    return {
        "model": request.route.name,
        "policy": _policy(request, health),
        "needs": _needs(request, signs),
        "summary": decision.summary(health),
        "targets": [
            {"target": pick.target.id, "key": pick.target.host.slot, "code": pick.code, "probe": pick.probe}
            for pick in decision.picks
        ],
        "candidates": [to_builtins(reason) for reason in reasons],
        "everyone_lacks": decision.everyone_lacks,
        "error": None
        if fault is None
        else {"status": fault.status, "code": fault.code, "message": fault.message, "headers": fault.headers},
    }


def _policy(request: RouteRequest, health: Health) -> dict[str, Any]:
    policy, routing = request.route.policy, health.routing
    stated: dict[str, Any] = {
        "strategy": policy.strategy,
        "sticky": policy.sticky or None,
        "hedge": policy.hedge,
        "failover": policy.failover or None,
        "fidelity": policy.fidelity or routing.fidelity,
        "max_tries": policy.max_tries or routing.max_tries,
    }
    if request.route.auto is not None:
        stated["prefer"] = preference(request, health)
    return stated


def _needs(request: RouteRequest, signs: Mapping[str, float] | None) -> dict[str, Any]:
    features = request.features
    needs: dict[str, Any] = {
        "abilities": abilities.names(features.need),
        "prompt_tokens": features.prompt_tokens,
        "context_tokens": features.context_tokens,
        "turns": features.turns,
        "stream": features.stream,
    }
    if request.route.wants_difficulty:
        needs["difficulty"] = round(request.difficulty, 3)
        needs["difficulty_signs"] = {name: round(value, 3) for name, value in (signs or {}).items() if value}
    return needs
