"""Judging: a text shown to the stronger judges that a policy names, all at once, each under its own deadline.

`gateway.watch` begins an `Inquiry` for a side of a request: before the text goes on where a judge is a gate, beside it
where one only observes. What judges are asked and how their answers are read is `safety.judges`; how a question gets
there, `judge_calls`; this module does the choosing, the waiting and the adding up.

Theory of operation
-------------------
A judge has one question or several, and is done when all are answered. At its deadline what still runs is cancelled. An
answer that is late, broken or not sensible is a failure of the judge, never a clean bill: the verdict names who failed,
and where the operator wants the gate shut then, `Judged.closed` says so. What the other questions found stands.

A judge that is late or cannot be reached several times in a row is not asked for some seconds, so that a dead one does
not cost every request its deadline; then single requests find out whether it is back (`routing.breaker`). Till then it
has failed. A broken answer, or a refusal, does not count there: who sends texts that a judge stumbles over must not
be able to turn it off for everybody.

Nobody's balance is touched: each request to a judge is an `AttemptRecord`, whose cost the ledger books as the
operator's. The records go in front of the request's own: the last of those is the answer that is charged
(`ledger.reconcile`). `Inquiry.end` gives them without waiting, for the exit through which a request leaves may not.
"""

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b

from msgspec import Struct

from tollhouse.errors import (
    Fault,
    UpstreamAuth,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from tollhouse.gateway.judge_calls import Call, Desk
from tollhouse.ledger.pricebook import PriceBook
from tollhouse.routing.breaker import Breaker, BreakerRules
from tollhouse.safety.judges.asked import Matter, Question, Said, Unreadable, cut, losses
from tollhouse.safety.judges.findings import findings
from tollhouse.safety.judges.kinds import KINDS, is_judged, questions
from tollhouse.settings.judges import GATE, JudgeSettings
from tollhouse.snapshot import Live, Snapshot
from tollhouse.telemetry.metrics import Metrics
from tollhouse.types.ledger import AttemptRecord
from tollhouse.types.safety import CLEAN, Finding, Verdict, joined

_RULES = BreakerRules(failures=3, ratio=1.0, samples=8, window_s=60.0, open_s=10.0, open_max_s=120.0, probes=1)
_SCALE = 1 << 64
_MOST_WAIT_S = 60
"""More than that no client is asked to wait."""
_ILL = (UpstreamUnreachable, UpstreamTimeout, UpstreamUnavailable, UpstreamRateLimited, UpstreamAuth)
"""The faults that are not of the text's making."""


class Judged(Struct, frozen=True):
    """What came of an inquiry."""

    verdict: Verdict
    closed: bool
    """Whether the text may not pass: a gate that is closed in doubt gave no verdict."""


class Heard(Struct, frozen=True):
    """What came of one judge."""

    judge: JudgeSettings
    findings: tuple[Finding, ...]
    failure: str = ""
    """Why it gave no verdict, or not all of one; empty where it did."""
    is_ill: bool = False
    """Whether the judge is to blame for that, and not what it was shown."""


class _Answer(Struct, frozen=True):
    """What came of one question."""

    said: tuple[Said, ...] = ()
    failure: str = ""
    is_ill: bool = False


_LATE = _Answer(failure="its deadline has passed", is_ill=True)


class Judges:
    """One for the process: it remembers which of them are not well. ``now`` is the event loop's clock."""

    def __init__(self, live: Live, book: PriceBook, metrics: Metrics, now: Callable[[], float] | None = None) -> None:
        self._now = now or asyncio.get_event_loop().time
        self._desk = Desk(live, book, metrics, self._now)
        self._metrics = metrics
        self._circuits: dict[str, Breaker] = {}
        self.alert: Callable[[str, str], object] = lambda _name, _why: None
        """Told the name of a judge that is not asked for a while from now on, and how it failed."""

    def chosen(
        self, snapshot: Snapshot, names: Iterable[str], side: str, request_id: str, *, gate: bool
    ) -> tuple[JudgeSettings, ...]:
        """Those of the named judges that are asked about this side of this request: the gates, or the observers."""
        known = snapshot.settings.safety.judges
        found = [known[name] for name in dict.fromkeys(names) if name in known]
        asked = [one for one in found if (one.when == GATE) == gate and is_judged(one, side)]
        return tuple([one for one in asked if _is_sampled(one, request_id)])

    def begin(self, snapshot: Snapshot, judges: Sequence[JudgeSettings], matter: Matter) -> "Inquiry":
        """Asks all of them at once. Whoever begins an inquiry also ends it."""
        return Inquiry(self, snapshot, judges, matter, self._now)

    def retry_after_s(self, names: Iterable[str]) -> int:
        """In how many seconds it may be worth asking judges again: when none of them is left alone any more."""
        now = self._now()
        waits_s = [self._circuits[name].open_until - now for name in names if name in self._circuits]
        return min(max(1, math.ceil(max(waits_s, default=0.0))), _MOST_WAIT_S)

    async def hear(self, inquiry: "Inquiry", judge: JudgeSettings) -> Heard:
        """One judge, asked for an inquiry. Raises nothing but its cancellation."""
        circuit = self._circuits.setdefault(judge.name, Breaker())
        if not circuit.enter(self._now()):
            self._metrics.add("tollhouse_judges", judge.name, "skipped")
            return Heard(judge, (), "it is not asked for a while")
        is_probe, heard = circuit.state != "closed", None
        try:
            heard = await self._ask(inquiry, judge)
        finally:
            if is_probe and (heard is None or (heard.failure and not heard.is_ill)):
                circuit.leave()
        if not heard.failure:
            circuit.succeed(self._now(), _RULES, probe=is_probe)
        elif heard.is_ill and circuit.fail(self._now(), _RULES, random.random(), probe=is_probe):  # noqa: S311  a wait
            self.alert(judge.name, heard.failure)
        self._metrics.add("tollhouse_judges", judge.name, "failed" if heard.failure else "answered")
        return heard

    async def _ask(self, inquiry: "Inquiry", judge: JudgeSettings) -> Heard:
        """All questions of a judge at once, until they are answered or its deadline has passed."""
        asked = questions(judge, cut(inquiry.matter, judge))
        calls = [inquiry.call(judge, question, self._now()) for question in asked]
        tasks = [asyncio.create_task(self._answer(call)) for call in calls]
        late: set[asyncio.Task[_Answer]] = set()
        try:
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=judge.deadline_s)
        finally:
            for task in tasks:
                task.cancel()
        if late:
            await asyncio.wait(late)
        answers = [_LATE if task in late else task.result() for task in tasks]
        said = [one for answer in answers for one in answer.said]
        failed = sorted([answer for answer in answers if answer.failure], key=lambda answer: not answer.is_ill)
        found = findings(said, judge, KINDS[judge.kind].table(judge))
        return Heard(judge, found, failed[0].failure, failed[0].is_ill) if failed else Heard(judge, found)

    async def _answer(self, call: Call) -> _Answer:
        """What one question found, or why nothing can be said."""
        try:
            return _Answer(call.question.read(await self._desk.ask(call)))
        except Fault as fault:
            return _Answer(failure=fault.code or type(fault).__name__, is_ill=isinstance(fault, _ILL))
        except Unreadable as problem:
            return _Answer(failure=str(problem))


