"""What the tests of local models share: an engine with `tollhouse/tiny`, and a client made of the gateway's parts."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tollhouse.engines.local import TINY_NAME, TINY_PATH, LocalEngine, LocalOptions
from tollhouse.providers.llamacpp import PROVIDER
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.wire import Incoming, Outgoing
from tollhouse.upstream.origin import Origin
from tollhouse.upstream.pool import Pool

LIMIT_BYTES = 16 * 1024 * 1024


@contextmanager
def serving(path: Path = TINY_PATH) -> Iterator[LocalEngine]:
    """An engine that runs for as long as the block, for fixtures that outlive a test's loop."""
    engine = asyncio.run(LocalEngine.start(path, name=TINY_NAME, options=LocalOptions(threads=1)))
    try:
        yield engine
    finally:
        engine.close()


@asynccontextmanager
async def running(path: Path = TINY_PATH) -> AsyncIterator[LocalEngine]:
    """An engine of one slot that runs for as long as the block."""
    engine = await LocalEngine.start(path, options=LocalOptions(slots=1, threads=1))
    try:
        yield engine
    finally:
        await engine.aclose()


@dataclass(slots=True)
class Answer:
    """What a stream said, put together as a client does it."""

    text: str = ""
    role: str = ""
    reasons: list[str] = field(default_factory=list)
    calls: dict[int, dict[str, str]] = field(default_factory=dict)
    chunks: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)

    def take(self, chunk: dict[str, Any]) -> None:
        """One more chunk."""
        self.chunks.append(chunk)
        for choice in chunk["choices"]:
            delta = choice["delta"]
            self.text += delta.get("content") or ""
            self.role = delta.get("role", self.role)
            self.reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
            for call in delta.get("tool_calls", ()):
                held = self.calls.setdefault(call["index"], {"name": "", "text": ""})
                inner = call.get("function") or call["custom"]
                held["name"] += inner.get("name", "")
                held["text"] += inner.get("arguments", "") + inner.get("input", "")


class Client:
    """Encoder, connection pool and decoder, as the gateway joins them."""

    def __init__(self, host: Host, pool: Pool) -> None:
        self.host = host
        self.pool = pool

    async def send(self, body: dict[str, Any]) -> tuple[Incoming, ChatCall]:
        """One request; raises the fault that an answer other than 200 stands for."""
        call = ChatCall(TINY_NAME, body, bool(body.get("stream")), True)
        encoded = PROVIDER.encode_chat(call, Target(self.host, TINY_NAME))
        incoming = await self.pool.send(encoded.outgoing, self.host.timeouts)
        if incoming.status != 200:
            content = await incoming.read(LIMIT_BYTES)
            incoming.close()
            raise PROVIDER.decode_error(incoming.status, incoming.headers, content)
        return incoming, call

    async def whole(self, said: str | list[dict[str, Any]], **options: Any) -> dict[str, Any]:
        """A whole answer. Greedy unless ``options`` say otherwise."""
        incoming, call = await self.send(request(said, options))
        content = await incoming.read(LIMIT_BYTES)
        incoming.close()
        return PROVIDER.decode_chat(call, Target(self.host, TINY_NAME)).reply(content)

    async def stream(self, said: str | list[dict[str, Any]], **options: Any) -> Answer:
        """A streamed answer."""
        incoming, call = await self.send(request(said, {**options, "stream": True}))
        decoder = PROVIDER.decode_chat(call, Target(self.host, TINY_NAME))
        answer = Answer()
        while data := await incoming.next():
            for chunk in decoder.feed(data):
                answer.take(chunk)
        for chunk in decoder.finish():
            answer.take(chunk)
        incoming.close()
        answer.usage = decoder.usage or {}
        return answer

    async def post(self, path: str, body: bytes, *, key: str | None = None, method: str = "POST") -> tuple[int, bytes]:
        """A request that no provider encodes."""
        credential = self.host.credential
        key = key if key is not None or credential is None else credential.reveal()
        headers = (("authorization", f"Bearer {key}"), ("content-type", "application/json"))
        incoming = await self.pool.send(Outgoing(method, path, headers, body), self.host.timeouts)
        content = await incoming.read(LIMIT_BYTES)
        incoming.close()
        return incoming.status, content


def request(said: str | list[dict[str, Any]], options: dict[str, Any]) -> dict[str, Any]:
    """A request's body."""
    messages = [{"role": "user", "content": said}] if isinstance(said, str) else said
    return {"messages": messages, "temperature": 0, **options}


@asynccontextmanager
async def client_of(host: Host) -> AsyncIterator[Client]:
    """A client with a pool of its own."""
    pool = Pool(Origin.parse(host.base_url))
    try:
        yield Client(host, pool)
    finally:
        await pool.aclose()
