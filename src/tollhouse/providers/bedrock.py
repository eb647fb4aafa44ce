"""Amazon Bedrock: the Converse API, for every maker's models there.

`gateway.attempts` calls `PROVIDER`. The credential is a Bedrock API key (``auth`` is ``bearer``), or the request is
signed by `upstream.sigv4` (``sigv4``). The address is ``{base_url}/model/{id}/converse``, with ``-stream`` for a
stream; an id may be a model's, an inference profile's or an ARN, and every byte of it that is not unreserved is
percent-encoded, as the vendor's own SDKs do.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from tollhouse.dialects.bedrock.decode import ConverseReader
from tollhouse.dialects.bedrock.encode import Model, write_body
from tollhouse.dialects.bedrock.families import family_of
from tollhouse.dialects.bedrock.faults import fault_of_answer
from tollhouse.dialects.headers import StaticHeads, host_headers, path_segment
from tollhouse.dialects.wishes import custom_names
from tollhouse.errors import UpstreamFault, UpstreamModelMissing
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_STREAM = "application/vnd.amazon.eventstream"


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("headers", "path", "stream_headers")

    def __init__(self, host: Host) -> None:
        self.path = urlsplit(host.base_url).path.rstrip("/") + "/model/"
        self.headers = host_headers(host)
        self.stream_headers = host_headers(host, accept=_STREAM)


class Bedrock:
    """The provider."""

    __slots__ = ("_heads",)

    dialect = "bedrock"

    def __init__(self) -> None:
        self._heads = StaticHeads(_Static)

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``/model/{id}/converse``. Raises `UpstreamUnfit` for what the host cannot be given at all."""
        static = self._heads.of(target.host)
        body, losses = write_body(call.body, _model(target), cap)
        path = static.path + path_segment(target.model) + ("/converse-stream" if call.stream else "/converse")
        headers = static.stream_headers if call.stream else static.headers
        return Encoded(Outgoing("POST", path, headers, _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> ConverseReader:
        """A decoder for one answer."""
        return ConverseReader(
            claude=family_of(target.model).claude,
            custom=custom_names(call.body),
            max_event_bytes=target.host.max_event_bytes,
        )

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """Raises `UpstreamModelMissing`: Converse is for chat alone."""
        del content_type, body
        raise UpstreamModelMissing(f"{target.host.label or target.host.name} has no endpoint for {kind}.", status=404)

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """See `dialects.bedrock.faults`."""
        return fault_of_answer(status, headers, body)


def _model(target: Target) -> Model:
    facts = target.facts
    guardrail = dict(target.host.options).get("guardrail", "")
    if facts is None:
        return Model(target.model, guardrail=guardrail)
    schema = facts.structured_output and target.host.quirks.schema == "schema"
    return Model(target.model, schema, facts.temperature, guardrail)


PROVIDER = Bedrock()
