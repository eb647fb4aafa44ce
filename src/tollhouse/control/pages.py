"""The pages for operators and load balancers.

``/healthz`` says that the process lives, ``/readyz`` that it may be sent requests; neither tells more than that to a
stranger. Everything under ``/admin`` is in `control.admin`, on a listener of its own.
"""

from collections.abc import Callable
from importlib import import_module

from tollhouse.control.guard import Guard
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.secret import Secret
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

_FORWARDING = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
"""A proxy on this machine makes every stranger a loopback peer."""
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Pages:
    """The handlers. ``problems`` names what keeps the gateway from being ready; empty when it is."""

    def __init__(self, *, problems: Callable[[], list[str]], metrics: Metrics, admin_key: Secret) -> None:
        self._problems = problems
        self._metrics = metrics
        self._guard = Guard(admin_key)

    async def home(self, exchange: Exchange) -> None:
        """``/``: some clients ask it first, to see that anything answers."""
        exchange.reply(200, json_body({"service": "tollhouse", "api": "/v1", "models": "/v1/models"}))

    async def health(self, exchange: Exchange) -> None:
        """``/healthz``: 200 for as long as the process serves."""
        exchange.reply(200, b'{"status":"ok"}')

    async def ready(self, exchange: Exchange) -> None:
        """``/readyz``: 200, or 503 while draining or while the store does not answer."""
        problems = self._problems()
        status = "ok" if not problems else "not_ready"
        exchange.reply(200 if not problems else 503, json_body({"status": status, "problems": problems}))

    async def metrics(self, exchange: Exchange) -> None:
        """``/metrics``: the Prometheus text format, to loopback or with the admin key."""
        forwarded = not exchange.headers.keys().isdisjoint(_FORWARDING)
        if forwarded or not _is_loopback(exchange.client):
            self._guard.authorise(exchange)
        exposition = import_module("tollhouse.telemetry.exposition")  # 4 MB that only a scrape needs
        exchange.reply(200, exposition.render(self._metrics), content_type=_TEXT)


def _is_loopback(client: str) -> bool:
    """Whether a peer's address is this machine's own, IPv4 in an IPv6 socket included."""
    address = client.removeprefix("::ffff:")
    return address == "::1" or address.startswith("127.")
