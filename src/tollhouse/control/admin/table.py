"""An endpoint of the admin API as data, and the one way in which every endpoint is served.

`control.admin` lists them, `web.routes` finds them, `control.openapi` describes them: all three read the same rows, so
that no route exists without a policy, a schema and a page. The order of serving is fixed here: the admin key first,
then the query and the body against their schemas, then the handler. No handler sees a caller that is not allowed,
and a write that has begun is finished although its caller leaves: memory must follow what the database has.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from tollhouse.control.admin.reading import read_body, read_query
from tollhouse.control.guard import Guard
from tollhouse.errors import InvalidRequest
from tollhouse.web.exchange import Exchange
from tollhouse.web.heads import json_body
from tollhouse.web.routes import Handler, Route

MAX_ID_CHARS = 256
MAX_EVENT_CHARS = 255
WRITES = frozenset({"POST", "PATCH"})
_NO_STORE = "cache-control: no-store\r\n"
"""Keys and money are in these answers: no cache on the way may keep them."""


class Call(msgspec.Struct, frozen=True):
    """What a handler is given: all of it read and checked. ``body`` and ``query`` are the endpoint's own structs."""

    actor: str
    id: str = ""
    """What the braces of the path stand for."""
    body: Any = None
    query: Any = None
    event: str | None = None
    """``Idempotency-Key``: what this caller calls its deed, so that it happens once."""


class Text(msgspec.Struct, frozen=True):
    """An answer that is not JSON."""

    body: bytes
    content_type: str
    file_name: str


Work = Callable[[Call], Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row. ``answer`` is the type of the JSON it replies with; ``body`` and ``query`` are structs or None."""

    method: str
    path: str
    name: str
    """Its ``operationId``."""
    summary: str
    work: Work
    answer: Any
    body: type[msgspec.Struct] | None = None
    query: type[msgspec.Struct] | None = None
    status: int = 200
    repeatable: bool = False
    """Whether ``Idempotency-Key`` is honoured."""
    csv: bool = False
    """Whether ``?format=csv`` answers with a table."""

    def route(self, guard: Guard) -> Route:
        """The row for the router. Nothing but the admin key opens any of them."""
        return Route(self.method, self.path, self._handler(guard), "admin")

    def _handler(self, guard: Guard) -> Handler:
        async def serve(exchange: Exchange) -> None:
            actor = guard.authorise(exchange)
            exchange.notes["actor"] = actor
            headers = exchange.headers
            asked = Asked(
                actor=actor,
                id=read_id(exchange.rest),
                query=exchange.query,
                content_type=headers.get(b"content-type", b""),
                body=await exchange.body() if self.method in WRITES else b"",
                event=headers.get(b"idempotency-key"),
            )
            answer = await self.perform(asked)
            if isinstance(answer, Text):
                name = f'content-disposition: attachment; filename="{answer.file_name}"\r\n'
                exchange.reply(self.status, answer.body, f"{_NO_STORE}{name}", content_type=answer.content_type)
                return
            exchange.reply(self.status, json_body(answer), _NO_STORE)

        return serve

    async def perform(self, asked: "Asked") -> Any:
        """Reads what was asked, does it, returns the answer: for a listener, and for a command that is its own server.
        The caller has made sure who asks.
        """
        query = read_query(asked.query, self.query)
        body = read_body(asked.content_type, asked.body, self.body)
        event = read_event(asked.event) if self.repeatable else None
        work = self.work(Call(asked.actor, asked.id, body, query, event))
        return await (finish(work) if self.method in WRITES else work)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request for an endpoint, not yet read."""

    actor: str
    id: str = ""
    query: bytes = b""
    content_type: bytes = b""
    body: bytes = b""
    event: bytes | None = None


_FINISHING: set[asyncio.Task[Any]] = set()
"""The event loop itself keeps only weak references to its tasks."""


async def finish(work: Coroutine[Any, Any, Any]) -> Any:
    """Runs to its end what must not stop half-way because the one who waits for it has left."""
    task = asyncio.get_running_loop().create_task(work)
    _FINISHING.add(task)
    task.add_done_callback(_finished)
    return await asyncio.shield(task)


def _finished(task: asyncio.Task[Any]) -> None:
    _FINISHING.discard(task)
    if not task.cancelled():
        task.exception()  # of a caller that is gone nobody else asks


def read_id(rest: bytes) -> str:
    """The part of the path, percent-decoded once."""
    return unquote(rest.decode("latin-1"))[:MAX_ID_CHARS]


def read_event(given: bytes | None) -> str | None:
    """The value of ``Idempotency-Key``. Raises `InvalidRequest` for one that cannot be a name."""
    if given is None:
        return None
    text = given.decode("latin-1")
    if not text or len(text) > MAX_EVENT_CHARS or not text.isascii() or not text.isprintable():
        raise InvalidRequest(f"Idempotency-Key takes 1 to {MAX_EVENT_CHARS} visible ASCII characters.")
    return text
