"""The gateway's view of the world at one moment: immutable, swapped whole by a reload.

The request path reads `Live.snapshot` once and keeps what it got to the end, so a reload changes nothing for a request
that runs. The control side builds the next one with `build`; what did not change between two (a pool of connections,
an embedded model) is carried over, what fell away is retired and closes when its last reader is done.
"""

import hashlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tollhouse.catalog.names import Names, Offer
from tollhouse.catalog.store import Catalogue
from tollhouse.catalog.suggest import Suggestions
from tollhouse.config import Settings
from tollhouse.dialects.client import Writer
from tollhouse.providers import NAMES, load
from tollhouse.providers.protocol import Provider
from tollhouse.routing.auto import AUTO, AUTO_OFFER
from tollhouse.routing.health import Health
from tollhouse.routing.table import Routes
from tollhouse.safety.lists import Lists
from tollhouse.safety.policy import Policies
from tollhouse.settings.urls import is_loopback
from tollhouse.types.calls import Host, Target
from tollhouse.types.wire import Connector
from tollhouse.upstream.dial import verifying_tls
from tollhouse.upstream.origin import Origin, Proxy
from tollhouse.upstream.pool import Pool, PoolLimits
from tollhouse.upstream.signing import SIGNERS, SignedConnector
from tollhouse.web.cors import Cors

PoolKey = tuple[Origin, Proxy | None, PoolLimits, str]
"""All that a connection depends on; the text is the digest of the operator's own authorities, empty without any."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A host inside this process: what it offers, what answers chat, and what answers its other endpoints."""

    offer: Offer
    connector: Connector
    relays: Mapping[str, Connector]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a request needs to know."""

    settings: Settings
    names: Names
    suggestions: Suggestions
    connectors: Mapping[str, Connector]
    """By the host's name."""
    providers: Mapping[str, Provider]
    """By the name of their file."""
    cors: Cors
    pools: Mapping[PoolKey, Pool]
    relays: Mapping[str, Mapping[str, Connector]]
    """For hosts whose endpoints are known, by host and kind; any other host is asked and says for itself."""
    routes: Routes
    """What every name means for `routing.decide`."""
    policies: Policies
    """What is done with unsafe texts."""
    lists: Lists
    """What is looked for beside the classifier."""
    judges: Mapping[str, Connector]
    """What answers the judges that have an address of their own, by their names."""

    def endpoint(self, target: Target, kind: str) -> Connector | None:
        """What answers at ``/v1/kind`` for a target, other than chat; None where nothing does."""
        host = target.host.name
        own = self.relays.get(host)
        return own.get(kind) if own is not None else self.connectors.get(host)

    def is_inside(self, host: str) -> bool:
        """Whether a host is models in this process, which no connection leads to."""
        return host in self.relays

    @property
    def max_attempts(self) -> int:
        """How many targets one request may be tried on."""
        return self.settings.upstream.max_attempts

    @property
    def max_response_bytes(self) -> int:
        """The largest whole answer of an upstream."""
        return self.settings.upstream.max_response_bytes

    def heartbeat(self, stream: Writer) -> Callable[[], bytes] | None:
        """What keeps a silent stream open, as the operator chose it."""
        kind = self.settings.server.heartbeat
        if kind == "chunk":
            return stream.heartbeat
        return _comment if kind == "comment" else None


def _comment() -> bytes:
    """An SSE comment. Not ``: ping``, which one client takes for the end of the stream."""
    return b": keep-alive\n\n"


class Live:
    """Holds the snapshot of the moment, and how the hosts are. What changes; `swap` is atomic for a request."""

    __slots__ = ("health", "snapshot")

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.health = Health(snapshot.settings.routing)
        """It outlives the snapshots."""

    def swap(self, snapshot: Snapshot) -> None:
        """The snapshot of the moment from now on."""
        self.snapshot = snapshot
        self.health.adopt(snapshot.settings.routing, snapshot.routes.hosts())


