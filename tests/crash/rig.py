"""Kills a gateway under load, again and again, and compares what is left with what its clients saw.

A session is one data folder. `Rig.strike` is one kill: load, death at a point (or at a random moment), now and then a
second death during recovery (F82), restart, judgement. Nothing is forgiven: `Crash.problems` has to be empty.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from tests.crash.judge import BUDGET_USD, Judge
from tests.crash.launcher import POINTS, RECOVERY
from tests.crash.load import Load
from tests.crash.server import Home, Server
from tests.crash.truth import Truth
from tests.crash.wire import ask, post
from tollhouse.stores.reader import open_reader

_WAIT_S = 20.0
_MOST_PASSES = 60
RANDOM = "random"
EVERYWHERE = (*POINTS, RANDOM)


@dataclass(slots=True)
class Crash:
    """One kill and what came of it. ``recovery_s`` is from the start of the new process until it answers."""

    point: str
    reached: bool
    again: str | None = None
    """Where recovery was killed too."""
    open_holds: int = 0
    """How many were open when it died."""
    recovery_s: float = 0.0
    problems: list[str] = field(default_factory=list)


class Rig:
    """One session. Call `open` first."""

    def __init__(self, home: Home, seed: int) -> None:
        self.truth = Truth()
        self._home = home
        self._rng = random.Random(seed)  # noqa: S311 - where to die
        self._judge = Judge(home.database, self.truth)
        self._load: Load | None = None
        self._server: Server | None = None
        self._org = ""

    async def open(self, point: str, passes: int) -> None:
        """Starts the first gateway and makes a prepaid organisation, two keys of it, and some credit."""
        self._server = await self._home.start(point, passes)
        assert self._server is not None
        admin = {"authorization": f"Bearer {self._home.admin_key}"}

        async def make(path: str, **body: object) -> dict[str, str]:
            assert self._server is not None
            answer = await post(f"{self._server.admin_url}/admin/{path}", body, admin)
            assert answer.status == 201, answer.body
            return answer.json

        org = (await make("organizations", name="crash rig", billing="prepaid"))["id"]
        budget = {"limit_usd": BUDGET_USD, "period": "total"}
        keys = [await make("keys", name="k", parent_id=org), await make("keys", name="t", parent_id=org, budget=budget)]
        await make(f"organizations/{org}/grants", amount_usd="50", reason="start")
        self._org = org
        self._load = Load(self.truth, (keys[0]["key"], keys[1]["key"]), org, self._home.admin_key, self._rng)

    @property
    def running(self) -> tuple[Load, Server]:
        """The clients, and the gateway of the moment."""
        assert self._load is not None
        assert self._server is not None
        return self._load, self._server

    def count(self, state: str) -> int:
        """How many holds are in a state."""
        with open_reader(self._home.database) as reader:
            row = reader.row("SELECT count(*) FROM hold WHERE state = ?", (state,))
        assert row is not None
        return int(row[0])

    async def strike(self, point: str, then: tuple[str, int], again: str | None = None) -> Crash:
        """One kill of the gateway that runs, which was started to die at ``point``; ``then`` is for the next one."""
        load, server = self.running
        crash = Crash(point, reached=True)
        finished = asyncio.Event()
        running = asyncio.create_task(load.run(server, finished))
        if point == RANDOM:
            await asyncio.sleep(self._rng.uniform(0.05, 3.0))
            await server.kill()
        elif not await server.died(_WAIT_S):
            crash.reached = False
            await server.kill()
        await running
        crash.open_holds = self.count("open")
        if again is not None and crash.open_holds:
            crash.again = again
            if await self._home.start(again, 1) is not None:
                raise AssertionError(f"recovery was not killed at {again}")
        started = await self._home.start(*then)
        if started is None:  # recovery itself came by the next point
            crash.again = then[0]
            started = await self._home.start(then[0], then[1] + 1)
        assert started is not None, f"the gateway does not start: {self._home.last_words()}"
        self._server = started
        crash.recovery_s = started.starting_s
        crash.problems = [*self._judge.judge(), *await self._compare_balance(started)]
        self.truth.tries.clear()
        return crash

    async def close(self) -> list[str]:
        """Finishes what is unfinished, stops in peace, and judges once more. Returns what is wrong."""
        load, server = self.running
        await load.finish(server)
        server.process.terminate()
        stopped = await server.died(_WAIT_S)
        problems = [] if stopped and server.process.returncode == 0 else ["it did not stop in peace"]
        problems += [f"{one.name} was never answered" for one in self.truth.named if not one.settled]
        return [*problems, *self._judge.judge()]

    async def stop(self) -> None:
        """Ends what may still run."""
        if self._server is not None and self._server.process.returncode is None:
            await self._server.kill()

    async def _compare_balance(self, server: Server) -> list[str]:
        """What the new process believes, and what the ledger says (I17)."""
        url = f"{server.admin_url}/admin/organizations/{self._org}/balance"
        said = (await ask("GET", url, b"", {"authorization": f"Bearer {self._home.admin_key}"})).json
        with open_reader(self._home.database) as reader:
            row = reader.row("SELECT posted FROM account WHERE name = ?", (f"org:{self._org}",))
        believed = int(Decimal(said["balance_usd"]) * 10**9)
        same = row == (believed,) and Decimal(said["held_usd"]) == 0
        return [] if same else [f"it believes {said['balance_usd']}, {said['held_usd']} held; the ledger says {row}"]


@dataclass(slots=True)
class Outcome:
    """What a session came to. ``acknowledged`` is how many answers and payments its clients saw."""

    crashes: list[Crash] = field(default_factory=list)
    acknowledged: int = 0
    expired: int = 0
    """How many streams that a crash cut off were charged for what was known to have been delivered."""
    end: list[str] = field(default_factory=list)
    """What was wrong in the end."""

    @property
    def problems(self) -> list[str]:
        """Everything that was wrong, with the kill after which it was."""
        found = [f"{crash.point}, {crash.again}: {problem}" for crash in self.crashes for problem in crash.problems]
        return [*found, *(f"end: {problem}" for problem in self.end)]


async def session(
    folder: Path, upstream_port: int, seed: int, plan: list[str], told: Callable[[Crash], None] = lambda _crash: None
) -> Outcome:
    """Kills at each point of ``plan`` in turn, every third time during recovery too. ``told`` hears of each."""
    rig = Rig(Home(folder, upstream_port), seed)
    rng = random.Random(seed)  # noqa: S311 - as above
    passes = [(point, rng.randrange(1, _MOST_PASSES)) for point in plan]
    seconds = [rng.choice(list(RECOVERY)) if index % 3 == 2 else None for index in range(len(plan))]
    outcome = Outcome()
    try:
        await rig.open(*passes[0])
        for (point, _), then, again in zip(passes, [*passes[1:], ("none", 0)], seconds, strict=True):
            outcome.crashes.append(await rig.strike(point, then, again))
            told(outcome.crashes[-1])
        outcome.end = await rig.close()
        outcome.expired = rig.count("expired")
    finally:
        await rig.stop()
    outcome.acknowledged = rig.truth.acknowledged
    return outcome
