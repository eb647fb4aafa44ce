"""What our codecs make of a recorded answer, read whole, byte by byte and cut; and of the request before it."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from tests.recordings.exchange import Exchange
from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.client import ClientDialect
from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.dialects.openai_client import OPENAI
from tollhouse.errors import InvalidRequest, UpstreamFault
from tollhouse.providers import load
from tollhouse.providers.protocol import ChatDecoder, passes
from tollhouse.types.calls import ChatCall, Host, Target

CLIENTS: dict[str, ClientDialect] = {"openai": OPENAI, "anthropic": ANTHROPIC, "gemini": GEMINI}
_CUTS = 48
"""At so many places a stream is cut, but at each border of its events if there are fewer."""


class Broken(Exception):
    """A promise that a codec has not kept; the message is for people."""


def call_of(exchange: Exchange) -> ChatCall:
    """The recorded request, read as our client would send it; a plain one where no client's dialect is its own.

    Raises `Broken` where it is refused.
    """
    assert exchange.kind is not None
    dialect = exchange.kind.dialect
    if not dialect or exchange.status != 200:
        body = {"model": exchange.model, "messages": [{"role": "user", "content": "x"}], "stream": exchange.streamed}
        return ChatCall(exchange.model, body, exchange.streamed, include_usage=True)
    method = "streamGenerateContent" if exchange.streamed else "generateContent"
    asked = dict(exchange.request)
    if dialect == "anthropic":  # Bedrock has the model in the path
        asked.setdefault("model", exchange.model)
        asked.pop("anthropic_version", None)
    if dialect == "openai":
        _tidy(asked)
    try:
        read = CLIENTS[dialect].read(json.dumps(asked).encode(), f"{exchange.model}:{method}", {})
    except InvalidRequest as refused:
        raise Broken(f"the request is refused: {refused.param}: {refused.message}") from refused
    return read.but(stream=exchange.streamed, include_usage=True)


def _tidy(asked: dict[str, Any]) -> None:
    """Takes out how some hosts' requests depart from OpenAI's, in place: our clients send none of that."""
    asked.pop("models", None)
    if asked.get("tool_choice") == "any":
        asked["tool_choice"] = "required"
    if asked.get("tools"):
        asked["tools"] = [{"type": "function", **tool} for tool in asked["tools"]]


def target_of(exchange: Exchange) -> Target:
    """Where it went; the credential is made up."""
    assert exchange.kind is not None
    return Target(Host("recorded", f"https://{exchange.host}/v1", provider=exchange.kind.provider), exchange.model)


def decoder_of(exchange: Exchange, call: ChatCall) -> ChatDecoder:
    """A fresh decoder."""
    assert exchange.kind is not None
    return load(exchange.kind.provider).decode_chat(call, target_of(exchange))


def translated(call: ChatCall) -> ChatCall:
    """The call, as one that is not passed through to a host of its own dialect."""
    return call.but(dialect="openai", native=None)


def is_passed(exchange: Exchange, call: ChatCall) -> bool:
    """Whether it would be passed through."""
    assert exchange.kind is not None
    return passes(load(exchange.kind.provider), call)


def feed(decoder: ChatDecoder, pieces: Iterable[bytes]) -> list[dict[str, Any]]:
    """Every chunk of a stream."""
    chunks = [chunk for piece in pieces for chunk in decoder.feed(piece)]
    return chunks + decoder.finish()


def hold_stream(exchange: Exchange, call: ChatCall) -> list[dict[str, Any]]:
    """The chunks of a stream. Raises `Broken` where it matters how the bytes were cut, or where an end is made up."""
    body = exchange.body
    decoder = decoder_of(exchange, call)
    chunks = feed(decoder, [body])
    if not decoder.done:
        raise Broken("the whole stream is read, and not done")
    again = decoder_of(exchange, call)
    if feed(again, [bytes([byte]) for byte in body]) != chunks or again.usage != decoder.usage:
        raise Broken("byte by byte it says something else")
    for end in cuts(body):
        _hold_cut(exchange, call, body[:end], len(chunks))
    return feed(decoder_of(exchange, call), [body])


def _hold_cut(exchange: Exchange, call: ChatCall, body: bytes, most: int) -> None:
    """A stream that broke off is a fault, or it had said all before."""
    decoder = decoder_of(exchange, call)
    try:
        chunks = feed(decoder, [body])
    except UpstreamFault:
        return
    if not decoder.done or len(chunks) > most:
        raise Broken(f"cut at byte {len(body)} it passes for whole")
    ended = [choice.get("finish_reason") for chunk in chunks for choice in chunk.get("choices") or ()]
    if chunks and "choices" in chunks[0] and not any(ended):
        raise Broken(f"cut at byte {len(body)} it is done without a reason")


def cuts(body: bytes) -> Iterator[int]:
    """Where to cut: behind lines, and in the middle of them."""
    ends = [place for place in range(1, len(body)) if body[place - 1 : place + 1] in (b"\n\n", b"\r\n", b"\n\r")]
    step = max(1, len(ends) // (_CUTS // 2))
    yield from ends[::step]
    yield from range(1, len(body), max(1, len(body) // (_CUTS // 2)))


def hold_whole(exchange: Exchange, call: ChatCall) -> tuple[dict[str, Any], ChatDecoder]:
    """A whole answer and its decoder. Raises `Broken` where half of it passes for one."""
    decoder = decoder_of(exchange, call)
    answer = decoder.reply(exchange.body)
    for end in (0, 1, len(exchange.body) // 2, len(exchange.body.rstrip()) - 1):
        try:
            decoder_of(exchange, call).reply(exchange.body[:end])
        except UpstreamFault:
            continue
        raise Broken(f"cut at byte {end} it passes for whole")
    return answer, decoder


def fault_of(exchange: Exchange) -> UpstreamFault:
    """The fault that a status other than 200 stands for."""
    assert exchange.kind is not None
    return load(exchange.kind.provider).decode_error(exchange.status, exchange.headers, exchange.body)
