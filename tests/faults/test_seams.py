"""A program error in any stage of a request still resolves its hold (S45).

Nothing is patched: real parts are subclassed, each to raise at one call, and put into the snapshot or the gateway where
the real one was. What is raised is an error that nobody maps.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.chaos import ChaosUpstream, Send
from tests.fakes.door import Answer, Door, eventually, opened
from tests.fakes.openai_wire import completion, failure, stream
from tests.faults.kit import ASK, BILLED_NUSD, STREAM, delivered_nusd, judged, pays, priced, till
from tollhouse.app import TokenMeter
from tollhouse.errors import Fault, UpstreamFault
from tollhouse.gateway.limits import Lease, Limits
from tollhouse.providers.openai import ChatReader, OpenAI
from tollhouse.providers.protocol import Encoded
from tollhouse.types.calls import ChatCall, Target, Usage
from tollhouse.types.tenancy import Principal
from tollhouse.types.wire import Connector, Incoming, Outgoing, Timeouts

pytestmark = pytest.mark.interpreted


class Bug(Exception):
    """A program error."""


class Seams:
    """Which call is to fail."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.hits = 0
        self.charges: list[int] = []
        """What the requests in between came to."""

    def hit(self, name: str, after: int = 1) -> None:
        """Raises at the given pass of the call that is to fail."""
        if name == self.name:
            self.hits += 1
            if self.hits >= after:
                raise Bug(name)


class Poisoned(dict[str, Any]):
    """An object that cannot be looked into."""

    def get(self, name: str, *_: Any) -> Any:
        """Nothing."""
        raise Bug(name)

    def items(self) -> Any:
        """Nothing."""
        raise Bug("items")


class Reading(ChatReader):
    """The real decoder."""

    seams: Seams

    def reply(self, body: bytes) -> dict[str, Any]:
        """See `ChatDecoder`."""
        found = super().reply(body)
        self.seams.hit("decoder.reply")
        if self.seams.name == "normalise":
            self.seams.hits += 1
            found["usage"] = Poisoned(found["usage"])
        return found

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """See `ChatDecoder`."""
        self.seams.hit("decoder.feed")
        self.seams.hit("decoder.feed in mid-stream", after=5)
        return super().feed(data)

    def finish(self) -> list[dict[str, Any]]:
        """See `ChatDecoder`."""
        self.seams.hit("decoder.finish")
        return super().finish()


class Provides(OpenAI):
    """The real provider."""

    def __init__(self, seams: Seams) -> None:
        super().__init__()
        self._seams = seams

    def encode_chat(self, call: ChatCall, target: Target, cap: int | None = None) -> Encoded:
        """See `Provider`."""
        self._seams.hit("provider.encode_chat")
        return super().encode_chat(call, target, cap)

    def decode_chat(self, call: ChatCall, target: Target) -> Reading:
        """See `Provider`."""
        del call
        self._seams.hit("provider.decode_chat")
        found = Reading(target.host.max_event_bytes)
        found.seams = self._seams
        return found

    def decode_error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
        """See `Provider`."""
        self._seams.hit("provider.decode_error")
        return super().decode_error(status, headers, body)


class Arrives:
    """A real reply."""

    def __init__(self, inner: Incoming, seams: Seams) -> None:
        self._inner = inner
        self._seams = seams
        self.status = inner.status

    @property
    def headers(self) -> dict[str, str]:
        """See `Incoming`."""
        return self._inner.headers

    @property
    def request_id(self) -> str | None:
        """See `Incoming`."""
        return self._inner.request_id

    async def read(self, limit: int) -> bytes:
        """See `Incoming`."""
        self._seams.hit("reply.read")
        return await self._inner.read(limit)

    async def next(self) -> bytes:
        """See `Incoming`."""
        self._seams.hit("reply.next")
        self._seams.hit("reply.next in mid-stream", after=5)
        return await self._inner.next()

    def close(self) -> None:
        """See `Incoming`."""
        self._inner.close()
        self._seams.hit("reply.close")


class Connects:
    """A real pool."""

    def __init__(self, inner: Connector, seams: Seams) -> None:
        self._inner = inner
        self._seams = seams

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """See `Connector`."""
        self._seams.hit("pool.send")
        return Arrives(await self._inner.send(outgoing, timeouts), self._seams)

    async def aclose(self) -> None:
        """See `Connector`."""
        await self._inner.aclose()


class Counts(TokenMeter):
    """The real meter."""

    seams: Seams

    def record(self, target: Target, usage: Usage) -> None:
        """See `Meter`."""
        self.seams.hit("meter.record")
        super().record(target, usage)


class Leased(Lease):
    """A lease that takes nothing, as that of a key without limits."""

    __slots__ = ("seams",)

    def __init__(self, seams: Seams) -> None:
        self.seams = seams
        self.admitted_at = self.tokens = 0
        self.soft = ()

    def reserve(self, model: str, tokens: int) -> None:
        """See `Lease`."""
        del model, tokens
        self.seams.hit("lease.reserve")

    def correct(self, tokens: int) -> None:
        """See `Lease`."""
        del tokens
        self.seams.hit("lease.correct")

    def leave(self) -> None:
        """See `Lease`."""

    def withdraw(self) -> None:
        """See `Lease`."""

    def headers(self) -> str:
        """See `Lease`."""
        self.seams.hit("lease.headers")
        return ""

    def tell(self, fault: Fault) -> None:
        """See `Lease`."""


