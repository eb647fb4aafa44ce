"""Attempts: the targets of a plan, one after the other, until one answers.

Theory of operation
-------------------
An attempt fails with an `UpstreamFault`. If the fault is the target's own (``retryable``), the next target is asked;
if it is about the request, the client is told at once, for every other target would say the same. All of this happens
before the first byte of content reaches the client; after it there is no second attempt, only an error event.

For a stream that moment is the first chunk that carries content, a tool call or a finish reason. Until then chunks are
held back: hosts open a stream with an empty delta and may still fail, and the answer of the host that takes over must
be the only one the client sees.

Every attempt is recorded, whatever became of it. With one target its own fault is raised, and its text names the host;
with several, one fault that names each of them, and ``x-should-retry: false``, because the retries have been made
already.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from tollhouse.errors import (
    UpstreamAuth,
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
    let_go,
)
from tollhouse.gateway.fidelity import fidelity_lines, refuse_losses
from tollhouse.gateway.meter import meter_usage
from tollhouse.ledger.prices import Bid
from tollhouse.providers.protocol import ChatDecoder, Provider, passes
from tollhouse.snapshot import Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.calls import ChatCall, Host, Loss, Target
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.wire import Connector, Incoming, Outgoing
from tollhouse.web.heads import header_line

_ERROR_BODY_BYTES = 64 * 1024
_ID_CHARS = 128
_SECRET_CHARS = 6
"""Shorter values (a version, a region) are words of ordinary text."""
T = TypeVar("T")
_decode = msgspec.json.Decoder().decode


class OpenStream:
    """A stream that has begun to say something: what it said, and where the rest comes from."""

    __slots__ = ("bid", "chunks", "decoder", "incoming", "native", "target")

    def __init__(self, bid: Bid, incoming: Incoming, decoder: ChatDecoder, *, native: bool) -> None:
        self.bid = bid
        self.target = bid.target
        self.incoming = incoming
        self.decoder = decoder
        self.native = native
        """Whether its chunks are the client's own dialect, and not the inner form."""
        self.chunks: list[dict[str, Any]] = []


class WholeReply:
    """A complete answer."""

    __slots__ = ("bid", "decoder", "native", "reply", "target")

    def __init__(self, bid: Bid, reply: dict[str, Any], decoder: ChatDecoder, *, native: bool) -> None:
        self.bid = bid
        self.target = bid.target
        self.reply = reply
        self.decoder = decoder
        self.native = native
        """Whether it is in the client's own dialect, and not in the inner form."""


