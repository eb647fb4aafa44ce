"""OpenAI and every host that speaks its chat dialect. How hosts depart from it is data (`Quirks`) or is tolerated here.

`gateway.attempts` calls `PROVIDER`. Output towards the host is what the client sent, with our model name for that host;
input from the host is taken in any form that still means something (see `ChatReader`).
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from tollhouse.dialects.answers import is_json
from tollhouse.dialects.faults import fault_of_object, fault_of_reply
from tollhouse.dialects.filtered import OLD_RESULTS, PROMPT, RESULTS
from tollhouse.dialects.finish import BROKEN
from tollhouse.dialects.headers import StaticHeads, host_headers
from tollhouse.dialects.openai_plain import make_plain
from tollhouse.dialects.openai_results import MODERATION, OLD_PROMPT, Found, read_found
from tollhouse.dialects.replies import is_empty, json_object, says_something, split_reply, tidy_content, tidy_reply
from tollhouse.dialects.sse import MAX_EVENT_BYTES, Event, EventParser
from tollhouse.dialects.usage import ask_for_usage
from tollhouse.dialects.whole_body import BLANK, BOM, WholeBody, is_events
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamInterrupted
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Host, Loss, Quirks, Target
from tollhouse.types.wire import Outgoing

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder().decode
_DONE: Final = b"[DONE]"
_USUAL: Final = frozenset(
    {"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier", "obfuscation"}
)
_TOKEN_CAPS: Final[tuple[str, ...]] = ("max_completion_tokens", "max_tokens")


class OpenAI:
    """The provider. Its one attribute remembers what never changes about a host: its path and its headers."""

    __slots__ = ("_static",)

    dialect = "openai"

    def __init__(self) -> None:
        self._static = StaticHeads(_Static)

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``.../chat/completions``. Raises `InternalError` for a host that no configuration check saw."""
        host = target.host
        static = self._static.of(host)
        body = {**call.body, "model": target.model}
        if cap is not None:
            _put_cap(body, host, cap)
        losses: tuple[Loss, ...] = ()
        if call.native is not None:  # its client knows nothing of this dialect's hosts
            losses = make_plain(body, host.quirks.extensions, target.facts)
            _rename_cap(body, host)
        dropped = () if static.plain else _fit(body, host.quirks)
        if call.stream:
            body["stream"] = True
            dropped += ask_for_usage(body, host.quirks)
        headers = static.stream_headers if call.stream else static.headers
        if dropped:
            losses += tuple([Loss(name) for name in dropped])
        return Encoded(Outgoing("POST", static.path, headers, _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> "ChatReader":
        """A decoder for one answer."""
        del call
        return ChatReader(target.host.max_event_bytes)

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """A POST to ``.../kind``, with the credential of a chat completion."""
        static = self._static.of(target.host)
        fields = dict(static.headers) | {"accept": "*/*", "content-type": content_type}
        path = static.path.replace("/chat/completions", f"/{kind}", 1)
        return Outgoing("POST", path, tuple(fields.items()), body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """See `dialects.faults`."""
        return fault_of_reply(status, headers, body)


_NO_QUIRKS: Final = Quirks()


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("headers", "path", "plain", "stream_headers")

    def __init__(self, host: Host) -> None:
        self.plain = host.quirks == _NO_QUIRKS
        base = urlsplit(host.base_url)
        self.path = base.path.rstrip("/") + "/chat/completions" + (f"?{base.query}" if base.query else "")
        self.headers = host_headers(host)
        self.stream_headers = host_headers(host, "text/event-stream")


def _put_cap(body: dict[str, Any], host: Host, cap: int) -> None:
    """Puts the cap where the client put its own, else where the host takes one; in place."""
    stated = False
    for name in _TOKEN_CAPS:
        if body.get(name) is not None:
            body[name] = cap
            stated = True
    if not stated:
        body[host.quirks.max_tokens_field or host.cap_field] = cap


def _rename_cap(body: dict[str, Any], host: Host) -> None:
    """Puts the cap of a client of another dialect where the host takes one, in place."""
    cap = body.pop("max_tokens", None)
    if cap is not None:
        body.setdefault(host.quirks.max_tokens_field or host.cap_field, cap)


def _fit(body: dict[str, Any], quirks: Quirks) -> tuple[str, ...]:
    """Fits a request to what the host takes, in place; the names of what had to go."""
    if quirks.max_tokens_field is not None:
        caps = [body.pop(name) for name in _TOKEN_CAPS if name in body]
        known = [cap for cap in caps if cap is not None]
        if known:  # the client sent both: the stricter one keeps both promises
            body[quirks.max_tokens_field] = min(known)
    dropped = tuple([name for name in quirks.drop if name in body])
    for name in dropped:
        del body[name]
    return dropped


class ChatReader:
    """One answer, read.

    Theory of operation
    -------------------
    A stream is a sequence of events that each hold one JSON object. What hosts do to it, and what is made of that: an
    ``error`` member ends the stream with its fault; usage is taken from any object that has it, and a member once known
    is never lost to a later one that lacks it; a choice without ``delta`` has an empty one. The end is ``[DONE]``,
    or a finish reason for every choice that began; the end of the body without either is a broken answer. A host that
    ignores ``stream`` and sends one JSON object is recognised by its first byte, and its answer is cut into chunks.

    What only a stream needs is made when one begins (`_begin`): most answers are whole.
    """

    __slots__ = (
        *("_began", "_ended", "_events", "_fault", "_found", "_is_stream", "_max_event_bytes", "_sniffed", "_whole"),
        *("done", "usage"),
    )

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES) -> None:
        self.usage: dict[str, Any] | None = None
        self.done = False
        self._max_event_bytes = max_event_bytes
        self._is_stream = False
        self._sniffed = False
        self._whole: WholeBody | None = None
        self._fault: UpstreamFault | None = None

    def _begin(self) -> None:
        """The answer is read as a stream."""
        self._is_stream = True
        self._events = EventParser(self._max_event_bytes)
        self._began: set[int] = set()
        self._ended: set[int] = set()
        self._found = Found()

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer. Raises `UpstreamBadResponse`, or the fault that an error object stands for."""
        reply = json_object(body.removeprefix(BOM))
        usage = reply.pop("usage", None)
        if isinstance(usage, dict):
            self.usage = usage
        if error := reply.pop("error", None):
            raise fault_of_object(error)
        if reply.get("object") == "error":
            raise fault_of_object(reply)
        if is_empty(reply):
            raise UpstreamBadResponse("The upstream's answer is empty.")
        tidy_reply(reply, str(reply.get("id") or ""))
        read_found(reply)
        if self.usage is not None:
            reply["usage"] = self.usage
        return reply

    def commits(self, chunk: dict[str, Any]) -> bool:
        """Whether a chunk says something."""
        return says_something(chunk)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that these bytes complete. See `protocol.ChatDecoder`."""
        if self._fault is not None:
            raise self._fault
        if self.done:
            return []
        if self._whole is not None:
            self._whole.add(data)
            return []
        if not self._sniffed and not self._sniff(data):
            return []
        chunks: list[dict[str, Any]] = []
        try:
            self._take(self._events.feed(data), chunks)
        except UpstreamFault as fault:
            self._fault, self.done = fault, True
            if not chunks:
                raise
        return chunks

    def finish(self) -> list[dict[str, Any]]:
        """The rest, at the end of the body. Raises `UpstreamInterrupted` when the answer is not whole."""
        if self._fault is not None:
            raise self._fault
        if self.done:
            return []
        if self._whole is not None:
            whole = self.reply(self._whole.join())
            self.done = True
            return split_reply(whole)
        if not self._is_stream:
            self._begin()
        chunks: list[dict[str, Any]] = []
        self._take([event for event in self._events.finish() if _is_whole(event[0].strip())], chunks)
        if not self.done and (not self._began or self._began != self._ended):
            raise UpstreamInterrupted("The upstream's answer ended before it was complete.")
        self.done = True
        return chunks

    def _sniff(self, data: bytes) -> bool:
        """Whether the body is an event stream, by its first byte; raises when it can be neither that nor JSON."""
        if not self._is_stream:
            self._begin()
        events = is_events(data)
        if events is None:
            self._events.feed(data)
        elif not events:
            self._whole = WholeBody()
            self._whole.add(data.lstrip(BLANK))
        self._sniffed = events is True
        return self._sniffed

    def _take(self, events: list[Event], chunks: list[dict[str, Any]]) -> None:
        """Adds the chunks of these events, up to the end marker."""
        for data, name in events:
            try:
                value = _decode(data)
            except (ValueError, RecursionError) as problem:
                if not data.strip():
                    continue
                chunks += self._end(data, problem)
                return
            if type(value) is not dict:
                _pass_over(value)
            elif (chunk := self._chunk(value, name)) is not None:
                chunks.append(chunk)

    def _end(self, data: bytes, problem: Exception) -> list[dict[str, Any]]:
        """Takes an event that is not JSON, which is right for the end marker alone; the finish reasons still owed."""
        if data.strip() != _DONE:
            raise UpstreamBadResponse("The upstream sent an event that is not valid JSON.") from problem
        if not self._began:
            raise UpstreamBadResponse("The upstream's answer is empty.")
        self.done = True
        owed = sorted(self._began - self._ended)
        return [{"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]} for index in owed]

    def _chunk(self, chunk: dict[str, Any], name: bytes) -> dict[str, Any] | None:
        """One event's object in the inner form; ``None`` when all it held was usage, or nothing."""
        if usage := chunk.pop("usage", None):
            self._take_usage(usage)
        if "error" in chunk and (error := chunk.pop("error")):
            raise fault_of_object(error)
        if name == b"error":
            raise fault_of_object(chunk)
        if PROMPT in chunk or MODERATION in chunk or OLD_PROMPT in chunk:
            self._found.read_chunk(chunk, self._began)
        choices = chunk.get("choices")
        if not choices:
            return _bare(chunk)
        if type(choices) is not list:
            raise UpstreamBadResponse("The upstream's answer has choices that are not a list.")
        for position, choice in enumerate(choices):
            self._take_choice(choice, position)
        if self._found.asked is not None:
            self._found.tell(chunk)
        return chunk

    def _take_choice(self, choice: Any, position: int) -> None:
        if type(choice) is not dict:
            raise UpstreamBadResponse("The upstream's answer has a choice that is not an object.")
        delta = choice.get("delta")
        if type(delta) is not dict:
            delta = choice["delta"] = _delta_of(choice)
        index = choice.get("index")
        if type(index) is not int or index < 0:
            index = choice["index"] = position
        self._began.add(index)
        if reason := choice.get("finish_reason"):
            if reason == BROKEN:
                raise UpstreamInterrupted("The upstream says that its answer broke off.")
            self._ended.add(index)
            self._found.end_choice(index, reason)
            self._take_usage(choice.pop("usage", None))  # Moonshot puts it here
        else:
            choice["finish_reason"] = None
        if RESULTS in choice or OLD_RESULTS in choice:
            self._found.read_choice(choice)
        if type(delta.get("content", "")) is not str:
            tidy_content(delta)

    def _take_usage(self, usage: object) -> None:
        """Merges: the last value that is not null wins, member by member."""
        if not isinstance(usage, dict):
            return
        if self.usage is None:
            self.usage = {}
        for name, value in usage.items():
            known = self.usage.get(name)
            if isinstance(known, dict) and isinstance(value, dict):
                known.update({key: item for key, item in value.items() if item is not None})
            elif value is not None:
                self.usage[name] = value


def _is_whole(data: bytes) -> bool:
    """Whether the last event of a body that ended without a blank line is more than the beginning of one."""
    return data == _DONE or is_json(data)


def _delta_of(choice: dict[str, Any]) -> dict[str, Any]:
    """The delta of a choice that has none: some hosts send the last one without, or a whole ``message`` instead."""
    given = choice.pop("delta", None) or choice.pop("message", None) or {}
    if type(given) is not dict:
        raise UpstreamBadResponse("The upstream's answer has a delta that is not an object.")
    return given


def _pass_over(value: object) -> None:
    """Takes JSON that is not an object: hosts send ``""`` and ``null`` as keep-alives."""
    if value:
        raise UpstreamBadResponse("The upstream sent an event that is not a JSON object.")


def _bare(chunk: dict[str, Any]) -> dict[str, Any] | None:
    """A chunk without choices; ``None`` unless it holds something that is nowhere else."""
    if chunk.get("object") == "error":
        raise fault_of_object(chunk)
    chunk["choices"] = []
    return chunk if any(value for name, value in chunk.items() if name not in _USUAL) else None


PROVIDER: Final = OpenAI()
