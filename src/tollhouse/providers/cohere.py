"""Cohere, over its v2 chat API: more of it than its OpenAI-compatible surface has (documents, citations, thinking).

`gateway.attempts` calls `PROVIDER`. The codec is `dialects.cohere`; here are addresses, headers and errors. The base
URL is ``https://api.cohere.com/v2``. Embeddings go to the compatible surface of the same server, which speaks OpenAI's
dialect already (https://docs.cohere.com/docs/compatibility-api).
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tollhouse.dialects.cohere.answer import CohereReader
from tollhouse.dialects.cohere.request import encode
from tollhouse.dialects.faults import fault_of_reply
from tollhouse.dialects.headers import StaticHeads, host_headers
from tollhouse.dialects.wishes import custom_names, stops_of
from tollhouse.errors import UpstreamAuth, UpstreamFault, UpstreamInterrupted, UpstreamModelMissing
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.wire import Outgoing

_VERSION = "/v2"
_COMPATIBLE = "/compatibility/v1"
_OF_TRIAL = "trial key, which is limited to"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Cohere:
    """The provider."""

    __slots__ = ("_known",)

    dialect = "cohere"

    def __init__(self) -> None:
        self._known = StaticHeads(_Static)

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``.../v2/chat``. Raises `UpstreamUnfit`."""
        static = self._known.of(target.host)
        body, losses = encode(call.body, target, cap, stream=call.stream)
        headers = static.stream_headers if call.stream else static.headers
        return Encoded(Outgoing("POST", static.chat_path, headers, _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> CohereReader:
        """A decoder for one answer."""
        return CohereReader(target.host.max_event_bytes, stops_of(call.body), custom_names(call.body))

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """A POST to the compatible surface. Raises `UpstreamModelMissing` for all but ``embeddings``."""
        if kind != "embeddings":
            raise UpstreamModelMissing("The upstream host has no such endpoint.", status=404)
        static = self._known.of(target.host)
        fields = dict(static.headers) | {"accept": "*/*", "content-type": content_type}
        return Outgoing("POST", f"{static.root}{_COMPATIBLE}/{kind}", tuple(fields.items()), body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """``{"message"}``, by its status (https://docs.cohere.com/reference/errors)."""
        error = _error_of(body)
        message = str(error.get("message") or "")
        if status == 498:  # "a request or response contains a deny-listed token"
            return fault_of_reply(400, headers, _encode({"error": {**error, "code": "content_policy_violation"}}))
        if status == 499:
            return UpstreamInterrupted("The upstream says that the request was cancelled.")
        if status == 400 and "api key" in message.lower():
            return UpstreamAuth("The upstream host refused the gateway's credential.")
        if status == 429 and _OF_TRIAL in message.lower() and "month" in message:
            error["code"] = "insufficient_quota"  # waiting does not help
        return fault_of_reply(status, headers, _encode({"error": error}))


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("chat_path", "headers", "root", "stream_headers")

    def __init__(self, host: Host) -> None:
        base = urlsplit(host.base_url).path.rstrip("/")
        self.root = base.removesuffix(_VERSION)
        self.chat_path = f"{self.root}{_VERSION}/chat"
        self.headers = host_headers(host)
        self.stream_headers = host_headers(host, accept="text/event-stream")


def _error_of(body: bytes) -> dict[str, Any]:
    """The members of an error body that mean something, as OpenAI's; the compatible surface wraps them already."""
    try:
        value = _decode(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    message = value.get("message") if isinstance(value, dict) else None
    return {"message": message} if isinstance(message, str) else {}


PROVIDER = Cohere()
