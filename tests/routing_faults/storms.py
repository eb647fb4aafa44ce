"""Storms: very many requests over two routes that fail, and the figures of it. For `test_storms` and `scripts/storm`.

`Storm` is a real gateway with two `StormUpstream`s behind the alias ``both`` and clients that ask one thing after
another, half of them for a stream. Times are of the loop's clock.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.fakes.door import Door, opened, read_answer
from tests.fakes.storm import DEAD, FAIR, PASSING, TEXT, StormUpstream, Weather
from tests.faults.kit import judged, pays
from tests.routing_faults.kit import ASK, STREAM, now, rested, routes, view

GRANT_NUSD = 10**15
SETTINGS = (
    "[routing]\nsame_target_retries = 1\n"  # the default, said so that the fake door leaves it
    "[timeouts]\nconnect_s = 1.0\nfirst_byte_s = 0.3\nidle_s = 0.3\ntotal_s = 5.0\n"
)
ALIAS = 'failover = "mid-stream"'
ABLE = 'quirks = { prefix = "plain" }'
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of a client's."""

    at: float
    took_s: float
    problem: str
    """Empty where the answer was whole and right."""


@dataclass
class Storm:
    """The gateway, its hosts, and what its clients saw."""

    door: Door
    ups: tuple[StormUpstream, StormUpstream]
    seed: int = 0
    asked: list[Asked] = field(default_factory=list)

    async def blow(self, *, workers: int, until: Callable[[], bool]) -> list[Asked]:
        """Lets so many clients ask until the condition holds. What they saw."""
        began = len(self.asked)
        await asyncio.gather(*[self._client(number, until) for number in range(workers)])
        return self.asked[began:]

    async def count(self, requests: int, *, workers: int = 8) -> list[Asked]:
        """The same for so many requests, or a few more."""
        most = len(self.asked) + requests
        return await self.blow(workers=workers, until=lambda: len(self.asked) >= most)

    async def last(self, seconds: float, *, workers: int = 8) -> list[Asked]:
        """The same for so long."""
        ends = now() + seconds
        return await self.blow(workers=workers, until=lambda: now() >= ends)

    async def _client(self, number: int, until: Callable[[], bool]) -> None:
        chance = random.Random(f"{self.seed} {number} {len(self.asked)}")  # noqa: S311 - a repeatable test
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {self.door.key}\r\n"
        try:
            while not until():
                body = json.dumps(STREAM if chance.random() < 0.5 else ASK).encode()
                began = now()
                writer.write(
                    f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
                )
                async with asyncio.timeout(_PATIENCE_S):
                    answer = await read_answer(reader)
                self.asked.append(Asked(began, now() - began, problem(answer.status, answer.body)))
        finally:
            writer.close()

    @property
    def sent(self) -> int:
        """Requests that hosts have had."""
        return sum(len(up.arrivals) for up in self.ups)

    async def when(self, state: str, host: str = "up0", *, within_s: float) -> float:
        """How long it takes until a host's circuit is in this state; infinite where it takes longer than that."""
        began = now()
        while view(self.door, host).state != state:
            if now() - began > within_s:
                return float("inf")
            await asyncio.sleep(0.005)
        return now() - began


def problem(status: int, body: bytes) -> str:
    """What is wrong with an answer; empty where nothing is."""
    if status != 200:
        return f"{status} {json.loads(body)['error']['code']}"
    if not body.startswith(b"data: "):
        text = json.loads(body)["choices"][0]["message"]["content"]
        return "" if text == TEXT else f"other words: {text}"
    events = [
        json.loads(part.removeprefix(b"data: ")) for part in body.split(b"\n\n") if part and b"[DONE]" not in part
    ]
    if "error" in events[-1]:
        return f"broken off: {events[-1]['error']['code']}"
    text = "".join([event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"]])
    return "" if text == TEXT and body.endswith(b"[DONE]\n\n") else f"other words: {text}"


@asynccontextmanager
async def storming(seed: int = 1, more: str = SETTINGS) -> AsyncIterator[Storm]:
    """A storm to be let loose. At its end the ledger holds and nothing of any request is left."""
    async with StormUpstream(seed) as first, StormUpstream(seed + 1) as second:
        text = routes(first, second, alias=ALIAS, more=more, hosts=[ABLE, ABLE])  # type: ignore[arg-type]
        async with opened(text) as door:
            await pays(door, GRANT_NUSD)
            yield Storm(door, (first, second), seed)
            await rested(door)
            holds = await judged(door, within_s=30.0)
            assert {hold.state for hold in holds} <= {"settled", "released"}


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of a storm."""

    requests: int
    errors: Counter[str]
    amplification: float
    """Requests sent upstream for each of the clients'."""
    late_errors: int = 0
    """Those of clients that came later than a second after the host died."""
    late_requests: int = 0
    opens_s: float = 0.0
    closes_s: float = 0.0
    slowest_s: float = 0.0

    @property
    def error_rate(self) -> float:
        """Of all clients."""
        return self.errors.total() / self.requests

    def __str__(self) -> str:
        told = f"{self.requests} requests, {self.errors.total()} errors ({self.error_rate:.4%}) {dict(self.errors)}"
        told += f", amplification {self.amplification:.3f}, slowest {self.slowest_s:.2f} s"
        if self.late_requests:
            told += f", {self.late_errors} of {self.late_requests} after the first second"
            told += f"; opens in {self.opens_s:.3f} s, closes {self.closes_s:.2f} s after recovery"
        return told


def _errors(seen: list[Asked]) -> Counter[str]:
    return Counter([each.problem for each in seen if each.problem])


async def both_fail(
    storm: Storm, share: float, requests: int, workers: int = 8, ways: tuple[str, ...] = PASSING
) -> Figures:
    """Each route fails that share of its requests."""
    await storm.count(100, workers=workers)
    for up in storm.ups:
        up.weather = Weather(share, ways)
    sent = storm.sent
    seen = await storm.count(requests, workers=workers)
    slowest = max(each.took_s for each in seen)
    return Figures(len(seen), _errors(seen), (storm.sent - sent) / len(seen), slowest_s=slowest)


async def one_dies(
    storm: Storm, dead_s: float, requests: int, workers: int = 8, ways: tuple[str, ...] = DEAD
) -> Figures:
    """The first route dies for so long and so many requests at least, and comes back."""
    await storm.count(200, workers=workers)
    first = storm.ups[0]
    first.weather = Weather(1.0, ways)
    sent, began, before = storm.sent, now(), len(storm.asked)
    opening = asyncio.create_task(storm.when("open", within_s=10.0))
    most = before + requests
    seen = await storm.blow(workers=workers, until=lambda: now() > began + dead_s and len(storm.asked) >= most)
    amplification = (storm.sent - sent) / len(seen)
    first.weather = FAIR
    closing = asyncio.create_task(storm.when("closed", within_s=15.0))
    seen += await storm.blow(workers=workers, until=closing.done)
    late = [each for each in seen if each.at > began + 1.0]
    return Figures(
        len(seen),
        _errors(seen),
        amplification,
        late_errors=sum(bool(each.problem) for each in late),
        late_requests=len(late),
        opens_s=await opening,
        closes_s=await closing,
        slowest_s=max(each.took_s for each in seen),
    )
