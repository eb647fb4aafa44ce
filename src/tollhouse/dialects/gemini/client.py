"""Gemini's generateContent as a client's dialect. `gateway.pipeline` serves it; `gateway.gemini_pages` has the routes.

Errors are Google's: ``{"error": {"code", "message", "status", "details"}}``, with our own words (`errors`) in an
``ErrorInfo`` (https://cloud.google.com/apis/design/errors#error_details).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tollhouse.dialects.client import Account, Identity, Writer
from tollhouse.dialects.gemini.framing import EVENTS, Framing, in_json
from tollhouse.dialects.gemini.passed import PassedStream, annotate
from tollhouse.dialects.gemini.read import NAME, read_call
from tollhouse.dialects.gemini.words import ERROR_OF_STATUS
from tollhouse.dialects.gemini.write import reply_of
from tollhouse.dialects.gemini.writer import GeminiStream
from tollhouse.dialects.reported import Reported, reported_by_gemini
from tollhouse.dialects.spoken import Said, said_by_gemini
from tollhouse.errors import Fault
from tollhouse.types.calls import ChatCall

_TYPE = "type.googleapis.com/google.rpc."
_CLIENT_ERROR, _SERVER_ERROR = "INVALID_ARGUMENT", "INTERNAL"


class GeminiClient:
    """See `ClientDialect`. ``frame`` is the form of its streams; that of an array belongs to one answer."""

    __slots__ = ("_frame",)

    name = NAME
    by_choice = False

    def __init__(self, frame: Framing = EVENTS) -> None:
        self._frame = frame

    def read(self, body: bytes, path: str, headers: dict[bytes, bytes]) -> ChatCall:
        """The call of a request; ``path`` is the model's name and the method."""
        del headers
        return read_call(body, path)

    def reply(self, answer: dict[str, Any], call: ChatCall, identity: Identity, account: Account) -> dict[str, Any]:
        """A ``GenerateContentResponse``."""
        return reply_of(answer, call, identity.id, account)

    def native_reply(self, answer: dict[str, Any], call: ChatCall, account: Account) -> dict[str, Any]:
        """The host's own, with its cost."""
        del call
        return annotate(answer, account)

    def writer(self, call: ChatCall, identity: Identity) -> Writer:
        """For a stream in the inner form."""
        return GeminiStream(call, identity, self._frame)

    def native_writer(self, call: ChatCall) -> Writer:
        """For a stream of a host that speaks the dialect."""
        del call
        return PassedStream(self._frame)

    def native_told(self, answer: dict[str, Any], call: ChatCall) -> Writer:
        """See `ClientDialect`."""
        del call
        writer = PassedStream(EVENTS)
        writer.encode([answer])
        return writer

    def heard(self, piece: Mapping[str, Any]) -> Iterator[Said]:
        """See `ClientDialect`."""
        return said_by_gemini(piece)

    def reported(self, piece: Mapping[str, Any]) -> Iterator[Reported]:
        """See `ClientDialect`."""
        return reported_by_gemini(piece)

    def error(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """Google's form of a failure."""
        status = ERROR_OF_STATUS.get(fault.status, _CLIENT_ERROR if fault.status < 500 else _SERVER_ERROR)
        error = {"code": fault.status, "message": fault.message, "status": status}
        return {"error": {**error, "details": _details(fault, request_id)}}

    def error_event(self, error: dict[str, Any]) -> bytes:
        """``data: {"error": ...}``, which Google's SDKs look for at the very start of an object."""
        return self._frame.wrap([in_json(error)]) + self._frame.end()


def _details(fault: Fault, request_id: str) -> list[dict[str, Any]]:
    told = fault.body(request_id)["error"]
    metadata = {name: str(told[name]) for name in ("type", "error_id", "request_id") if told.get(name)}
    if inner := told.get("innererror"):  # the values of this map are strings
        metadata["innererror"] = in_json(inner).decode()
    reason = str(told.get("code") or told["error_id"]).upper()
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPE}ErrorInfo", "reason": reason, "domain": "tollhouse", "metadata": metadata}
    ]
    if fault.param and fault.status < 500:
        violation = {"field": fault.param, "description": fault.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    if "retry-after" in fault.headers:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{fault.headers['retry-after']}s"})
    return details


GEMINI = GeminiClient()
