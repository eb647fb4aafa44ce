"""The clients of a soak: each asks one thing after the other, good and bad, and knows what must come back.

Requests go to `tollhouse/sim` and, through the upstream client, to a host of our own whose answers are chosen by
chance. Every answer is checked where it arrives, and counted by status.
"""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.e2e.process import Gateway
from tests.fakes.chaos import ChaosUpstream, Close, Reset, Send, Step, chunked, whole
from tests.fakes.door import Answer, read_answer
from tests.fakes.openai_wire import completion, failure, stream, words

SIM = "tollhouse/sim"
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Tell me about the sea, please."}]
IMAGE = "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(768 * 1024)).decode()
LOOK = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": IMAGE}}]}]
PATH = "/v1/chat/completions"
WEIGHTS = {
    "ask": 32,
    "listen": 27,
    "leave": 8,
    "leave_early": 2,
    "ask_host": 6,
    "listen_to_host": 6,
    "show": 5,
    "ask_badly": 9,
    "send_garbage": 2,
    "break_sim": 1,
    "break_host": 2,
}
"""The methods of a client, and of a hundred requests, how many are each."""
_PATIENCE_S = 30.0


class Host(ChaosUpstream):
    """The host: answers as the request wants, and breaks where the request's user field tells it to."""

    BREAKS: tuple[Sequence[Step], ...] = (
        [Reset()],
        [Close()],
        [Send(failure(500))],
        [Send(whole(b"<html>", 503, "text/html"))],
        [Send(b"not HTTP\r\n\r\n"), Close()],
        [Send(chunked(*words("to be continued"))[:-5]), Close()],
    )

    def next_play(self) -> Sequence[Step]:
        """By the request that has just come."""
        body = json.loads(self.requests.pop().body)
        self.visits = [visit for visit in self.visits if not visit.gone]
        self.tasks = [task for task in self.tasks if not task.done()]
        if body.get("user", "").startswith("break "):
            return self.BREAKS[int(body["user"].split()[1])]
        return [Send(stream("One", " two", " three") if body.get("stream") else completion())]


@dataclass
class Tally:
    """What all clients saw together."""

    statuses: Counter[str] = field(default_factory=Counter)
    """Answers to chat requests, by status; a stream that was left counts with the status it began with."""
    kinds: Counter[str] = field(default_factory=Counter)
    left: int = 0
    """Streams that the client left."""
    unsure: int = 0
    """Requests that the client left before it saw a status: the gateway may have seen them or not."""
    garbage: int = 0
    """Requests that are not HTTP."""
    problems: list[str] = field(default_factory=list)


