"""One attempt: one target asked once. `gateway.attempts` makes a `Trial` for each, and decides what follows from it.

A trial knows nothing of the others. It raises an `UpstreamFault`, or gives an answer that has begun: whole, or a stream
that has said something. Until a stream says something its chunks are held back: hosts open a stream with an empty delta
and may still fail, and the answer of the host that takes over must be the only one that the client sees.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Final

import msgspec

from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamRejected
from tollhouse.gateway.continuation import marked
from tollhouse.gateway.fidelity import refuse_losses
from tollhouse.gateway.meter import meter_usage
from tollhouse.gateway.replay_wishes import keep_seed
from tollhouse.ledger.prices import Bid
from tollhouse.providers.protocol import ChatDecoder, Encoded, passes
from tollhouse.snapshot import Snapshot
from tollhouse.types.calls import ChatCall, Host, Loss
from tollhouse.types.wire import Connector, Incoming, Outgoing
from tollhouse.upstream.reply import Reply

_ERROR_BODY_BYTES: Final = 64 * 1024
_ID_CHARS: Final = 128
_SECRET_CHARS: Final = 6
"""Shorter values (a version, a region) are words of ordinary text."""
_decode: Final = msgspec.json.Decoder().decode


class WholeReply:
    """A complete answer."""

    __slots__ = ("decoder", "native", "reply", "trial")

    def __init__(self, trial: "Trial", reply: dict[str, Any], decoder: ChatDecoder, *, native: bool) -> None:
        self.trial = trial
        self.reply = reply
        self.decoder = decoder
        self.native = native
        """Whether it is in the client's own dialect, and not in the inner form."""

    def discard(self) -> None:
        """It has been read to its end already."""


class OpenStream:
    """A stream that has begun to say something: what it said, and where the rest comes from."""

    __slots__ = ("chunks", "decoder", "incoming", "native", "several", "trial")

    def __init__(self, trial: "Trial", incoming: Incoming, decoder: ChatDecoder, *, native: bool) -> None:
        self.trial = trial
        self.incoming = incoming
        self.decoder = decoder
        self.native = native
        """Whether its chunks are the client's own dialect, and not the inner form."""
        self.several = False
        """Whether more than one choice was asked for: such an answer cannot go on elsewhere."""
        self.chunks: list[dict[str, Any]] = []

    @classmethod
    def of_reply(cls, trial: "Trial", chunks: list[dict[str, Any]], decoder: ChatDecoder) -> "OpenStream":
        """A whole answer, cut into the chunks of a stream."""
        stream = cls(trial, Ended(), Said(decoder.usage), native=False)
        stream.chunks = chunks
        return stream

    def discard(self) -> None:
        """Hangs up: another answer was faster."""
        self.incoming.close()


class Ended:
    """See `Incoming`: an answer that has been read."""

    __slots__ = ()

    status = 200
    headers: ClassVar[dict[str, str]] = {}
    request_id = None

    async def read(self, limit: int) -> bytes:  # noqa: ARG002  (the protocol's)
        """Nothing more."""
        return b""

    async def next(self) -> bytes:
        """Nothing more."""
        return b""

    def close(self) -> None:
        """There is nothing to close."""


class Said:
    """See `ChatDecoder`: an answer that has been decoded."""

    __slots__ = ("done", "usage")

    def __init__(self, usage: dict[str, Any] | None) -> None:
        self.usage = usage
        self.done = True

    def reply(self, body: bytes) -> dict[str, Any]:
        """Never called."""
        raise NotImplementedError

    def commits(self, chunk: dict[str, Any]) -> bool:
        """Every chunk was seen."""
        del chunk
        return True

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """Nothing more."""
        del data
        return []

    def finish(self) -> list[dict[str, Any]]:
        """Nothing more."""
        return []


