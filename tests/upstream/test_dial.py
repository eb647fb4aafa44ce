"""Opening connections: names, addresses, TLS; every failure is the right fault and leaves no socket."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Deaf, Hang, Reset, Send, Step, closed_port, whole
from tests.upstream.kit import GET, Client, Identity, eventually, fetch, open_files
from tollhouse.errors import UpstreamDns, UpstreamTimeout, UpstreamTls, UpstreamUnreachable
from tollhouse.types.wire import Timeouts
from tollhouse.upstream.dial import Address, connect_first, default_tls, interleave

OK: list[Step] = [Send(whole(b"ok"))]
BRIEF = Timeouts(connect_s=0.15)
V4, V6 = socket.AF_INET, socket.AF_INET6


async def test_f01_connection_refused(client: Client) -> None:
    """F01: a refused connection is `UpstreamUnreachable`, at once."""
    pool, before = client.pool(f"http://127.0.0.1:{closed_port()}"), monotonic()
    with pytest.raises(UpstreamUnreachable, match="upstream refused") as caught:
        await fetch(pool)
    assert caught.value.code == "upstream_unreachable"
    assert monotonic() - before < 1
    assert pool.open == 0


async def test_f02_blackhole(client: Client) -> None:
    """F02: a SYN that is never answered is `UpstreamTimeout` after the connect time."""
    with Deaf(full=True) as deaf:
        pool = client.pool(f"http://127.0.0.1:{deaf.port}")
        with pytest.raises(UpstreamTimeout, match="accept"):
            await fetch(pool, GET, BRIEF)
        assert pool.open == 0


async def test_f03_unknown_name(client: Client) -> None:
    """F03: a name that does not resolve, or resolves to nothing, is `UpstreamDns` with status 502."""

    async def refuse(host: str, port: int) -> Sequence[Address]:
        raise socket.gaierror(socket.EAI_NONAME, f"no such name {host}:{port}")

    async def forget(host: str, port: int) -> Sequence[Address]:
        del host, port
        return []

    for resolve in (refuse, forget):
        with pytest.raises(UpstreamDns) as caught:
            await fetch(client.pool("http://secret-host.example", resolve=resolve))
        assert (caught.value.status, caught.value.code) == (502, "upstream_dns")
        assert "secret-host" not in caught.value.message


async def test_f03_hanging_resolver(client: Client) -> None:
    """F03: a resolver that hangs is `UpstreamDns` after the connect time, and the loop goes on meanwhile."""

    async def hang(host: str, port: int) -> Sequence[Address]:
        del host, port
        await asyncio.sleep(60)
        return []

    pool = client.pool("http://slow.example", resolve=hang)
    waiting = asyncio.create_task(fetch(pool, GET, BRIEF))
    async with ChaosUpstream(OK) as up:
        assert await fetch(client.pool(up.url)) == (200, b"ok")
    with pytest.raises(UpstreamDns, match="in time"):
        await waiting
    assert pool.open == 0


async def test_name_that_cannot_be_one_is_a_dns_fault(client: Client) -> None:
    """A name too long for the DNS is `UpstreamDns`, not a crash in an encoder."""
    with pytest.raises(UpstreamDns):
        await fetch(client.pool("http://" + ".".join(["a" * 60] * 4) + ".example"))


async def test_system_resolver_finds_localhost(client: Client) -> None:
    """Without a resolver given, the operating system's is asked."""
    async with ChaosUpstream(OK) as up:
        assert await fetch(client.pool(f"http://localhost:{up.port}")) == (200, b"ok")


async def test_only_the_resolvers_answer_is_dialled(client: Client) -> None:
    """The resolver is asked once a connection, and no address but its own is used."""
    asked: list[tuple[str, int]] = []

    async def pin(host: str, port: int) -> Sequence[Address]:
        asked.append((host, port))
        return [(V4, ("127.0.0.1", up.port))]

    async with ChaosUpstream(OK) as up:
        assert await fetch(client.pool("http://pinned.example:81", resolve=pin)) == (200, b"ok")
        assert up.requests[0].headers["host"] == "pinned.example:81"
    assert asked == [("pinned.example", 81)]


async def test_dead_address_gives_way_to_the_next() -> None:
    """When the first address refuses, the next is tried without waiting."""
    async with ChaosUpstream(OK) as up:
        before = monotonic()
        sock = await connect_first([(V4, ("127.0.0.1", closed_port())), (V4, ("127.0.0.1", up.port))])
        assert sock.getpeername()[1] == up.port
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert monotonic() - before < 0.2
        sock.close()


async def test_silent_address_is_overtaken() -> None:
    """When the first address is silent the next is tried beside it, and the loser's socket is closed."""
    async with ChaosUpstream(OK) as up:
        with Deaf(full=True) as deaf:
            before = open_files()
            sock = await connect_first([(V4, ("127.0.0.1", deaf.port)), (V4, ("127.0.0.1", up.port))])
            assert sock.getpeername()[1] == up.port
            sock.close()
            await up.gone()
            await eventually(lambda: open_files() <= before)


async def test_all_addresses_dead() -> None:
    """When every address refuses, so does the whole."""
    with pytest.raises(ConnectionRefusedError):
        await connect_first([(V4, ("127.0.0.1", closed_port())) for _ in range(3)])


