"""Tokens for Google Cloud, made of what an operator has: the `Signer` for hosts whose ``auth`` is ``google``.

`upstream.signing` makes one for each host. The account is JSON in ``Host.secrets``: a service account, with a private
key (https://developers.google.com/identity/protocols/oauth2/service-account), or what ``gcloud auth
application-default login`` writes, with a refresh token.

Theory of operation
-------------------
A signed statement is exchanged for a token that lives an hour, and every request carries the token. One exchange is
made at a time: who comes while there is no token waits for it, and who comes while an old one is being renewed uses the
old one, which is renewed five minutes before its end. If renewing fails, the old token serves until it ends, and the
next attempt waits half a minute. A connection to the token server is not kept, for it is needed once an hour.
"""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from importlib import import_module
from time import monotonic, time
from typing import Any, Protocol
from urllib.parse import urlencode

import msgspec

from tollhouse.errors import UpstreamAuth, UpstreamFault, UpstreamUnavailable
from tollhouse.types.calls import Host
from tollhouse.types.wire import Outgoing, Timeouts
from tollhouse.upstream.origin import Origin, Proxy, split_base_url
from tollhouse.upstream.pool import Pool, PoolLimits

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105  an address
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE_S = 3600
"""The longest that Google lets a statement live."""
_EARLY_S = 300.0
"""A token is renewed this long before its end."""
_PAUSE_S = 30.0
"""Between two attempts to renew one that still serves."""
_MOST_BYTES = 64 * 1024
_TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0, total_s=20.0)
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_decode = msgspec.json.Decoder().decode


class _Key(Protocol):
    """A private key of the ``cryptography`` package."""

    def sign(self, data: bytes, padding: Any, algorithm: Any) -> bytes:
        """The signature of these bytes."""


class GoogleSigner:
    """Puts a token on each request to one host. See `signing.Signer`. ``clock`` gives seconds that never go back."""

    __slots__ = ("_account", "_clock", "_ends_at", "_host", "_key", "_lock", "_renew_at", "_token")

    def __init__(self, host: Host, clock: Callable[[], float] = monotonic) -> None:
        self._host = host
        self._clock = clock
        self._account: dict[str, Any] | None = None
        self._key: _Key | None = None
        self._lock = asyncio.Lock()
        self._token = ""
        self._renew_at = self._ends_at = -1.0

    async def sign(self, outgoing: Outgoing) -> Outgoing:
        """The request with a token. Raises `UpstreamAuth`, or what reaching the token server raises."""
        if self._clock() >= self._renew_at:
            await self._renew()
        headers = (*outgoing.headers, ("authorization", f"Bearer {self._token}"))
        return Outgoing(outgoing.method, outgoing.path, headers, outgoing.body)

    async def _renew(self) -> None:
        if self._lock.locked() and self._clock() < self._ends_at:
            return
        async with self._lock:
            now = self._clock()
            if now < self._renew_at:  # another request has done it meanwhile
                return
            try:
                self._token, life_s = await self._exchange()
            except UpstreamFault:
                if now >= self._ends_at:
                    raise
                self._renew_at = min(now + _PAUSE_S, self._ends_at)
                return
            self._ends_at = now + life_s
            self._renew_at = now + max(life_s - _EARLY_S, life_s / 2)

    async def _exchange(self) -> tuple[str, float]:
        """A new token, and how long it lives, in seconds."""
        account = self._account = self._account or _account_of(self._host)
        uri = account["token_uri"]
        origin, path = split_base_url(uri)
        body = urlencode(self._grant(account)).encode()
        headers = (("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json"))
        status, answer = await self._post(origin, Outgoing("POST", path or "/", headers, body))
        try:
            told = _decode(answer)
        except (ValueError, RecursionError):
            told = None
        if status >= 500 or status == 429:
            raise UpstreamUnavailable("Google's token server is overloaded or unavailable.")
        token = told.get("access_token") if isinstance(told, dict) else None
        if status != 200 or not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
            raise UpstreamAuth(f"Google gave no token for the account of the gateway{_reason(told)}.")
        life_s = told.get("expires_in") if isinstance(told, dict) else None
        return token, float(min(life_s, _LIFE_S)) if type(life_s) is int and life_s > 0 else 60.0

    async def _post(self, origin: Origin, outgoing: Outgoing) -> tuple[int, bytes]:
        proxy = Proxy.parse(self._host.proxy) if self._host.proxy and origin.host not in _LOOPBACK else None
        pool = Pool(origin, limits=PoolLimits(max_connections=1), proxy=proxy)
        try:
            reply = await pool.send(outgoing, _TIMEOUTS)
            try:
                return reply.status, await reply.read(_MOST_BYTES)
            finally:
                reply.close()
        finally:
            await pool.aclose()

    def _grant(self, account: dict[str, Any]) -> dict[str, str]:
        """The form to send to the token server."""
        if account["type"] == "authorized_user":
            names = ("client_id", "client_secret", "refresh_token")
            return {"grant_type": "refresh_token", **{name: account[name] for name in names}}
        self._key = self._key or _load_key(account["private_key"])
        return {"grant_type": _JWT_GRANT, "assertion": statement(account, self._key, int(time()))}


