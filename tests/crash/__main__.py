"""``scripts/crash``: kills a gateway as often as is asked, and says what was lost."""
# ruff: noqa: T201 - it prints

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.crash.rig import EVERYWHERE, Crash, Outcome, session
from tests.crash.upstream import PaidHost

PER_SESSION = 25
"""Kills of one data folder; then a fresh one."""
MOST_RECOVERY_S = 2.0


def main() -> int:
    """0 when nothing was lost, charged twice or left open, and every recovery was quick enough."""
    parser = argparse.ArgumentParser(prog="scripts/crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often (200)")
    parser.add_argument("--seed", type=int, default=None, help="of the places and moments; by default a new one")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    began = time.monotonic()
    outcomes = asyncio.run(_run(options.kills, seed))
    return _tell(outcomes, time.monotonic() - began)


async def _run(kills: int, seed: int) -> list[Outcome]:
    rng = random.Random(seed)  # noqa: S311 - where to die
    plan = [EVERYWHERE[index % len(EVERYWHERE)] for index in range(kills)]
    rng.shuffle(plan)
    outcomes = []
    async with PaidHost() as host:
        for first in range(0, kills, PER_SESSION):
            with tempfile.TemporaryDirectory(prefix="tollhouse-crash-") as folder:
                part = plan[first : first + PER_SESSION]
                outcomes.append(await session(Path(folder), host.port, rng.randrange(1 << 32), part, _show))
    return outcomes


def _show(crash: Crash) -> None:
    again = f", and at {crash.again}" if crash.again else ""
    verdict = "sound" if not crash.problems else "; ".join(crash.problems)
    print(f"{crash.point}{again}: {crash.open_holds} open, {crash.recovery_s:.2f} s, {verdict}", flush=True)


def _tell(outcomes: list[Outcome], seconds: float) -> int:
    crashes = [crash for outcome in outcomes for crash in outcome.crashes]
    problems = [problem for outcome in outcomes for problem in outcome.problems]
    problems += [f"{crash.point} was never reached" for crash in crashes if not crash.reached]
    times = sorted(crash.recovery_s for crash in crashes)
    problems += [f"recovery took {took:.2f} s" for took in times if took > MOST_RECOVERY_S]
    points = Counter(crash.point for crash in crashes)
    print(
        f"\n{len(crashes)} kills in {seconds:.0f} s: " + ", ".join(f"{name} {count}" for name, count in points.items())
    )
    print(f"{sum(1 for crash in crashes if crash.again)} of them killed again during recovery")
    print(f"{sum(crash.open_holds for crash in crashes)} holds were open, and are resolved")
    print(
        f"{sum(outcome.expired for outcome in outcomes)} streams that were cut off were charged by what was delivered"
    )
    print(f"{sum(outcome.acknowledged for outcome in outcomes)} answers and payments acknowledged")
    print(f"recovery: median {statistics.median(times):.2f} s, slowest {times[-1]:.2f} s")
    for problem in problems:
        print(f"WRONG {problem}")
    print("nothing lost, nothing twice" if not problems else f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
