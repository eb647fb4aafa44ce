"""Azure OpenAI: OpenAI's dialect at other addresses, with content filters that tell what they found.

`gateway.attempts` calls `PROVIDER`; `providers.openai` does the reading and writing, and this file closes the gaps:

- *Addresses.* The v1 API is OpenAI's own, with the deployment's name for the model: ``{resource}/openai/v1/...``, with
  ``api-version`` only where the settings say ``preview`` or ``latest``. A dated ``api_version`` leads to the older
  form, ``{resource}/openai/deployments/{deployment}/...?api-version=``. ``base_url`` may be the resource alone, end in
  ``/openai`` or ``/openai/v1``, or name the deployment itself, as people copy it from the portal.
  https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
- *Filters.* What they found stands beside the answer, which `providers.openai` reads, for other hosts pass it on too.
- *Errors.* A deployment that is not there, and an operation that its model has not, are models that are missing. Waits
  come in milliseconds too.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

import msgspec

from tollhouse.dialects.faults import fault_of_reply
from tollhouse.dialects.headers import StaticHeads, path_segment
from tollhouse.errors import UpstreamFault, UpstreamModelMissing
from tollhouse.providers.openai import PROVIDER as OPENAI
from tollhouse.providers.openai import ChatReader
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Host, Target
from tollhouse.types.wire import Outgoing

CHAT = "chat/completions"
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?").fullmatch
_DEPLOYMENT = re.compile(r"/deployments/[^/]+")
_OF_A_DEPLOYMENT = frozenset(
    {
        *(CHAT, "completions", "embeddings", "audio/transcriptions", "audio/translations", "audio/speech"),
        *("images/generations", "images/edits"),
    }
)
"""The endpoints that stand below a deployment in the older form; others stand beside them."""
_ABSENT = frozenset({"moderations", "rerank"})
_MISSING = frozenset({"deploymentnotfound", "operationnotsupported", "modelnotfound", "404"})
"""Codes by which Azure says that there is no such model here, or that it cannot do this."""
_decode = msgspec.json.Decoder().decode


class Addresses:
    """The paths of one host."""

    __slots__ = ("_query", "_root", "_template")

    def __init__(self, host: Host) -> None:
        version = dict(host.options).get("api_version", "")
        path = urlsplit(host.base_url).path.rstrip("/")
        dated = _DATED(version) is not None
        self._query = f"?api-version={quote(version)}" if version else ""
        self._template = self._root = ""
        named = _DEPLOYMENT.search(path)
        if named is not None:
            self._template = path[: named.end()].replace("{", "%7B").replace("}", "%7D")
            self._root = path[: named.start()]
        elif dated and not path.endswith("/models"):  # Foundry's inference API stands at /models, whatever its version
            self._root = path.removesuffix("/v1") or "/openai"
            self._template = self._root + "/deployments/{}"
        else:
            self._root = {"": "/openai/v1", "/openai": "/openai/v1"}.get(path, path)

    def path(self, kind: str, deployment: str) -> str:
        """Where an endpoint of a deployment answers."""
        if self._template and kind in _OF_A_DEPLOYMENT:
            return f"{self._template.format(path_segment(deployment))}/{kind}{self._query}"
        return f"{self._root}/{kind}{self._query}"


class Azure:
    """The provider."""

    __slots__ = ("_addresses",)

    dialect = "openai"

    def __init__(self) -> None:
        self._addresses = StaticHeads(Addresses)

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """As OpenAI's, at the deployment's address."""
        encoded = OPENAI.encode_chat(call, target, cap)
        path = self._addresses.of(target.host).path(CHAT, target.model)
        return Encoded(encoded.outgoing.but(path=path), encoded.losses)

    def decode_chat(self, call: ChatCall, target: Target) -> ChatReader:
        """A decoder for one answer."""
        return OPENAI.decode_chat(call, target)

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """As OpenAI's, at the deployment's address. Raises `UpstreamModelMissing` for endpoints that Azure has not."""
        if kind in _ABSENT:
            raise UpstreamModelMissing(f"Azure OpenAI has no endpoint for {kind}.", status=404)
        outgoing = OPENAI.encode_relay(kind, content_type, body, target)
        return outgoing.but(path=self._addresses.of(target.host).path(kind, target.model))

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """Azure's own codes; all else as OpenAI's."""
        if status in (400, 404) and _code_of(body) in _MISSING:
            return UpstreamModelMissing("The upstream host has no such deployment, or it cannot do this.", status=404)
        return fault_of_reply(status, _with_wait(headers), body)


PROVIDER = Azure()


def _code_of(body: bytes) -> str:
    try:
        error = _decode(body)["error"]
        return str(error["code"]).lower()
    except (ValueError, RecursionError, KeyError, TypeError):
        return ""


def _with_wait(headers: Mapping[str, str]) -> Mapping[str, str]:
    """The headers with ``retry-after-ms``, which is the more exact, in seconds."""
    wait_ms = headers.get("retry-after-ms", "")
    if not re.fullmatch(r"\d{1,12}", wait_ms):
        return headers
    return {**headers, "retry-after": str(int(wait_ms) / 1000)}
