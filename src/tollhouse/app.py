"""The composition root: every part made once and handed to those that need it.

The path of a request, whole:

    web.connection   bytes -> an Exchange; caps, deadlines, framing (RFC 9112)
    web.front        request id, CORS, route, and in the end one answer, one log line, one metric
    gateway.pipeline identify    who calls                           gateway.gate, gateway.auth
                     admit       may they, is there room             gateway.gate, gateway.limits
                     parse       strict JSON, its dialect's rules    dialects, validate
                     plan        targets, in order, and why          gateway.router, routing, catalog.names
                     judge       is the prompt safe, and the answer  gateway.watch, safety
                     reserve     a hold on every budget, or none     gateway.bids, ledger.wallet
                     attempt     encode, send, decode; who is next   gateway.attempts, gateway.trial, routing.course
                     meter       what it took, in disjoint classes   gateway.meter
                     settle      synchronously, in the exit          ledger.holds, ledger.journal
                     annotate    cost and credits on the answer      gateway.annotate
                     reply       the client's dialect, whatever answered: dialects

Beside it, off that path: `control` (health, metrics, reload, the admin API), the tick (tree, limits, log, reload) and
the drain.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from tollhouse.books import Books
from tollhouse.control.admin.api import AdminParts
from tollhouse.control.admin.api import routes as admin_routes
from tollhouse.control.jobs import repeat
from tollhouse.control.pages import Pages
from tollhouse.control.reload import Reloader
from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.openai_client import OPENAI
from tollhouse.gateway.count_tokens import ERRORS as MESSAGES_ERRORS
from tollhouse.gateway.count_tokens import CountTokensPage
from tollhouse.gateway.credits import CreditsPage
from tollhouse.gateway.explain import ExplainPage
from tollhouse.gateway.gate import Gate
from tollhouse.gateway.gemini_pages import ERRORS as GEMINI_ERRORS
from tollhouse.gateway.gemini_pages import GeminiPages
from tollhouse.gateway.limits import Limits
from tollhouse.gateway.models import ModelPages
from tollhouse.gateway.moderations import KIND as MODERATIONS
from tollhouse.gateway.moderations import ModerationsPage
from tollhouse.gateway.pipeline import ChatPipeline
from tollhouse.gateway.quotes import QuotePage
from tollhouse.gateway.relay import KINDS, RelayPipeline
from tollhouse.gateway.safety_usage import SafetyPage
from tollhouse.gateway.usage import UsagePages
from tollhouse.gateway.webhooks import StripeWebhook
from tollhouse.routing.health import Health
from tollhouse.settings.keys import Server as ServerKeys
from tollhouse.snapshot import Live
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics, Sample
from tollhouse.types.calls import Target, Usage, counts_of
from tollhouse.types.secret import Secret
from tollhouse.upstream.pool import Pool
from tollhouse.web.front import Front
from tollhouse.web.limits import ServerLimits
from tollhouse.web.routes import Handler, Route, RouteTable
from tollhouse.web.server import Server

_TICK_S: Final = 1.0
_ADMIN_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the caller brings: state, view, and the sinks."""

    live: Live
    books: Books
    reloader: Reloader
    admin_key: Secret
    log: Log
    metrics: Metrics


class TokenMeter:
    """Counts what settles, for ``/metrics``."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`. A model that no catalogue knows counts under its host alone, so that series stay few."""
        metrics, host = self._metrics, target.host.name
        model = target.model if target.facts is not None else "other"
        text, read, kept, output, thought, estimated, kept_1h, heard, spoken, images = counts_of(usage)
        tokens = metrics.tokens.get((host, model)) or metrics.begin_tokens(host, model)
        tokens.input += text
        tokens.output += output
        if read or kept or thought or kept_1h or heard or spoken:
            tokens.cache_read += read
            tokens.cache_write += kept
            tokens.cache_write_1h += kept_1h
            tokens.reasoning += thought
            tokens.input_audio += heard
            tokens.output_audio += spoken
        if images:
            metrics.add("tollhouse_images", host, model, count=images)
        if estimated:
            metrics.add("tollhouse_estimated_usage", host)


