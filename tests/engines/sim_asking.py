"""Asks an embedded model over its connector and reads the answer back through OpenAI's own types."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tollhouse.engines.sim.engine import Engine
from tollhouse.engines.sim.model import Sim
from tollhouse.types.wire import Outgoing, Timeouts

LIMIT = 1 << 30
TIMEOUTS = Timeouts()
HELLO = [{"role": "user", "content": "Hello there, simulated model."}]


def outgoing(body: dict[str, Any], path: str = "/v1/chat/completions", method: str = "POST") -> Outgoing:
    """A request as the gateway's encoder writes it."""
    return Outgoing(method, path, (("content-type", "application/json"),), json.dumps(body).encode())


def request(**fields: Any) -> dict[str, Any]:
    """A request body with a short conversation, unless ``messages`` says otherwise."""
    return {"model": "sim", "messages": HELLO, **fields}


@dataclass
class Answer:
    """A reply as it came, and its content put together."""

    status: int
    headers: dict[str, str]
    raw: bytes
    chunks: list[dict[str, Any]] = field(default_factory=list)

    @property
    def json(self) -> Any:
        """The body of a reply that is not streamed."""
        return json.loads(self.raw)

    @property
    def text(self) -> str:
        """The first choice's text."""
        return self.text_of(0)

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message."""
        message: dict[str, Any] = self.json["choices"][0]["message"]
        return message

    @property
    def error(self) -> dict[str, Any]:
        """The error object of an error reply."""
        error: dict[str, Any] = self.json["error"]
        return error

    def text_of(self, index: int) -> str:
        """One choice's text, streamed or not."""
        if not self.chunks:
            return str(self.json["choices"][index]["message"]["content"])
        return "".join(delta.get("content") or "" for delta in self.deltas(index))

    def deltas(self, index: int) -> list[dict[str, Any]]:
        """All deltas of one choice."""
        return [choice["delta"] for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == index]

    def finish(self, index: int = 0) -> list[str]:
        """The finish reasons of one choice: exactly one, in a good answer."""
        if not self.chunks:
            return [self.json["choices"][index]["finish_reason"]]
        found = [choice for chunk in self.chunks for choice in chunk["choices"] if choice["index"] == index]
        return [choice["finish_reason"] for choice in found if choice["finish_reason"]]


async def ask(body: dict[str, Any], engine: Engine | None = None, timeouts: Timeouts = TIMEOUTS) -> Answer:
    """Sends a body, reads the whole reply, and holds good answers against OpenAI's types."""
    incoming = await (engine or Sim()).send(outgoing(body), timeouts)
    try:
        raw = await incoming.read(LIMIT)
    finally:
        incoming.close()
    answer = Answer(incoming.status, incoming.headers, raw)
    if answer.status != 200:
        assert set(answer.error) == {"message", "type", "param", "code"}
        assert incoming.headers["content-type"] == "application/json"
    elif body.get("stream"):
        answer.chunks = chunks_of(raw)
    else:
        ChatCompletion.model_validate_json(raw, strict=True)
    return answer


def chunks_of(raw: bytes) -> list[dict[str, Any]]:
    """The chunks of a whole stream, which ends in ``[DONE]``."""
    *events, done, rest = raw.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    for chunk in chunks:
        strict = not any(
            "custom" in call for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())
        )
        if strict:
            ChatCompletionChunk.model_validate_json(json.dumps(chunk), strict=True)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    return chunks


async def pieces(body: dict[str, Any], timeouts: Timeouts = TIMEOUTS) -> AsyncIterator[bytes]:
    """The pieces of a reply as `next` gives them."""
    incoming = await Sim().send(outgoing(body), timeouts)
    try:
        while piece := await incoming.next():
            yield piece
    finally:
        incoming.close()
