"""The models inside this process, as hosts: what the settings ask for, and a report line for each.

Called once at start by the command line. ``tollhouse/sim`` and ``tollhouse/guide`` answer by connectors of their own.
GGUF models run in llama.cpp: those that the operator names are loaded at start, so that a bad file is known at once;
``tollhouse/tiny`` is loaded by its first request, for most installations never ask it anything.
"""

import asyncio
import platform
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tollhouse.catalog.names import Offer
from tollhouse.config import Settings
from tollhouse.engines.guide.model import Guide
from tollhouse.engines.local import TINY_NAME, TINY_PATH, LocalEngine, LocalOptions
from tollhouse.engines.local_gguf import read_facts
from tollhouse.engines.local_loader import CPU_INFO, INSTALL, LocalEngineError, missing_abilities
from tollhouse.engines.sim.completion import CONTEXT_TOKENS
from tollhouse.engines.sim.engine import Engine, Nature
from tollhouse.engines.sim.model import Sim
from tollhouse.errors import UpstreamBadResponse, UpstreamUnavailable
from tollhouse.types.calls import Host, ModelFacts, Prices
from tollhouse.types.wire import Connector, Incoming, Outgoing, Timeouts
from tollhouse.upstream.origin import Origin
from tollhouse.upstream.pool import Pool

T = TypeVar("T")
HOST = "tollhouse"
_INSIDE = "http://127.0.0.1/v1"
"""The base URL of a host that no socket leads to: only its path counts."""
_FREE = Prices(0, 0, 0, 0, 0, 0, 0)
_PATIENCE = Timeouts(connect_s=5.0, first_byte_s=600.0, idle_s=120.0, total_s=3600.0)
"""A long prompt takes minutes on a small machine, and a queued request waits for its turn without a byte."""
_CLOSE_PATIENCE_S = 2.0
_LARGE_BYTES = 256 * 1024
_FIRST = re.compile(rb'\A\{"model":"([\w./-]+)"')
_LAST = re.compile(rb',"model":"([\w./-]+)"\}\Z')
"""The model as the first or last field of compact JSON: no inner object and no text looks like this in these places."""


class Once(Generic[T]):
    """Makes a thing when it is first wanted. All who want it wait for the same one; none who leaves stops it; after a
    failure the next who wants it tries again.
    """

    def __init__(self, make: Callable[[], Awaitable[T]]) -> None:
        self._make = make
        self._task: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """The thing. Raises what making it raised."""
        task = self._task
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._task = asyncio.ensure_future(self._make())
        return await asyncio.shield(task)


class OnDemand:
    """A host over HTTP that starts with the first request for it."""

    def __init__(self, start: Callable[[], Awaitable[Host]]) -> None:
        self._start = Once(start)
        self._pool: Pool | None = None
        self._key = ""

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """See `Connector`. Raises `UpstreamUnavailable` when the model does not start."""
        pool = self._pool or await self._open()
        headers = {**dict(outgoing.headers), "authorization": f"Bearer {self._key}"}
        return await pool.send(outgoing.but(headers=tuple(headers.items())), timeouts)

    async def _open(self) -> Pool:
        try:
            host = await self._start.get()
        except LocalEngineError as error:
            raise UpstreamUnavailable(f"The local model does not start. {error}") from error
        if self._pool is None:
            self._key = host.credential.reveal() if host.credential is not None else ""
            self._pool = Pool(Origin.parse(host.base_url))
        return self._pool

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
        named = await model_of(outgoing.body)
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


async def model_of(body: bytes) -> str:
    """The model that a request names. A large body is looked through in a thread, and seldom at all."""
    if len(body) <= _LARGE_BYTES:
        return _NAMED.decode(body).model
    if found := _FIRST.match(body) or _LAST.search(body, len(body) - 256):
        return found[1].decode()
    return (await asyncio.to_thread(_NAMED.decode, body)).model


def _facts_of(name: str, nature: Nature) -> ModelFacts:
    return ModelFacts(
        name,
        f"{HOST}/{name}",
        CONTEXT_TOKENS,
        nature.output_tokens,
        nature.input_kinds,
        nature.output_kinds,
        tools=nature.scripted,
        structured_output=nature.scripted,
        prices=_FREE,
    )


@dataclass(frozen=True, slots=True)
class Inside:
    """A host inside this process: what it offers, what answers chat, and what answers its other endpoints."""

    offer: Offer
    connector: Connector
    relays: Mapping[str, Connector]


