"""What passes between the gateway and an upstream: one request out, one reply in.

`gateway.attempts` builds an `Outgoing` from a provider's encoder and gives it to a `Connector`; the HTTP client
(`upstream`) and the embedded models (`engines`) are the two kinds of connector, and look the same from here.
"""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``first_byte_s`` runs from the request's last byte to the first body byte of the reply (headers
    alone do not stop it); ``idle_s`` between any two body reads; ``total_s`` over the whole exchange.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 60.0
    total_s: float = 1800.0


class Outgoing:
    """One request to an upstream, never changed. ``path`` starts with ``/`` and includes the base URL's path and any
    query.

    ``headers`` are complete but for ``host``, ``content-length`` and ``connection``, which the connector adds.
    """

    __slots__ = ("body", "headers", "method", "path")

    def __init__(self, method: str, path: str, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body

    def but(
        self, *, method: str = "", path: str = "", headers: tuple[tuple[str, str], ...] | None = None
    ) -> "Outgoing":
        """The same request, with some of it changed."""
        return Outgoing(
            method or self.method, path or self.path, self.headers if headers is None else headers, self.body
        )

    def __repr__(self) -> str:
        """Without the credential in the headers and the prompt in the body."""
        return f"Outgoing({self.method} {self.path}, {len(self.body)} bytes)"


class Incoming(Protocol):
    """One reply. Exactly one consumer reads it, and always calls `close` in the end (idempotent, synchronous).

    ``close`` before the body's end closes the socket at once; after its end the connection goes back to the pool.
    """

    status: int

    @property
    def headers(self) -> dict[str, str]:
        """Lower-case names. Repeated fields are joined by ``, ``."""

    @property
    def request_id(self) -> str | None:
        """What the host calls this exchange: the id that its support and its invoices know."""

    async def read(self, limit: int) -> bytes:
        """The whole remaining body. Raises `UpstreamTooLarge` past ``limit`` bytes, `UpstreamInterrupted`."""

    async def next(self) -> bytes:
        """All that has arrived since the last call, at least one byte; ``b""`` is the end of the body.

        Raises `UpstreamInterrupted`, `UpstreamStalled`, `UpstreamTimeout`, `UpstreamProtocol`.
        """

    def close(self) -> None:
        """Gives the connection back, or closes it when the body is not finished."""


class Connector(Protocol):
    """Something that answers requests: an HTTP origin's pool, or an embedded model."""

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """Returns when the reply's head has arrived. Raises an `UpstreamFault`. Cancellation closes the socket."""

    async def aclose(self) -> None:
        """Closes every connection."""