def test_families_take_turns() -> None:
    """Addresses of two families are tried in turn, the resolver's first choice first."""
    six: list[Address] = [(V6, (f"::{number}", 1, 0, 0)) for number in range(3)]
    four: list[Address] = [(V4, ("127.0.0.1", 1))]
    assert interleave([*six, *four]) == [six[0], four[0], six[1], six[2]]


async def test_upstream_that_closes_at_once(client: Client) -> None:
    """A connection that is accepted and closed before anything is read is `UpstreamUnreachable`."""
    for ending in (Close(), Reset()):
        async with ChaosUpstream([ending], answer_at="connect") as up:
            pool = client.pool(up.url)
            with pytest.raises(UpstreamUnreachable):
                await fetch(pool)
            assert pool.open == 0


# --- TLS ---------------------------------------------------------------------------------------------------------


async def test_tls_round_trip_and_reuse(client: Client, identity: Identity) -> None:
    """Over TLS requests work and connections are reused."""
    async with ChaosUpstream(OK, tls=identity.good) as up:
        pool = client.pool(up.url, tls=identity.trust())
        for _ in range(3):
            assert await fetch(pool) == (200, b"ok")
        assert (pool.connects, pool.idle) == (1, 1)


@pytest.mark.parametrize(
    ("server", "words"),
    [("expired", "expired"), ("wrong_name", "another address"), ("stranger", "trusted authority")],
)
async def test_f05_bad_certificate(client: Client, identity: Identity, server: str, words: str) -> None:
    """F05: a certificate that is expired, for another name or from a stranger is `UpstreamTls`, and says which."""
    async with ChaosUpstream(OK, tls=getattr(identity, server)) as up:
        pool = client.pool(up.url, tls=identity.trust())
        with pytest.raises(UpstreamTls, match=words) as caught:
            await fetch(pool)
        assert (caught.value.status, caught.value.code) == (502, "upstream_tls")
        assert pool.open == 0
        assert up.requests == []


async def test_f05_wrong_name(client: Client, identity: Identity) -> None:
    """F05: a certificate for another host name is refused though the authority is trusted."""
    async with ChaosUpstream(OK, tls=identity.wrong_name) as up:
        pool = client.pool(f"https://localhost:{up.port}", tls=identity.trust())
        with pytest.raises(UpstreamTls, match="another name"):
            await fetch(pool)


async def test_f05_self_signed(client: Client, identity: Identity) -> None:
    """F05: a certificate that vouches for itself is refused by the default context."""
    async with ChaosUpstream(OK, tls=identity.self_signed) as up:
        with pytest.raises(UpstreamTls, match="self-signed"):
            await fetch(client.pool(up.url))


async def test_f05_plaintext_on_the_tls_port(client: Client, identity: Identity) -> None:
    """F05: an upstream that speaks plain HTTP where TLS is expected is `UpstreamTls`, never spoken to in plain."""
    async with ChaosUpstream([Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Close()], answer_at="connect") as up:
        pool = client.pool(f"https://127.0.0.1:{up.port}", tls=identity.trust())
        with pytest.raises(UpstreamTls, match="does not speak TLS"):
            await fetch(pool)
        assert len(up.visits) == 1
        assert up.requests == []


@pytest.mark.parametrize("ending", [Close(), Reset()])
async def test_f05_handshake_broken_off(client: Client, identity: Identity, ending: Step) -> None:
    """F05: an upstream that closes during the handshake is `UpstreamTls`."""
    async with ChaosUpstream([ending], answer_at="connect") as up:
        with pytest.raises(UpstreamTls):
            await fetch(client.pool(f"https://127.0.0.1:{up.port}", tls=identity.trust()))


async def test_f05_handshake_stall(client: Client, identity: Identity) -> None:
    """F05: a handshake that stalls is `UpstreamTls` after the connect time, and its socket is closed."""
    async with ChaosUpstream([Hang()], answer_at="connect") as up:
        pool = client.pool(f"https://127.0.0.1:{up.port}", tls=identity.trust())
        with pytest.raises(UpstreamTls, match="in time"):
            await fetch(pool, GET, BRIEF)
        await up.gone()


async def test_f05_alert_after_the_handshake(client: Client, identity: Identity) -> None:
    """F05: an upstream that demands a client certificate says so in an alert after the handshake: `UpstreamTls`."""
    heard = threading.Event()

    def serve(listener: socket.socket) -> None:
        sock, _ = listener.accept()
        with identity.demanding.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as secure:
            with suppress(ssl.SSLError):
                secure.do_handshake()
            heard.wait(5)  # closing now would reset the socket, and the alert with it

    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = client.pool(f"https://127.0.0.1:{listener.getsockname()[1]}", tls=identity.trust())
        serving = asyncio.create_task(asyncio.to_thread(serve, listener))
        with pytest.raises(UpstreamTls):
            await fetch(pool)
        heard.set()
        await serving


def test_default_context_verifies() -> None:
    """Unless told otherwise a pool checks certificates and names, with TLS 1.2 or newer, and shares one context."""
    context = default_tls()
    assert context is default_tls()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