class App:
    """A gateway that can be started, asked to drain, and stopped."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        settings = parts.live.snapshot.settings
        metrics = parts.metrics
        books, live, log = parts.books, parts.live, parts.log
        self.ledger = books.ledger
        self.limits = Limits(settings, metrics)
        self.limits.alert = lambda tier: log.event("warning", "tier_unknown", tier=tier)
        self.gate = Gate(live, books.keyring, self.limits, books.ledger, books.prices, metrics)
        self.started_at = int(time.time())
        chat = ChatPipeline(self.gate, OPENAI)
        relay = RelayPipeline(self.gate)
        posts: dict[str, Handler] = {kind.path: relay.handler(kind) for kind in KINDS}
        safety = self.gate.safety
        safety.judges.alert = lambda judge, why: log.event("warning", "judge_failing", judge=judge, why=why)
        posts[MODERATIONS] = ModerationsPage(self.gate, safety.classifier, posts[MODERATIONS], safety.judges)
        models = ModelPages(live, books.keyring, metrics, self.started_at)
        credit = CreditsPage(live, books.keyring, books.ledger)
        gemini = GeminiPages(self.gate)
        quote = QuotePage(self.gate)
        explain = ExplainPage(self.gate)
        usage = UsagePages(live, books.keyring, books.ledger)
        found = SafetyPage(books.keyring, books.ledger)
        self.stripe = StripeWebhook(books.ledger, books.office, self._stripe_secret, log, metrics)
        pages = Pages(problems=self._problems, metrics=metrics, admin_key=parts.admin_key)
        shared = (
            Route("GET", "/", pages.home, "public"),
            Route("GET", "/healthz", pages.health, "public"),
            Route("GET", "/readyz", pages.ready, "public"),
            Route("GET", "/metrics", pages.metrics, "admin"),
        )
        self.routes = (
            *shared,
            Route("POST", "/v1/chat/completions", chat, "key"),
            Route("POST", "/v1/messages", ChatPipeline(self.gate, ANTHROPIC), "key", MESSAGES_ERRORS),
            Route("POST", "/v1/messages/count_tokens", CountTokensPage(self.gate), "key", MESSAGES_ERRORS),
            *(Route("POST", f"/v1/{path}", page, "key") for path, page in posts.items()),
            Route("GET", "/v1/models", gemini.beside(gemini.list, models.list), "key"),
            Route("GET", "/v1/models/{model}", gemini.beside(gemini.retrieve, models.retrieve), "key"),
            Route("DELETE", "/v1/models/{model}", models.delete, "key"),
            *gemini_routes(gemini),
            Route("GET", "/v1/credits", credit.show, "key"),
            Route("GET", "/v1/usage", usage.list, "key"),
            Route("GET", "/v1/usage/{request_id}", usage.retrieve, "key"),
            Route("GET", "/v1/safety", found, "key"),
            Route("POST", "/v1/quote", quote, "key"),
            Route("POST", "/v1/route/explain", explain, "key"),
            Route("POST", "/webhooks/stripe", self.stripe, "signature"),
        )
        admin = AdminParts(books.office, books.ledger, live, lambda: books.prices, parts.reloader, parts.admin_key)
        self.admin_routes = (*shared, *admin_routes(admin))
        limits = server_limits(settings.server)
        self.server = self._listener(self.routes, limits)
        self.admin_server = self._listener(self.admin_routes, limits)
        self._jobs: list[asyncio.Task[None]] = []
        self._draining = False
        self._storage_problem = False
        self._strange_policies: set[str] = set()
        """Names of policies of which the log was told that nobody has declared them."""
        self._lost_judges: set[str] = set()
        """Names of judges of which the log was told that their model leads nowhere."""
        metrics.sources.append(self._samples)
        self.gate.safety.second_tier.alert = lambda why: log.event("error", "embedding_unavailable", message=why)
        books.keyring.failures.alert = lambda client: log.event("warning", "wrong_keys", client=client)

    def _listener(self, routes: tuple[Route, ...], limits: ServerLimits) -> Server:
        live, log, metrics = self.parts.live, self.parts.log, self.parts.metrics
        return Server(Front(RouteTable(routes), lambda: live.snapshot.cors, log, metrics), limits)

    async def start(self) -> tuple[int, int | None]:
        """Listens. Returns the API's port and the admin listener's. Raises OSError when an address is taken."""
        settings = self.parts.live.snapshot.settings.server
        await self.parts.books.start()
        port = await self.server.start(settings.host, settings.port, on_tick=self.parts.log.flush)
        admin_port = None
        if settings.admin_port or settings.port == 0:
            admin_port = await self._start_admin(settings.admin_port if settings.port else 0)
        parts = self.parts
        parts.log.start()
        self.stripe.announce()
        work = {"keys": self._follow_keys, "configuration": parts.reloader.follow, "limits": self._sweep}
        self._jobs = [asyncio.create_task(repeat(name, job, _TICK_S, parts.log)) for name, job in work.items()]
        return port, admin_port

    async def _start_admin(self, wanted: int) -> int:
        """Listens for the operator. A port that is taken is no reason not to serve clients: another one is found."""
        with suppress(OSError):
            return await self.admin_server.start(_ADMIN_HOST, wanted)
        found = await self.admin_server.start(_ADMIN_HOST, 0)
        self.parts.log.event("warning", "admin_port_taken", wanted=wanted, port=found)
        return found

    async def _follow_keys(self) -> None:
        """What a write of unknown outcome may have changed; and whether anything can be written."""
        failing = self.parts.books.journal.failing
        if failing is not None and not self._storage_problem:
            self.parts.log.event("error", "storage_unavailable", message=failing.message)
        self._storage_problem = failing is not None
        await self.parts.books.follow()

    async def _sweep(self) -> None:
        """Limits of the settings in force, leases that nobody gave back, names and answers that have ended."""
        settings = self.parts.live.snapshot.settings
        self._tell_strange_policies()
        self._tell_lost_judges()
        self.limits.follow(settings)
        self.limits.sweep()
        await self.gate.once.sweep()
        await self.gate.replays.sweep()

    def _tell_strange_policies(self) -> None:
        """A policy that was named and that the configuration has not is told once, until it was there in between."""
        snapshot = self.parts.live.snapshot
        strange, told = snapshot.policies.unknown, self._strange_policies
        for name in sorted(strange - told):
            self.parts.log.event("warning", "policy_unknown", policy=name)
        self._strange_policies = {name for name in strange | told if not snapshot.settings.safety.knows(name)}

    def _tell_lost_judges(self) -> None:
        """A judge that cannot be asked, for no host serves its model, is told once, until it could be in between."""
        snapshot = self.parts.live.snapshot
        models = {judge.name: judge.model for judge in snapshot.settings.safety.judges.values() if judge.model}
        lost = {name: model for name, model in models.items() if snapshot.routes.find(model) is None}
        for name in sorted(lost.keys() - self._lost_judges):
            self.parts.log.event("warning", "judge_unroutable", judge=name, model=lost[name])
        self._lost_judges = set(lost)

    def _stripe_secret(self) -> str:
        secret = self.parts.live.snapshot.settings.stripe_webhook_secret
        return secret.reveal() if secret is not None else ""

    def _problems(self) -> list[str]:
        problems = ["draining"] if self._draining else []
        storage = self.parts.books.problem()
        return [*problems, storage] if storage else problems

    async def drain(self) -> None:
        """Stops gracefully: not ready at once, no new request, every answer in flight to its end or the limit."""
        self._draining = True
        settings = self.parts.live.snapshot.settings.server
        self.parts.log.event("info", "draining", in_flight=self.server.busy, limit_s=settings.drain_s)
        await self.server.drain(settings.drain_s, settings.drain_grace_s)
        await self.stop()

    async def stop(self) -> None:
        """Stops at once."""
        for job in self._jobs:
            job.cancel()
        self.server.stop()
        self.admin_server.stop()
        await self.gate.drains.stop()
        self.gate.safety.close()
        snapshot = self.parts.live.snapshot
        relays = [connector for own in snapshot.relays.values() for connector in own.values()]
        for connector in (*snapshot.connectors.values(), *relays):
            await connector.aclose()
        await self.parts.books.stop()
        self.parts.log.stop()

    def _samples(self) -> Iterator[Sample]:
        yield "tollhouse_requests_in_flight", (), self.gate.in_flight
        yield "tollhouse_connections", (), len(self.server.connections)
        yield "tollhouse_connections_refused", (), self.server.refused_connections
        yield "tollhouse_request_body_bytes", (), self.server.bodies_bytes
        yield "tollhouse_slots_taken", (), self.limits.slots
        yield "tollhouse_holds_open", (), self.ledger.open_holds
        yield "tollhouse_keys", (), len(self.parts.books.keyring)
        yield "tollhouse_log_lines_dropped", (), self.parts.log.dropped
        yield from health_samples(self.parts.live.health, time.monotonic())
        yield "tollhouse_up_seconds", (), int(time.time()) - self.started_at
        pools: dict[str, list[Pool]] = {}
        for key, pool in self.parts.live.snapshot.pools.items():  # one origin may be reached by several proxies
            pools.setdefault(key[0].host_port, []).append(pool)
        for host, same in pools.items():
            yield "tollhouse_upstream_connects", (host,), sum(pool.connects for pool in same)
            yield "tollhouse_upstream_stale_retries", (host,), sum(pool.stale_retries for pool in same)
            yield "tollhouse_upstream_connections", (host, "active"), sum(pool.active for pool in same)
            yield "tollhouse_upstream_connections", (host, "idle"), sum(pool.idle for pool in same)


def gemini_routes(pages: GeminiPages) -> tuple[Route, ...]:
    """Gemini's API: model and method share the last part of a path. ``/v1beta1`` is where SDKs for Vertex call."""
    return (
        Route("GET", "/v1beta/models", pages.list, "key", GEMINI_ERRORS),
        Route("GET", "/v1beta/models/{model}", pages.retrieve, "key", GEMINI_ERRORS),
        Route("POST", "/v1beta/models/{model}", pages.call, "key", GEMINI_ERRORS),
        Route("POST", "/v1beta1/{model}", pages.call, "key", GEMINI_ERRORS),
        Route("POST", "/v1/projects/{model}", pages.call, "key", GEMINI_ERRORS),
        Route("POST", "/v1/models/{model}", pages.call, "key", GEMINI_ERRORS),
    )


