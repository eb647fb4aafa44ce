"""Through an explicit proxy: absolute targets for http, tunnels for https."""

import asyncio

import pytest

from tests.fakes.chaos import ChaosUpstream, Close, Hang, Send, Step, closed_port, head, whole
from tests.upstream.kit import GET, POST, Client, Identity, fetch
from tests.upstream.tunnel import TunnelProxy
from tollhouse.errors import UpstreamFault, UpstreamProtocol, UpstreamTimeout, UpstreamTls, UpstreamUnreachable
from tollhouse.types.wire import Timeouts
from tollhouse.upstream.origin import Proxy

OK: list[Step] = [Send(whole(b"ok"))]
BRIEF = Timeouts(connect_s=0.15)


async def test_http_goes_to_the_proxy_with_an_absolute_target(client: Client) -> None:
    """A plain request goes to the proxy, names the whole URL, and is authenticated to the proxy."""
    async with ChaosUpstream(OK) as up:
        pool = client.pool("http://models.example:81", proxy=Proxy.parse(f"http://user:pass@{up.authority}"))
        for _ in range(2):
            assert await fetch(pool, POST) == (200, b"ok")
        request = up.requests[0]
        assert request.target == "http://models.example:81/v1/chat/completions"
        assert request.headers["host"] == "models.example:81"
        assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
        assert pool.connects == 1


async def test_http_proxy_that_wants_a_password(client: Client) -> None:
    """407 from the proxy is `UpstreamUnreachable`: the upstream was not asked."""
    async with ChaosUpstream([Send(whole(b"{}", status=407))]) as up:
        pool = client.pool("http://models.example", proxy=Proxy.parse(f"http://{up.authority}"))
        with pytest.raises(UpstreamUnreachable, match="credentials"):
            await fetch(pool)
        assert pool.active == 0


async def test_407_from_an_upstream_is_just_a_status(client: Client) -> None:
    """Without a proxy 407 is passed on as any status."""
    async with ChaosUpstream([Send(whole(b"{}", status=407))]) as up:
        assert await fetch(client.pool(up.url)) == (407, b"{}")


async def test_https_goes_through_a_tunnel(client: Client, identity: Identity) -> None:
    """TLS runs inside the tunnel to the upstream itself: the proxy sees CONNECT and nothing of the request."""
    async with ChaosUpstream(OK, tls=identity.good) as up, TunnelProxy() as proxy:
        pool = client.pool(up.url, proxy=Proxy.parse(f"http://user:pass@127.0.0.1:{proxy.port}"), tls=identity.trust())
        for _ in range(2):
            assert await fetch(pool, POST) == (200, b"ok")
        assert proxy.heads == [
            f"CONNECT {up.authority} HTTP/1.1\r\nhost: {up.authority}\r\n"
            "proxy-authorization: Basic dXNlcjpwYXNz\r\n\r\n".encode()
        ]
        assert b"model" not in proxy.relayed
        assert up.requests[0].target == "/v1/chat/completions"
        assert "proxy-authorization" not in up.requests[0].headers


async def test_tunnel_does_not_weaken_tls(client: Client, identity: Identity) -> None:
    """A certificate is checked through a tunnel as it is without."""
    async with ChaosUpstream(OK, tls=identity.stranger) as up, TunnelProxy() as proxy:
        pool = client.pool(up.url, proxy=Proxy.parse(f"http://127.0.0.1:{proxy.port}"), tls=identity.trust())
        with pytest.raises(UpstreamTls):
            await fetch(pool)


@pytest.mark.parametrize(
    ("reply", "fault", "words"),
    [
        (head(407), UpstreamUnreachable, "credentials"),
        (head(403), UpstreamUnreachable, "refused"),
        (head(302, "location: https://evil.example/"), UpstreamUnreachable, "refused"),
        (b"SSH-2.0\r\n\r\n", UpstreamProtocol, "not valid"),
        (head(200) + b"injected", UpstreamProtocol, "not valid"),
        (b"HTTP/1.1 200 " + b"x" * 20_000, UpstreamProtocol, "too large"),
    ],
)
async def test_tunnel_refused(
    client: Client, identity: Identity, reply: bytes, fault: type[UpstreamFault], words: str
) -> None:
    """A proxy that refuses, or answers CONNECT with anything but a clean 2xx, is a fault and its socket is closed."""
    async with ChaosUpstream([Send(reply)]) as up:
        pool = client.pool("https://a.example", proxy=Proxy.parse(f"http://{up.authority}"), tls=identity.trust())
        with pytest.raises(fault, match=words):
            await fetch(pool)
        assert pool.open == 0
        await up.gone()


@pytest.mark.parametrize(
    ("play", "fault"),
    [([Close()], UpstreamUnreachable), ([Hang()], UpstreamTimeout), ([Send(b"HTT")], UpstreamTimeout)],
)
async def test_proxy_that_does_not_answer(
    client: Client, identity: Identity, play: list[Step], fault: type[UpstreamFault]
) -> None:
    """A proxy that closes or keeps silent is a fault within the connect time, and its socket is closed."""
    async with ChaosUpstream(play) as up:
        pool = client.pool("https://a.example", proxy=Proxy.parse(f"http://{up.authority}"), tls=identity.trust())
        with pytest.raises(fault, match="proxy"):
            await fetch(pool, GET, BRIEF)
        await up.gone()


async def test_refused_proxy_is_named_as_the_proxy(client: Client) -> None:
    """When the proxy itself cannot be reached the message says so."""
    pool = client.pool("http://a.example", proxy=Proxy.parse(f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(UpstreamUnreachable, match="proxy refused"):
        await fetch(pool)


async def test_cancelled_tunnel_is_closed(client: Client, identity: Identity) -> None:
    """Cancelling a request while its tunnel opens closes the socket to the proxy."""
    async with ChaosUpstream([Hang()]) as up:
        pool = client.pool("https://a.example", proxy=Proxy.parse(f"http://{up.authority}"), tls=identity.trust())
        task = asyncio.create_task(fetch(pool))
        await up.arrived(1)
        task.cancel()
        await asyncio.wait([task])
        await up.gone()
        assert pool.open == 0
