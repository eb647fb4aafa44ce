"""The admin API in this process, for commands on a data folder that no server has: same endpoints, same office, same
ledger, over a database of which this process is the one writer for as long as it holds the folder's lock.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click
import msgspec

from tollhouse import config
from tollhouse.books import open_books
from tollhouse.catalog import store as catalog
from tollhouse.cli.assembly import Assembler
from tollhouse.cli.client import Refused, account, write_query
from tollhouse.cli.home import Home
from tollhouse.config import Settings
from tollhouse.control.admin.api import AdminParts, endpoints
from tollhouse.control.admin.table import Asked, Text
from tollhouse.control.guard import name_actor
from tollhouse.control.reload import Reloader
from tollhouse.errors import Fault, StorageUnavailable
from tollhouse.snapshot import Live, build
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Target, Usage
from tollhouse.web.heads import json_body

_PRICED = "/admin/prices"


class _NoMeter:
    """Nothing is served here."""

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""


class LocalClient:
    """See `cli.client.Client`."""

    def __init__(self, home: Home, settings: Settings, runner: asyncio.Runner) -> None:
        settings = self._settings = _without_texts(settings)
        self._runner = runner
        self._live = Live(build(settings, catalog.load(), ()))
        self._targets_known = False
        books = self._books = open_books(home.store, home.pepper, self._live, _NoMeter())
        reloader = Reloader(self._live, lambda: settings, self._remake, Log("error"), Metrics())
        parts = AdminParts(books.office, books.ledger, self._live, lambda: books.prices, reloader, home.admin_key)
        self._endpoints = {(row.method, row.path): row for row in endpoints(parts)}

    async def start(self) -> None:
        """Begins to write."""
        await self._books.start()

    async def stop(self) -> None:
        """Writes what is queued and closes the database."""
        await self._books.stop()

    def call(
        self,
        method: str,
        path: str,
        node: str = "",
        *,
        query: Mapping[str, object] | None = None,
        body: Mapping[str, object] | None = None,
        event: str | None = None,
    ) -> Any:
        """See `Client`."""
        asked = Asked(
            actor=name_actor(f"cli/{account()}".encode()),
            id=node,
            query=write_query(query or {}).encode(),
            content_type=b"application/json",
            body=b"" if method == "GET" else json.dumps(body or {}).encode(),
            event=None if event is None else event.encode(),
        )
        try:
            if path.startswith(_PRICED) and not self._targets_known:
                self._runner.run(self._find_targets())
            answer = self._runner.run(self._endpoints[method, path].perform(asked))
        except Fault as fault:
            raise Refused(fault.status, fault.body("")["error"]) from fault
        return answer.body if isinstance(answer, Text) else msgspec.json.decode(json_body(answer))

    async def _find_targets(self) -> None:
        """Looks for the hosts that a server would find: of them alone there are prices."""
        self._live.swap(await self._remake(self._settings))
        self._targets_known = True

    async def _remake(self, settings: Settings, previous: Any = None) -> Any:
        assembler = await Assembler.start(settings, catalog.load(), config.environment())
        try:
            return await assembler.make(settings, previous)
        finally:
            assembler.close()


def _without_texts(settings: Settings) -> Settings:
    """Nothing is judged here, and protected texts take seconds to read."""
    return replace(settings, safety=replace(settings.safety, protected=()))


@contextmanager
def open_offline(home: Home, settings: Settings) -> Iterator[LocalClient]:
    """The API of an opened folder whose lock is held."""
    with asyncio.Runner() as runner:
        try:
            client = LocalClient(home, settings, runner)
            runner.run(client.start())
        except StorageUnavailable as fault:
            raise click.ClickException(fault.message) from fault
        try:
            yield client
        finally:
            runner.run(client.stop())
