"""``scripts/recordings FILE``: recorded exchanges with real providers against every codec, and what came of them."""

import sys
from collections import Counter
from pathlib import Path

import click

from tests.recordings.exchange import read
from tests.recordings.holding import Outcome, hold
from tests.recordings.normal import RULES


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option("--line", "lines", multiple=True, type=int, help="This line of the file alone; may be given again.")
@click.option("--rules", is_flag=True, help="Prints what may differ, and ends.")
def main(file: Path | None, lines: tuple[int, ...], *, rules: bool) -> None:
    """Decodes each answer of a JSONL file, writes it again, and compares. Exits with 1 where anything differs."""
    if rules:
        click.echo("\n".join(f"{dialect:<10} {rule}" for dialect, told in RULES.items() for rule in told))
        return
    if file is None:
        raise click.UsageError("FILE is missing: a JSONL file of exchanges")
    rows = [row for row in read(file) if not lines or row.line in lines]
    outcomes = [hold(row) for row in rows if row.kind is not None]
    click.echo(table(outcomes))
    click.echo(f"{len(rows) - len(outcomes)} of other endpoints, not read")
    for outcome in outcomes:
        for line in outcome.differences:
            click.echo(f"line {outcome.exchange.line} ({outcome.exchange.host}) {line}")
    sys.exit(any(not outcome.equal for outcome in outcomes))


def table(outcomes: list[Outcome]) -> str:
    """Exchanges, decoded and equal, for each provider and form of answer."""
    counts = Counter[tuple[str, str, str]]()
    for outcome in outcomes:
        exchange = outcome.exchange
        assert exchange.kind is not None
        form = "error" if exchange.status != 200 else "stream" if exchange.streamed else "whole"
        for name, holds in (("exchanges", True), ("decoded", outcome.decoded), ("equal", outcome.equal)):
            counts[exchange.kind.provider, form, name] += holds
            counts["all", "", name] += holds
    shown = [f"{'provider':<12}{'form':<8}{'exchanges':>10}{'decoded':>9}{'equal':>7}"]
    for provider, form in sorted({key[:2] for key in counts}, key=lambda key: (key[0] == "all", key)):
        figures = [counts[provider, form, name] for name in ("exchanges", "decoded", "equal")]
        shown.append(f"{provider:<12}{form:<8}{figures[0]:>10}{figures[1]:>9}{figures[2]:>7}")
    return "\n".join(shown)


if __name__ == "__main__":
    main()
