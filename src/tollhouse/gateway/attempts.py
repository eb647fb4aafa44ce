"""Attempts: the targets of a plan, one after the other, until one answers.

Theory of operation
-------------------
A trial fails with an `UpstreamFault`. If the fault is the target's own (``retryable``), another target is asked; if it
is about the request, the client is told at once, for every other target would say the same. Who is next, how soon, and
whether it is worth it, `routing.course` says; this module does the asking, the waiting and the writing down. All of it
happens before the first byte of content reaches the client.

A request may be hedged: when its target has said nothing for longer than nearly all of its answers take, a second one
is asked too. Whoever speaks first is the answer; the other is hung up on, and recorded as overtaken.

What the targets do is told to `routing.health`: a trial is started there, and ended exactly once, with the answer if it
gave one (`close`), else with its fault.

Every attempt is recorded, whatever became of it. With one target its own fault is raised, and its text names the host;
with several, one fault that names each of them, and ``x-should-retry: false``, because the retries have been made
already.
"""

# ruff: noqa: S311  what is drawn is a wait, no secret

import asyncio
import random
from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import Any, Final, Generic, TypeVar

from msgspec.structs import replace

from tollhouse.dialects.tokens import estimate_tokens
from tollhouse.errors import UpstreamAuth, UpstreamFault, UpstreamRateLimited, UpstreamUnavailable, let_go
from tollhouse.gateway.continuation import Transcript
from tollhouse.gateway.fidelity import fidelity_lines
from tollhouse.gateway.race import finish
from tollhouse.gateway.trial import Trial, conceal, name_host
from tollhouse.ledger.prices import Bid
from tollhouse.routing.course import FIRST, Course, Hedge, Step
from tollhouse.routing.health import Health
from tollhouse.routing.health import Trial as Ticket
from tollhouse.routing.outcomes import GONE, OK, Outcome, classify
from tollhouse.routing.pace import retry_after_s
from tollhouse.settings.routing import DEFAULT_POLICY, RoutePolicy
from tollhouse.snapshot import Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.ledger import AttemptRecord
from tollhouse.web.heads import header_line

_OK: Final = OK
_FIRST: Final = FIRST
_DEFAULT_POLICY: Final = DEFAULT_POLICY
_target_line: Final = lru_cache(maxsize=1024)(partial(header_line, "x-tollhouse-target"))
OVERTAKEN: Final = "overtaken"
"""The outcome of an attempt that was hung up on, for another one was faster."""
CANCELLED: Final = "cancelled"
"""The outcome of one whose client left before it answered."""


T = TypeVar("T")


