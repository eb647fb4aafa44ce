"""What the connections of one listener share: its limits, what they hold, and who they are."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

from tollhouse.web.exchange import Exchange
from tollhouse.web.limits import ServerLimits

Runner = Callable[[Exchange], Coroutine[None, None, None]]
C = TypeVar("C", bound=asyncio.Protocol)


class Host(Generic[C]):
    """A server, as its connections see it."""

    def __init__(self, limits: ServerLimits) -> None:
        self.limits = limits
        self.bodies_bytes = 0
        """Of all requests that are being received or served."""
        self.draining = False
        self.connections: set[C] = set()
        self.refused_connections = 0

    def opened(self, connection: C) -> bool:
        """Counts a connection in; False when there are too many."""
        self.connections.add(connection)
        if len(self.connections) <= self.limits.max_connections:
            return True
        self.refused_connections += 1
        return False

    def closed(self, connection: C) -> None:
        """Counts it out."""
        self.connections.discard(connection)

    def holds(self, size: int) -> bool:
        """Whether there is room for a body of ``size`` bytes beside those that are there."""
        limits = self.limits
        return size <= limits.max_body_bytes and self.bodies_bytes + size <= limits.max_bodies_bytes
