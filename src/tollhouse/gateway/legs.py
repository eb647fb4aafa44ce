"""The streams that one answer is made of: one, or more where it broke off and went on elsewhere (`continuation`).

`gateway.pipeline` relays the last of them. One answer is one charge: the prompt once, and all that the client was
given, at the price of the target that finished it.
"""

from collections.abc import Callable
from typing import Any

from tollhouse.dialects.client import Counted
from tollhouse.gateway.asking import check_stream
from tollhouse.gateway.continuation import Join, Transcript, continued
from tollhouse.gateway.meter import meter_stream, meter_usage
from tollhouse.gateway.trial import OpenStream
from tollhouse.types.calls import ChatCall, Usage

Note = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


class Legs:
    """The legs of one answer."""

    __slots__ = ("_begun_at", "_join", "_ways", "last", "note", "transcript")

    def __init__(self, first: OpenStream, *, noted: bool) -> None:
        """``noted`` is whether the text has to be known in the end: to go on with it, or to check it."""
        self.last = first
        self.transcript = Transcript() if noted and not first.native else None
        if self.transcript is not None:
            self.transcript.plain = not first.several
        self.note: Note | None = self._note if self.transcript is not None else None
        """What each piece passes before it is written; None where nothing has to be known."""
        self._join: Join | None = None
        self._begun_at = 0
        """How many tokens the client had when the last leg began."""
        self._ways = [first.trial.target.id]

    def _note(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._join is not None and not self._join.done:
            chunks = self._join.take(chunks)
        if self.transcript is not None:
            self.transcript.add(chunks)
        return chunks

    def rest(self, call: ChatCall, used_tokens: int) -> ChatCall:
        """The call for what is still missing."""
        return continued(call, self.transcript.text if self.transcript is not None else "", used_tokens)

    def add(self, stream: OpenStream, used_tokens: int) -> None:
        """The answer goes on with this stream."""
        text = self.transcript.text if self.transcript is not None else ""
        self._join = Join(text, stream.trial.target.host.quirks.prefix)
        self._begun_at = used_tokens
        self._ways.append(stream.trial.target.id)
        self.last = stream

    def check(self, call: ChatCall) -> None:
        """Raises `UpstreamFault` where the whole answer is not the JSON that was asked for."""
        if self.transcript is not None and "response_format" in call.body:
            check_stream(call, self.transcript)

    def close(self) -> None:
        """Gives the connection back, or closes it."""
        self.last.incoming.close()

    @property
    def usage(self) -> dict[str, Any] | None:
        """The host's own word, where one host has given the whole answer."""
        return self.last.decoder.usage if len(self._ways) == 1 else None

    def meter(self, call: ChatCall, writer: Counted, *, whole: bool) -> Usage:
        """What the answer used."""
        if len(self._ways) == 1:
            return meter_stream(self.last.decoder.usage, call, writer, whole=whole)
        usage = meter_stream(None, call, writer, whole=whole)
        said = meter_usage(self.last.decoder.usage) if whole else None
        if said is None:
            return usage
        return Usage(input=usage.input, output=self._begun_at + said.completion, estimated=True)

    def notes(self, others: dict[str, Any]) -> dict[str, Any]:
        """These notes, and of an answer that went on elsewhere, which targets gave it."""
        return others if len(self._ways) == 1 else {**others, "_failover": self._ways}
