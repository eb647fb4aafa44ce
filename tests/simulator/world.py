"""One scenario from its first instruction to its last: clients arrive, things break, then nothing breaks any more.

The safety phase plays the options of the seed. The liveness phase has a healthy disk, honest hosts and no deaths, and
in it everything has to be resolved. Every step is written into the trace, whose digest says whether two runs were one.
"""

import asyncio
import hashlib
import random
import re
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import apsw

from tests.simulator.client import WAYS, Client, Request
from tests.simulator.disk import Condition, summary
from tests.simulator.house import HOSTS, PEPPER, PORT, House, Outside, Parts
from tests.simulator.loop import VirtualLoop
from tests.simulator.network import Wire
from tests.simulator.options import Options
from tests.simulator.upstream import Script, Truth
from tollhouse.errors import Fault
from tollhouse.ledger.journal import Group
from tollhouse.ledger.prices import ADMIN, PriceVersion, make_price
from tollhouse.settings.keys import Limits, Server, Settings
from tollhouse.settings.routing import Routing
from tollhouse.tenancy.keys import digest_key
from tollhouse.types.calls import Prices
from tollhouse.types.ledger import CloseHold, MarkProgress, OpenHold
from tollhouse.types.tenancy import Rates, Tier

WALL_START_US = 1_790_000_000_000_000
SETTLING_S = 150.0
"""Longer than any timeout of the scenario: an answer's whole time, a drain, a write that stalls."""
KEYS = ("key_a", "key_b", "key_c", "key_d")
"""The first three are of the prepaid organisation, the third of them on a team with a budget; the last of the default
one.
"""
BUDGETED = ("team_t", "key_b", "org_paid")
PERIODS = ("day", "week", "month", "total", None)
PROBE = "key_probe"
"""Never revoked, and paid in arrears: what it asks for when all is calm has to be answered."""
_CREATED = re.compile(rb'"created":\d+|date: [^\r]*')


@dataclass
class Record:
    """What happened, as far as judgement needs it."""

    clients: list[Client] = field(default_factory=list)
    opened: dict[int, int] = field(default_factory=dict)
    """By hold, the step at which its row was committed; the same of its end in ``closed``."""
    closed: dict[int, int] = field(default_factory=dict)
    progress: dict[int, int] = field(default_factory=dict)
    """By hold, the tokens that its last durable mark spoke of."""
    prices: list[tuple[int, PriceVersion]] = field(default_factory=list)
    """Versions, with the last hold that was taken before each."""
    posted: dict[str, int] = field(default_factory=dict)
    """What was credited and acknowledged, by event."""
    problems: list[str] = field(default_factory=list)
    revoked: dict[str, int] = field(default_factory=dict)
    """The step at which a revocation was acknowledged."""
    started: dict[int, int] = field(default_factory=dict)
    lives: int = 0
    deaths: list[int] = field(default_factory=list)
    parted: dict[int, int] = field(default_factory=dict)
    """By client, the step at which it had what it was to get."""


