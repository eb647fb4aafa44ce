"""What a client's dialect is: how its requests are read, and how answers and errors are written in it. Pure.

`gateway.pipeline` serves each of them with the same path. A dialect is one object with these methods; what one stream
needs is in the `Writer` made for it. Answers arrive in the inner form (`docs/dialects.md`), or, where the upstream
speaks the same dialect (``native``), as its own objects.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

from msgspec import Raw

from tollhouse.dialects.reported import Reported
from tollhouse.dialects.spoken import Said
from tollhouse.errors import Fault
from tollhouse.types.calls import ChatCall, Usage
from tollhouse.types.values import Value

Told = Mapping[str, Any] | Raw
"""An object as answers hold it, or its JSON."""
NO_RESULTS: Mapping[int, Told] = MappingProxyType({})


class Identity(Value, frozen=True):
    """Which answer this is: an id in OpenAI's form (``chatcmpl-`` and more), and Unix seconds."""

    id: str
    created: int


class Account:
    """What an answer took and cost, for its last words. Never changed."""

    __slots__ = ("cost_nusd", "notes", "raw", "results", "usage")

    def __init__(
        self,
        usage: Usage,
        raw: Mapping[str, Any] | None,
        cost_nusd: int,
        notes: dict[str, Any],
        results: Mapping[int, Told] = NO_RESULTS,
    ) -> None:
        self.usage = usage
        self.raw = raw
        """The host's own usage object in OpenAI's form; None where it stated none."""
        self.cost_nusd = cost_nusd
        self.notes = notes
        """Members that every answer carries (`gateway.annotate.notes`)."""
        self.results = results
        """``content_filter_results`` of each choice, for dialects with `ClientDialect.by_choice`; of others ``notes``
        holds them."""


class Counted(Protocol):
    """What a stream is metered by where its host does not say."""

    def tokens(self) -> int:
        """About how many tokens the client has been given; 0 before the first."""

    def sound_tokens(self) -> int:
        """How many of them are sound."""


class Writer(Counted, Protocol):
    """One streamed answer, as bytes. It takes the chunks over: the dicts given to `encode` are changed."""

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """The events of these chunks, ready for one write; empty when they tell the client nothing yet.

        Raises `UpstreamBadResponse` for what JSON cannot carry.
        """

    def finish(self, account: Account) -> bytes:
        """The end of a whole answer: finish reason, usage, and what marks the end."""

    def heartbeat(self) -> bytes:
        """An event that says nothing, whatever was said before."""


class ClientDialect(Protocol):
    """A dialect that clients speak."""

    name: str
    """As `Provider.dialect`."""
    by_choice: bool
    """Whether clients look for safety results on each choice."""

    def read(self, body: bytes, path: str, headers: dict[bytes, bytes]) -> ChatCall:
        """The call of a request. ``path`` is what the braces of the route stand for, empty where it has none; the names
        of ``headers`` are lower-case.

        Raises `InvalidRequest`.
        """

    def reply(self, answer: dict[str, Any], call: ChatCall, identity: Identity, account: Account) -> dict[str, Any]:
        """A whole answer in the inner form, as the client expects it. ``answer`` is taken over."""

    def native_reply(self, answer: dict[str, Any], call: ChatCall, account: Account) -> dict[str, Any]:
        """A whole answer of a host that speaks the dialect, changed only where it must be: the model's name, the cost.
        ``answer`` is taken over.
        """

    def writer(self, call: ChatCall, identity: Identity) -> Writer:
        """For a stream in the inner form."""

    def native_writer(self, call: ChatCall) -> Writer:
        """For a stream of a host that speaks the dialect."""

    def native_told(self, answer: dict[str, Any], call: ChatCall) -> Writer:
        """A writer that has told a whole answer of such a host, for what it counts. ``answer`` is not changed."""

    def heard(self, piece: Mapping[str, Any]) -> Iterator[Said]:
        """What one of the dialect's own objects says: a whole answer, or an event of a stream."""

    def reported(self, piece: Mapping[str, Any]) -> Iterator[Reported]:
        """What the host says of safety in such an object."""

    def error(self, fault: Fault, request_id: str) -> dict[str, Any]:
        """The JSON of a failure."""

    def error_event(self, error: dict[str, Any]) -> bytes:
        """The last event of a stream that failed, from `error`."""
