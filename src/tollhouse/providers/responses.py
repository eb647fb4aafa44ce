"""OpenAI's Responses API: for models that answer nowhere else, or call tools while they reason nowhere else.

`gateway.attempts` calls `PROVIDER`. A model is sent here by the catalogue (`responses` in ``hosts.toml``) or the
operator (``[providers.NAME.models."MODEL"] provider = "responses"``), a whole host by ``provider = "responses"``. xAI,
Azure, OpenRouter, DeepSeek and Bedrock have the same surface. The translation is in `dialects.responses`; here is what
goes around it: the request line, the framing of a stream, and which of the two forms a client is given.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from tollhouse.dialects.answers import AnswerReader, is_json
from tollhouse.dialects.headers import StaticHeads, host_headers
from tollhouse.dialects.replies import json_object, says_something, split_reply
from tollhouse.dialects.responses.decode import read_reply, require_end, usage_in
from tollhouse.dialects.responses.encode import Fit, encode_request
from tollhouse.dialects.responses.events import OPENERS, Events, NativeEvents
from tollhouse.dialects.responses.words import MIN_OUTPUT_TOKENS, fault_of
from tollhouse.dialects.sse import Event, EventParser
from tollhouse.dialects.whole_body import BLANK, BOM, WholeBody, is_events
from tollhouse.errors import (
    UpstreamFault,
    UpstreamRejected,
    UpstreamUnfit,
)
from tollhouse.providers.azure import PROVIDER as AZURE
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.protocol import Encoded, Provider
from tollhouse.types.calls import ChatCall, Host, Loss, Target
from tollhouse.types.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_DONE = b"[DONE]"
_NEVER_REASONS = ("gpt-5-chat", "gpt-5.1-chat", "gpt-5.2-chat", "gpt-5.3-chat")
"""Models that the catalogue calls reasoning and that refuse to give it encrypted (pydantic-ai#3326)."""
_STRANGE_PROOF = frozenset({"invalid_encrypted_content", "encrypted_content_organization_mismatch"})


# --- the request -------------------------------------------------------------------------------------------------


class Responses:
    """The provider. Its one attribute remembers what never changes about a host: its path and its headers."""

    __slots__ = ("_static",)

    dialect = "responses"

    def __init__(self) -> None:
        self._static = StaticHeads(_Static).of

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``.../responses``. Raises `InternalError` for a host that no configuration check saw."""
        static = self._static(target.host)
        losses: tuple[Loss, ...] = ()
        headers = static.stream_headers if call.stream else static.headers
        if call.native is not None and call.dialect == self.dialect:
            body = dict(call.native)
            if call.wire_headers:
                headers = tuple((dict(headers) | dict(call.wire_headers)).items())
        else:
            body, losses = encode_request(call.body, fit_of(call, target))
        body["model"] = target.model
        body["stream"] = call.stream
        if cap is not None:
            body["max_output_tokens"] = max(cap, MIN_OUTPUT_TOKENS)
        if drop := target.host.quirks.drop:
            losses += tuple([Loss(name, "dropped", "the host refuses it") for name in drop if _drops(name, body, call)])
        return Encoded(Outgoing("POST", static.path, headers, _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> "ResponsesReader":
        """A decoder for one answer."""
        native = call.native is not None and call.dialect == self.dialect
        legacy = not native and "functions" in call.body and "tools" not in call.body
        return ResponsesReader(native=native, legacy=legacy, max_event_bytes=target.host.max_event_bytes)

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """As OpenAI's; ``responses`` and what is below it too."""
        return _own(target.host).encode_relay(kind, content_type, body, target)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """As OpenAI's and Azure's, whose codes differ, but for reasoning that another host encrypted: that one may read
        it.
        """
        fault = AZURE.decode_error(status, headers, body)
        if isinstance(fault, UpstreamRejected) and fault.code in _STRANGE_PROOF:
            return UpstreamUnfit(fault.message, param="messages[].reasoning_details")
        return fault


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("headers", "path", "stream_headers")

    def __init__(self, host: Host) -> None:
        self.path = _own(host).encode_relay("responses", "", b"", Target(host, "")).path
        self.headers = host_headers(host)
        self.stream_headers = host_headers(host, "text/event-stream")


_ADDRESSED: Mapping[str, Provider] = MappingProxyType({"azure": AZURE})
"""The providers of hosts whose addresses are not simply below their base URL."""


def _own(host: Host) -> Provider:
    """The provider that knows a host's addresses."""
    return _ADDRESSED.get(host.provider, OPENAI)


def fit_of(call: ChatCall, target: Target) -> Fit:
    """What a model takes. Of a model that nobody knows, a request that asks for reasoning tells that it reasons."""
    facts = target.facts
    if facts is None:
        return Fit(reasons=bool(call.body.get("reasoning_effort") or call.body.get("reasoning")))
    named = facts.id.rpartition("/")[2]
    return Fit(reasons=facts.reasoning and not named.startswith(_NEVER_REASONS), samples=facts.temperature)


def _drops(name: str, body: dict[str, Any], call: ChatCall) -> bool:
    """Takes a member out that the host refuses; whether the client will miss it."""
    return body.pop(name, None) is not None and name in (call.native or call.body)


# --- the answer --------------------------------------------------------------------------------------------------


class ResponsesReader(AnswerReader):
    """One answer, read. ``native``: as it stands, for a client that speaks the dialect.

    A stream is over with the event that ends its response. A host that ignores ``stream`` and sends one JSON object is
    recognised by its first byte, and its answer is cut into chunks.
    """

    __slots__ = ("_events", "_legacy", "_native", "_parser", "_sniffed", "_whole")

    def __init__(self, *, native: bool, legacy: bool, max_event_bytes: int) -> None:
        super().__init__()
        self._native = native
        self._legacy = legacy
        self._events = NativeEvents() if native else Events(legacy=legacy)
        self._parser = EventParser(max_event_bytes)
        self._sniffed = False
        self._whole: WholeBody | None = None

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer. See `protocol.ChatDecoder`."""
        response = json_object(body.removeprefix(BOM))
        self.usage = usage_in(response) or self.usage
        if "output" not in response and response.get("error"):
            raise fault_of(response["error"])
        if self._native:
            require_end(response)
            return response
        reply = read_reply(response, legacy=self._legacy)
        if self.usage is not None:
            reply["usage"] = self.usage
        return reply

    def commits(self, chunk: dict[str, Any]) -> bool:
        """Whether a chunk says something."""
        return chunk.get("type") not in OPENERS if self._native else says_something(chunk)

    def _read(self, data: bytes, chunks: list[dict[str, Any]]) -> None:
        if self._whole is not None:
            self._whole.add(data)
        elif self._sniffed or self._sniff(data):
            self._take(self._parser.feed(data), chunks)

    def _close(self, chunks: list[dict[str, Any]]) -> None:
        if self._whole is None:
            self._take([event for event in self._parser.finish() if is_json(event[0])], chunks)
            return
        whole = self.reply(self._whole.join())
        chunks += [_completed(whole)] if self._native else split_reply(whole)
        self.done = True

    def _sniff(self, data: bytes) -> bool:
        """Whether the body is an event stream, by its first byte."""
        events = is_events(data)
        if events is None:
            self._parser.feed(data)
        elif not events:
            self._whole = WholeBody()
            self._whole.add(data.lstrip(BLANK))
        self._sniffed = events is True
        return self._sniffed

    def _take(self, events: list[Event], chunks: list[dict[str, Any]]) -> None:
        """Adds the chunks of these events, up to the one that ends the response."""
        read = self._events
        for data, label in events:
            if data == _DONE or not data.strip():
                continue
            event = json_object(data)
            name = event.get("type")
            try:
                chunk = read.take(event, name if type(name) is str else label.decode("utf-8", "replace"))
            finally:
                self.usage = read.usage
            if chunk is not None:
                chunks.append(chunk)
            if read.ended:
                self.done = True
                return


def _completed(response: dict[str, Any]) -> dict[str, Any]:
    """A whole response as the one event that a client needs of its stream."""
    name = "incomplete" if response.get("status") == "incomplete" else "completed"
    return {"type": f"response.{name}", "sequence_number": 0, "response": response}


PROVIDER = Responses()