class Attempts:
    """The attempts of one call."""

    __slots__ = (
        *("_bids", "_decoder", "_losses", "_metrics", "_now", "_snapshot", "_started_at", "_upstream_id"),
        *("log", "policy", "records"),
    )

    def __init__(self, snapshot: Snapshot, bids: tuple[Bid, ...], metrics: Metrics, now: Callable[[], float]) -> None:
        self.policy = "report"
        """What is done about parameters that a target does not honour (`gateway.fidelity`)."""
        self._losses: tuple[Loss, ...] = ()
        self._snapshot = snapshot
        self._bids = bids
        self._metrics = metrics
        self._now = now
        self._started_at = 0.0
        self._upstream_id: str | None = None
        self._decoder: ChatDecoder | None = None
        self.log: list[tuple[str, str]] = []
        """For each attempt, the target's id and ``ok`` or the code of its fault."""
        self.records: tuple[AttemptRecord, ...] = ()
        """The same for the ledger."""

    async def first(self, attempt: Callable[[Bid], Awaitable[T]]) -> T:
        """The result of the first target that gives one. Raises `UpstreamFault`."""
        faults: list[UpstreamFault] = []
        for bid in self._bids:
            target = bid.target
            self._upstream_id = self._decoder = None
            self._losses = ()
            try:
                result = await attempt(bid)
            except UpstreamFault as fault:
                conceal(fault, target.host)
                name_host(fault, target.host)
                fault.headers.setdefault("x-tollhouse-target", target.id)
                if isinstance(fault, UpstreamAuth):  # only an operator can mend it: an SDK need not try again
                    fault.headers.setdefault("x-should-retry", "false")
                self._record(target, fault, self._wasted(bid))
                let_go(fault)
                faults.append(fault)
                if not fault.retryable:
                    raise
            else:
                self._record(target, None)
                return result
        raise self._failure(faults)

    def _wasted(self, bid: Bid) -> int:
        """What an attempt that failed cost all the same, as far as its host has said, in nano-USD: the operator's."""
        usage = meter_usage(self._decoder.usage) if self._decoder is not None else None
        return bid.price.charge(usage) if usage is not None else 0

    def _record(self, target: Target, fault: UpstreamFault | None, cost_nusd: int = 0) -> None:
        outcome = label = "ok"
        if fault is not None:
            outcome = fault.code or "rejected"
            label = type(fault).code or "rejected"  # the class's: a host's own codes are without number
        self.log.append((target.id, outcome))
        took_ms = int((self._now() - self._started_at) * 1000)
        self.records += (AttemptRecord(target.id, outcome, self._upstream_id, took_ms, cost_nusd, self._losses),)
        self._metrics.add("tollhouse_attempts", target.host.name, label)

    def _failure(self, faults: list[UpstreamFault]) -> UpstreamFault:
        if len(faults) == 1:
            return faults[0]
        tried = "; ".join([f"{target}: {outcome}" for target, outcome in self.log])
        waits = [int(fault.headers["retry-after"]) for fault in faults if "retry-after" in fault.headers]
        headers = {"x-should-retry": "false"} | ({"retry-after": str(min(waits))} if waits else {})
        if all(isinstance(fault, UpstreamRateLimited) for fault in faults):
            return UpstreamRateLimited(f"Every target is rate limited ({tried}).", headers=headers)
        return UpstreamUnavailable(f"Every target failed ({tried}).", headers=headers)

    def broke_off(self, target: Target, fault: UpstreamFault) -> None:
        """An answer failed after its first content: nobody else can be asked, but it is seen."""
        conceal(fault, target.host)
        name_host(fault, target.host)
        self._metrics.add("tollhouse_answers_broken_off", target.host.name, type(fault).code or "rejected")

    def headers(self, target: Target) -> str:
        """The header lines that tell the client who answered, after how many attempts, and how faithfully."""
        lines = header_line("x-tollhouse-target", target.id)
        if len(self.log) > 1:
            lines += f"x-tollhouse-attempts: {len(self.log)}\r\n"
        return lines + fidelity_lines(self._losses, self.policy)

    def encode(self, call: ChatCall, bid: Bid, provider: Provider) -> Outgoing:
        """The request for one target. Raises `UpstreamUnfit` where the client insists on what would be lost."""
        encoded = provider.encode_chat(call, bid.target, bid.output_cap)
        self._losses = encoded.losses
        if encoded.losses and self.policy == "strict":
            refuse_losses(encoded.losses, bid.target)
        return encoded.outgoing

    async def exchange(self, target: Target, outgoing: Outgoing, connector: Connector | None = None) -> Incoming:
        """One request to a target: its reply when the status is 200, else the fault it stands for."""
        started_at = self._started_at = self._now()
        host = target.host
        incoming = await (connector or self._snapshot.connectors[host.name]).send(outgoing, host.timeouts)
        self._metrics.observe("tollhouse_first_token_seconds", host.name, self._now() - started_at)
        self._upstream_id = incoming.request_id
        if incoming.status == 200:
            return incoming
        try:
            body = await incoming.read(_ERROR_BODY_BYTES)
        except UpstreamFault:
            body = b""
        finally:
            incoming.close()
        raise self._snapshot.providers[target.provider].decode_error(incoming.status, incoming.headers, body)

    async def complete(self, call: ChatCall, bid: Bid) -> WholeReply:
        """Asks for a whole answer."""
        target = bid.target
        provider = self._snapshot.providers[target.provider]
        outgoing = self.encode(call, bid, provider)
        decoder = self._decoder = provider.decode_chat(call, target)
        incoming = await self.exchange(target, outgoing)
        try:
            body = await incoming.read(self._snapshot.max_response_bytes)
        finally:
            incoming.close()
        reply = decoder.reply(body)
        if self._upstream_id is None and type(answer_id := reply.get("id")) is str:
            self._upstream_id = answer_id[:_ID_CHARS]
        return WholeReply(bid, reply, decoder, native=passes(provider, call))

    async def open(self, call: ChatCall, bid: Bid) -> OpenStream:
        """Asks for a stream and waits for its first content. The caller closes ``incoming``."""
        target = bid.target
        provider = self._snapshot.providers[target.provider]
        outgoing = self.encode(call, bid, provider)
        decoder = self._decoder = provider.decode_chat(call, target)
        incoming = await self.exchange(target, outgoing)
        stream = OpenStream(bid, incoming, decoder, native=passes(provider, call))
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


def conceal(fault: UpstreamFault, host: Host) -> None:
    """Takes the host's own secrets out of a fault's text."""
    fault.message = without_secrets(fault.message, host)


def name_host(fault: UpstreamFault, host: Host) -> None:
    """Says in a fault's text which host failed. What a host said of the request itself is passed on word for word."""
    if not isinstance(fault, UpstreamRejected):
        fault.message = f"{fault.message} (host: {host.name})"


def without_secrets(text: str, host: Host) -> str:
    """A host's text without the host's own secrets, whatever they look like: hosts print what they were sent."""
    secrets = [value for _, value in host.headers]
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