def statement(account: dict[str, Any], key: _Key, now_s: int) -> str:
    """A JWT that says who asks for what (RFC 7523), signed with RS256. ``now_s`` is Unix time."""
    head = {"alg": "RS256", "typ": "JWT"}
    if isinstance(account.get("private_key_id"), str):
        head["kid"] = account["private_key_id"]
    claims = {
        "iss": account["client_email"],
        "scope": SCOPE,
        "aud": account["token_uri"],
        "iat": now_s,
        "exp": now_s + _LIFE_S,
    }
    said = b".".join(_base64(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    return (
        said + b"." + _base64(key.sign(said, _crypto("asymmetric.padding").PKCS1v15(), _crypto("hashes").SHA256()))
    ).decode()


def _base64(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


_NEEDED = {
    "service_account": ("client_email", "private_key"),
    "authorized_user": ("client_id", "client_secret", "refresh_token"),
}


def _account_of(host: Host) -> dict[str, Any]:
    """The account of a host, checked. Raises `UpstreamAuth`, whose text repeats nothing of it."""
    secret = dict(host.secrets).get("account")
    if secret is None:
        raise UpstreamAuth("The host has no service account: set account to its JSON.")
    try:
        account = _decode(secret.reveal())
    except (ValueError, RecursionError):
        raise UpstreamAuth("The service account is not valid JSON.") from None
    kind = account.get("type") if isinstance(account, dict) else None
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise UpstreamAuth("The service account's JSON is neither a service_account nor an authorized_user.")
    missing = [name for name in _NEEDED[kind] if not isinstance(account.get(name), str)]
    if missing:
        raise UpstreamAuth(f"The service account's JSON has no {missing[0]}.")
    account["token_uri"] = uri = account.get("token_uri") or _TOKEN_URI
    try:
        origin = Origin.parse(str(uri))
    except ValueError:
        origin = None
    if origin is None or not (origin.tls or origin.host in _LOOPBACK):
        raise UpstreamAuth("The service account's token_uri is no https address.")
    return dict(account)


def _load_key(pem: str) -> _Key:
    """The private key. Raises `UpstreamAuth`."""
    load, kind = _crypto("serialization").load_pem_private_key, _crypto("asymmetric.rsa").RSAPrivateKey
    try:
        key: _Key = load(pem.encode(), None)
    except (ValueError, TypeError):
        raise UpstreamAuth("The service account's private_key is not a key in PEM.") from None
    known: bool = isinstance(key, kind)
    if not known:
        raise UpstreamAuth("The service account's private_key is not an RSA key.")
    return key


def _crypto(module: str) -> Any:
    """A module of the ``cryptography`` package, an optional extra. Raises `UpstreamAuth` where it is not installed."""
    try:
        return import_module(f"cryptography.hazmat.primitives.{module}")
    except ImportError:
        raise UpstreamAuth("Service accounts need a package more: pip install 'tollhouse[vertex]'.") from None


def _reason(told: object) -> str:
    """The one word by which OAuth names what is wrong (RFC 6749, 5.2), where it is one."""
    word = told.get("error") if isinstance(told, dict) else None
    return f" ({word})" if isinstance(word, str) and word.isascii() and word.replace("_", "").isalpha() else ""
