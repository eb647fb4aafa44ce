"""A paid host for the crash rig: what it answers, and what it bills, follow from the words it is asked.

Prompts are ``job N``; `Job` says what the answer to N takes, so that the rig knows the right charge without the
gateway. Answers take a little time, streams come word by word.
"""

import asyncio
import json
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any, Self

INPUT_USD, OUTPUT_USD = "2.5", "10"
"""Per million tokens."""
_PUSD_IN, _PUSD_OUT = 2_500_000, 10_000_000
MODEL = "worker"
MAX_TOKENS = 64
_WORDS = ("river", "stone", "light", "paper", "green", "house", "water", "table", "music", "night")
"""Each is one token to common tokenizers."""
_SLOWLY = 25
"""A stream of such a job lasts a second or three: long enough for the ledger to be told how far it has come."""


@dataclass(frozen=True, slots=True)
class Job:
    """Piece of work number N."""

    number: int

    @property
    def slow(self) -> bool:
        """Whether its stream takes long."""
        return self.number % 13 == 5

    @property
    def prompt(self) -> str:
        """What is asked."""
        return f"job {self.number} please, as quickly as you can"

    @property
    def prompt_tokens(self) -> int:
        """What the host counts of it."""
        return 17 + self.number % 3

    @property
    def words(self) -> list[str]:
        """The answer, a token a word."""
        return [f"{_WORDS[(self.number + index) % len(_WORDS)]} " for index in range(4 + self.number % 23)]

    @property
    def cost_nusd(self) -> int:
        """The right charge."""
        return self.price_nusd(len(self.words))

    def price_nusd(self, words: int) -> int:
        """What the prompt and so many words are worth."""
        return ceil(Fraction(self.prompt_tokens * _PUSD_IN + words * _PUSD_OUT, 1000))

    def body(self, *, stream: bool) -> dict[str, Any]:
        """The request for it."""
        return {
            "model": MODEL,
            "messages": [{"role": "user", "content": self.prompt}],
            "max_tokens": MAX_TOKENS,
            "stream": stream,
        }

    @property
    def usage(self) -> dict[str, int]:
        """What the host says it took."""
        words = len(self.words)
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": words,
            "total_tokens": self.prompt_tokens + words,
        }


class PaidHost:
    """The server. ``asked`` are the numbers of the jobs that came in, each time."""

    def __init__(self, pace_s: float = 0.004) -> None:
        self._pace_s = pace_s
        self._server: asyncio.Server | None = None
        self.port = 0
        self.asked: list[int] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                length = int(head.partition("content-length:")[2].split("\r\n")[0])
                body = json.loads(await reader.readexactly(length))
                await self._answer(writer, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the gateway died, or hung up
        finally:
            writer.close()

    async def _answer(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        job = Job(int(body["messages"][-1]["content"].split()[1]))
        self.asked.append(job.number)
        assert body.get("max_tokens", body.get("max_completion_tokens", MAX_TOKENS)) <= MAX_TOKENS
        if body.get("stream"):
            await self._stream(writer, job)
            return
        await asyncio.sleep(self._pace_s * 2)
        if writer.is_closing():
            raise ConnectionResetError
        message = {"role": "assistant", "content": "".join(job.words)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {**_head(job, "chat.completion"), "choices": [choice], "usage": job.usage}
        data = json.dumps(answer).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data
        )
        await writer.drain()

    async def _stream(self, writer: asyncio.StreamWriter, job: Job) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        shape = _head(job, "chat.completion.chunk")
        for index, word in enumerate(job.words):
            delta = {"content": word} if index else {"role": "assistant", "content": word}
            _event(writer, {**shape, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            await writer.drain()
            await asyncio.sleep(self._pace_s * (_SLOWLY if job.slow else 1))
        _event(writer, {**shape, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        _event(writer, {**shape, "choices": [], "usage": job.usage})
        _chunk(writer, b"data: [DONE]\n\n")
        _chunk(writer, b"")
        await writer.drain()


def _head(job: Job, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-job{job.number}", "object": kind, "created": 1_790_000_000, "model": MODEL}


def _event(writer: asyncio.StreamWriter, value: dict[str, Any]) -> None:
    _chunk(writer, b"data: " + json.dumps(value).encode() + b"\n\n")


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if writer.is_closing():
        raise ConnectionResetError
    writer.write(b"%x\r\n%b\r\n" % (len(data), data))
