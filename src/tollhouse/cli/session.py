"""A gateway to talk to from the command line: one that runs already, or one started for the length of a command."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from tollhouse import config
from tollhouse.app import App
from tollhouse.catalog import store as catalog
from tollhouse.cli.assembly import Assembler, make_parts
from tollhouse.cli.home import open_home
from tollhouse.config import Settings
from tollhouse.dialects.sse import EventParser
from tollhouse.errors import Fault, InvalidRequest, UpstreamBadResponse
from tollhouse.loopback import Finding
from tollhouse.snapshot import Snapshot
from tollhouse.types.wire import Incoming, Outgoing, Timeouts
from tollhouse.upstream.origin import split_base_url
from tollhouse.upstream.pool import Pool
from tollhouse.web.exchange import EVENTS
from tollhouse.web.heads import json_body

_TIMEOUTS = Timeouts(total_s=3600.0)
_MAX_ERROR_BYTES = 65_536
_MAX_ANSWER_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Session:
    """A gateway's address and a key for it. ``snapshot`` and ``report`` are there when it runs in this process."""

    url: str
    key: str
    snapshot: Snapshot | None = None
    report: tuple[Finding, ...] = ()

    async def ask(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that an endpoint below the base URL answers. Raises `Fault` with the gateway's own words where it
        refuses, and where the URL leads to no gateway.
        """
        async with self._answered(path, body) as incoming:
            data = await incoming.read(_MAX_ANSWER_BYTES)
            if incoming.status == HTTPStatus.OK:
                return msgspec.json.decode(data)
            error = msgspec.json.decode(_error_body(data, incoming.status))["error"]
            raise Fault(str(error.get("message", "the gateway gave no reason")))

    @asynccontextmanager
    async def _answered(self, path: str, body: dict[str, Any]) -> AsyncIterator[Incoming]:
        """The answer to a POST below the base URL."""
        try:
            origin, base = split_base_url(self.url)
        except ValueError as error:
            raise InvalidRequest(f"--url: {error}.") from None
        pool = Pool(origin)
        headers = (("authorization", f"Bearer {self.key}"), ("content-type", "application/json"))
        incoming = await pool.send(Outgoing("POST", f"{base}/{path}", headers, json_body(body)), _TIMEOUTS)
        try:
            yield incoming
        finally:
            incoming.close()
            await pool.aclose()

    async def stream(self, body: dict[str, Any]) -> AsyncIterator[bytes]:
        """The data of each event of a streamed completion; for a refusal, the one JSON body of its error. Raises
        `Fault` where the URL leads to no gateway.
        """
        async with self._answered("chat/completions", {**body, "stream": True}) as incoming:
            if incoming.status != 200 or not incoming.headers.get("content-type", "").startswith(EVENTS):
                yield _error_body(await incoming.read(_MAX_ERROR_BYTES), incoming.status)
                return
            parser = EventParser()
            while data := await incoming.next():
                for event, _ in parser.feed(data):
                    yield event


def _error_body(body: bytes, status: int) -> bytes:
    """The body, if it is an error as a gateway tells it. Raises `UpstreamBadResponse` for what other servers say."""
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said = None
    if not isinstance(said, dict) or not isinstance(said.get("error"), dict):
        why = f"What answers there is no gateway (status {status}). Does the URL end in /v1?"
        raise UpstreamBadResponse(why)
    return body


@asynccontextmanager
async def own_gateway(settings: Settings) -> AsyncIterator[Session]:
    """A gateway on a free loopback port, with a key that only this process knows. What it keeps goes with it."""
    server = replace(settings.server, host="127.0.0.1", port=0, admin_port=0)
    quiet = replace(settings, server=server, log=replace(settings.log, level="error", access=False))
    assembler = await Assembler.start(quiet, catalog.load(), config.environment())
    snapshot = await assembler.make(quiet)
    with TemporaryDirectory(prefix="tollhouse-") as folder:
        parts = make_parts(assembler, snapshot, open_home(Path(folder)), lambda: quiet)
        app = App(parts)
        try:
            port, _ = await app.start()
            key = await parts.books.mint("session")
            yield Session(f"http://127.0.0.1:{port}/v1", key, snapshot, assembler.report)
        finally:
            await app.stop()
            assembler.close()