class Trial:
    """One target asked once, and what became of it."""

    __slots__ = (
        "_encoded", "_now", "_snapshot", "answered_at", "bid", "decoder", "goes_on", "losses", "policy", "started_at",
        "target", "turn", "upstream_id",
    )  # fmt: skip

    def __init__(self, snapshot: Snapshot, bid: Bid, policy: str, now: Callable[[], float], started_at: float) -> None:
        self._snapshot = snapshot
        self.bid = bid
        self.target = bid.target
        self.policy = policy
        """What is done about parameters that the target does not honour (`gateway.fidelity`)."""
        self._now = now
        self.started_at = started_at
        self.turn = 0
        """How often the target has been asked before, for this call."""
        self.goes_on = False
        """Whether it is asked for the rest of an answer, and not for all of one."""
        self.losses: tuple[Loss, ...] = ()
        self.decoder: ChatDecoder | None = None
        self.answered_at = 0.0
        """When the head of its answer came; 0 before."""
        self.upstream_id: str | None = None
        self._encoded: tuple[ChatCall, Encoded] | None = None

    def sibling(self) -> "Trial":
        """Another request to the same target, for the same call."""
        return Trial(self._snapshot, self.bid, self.policy, self._now, self._now())

    def loses(self, call: ChatCall, param: str) -> bool:
        """Whether the target would not be told of a parameter."""
        encoded = self._encode(call)
        self._encoded = call, encoded
        return param in encoded.dropped

    def _encode(self, call: ChatCall) -> Encoded:
        """The request: the one that `loses` has made of this call, if it has, and kept no longer."""
        known, self._encoded = self._encoded, None
        if known is not None and known[0] is call:
            return known[1]
        return self._snapshot.providers[self.target.provider].encode_chat(call, self.target, self.bid.output_cap)

    def wasted(self) -> int:
        """What a trial that failed cost all the same, as far as its host has said, in nano-USD: the operator's."""
        usage = meter_usage(self.decoder.usage) if self.decoder is not None else None
        return self.bid.price.charge(usage) if usage is not None else 0

    def prepare(self, call: ChatCall) -> tuple[Outgoing, ChatDecoder]:
        """The request, and what reads its answer. Raises `UpstreamUnfit` where the client insists on what is lost."""
        provider = self._snapshot.providers[self.target.provider]
        if self.goes_on:
            call = marked(call, self.target.host.quirks.prefix)
        encoded = self._encode(call)
        self.losses = encoded.losses
        if call.losses and not passes(provider, call):
            self.losses = (*call.losses, *encoded.losses)
        if call.keeps_seed and self.losses:
            self.losses = keep_seed(self.losses)
        if self.losses and self.policy == "strict":
            refuse_losses(self.losses, self.target)
        decoder = self.decoder = provider.decode_chat(call, self.target)
        return encoded.outgoing, decoder

    async def exchange(self, outgoing: Outgoing, connector: Connector | None = None) -> Incoming:
        """Sends a request: the reply when its status is 200, else the fault it stands for."""
        incoming = await self._send(outgoing, connector)
        if not self._is_answer(incoming):
            raise await self._refusal(incoming)
        return incoming

    def _send(self, outgoing: Outgoing, connector: Connector | None = None) -> Awaitable[Incoming]:
        host = self.target.host
        return (connector or self._snapshot.connectors[host.name]).send(outgoing, host.timeouts)

    def _is_answer(self, incoming: Incoming) -> bool:
        """Whether a reply whose head has come is an answer, and no error."""
        self.answered_at = self._now()
        self.upstream_id = incoming.request_id
        return incoming.status == 200

    async def _refusal(self, incoming: Incoming) -> UpstreamFault:
        """The fault that an error stands for. Closes it."""
        try:
            body = await incoming.read(_ERROR_BODY_BYTES)
        except UpstreamFault:
            body = b""
        finally:
            incoming.close()
        return self._snapshot.providers[self.target.provider].decode_error(incoming.status, incoming.headers, body)

    async def complete(self, call: ChatCall) -> WholeReply:
        """Asks for a whole answer."""
        outgoing, decoder = self.prepare(call)
        incoming = await self._send(outgoing)
        if not self._is_answer(incoming):
            raise await self._refusal(incoming)
        limit = self._snapshot.max_response_bytes
        body = incoming.whole(limit) if isinstance(incoming, Reply) else None
        if body is None:
            try:
                body = await incoming.read(limit)
            finally:
                incoming.close()
        reply = decoder.reply(body)
        if self.upstream_id is None and type(answer_id := reply.get("id")) is str:
            self.upstream_id = answer_id[:_ID_CHARS]
        return WholeReply(self, reply, decoder, native=self._passes(call))

    async def open(self, call: ChatCall) -> OpenStream:
        """Asks for a stream and waits for its first content. The caller closes ``incoming``."""
        outgoing, decoder = self.prepare(call)
        incoming = await self._send(outgoing)
        if not self._is_answer(incoming):
            raise await self._refusal(incoming)
        stream = OpenStream(self, incoming, decoder, native=self._passes(call))
        opened = False
        try:
            while not opened:
                data = await incoming.next()
                stream.chunks += decoder.feed(data) if data else decoder.finish()
                if decoder.done and not any(map(decoder.commits, stream.chunks)):
                    stream.chunks += decoder.finish()
                opened = decoder.done or not data or any(map(decoder.commits, stream.chunks))
            if not stream.chunks:
                opened = False
                raise UpstreamBadResponse("The upstream's stream ended before it said anything.")
        finally:
            if not opened:
                incoming.close()
        return stream

    def _passes(self, call: ChatCall) -> bool:
        return call.native is not None and passes(self._snapshot.providers[self.target.provider], call)


def conceal(fault: UpstreamFault, host: Host) -> None:
    """Takes the host's own secrets out of a fault's text."""
    fault.message = without_secrets(fault.message, host)


def name_host(fault: UpstreamFault, host: Host) -> None:
    """Says in a fault's text which host failed. What a host said of the request itself is passed on word for word."""
    if not isinstance(fault, UpstreamRejected):
        fault.message = f"{fault.message} (host: {host.name})"


def without_secrets(text: str, host: Host) -> str:
    """A host's text without the host's own secrets, whatever they look like: hosts print what they were sent."""
    secrets = [value for _, value in host.headers] + [secret.reveal() for _, secret in host.secrets]
    if host.credential is not None:
        secrets.append(host.credential.reveal())
    for secret in secrets:
        if len(secret) >= _SECRET_CHARS:
            text = text.replace(secret, "[redacted]")
    return text


def decode_answer(data: bytes) -> Any:
    """A host's JSON. Raises `UpstreamBadResponse`."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UpstreamBadResponse("The upstream's answer is not JSON.") from error
