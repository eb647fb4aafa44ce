"""Anthropic's Messages API as a client's dialect (`dialects.client`): what its SDKs and Claude Code speak. Pure."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from tollhouse.dialects.anthropic.native import NativeStream, native_message
from tollhouse.dialects.anthropic.passing import split_message
from tollhouse.dialects.anthropic.read import NAME, read_call
from tollhouse.dialects.anthropic.words import ERROR_OF_STATUS
from tollhouse.dialects.anthropic.write import message
from tollhouse.dialects.anthropic.writer import MessageStream, event
from tollhouse.dialects.client import Account, Identity, Writer
from tollhouse.dialects.reported import Reported, reported_by_anthropic
from tollhouse.dialects.spoken import Said, said_by_anthropic
from tollhouse.errors import Fault
from tollhouse.types.calls import ChatCall

_TYPES: Mapping[int, str] = MappingProxyType({**ERROR_OF_STATUS, 408: "timeout_error", 503: "overloaded_error"})


class AnthropicClient:
    """See `ClientDialect`."""

    __slots__ = ()

    name = NAME
    by_choice = False

    def read(self, body: bytes, path: str, headers: dict[bytes, bytes]) -> ChatCall:
        """The call of a request to ``/v1/messages``."""
        del path
        return read_call(body, headers)

    def reply(self, answer: dict[str, Any], call: ChatCall, identity: Identity, account: Account) -> dict[str, Any]:
        """A ``message``."""
        return message(answer, call, identity, account)

    def native_reply(self, answer: dict[str, Any], call: ChatCall, account: Account) -> dict[str, Any]:
        """A host's own ``message``."""
        return native_message(answer, call, account)

    def writer(self, call: ChatCall, identity: Identity) -> Writer:
        """The events of an answer in the inner form."""
        return MessageStream(call, identity)

    def native_writer(self, call: ChatCall) -> Writer:
        """The events of a host that speaks the dialect."""
        return NativeStream(call)

    def native_told(self, answer: dict[str, Any], call: ChatCall) -> Writer:
        """See `ClientDialect`."""
        writer = NativeStream(call)
        writer.encode(split_message(answer))
        return writer

    def heard(self, piece: Mapping[str, Any]) -> Iterator[Said]:
        """See `ClientDialect`."""
        return said_by_anthropic(piece)

    def reported(self, piece: Mapping[str, Any]) -> Iterator[Reported]:
        """See `ClientDialect`."""
        return reported_by_anthropic(piece)

    def error(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """``{"type": "error", "error": {"type", "message"}, "request_id"}``, and what `Fault.body` holds beside."""
        return error_body(fault, request_id)

    def error_event(self, error: dict[str, Any]) -> bytes:
        """``event: error``: the SDKs go by the event's name."""
        return event("error", error)


def error_body(fault: Fault, request_id: str) -> dict[str, Any]:
    """A failure as Anthropic words it (https://platform.claude.com/docs/en/api/errors). Its type goes by the status."""
    kind = _TYPES.get(fault.status, "invalid_request_error" if fault.status < 500 else "api_error")
    message = fault.message
    if fault.code == "context_length_exceeded" and _TOO_LONG not in message:
        message = f"{_TOO_LONG}: {message}"
    told: dict[str, Any] = {"type": kind, "message": message, "param": fault.param, "code": fault.code}
    if inner := fault.body(request_id)["error"].get("innererror"):
        told["innererror"] = inner
    return {"type": "error", "error": {**told, "error_id": fault.error_id}, "request_id": request_id}


_TOO_LONG = "prompt is too long"
"""Anthropic's own words, by which Claude Code knows that it has to make room."""
ANTHROPIC = AnthropicClient()
