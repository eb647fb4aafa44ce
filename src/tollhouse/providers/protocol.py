"""What a provider is: three pure functions between the gateway's values and one family of hosts' wire format.

`gateway.attempts` calls them. A provider holds no state; what one answer needs is in the decoder made for it. The inner
form of an answer is OpenAI's: a ``chat.completion`` dict, or a list of ``chat.completion.chunk`` dicts, with the
extensions that `docs/dialects.md` names. Where the client speaks the host's own dialect (`passes`), both directions are
passed through instead. Each file of this package has one module-level instance, ``PROVIDER``.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from tollhouse.errors import UpstreamFault
from tollhouse.types.calls import ChatCall, Loss, Target
from tollhouse.types.wire import Outgoing


class Encoded:
    """A request ready to send, and what of the client's wishes the host does not honour as it stands. Never changed."""

    __slots__ = ("losses", "outgoing")

    def __init__(self, outgoing: Outgoing, losses: tuple[Loss, ...] = ()) -> None:
        self.outgoing = outgoing
        self.losses = losses

    @property
    def dropped(self) -> tuple[str, ...]:
        """The names of what is not sent at all."""
        return tuple([loss.param for loss in self.losses if loss.how == "dropped"])


class ChatDecoder(Protocol):
    """One answer, read. Either `reply` is called once, or `feed` until the body ends and then `finish`.

    The dicts are the caller's to change. In every chunk ``choices`` is a list, and each choice has an ``index``, a
    ``delta`` object and a ``finish_reason``; ``usage`` and ``error`` are never in it. Where the call is passed through,
    replies and chunks are the dialect's own objects, events with their ``type``.
    """

    usage: dict[str, Any] | None
    """The host's usage as last seen, in OpenAI's form, or ``None``."""
    done: bool
    """The stream is over: its terminal marker was seen, `finish` found it whole, or a fault that `finish` raises."""

    def reply(self, body: bytes) -> dict[str, Any]:
        """A whole answer as a ``chat.completion``.

        Raises `UpstreamBadResponse`, or the fault that an error object in the body stands for.
        """

    def commits(self, chunk: dict[str, Any]) -> bool:
        """Whether a chunk says something, so that a client who saw it has begun to read this answer and no other
        (`dialects.replies.says_something`).
        """

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that these bytes complete.

        Raises `UpstreamBadResponse`, `UpstreamTooLarge`, or the fault that an error event stands for. A fault that
        follows chunks of the same read sets `done`, and the next call raises it: where reads are cut changes nothing.
        """

    def finish(self) -> list[dict[str, Any]]:
        """The rest, at the end of the body. Raises what `feed` does, and `UpstreamInterrupted`."""


class Provider(Protocol):
    """One family of hosts."""

    dialect: str
    """What its hosts speak; where a client speaks the same, `passes`."""

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """The request for one target. ``cap`` is the most tokens of one answer, in place of the client's own."""

    def decode_chat(self, call: ChatCall, target: Target) -> ChatDecoder:
        """A fresh decoder for one attempt's answer."""

    def encode_relay(self, kind: str, content_type: str, body: bytes, target: Target) -> Outgoing:
        """The request for another endpoint of OpenAI's API; ``kind`` is its path below the base URL. Raises
        `UpstreamModelMissing` where the host has no such endpoint.
        """

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """The fault that an answer with a status other than 200 stands for. Never raises. Names are lower-case."""


def passes(provider: Provider, call: ChatCall) -> bool:
    """Whether a call goes through in the client's own dialect, for the host speaks it too."""
    return call.native is not None and provider.dialect == call.dialect