@dataclass(slots=True)
class Engines:
    """What there is. ``lines`` are (name, whether it can be called, why or why not) for the report at start."""

    hosts: list[Inside] = field(default_factory=list)
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """GGUF models are called by their own names; the hosts behind these are not shown."""
    lines: list[tuple[str, bool, str]] = field(default_factory=list)
    _running: list[LocalEngine] = field(default_factory=list)
    _own: list[Engine] = field(default_factory=list)

    def add_own(self, settings: Settings) -> None:
        """The models that Tollhouse itself is."""
        own: dict[str, tuple[Engine, str]] = {}
        if settings.embedded.sim:
            own["sim"] = Sim(), "simulated answers for tests of your own application"
        if settings.embedded.guide:
            own["guide"] = Guide(), "answers questions about Tollhouse from its documentation"
        if not own:
            return
        facts = {name: _facts_of(name, made.nature) for name, (made, _) in own.items()}
        host = Host(HOST, _INSIDE, auth="none", timeouts=settings.timeouts, label="Tollhouse", free=True, inside=True)
        connector = Switch({name: made for name, (made, _) in own.items()})
        self.hosts.append(Inside(Offer(host, facts, closed=True), connector, {}))
        self._own += [made for made, _ in own.values()]
        self.lines += [(f"{HOST}/{name}", True, what) for name, (_, what) in own.items()]

    def add_local(self, name: str, facts: ModelFacts, start: Callable[[], Awaitable[LocalEngine]]) -> None:
        """A GGUF model. ``start`` is called once, when it is first needed."""

        async def begin() -> LocalEngine:
            engine = await start()
            self._running.append(engine)
            return engine

        async def chat() -> Host:
            return (await once.get()).host

        async def embeddings() -> Host:
            return await (await once.get()).embeddings_host()

        once = Once(begin)

        host = Host(
            name,
            _INSIDE,
            auth="none",
            provider="llamacpp",
            timeouts=_PATIENCE,
            label="this process",
            free=True,
            inside=True,
        )
        offer = Offer(host, {name: facts}, closed=True, unlisted=True)
        self.hosts.append(Inside(offer, OnDemand(chat), {"embeddings": OnDemand(embeddings)}))
        self.aliases[name] = (f"{name}#{name}",)

    def close(self) -> None:
        """Ends all work, so that the process can end; GGUF models share `_CLOSE_PATIENCE_S` to finish theirs."""
        for own in self._own:
            own.stop()
        until = time.monotonic() + _CLOSE_PATIENCE_S
        for engine in self._running:
            engine.close(patience_s=max(0.0, until - time.monotonic()))


async def start_engines(settings: Settings) -> Engines:
    """What the settings ask for. A GGUF model that cannot be served is a line of the report, not a failure."""
    engines = Engines()
    engines.add_own(settings)
    keys = settings.local
    options = LocalOptions(context_tokens=keys.context_tokens or None, threads=keys.threads or None)
    for file in keys.gguf:
        await _add_file(engines, Path(file), options)
    if settings.embedded.tiny:
        _add_tiny(engines)
    return engines


async def _add_file(engines: Engines, path: Path, options: LocalOptions) -> None:
    try:
        engine = await LocalEngine.start(path, options=options)
    except LocalEngineError as error:
        engines.lines.append((path.stem, False, str(error)))
        return

    async def started() -> LocalEngine:
        return engine

    engines.add_local(engine.name, engine.facts, started)
    engines.lines.append((engine.name, True, f"{path.name}, {engine.facts.context_tokens} tokens of context"))


def _add_tiny(engines: Engines) -> None:
    if find_spec("xllamacpp") is None:
        engines.lines.append((TINY_NAME, False, f"needs the local engine: {INSTALL}"))
        return
    if missing := missing_abilities(CPU_INFO, platform.machine()):
        engines.lines.append((TINY_NAME, False, f"needs a processor with {', '.join(missing)}"))
        return
    try:
        gguf = read_facts(TINY_PATH)
    except LocalEngineError as error:
        engines.lines.append((TINY_NAME, False, str(error)))
        return
    context = gguf.context_tokens
    facts = ModelFacts(TINY_NAME, TINY_NAME, context, context, tools=True, structured_output=True, prices=_FREE)

    def start() -> Awaitable[LocalEngine]:
        return LocalEngine.start(TINY_PATH, name=TINY_NAME, options=LocalOptions(threads=1))

    engines.add_local(TINY_NAME, facts, start)
    engines.lines.append((TINY_NAME, True, "a very small real model, loaded by its first request"))
