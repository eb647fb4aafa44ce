"""The command behind `scripts/mutate`."""

import random
import sys
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from tests.mutation.mutants import Mutant, mutants_of
from tests.mutation.runner import KILLED, TIMED_OUT, NotGreen, Verdict, copied, map_tests, preload, run_mutants, tally

ROOT = Path(__file__).parents[2]
PATHS = ("src/tollhouse/ledger", "src/tollhouse/stores/batches.py", "src/tollhouse/stores/sqlite.py")
TESTS = ("tests/ledger", "tests/stores")
EQUIVALENT = "tests/mutation/equivalent.toml"


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for."""

    paths: tuple[str, ...]
    tests: tuple[str, ...]
    sample: int | None
    seed: int | None
    only: str
    workers: int
    least: float
    is_list: bool
    root: Path


@click.command()
@click.option("--path", "paths", multiple=True, default=PATHS, help="Mutate this file or folder. May be repeated.")
@click.option("--tests", multiple=True, default=TESTS, help="Run these tests. May be repeated.")
@click.option("--sample", type=int, default=None, help="So many mutants, chosen by --seed.")
@click.option("--seed", type=int, default=None, help="Chooses the sample; without it, the clock does.")
@click.option("--only", default="", help="Only mutants whose description holds this text.")
@click.option("--workers", type=int, default=1, show_default=True, help="So many processes at a time.")
@click.option("--least", type=float, default=95.0, show_default=True, help="Fail below this score, in percent.")
@click.option("--list", "is_list", is_flag=True, help="Only list the mutants.")
@click.option("--root", type=click.Path(path_type=Path), default=ROOT, hidden=True)
def main(**given: Any) -> None:
    """Puts small faults into the code of money, one at a time, and says which of them the tests notice.

    Exits with 1 when fewer than --least percent are killed, with 2 when the tests fail without any mutant.
    """
    options = Options(**given)
    with copied(options.root.resolve()):
        mutants = chosen(options)
        if options.is_list:
            click.echo("\n".join(map(str, mutants)))
            return
        preload()
        try:
            cover = map_tests(sorted({mutant.path for mutant in mutants}), options.tests)
        except NotGreen as error:
            click.echo(str(error), err=True)
            sys.exit(2)
        verdicts = []
        for verdict in run_mutants(mutants, cover, options.workers):
            verdicts.append(verdict)
            click.echo(f"{verdict.outcome:16} {verdict.seconds:5.1f} s  {verdict.mutant}")
        sys.exit(report(verdicts, options.least))


def chosen(options: Options) -> list[Mutant]:
    """The mutants that are asked for."""
    mutants = [mutant for mutant in find_mutants(options.paths) if options.only in str(mutant)]
    if options.sample is None:
        return mutants
    seed = int(time.time()) if options.seed is None else options.seed
    mutants = random.Random(seed).sample(mutants, min(options.sample, len(mutants)))  # noqa: S311 - not a secret
    click.echo(f"a sample of {len(mutants)} by the seed {seed}")
    return mutants


def find_mutants(paths: tuple[str, ...]) -> list[Mutant]:
    """The mutants of some files and folders, but for those that are known to change nothing."""
    equivalent = tuple(read_equivalent(Path(EQUIVALENT)))
    return [mutant for mutant in all_mutants(paths) if not any(names(entry, mutant) for entry in equivalent)]


def all_mutants(paths: tuple[str, ...]) -> list[Mutant]:
    """Those too that change nothing."""
    found = []
    for path in map(Path, paths):
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            found += mutants_of(file.read_text(), file.as_posix())
    return found


def names(entry: str, mutant: Mutant) -> bool:
    """Whether an entry of the list is about a mutant."""
    return mutant.name.startswith(entry[:-1]) if entry.endswith("*") else mutant.name == entry


def read_equivalent(path: Path) -> dict[str, str]:
    """Why a mutant changes nothing that anybody could notice, by its name."""
    if not path.exists():
        return {}
    groups = tomllib.loads(path.read_text())["equivalent"]
    return {name: group["reason"] for group in groups for name in group["mutants"]}


def report(verdicts: list[Verdict], least: float) -> int:
    """Prints the score. Returns the exit code."""
    alive = [verdict for verdict in verdicts if verdict.outcome not in {KILLED, TIMED_OUT}]
    click.echo(f"\n{len(alive)} not killed:" if alive else "\nall killed")
    for verdict in alive:
        click.echo(f"  {verdict.outcome}: {verdict.mutant}")
    for path, (killed, total) in tally(verdicts).items():
        click.echo(f"{path}: {killed} of {total} killed")
    score = 100 * (1 - len(alive) / len(verdicts)) if verdicts else 100.0
    click.echo(f"score {score:.1f} % of {len(verdicts)} mutants")
    return int(score < least)


if __name__ == "__main__":
    main()
