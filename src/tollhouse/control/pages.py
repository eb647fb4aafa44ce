"""The pages for operators and load balancers.

``/healthz`` says that the process lives, ``/readyz`` that it may be sent requests; neither tells more than that to a
stranger. Everything under ``/admin`` is on a listener of its own, bound to loopback, and wants the admin key.
"""

import hmac
from collections.abc import Callable

from tollhouse.control.reload import Reloader
from tollhouse.errors import Forbidden, Unauthorized
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.secret import Secret
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body

_FORWARDING = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip"})
"""A proxy on this machine makes every stranger a loopback peer."""
_TEXT = "text/plain; version=0.0.4; charset=utf-8"


class Pages:
    """The handlers. ``problems`` names what keeps the gateway from being ready; empty when it is."""

    def __init__(
        self, *, problems: Callable[[], list[str]], metrics: Metrics, reloader: Reloader, admin_key: Secret
    ) -> None:
        self._problems = problems
        self._metrics = metrics
        self._reloader = reloader
        self._admin_key = admin_key

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
            self._authorise(exchange)
        exchange.reply(200, self._metrics.render(), content_type=_TEXT)

    async def config(self, exchange: Exchange) -> None:
        """``/admin/config``: where the settings came from, how the last reload ended, and what is served."""
        self._authorise(exchange)
        exchange.reply(200, json_body(self._reloader.report()))

    async def reload(self, exchange: Exchange) -> None:
        """``POST /admin/reload``: reads the file now; 200 with the report, also when the old settings were kept."""
        self._authorise(exchange)
        await self._reloader.reload()
        exchange.reply(200, json_body(self._reloader.report()))

    def _authorise(self, exchange: Exchange) -> None:
        scheme, _, given = exchange.headers.get(b"authorization", b"").partition(b" ")
        if not given:
            raise Unauthorized(
                "Send the admin key as 'Authorization: Bearer ...'; it is in admin.key in the data folder."
            )
        if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._admin_key.reveal().encode()):
            raise Forbidden("That is not the admin key.")


def _is_loopback(client: str) -> bool:
    """Whether a peer's address is this machine's own, IPv4 in an IPv6 socket included."""
    address = client.removeprefix("::ffff:")
    return address == "::1" or address.startswith("127.")
