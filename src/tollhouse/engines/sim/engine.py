"""The connector that sim and guide share: takes a request in OpenAI's dialect, answers with OpenAI's bytes.

The work on a request is pure and short; when the request is large, or brings schemas that instances have to be found
for, it is done in a thread so that the event loop goes on.
"""

import asyncio
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tollhouse.engines.inprocess import Player, Reply, Step, wait_until
from tollhouse.engines.sim import request as requests
from tollhouse.engines.sim import wire
from tollhouse.engines.sim.completion import TOTAL_MAX, Chance, Speaker, complete
from tollhouse.engines.sim.document import Abandoned
from tollhouse.engines.sim.refusal import Refusal, scripted
from tollhouse.errors import UpstreamInterrupted, UpstreamTimeout
from tollhouse.types.wire import Incoming, Outgoing, Timeouts

SMALL = 4096  # bytes of request that are worked on in the loop itself
WORKERS = 2
PATH = "/chat/completions"
JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
# What makes more work than its size shows: schemas and grammars to find instances of, scripted lengths, many choices.
WORK = (b'"parameters"', b'"json_schema"', b'"grammar"', b'"tollhouse_sim"', b"[sim:", b'"logprobs"', b'"n"')


@dataclass(frozen=True, slots=True)
class Prepared:
    """A reply before it is played. ``delay_s`` passes before the head is sent, for errors have no body to wait in."""

    status: int
    headers: dict[str, str]
    steps: Iterator[Step]
    delay_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Nature:
    """What tells the embedded models apart: the ``system_fingerprint`` that they sign with, whether requests may
    script them, and whether they think long enough to need a thread for every request.
    """

    fingerprint: str
    scripted: bool = False
    threaded: bool = False
    input_kinds: tuple[str, ...] = ("text",)
    output_kinds: tuple[str, ...] = ("text",)
    output_tokens: int = TOTAL_MAX
    """The most that an answer can have; every request is held to `CONTEXT_TOKENS`."""


def fresh() -> int:
    """A number nobody can guess."""
    return secrets.randbits(64)


class Engine:
    """An embedded model. ``now_s`` and ``entropy`` are the clock and the chance behind answers without a seed."""

    def __init__(
        self,
        say: Speaker,
        nature: Nature,
        *,
        now_s: Callable[[], float] = time.time,
        entropy: Callable[[], int] = fresh,
    ) -> None:
        self._say = say
        self.nature = nature
        self._now_s = now_s
        self._entropy = entropy
        self._replies: weakref.WeakSet[Reply] = weakref.WeakSet()
        # Threads of its own, so that hard schemas never keep name resolution and the like waiting.
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="tollhouse-engine")
        self._awaited: set[threading.Event] = set()
        """Of each request that is being worked on: set once nobody waits for it, which ends the work."""

    async def send(self, outgoing: Outgoing, timeouts: Timeouts) -> Incoming:
        """The reply to a chat request; errors are replies too. Raises `UpstreamTimeout` when it takes too long."""
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        limit_s = min(timeouts.first_byte_s, timeouts.total_s)
        chance = Chance(int(self._now_s()), self._entropy())
        try:
            async with asyncio.timeout_at(started_at + limit_s):
                prepared = await self._prepared(outgoing, chance)
                await wait_until(started_at + prepared.delay_s)
        except TimeoutError:
            raise UpstreamTimeout(f"No byte of an answer came within {limit_s:g} s.") from None
        except Abandoned:
            raise UpstreamInterrupted("The embedded model was stopped.") from None
        player = Player(prepared.steps, started_at=started_at)
        reply = Reply(prepared.status, dict(prepared.headers), player, timeouts=timeouts, started_at=started_at)
        self._replies.add(reply)
        return reply

    async def aclose(self) -> None:
        """Ends every reply that is still being read, and the threads."""
        for reply in list(self._replies):
            reply.close()
        self.stop()

    def stop(self) -> None:
        """Gives up all work, so that no thread holds up the end of the process. Returns at once."""
        for gone in list(self._awaited):
            gone.set()
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _prepared(self, outgoing: Outgoing, chance: Chance) -> Prepared:
        """The reply; work in a thread ends soon after whoever waits for it has left."""
        gone = threading.Event()
        if not self._is_heavy(outgoing.body):
            return self._prepare(outgoing, chance, gone)
        self._awaited.add(gone)
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._workers, self._prepare, outgoing, chance, gone)
        finally:
            gone.set()
            self._awaited.discard(gone)

    def _is_heavy(self, body: bytes) -> bool:
        return self.nature.threaded or len(body) > SMALL or any(mark in body for mark in WORK)

    def _prepare(self, outgoing: Outgoing, chance: Chance, gone: threading.Event) -> Prepared:
        """Raises `Abandoned`."""
        if gone.is_set():
            raise Abandoned
        try:
            return self._answer(outgoing, chance, gone)
        except Refusal as refusal:
            return refused(refusal)

    def _answer(self, outgoing: Outgoing, chance: Chance, gone: threading.Event) -> Prepared:
        if outgoing.method != "POST" or not outgoing.path.partition("?")[0].endswith(PATH):
            raise Refusal(f"Invalid URL ({outgoing.method} {outgoing.path})", status=404, code="unknown_url")
        request = requests.read(outgoing.body, scripted=self.nature.scripted, gone=gone.is_set)
        script = request.script
        failing = script.error is not None and (script.error_after is None or not request.stream)
        if failing or (script.error_after is not None and not request.stream):
            return refused(scripted(script.error or 500, script.retry_after), script.ttft_ms / 1000)
        completion = complete(request, self._say, chance, self.nature.fingerprint)
        return Prepared(200, EVENTS if request.stream else JSON, wire.steps(completion))


def refused(refusal: Refusal, delay_s: float = 0.0) -> Prepared:
    """An error reply."""
    return Prepared(refusal.status, {**JSON, **refusal.headers}, iter([refusal.body()]), delay_s)
