"""``scripts/simulate``: many seeds, on every core; the first that fails is told with its options and its last lines."""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

import click

from tests.simulator.run import Outcome, simulate

_LAST_LINES = 40
_CHUNK = 20


def main() -> int:
    """Runs what the command line asks for. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many seeds to run (300)")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--trace", action="store_true", help="print all that happens; of one seed, say --seeds 1")
    parser.add_argument("--twice", action="store_true", help="run each seed twice, and compare")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one for each core)")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    if options.trace:
        return show([simulate(seed, keep_trace=True) for seed in seeds])
    return run(seeds, options.jobs, twice=options.twice)


def outcomes(seeds: range, jobs: int) -> Iterator[Outcome]:
    """What becomes of each, in their order."""
    if jobs == 1:
        yield from map(simulate, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(simulate, seeds, chunksize=_CHUNK)


def run(seeds: range, jobs: int, *, twice: bool) -> int:
    """All seeds, and what they come to."""
    started_at, sums = perf_counter(), Counter[str]()
    failed: list[int] = []
    for outcome in outcomes(seeds, jobs):
        seed = outcome.options.seed
        sums.update(seeds=1, clients=outcome.clients, answered=outcome.answered, deaths=outcome.lives - 1)
        if twice and simulate(seed).digest != outcome.digest:
            failed.append(seed)
            click.echo(f"seed {seed}: two runs differ")
        if outcome.problems:
            failed.append(seed)
            show([simulate(seed, keep_trace=True)], lines=_LAST_LINES)
    total = ", ".join(f"{name} {count:,}" for name, count in sums.items())
    click.echo(f"{total} in {perf_counter() - started_at:.0f} s")
    click.echo(f"failed: {failed}" if failed else "0 lost, 0 duplicated, 0 negative, 0 stuck")
    return 1 if failed else 0


def show(found: list[Outcome], lines: int = sys.maxsize) -> int:
    """Tells everything of some seeds. Returns the exit code."""
    for outcome in found:
        click.echo(f"seed {outcome.options.seed}\n{outcome.options}")
        click.echo("\n".join(outcome.lines[-lines:]))
        click.echo(f"digest {outcome.digest}")
        for problem in outcome.problems:
            click.echo(f"  PROBLEM {problem}")
    return 1 if any(outcome.problems for outcome in found) else 0


if __name__ == "__main__":
    sys.exit(main())