def build(
    settings: Settings,
    catalogue: Catalogue,
    offers: tuple[Offer, ...],
    *,
    embedded: tuple[Embedded, ...] = (),
    previous: Snapshot | None = None,
) -> Snapshot:
    """The snapshot of these settings. ``offers`` are the hosts over HTTP, in the order of trying."""
    kept = previous.pools if previous is not None else {}
    digest, tls = _trust(settings.upstream.ca_file)
    pools: dict[PoolKey, Pool] = {}
    connectors: dict[str, Connector] = {item.offer.host.name: item.connector for item in embedded}
    for offer in offers:
        key = _pool_key(offer.host, settings, digest)
        pools[key] = pools.get(key) or kept.get(key) or _pool(key, tls)
        make = SIGNERS.get(offer.host.auth)
        connectors[offer.host.name] = SignedConnector(pools[key], make(offer.host)) if make else pools[key]
    every = (*offers, *(item.offer for item in embedded))
    providers = {name: load(name) for name in NAMES}
    cors = Cors(settings.cors.origins, int(settings.cors.max_age_s))
    relays = {item.offer.host.name: item.relays for item in embedded}
    more = {offer.host.name: offer.more for offer in every if offer.more}
    listed = (*every, AUTO_OFFER) if any(offer.models for offer in every) else every
    names = Names(listed, settings.aliases, catalogue)
    routes = Routes(names, settings.routes, settings.routing, more)
    routes.find(AUTO)  # fills its columns now, not in a request
    suggestions = Suggestions(names, catalogue)
    suggestions.explain("-")  # builds its index now, not in a request
    policies = Policies(settings.safety, settings.tiers, settings.limits.default_tier)
    judges = _judges(settings, pools, kept, digest, tls)
    return Snapshot(
        *(settings, names, suggestions, connectors, providers, cors, pools, relays, routes),
        policies=policies,
        lists=Lists(settings.safety, previous.lists if previous is not None else None),
        judges=judges,
    )


def retire(old: Snapshot, new: Snapshot) -> None:
    """Lets go of the pools that the new snapshot does not use. Answers being read through them go on."""
    for key, pool in old.pools.items():
        if key not in new.pools:
            pool.retire()


def _judges(
    settings: Settings,
    pools: dict[PoolKey, Pool],
    kept: Mapping[PoolKey, Pool],
    authorities: str,
    tls: ssl.SSLContext | None,
) -> dict[str, Connector]:
    """The connectors of judges with an address of their own; adds what they need to the pools."""
    found: dict[str, Connector] = {}
    for judge in settings.safety.judges.values():
        if judge.url:
            proxy = None if is_loopback(judge.url) else settings.upstream.proxy or None
            key = _pool_key(Host(judge.name, judge.url, proxy=proxy), settings, authorities)
            found[judge.name] = pools[key] = pools.get(key) or kept.get(key) or _pool(key, tls)
    return found


def _pool_key(host: Host, settings: Settings, authorities: str) -> PoolKey:
    keys = settings.upstream
    limits = PoolLimits(max_connections=keys.max_connections_per_host, idle_expiry_s=keys.idle_expiry_s)
    return Origin.parse(host.base_url), Proxy.parse(host.proxy) if host.proxy else None, limits, authorities


def _pool(key: PoolKey, tls: ssl.SSLContext | None) -> Pool:
    origin, proxy, limits, _ = key
    return Pool(origin, limits=limits, proxy=proxy, tls=tls)


def _trust(ca_file: str) -> tuple[str, ssl.SSLContext | None]:
    """A context that also trusts the operator's own authorities, and their digest: a file that was renewed in its place
    is another. The context is None for the one that pools share.
    """
    if not ca_file:
        return "", None
    digest = hashlib.sha256(Path(ca_file).read_bytes()).hexdigest()  # first: of a file that changes now, the older
    context = verifying_tls()
    context.load_verify_locations(ca_file)
    return digest, context
