"""The front of a listener: finds the endpoint, and makes every outcome a response, a log line and a metric.

This is the only place that turns a `Fault` into an answer, and the only broad ``except`` on the request path.
"""

import asyncio
import random
import traceback
from collections.abc import Callable
from time import monotonic, time
from typing import Final

from tollhouse.errors import Fault, InternalError, let_go
from tollhouse.telemetry.log import AccessLine, Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.web.cors import Cors
from tollhouse.web.exchange import Exchange
from tollhouse.web.routes import RouteTable

_now: Final = monotonic
_wall: Final = time
_ID_CHARACTERS: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")
_ID_LENGTH: Final = 128
_ID_BYTES: Final = 16
_CHANCE_BITS: Final = 72
"""How much of an id is chance; what stands before it is the time in microseconds."""
_draw: Final = random.getrandbits


def request_id(given: bytes | None) -> str:
    """The client's own ``x-request-id`` when it is harmless, else a new one in OpenAI's form.

    A new one begins with the time, so that the ledger's index of ids grows at its end: where ids are all chance, a hold
    costs half as much again in a ledger of ten million entries (`bench.ledger_size`).
    """
    if given and len(given) <= _ID_LENGTH and _ID_CHARACTERS.issuperset(given):
        return given.decode()
    # A format string would take three times as long where this is compiled.
    return "req_" + (int(_wall() * 1e6) << _CHANCE_BITS | _draw(_CHANCE_BITS)).to_bytes(_ID_BYTES, "big").hex()


class Front:
    """Runs the exchanges of one listener. ``cors`` is asked for the policy of the moment."""

    def __init__(self, routes: RouteTable, cors: Callable[[], Cors], log: Log, metrics: Metrics) -> None:
        self.routes = routes
        self._cors = cors
        self._log = log
        self._metrics = metrics
        self.in_flight = 0

    async def __call__(self, exchange: Exchange) -> None:
        """Serves one exchange to its end."""
        headers = exchange.headers
        exchange.request_id = request_id(headers.get(b"x-request-id"))
        exchange.shared_headers = f"x-request-id: {exchange.request_id}\r\n"
        if b"origin" in headers:
            exchange.shared_headers += self._cors().headers(headers[b"origin"].decode("latin-1"))
        label = "none"
        self.in_flight += 1
        try:
            if exchange.fault is not None:
                exchange.fail(exchange.fault)
            elif exchange.method == "OPTIONS":
                self._preflight(exchange)
            else:
                route, rest = self.routes.find(exchange.method, exchange.path)
                label = route.path
                exchange.rest = rest
                exchange.speak(route.errors)
                await route.handler(exchange)
        except Fault as fault:
            exchange.notes["error"] = fault.code or fault.error_id
            exchange.fail(fault)
            let_go(fault)
        except asyncio.CancelledError:
            self._ended_early(exchange, label)
        except Exception as error:  # noqa: BLE001 - the catch-all of the listener
            exchange.notes["error"] = "internal_error"
            self._log.event("error", "bug", request_id=exchange.request_id, where=_where(error))
            exchange.fail(InternalError("Something went wrong in the gateway; its log has the details."))
            let_go(error)
        finally:
            self.in_flight -= 1
            self._account(exchange, label)

    def _preflight(self, exchange: Exchange) -> None:
        headers = exchange.headers
        if b"origin" not in headers or not self.routes.methods(exchange.path):
            self.routes.find(exchange.method, exchange.path)
        asked = headers.get(b"access-control-request-headers", b"").decode("latin-1")
        exchange.reply(204, b"", self._cors().preflight(asked))

    def _ended_early(self, exchange: Exchange, label: str) -> None:
        """A cancellation: the server's own (it says why), or the client left."""
        if exchange.interruption is None:
            exchange.notes["error"] = "client_disconnected"
            self._metrics.add("tollhouse_client_disconnects", label)
            return
        exchange.notes["error"] = exchange.interruption.code
        exchange.keep_alive = False
        exchange.fail(exchange.interruption)

    def _account(self, exchange: Exchange, label: str) -> None:
        # Not the loop's clock, which stands still within a turn and counts milliseconds; and finding the running loop
        # asks the kernel for the process's id (0.4 us).
        seconds = _now() - exchange.started_at
        self._metrics.counts["tollhouse_requests", label, str(exchange.status)] += 1
        self._metrics.observe("tollhouse_request_seconds", label, seconds)
        notes = exchange.notes
        line = AccessLine(
            int(_wall() * 1e3) / 1e3,  # `round` writes the number out and reads it back (0.4 us)
            "info",
            "request",
            exchange.request_id,
            exchange.method,
            str(notes.pop("route", label)),
            exchange.status,
            int(seconds * 1e5) / 1e2,
            exchange.body_bytes,
            exchange.sent_bytes,
            exchange.client,
        )
        self._log.access(line, notes)


def _where(error: Exception) -> str:
    """The exception's class and the lines it passed, without its text: that may quote a prompt or a credential."""
    frames = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)
    ]
    return f"{type(error).__name__} at {' > '.join(frames[-6:])}"
