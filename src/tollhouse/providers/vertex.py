"""Vertex AI: Gemini's dialect at another address, with a token that `upstream.google` makes of a service account.

See https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference. The base URL leads to a publisher:
``https://LOCATION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/LOCATION/publishers/google``; in express mode
(an API key in ``x-goog-api-key``) it is ``https://aiplatform.googleapis.com/v1/publishers/google``. What differs from
`providers.gemini` is in `dialects.gemini.encode`: public addresses are fetched for every model, ``metadata`` are
labels, there is no tier. OpenAI's other endpoints are not relayed: Vertex has its own.

Open models of other publishers (``deepseek-ai/...-maas``) are served in OpenAI's dialect at an address beside
(https://cloud.google.com/vertex-ai/generative-ai/docs/maas/call-open-model-apis): `providers.openai` writes and reads
those. A client that speaks Gemini is passed through as it is, which they do not take.
"""

from dataclasses import replace

from tollhouse.dialects.gemini.encode import Surface
from tollhouse.dialects.headers import StaticHeads
from tollhouse.errors import UpstreamModelMissing
from tollhouse.providers.gemini import Gemini
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.protocol import ChatDecoder, Encoded
from tollhouse.types.calls import ChatCall, Host, Target

_PUBLISHER = "/publishers/google"
_OWN = ("models/", "tunedModels/", "endpoints/")


class Vertex(Gemini):
    """The provider."""

    __slots__ = ("_beside",)

    def __init__(self) -> None:
        super().__init__(Surface(vertex=True))
        self._beside = StaticHeads(_open_host).of

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """As Gemini's; for another publisher's model as OpenAI's.

        Raises `UpstreamModelMissing` for one of those where the client speaks Gemini.
        """
        if not _is_open(target.model):
            return super().encode_chat(call, target, cap)
        if call.native is not None and call.dialect == self.dialect:
            raise UpstreamModelMissing("The upstream host serves this model in another dialect alone.", status=404)
        return OPENAI.encode_chat(call, Target(self._beside(target.host), target.model, target.facts), cap)

    def decode_chat(self, call: ChatCall, target: Target) -> ChatDecoder:
        """A decoder for one answer."""
        if _is_open(target.model):
            return OPENAI.decode_chat(call, target)
        return super().decode_chat(call, target)


def _is_open(model: str) -> bool:
    """Whether a model is another publisher's."""
    return "/" in model and not model.startswith(_OWN)


def _open_host(host: Host) -> Host:
    """The same host where it speaks OpenAI's dialect."""
    return replace(host, base_url=f"{host.base_url.removesuffix(_PUBLISHER)}/endpoints/openapi")


PROVIDER = Vertex()
