"""Opens connections: name, TCP, an optional proxy's tunnel, TLS. Called by `pool`.

The rule kept: whatever happens, including cancellation at any await, no socket is left open; a failed handshake is
never tried again without TLS.
"""

import asyncio
import functools
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from itertools import zip_longest

from tollhouse.errors import UpstreamProtocol, UpstreamUnreachable
from tollhouse.upstream.connection import INBOX_BYTES, Connection, Limits
from tollhouse.upstream.faults import Phase, fault_of
from tollhouse.upstream.origin import Origin, Proxy

Address = tuple[socket.AddressFamily, tuple[str | int | bytes, ...]]
"""What a socket connects to: the family and the address as `socket.connect` takes it."""

Resolver = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Host and port to addresses, best first. Raises OSError (`socket.gaierror`). Only what it returns is dialled, so a
resolver that refuses private addresses cannot be overtaken by a second answer of the DNS."""

_STAGGER_S = 0.25  # RFC 8305 section 5: the recommended connection attempt delay
_TUNNEL_HEAD_BYTES = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]")


@functools.cache
def default_tls() -> ssl.SSLContext:
    """The verifying context that every pool shares unless it is given one."""
    return verifying_tls()


def verifying_tls() -> ssl.SSLContext:
    """A context that checks certificates and names. Python leaves the least version to how it was built, and Debian's
    leaves it to the machine's OpenSSL: it is said here.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The operating system's resolver, run off the loop."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(family, address) for family, _, _, _, address in found]


class Dialer:
    """Opens connections to one origin, directly or through its proxy, all in one event loop."""

    __slots__ = ("_host", "_inbox", "_limits", "_origin", "_peer", "_port", "_proxy", "_resolve", "_tls")

    def __init__(
        self,
        origin: Origin,
        limits: Limits,
        *,
        proxy: Proxy | None = None,
        tls: ssl.SSLContext | None = None,
        resolve: Resolver = resolve,
    ) -> None:
        self._origin = origin
        self._limits = limits
        self._inbox: memoryview | None = None
        self._proxy = proxy
        self._tls = (tls or default_tls()) if origin.tls else None
        self._resolve = resolve
        self._peer = "upstream" if proxy is None else "proxy"
        self._host, self._port = (origin.host, origin.port) if proxy is None else (proxy.host, proxy.port)

    async def dial(self, timeout_s: float) -> Connection:
        """A new connection, ready for a request. Raises an `UpstreamFault`; ``timeout_s`` covers all its steps."""
        phase = Phase.RESOLVE
        try:
            async with asyncio.timeout(timeout_s):
                addresses = literal_address(self._host, self._port) or await self._look_up()
                phase = Phase.CONNECT
                sock = await connect_first(addresses)
                if self._tls is not None and self._proxy is not None:
                    phase = Phase.TUNNEL
                    await open_tunnel(sock, self._origin, self._proxy)
                if self._tls is not None:
                    phase = Phase.TLS
                return await self._attach(sock)
        except (OSError, UnicodeError) as error:
            raise fault_of(error, phase, self._peer) from error

    async def _look_up(self) -> Sequence[Address]:
        addresses = await self._resolve(self._host, self._port)
        if not addresses:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        return addresses

    async def _attach(self, sock: socket.socket) -> Connection:
        loop = asyncio.get_running_loop()
        if self._inbox is None:
            self._inbox = memoryview(bytearray(INBOX_BYTES))
        connection = Connection(loop, self._limits, self._inbox)
        server_name = self._origin.host if self._tls is not None else None
        await loop.create_connection(lambda: connection, sock=sock, ssl=self._tls, server_hostname=server_name)
        return connection


def literal_address(host: str, port: int) -> list[Address]:
    """The address of a host that is written as one; empty for a name."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return []
    return [(socket.AF_INET, (host, port)) if version == 4 else (socket.AF_INET6, (host, port, 0, 0))]


async def connect_first(addresses: Sequence[Address]) -> socket.socket:
    """A socket connected to the first address that accepts: attempts start 250 ms apart (RFC 8305), or as soon as
    the one before has failed. ``addresses`` has at least one. Raises the first attempt's OSError when all fail.
    """
    if len(addresses) == 1:
        return await connect(addresses[0])
    waiting = interleave(addresses)
    attempts: list[asyncio.Task[socket.socket]] = []
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while waiting or running:
            if waiting:
                attempts.append(asyncio.create_task(connect(waiting.pop(0))))
                running.add(attempts[-1])
            delay_s = _STAGGER_S if waiting else None
            done, running = await asyncio.wait(running, timeout=delay_s, return_when=asyncio.FIRST_COMPLETED)
            winner = next((attempt for attempt in done if attempt.exception() is None), None)
            if winner is not None:
                attempts.remove(winner)
                return winner.result()
        return attempts[0].result()
    finally:
        for attempt in attempts:
            attempt.cancel()
            attempt.add_done_callback(_discard)


def _discard(attempt: "asyncio.Task[socket.socket]") -> None:
    """Closes the socket of an attempt that came second."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """The addresses, families taking turns, so that one broken family costs one delay (RFC 8305 section 4)."""
    first = addresses[0][0]
    same = [address for address in addresses if address[0] == first]
    other = [address for address in addresses if address[0] != first]
    return [address for pair in zip_longest(same, other) for address in pair if address is not None]


async def connect(address: Address) -> socket.socket:
    """A connected non-blocking socket with TCP_NODELAY."""
    with ExitStack() as undo:
        sock = undo.enter_context(socket.socket(address[0], socket.SOCK_STREAM))
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address[1])
        undo.pop_all()
        return sock


async def open_tunnel(sock: socket.socket, origin: Origin, proxy: Proxy) -> None:
    """Asks the proxy for a tunnel to the origin (RFC 9110 section 9.3.6). Closes the socket on any failure."""
    lines = [f"CONNECT {origin.host_port} HTTP/1.1", f"host: {origin.host_port}"]
    if proxy.authorization is not None:
        lines.append(f"proxy-authorization: {proxy.authorization.reveal()}")
    with ExitStack() as undo:
        undo.enter_context(sock)
        await asyncio.get_running_loop().sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
        _check_tunnel(await _read_head(sock))
        undo.pop_all()


async def _read_head(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    head = b""
    while b"\r\n\r\n" not in head:
        data = await loop.sock_recv(sock, 4096)
        if not data:
            raise ConnectionResetError
        head += data
        if len(head) > _TUNNEL_HEAD_BYTES:
            raise UpstreamProtocol("The head of the proxy's answer is too large.")
    return head


def _check_tunnel(head: bytes) -> None:
    status = _STATUS_LINE.match(head)
    # In TLS the client speaks first: bytes after the head cannot come from the origin.
    if status is None or not head.endswith(b"\r\n\r\n"):
        raise UpstreamProtocol("The proxy's answer is not valid HTTP/1.1.")
    if status[1] == b"407":
        raise UpstreamUnreachable("The proxy refused the gateway's credentials.")
    if not status[1].startswith(b"2"):
        raise UpstreamUnreachable("The proxy refused to open a tunnel.")
