"""What is set up and what was done: tiers, the configuration in force, its reload, and the audit."""

import time
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from tollhouse.control.admin.pages import page_of, read_number
from tollhouse.control.admin.shapes import Page, Paging
from tollhouse.control.admin.table import Call, Endpoint
from tollhouse.control.reload import Reloader
from tollhouse.snapshot import Live
from tollhouse.tenancy.office import Office
from tollhouse.types.tenancy import Rates

_NEWEST = 1 << 62


class RateLimits(Struct, frozen=True):
    """Limits; null is none. Those named in ``soft`` are only flagged."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    soft: list[str]


class TierShape(Struct, frozen=True, kw_only=True):
    """A tier of the configuration: what it allows a key, and each model of a key."""

    id: str
    rates: RateLimits
    per_model: RateLimits
    models: dict[str, RateLimits]
    safety: Annotated[str, Meta(description="Its safety policy; empty for none.")]
    object: Literal["tier"] = "tier"


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One thing that somebody did. ``detail`` holds what was given or changed, as ``{"field": [before, after]}``."""

    id: str
    at: int
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    object: Literal["audit"] = "audit"


class LastReload(Struct, frozen=True):
    """How the last reading of the file ended."""

    at: int
    result: Literal["ok", "invalid"]
    problems: list[str]


class Configuration(Struct, frozen=True):
    """What is in force, without any secret."""

    file: str | None
    last_reload: LastReload
    hosts: list[str]
    aliases: dict[str, list[str]]
    unresolved: list[list[str]]


class TargetHealth(Struct, frozen=True, kw_only=True):
    """How one model at one host has been of late. Times are seconds; 0 where nothing is known."""

    target: str
    state: Literal["closed", "open", "half_open"]
    ejected: bool
    open_for_s: float
    in_flight: int
    answers: int
    failures: int
    last_fault: str
    first_token_s: float
    first_token_p95_s: float
    object: Literal["target"] = "target"


class KeyHealth(Struct, frozen=True, kw_only=True):
    """How one key of a host has been of late; ``slot`` counts the keys of the host from 0."""

    host: str
    slot: int
    state: str
    for_s: float
    in_flight: int
    cooling: dict[str, float]
    object: Literal["host_key"] = "host_key"


class Health(Struct, frozen=True):
    """What routing goes by."""

    targets: list[TargetHealth]
    keys: list[KeyHealth]


class AuditQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which part of the audit."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    after: str | None = None
    subject: Annotated[str, Meta(description="The id of what was acted on.")] = ""


class HousePages:
    """The handlers."""

    def __init__(self, office: Office, live: Live, reloader: Reloader) -> None:
        self._office = office
        self._live = live
        self._reloader = reloader

    def endpoints(self) -> tuple[Endpoint, ...]:
        """The rows of this module."""
        return (
            Endpoint(
                "GET", "/admin/tiers", "list_tiers", "The tiers of the file.", self.tiers, Page[TierShape], query=Paging
            ),
            Endpoint(
                *("GET", "/admin/audit", "list_audit", "What was done, newest first.", self.audit, Page[AuditEntry]),
                query=AuditQuery,
            ),
            Endpoint("GET", "/admin/config", "get_config", "What is in force.", self.config, Configuration),
            Endpoint("GET", "/admin/health", "get_health", "How the upstream hosts are.", self.health, Health),
            Endpoint(
                *("POST", "/admin/reload", "reload_config", "Read the configuration now.", self.reload, Configuration)
            ),
        )

    async def tiers(self, call: Call) -> Page[TierShape]:
        """The tiers, by name."""
        shown = [
            TierShape(
                id=tier.name,
                rates=_rates(tier.rates),
                per_model=_rates(tier.per_model),
                models={name: _rates(rates) for name, rates in tier.models.items()},
                safety=tier.safety,
            )
            for name, tier in sorted(self._live.snapshot.settings.tiers.items())
            if name > (call.query.after or "")
        ]
        limit = call.query.limit
        return page_of(shown[:limit], lambda tier: tier.id, more=len(shown) > limit)

    async def audit(self, call: Call) -> Page[AuditEntry]:
        """A page of the audit."""
        query = call.query
        before = read_number(query.after, _NEWEST)
        rows = await self._office.audit(before=before, limit=query.limit + 1, subject=query.subject)
        shown = [
            AuditEntry(
                id=str(row.id), at=row.at, actor=row.actor, action=row.action, subject=row.subject, detail=row.detail
            )
            for row in rows[: query.limit]
        ]
        return page_of(shown, lambda row: row.id, more=len(rows) > query.limit)

    async def health(self, call: Call) -> Health:
        """Every target and key that was asked since the start."""
        del call
        now, known = time.monotonic(), self._live.health
        targets = [
            TargetHealth(
                target=view.model if view.model == view.host else f"{view.host}/{view.model}",
                state=view.state,  # type: ignore[arg-type]  # of the three, by `TargetView`
                ejected=view.ejected,
                open_for_s=view.open_for_s,
                in_flight=view.in_flight,
                answers=view.answers,
                failures=view.failures,
                last_fault=view.last_fault,
                first_token_s=view.latency_s,
                first_token_p95_s=view.p95_s,
            )
            for view in known.views(now)
        ]
        keys = [
            KeyHealth(
                host=key.host,
                slot=key.slot,
                state=key.state,
                for_s=key.for_s,
                in_flight=key.in_flight,
                cooling=dict(key.cooling),
            )
            for key in known.keys(now)
        ]
        return Health(targets, keys)

    async def config(self, call: Call) -> dict[str, Any]:
        """Where the settings came from, how the last reload ended, and what is served."""
        del call
        return self._reloader.report()

    async def reload(self, call: Call) -> dict[str, Any]:
        """Reads the file; the report also tells when the old settings were kept."""
        del call
        await self._reloader.reload()
        return self._reloader.report()


def _rates(rates: Rates) -> RateLimits:
    return RateLimits(rates.requests_per_minute, rates.tokens_per_minute, rates.concurrent, sorted(rates.soft))
