"""Anthropic, and every host that speaks its Messages API. `gateway.attempts` calls `PROVIDER`.

A client's call is translated (`dialects.anthropic.encode`, `.events`); where the client speaks the same dialect, its
own body and the host's own objects go through as they are, but for the model's name and the cap.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tollhouse.dialects.anthropic.decode import expected_of
from tollhouse.dialects.anthropic.encode import encode
from tollhouse.dialects.anthropic.events import MessageReader
from tollhouse.dialects.anthropic.faults import fault_of_answer
from tollhouse.dialects.anthropic.passing import NativeReader, cap_native, fit_thinking
from tollhouse.dialects.anthropic.words import VERSION
from tollhouse.dialects.headers import Fields, StaticHeads, host_headers
from tollhouse.errors import UpstreamFault, UpstreamModelMissing
from tollhouse.providers.protocol import ChatDecoder, Encoded, passes
from tollhouse.types.calls import ChatCall, Host, Loss, Target
from tollhouse.types.wire import Outgoing

COUNT_TOKENS = "messages/count_tokens"
_PASSED_HEADERS = ("anthropic-beta", "anthropic-version")
_BETA = "anthropic-beta"
_encode = msgspec.json.Encoder().encode


class Anthropic:
    """The provider. Its one attribute remembers what never changes about a host: its path and its headers."""

    __slots__ = ("_static",)

    dialect = "anthropic"

    def __init__(self) -> None:
        self._static = StaticHeads(_Static).of

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``.../messages``. Raises `UpstreamUnfit` for media that Anthropic does not take, and
        `InternalError` for a host that no configuration check saw.
        """
        static = self._static(target.host)
        headers = static.stream_headers if call.stream else static.headers
        losses: tuple[Loss, ...]
        if passes(self, call):
            body, losses = _native(call, target, cap)
            passed = [field for field in call.wire_headers if field[0] in _PASSED_HEADERS]
        else:
            request = encode(call.body, target.model, target.facts, cap)
            body, losses = request.body, request.losses
            if call.stream:
                body["stream"] = True
            passed = [(_BETA, beta) for beta in request.betas]
        if passed:
            headers = _with(headers, passed)
        return Encoded(Outgoing("POST", static.path, headers, _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> ChatDecoder:
        """A decoder for one answer."""
        if passes(self, call):
            return NativeReader(target.host.max_event_bytes)
        return MessageReader(expected_of(call.body), target.host.max_event_bytes)

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """A POST to ``.../messages/count_tokens``. Raises `UpstreamModelMissing` for any other endpoint."""
        if kind != COUNT_TOKENS:
            raise UpstreamModelMissing("Anthropic has no such endpoint.", status=404)
        static = self._static(target.host)
        headers = tuple((dict(static.headers) | {"content-type": content_type}).items())
        return Outgoing("POST", static.count_path, headers, body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """See `dialects.anthropic.faults`."""
        return fault_of_answer(status, headers, body)


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("count_path", "headers", "path", "stream_headers")

    def __init__(self, host: Host) -> None:
        base = urlsplit(host.base_url)
        query = f"?{base.query}" if base.query else ""
        root = base.path.rstrip("/")
        self.path = f"{root}/messages{query}"
        self.count_path = f"{root}/{COUNT_TOKENS}{query}"
        self.headers = host_headers(host, anthropic_version=VERSION)
        self.stream_headers = host_headers(host, "text/event-stream", anthropic_version=VERSION)


def _native(call: ChatCall, target: Target, cap: int | None) -> tuple[dict[str, Any], tuple[Loss, ...]]:
    """The client's own body, for this target."""
    body = {**(call.native or {}), "model": target.model}
    if call.stream:
        body["stream"] = True
    else:
        body.pop("stream", None)
    losses = fit_thinking(body)
    return body, losses if cap is None else losses + cap_native(body, cap)


def _with(headers: Fields, passed: list[tuple[str, str]]) -> Fields:
    """The fields with more of them: betas are added to the host's own, and a version replaces it."""
    fields = dict(headers)
    for name, value in passed:
        fields[name] = f"{fields[name]},{value}" if name == _BETA and fields.get(name) else value
    return tuple(fields.items())


PROVIDER = Anthropic()