class Limited(Limits):
    """The real limits, but for their leases."""

    seams: Seams

    def admit(self, principal: Principal) -> Lease:
        """See `Limits`."""
        del principal
        self.seams.hit("limits.admit")
        return Leased(self.seams)


def sabotage(door: Door, seams: Seams) -> None:
    """Puts the parts in place of the real ones."""
    app, live = door.app, door.app.parts.live
    connectors = {name: Connects(inner, seams) for name, inner in live.snapshot.connectors.items()}
    live.snapshot = replace(live.snapshot, providers={"openai": Provides(seams)}, connectors=connectors)
    meter = Counts(app.parts.metrics)
    limits = Limited(live.snapshot.settings, app.parts.metrics)
    meter.seams = limits.seams = seams
    app.ledger.meter = meter
    app.gate.limits = app.limits = limits


NOTHING, PART, ALL = "nothing", "a part", "all"
BEFORE = {
    **dict.fromkeys(("limits.admit", "lease.reserve", "provider.encode_chat", "provider.decode_chat"), NOTHING),
    "pool.send": NOTHING,
}
JSON_STAGES = {**BEFORE, "reply.read": NOTHING, "reply.close": NOTHING, "decoder.reply": NOTHING}
JSON_STAGES |= dict.fromkeys(("meter.record", "lease.correct", "lease.headers", "normalise"), ALL)
STREAM_STAGES = {**BEFORE, "reply.next": NOTHING, "decoder.feed": NOTHING, "lease.headers": NOTHING}
STREAM_STAGES |= dict.fromkeys(("reply.next in mid-stream", "decoder.feed in mid-stream"), PART)
STREAM_STAGES |= dict.fromkeys(("decoder.finish", "meter.record", "lease.correct"), ALL)


async def one_bug(seams: Seams, body: dict[str, Any], answer: bytes) -> Answer:
    """A request in which one call raises: told as a bug, once, and the next one is served."""
    play = [Send(answer, size=200, gap_s=0.002)]
    async with till(play) as (door, _):
        whole = await door.post(body)
        assert whole.status == 200
        snapshot, limits, meter = door.app.parts.live.snapshot, door.app.limits, door.app.ledger.meter
        sabotage(door, seams)
        broken = await door.post(body)
        assert seams.hits > 0, "the stage was never reached"
        assert b"Bug" not in broken.body
        door.app.parts.live.snapshot, door.app.limits, door.app.gate.limits = snapshot, limits, limits
        door.app.ledger.meter = meter
        again = await door.post(body)
        assert again.status == 200
        first, *between, last = await judged(door)
        assert (first.charge, last.charge) == (BILLED_NUSD, BILLED_NUSD)
        assert all(hold.state in {"settled", "released"} for hold in between)
        seams.charges = [hold.charge for hold in between]
        door.app.parts.log.flush()
        await eventually(lambda: b'"event":"bug"' in door.log.getvalue())
        return broken


@pytest.mark.parametrize("stage", JSON_STAGES)
async def test_s45_a_bug_in_any_stage_of_an_answer_resolves_its_hold(stage: str) -> None:
    """Whatever call raises, the client gets 500, the hold is released or settled, and the next request is served."""
    seams = Seams(stage)
    answer = await one_bug(seams, ASK, completion())
    assert (answer.status, answer.error["code"]) == (500, "internal_error")
    assert sum(seams.charges) == (BILLED_NUSD if JSON_STAGES[stage] == ALL else 0)


@pytest.mark.parametrize("stage", STREAM_STAGES)
async def test_s45_a_bug_in_any_stage_of_a_stream_resolves_its_hold(stage: str) -> None:
    """Before the first word it costs nothing; later it costs what was delivered, and the stream ends with an error."""
    seams = Seams(stage)
    answer = await one_bug(seams, STREAM, stream("Hello", " there", "!"))
    assert answer.error["code"] == "internal_error"
    assert b"[DONE]" not in answer.body
    most = max(BILLED_NUSD, delivered_nusd("Hello there!")) if STREAM_STAGES[stage] != NOTHING else 0
    assert min(1, most) <= sum(seams.charges) <= most


async def test_s45_a_bug_while_a_failure_is_read_falls_back_to_nobody_and_holds_nothing() -> None:
    """The host's error cannot be read for a bug of ours: 500, nothing charged, nothing held."""
    seams = Seams("provider.decode_error")
    async with ChaosUpstream([Send(failure(500))]) as up, opened(priced(up)) as door:
        await pays(door)
        sabotage(door, seams)
        assert (await door.post(ASK)).status == 500
        (hold,) = await judged(door)
        assert (hold.state, hold.charge) == ("released", 0)
