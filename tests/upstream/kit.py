"""What the tests of this folder share: certificates, a maker of pools, a connection fed by hand."""

import asyncio
import gc
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme

from tollhouse.errors import Fault
from tollhouse.types.wire import Incoming, Outgoing, Timeouts
from tollhouse.upstream.connection import INBOX_BYTES, Connection, Limits
from tollhouse.upstream.origin import Origin
from tollhouse.upstream.pool import Pool
from tollhouse.upstream.reply import Reply

QUICK = Timeouts(connect_s=2.0, first_byte_s=2.0, idle_s=2.0, total_s=10.0)
GET = Outgoing("GET", "/v1/models", (("authorization", "Bearer sk-made-up"),), b"")
POST = Outgoing("POST", "/v1/chat/completions", (("content-type", "application/json"),), b'{"model":"m"}')
ENOUGH = 1 << 20


@dataclass
class Client:
    """Pools that are closed when the test ends."""

    pools: list[Pool] = field(default_factory=list)

    def pool(self, url: str, **options: Any) -> Pool:
        """A pool for a URL; options as for `Pool`."""
        pool = Pool(Origin.parse(url), **options)
        self.pools.append(pool)
        return pool

    async def aclose(self) -> None:
        """Closes them; nothing may be left open."""
        for pool in self.pools:
            await pool.aclose()
            assert (pool.open, pool.idle, pool.active) == (0, 0, 0)


async def fetch(pool: Pool, outgoing: Outgoing = GET, timeouts: Timeouts = QUICK) -> tuple[int, bytes]:
    """One whole exchange: status and body."""
    reply = await pool.send(outgoing, timeouts)
    try:
        return reply.status, await reply.read(ENOUGH)
    finally:
        reply.close()


async def drain(reply: Incoming) -> tuple[bytes, type[Fault] | None]:
    """All the bytes that come, and the class of the fault that ended them, if one did."""
    body = b""
    try:
        while data := await reply.next():
            body += data
    except Fault as fault:
        return body, type(fault)
    finally:
        reply.close()
    return body, None


async def settle() -> None:
    """Lets callbacks that are already due run, sockets closing among them."""
    for _ in range(5):
        await asyncio.sleep(0)


def open_files() -> int:
    """File descriptors of this process."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


async def eventually(condition: Callable[[], bool], within_s: float = 2.0) -> None:
    """Waits until something holds; AssertionError if it does not in time."""
    for _ in range(int(within_s / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"did not come true within {within_s} s")


class Identity:
    """One authority and the server contexts it (or nobody) vouches for."""

    def __init__(self, authority: trustme.CA) -> None:
        self._authority = authority
        self.good = self._context(authority.issue_cert("127.0.0.1", "localhost"))
        self.wrong_name = self._context(authority.issue_cert("elsewhere.example"))
        past = datetime.now(UTC) - timedelta(days=1)
        before = past - timedelta(days=9)
        self.expired = self._context(authority.issue_cert("127.0.0.1", not_before=before, not_after=past))
        self.stranger = self._context(trustme.CA().issue_cert("127.0.0.1"))
        self.self_signed = self._self_signed()
        self.demanding = self._context(authority.issue_cert("127.0.0.1"))
        self.demanding.verify_mode = ssl.CERT_REQUIRED

    @staticmethod
    def _context(certificate: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        return context

    @staticmethod
    def _self_signed() -> ssl.SSLContext:
        """An authority's own certificate in place of one that it issued."""
        alone = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with alone.private_key_pem.tempfile() as key, alone.cert_pem.tempfile() as certificate:
            context.load_cert_chain(certificate, key)
        return context

    def trust(self) -> ssl.SSLContext:
        """A client context that trusts the authority and checks names."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context


class HandTransport(asyncio.Transport):
    """A transport that goes nowhere: records what was written and what was asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False
        self.reading = True
        self.after_write: Callable[[], None] = lambda: None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Kept."""
        self.written.append(bytes(data))
        self.after_write()

    def abort(self) -> None:
        """Noted."""
        self.aborted = True

    def is_closing(self) -> bool:
        """After `abort`."""
        return self.aborted

    def pause_reading(self) -> None:
        """Noted."""
        self.reading = False

    def resume_reading(self) -> None:
        """Noted."""
        self.reading = True


@dataclass
class Hand:
    """A `Connection` whose socket is the test's hand. Also its owner: counts what it is told."""

    limits: Limits = field(default_factory=Limits)
    freed: int = 0
    gone: int = 0

    def __post_init__(self) -> None:
        self.transport = HandTransport()
        self.connection = Connection(asyncio.get_running_loop(), self.limits, memoryview(bytearray(INBOX_BYTES)))
        self.connection.connection_made(self.transport)
        self.connection.adopt(self)

    def on_idle(self, connection: Connection) -> None:
        """Counted."""
        assert connection is self.connection
        self.freed += 1

    def on_gone(self, connection: Connection) -> None:
        """Counted."""
        assert connection is self.connection
        self.gone += 1

    def begin(self, timeouts: Timeouts | None = None, *, bodiless: bool = False) -> Reply:
        """Starts an exchange."""
        head = b"GET / HTTP/1.1\r\n\r\n"
        return self.connection.begin(head, b"", timeouts or Timeouts(), float("inf"), bodiless=bodiless)

    def feed(self, data: bytes) -> None:
        """Bytes arrive, as many at a time as the connection takes; what it does not take is lost."""
        while data and self.transport.reading and not self.transport.aborted:
            inbox = self.connection.get_buffer(-1)
            size = min(len(inbox), len(data))
            inbox[:size] = data[:size]
            self.connection.buffer_updated(size)
            data = data[size:]

    def finish(self) -> None:
        """The upstream closes."""
        self.connection.eof_received()
        self.connection.connection_lost(None)
