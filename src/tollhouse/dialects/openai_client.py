"""OpenAI's chat completions as a client's dialect. It is the inner form too, so there is nothing to pass through."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from tollhouse.dialects.client import Account, Identity, Writer
from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.replies import normalise_reply
from tollhouse.dialects.reported import Reported, reported
from tollhouse.dialects.spoken import Said, said_in_reply
from tollhouse.dialects.usage import price
from tollhouse.errors import Fault
from tollhouse.types.calls import ChatCall
from tollhouse.validate.chat import read_chat

_encode: Final = msgspec.json.Encoder().encode


class OpenAIClient:
    """See `ClientDialect`."""

    __slots__ = ()

    name = "openai"
    by_choice = True

    def read(self, body: bytes, path: str, headers: dict[bytes, bytes]) -> ChatCall:
        """The call of a request body."""
        del path, headers
        return read_chat(body)

    def reply(self, answer: dict[str, Any], call: ChatCall, identity: Identity, account: Account) -> dict[str, Any]:
        """A ``chat.completion``."""
        reply = normalise_reply(answer, identity.id, identity.created, call.model, metered=account.usage)
        if isinstance(usage := reply.get("usage"), dict):
            price(usage, account.cost_nusd)  # which `normalise_reply` has just made
        reply.update(account.notes)
        if account.results:
            for choice in reply["choices"]:
                if (results := account.results.get(choice["index"])) is not None:
                    choice["content_filter_results"] = results
        return reply

    def native_reply(self, answer: dict[str, Any], call: ChatCall, account: Account) -> dict[str, Any]:
        """Never called: the inner form is this dialect."""
        raise NotImplementedError

    def writer(self, call: ChatCall, identity: Identity) -> Writer:
        """``chat.completion.chunk`` events."""
        return ChatStream(identity.id, identity.created, call.model, call.include_usage)

    def native_writer(self, call: ChatCall) -> Writer:
        """Never called: the inner form is this dialect."""
        raise NotImplementedError

    def native_told(self, answer: dict[str, Any], call: ChatCall) -> Writer:
        """Never called: the inner form is this dialect."""
        raise NotImplementedError

    def heard(self, piece: Mapping[str, Any]) -> Iterator[Said]:
        """Never called for a native answer, for the inner form is this dialect."""
        return said_in_reply(piece)

    def reported(self, piece: Mapping[str, Any]) -> Iterator[Reported]:
        """See `ClientDialect`."""
        return reported(piece)

    def error(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """``{"error": {...}}``."""
        return fault.body(request_id)

    def error_event(self, error: dict[str, Any]) -> bytes:
        """``data: {"error": ...}``: the first key, in compact JSON, for go-openai looks for exactly that."""
        return b"data: " + _encode(error) + b"\n\n"


OPENAI: Final = OpenAIClient()
