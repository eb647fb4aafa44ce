"""The models inside this process, as hosts: what the settings ask for, started, with a report line for each.

Called once at start by the command line. ``tollhouse/sim`` and ``tollhouse/guide`` answer by a connector of their own;
GGUF models, ``tollhouse/tiny`` among them, run in llama.cpp and are reached like any host over HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from tollhouse.catalog.names import Offer
from tollhouse.config import Settings
from tollhouse.engines.guide.model import Guide
from tollhouse.engines.local import TINY_NAME, TINY_PATH, LocalEngine, LocalOptions
from tollhouse.engines.local_loader import LocalEngineError
from tollhouse.engines.sim.model import Sim
from tollhouse.errors import UpstreamBadResponse, UpstreamUnavailable
from tollhouse.types.calls import Host, ModelFacts, Prices
from tollhouse.types.wire import Connector, Incoming, Outgoing, Timeouts
from tollhouse.upstream.origin import Origin
from tollhouse.upstream.pool import Pool

HOST = "tollhouse"
_FREE = Prices(0, 0, 0, 0, 0, 0, 0)


@dataclass(slots=True)
class Engines:
    """What runs. ``lines`` are (name, whether it runs, why or why not) for the report at start."""

    connectors: dict[str, Connector] = field(default_factory=dict)
    """By model, for the models of the host ``tollhouse``."""
    facts: dict[str, ModelFacts] = field(default_factory=dict)
    local: list[LocalEngine] = field(default_factory=list)
    lines: list[tuple[str, bool, str]] = field(default_factory=list)

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The hosts of the GGUF models: not listed by themselves, for an alias names each model."""
        return tuple(Offer(engine.host, {engine.name: engine.facts}, unlisted=True) for engine in self.local)

    @property
    def relays(self) -> Mapping[str, Mapping[str, Connector]]:
        """What each host of this process serves beside chat: GGUF models give embeddings."""
        return {HOST: {}} | {engine.host.name: {"embeddings": Embeddings(engine)} for engine in self.local}

    @property
    def aliases(self) -> Mapping[str, tuple[str, ...]]:
        """Each GGUF model under its own name."""
        return {engine.name: (f"{engine.name}#{engine.host.name}",) for engine in self.local}

    @property
    def offer(self) -> Offer:
        """The host ``tollhouse``."""
        return Offer(Host(HOST, "http://tollhouse.invalid/v1", auth="none", label="Tollhouse"), self.facts, closed=True)

    @property
    def connector(self) -> Connector:
        """What answers for the host ``tollhouse``."""
        return Switch(self.connectors)

    def add(self, name: str, connector: Connector, what: str) -> None:
        """A model of the host ``tollhouse``."""
        self.connectors[name] = connector
        self.facts[name] = ModelFacts(name, f"{HOST}/{name}", tools=True, structured_output=True, prices=_FREE)
        self.lines.append((f"{HOST}/{name}", True, what))

    def close(self) -> None:
        """Stops the GGUF models."""
        for engine in self.local:
            engine.close()


class Embeddings:
    """The embeddings of a GGUF model. Its server for them starts with the first request."""

    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine
        self._pool: Pool | None = None

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """See `Connector`. Raises `UpstreamUnavailable` when the model cannot give embeddings."""
        try:
            host = await self._engine.embeddings_host()
        except LocalEngineError as error:
            raise UpstreamUnavailable(f"The model {self._engine.name} gives no embeddings here.") from error
        if self._pool is None:
            self._pool = Pool(Origin.parse(host.base_url))
        key = host.credential.reveal() if host.credential is not None else ""
        headers = {**dict(outgoing.headers), "authorization": f"Bearer {key}"}
        return await self._pool.send(replace(outgoing, headers=tuple(headers.items())), timeouts)

    async def aclose(self) -> None:
        """See `Connector`."""
        if self._pool is not None:
            await self._pool.aclose()


class Switch:
    """Gives each request to the engine of the model it names."""

    def __init__(self, connectors: Mapping[str, Connector]) -> None:
        self._connectors = connectors

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """See `Connector`. Raises `UpstreamBadResponse` for a model that is not here."""
        named = _NAMED.decode(outgoing.body).model
        connector = self._connectors.get(named)
        if connector is None:
            raise UpstreamBadResponse(f"There is no embedded model {named!r}.")
        return await connector.send(outgoing, timeouts)

    async def aclose(self) -> None:
        """See `Connector`."""
        for connector in self._connectors.values():
            await connector.aclose()


class _Named(msgspec.Struct):
    model: str


_NAMED = msgspec.json.Decoder(_Named)


async def start_engines(settings: Settings) -> Engines:
    """Starts what the settings ask for. A GGUF model that does not start is a line of the report, not a failure."""
    engines = Engines()
    if settings.embedded.sim:
        engines.add("sim", Sim(), "simulated answers for tests of your own application")
    if settings.embedded.guide:
        engines.add("guide", Guide(), "answers questions about Tollhouse from its documentation")
    keys = settings.local
    options = LocalOptions(context_tokens=keys.context_tokens or None, threads=keys.threads or None)
    for name in keys.gguf:
        await _start_local(engines, Path(name), None, options)
    if settings.embedded.tiny:
        await _start_local(engines, TINY_PATH, TINY_NAME, LocalOptions(threads=1))
    return engines


async def _start_local(engines: Engines, path: Path, name: str | None, options: LocalOptions) -> None:
    try:
        engine = await LocalEngine.start(path, name=name, options=options)
    except LocalEngineError as error:
        engines.lines.append((name or path.stem, False, str(error)))
        return
    engines.local.append(engine)
    engines.lines.append((engine.name, True, f"{path.name}, {engine.facts.context_tokens} tokens of context"))