class Inquiry:
    """The judges that are asked about one text."""

    __slots__ = ("_calls", "_judges", "_now", "_snapshot", "_tasks", "matter")

    def __init__(
        self,
        judges: Judges,
        snapshot: Snapshot,
        asked: Sequence[JudgeSettings],
        matter: Matter,
        now: Callable[[], float],
    ) -> None:
        self._snapshot = snapshot
        self._now = now
        self._judges = tuple(asked)
        self._calls: list[Call] = []
        self.matter = matter
        self._tasks = [asyncio.create_task(judges.hear(self, judge)) for judge in asked]

    def call(self, judge: JudgeSettings, question: Question, now: float) -> Call:
        """A question on its way, kept for the records."""
        call = Call(self._snapshot, judge, question, losses(self.matter, judge), now)
        self._calls.append(call)
        return call

    @property
    def done(self) -> bool:
        """Whether every judge has answered, or failed."""
        return all(task.done() for task in self._tasks)

    async def judged(self) -> Judged:
        """Waits for all of them, each until its deadline."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        return self.so_far()

    def so_far(self) -> Judged:
        """What is known now: a judge that has not answered has failed."""
        verdict, closed = CLEAN, False
        for judge, task in zip(self._judges, self._tasks, strict=True):
            heard = task.result() if task.done() and not task.cancelled() else Heard(judge, (), "it has not answered")
            failed = (judge.name,) if heard.failure else ()
            by = () if heard.failure and not heard.findings else (judge.name,)
            one = Verdict(heard.findings, by, failed)
            verdict = one if verdict is CLEAN else joined(verdict, one)
            closed = closed or (bool(failed) and judge.closed)
        return Judged(verdict, closed)

    def end(self) -> tuple[AttemptRecord, ...]:
        """Cancels what still runs, and gives the records of every request to a judge. Does not wait."""
        for task in self._tasks:
            task.cancel()
        now = self._now()
        return tuple([record for call in self._calls for record in call.taken(now)])


def _is_sampled(judge: JudgeSettings, request_id: str) -> bool:
    """Whether a request is one of the share that a judge looks at: always the same for the same id."""
    if judge.sample >= 1:
        return True
    digest = blake2b(f"{judge.name}\0{request_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) < judge.sample * _SCALE
