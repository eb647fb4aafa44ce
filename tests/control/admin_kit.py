"""The admin API alone, on a real listener over a real database file: no gateway, no upstream."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.fakes.door import Answer, read_answer
from tollhouse import config
from tollhouse.books import Books, open_books
from tollhouse.catalog import store as catalog
from tollhouse.control.admin.api import AdminParts, endpoints, routes
from tollhouse.control.admin.table import Endpoint
from tollhouse.control.reload import Reloader
from tollhouse.discovery import discover
from tollhouse.snapshot import Live, Snapshot, build
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.telemetry.log import Log
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import Target, Usage
from tollhouse.types.secret import Secret
from tollhouse.web.front import Front
from tollhouse.web.limits import ServerLimits
from tollhouse.web.routes import RouteTable
from tollhouse.web.server import Server

CATALOGUE = catalog.load()
ADMIN_KEY = "sk-th-admin-of-the-tests"
SETTINGS = """
[discovery]
environment = false
loopback = false
[embedded]
tiny = false
[tiers.free]
requests_per_minute = 60
concurrent = 2
[tiers.paid]
tokens_per_minute = 10000000
soft = ["tokens"]
[providers.up]
base_url = "https://up.example/v1"
api_key = "sk-upstream"
[providers.up.models."m"]
input_usd_per_1m = 3
output_usd_per_1m = 15
"""


class NoMeter:
    """Counts nothing."""

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""


@dataclass
class Bureau:
    """A running admin listener and what is behind it."""

    parts: AdminParts
    port: int
    books: Books
    log: BytesIO
    rows: dict[tuple[str, str], Endpoint] = field(default_factory=dict)

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """One request with the admin key. Header names have underscores; an empty one is left out."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"host": "t", "connection": "close", "authorization": f"Bearer {ADMIN_KEY}"}
        sent |= {"content-type": "application/json" if data else "", "content-length": str(len(data))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
            return await asyncio.wait_for(read_answer(reader), 20)
        finally:
            writer.close()

    async def get(self, path: str) -> Any:
        """The JSON of a page that is there."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.body
        return answer.json

    async def post(self, path: str, body: object = None, status: int = 0, **headers: str) -> Any:
        """The JSON of a write that succeeds."""
        answer = await self.ask("POST", path, body, **headers)
        assert answer.status == status or (not status and answer.status in {200, 201}), answer.body
        return answer.json

    async def audit(self) -> list[dict[str, Any]]:
        """Every row of the audit, oldest first."""
        rows = (await self.get("/admin/audit?limit=1000"))["data"]
        return list(reversed(rows))

    def rows_of(self, query: str, *values: object) -> list[Any]:
        """What is in the database, past every layer."""
        return self.books.store.read_now(lambda db: db.execute(query, values).fetchall())

    def on_disk(self, folder: Path) -> bytes:
        """Every byte that the installation keeps."""
        return b"".join([path.read_bytes() for path in folder.iterdir()])


@asynccontextmanager
async def bureau(folder: Path, text: str = SETTINGS) -> AsyncIterator[Bureau]:
    """An admin listener on a free port."""
    file = folder / "tollhouse.toml"
    file.write_text(text)
    file.chmod(0o600)

    def read() -> config.Settings:
        return config.load(file, {"HOME": str(folder)}, CATALOGUE.providers)

    async def make(settings: config.Settings, previous: Snapshot | None) -> Snapshot:
        found = await discover(settings, CATALOGUE, {})
        return build(settings, CATALOGUE, found.offers, previous=previous)

    live = Live(await make(read(), None))
    sink = BytesIO()
    log, metrics = Log("debug", sink=sink), Metrics()
    books = open_books(SqliteStore(folder / "tollhouse.db"), b"pepper", live, NoMeter())
    await books.start()
    reloader = Reloader(live, read, make, log, metrics)
    parts = AdminParts(books.office, books.ledger, live, lambda: books.prices, reloader, Secret(ADMIN_KEY))
    front = Front(RouteTable(routes(parts)), lambda: live.snapshot.cors, log, metrics)
    server = Server(front, ServerLimits())
    port = await server.start("127.0.0.1", 0)
    rows = {(row.method, row.path): row for row in endpoints(parts)}
    try:
        yield Bureau(parts, port, books, sink, rows)
    finally:
        server.stop()
        await books.stop()
