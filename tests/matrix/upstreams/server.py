"""A small HTTP server that each of the fake hosts is: reads a request, has the dialect judge it, answers.

    async with OpenAIHost() as host:
        host.says(Said("Hello"))
        ... talk to host.url ...
        assert host.refused == []
        host.got[-1].turns

A host refuses as its vendor does (`refusal`); what it refused is in ``refused`` too, for a test to find.
"""

import asyncio
import json
from base64 import b64encode
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.fakes.chaos import CHUNKED_END, chunked, whole
from tests.matrix.shapes import Wrong, demand
from tests.matrix.words import Counts, Got, Said

CUT = "cut"
"""The fault of a stream that breaks off in its middle."""
CREDENTIAL = "sk-matrix-0123456789abcdef"


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    path: str
    query: str
    headers: dict[str, str]
    body: Any


class Host:
    """What the hosts have in common. A dialect is `read`, `whole`, `stream`, `refusal` and `fault`."""

    name: ClassVar[str]
    model: ClassVar[str]
    counts: ClassVar[Counts]
    stream_type: ClassVar[str] = "text/event-stream"

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.bodies: list[Any] = []
        self.refused: list[str] = []
        self.issued: dict[str, str] = {}
        """Every signature that the host has given, and of which thought."""
        self._plays: list[Said] = []
        self._last = Said("Hello")
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    def says(self, *said: Said) -> None:
        """What is answered to the next requests; the last is repeated. Forgets the requests so far."""
        self._plays = list(said)
        self.got.clear()
        self.bodies.clear()
        self.refused.clear()

    # --- the dialect ---

    def read(self, request: Request) -> Got:
        """What was asked. Raises `Wrong`."""
        raise NotImplementedError

    def whole(self, said: Said, got: Got) -> Any:
        """The JSON of a whole answer."""
        raise NotImplementedError

    def stream(self, said: Said, got: Got) -> list[bytes]:
        """The events of a streamed one."""
        raise NotImplementedError

    def fault(self, kind: str) -> tuple[int, Any]:
        """Status and JSON of a failure, or of a refusal (``bad``, with what is wrong after a colon)."""
        raise NotImplementedError

    # --- the server ---

    @property
    def root(self) -> str:
        """Its address without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """Its address as an operator writes it."""
        return f"{self.root}/v1"

    @property
    def settings(self) -> str:
        """The rest of its table in the configuration."""
        return f'provider = "{self.name}"\napi_key = "{CREDENTIAL}"\n'

    def sign(self, thought: str) -> str:
        """A signature of a thought, unlike every other."""
        signature = b64encode(f"{self.name} {len(self.issued):04d} {thought[:8]:>9}".encode()).decode()
        self.issued[signature] = thought
        return signature

    def prove(self, signature: Any, path: str, got: Got, thought: str | None = None) -> None:
        """Takes a signature that came back, which has to be one of the host's own, of that very thought."""
        demand(signature in self.issued, path, f"{signature!r} is no signature of this host's")
        demand(thought is None or self.issued[signature] == thought, path, "the signature is of another thought")
        got.proofs.append(signature)

    def answer(self, request: Request) -> bytes:
        """The bytes of the answer."""
        self.bodies.append(request.body)
        try:
            got = self.read(request)
        except Wrong as wrong:
            self.refused.append(str(wrong))
            return reply(*self.fault(f"bad: {wrong}"))
        self.got.append(got)
        self._last = self._plays.pop(0) if self._plays else self._last
        if self._last.fault == CUT:
            events = self.stream(self._last, got)
            return chunked(*events[: len(events) // 2], content_type=self.stream_type).removesuffix(CHUNKED_END)
        if self._last.fault:
            return reply(*self.fault(self._last.fault))
        if got.stream:
            return chunked(*self.stream(self._last, got), content_type=self.stream_type)
        return reply(200, self.whole(self._last, got))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers["content-length"]))
                path, _, query = head[0].split(" ")[1].partition("?")
                writer.write(self.answer(Request(path, query, headers, json.loads(body))))
                await writer.drain()
                if self._last.fault == CUT:
                    return
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


def reply(status: int, value: Any) -> bytes:
    """A whole HTTP reply."""
    body = whole(json.dumps(value, ensure_ascii=False).encode(), status)
    return body.replace(b"\r\n", b"\r\nretry-after: 7\r\n", 1) if status == 429 else body


def event(value: Any, name: str = "", end: str = "\n\n") -> bytes:
    """One event of a stream."""
    label = f"event: {name}\n" if name else ""
    return f"{label}data: {json.dumps(value, ensure_ascii=False)}{end}".encode()
