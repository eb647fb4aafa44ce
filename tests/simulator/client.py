"""A client: sends one request, reads the answer or leaves, and remembers at which step each byte of it was written."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulator.loop import VirtualLoop
from tests.simulator.network import Wire

WAYS = ("reset_at", "close_at", "reset_after", "close_after", "half_close", "slow", "cut_body")
"""Ways of not being a good client: leaving at a time or after some bytes, and reading or writing badly."""


@dataclass(frozen=True)
class Request:
    """What a client will do. ``tag`` is the same for requests that repeat one another."""

    number: int
    tag: int
    at_s: float
    key: str
    model: str
    stream: bool
    max_tokens: int | None
    name: str | None
    """The Idempotency-Key."""
    way: str
    moment: float

    @property
    def request_id(self) -> str:
        """Given with the request, so that the ledger's row can be found."""
        return f"sim-{self.number}"

    def body(self) -> bytes:
        """The same for every request of a tag."""
        message = {"role": "user", "content": f"tag-{self.tag} hello"}
        fields: dict[str, Any] = {"model": self.model, "messages": [message]}
        if self.stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        if self.max_tokens is not None:
            fields["max_tokens"] = self.max_tokens
        return json.dumps(fields).encode()

    def encode(self) -> bytes:
        """The request on the wire."""
        body = self.body()
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            "host: t",
            "connection: close",
            f"authorization: Bearer {self.key}",
            f"x-request-id: {self.request_id}",
            "content-type: application/json",
            f"content-length: {len(body)}",
        ]
        if self.name is not None:
            lines.append(f"idempotency-key: {self.name}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


@dataclass
class Seen:
    """What a client made of its answer. ``whole`` is whether it came to the end that its framing promised."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False
    content_step: int | None = None
    """The step at which the first byte of a model's answer was written."""
    last_step: int | None = None

    @property
    def events(self) -> list[Any]:
        """The parsed events of a stream, without ``[DONE]``."""
        parts = [part.removeprefix(b"data: ") for part in self.body.split(b"\n\n") if part.startswith(b"data: ")]
        return [json.loads(part) for part in parts if part != b"[DONE]"]

    @property
    def is_stream(self) -> bool:
        """Whether it is an event stream."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    @property
    def answered(self) -> bool:
        """Whether this is a model's answer, whole and without an error."""
        if not self.whole or self.status != 200:
            return False
        return not self.is_stream or self.body.endswith(b"data: [DONE]\n\n")


class Client:
    """See `Peer`. ``done`` is called when the client has nothing more to expect."""

    def __init__(self, request: Request, loop: VirtualLoop, chance: Random, done: Callable[["Client"], None]) -> None:
        self.request = request
        self.finished = False
        self.left = False
        self.how = ""
        self.refused = False
        self._loop = loop
        self._chance = chance
        self._done = done
        self._received: list[tuple[bytes, int]] = []
        self._bytes = 0
        self._wire: Wire

    def start(self, wire: Wire) -> None:
        """Sends the request over an open connection."""
        self._wire = wire
        request, data = self.request, self.request.encode()
        if request.way == "cut_body":
            wire.client_send(data[: len(data) - 10])
            self._loop.call_later(0.2, self._leave, True)
            return
        cut = self._chance.randrange(1, len(data))
        wire.client_send(data[:cut])
        wire.client_send(data[cut:])
        if request.way in {"reset_at", "close_at"}:
            self._loop.call_later(request.moment * 3, self._leave, request.way == "reset_at")
        elif request.way == "half_close":
            wire.client_fin()
        elif request.way == "slow":
            wire.client_pause(request.moment * 100)

    def refuse(self) -> None:
        """Nobody listens."""
        self.refused = True
        self._finish("refused")

    def got(self, data: bytes, step: int) -> None:
        """See `Peer`."""
        if self.left:
            return
        self._received.append((data, step))
        self._bytes += len(data)
        if self.request.way in {"reset_after", "close_after"} and self._bytes > self.request.moment * 4000:
            self._leave(self.request.way == "reset_after")

    def ended(self, how: str) -> None:
        """See `Peer`."""
        self._finish(how)

    def _leave(self, reset: bool) -> None:
        if not self.finished:
            self.left = True
            self._wire.client_close(reset=reset)
            self._finish("left")

    def _finish(self, how: str) -> None:
        if not self.finished:
            self.finished = True
            self.how = how
            self._done(self)

    # --- what was seen -----------------------------------------------------------------------------------------

    def seen(self) -> Seen:
        """The answer as far as it came."""
        data = b"".join(part for part, _ in self._received)
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            return Seen()
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        seen = Seen(int(first.split()[1]), headers)
        if "content-length" in headers:
            seen.body = rest[: int(headers["content-length"])]
            seen.whole = len(rest) >= int(headers["content-length"])
        else:
            seen.body, seen.whole = _unchunk(rest)
        if seen.status == 200:
            mark = b'"content":"' if seen.is_stream else b'"choices"'
            seen.content_step = self._step_of(mark, after=b'"content":""')
            seen.last_step = self._received[-1][1] if seen.whole else None
        return seen

    def _step_of(self, mark: bytes, after: bytes) -> int | None:
        """When the first content was written: what opens an answer without saying anything does not count."""
        for part, step in self._received:
            if mark in part.replace(after, b""):
                return step
        return None


def _unchunk(data: bytes) -> tuple[bytes, bool]:
    """The body of a chunked answer as far as it came, and whether it is whole."""
    body = b""
    while b"\r\n" in data:
        line, _, data = data.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            return body, True
        if len(data) < size + 2:
            return body, False
        body += data[:size]
        data = data[size + 2 :]
    return body, False