class Client:
    """One client. Uses a connection for as long as it lasts."""

    def __init__(self, gateway: Gateway, tally: Tally, random: Random) -> None:
        self._gateway = gateway
        self._tally = tally
        self._random = random
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def run(self, until_s: float, pause_s: float) -> None:
        """Asks until the time has come."""
        loop = asyncio.get_running_loop()
        while loop.time() < until_s:
            (kind,) = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))
            self._tally.kinds[kind] += 1
            try:
                async with asyncio.timeout(_PATIENCE_S):
                    await getattr(self, kind)()
            except (OSError, EOFError, TimeoutError, AssertionError, ValueError, KeyError) as error:
                self._tally.problems.append(f"{kind}: {error!r}")
                self._drop()
            await asyncio.sleep(self._random.random() * 2 * pause_s)
        self._drop()

    # --- what it does ----------------------------------------------------------------------------------------

    async def ask(self) -> None:
        """A whole answer."""
        expect_text(await self._post({"model": SIM, "messages": HELLO, "n": self._random.choice((1, 1, 2))}))

    async def listen(self) -> None:
        """A stream to its end."""
        answer = await self._post({"model": SIM, "messages": HELLO, "stream": True, "max_tokens": 60})
        assert answer.lines[-1] == b"[DONE]", answer.body[-200:]

    async def ask_host(self) -> None:
        """A whole answer of the host."""
        expect_text(await self._post({"model": "up/m", "messages": HELLO}))

    async def listen_to_host(self) -> None:
        """A stream of the host."""
        answer = await self._post({"model": "up/m", "messages": HELLO, "stream": True})
        assert answer.text == "One two three", answer.body

    async def show(self) -> None:
        """An image part of 1 MiB."""
        expect_text(await self._post({"model": SIM, "messages": LOOK}))

    async def leave(self) -> None:
        """Begins a stream, of either, and hangs up after its first event."""
        script = {"tokens": 400, "tps": 100}
        reader = await self._send({"model": SIM, "messages": HELLO, "stream": True, "tollhouse_sim": script})
        head = await reader.readuntil(b"\r\n\r\n")
        self._tally.statuses[head[9:12].decode()] += 1
        self._tally.left += 1
        await reader.readuntil(b"data: ")
        self._drop()

    async def leave_early(self) -> None:
        """Hangs up in the middle of its own body, or right behind it."""
        body = json.dumps({"model": SIM, "messages": HELLO}).encode()
        cut = self._random.choice((0, len(body) // 2, len(body)))
        _, writer = await self._connected()
        writer.write(self._head(len(body)) + body[:cut])
        self._tally.unsure += 1
        self._drop()

    async def ask_badly(self) -> None:
        """Something that must be a 4xx."""
        messages = json.dumps(HELLO).encode()
        body = self._random.choice(
            (
                b"{",
                b"",
                b'{"model": "m", "model": "m", "messages": ' + messages + b"}",
                b'{"model": "tollhouse/sim", "messages": ' + messages + b', "temperature": "hot"}',
                b'{"model": "no-such-model", "messages": ' + messages + b"}",
                b'{"model": "tollhouse/sim", "messages": ' + b"[" * 2000 + b"]" * 2000 + b"}",
            )
        )
        key = "sk-th-wrong" if self._random.random() < 0.1 else ""
        answer = await self._post(body, key)
        assert 400 <= answer.status < 500, answer
        assert answer.error["message"], answer

    async def send_garbage(self) -> None:
        """Something that is not HTTP: 400, then the end."""
        reader, writer = await self._connected()
        writer.write(
            self._random.choice((b"\x16\x03\x01\x02\x00\x01", b"GET /v1 HTTP/1.1\nhost: t\n\n", b"POST\r\n\r\n"))
        )
        self._tally.garbage += 1
        assert (await read_answer(reader)).status == 400
        self._drop()

    async def break_sim(self) -> None:
        """A scripted failure of the simulated model."""
        script = self._random.choice(({"error": 503}, {"error": 429}, {"cut_after": 3}, {"error_after": 2}))
        streams = self._random.random() < 0.5
        answer = await self._post({"model": SIM, "messages": HELLO, "stream": streams, "tollhouse_sim": script})
        assert answer.error["message"], answer

    async def break_host(self) -> None:
        """A host that fails."""
        broken = f"break {self._random.randrange(len(Host.BREAKS))}"
        answer = await self._post({"model": "up/m", "messages": HELLO, "stream": True, "user": broken})
        assert answer.error["error_id"].startswith("UPSTREAM_"), answer

    # --- how it does it --------------------------------------------------------------------------------------

    async def _post(self, body: object, key: str = "") -> Answer:
        reader = await self._send(body, key)
        answer = await read_answer(reader)
        self._tally.statuses[str(answer.status)] += 1
        assert answer.ended, answer
        if answer.headers.get("connection") == "close":
            self._drop()
        return answer

    async def _send(self, body: object, key: str = "") -> asyncio.StreamReader:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        reader, writer = await self._connected()
        writer.write(self._head(len(data), key) + data)
        return reader

    def _head(self, length: int, key: str = "") -> bytes:
        lines = f"host: t\r\nauthorization: Bearer {key or self._gateway.key}\r\ncontent-length: {length}\r\n"
        return f"POST {PATH} HTTP/1.1\r\n{lines}\r\n".encode()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._gateway.port, limit=1 << 22)
        return self._reader, self._writer

    def _drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None


def expect_text(answer: Answer) -> None:
    """A whole answer with a text in each choice."""
    assert answer.status == 200, answer
    assert all(choice["message"]["content"] for choice in answer.json["choices"]), answer.json
