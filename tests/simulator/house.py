"""The gateway of the simulation: the real parts, put together around virtual time, disk and hosts.

A `House` is one life of the process. It is opened on the file that the last one left, recovers, and serves; `die` ends
it between two instructions, as a kill would.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, cast

from tests.simulator.disk import Condition, SimDisk, SimWriter
from tests.simulator.loop import VirtualLoop
from tests.simulator.network import Ordered
from tests.simulator.upstream import Script, SimConnector
from tollhouse.books import Books
from tollhouse.catalog import store as catalog
from tollhouse.catalog.names import Offer
from tollhouse.dialects.openai_client import OPENAI
from tollhouse.errors import StorageUnavailable
from tollhouse.gateway.auth import Keyring
from tollhouse.gateway.gate import Gate
from tollhouse.gateway.limits import Limits
from tollhouse.gateway.pipeline import ChatPipeline
from tollhouse.ledger.journal import Group, Journal
from tollhouse.ledger.ledger import Ledger
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.ledger.prices import PriceVersion
from tollhouse.ledger.recovery import recover
from tollhouse.settings.keys import Settings
from tollhouse.snapshot import Embedded, Live, Snapshot, build
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.stores.tenancy import read_all
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.tenancy.desk import House as Rules
from tollhouse.tenancy.directory import Directory
from tollhouse.tenancy.office import Office
from tollhouse.types.calls import Host, ModelFacts, Target, Usage
from tollhouse.types.wire import Timeouts
from tollhouse.web.front import Front
from tollhouse.web.limits import ServerLimits
from tollhouse.web.routes import Route, RouteTable
from tollhouse.web.server import Server

PEPPER = b"pepper"
PORT = 8787
CATALOGUE = catalog.load()
HOSTS = ("up0", "up1")
TIMEOUTS = Timeouts(connect_s=1.0, first_byte_s=4.0, idle_s=4.0, total_s=30.0)
FACTS = ModelFacts("m", "m", context_tokens=8192, output_tokens=4096)


class _Meter:
    def record(self, target: Target, usage: Usage) -> None:
        """Counts nothing: the oracle reads the ledger."""


@dataclass(frozen=True)
class Parts:
    """Parts that a test of the simulator itself replaces by bad ones."""

    journal: type[Journal] = Journal
    disk: type[SimDisk] = SimDisk


@dataclass
class Outside:
    """What outlives a process: disk, hosts, clocks, prices, settings, and who listens to the commits."""

    path: Path
    loop: VirtualLoop
    condition: Condition
    script: Script
    settings: Settings
    prices: list[PriceVersion]
    drain: bool
    parts: Parts
    wall_us: Callable[[], int]
    on_commit: Callable[[list[Group]], None]
    on_broken: Callable[[str], None]
    chance: Random
    main: "asyncio.Task[Any] | None" = None
    """The scenario's own task, which no death ends."""


def snapshot_of(outside: Outside) -> Snapshot:
    """The gateway's view with the hosts of the simulation."""
    embedded = []
    for number, name in enumerate(HOSTS):
        host = Host(
            name,
            f"http://{name}.example/v1",
            timeouts=TIMEOUTS,
            free=False,
            on_disconnect="drain" if outside.drain and number else "cancel",
        )
        embedded.append(Embedded(Offer(host, {"m": FACTS}, closed=True), SimConnector(name, outside.script), {}))
    return build(outside.settings, CATALOGUE, (), embedded=tuple(embedded))


class House:
    """One life of the gateway."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        loop = self.loop = outside.loop
        self.disk = outside.parts.disk(outside.path, loop, outside.chance, outside.condition)
        self.disk.on_commit = outside.on_commit
        self.writer = SimWriter(self.disk, loop, outside.chance)
        self.server: Server | None = None

    async def open(self) -> None:
        """Recovers, and listens. Tries until the disk lets it."""
        outside = self.outside
        self.metrics = Metrics()
        while True:
            try:
                nodes = Directory().revise(self.disk.inner.read_now(read_all)).nodes
                recover(self.disk, nodes, outside.wall_us())
                self.journal = outside.parts.journal(self.writer)
                self.ledger = Ledger(self.disk, self.journal, _Meter(), outside.wall_us)
                self.ledger.prime(nodes)
                break
            except StorageUnavailable:
                await asyncio.sleep(0.25)
        self.journal.on_broken = outside.on_broken
        self.keyring = Keyring(PEPPER, self.ledger.chain_number, lambda: outside.wall_us() / 1_000_000)
        rules = Rules(PEPPER, lambda: outside.wall_us() / 1_000_000)
        self.office = Office(self.ledger.write, self.ledger.read, rules, self._follow)
        self.book = PriceBook(outside.prices)
        store = cast(SqliteStore, self.disk)
        self.books = Books(store, self.journal, self.ledger, self.office, self.keyring, self.book)
        await self.books.start()
        self.limits = Limits(outside.settings, self.metrics, self.loop.time_ns)
        self.live = Live(snapshot_of(outside))
        self.gate = Gate(*(self.live, self.keyring, self.limits, self.ledger, self.book, self.metrics))
        chat = ChatPipeline(self.gate, OPENAI)
        table = RouteTable((Route("POST", "/v1/chat/completions", chat, "key"),))
        front = Front(table, lambda: self.live.snapshot.cors, Log("error"), self.metrics)
        limits = ServerLimits(heartbeat_s=outside.settings.server.heartbeat_s, write_timeout_s=20.0)
        server = Server(front, limits)
        server.connections = Ordered()  # type: ignore[assignment]  # a set with an order
        await server.start("127.0.0.1", PORT, on_tick=self.limits.sweep)
        self.server = server
        self.loop.create_task(self._tick())

    def _follow(self, directory: Directory) -> None:
        self.ledger.adopt_orgs(directory.nodes)
        self.keyring.replace(directory)

    async def _tick(self) -> None:
        """What the process does each second beside its requests."""
        while True:
            await asyncio.sleep(1.0)
            await self.books.follow()

    def reload(self, settings: Settings) -> None:
        """Other settings are in force from now on."""
        self.outside.settings = settings
        self.live.snapshot = snapshot_of(self.outside)
        self.limits.follow(settings)

    def die(self) -> None:
        """The process is gone, between two instructions. What is not on disk is lost."""
        self.disk.alive = self.writer.alive = False
        for task in asyncio.all_tasks(self.loop) - {self.outside.main}:
            task.cancel()
        if self.server is not None:
            self.server.stop()

    @property
    def ready(self) -> bool:
        """Whether it serves."""
        return self.server is not None and self.disk.alive

    @property
    def quiet(self) -> bool:
        """Whether nothing is going on."""
        return self.ready and not (
            self.ledger.open_holds
            or self.gate.in_flight
            or self.limits.slots
            or len(self.gate.once)
            or len(self.gate.drains)
            or self.journal.appended > self.journal.landed
        )
