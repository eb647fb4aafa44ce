"""From settings to a gateway that can start: engines, discovery, the first snapshot, the parts of `App`."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from tollhouse.app import Parts, TokenMeter
from tollhouse.books import open_books
from tollhouse.catalog.store import Catalogue
from tollhouse.cli.home import Home
from tollhouse.config import Settings
from tollhouse.control.reload import Reloader
from tollhouse.discovery import discover
from tollhouse.engines.embedded import Engines, start_engines
from tollhouse.loopback import Finding
from tollhouse.safety.embedding_loader import NAME, missing
from tollhouse.snapshot import Embedded, Live, Snapshot, build
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics


class Assembler:
    """Makes snapshots. Engines inside the process are started once and outlive every reload."""

    def __init__(self, catalogue: Catalogue, environ: Mapping[str, str], engines: Engines) -> None:
        self._catalogue = catalogue
        self._environ = environ
        self._engines = engines
        self.report: tuple[Finding, ...] = ()
        """What the last discovery found, the engines, and the second tier of safety."""

    @classmethod
    async def start(cls, settings: Settings, catalogue: Catalogue, environ: Mapping[str, str]) -> "Assembler":
        """Starts the engines."""
        return cls(catalogue, environ, await start_engines(settings))

    async def make(self, settings: Settings, previous: Snapshot | None = None) -> Snapshot:
        """The snapshot of these settings: looks for hosts, keeps what did not change."""
        engines = self._engines
        found = await discover(settings, self._catalogue, self._environ)
        inside = (Finding(name, "found" if runs else "missing", why) for name, runs, why in engines.lines)
        self.report = (*found.report, *inside, *_second_tier(settings))
        aliased = replace(settings, aliases={**engines.aliases, **settings.aliases})
        embedded = tuple(Embedded(host.offer, host.connector, host.relays) for host in engines.hosts)
        return await asyncio.to_thread(
            build, aliased, self._catalogue, found.offers, embedded=embedded, previous=previous
        )

    def close(self) -> None:
        """Stops the engines."""
        self._engines.close()


def _second_tier(settings: Settings) -> Iterator[Finding]:
    """How the second local tier of safety stands, where a policy wants it."""
    if any(policy.keys.embedding for policy in settings.safety.policies.values()):
        parts = missing()
        for part, command in parts.items():
            yield Finding(NAME, "missing", f"a policy wants it, but {part} is not installed", command)
        if not parts:
            yield Finding(NAME, "found", "the second tier, loaded by the first text that a policy wants it for")


def make_parts(assembler: Assembler, snapshot: Snapshot, home: Home, read: Callable[[], Settings]) -> Parts:
    """The parts of an `App`. ``read`` reads the settings again, for a reload. Raises `StorageUnavailable`."""
    keys = snapshot.settings.log
    log = Log(keys.level, text=keys.format == "text", access=keys.access)
    metrics = Metrics()
    live = Live(snapshot)
    books = open_books(home.store, home.pepper, live, TokenMeter(metrics))
    return Parts(live, books, Reloader(live, read, assembler.make, log, metrics), home.admin_key, log, metrics)
