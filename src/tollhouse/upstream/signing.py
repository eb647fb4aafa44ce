"""Requests that are signed, or carry a token that does not live long: a `Connector` around a pool.

Called by `snapshot`, for hosts whose ``auth`` names one of `SIGNERS`. Providers stay pure: they write what is to be
said, and who says it is proved here, where there is a clock. A signer is made once for a host and its credentials.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from tollhouse.types.calls import Host
from tollhouse.types.wire import Connector, Incoming, Outgoing, Timeouts
from tollhouse.upstream.google import GoogleSigner
from tollhouse.upstream.sigv4 import AwsSigner


class Signer(Protocol):
    """Proves who sends a request."""

    async def sign(self, outgoing: Outgoing) -> Outgoing:
        """The request with what proves it. Raises an `UpstreamFault`."""


MakeSigner = Callable[[Host], Signer]


class SignedConnector:
    """See `Connector`."""

    __slots__ = ("_inner", "_signer")

    def __init__(self, inner: Connector, signer: Signer) -> None:
        self._inner = inner
        self._signer = signer

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """Signs and sends."""
        return await self._inner.send(await self._signer.sign(outgoing), timeouts)

    async def aclose(self) -> None:
        """Closes the pool."""
        await self._inner.aclose()


SIGNERS: Mapping[str, MakeSigner] = MappingProxyType({"google": GoogleSigner, "sigv4": AwsSigner})
"""By ``Host.auth``."""