class World:
    """Runs one scenario."""

    def __init__(self, options: Options, path: Path, loop: VirtualLoop, parts: Parts) -> None:
        self.options = options
        self.loop = loop
        self.record = Record()
        self.steps = 0
        self.trace = hashlib.blake2b(digest_size=16)
        self.lines: list[str] | None = None
        self.wall_offset_us = 0
        random.seed(options.seed)  # ids are drawn from the shared generator
        self.chance = Random(f"world/{options.seed}")  # noqa: S311 - a scenario, not a secret
        self.condition = Condition()
        self.script = Script(options.seed, options.plays, on_send=self._sent)
        self.outside = Outside(
            *(path, loop, self.condition, self.script, self._settings(1), [], options.drain, parts),
            wall_us=self.wall_us,
            on_commit=self._committed,
            on_broken=lambda why: self.record.problems.append(f"the database refused: {why}"),
            chance=self.chance,
        )
        self.waiting = 0
        self.wires: list[Wire] = []
        self.house: House

    # --- the trace ---------------------------------------------------------------------------------------------

    def step(self) -> int:
        """The next step's number."""
        self.steps += 1
        return self.steps

    def say(self, *words: object) -> None:
        """Writes a line into the trace."""
        line = f"{self.loop.time():.6f} {' '.join(map(str, words))}"
        self.trace.update(line.encode() + b"\n")
        if self.lines is not None:
            self.lines.append(line)

    def wall_us(self) -> int:
        """The wall clock, steps and all."""
        return WALL_START_US + self.wall_offset_us + round(self.loop.time() * 1_000_000)

    def _committed(self, groups: list[Group]) -> None:
        step = self.step()
        self.say("commit", *summary(groups))
        for group in groups:
            for op in group:
                if isinstance(op, OpenHold):
                    self.record.opened[op.id] = step
                elif isinstance(op, MarkProgress):
                    self.record.progress[op.id] = op.output_tokens
                elif isinstance(op, CloseHold):
                    self.record.closed[op.id] = step

    def _sent(self, truth: Truth) -> None:
        self.say("upstream", truth.serial, truth.host, truth.play)
        # One hold may stand for two requests at once: the second is a hedge (`routing.course`).
        if self.script.active >= 2 * self.house.ledger.open_holds and self.house.disk.alive:
            self.record.problems.append(f"{truth.serial} was sent without a hold of its own (I4)")

    # --- the scene ---------------------------------------------------------------------------------------------

    def _settings(self, factor: int) -> Settings:
        requests, tokens, concurrent = self.options.key_limits
        tier = Tier("t", Rates(requests * factor, tokens * factor, concurrent * factor))
        return replace(
            Settings(),
            server=Server(heartbeat_s=self.options.heartbeat_s),
            tiers={"t": tier},
            limits=Limits("t"),
            routing=Routing(same_target_retries=0, key_bad_s=1.0, breaker_open_max_s=1.0, cooldown_max_s=1.0),
            aliases={"both": tuple(f"{host}/m" for host in HOSTS)},
        )

    def _furnish(self, db: apsw.Connection) -> None:
        """An organisation that pays in advance, with a team of limited means, beside the default one."""
        node = "INSERT INTO node (number, id, kind, parent, name, created_at, budget_nusd, budget_period, budget_zone,"
        node += " billing) VALUES (?, ?, ?, ?, ?, 0, ?, ?, 'UTC', ?)"
        rows: list[tuple[Any, ...]] = [
            (2, "org_paid", "org", None, None, None, "prepaid"),
            (3, "team_t", "team", 2, self.options.budget_nusd, "day", None),
            *(
                (4 + i, key, "key", (2, 2, 3, 1, 1)[i], *((10**12, "total") if i == 1 else (None, None)), None)
                for i, key in enumerate((*KEYS, PROBE))
            ),
        ]
        for number, name, kind, parent, budget, period, billing in rows:
            db.execute(node, (number, name, kind, parent, name, budget, period, billing))
        for i, key in enumerate((*KEYS, PROBE)):
            db.execute("INSERT INTO key_details (number, permission) VALUES (?, 'write')", (4 + i,))
            digest = digest_key(PEPPER, f"sk-{key}")
            db.execute("INSERT INTO key_secret (digest, key, hint, created_at) VALUES (?, ?, '', 0)", (digest, 4 + i))

    async def run(self) -> None:
        """Both phases."""
        self._new_price(2_000, 8_000)
        self.outside.main = asyncio.current_task()
        house = self.house = House(self.outside)
        house.disk.inner.write_now(self._furnish)
        await self._open(house)
        await self._post("start", self.options.balance_nusd)
        self._break_disk()
        self._arrange()
        await asyncio.sleep(self.options.span_s)
        await self._calm_down()

    def _break_disk(self) -> None:
        options, condition = self.options, self.condition
        condition.fail, condition.lose_word = options.disk_fail_percent, options.disk_lose_percent
        condition.slow = options.disk_slow_percent

    def _arrange(self) -> None:
        options, chance = self.options, self.chance
        for request in self._requests():
            self._at(request.at_s, self._arrive, request)
        for number, at_s in enumerate(options.disk_full_at):
            self._at(at_s, self._fill_disk, chance.choice((0.3, 3.0, 12.0)))
            self._at(at_s, self._start, self._post, f"doubtful-{number}", 10**9)
        for number, at_s in enumerate(options.revokes_at):
            self._at(at_s, self._start, self._revoke, chance.choice(KEYS), number)
        for at_s in options.prices_at:
            self._at(at_s, self._new_price, chance.randrange(0, 9_000), chance.randrange(0, 40_000))
        for at_s in options.budgets_at:
            self._at(at_s, self._start, self._rebudget, chance.choice(BUDGETED), chance.choice(PERIODS))
        for at_s in options.reloads_at:
            self._at(at_s, self._reload, chance.choice((1, 2, 100)))
        for number, at_s in enumerate(options.topups_at):
            for _ in range(chance.choice((1, 2))):
                self._at(at_s, self._start, self._post, f"event-{number}", 10**9 * (number + 1))
        for at_s in options.clock_steps_at:
            self._at(at_s, self._step_clock, chance.choice((-86_400, -3600, 3600, 86_400)))
        for at_s in options.crashes_at:
            self._at(at_s, self._crash)

    def _at(self, at_s: float, call: Callable[..., object], *values: object) -> None:
        self.loop.call_later(at_s, call, *values)

    def _requests(self) -> list[Request]:
        options, chance = self.options, self.chance
        found: list[Request] = []
        for tag in range(options.clients):
            at_s = round(chance.uniform(0, options.span_s), chance.choice((0, 3)))
            repeats = chance.choice((2, 3, 5)) if chance.randrange(100) < options.repeat_percent else 1
            plain = Request(
                number=0,
                tag=tag,
                at_s=at_s,
                key=f"sk-{chance.choice(KEYS)}",
                model=chance.choice(("both", "both", "up0/m", "up1/m")),
                stream=chance.randrange(100) < options.stream_percent,
                max_tokens=chance.choice((None, 50, 400)),
                name=f"name-{tag}" if repeats > 1 else None,
                way="stay",
                moment=0.0,
            )
            for _ in range(repeats):
                way = chance.choice(WAYS) if chance.randrange(100) < options.leave_percent else "stay"
                later = at_s + chance.choice((0.0, 0.0, 0.002, 0.5, 8.0))
                found.append(replace(plain, number=len(found), at_s=later, way=way, moment=round(chance.random(), 2)))
        return found

    # --- what happens ------------------------------------------------------------------------------------------

    def _arrive(self, request: Request) -> None:
        chance = Random(f"{self.options.seed}/client/{request.number}")  # noqa: S311 - a scenario, not a secret
        client = Client(request, self.loop, chance, self._parted)
        self.record.clients.append(client)
        self.record.started[request.number] = self.step()
        self.say("client", request.number, request.tag, request.key, request.way)
        self.waiting += 1
        listener = self.loop.ports.get(PORT)
        if listener is None:
            client.refuse()
            return
        wire = Wire(self.loop, request.number, chance, self.step)
        self.wires.append(wire)
        wire.connect(listener.make(), client)
        client.start(wire)

    def _parted(self, client: Client) -> None:
        self.waiting -= 1
        self.record.parted[client.request.number] = self.step()
        seen = client.seen()
        text = hashlib.blake2b(_CREATED.sub(b"", seen.body), digest_size=8).hexdigest()
        self.say("parted", client.request.number, client.how, seen.status, seen.whole, len(seen.body), text)

    def _fill_disk(self, seconds: float) -> None:
        self.say("disk full", seconds)
        self.condition.full_until = self.loop.time() + seconds

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], *values: object) -> None:
        """Something an operator does. It dies with the process."""
        self.say(work.__name__, *values)
        if self.house.ready:
            self.loop.create_task(work(*values))

    async def _revoke(self, key: str, number: int) -> None:
        del number
        try:
            await self.house.office.act("sim", lambda desk: desk.revoke(key))
        except Fault:
            return
        self.record.revoked.setdefault(f"sk-{key}", self.step())

    async def _post(self, event: str, amount_nusd: int) -> None:
        try:
            await self.house.ledger.post("topup", 2, amount_nusd, actor="sim", reason="", event=("sim", event))
        except Fault:
            return
        self.record.posted[event] = amount_nusd

    async def _rebudget(self, node: str, period: str | None) -> None:
        """A node's budget counts by another period, or there is none, or one again."""
        budget = {"limit_nusd": self.options.budget_nusd, "period": period} if period is not None else None
        house = self.house
        with suppress(Fault):
            await house.office.act("sim", lambda desk: desk.change(node, {"budget": budget}))
            await house.ledger.adopt(house.office.directory.nodes)

    def _new_price(self, input_pusd: int, output_pusd: int) -> None:
        """Pico-USD per token, in thousands: two decimals of a dollar for a million tokens."""
        if self.record.prices and not self.house.ready:
            return
        last = self.house.ledger._last_hold if self.record.prices else 0
        for host in HOSTS:
            cheaper = 1 if host == "up1" else 3
            prices = Prices(input_pusd * 1000 // cheaper, output_pusd * 1000 // cheaper)
            version = make_price(host, "m", prices, source=ADMIN)
            assert version is not None
            self.outside.prices.append(version)
            self.record.prices.append((last, version))
        if last or self.record.lives:
            self.house.book.replace(self.outside.prices)

    def _reload(self, factor: int) -> None:
        self.say("reload", factor)
        self.outside.settings = self._settings(factor)
        if self.house.ready:
            self.house.reload(self.outside.settings)

    def _step_clock(self, seconds: int) -> None:
        self.say("clock", seconds)
        self.wall_offset_us += seconds * 1_000_000

    def _crash(self) -> None:
        if not self.house.disk.alive:
            return
        self.say("crash")
        self.record.deaths.append(self.step())
        self.house.die()
        for wire in self.wires:
            wire.cut()
        self.wires.clear()
        self._at(self.chance.choice((0.05, 1.0)), self._revive)

    def _revive(self) -> None:
        self.say("revive")
        self.house.disk.close()
        house = self.house = House(self.outside)
        self.loop.create_task(self._open(house))

    async def _open(self, house: House) -> None:
        await house.open()
        self.record.lives += 1
        last = house.ledger._last_hold  # what was taken after it and is not on disk was never taken
        self.record.prices = [(min(before, last), version) for before, version in self.record.prices]

    async def _calm_down(self) -> None:
        """From now on nothing breaks."""
        self.say("calm")
        self.condition.fail = self.condition.lose_word = self.condition.slow = 0
        self.condition.full_until = 0.0
        self.script.plays = ("fine",)
        await self._settle()
        await asyncio.sleep(3.0)  # what was in trouble may be asked again by now
        probe = Request(10_000, 10_000, 0, f"sk-{PROBE}", "both", True, None, None, "stay", 0.0)
        self._arrive(probe)
        await self._settle()
        self.say("end", self.steps)

    async def _settle(self) -> None:
        """Until nothing goes on, or for as long as anything may."""
        deadline = self.loop.time() + SETTLING_S
        await asyncio.sleep(2.0)
        while self.loop.time() < deadline and (self.waiting or not self.house.quiet):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.5)
