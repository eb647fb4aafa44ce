"""What every request to a host says before its body: the credential, who we are, what the operator adds.

Every provider asks here, once for each `Host` object: what it gets depends on the host alone (`StaticHeads`).
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Generic, TypeVar
from urllib.parse import quote

from tollhouse import __version__
from tollhouse.errors import InternalError, UpstreamModelMissing
from tollhouse.types.calls import Host

Fields = tuple[tuple[str, str], ...]
"""Header fields as `Outgoing` takes them, with lower-case names."""

USER_AGENT: Final = f"tollhouse/{__version__}"
_CREDENTIAL: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "bearer": ("authorization", "Bearer "),
        "x-api-key": ("x-api-key", ""),
        "api-key": ("api-key", ""),
        "x-goog-api-key": ("x-goog-api-key", ""),
    }
)
"""For each ``Host.auth``, the field that carries the credential, and what stands before it."""
_SIGNED: Final = frozenset({"none", "sigv4", "google"})
"""Kinds of auth that put nothing in a header here: `upstream.signing` proves those requests."""
_KNOWN_HOSTS: Final = 1024

T = TypeVar("T")


def credential_headers(host: Host) -> dict[str, str]:
    """The field that carries a host's credential; empty for a host without one, and for one whose requests are signed.

    Raises `InternalError` for a kind of auth that no configuration check saw.
    """
    if host.auth in _SIGNED or host.credential is None:
        return {}
    if host.auth not in _CREDENTIAL:
        raise InternalError(f"The host {host.name} has an unknown kind of auth.")
    name, prefix = _CREDENTIAL[host.auth]
    return {name: prefix + host.credential.reveal()}


def host_headers(host: Host, accept: str = "application/json", **more: str) -> Fields:
    """The fields of every JSON request to a host. The operator's own replace those of the same name.

    ``more`` are the dialect's own, with ``_`` for ``-``: ``anthropic_version="2023-06-01"``.
    """
    fields = {"accept": accept, "content-type": "application/json", "user-agent": USER_AGENT}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    fields |= credential_headers(host)
    fields |= {name.lower(): value for name, value in host.headers}
    return tuple(fields.items())


def path_segment(model: str) -> str:
    """A model's name as one segment of a path. Raises `UpstreamModelMissing` for the two that lead elsewhere (RFC 3986,
    section 5.2.4): no quoting takes that from them.
    """
    if model in (".", ".."):
        raise UpstreamModelMissing("The upstream host has no model of this name.", status=404)
    return quote(model, safe="")


class StaticHeads(Generic[T]):
    """What never changes about a host, made once for each `Host` object.

    ``StaticHeads(make).of(host)``: each reload of the configuration brings new objects, so the memory is bounded.
    """

    __slots__ = ("_known", "_make")

    def __init__(self, make: Callable[[Host], T]) -> None:
        self._make = make
        self._known: dict[int, tuple[Host, T]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def of(self, host: Host) -> T:
        """What ``make`` gives for this host."""
        known = self._known.get(id(host))
        if known is not None and known[0] is host:
            return known[1]
        if len(self._known) >= _KNOWN_HOSTS:
            self._known.clear()
        made = self._make(host)
        self._known[id(host)] = (host, made)
        return made
