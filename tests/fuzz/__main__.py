"""The command behind `scripts/fuzz`."""

import ast
import sys
import time

import click
import uvloop

from tests.fuzz.engine import Broken, Case, attempt, describe, fuzz
from tests.fuzz.targets import TARGETS


@click.command()
@click.option("--seconds", default=60.0, help="How long, shared among the targets.")
@click.option("--only", "names", multiple=True, type=click.Choice(sorted(TARGETS)), help="These targets alone.")
@click.option("--seed", default=None, type=int, help="Number of the first case; without it, from the clock.")
@click.option("--count", default=None, type=int, help="So many cases of each target, whatever the time.")
@click.option("--case", default=None, help="Checks this one case, as a failure's report prints it. Needs --only.")
def main(seconds: float, names: tuple[str, ...], seed: int | None, count: int | None, case: str | None) -> None:
    """Fuzzes the parts of Tollhouse that read bytes from strangers. Exits with 1 at the first failure."""
    chosen = names or tuple(TARGETS)
    if case is not None and len(names) != 1:
        raise click.UsageError("--case needs one --only")
    first = int(time.time()) % 1_000_000 * 1000 if seed is None else seed
    for name in chosen:
        try:
            uvloop.run(run(name, first, count, seconds / len(chosen), ast.literal_eval(case) if case else None))
        except Broken as broken:
            click.echo(str(broken), err=True)
            sys.exit(1)


async def run(name: str, first: int, count: int | None, seconds: float, case: Case | None) -> None:
    """Runs one target and says so."""
    started = time.monotonic()
    async with TARGETS[name]() as target:
        if case is not None:
            error = await attempt(target, case)
            if error is not None:
                raise Broken(await describe(name, first, target, case, error)) from error
            click.echo(f"{name}: the case is good")
            return
        bounds = {"seconds": seconds} if count is None else {"count": count}
        done = await fuzz(name, target, first, **bounds)
    click.echo(f"{name}: {done} cases from {first} on, {time.monotonic() - started:.1f} s, no failure")


if __name__ == "__main__":
    main()
