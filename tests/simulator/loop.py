"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer. No sockets, no threads.

Everything runs in the order in which it was asked for, so a run is a function of what is drawn from its seed. Functions
for a thread (`asyncio.to_thread`) run in the loop a moment later; listeners live in a table of ports.
"""

import asyncio
import heapq
from asyncio import base_events
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")

_START_S = 1000.0
_THREAD_S = 0.0004
"""How long a function takes that runs in a thread."""


class Standstill(Exception):
    """Nothing is ready and nothing will be: every task waits for another."""


class Listener:
    """A port that is listened on; what `loop.create_server` returns."""

    def __init__(self, ports: "dict[int, Listener]", port: int, make: Callable[[], asyncio.BaseProtocol]) -> None:
        self._ports = ports
        self.port = port
        self.make = make
        ports[port] = self

    @property
    def sockets(self) -> tuple["Listener"]:
        """Itself, in the place of a socket."""
        return (self,)

    def getsockname(self) -> tuple[str, int]:
        """As a socket's."""
        return "127.0.0.1", self.port

    def close(self) -> None:
        """From now on connections are refused."""
        if self._ports.get(self.port) is self:
            del self._ports[self.port]


class _Timer(asyncio.TimerHandle):
    """Timers of one moment fire in the order in which they were set; a heap alone would not promise that."""

    __slots__ = ("number",)
    number: int
    _scheduled: bool

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _Timer)
        return (self.when(), self.number) < (other.when(), other.number)


class VirtualLoop(base_events.BaseEventLoop):
    """``time`` moves only by jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual_s = _START_S
        self._clock_resolution = 1e-9
        self._selector = self
        self._timers = 0
        self.ports: dict[int, Listener] = {}

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio.AbstractEventLoop`."""
        timer = _Timer(when, callback, args, self, context)
        timer.number = self._timers = self._timers + 1
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True
        return timer

    def time(self) -> float:
        """Seconds, from an arbitrary start."""
        return self._virtual_s

    def time_ns(self) -> int:
        """The same in whole nanoseconds."""
        return round(self._virtual_s * 1_000_000_000)

    def select(self, timeout: float | None) -> tuple[()]:
        """Called by the base class in the place of waiting for sockets."""
        if timeout is None:
            raise Standstill
        if timeout > 0:
            self._virtual_s = self._scheduled[0].when()  # type: ignore[attr-defined]
        return ()

    def _process_events(self, event_list: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """There is nobody to wake."""

    def run_in_executor(self, executor: object, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Runs a function a moment later, in the loop itself."""
        del executor
        future: asyncio.Future[T] = self.create_future()
        self.call_later(_THREAD_S, _run, future, func, args)
        return future

    async def create_server(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, **options: Any
    ) -> Listener:
        """Listens in the table of ports. Raises OSError where the port is taken."""
        del host, options
        if port in self.ports:
            raise OSError(98, "address in use")
        return Listener(self.ports, port, protocol_factory)


def _run(future: "asyncio.Future[T]", func: Callable[..., T], args: tuple[Any, ...]) -> None:
    if future.cancelled():
        return
    try:
        result = func(*args)
    except Exception as error:  # noqa: BLE001 - a thread would hand it over too
        future.set_exception(error)
    else:
        future.set_result(result)
