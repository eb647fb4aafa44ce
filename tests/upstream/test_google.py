"""Tokens of Google Cloud: the exchange with a token server, when it is made, and what it fails with."""

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.chaos import Await, ChaosUpstream, Close, Send, whole
from tollhouse.errors import UpstreamAuth, UpstreamFault, UpstreamRedirect, UpstreamUnavailable, UpstreamUnreachable
from tollhouse.types.calls import Host
from tollhouse.types.secret import Secret
from tollhouse.types.wire import Outgoing
from tollhouse.upstream.google import GoogleSigner
from tollhouse.upstream.signing import SIGNERS

ASKED = Outgoing("POST", "/v1/x", (("accept", "*/*"),), b"{}")


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Now, in seconds."""
        return self.now_s


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    """A key as Google makes them."""
    return generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def pem(key: RSAPrivateKey) -> str:
    """The same in the form that Google's files have."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def account(pem: str, url: str, **more: Any) -> dict[str, Any]:
    """A service account whose token server is this one."""
    own = {"type": "service_account", "client_email": "me@p.example", "private_key": pem, "private_key_id": "k1"}
    return {**own, "token_uri": f"{url}/token", **more}


def signer(given: object, clock: Clock | None = None) -> GoogleSigner:
    """The signer of a host with this account."""
    text = given if isinstance(given, str) else json.dumps(given)
    host = Host("vertex", "https://v.example/v1", auth="google", secrets=(("account", Secret(text)),))
    return GoogleSigner(host, clock or Clock())


def token(name: str, life_s: Any = 3600) -> list[Send]:
    """A token server's answer."""
    return [Send(whole(json.dumps({"access_token": name, "expires_in": life_s, "token_type": "Bearer"}).encode()))]


def bearer(outgoing: Outgoing) -> str:
    """The token of a request."""
    return dict(outgoing.headers)["authorization"].removeprefix("Bearer ")


def decoded(part: str) -> Any:
    """One part of a JWT."""
    return json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))


async def test_a_statement_is_exchanged_for_a_token(key: RSAPrivateKey, pem: str) -> None:
    """The statement names the account, the scope and the server, and its signature is the key's; the rest is kept."""
    async with ChaosUpstream(token("t1")) as server:
        signed = await signer(account(pem, server.url)).sign(ASKED)
        assert (signed.method, signed.path, signed.body) == ("POST", "/v1/x", b"{}")
        assert signed.headers == (("accept", "*/*"), ("authorization", "Bearer t1"))
        request = server.requests[0]
        assert (request.method, request.target) == ("POST", "/token")
        form = parse_qs(request.body.decode())
        assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
        head, claims, signature = form["assertion"][0].split(".")
        assert decoded(head) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        told = decoded(claims)
        assert told["exp"] - told.pop("iat") == 3600
        del told["exp"]
        assert told == {
            "iss": "me@p.example",
            "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": f"{server.url}/token",
        }
        raw = urlsafe_b64decode(signature + "=" * (-len(signature) % 4))
        key.public_key().verify(raw, f"{head}.{claims}".encode(), PKCS1v15(), SHA256())
        await server.gone()


async def test_a_token_serves_until_it_is_old(pem: str) -> None:
    """One exchange serves all requests of 55 minutes; then a new one is made."""
    clock = Clock()
    async with ChaosUpstream(token("t1"), token("t2")) as server:
        made = signer(account(pem, server.url), clock)
        assert [bearer(await made.sign(ASKED)) for _ in range(3)] == ["t1"] * 3
        clock.now_s = 3299
        assert bearer(await made.sign(ASKED)) == "t1"
        clock.now_s = 3301
        assert bearer(await made.sign(ASKED)) == "t2"
        assert len(server.requests) == 2


