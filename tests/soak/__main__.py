"""The command behind `scripts/soak`."""

import resource
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import uvloop

from tests.soak import idle, soak

_SPARE_FILES = 300


@click.command()
@click.option("--minutes", default=5.0, help="How long the mixed traffic runs; 0 leaves it out.")
@click.option("--clients", default=16, help="Clients at once.")
@click.option("--idle", "sleepers", default=10_000, help="Idle connections, afterwards; 0 leaves them out.")
@click.option("--keep-alive", "keep_alive_s", default=30.0, help="Seconds after which the gateway closes those.")
@click.option("--seed", default=1, help="Another number is other traffic.")
def main(minutes: float, clients: int, sleepers: int, keep_alive_s: float, seed: int) -> None:
    """Soaks a real gateway process, then holds idle connections to one. Exits with 1 when a promise is broken."""
    with TemporaryDirectory() as folder:
        if minutes:
            plan = soak.Plan(minutes * 60, clients, seed=seed)
            done = uvloop.run(soak.soak(Path(folder), plan))
            click.echo(done.report())
            soak.judge(done, plan)
    with TemporaryDirectory() as folder:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        count = min(sleepers, hard - _SPARE_FILES)
        if count > 0:
            measured = uvloop.run(idle.measure(Path(folder), count, keep_alive_s))
            click.echo(measured.report())
            idle.judge(measured, keep_alive_s)


if __name__ == "__main__":
    main()
