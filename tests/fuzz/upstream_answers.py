"""Fuzzes the decoders of every provider with the answers of its fixtures, damaged, spoiled and cut anywhere.

What must hold: an answer is read, or is an `UpstreamFault`; the same comes of it however the reads are cut; what comes
is what `providers.protocol` promises, and can be written for a client.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import Any

from tests.fuzz.engine import Case
from tests.fuzz.mutate import BYTES, cut, damage, spoil
from tests.providers.fixture import Case as Exchange
from tests.providers.fixture import read_cases
from tollhouse.dialects.openai import ChatStream, normalise_reply
from tollhouse.errors import UpstreamFault
from tollhouse.gateway.meter import meter_stream, meter_usage
from tollhouse.providers import load

PROVIDERS = ("anthropic", "azure", "bedrock", "cohere", "gemini", "ollama", "openai", "responses", "vertex")
WORDS = (
    *BYTES,
    *(
        b"data: ",
        b"event: error\n",
        b"\n\n",
        b"\r\n\r\n",
        b"[DONE]",
        b"null",
        b"NaN",
        b"1e999",
        b"-1",
        b'"',
        b"{",
        b"}",
    ),
    *(b'"error":', b'"type":', b'"index":', b'"\\ud800"', b"\xed\xa0\x80", b"[" * 3000, b'{"a":' * 3000, b"9" * 400),
)
_STATUSES = (301, 400, 401, 403, 404, 408, 413, 422, 429, 498, 499, 500, 502, 503, 504, 529)


class UpstreamAnswers:
    """The target. A case is the place of an exchange among the fixtures, what is asked, and the answer in pieces."""

    fixed = 2

    def __init__(self, provider: str) -> None:
        self._name = provider
        self._provider = load(provider)
        self._exchanges = read_cases(provider)

    def make(self, random: Random) -> Case:
        """An answer to one of the requests, for better or worse."""
        place = random.randrange(len(self._exchanges))
        exchange = self._exchanges[place]
        raw = exchange.raw if random.random() < 0.8 else random.choice(self._exchanges).raw
        if random.random() < 0.6:
            raw = b"\n".join([_spoiled(random, line) for line in raw.split(b"\n")])
        if random.random() < 0.5:
            raw = damage(random, raw, WORDS)
        how = b"stream" if exchange.call.stream else random.choice((b"whole", b"error"))
        return str(place).encode(), how, *cut(random, raw, 12)

    async def check(self, case: Case) -> None:
        """Whole, as cut, and by the byte."""
        exchange = self._exchanges[int(case[0])]
        body = b"".join(case[2:])
        if case[1] == b"error":
            for status in _STATUSES:
                assert isinstance(self._provider.decode_error(status, {}, body), UpstreamFault)
        elif case[1] == b"whole":
            self._read_whole(exchange, body)
        else:
            wanted = self._read(exchange, [body])
            assert self._read(exchange, list(case[2:])) == wanted, "other chunks as cut"
            single = [body[at : at + 1] for at in range(len(body))]
            assert self._read(exchange, single) == wanted, "other chunks by the byte"

    def _read_whole(self, exchange: Exchange, body: bytes) -> None:
        decoder = self._provider.decode_chat(exchange.call, exchange.target)
        with suppress(UpstreamFault):
            reply = decoder.reply(body)
            assert all(isinstance(choice["message"], dict) for choice in reply["choices"])
            normalise_reply(reply, "chatcmpl-1", 7, "m")
        meter_usage(decoder.usage)

    def _read(self, exchange: Exchange, pieces: list[bytes]) -> tuple[list[Any], str]:
        """The chunks of a stream, and the fault that it ends with."""
        decoder = self._provider.decode_chat(exchange.call, exchange.target)
        stream = ChatStream("chatcmpl-1", 7, "m", include_usage=True)
        read: list[Any] = []
        fault = ""
        try:
            for piece in pieces:
                if not decoder.done:
                    _take(decoder.feed(piece), stream, read)
            _take(decoder.finish(), stream, read)
            assert decoder.done
        except UpstreamFault as found:
            fault = type(found).__name__
        meter_stream(decoder.usage, exchange.call, stream, whole=not fault)
        return read, fault


def _take(chunks: list[dict[str, Any]], stream: ChatStream, read: list[Any]) -> None:
    """Checks what a decoder gave out, and writes it for a client."""
    for chunk in chunks:
        assert chunk.keys().isdisjoint({"usage", "error"})
        for choice in chunk["choices"]:
            assert type(choice["index"]) is int
            assert isinstance(choice["delta"], dict)
            assert choice["finish_reason"] is None or choice["finish_reason"]
        read.append(json.loads(json.dumps(chunk)))
    stream.encode(chunks)


def _spoiled(random: Random, line: bytes) -> bytes:
    """A line of the answer, whose JSON may have changed."""
    start = line.find(b"{")
    if start < 0 or random.random() < 0.6:
        return line
    try:
        value = json.loads(line[start:])
    except ValueError:
        return line
    return line[:start] + json.dumps(spoil(random, value, 2)).encode("utf-8", "surrogatepass")


def opener(provider: str) -> Callable[[], AbstractAsyncContextManager[UpstreamAnswers]]:
    """The target of one provider."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[UpstreamAnswers]:
        yield UpstreamAnswers(provider)

    return opened