def health_samples(health: Health, now: float) -> Iterator[Sample]:
    """What routing knows of the hosts, as metrics."""
    counts: dict[tuple[str, ...], int] = {}
    for view in health.views(now):
        state, host = ("tollhouse_targets", view.host, view.state), view.host
        counts[state] = counts.get(state, 0) + 1
        for name, value in (
            ("tollhouse_targets_ejected", view.ejected),
            ("tollhouse_targets_failing", view.failures_in_row > 0),
            ("tollhouse_upstream_requests_in_flight", view.in_flight),
        ):
            counts[name, host] = counts.get((name, host), 0) + value
    for key in health.keys(now):
        state = ("tollhouse_upstream_keys", key.host, key.state)
        counts[state] = counts.get(state, 0) + 1
    for (name, *labels), value in counts.items():
        yield name, tuple(labels), value
    for name, budget in (("tollhouse_retries", health.retries), ("tollhouse_hedges", health.hedges)):
        yield name, (), budget.spent
        yield f"{name}_refused", (), budget.refused


def server_limits(keys: ServerKeys) -> ServerLimits:
    """The operator's settings as the server takes them."""
    return ServerLimits(
        max_body_bytes=keys.max_body_bytes,
        max_header_bytes=keys.max_header_bytes,
        max_headers=keys.max_headers,
        header_timeout_s=keys.header_timeout_s,
        body_timeout_s=keys.body_timeout_s,
        body_min_bytes_per_s=keys.body_min_bytes_per_s,
        keep_alive_s=keys.keep_alive_s,
        write_timeout_s=keys.write_timeout_s,
        max_connections=keys.max_connections,
        heartbeat_s=keys.heartbeat_s,
    )