class Attempts:
    """The attempts of one call."""

    __slots__ = (
        "_bids", "_course", "_faults", "_goes_on", "_health", "_metrics", "_now", "_overtaken", "_policy", "_snapshot",
        "_stream", "_ticket", "fidelity", "log", "records", "won",
    )  # fmt: skip

    def __init__(
        self, snapshot: Snapshot, bids: tuple[Bid, ...], health: Health, metrics: Metrics, now: Callable[[], float]
    ) -> None:
        self._snapshot = snapshot
        self._bids = bids
        self._health = health
        self._metrics = metrics
        self._now = now
        self._policy: RoutePolicy = _DEFAULT_POLICY
        self._course: Course | None = None
        self._faults: list[UpstreamFault] = []
        self._ticket: Ticket | None = None
        self._stream = False
        self._overtaken = False
        self._goes_on = False
        self.fidelity = "report"
        """What is done about parameters that a target does not honour (`gateway.fidelity`)."""
        self.log: list[tuple[str, str]] = []
        """For each attempt, the target's id and ``ok`` or the code of its fault."""
        self.records: tuple[AttemptRecord, ...] = ()
        """The same for the ledger."""
        self.won: Trial | None = None
        """The trial whose answer the client gets."""

    def follow(self, policy: RoutePolicy, fidelity: str, *, stream: bool) -> None:
        """Takes the course of an alias's own policy."""
        self._policy = policy
        self._stream = stream
        self.fidelity = fidelity
        self._course = None

    def _way(self) -> Course:
        """The course over the targets, made when there is more to decide than where to begin."""
        if self._course is None:
            self._course = Course.begun([bid.target for bid in self._bids], self._policy, self._health)
        return self._course

    @property
    def may_go_on(self) -> bool:
        """Whether an answer that breaks off may go on at another target."""
        return self._policy.goes_on

    def can_go_on(self, transcript: Transcript | None) -> bool:
        """Whether what was said can be continued by a target that was not asked. From then on only those are."""
        if transcript is None or not transcript.plain or not self.may_go_on:
            return False
        asked = {target for target, _ in self.log}
        left = [bid for bid in self._bids if bid.target.id not in asked]
        text = transcript.text
        if text.strip():
            left = [bid for bid in left if bid.target.host.quirks.prefix]
        course = self._way().onward([bid.target for bid in left], self._now())
        if course is None:
            return False
        self._goes_on = bool(text.strip())
        self._bids = tuple([_less(bid, estimate_tokens(text)) for bid in left])
        self._course = course
        return True

    async def first(self, ask: Callable[[Trial], Awaitable[T]]) -> T:
        """The result of the first target that gives one. Raises `UpstreamFault`."""
        health, now = self._health, self._now
        self._faults.clear()
        step: Step | None = _FIRST
        at = now()
        if self._course is None:
            health.deposit(at)
        else:
            step = self._course.first(at)
        while step is not None:
            if step.wait_s:
                await asyncio.sleep(step.wait_s)
                at = now()
            ticket = health.start(self._bids[step.index].target, at, stream=self._stream)
            if ticket is None:
                step = self._way().after(step, Outcome.BUSY_PROBE, at, random.random())
                continue
            hedge = None
            if len(self._bids) > 1:
                hedge = self._way().hedge(step, at, stream=self._stream, probe=ticket.is_probe)
            one: _Try[T] = self._begin(step, ticket, at)
            one = await (self._try(ask, one) if hedge is None else self._race(ask, one, hedge))
            if one.result is not None:
                self._accept(one.trial, one.ticket)
                return one.result
            if _ends_all(one.fault):
                raise one.fault
            at = now()
            step = self._way().after(one.step, classify(one.fault), at, random.random(), retry_after_s(one.fault))
        raise self._failure()

    async def _try(self, ask: Callable[[Trial], Awaitable[T]], one: "_Try[T]") -> "_Try[T]":
        """Asks one target. A try that is not accepted has ended for `health`."""
        try:
            one.result = await ask(one.trial)
        except UpstreamFault as fault:
            self._fail(one, fault)
        finally:
            self._end(one)
        return one

    def _begin(self, step: Step, ticket: Ticket, at: float) -> "_Try[Any]":
        bid = self._bids[step.index]
        trial = Trial(self._snapshot, bid, self.fidelity, self._now, at)
        if self.log:
            trial.goes_on = self._goes_on
            trial.turn = sum([target == bid.target.id for target, _ in self.log])
        return _Try(step, trial, ticket)

    def _fail(self, one: "_Try[T]", fault: UpstreamFault) -> None:
        """The target has failed."""
        one.fault = fault
        outcome, wait_s = classify(fault), retry_after_s(fault)
        self._note(one.trial, fault)
        self._health.end(one.ticket, self._now(), outcome, random.random(), wait_s)

    def _end(self, one: "_Try[T]") -> None:
        """The asking is over. Where it gave neither an answer nor a fault, whoever asked has gone."""
        if one.result is None and one.fault is _NO_FAULT:
            self._health.end(one.ticket, self._now(), GONE)
            self._record_cancelled(one.trial)

    def _accept(self, trial: Trial, ticket: Ticket) -> None:
        """Takes it as the answer."""
        self.won, self._ticket = trial, ticket
        at = self._now()
        self._health.first_token(ticket, at)
        waited_s = trial.answered_at - trial.started_at
        self._metrics.observe("tollhouse_first_token_seconds", trial.target.host.name, waited_s)
        self._record(trial, "ok", "ok", at)

    async def _race(self, ask: Callable[[Trial], Awaitable[T]], one: "_Try[T]", hedge: Hedge) -> "_Try[T]":
        """The same of two targets, the second of which is asked when the first is late."""
        running = {asyncio.create_task(self._try(ask, one))}
        race = self._run(ask, running, hedge)
        return await finish(race, running, lambda: self._let_go(running))

    async def _run(
        self, ask: Callable[[Trial], Awaitable[T]], running: "set[asyncio.Task[_Try[T]]]", hedge: Hedge
    ) -> "_Try[T]":
        done, _ = await asyncio.wait(running, timeout=hedge.after_s)
        if not done and (second := self._launch(hedge)) is not None:
            running.add(asyncio.create_task(self._try(ask, second)))
        last = None
        while last is None:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            last = self._judge(done, running)
        self._overtaken = last.result is not None
        return last

    def _judge(self, done: "set[asyncio.Task[_Try[T]]]", running: "set[asyncio.Task[_Try[T]]]") -> "_Try[T] | None":
        """How the race ends, by those that have ended; None where another is still to be waited for."""
        for task in sorted(done, key=_merit):
            ended = task.result()
            running.discard(task)
            if ended.result is not None or _ends_all(ended.fault) or not running:
                return ended
            self._way().failed(ended.step, classify(ended.fault))
        return None

    def _let_go(self, tasks: "set[asyncio.Task[_Try[T]]]") -> None:
        """Lets go of answers that came at the same moment as another, or as the client left."""
        for task in tasks:
            if task.cancelled() or task.exception() is not None:
                continue
            ended = task.result()
            discard = getattr(ended.result, "discard", None)  # a stream holds a connection
            if discard is not None:
                discard()
            if ended.result is not None:
                self._health.end(ended.ticket, self._now(), GONE)
                self._record_cancelled(ended.trial)
        self._overtaken = False

    def _launch(self, hedge: Hedge) -> "_Try[Any] | None":
        """The second try of a race, if the budget has room for it and its target lets it in."""
        now = self._now()
        step = self._way().launch(hedge, now)
        if step is None:
            return None
        ticket = self._health.start(self._bids[step.index].target, now, stream=self._stream)
        if ticket is None:
            self._way().failed(step, Outcome.BUSY_PROBE)
            return None
        return self._begin(step, ticket, now)

    def _note(self, trial: Trial, fault: UpstreamFault) -> None:
        """Makes a fault fit to be shown, and keeps it."""
        conceal(fault, trial.target.host)
        name_host(fault, trial.target.host)
        fault.headers.setdefault("x-tollhouse-target", trial.target.id)
        if isinstance(fault, UpstreamAuth):  # only an operator can mend it: an SDK need not try again
            fault.headers.setdefault("x-should-retry", "false")
        label = type(fault).code or "rejected"  # the class's: a host's own codes are without number
        self._record(trial, fault.code or "rejected", label, self._now(), trial.wasted())
        let_go(fault)
        self._faults.append(fault)

    def _record_cancelled(self, trial: Trial) -> None:
        outcome = OVERTAKEN if self._overtaken else CANCELLED
        self._record(trial, outcome, outcome, self._now(), trial.wasted())

    def _record(self, trial: Trial, outcome: str, label: str, now: float, cost_nusd: int = 0) -> None:
        target = trial.target
        name, took_ms = target.id, int((now - trial.started_at) * 1000)
        self.log.append((name, outcome))
        self.records += (AttemptRecord(name, outcome, trial.upstream_id, took_ms, cost_nusd, trial.losses),)
        self._metrics.counts["tollhouse_attempts", target.host.name, label] += 1

    def _failure(self) -> UpstreamFault:
        faults = self._faults
        refused = next((fault for fault in faults if not fault.retryable), None)
        if refused is not None:  # too long for the longest context there is
            return refused
        if not faults:  # between the decision and the first step others took the places of the probes
            message = "No target can be tried now: each is being probed by another request."
            return UpstreamUnavailable(message, code="no_route_available", headers={"retry-after": "1"})
        if len({target for target, _ in self.log}) == 1:
            return faults[-1]
        tried = "; ".join([f"{target}: {outcome}" for target, outcome in self.log])
        waits = [int(fault.headers["retry-after"]) for fault in faults if "retry-after" in fault.headers]
        headers = {"x-should-retry": "false"} | ({"retry-after": str(min(waits))} if waits else {})
        if all(isinstance(fault, UpstreamRateLimited) for fault in faults):
            return UpstreamRateLimited(f"Every target is rate limited ({tried}).", headers=headers)
        return UpstreamUnavailable(f"Every target failed ({tried}).", headers=headers)

    def close(self, fault: UpstreamFault | None = None) -> None:
        """The answer has been read to its end, or as far as it goes. Without one, nothing happens."""
        if self._ticket is not None:
            if fault is None:
                self._health.end(self._ticket, self._now(), _OK)
            else:
                self._health.end(self._ticket, self._now(), classify(fault), random.random())
            self._ticket = None

    def broke_off(self, fault: UpstreamFault) -> None:
        """An answer failed after its first content."""
        if self.won is not None:
            host = self.won.target.host
            target, outcome = self.won.target.id, fault.code or "rejected"
            self.log[-1] = (target, outcome)
            self.records = (*self.records[:-1], replace(self.records[-1], outcome=outcome))
            conceal(fault, host)
            name_host(fault, host)
            self._metrics.add("tollhouse_answers_broken_off", host.name, type(fault).code or "rejected")
        self.close(fault)

    def headers(self) -> str:
        """The header lines that tell the client who answered, after how many attempts, and how faithfully."""
        if self.won is None:
            return ""
        lines = _target_line(self.won.target.id)
        if len(self.log) > 1:
            lines += f"x-tollhouse-attempts: {len(self.log)}\r\n"
        return lines + fidelity_lines(self.won.losses, self.fidelity)


def _less(bid: Bid, tokens: int) -> Bid:
    """The bid for the rest of an answer."""
    if bid.output_cap is None:
        return bid
    return Bid(bid.target, bid.price, bid.amount, max(1, bid.output_cap - tokens), bid.input_bound)


_NO_FAULT: Final = UpstreamFault("")
"""Of a step that has not failed."""


class _Try(Generic[T]):
    """One step, and how it ended: with a result, or with a fault."""

    __slots__ = ("fault", "result", "step", "ticket", "trial")

    def __init__(self, step: Step, trial: Trial, ticket: Ticket) -> None:
        self.step = step
        self.trial = trial
        self.ticket = ticket
        self.result: T | None = None
        self.fault = _NO_FAULT


def _merit(task: asyncio.Task[_Try[T]]) -> int:
    """The order in which attempts that ended at once are looked at: an answer, the client's own fault, the rest."""
    ended = task.result()
    return 0 if ended.result is not None else 2 - _ends_all(ended.fault)


def _ends_all(fault: UpstreamFault) -> bool:
    """Whether every other target would say the same."""
    return not fault.retryable and classify(fault) is not Outcome.TOO_LONG
