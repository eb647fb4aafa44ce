"""AWS Signature Version 4: requests signed with an access key. `upstream.signing` lists `make_signer` for ``sigv4``.

Theory of operation
-------------------
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. A canonical form of the
request is hashed, the hash and the time are signed with a key derived from the secret, the day, the region and the
service, and the signature goes into ``authorization``. The host makes the same form of what reaches it.

*The path is encoded twice.* Its canonical form is the path as it is sent, percent-encoded once more: a model's
``%3A`` becomes ``%253A``. (S3 alone does not; nobody else may leave that out.)

*What is signed.* All headers but those that something on the way may change. ``host`` is the connector's to send, so
its value comes from the same place, `Origin.authority`.

The time is an argument of `sign`; the one clock is the `AwsSigner`'s.
"""

import hashlib
import hmac
import re
import time
from urllib.parse import quote

from msgspec import Struct

from tollhouse.errors import UpstreamAuth
from tollhouse.types.calls import Host
from tollhouse.types.wire import Outgoing
from tollhouse.upstream.origin import Origin

SERVICE = "bedrock"
"""The signing name of Bedrock's runtime."""
_ALGORITHM = "AWS4-HMAC-SHA256"
_UNSIGNED = frozenset({"connection", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})
_REGION = re.compile(r"^(?:[a-z0-9-]+\.)*?([a-z]{2}(?:-[a-z]+)+-\d)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$")
"""``bedrock-runtime.us-east-1.amazonaws.com``, and the name of a VPC endpoint."""


class Scope(Struct, frozen=True):
    """Who signs, and for what. ``session_token`` is empty for keys that do not expire."""

    access_key_id: str
    secret_access_key: str
    region: str
    service: str = SERVICE
    session_token: str = ""

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"Scope({self.region}/{self.service})"


def sign(outgoing: Outgoing, authority: str, scope: Scope, at: str) -> Outgoing:
    """The request with its signature. ``authority`` is the ``Host`` header, ``at`` the time as ``YYYYMMDDTHHMMSSZ``."""
    headers = {name.lower(): value for name, value in outgoing.headers if name.lower() != "authorization"}
    headers["x-amz-date"] = at
    if scope.session_token:
        headers["x-amz-security-token"] = scope.session_token
    signed = {name: _trimmed(value) for name, value in headers.items() if name not in _UNSIGNED}
    signed["host"] = authority
    names = sorted(signed)
    path, _, query = outgoing.path.partition("?")
    canonical = "\n".join(
        [
            outgoing.method,
            quote(path, safe="/-_.~"),
            "&".join([f"{name}={value}" for name, value in sorted(map(_pair, filter(None, query.split("&"))))]),
            *[f"{name}:{signed[name]}" for name in names],
            "",
            ";".join(names),
            hashlib.sha256(outgoing.body).hexdigest(),
        ]
    )
    where = f"{at[:8]}/{scope.region}/{scope.service}/aws4_request"
    told = f"{_ALGORITHM}\n{at}\n{where}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = _key(scope.secret_access_key, at[:8], scope.region, scope.service)
    signature = hmac.digest(key, told.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={scope.access_key_id}/{where}, SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return Outgoing(outgoing.method, outgoing.path, tuple(headers.items()), outgoing.body)


def _trimmed(value: str) -> str:
    return " ".join(value.split())


def _pair(pair: str) -> tuple[str, str]:
    name, _, value = pair.partition("=")
    return name, value


def _key(secret: str, day: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for word in (day, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode(), "sha256")
    return key


class AwsSigner:
    """See `signing.Signer`. What is missing is told by the request that needs it: a file of settings that lacks a
    secret must not keep the gateway from starting.
    """

    __slots__ = ("_authority", "_missing", "_scope")

    def __init__(self, host: Host) -> None:
        secrets = {name: secret.reveal() for name, secret in host.secrets}
        origin = Origin.parse(host.base_url)
        found = _REGION.match(origin.host)
        region = dict(host.options).get("region") or (found[1] if found else "")
        needed = {name: secrets.get(name, "") for name in ("access_key_id", "secret_access_key")} | {"region": region}
        self._missing = " and ".join([name for name, value in needed.items() if not value])
        self._authority = origin.authority
        self._scope = Scope(
            needed["access_key_id"],
            needed["secret_access_key"],
            region,
            session_token=secrets.get("session_token", ""),
        )

    async def sign(self, outgoing: Outgoing) -> Outgoing:
        """The request, signed now. Raises `UpstreamAuth` where the settings lack something."""
        if self._missing:
            raise UpstreamAuth(f"Requests to this host cannot be signed: its settings lack {self._missing}.")
        return sign(outgoing, self._authority, self._scope, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
