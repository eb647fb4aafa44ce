"""A whole gateway inside the test's event loop, made by the same parts as the real one, and a plain client for it.

    async with opened(config) as door:
        answer = await door.post({"model": "a/b", "messages": [...]})
        assert answer.status == 200

``config`` is TOML text. Nothing is looked for in the environment or on the machine's ports.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from tollhouse import config
from tollhouse.app import App
from tollhouse.catalog import store as catalog
from tollhouse.cli.assembly import Assembler, make_parts
from tollhouse.cli.home import Home
from tollhouse.config import Settings
from tollhouse.stores.sqlite import SqliteStore
from tollhouse.telemetry.log import Log
from tollhouse.types.secret import Secret

CATALOGUE = catalog.load()
QUIET = "[discovery]\nenvironment = false\nloopback = false\n[embedded]\ntiny = false\n"
HELLO = {"messages": [{"role": "user", "content": "hello"}]}


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes
    ended: bool
    """Whether the body came to the end its framing promised."""

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """The error object of a JSON body, or of the stream's last event."""
        found = self.events[-1] if self.headers["content-type"].startswith("text/event-stream") else self.json
        error = found["error"]
        assert isinstance(error, dict)
        return error

    @property
    def lines(self) -> list[bytes]:
        """The data of each event of a stream."""
        return [part.removeprefix(b"data: ") for part in self.body.split(b"\n\n") if part]

    @property
    def events(self) -> list[Any]:
        """The parsed events of a stream, without ``[DONE]``."""
        return [json.loads(line) for line in self.lines if line != b"[DONE]"]

    @property
    def text(self) -> str:
        """The content of a stream's first choice."""
        deltas = [event["choices"][0]["delta"] for event in self.events if event.get("choices")]
        return "".join(delta.get("content") or "" for delta in deltas)


@dataclass
class Door:
    """A running gateway."""

    app: App
    port: int
    admin_port: int
    key: str
    log: BytesIO
    config_file: Path
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def post(self, body: object, path: str = "/v1/chat/completions", **headers: str) -> Answer:
        """A POST of JSON (or of bytes as they are) with the good key; read to the end."""
        return await self.request("POST", path, body, **headers)

    async def get(self, path: str, **headers: str) -> Answer:
        """A GET with the good key."""
        return await self.request("GET", path, b"", **headers)

    async def request(self, method: str, path: str, body: object = b"", **headers: str) -> Answer:
        """Any request. Header names are given with underscores; ``authorization=""`` leaves that header out."""
        reader, writer = await self.send(method, path, body, **headers)
        try:
            return await asyncio.wait_for(read_answer(reader), 20)
        finally:
            writer.close()

    async def send(
        self, method: str, path: str, body: object = b"", **headers: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Sends a request and leaves the answer to the caller."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"host": "t", "connection": "close", "authorization": f"Bearer {self.key}"}
        sent |= {"content-type": "application/json", "content-length": str(len(data))}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        self.writers.append(writer)
        return reader, writer

    @property
    def idle(self) -> bool:
        """Whether nothing is being served and nothing is held."""
        return self.app.server.busy == 0 and self.app.ledger.open_holds == 0 and self.app.gate.in_flight == 0

    def count(self, name: str, *labels: str) -> int:
        """The value of a counter."""
        metrics = self.app.parts.metrics
        if name == "tollhouse_tokens":
            host, model, kind = labels
            return metrics.tokens[host, model].by_class().get(kind, 0) if (host, model) in metrics.tokens else 0
        return metrics.counts.get((name, *labels), 0)


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Reads one response, following its framing by hand."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    status = int(first.split()[1])
    if "content-length" in headers:
        try:
            return Answer(status, headers, await reader.readexactly(int(headers["content-length"])), ended=True)
        except asyncio.IncompleteReadError as error:
            return Answer(status, headers, error.partial, ended=False)
    body = b""
    while True:
        size = await reader.readline()
        if not size:
            return Answer(status, headers, body, ended=False)
        chunk = await reader.readexactly(int(size, 16) + 2)
        if len(chunk) == 2:
            return Answer(status, headers, body, ended=True)
        body += chunk[:-2]


@asynccontextmanager
async def opened(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    *,
    quiet: str = QUIET,
    volume: Path | None = None,
    sink: IO[bytes] | None = None,
) -> AsyncIterator[Door]:
    """A gateway on free ports, stopped at the end. ``volume``: where its database is, ``sink``: where its log goes."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "tollhouse.toml"
        file.write_text(text + "\n" + quiet)
        file.chmod(0o600)
        known = environ or {}

        def read() -> Settings:
            found = config.load(file, {"HOME": folder, **known}, CATALOGUE.providers)
            if "same_target_retries" not in text:  # a test of one fault is a test of one request
                found = replace(found, routing=replace(found.routing, same_target_retries=0))
            return replace(found, server=replace(found.server, port=0, admin_port=0))

        settings = read()
        assembler = await Assembler.start(settings, CATALOGUE, known)
        home = Home(
            Path(folder), SqliteStore((volume or Path(folder)) / "tollhouse.db"), b"pepper", Secret("admin-secret")
        )
        parts = make_parts(assembler, await assembler.make(settings), home, read)
        log = BytesIO()
        parts = replace(parts, log=Log("debug", sink=sink or log))
        app = App(parts)
        port, admin_port = await app.start()
        assert admin_port is not None
        door = Door(app, port, admin_port, await parts.books.mint("test"), log, file)
        try:
            yield door
        finally:
            await app.stop()
            assembler.close()
            for writer in door.writers:
                writer.close()


async def eventually(condition: object, within_s: float = 5.0) -> None:
    """Waits until a condition holds; fails when it does not in time."""
    assert callable(condition)
    deadline = asyncio.get_running_loop().time() + within_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)
