"""Google's Gemini API (https://ai.google.dev/api): generateContent, with an API key.

`gateway.attempts` calls `PROVIDER`. A client that speaks Gemini itself is passed through (`dialects.gemini.native`).
What OpenAI has beside chat is relayed to Google's own compatible surface, which stands beside
(https://ai.google.dev/gemini-api/docs/openai).
"""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tollhouse.dialects.gemini.decode import GeminiReader, Wanted
from tollhouse.dialects.gemini.encode import Surface, encode
from tollhouse.dialects.gemini.faults import google_fault
from tollhouse.dialects.gemini.models import model_of
from tollhouse.dialects.gemini.native import NativeReader, native_body
from tollhouse.dialects.gemini.seals import with_marks
from tollhouse.dialects.headers import Fields, StaticHeads, host_headers
from tollhouse.dialects.wishes import custom_names
from tollhouse.errors import UpstreamFault, UpstreamModelMissing
from tollhouse.providers.protocol import ChatDecoder, Encoded
from tollhouse.types.calls import ChatCall, Host, Loss, Target
from tollhouse.types.wire import Outgoing

_RELAYED = frozenset({"embeddings", "images/generations"})
"""The endpoints that the compatible surface has."""
_COUNT = "countTokens"
_COUNTED = frozenset({"contents", "systemInstruction", "tools", "generationConfig"})
"""What Vertex counts of a request (https://cloud.google.com/vertex-ai/docs/reference/rest/v1/Shared.Types/countTokens)."""
_MEDIA_EVENT_BYTES = 64 * 1024 * 1024
"""An event of an answer that holds an image: 4K images are 20 MB and more."""
_NAME = re.compile(r"[A-Za-z0-9_][\w.@-]*(/[A-Za-z0-9_][\w.@-]*)*", re.ASCII)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Gemini:
    """The provider. ``surface`` says which of Google's two hosts it speaks to."""

    __slots__ = ("_static", "_surface")

    dialect = "gemini"

    def __init__(self, surface: Surface | None = None) -> None:
        self._surface = surface or Surface()
        self._static = StaticHeads(_Static).of

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """A POST to ``.../models/NAME:generateContent``, or ``:streamGenerateContent``.

        Raises `UpstreamUnfit` for content that Google's hosts do not take, `UpstreamModelMissing` for a name that no
        model has.
        """
        static = self._static(target.host)
        body: dict[str, Any]
        losses: tuple[Loss, ...] = ()
        if call.native is not None and call.dialect == self.dialect:
            body = native_body(call.native, cap)
            if model_of(target.model).signed:
                body["contents"] = with_marks(body["contents"])
        else:
            body, losses = encode(call.body, target.model, cap, self._surface)
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        headers = static.stream_headers if call.stream else static.headers
        path = f"{model_path(static.path, target.model)}:{method}"
        return Encoded(Outgoing("POST", path, _with(headers, call), _encode(body)), losses)

    def decode_chat(self, call: ChatCall, target: Target) -> ChatDecoder:
        """A decoder for one answer."""
        size = target.host.max_event_bytes
        if _makes_media(call, target):
            size = max(size, _MEDIA_EVENT_BYTES)
        if call.native is not None and call.dialect == self.dialect:
            return NativeReader(size)
        return GeminiReader(_wanted(call.body), size)

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """A POST to the compatible surface, whose key is a bearer; ``countTokens`` is asked of the model itself, about
        a request in Gemini's dialect. Raises `UpstreamModelMissing` for what it lacks.
        """
        if kind == _COUNT:
            return self._count(body, target)
        if kind not in _RELAYED or self._surface.vertex:
            raise UpstreamModelMissing(f"The upstream host has no {kind} in OpenAI's form.", status=404)
        static = self._static(target.host)
        fields = dict(static.headers) | {"accept": "*/*", "content-type": content_type}
        if (key := fields.pop("x-goog-api-key", None)) is not None:
            fields["authorization"] = f"Bearer {key}"
        return Outgoing("POST", f"{static.path.removesuffix('/openai')}/openai/{kind}", tuple(fields.items()), body)

    def _count(self, body: bytes, target: Target) -> Outgoing:
        """Vertex counts a request's own members; the other host counts one that stands in another."""
        static = self._static(target.host)
        asked = _decode(body)
        if self._surface.vertex:
            asked = {name: value for name, value in asked.items() if name in _COUNTED}
        else:
            asked = {"generateContentRequest": {**asked, "model": f"models/{target.model.removeprefix('models/')}"}}
        path = f"{model_path(static.path, target.model)}:{_COUNT}"
        return Outgoing("POST", path, static.headers, _encode(asked))

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """See `dialects.gemini.faults`."""
        return google_fault(status, headers, body)


def model_path(base: str, model: str) -> str:
    """The path of a model, whose name may be a path itself: ``tunedModels/NAME``, or Vertex' ``endpoints/NUMBER``.

    Raises `UpstreamModelMissing` for a name that leads elsewhere.
    """
    if not _NAME.fullmatch(model):
        raise UpstreamModelMissing("The upstream host has no model of this name.", status=404)
    if model.startswith("endpoints/"):
        return f"{base.removesuffix('/publishers/google')}/{model}"
    return f"{base}/{model}" if model.startswith(("models/", "tunedModels/")) else f"{base}/models/{model}"


class _Static:
    """The parts of every request to one host."""

    __slots__ = ("headers", "path", "stream_headers")

    def __init__(self, host: Host) -> None:
        self.path = urlsplit(host.base_url).path.rstrip("/")
        self.headers = host_headers(host)
        self.stream_headers = host_headers(host, "text/event-stream")


def _with(headers: Fields, call: ChatCall) -> Fields:
    """The headers, with those of the client's that belong to its dialect and that we do not send ourselves."""
    if not call.wire_headers or call.native is None:
        return headers
    ours = {name for name, _ in headers}
    return headers + tuple([field for field in call.wire_headers if field[0] not in ours])


def _makes_media(call: ChatCall, target: Target) -> bool:
    made = target.facts.output_kinds if target.facts is not None else ()
    return "image" in made or "audio" in made or bool(call.body.get("modalities")) or model_of(target.model).image


_ASKS_FOR_ITSELF = frozenset({"tools", "functions", "audio"})
_NOTHING = Wanted()


def _wanted(body: Mapping[str, Any]) -> Wanted:
    if body.keys().isdisjoint(_ASKS_FOR_ITSELF):
        return _NOTHING
    audio = body.get("audio")
    return Wanted(
        custom_names(body),
        legacy=bool(body.get("functions")) and not body.get("tools"),
        wav=isinstance(audio, dict) and audio.get("format") == "wav",
    )


PROVIDER = Gemini()