async def test_one_exchange_is_made_at_a_time(pem: str) -> None:
    """Requests that come while there is no token wait for the same one."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go), *token("t1")]) as server:
        made = signer(account(pem, server.url))
        waiting = [asyncio.create_task(made.sign(ASKED)) for _ in range(5)]
        await server.arrived()
        go.set()
        assert {bearer(one) for one in await asyncio.gather(*waiting)} == {"t1"}
        assert len(server.requests) == 1


async def test_a_client_that_leaves_takes_no_one_with_it(pem: str) -> None:
    """When the request that makes the exchange is cancelled, the next one makes its own."""
    go = asyncio.Event()
    async with ChaosUpstream([Await(go)], token("t2")) as server:
        made = signer(account(pem, server.url))
        first, second = asyncio.create_task(made.sign(ASKED)), asyncio.create_task(made.sign(ASKED))
        await server.arrived()
        first.cancel()
        assert bearer(await second) == "t2"
        await asyncio.gather(first, return_exceptions=True)
        assert first.cancelled()


async def test_an_old_token_serves_while_it_is_renewed(pem: str) -> None:
    """Nobody else waits for the renewal."""
    clock, go = Clock(), asyncio.Event()
    async with ChaosUpstream(token("t1"), [Await(go), *token("t2")]) as server:
        made = signer(account(pem, server.url), clock)
        await made.sign(ASKED)
        clock.now_s = 3400
        renewing = asyncio.create_task(made.sign(ASKED))
        await server.arrived(2)
        assert bearer(await made.sign(ASKED)) == "t1"
        go.set()
        assert bearer(await renewing) == "t2"


async def test_a_token_server_that_is_down_is_borne_while_a_token_lives(pem: str) -> None:
    """The old token serves on, the server is left alone for a while, and only the token's end is a fault."""
    clock = Clock()
    async with ChaosUpstream(token("t1"), [Send(whole(b"no", 503))]) as server:
        made = signer(account(pem, server.url), clock)
        await made.sign(ASKED)
        clock.now_s = 3400
        assert [bearer(await made.sign(ASKED)) for _ in range(3)] == ["t1"] * 3
        assert len(server.requests) == 2
        clock.now_s = 3601
        with pytest.raises(UpstreamUnavailable):
            await made.sign(ASKED)


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (400, {"error": "invalid_grant", "error_description": "secret detail"}, UpstreamAuth, "(invalid_grant)"),
        (401, {"error": "<b>"}, UpstreamAuth, "gateway."),
        (200, {"access_token": ""}, UpstreamAuth, "gave no token"),
        (200, {"access_token": "a\r\nb"}, UpstreamAuth, "gave no token"),
        (200, {"access_token": 7}, UpstreamAuth, "gave no token"),
        (200, [7], UpstreamAuth, "gave no token"),
        (302, {}, UpstreamRedirect, "never followed"),
        (429, {}, UpstreamUnavailable, "overloaded"),
        (500, {}, UpstreamUnavailable, "overloaded"),
    ],
)
async def test_an_answer_without_a_token_is_a_fault(
    pem: str, status: int, body: Any, kind: type[UpstreamFault], words: str
) -> None:
    """It says what is wrong in a word, and nothing of the server's own text."""
    async with ChaosUpstream([Send(whole(json.dumps(body).encode(), status))]) as server:
        with pytest.raises(UpstreamFault) as caught:
            await signer(account(pem, server.url)).sign(ASKED)
    assert type(caught.value) is kind
    assert words in caught.value.message
    assert "secret" not in caught.value.message


async def test_a_server_that_hangs_up_is_unreachable(pem: str) -> None:
    """What reaching it raises is what the request raises."""
    async with ChaosUpstream([Close()]) as server:
        with pytest.raises(UpstreamUnreachable):
            await signer(account(pem, server.url)).sign(ASKED)


async def test_a_users_own_login_is_refreshed() -> None:
    """What gcloud writes needs no key."""
    login = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    async with ChaosUpstream(token("t1", "soon")) as server:
        clock = Clock()
        made = signer({**login, "token_uri": server.url}, clock)
        assert bearer(await made.sign(ASKED)) == "t1"
        form = parse_qs(server.requests[0].body.decode())
        assert form == {
            "grant_type": ["refresh_token"],
            "client_id": ["i"],
            "client_secret": ["s"],
            "refresh_token": ["r"],
        }
        clock.now_s = 61  # a life that is no number is a minute
        await made.sign(ASKED)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{oops", "not valid JSON"),
        ("7", "neither"),
        ({"type": ["x"]}, "neither"),
        ({"type": "external_account"}, "neither"),
        ({"type": "service_account", "client_email": "a"}, "no private_key"),
        ({"type": "service_account", "client_email": "a", "private_key": "hidden"}, "not a key in PEM"),
        (
            {"type": "service_account", "client_email": "a", "private_key": "b", "token_uri": "http://x.example/t"},
            "https",
        ),
        ({"type": "service_account", "client_email": "a", "private_key": "b", "token_uri": 7}, "https"),
    ],
)
async def test_an_account_that_is_none_is_explained(given: object, words: str) -> None:
    """Without a word of what stands in it, and before anything is sent."""
    with pytest.raises(UpstreamAuth) as caught:
        await signer(given).sign(ASKED)
    assert words in caught.value.message
    assert "hidden" not in caught.value.message


async def test_a_host_without_an_account_is_explained() -> None:
    """The setting is named."""
    with pytest.raises(UpstreamAuth, match="account"):
        await SIGNERS["google"](Host("v", "https://v.example", auth="google")).sign(ASKED)
