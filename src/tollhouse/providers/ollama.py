"""Ollama, over its own API: what its OpenAI-compatible surface passes over in silence is honoured or reported here.

`gateway.attempts` calls `PROVIDER`. The codec is `dialects.ollama`; here are addresses and headers. The base URL may
end in ``/v1`` or ``/api``, or in neither: both surfaces stand on one server. Embeddings go to ``/v1``, which speaks
OpenAI's dialect already. ``provider = "openai"`` with the ``/v1`` URL is the compatible surface for chats too.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from tollhouse.dialects.headers import StaticHeads, host_headers
from tollhouse.dialects.ollama.answer import OllamaReader
from tollhouse.dialects.ollama.faults import fault_of_answer
from tollhouse.dialects.ollama.request import encode, forces
from tollhouse.dialects.wishes import custom_names
from tollhouse.errors import UpstreamFault, UpstreamModelMissing
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.wire import Outgoing

RELAYED = frozenset({"embeddings", "completions"})
"""Endpoints of its compatible surface that are not chats (https://docs.ollama.com/api/openai-compatibility)."""
_encode = msgspec.json.Encoder().encode


class Ollama:
    """The provider."""

    __slots__ = ("_known",)

    dialect = "ollama"

    def __init__(self) -> None:
        self._known = StaticHeads(_Static)

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``/api/chat``. Raises `UpstreamUnfit`."""
        static = self._known.of(target.host)
        body, losses = encode(call.body, target, cap, stream=call.stream)
        headers = static.stream_headers if call.stream else static.headers
        return Encoded(Outgoing("POST", f"{static.root}/api/chat", headers, _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> OllamaReader:
        """A decoder for one answer."""
        names = custom_names(call.body)
        return OllamaReader(target.host.max_event_bytes, names, forced=forces(call.body, target))

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """A POST to the compatible surface. Raises `UpstreamModelMissing` for endpoints that it does not have."""
        if kind not in RELAYED:
            raise UpstreamModelMissing("The upstream host has no such endpoint.", status=404)
        static = self._known.of(target.host)
        fields = dict(static.headers) | {"accept": "*/*", "content-type": content_type}
        return Outgoing("POST", f"{static.root}/v1/{kind}", tuple(fields.items()), body)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """See `dialects.ollama.faults`."""
        return fault_of_answer(status, headers, body)


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("headers", "root", "stream_headers")

    def __init__(self, host: Host) -> None:
        self.root = urlsplit(host.base_url).path.rstrip("/").removesuffix("/v1").removesuffix("/api")
        self.headers = host_headers(host)
        self.stream_headers = host_headers(host, accept="application/x-ndjson")


PROVIDER = Ollama()
