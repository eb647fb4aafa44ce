"""Runs seeds: each on a loop and a disk of its own, judged at the end."""

import asyncio
import gc
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.simulator.house import Parts
from tests.simulator.loop import VirtualLoop
from tests.simulator.options import Options, expand
from tests.simulator.oracle import Judge
from tests.simulator.world import World

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory where there is one; its contents go with the run


@dataclass(frozen=True)
class Outcome:
    """What became of one seed."""

    options: Options
    digest: str
    problems: tuple[str, ...]
    answered: int
    clients: int
    lives: int
    lines: tuple[str, ...] = ()


def simulate(seed: int, *, keep_trace: bool = False, parts: Parts | None = None) -> Outcome:
    """One scenario, from nothing."""
    options = expand(seed)
    loop = VirtualLoop()
    errors: list[str] = []
    loop.set_exception_handler(lambda _, context: errors.append(f"{context.get('exception')!r} {context['message']}"))
    with TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as folder:
        world = World(options, Path(folder) / "tollhouse.db", loop, parts or Parts())
        if keep_trace:
            world.lines = []
        try:
            loop.run_until_complete(world.run())
            problems = [*Judge(world).judge(), *errors]
        finally:
            world.house.die()
            loop.run_until_complete(asyncio.sleep(1.0))
            world.house.disk.close()
            loop.close()
    gc.collect(0)
    return Outcome(
        options=options,
        digest=world.trace.hexdigest(),
        problems=tuple(problems),
        answered=sum(client.seen().answered for client in world.record.clients),
        clients=len(world.record.clients),
        lives=world.record.lives,
        lines=tuple(world.lines or ()),
    )
