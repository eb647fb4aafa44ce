"""A cheap upstream for very many requests, which fails at random, from a seed, in as many ways as are switched on.

    async with StormUpstream(seed=1) as up:
        up.weather = Weather(0.1, BROKEN)       # live: the next request sees it
        ... talk to http://127.0.0.1:{up.port}/v1 ...
        assert len(up.arrivals) == 5000

An answer that is well says `TEXT`; a request that ends with an assistant's message is answered with the rest of it.
"""

import asyncio
import json
import random
from collections import Counter
from dataclasses import dataclass
from typing import Any, Self, cast

from tests.fakes.chaos import chunk, head, reset
from tests.fakes.openai_wire import DONE, LAST_USAGE, STOP, completion, failure, words

TEXT = "one two three four"
SSE = head(200, "content-type: text/event-stream", "transfer-encoding: chunked")
LIMITED = failure(429, "slow down").replace(b"content-type", b"retry-after: 1\r\ncontent-type", 1)
STATUSES = {"500": failure(500), "503": failure(503), "529": failure(529), "limited": LIMITED}
PASSING = ("reset", "close", "500", "503", "529", "garbage", "cut")
"""Failures before anything is said."""
BROKEN = (*PASSING, "hang", "broken off")
"""Those, silence, and answers that break off in the middle."""
DEAD = ("reset",)


@dataclass(frozen=True, slots=True)
class Weather:
    """What share of the requests fails, and how; each way as likely as any other."""

    share: float = 0.0
    ways: tuple[str, ...] = BROKEN


FAIR = Weather()


class StormUpstream:
    """The server."""

    def __init__(self, seed: int = 0) -> None:
        self.weather = FAIR
        self.arrivals: list[float] = []
        """When each request came, on the loop's clock."""
        self.fates: Counter[str] = Counter()
        """What became of them: ``ok``, or the way in which it failed."""
        self.sessions: set[_Session] = set()
        self.port = 0
        self._chance = random.Random(seed)  # noqa: S311 - a repeatable test
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Session(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions):
            session.transport.abort()
        await asyncio.sleep(0)

    def draw(self) -> str:
        """The fate of the next request."""
        weather = self.weather
        failed = weather.share and self._chance.random() < weather.share
        fate = self._chance.choice(weather.ways) if failed else "ok"
        self.fates[fate] += 1
        return fate


class _Session(asyncio.Protocol):
    """One connection; its requests come one after the other."""

    def __init__(self, upstream: StormUpstream) -> None:
        self._upstream = upstream
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._upstream.sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._upstream.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n") + 4
        if end == 3:
            return
        length = int(self._buffer[:end].lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + length:
            return
        body = json.loads(self._buffer[end : end + length])
        del self._buffer[: end + length]
        self._upstream.arrivals.append(self._loop.time())
        self._answer(body, self._upstream.draw())

    def _answer(self, body: dict[str, Any], fate: str) -> None:
        last = body["messages"][-1]
        text = TEXT[len(last["content"]) :] if last["role"] == "assistant" else TEXT
        parts = streamed(text) if body.get("stream") else [completion(text)]
        send = self.transport.write
        if fate == "ok":
            send(b"".join(parts))
        elif fate in STATUSES:
            send(STATUSES[fate])
        elif fate == "reset":
            reset(self.transport)
        elif fate == "garbage":
            send(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ngarbage")
        elif fate == "broken off":
            send(b"".join(parts[:3]) if len(parts) > 1 else parts[0][:-20])
            self._loop.call_later(0.005, reset, self.transport)
        elif fate == "cut":
            send(parts[0][:-20])
            self.transport.close()
        elif fate == "close":
            self.transport.close()


def streamed(text: str) -> list[bytes]:
    """The pieces of a streamed answer: its head with the role, each word, and its end."""
    first, *rest = words(*[part + " " for part in text.split(" ")[:-1]], text.rpartition(" ")[2])
    return [SSE + chunk(first), *map(chunk, rest), chunk(STOP + LAST_USAGE + DONE) + b"0\r\n\r\n"]
