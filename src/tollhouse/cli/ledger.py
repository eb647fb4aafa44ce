"""``tollhouse ledger``: verify, export, copy and reconcile the ledger, beside a running gateway or of any copy.

Every command reads one snapshot through a connection that cannot write; a running gateway does not notice.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TextIO

import click

from tollhouse.catalog import store as catalog
from tollhouse.cli.options import config_option, data_option, settings_or_exit
from tollhouse.cli.tables import plain
from tollhouse.errors import StorageUnavailable
from tollhouse.ledger.export import TABLES, read_rows, write_csv, write_json_lines
from tollhouse.ledger.invoice import ROLES, InvoiceUnreadable, read_invoice
from tollhouse.ledger.reconcile import Outcome, Sums, reconcile
from tollhouse.ledger.verify.report import Report
from tollhouse.ledger.verify.run import MAX_AGE_S, verify
from tollhouse.stores.backup import copy_snapshot
from tollhouse.stores.reader import Reader, open_reader
from tollhouse.types.money import format_usd
from tollhouse.web.heads import json_body

_DAY_US = 86_400_000_000
_WAYS = {
    "not_ours": "billed, and not in the ledger",
    "not_theirs": "in the ledger, and not billed",
    "tokens": "tokens differ",
    "cost": "cost differs",
}


@click.group()
def ledger() -> None:
    """Verify, export, copy and reconcile the ledger. Safe beside a running gateway."""


def file_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--file FILE``, ``--data DIR`` and ``--config FILE``: which database."""
    kind = click.Path(dir_okay=False, path_type=Path)
    option = click.option("--file", "file", type=kind, help="Any copy of the database, in place of the data folder's.")
    return option(data_option(config_option(command)))


@contextmanager
def _opened(file: Path | None, config_file: Path | None, data_dir: Path | None) -> Iterator[Reader]:
    """The database, and one plain line for whatever goes wrong with files while it is read."""
    if file is None:
        file = settings_or_exit(config_file, catalog.load(), data_dir).server.data_dir / "tollhouse.db"
    try:
        with open_reader(file) as reader:
            yield reader
    except StorageUnavailable as fault:
        raise click.ClickException(fault.message) from fault
    except BrokenPipeError:  # whoever reads has seen enough: click ends quietly
        raise
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}.") from error


@ledger.command("verify")
@click.option("--max-age", default=MAX_AGE_S, show_default=True, metavar="SECONDS", help="How long a hold may be open.")
@click.option("--integrity", is_flag=True, help="Also compare every index with its table; takes minutes.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@file_option
def verify_command(
    max_age: int, integrity: bool, as_json: bool, file: Path | None, config_file: Path | None, data_dir: Path | None
) -> None:
    """Check every invariant, and name the first bad row of each that is broken. Exits with 1 if one is."""
    with _opened(file, config_file, data_dir) as reader:
        report = _verified(reader, max_age_s=max_age, thorough=integrity)
    _show_report(report, as_json=as_json)
    sys.exit(0 if report.ok else 1)


def _verified(reader: Reader, *, max_age_s: int = MAX_AGE_S, thorough: bool = False) -> Report:
    with Progress("Verifying") as progress:
        return verify(reader, now_s=time.time(), max_age_s=max_age_s, thorough=thorough, progress=progress.show)


def _show_report(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_body(report.as_json()).decode())
        return
    for finding in report.findings:
        click.echo(f"FAILED {finding.check.code} {finding.check.name}: {finding.check.promise}.")
        click.echo(f"  {finding.table} {plain(finding.row)}: expected {plain(finding.expected)};")
        click.echo(f"      found {plain(finding.found)}")
    rows = ", ".join(
        f"{report.counts.get(table, 0):,} {name}" for table, name in (("entry", "entries"), ("hold", "holds"))
    )
    bad = len(report.findings)
    kept = "every promise is kept" if report.ok else f"{bad} promise{'s are' if bad > 1 else ' is'} broken"
    click.echo(f"{len(report.checks)} checks of {rows} in {report.seconds:.1f} s: {kept}.")


@ledger.command()
@click.argument("table", type=click.Choice(sorted(TABLES)), default="entries")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day, UTC.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day, UTC, whole.")
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True, help="Form.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else standard output.")
@file_option
def export(
    table: str,
    first: datetime | None,
    last: datetime | None,
    form: str,
    output: Path | None,
    **where: Path | None,
) -> None:
    """Write entries, holds or movements (tx), in the order of the ledger."""
    span = (
        _unix_us(first) if first is not None else -(1 << 62),
        _unix_us(last) + _DAY_US if last is not None else 1 << 62,
    )
    with _opened(**where) as reader, ExitStack() as files:
        target: TextIO = sys.stdout
        if output is not None:
            target = files.enter_context(output.open("w", encoding="utf-8", newline=""))
        write = write_csv if form == "csv" else write_json_lines
        count = write(read_rows(reader, table, span), target)
    click.echo(f"{count} rows.", err=True)


def _unix_us(day: datetime) -> int:
    return int(day.replace(tzinfo=UTC).timestamp()) * 1_000_000


@ledger.command()
@click.argument("target", type=click.Path(path_type=Path))
@file_option
def backup(target: Path, **where: Path | None) -> None:
    """Copy the database to TARGET (a new file, or a folder) while it is written, and verify the copy."""
    if target.is_dir():
        target /= f"tollhouse-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db"
    if target.exists():
        raise click.ClickException(f"{target} exists. A backup never replaces a file.")
    partial = target.with_name(f"{target.name}.partial")
    with _opened(**where) as reader, Progress("Copying") as progress:
        copy_snapshot(reader, partial, progress.show)
    with _opened(partial, None, None) as reader:
        report = _verified(reader)
    partial.rename(target)
    click.echo(f"{target}  {target.stat().st_size:,} bytes")
    if not report.ok:
        _show_report(report, as_json=False)
        raise click.ClickException("The copy is whole, but the ledger in it is not sound, and nor is its original.")
    click.echo(f"Verified: {report.counts['entry']:,} entries. Keep the file ``pepper`` with it.", err=True)


@ledger.command("reconcile")
@click.argument("invoice", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--provider", required=True, help="The host's name in the configuration: [providers.NAME].")
@click.option("--by", type=click.Choice(["auto", "request", "day"]), default="auto", help="What lines are matched by.")
@click.option("--column", multiple=True, metavar="ROLE=NAME", help=f"Name a column: {', '.join(ROLES)} (repeatable).")
@click.option("--model", multiple=True, metavar="THEIRS=OURS", help="Another name of a model, by day (repeatable).")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@file_option
def reconcile_command(
    invoice: Path,
    provider: str,
    by: str,
    column: tuple[str, ...],
    model: tuple[str, ...],
    as_json: bool,
    **where: Path | None,
) -> None:
    """Compare a provider's invoice or usage export (CSV) with the ledger. Exits with 1 where they differ."""
    columns, models = _pairs("--column", column), _pairs("--model", model)
    if unknown := columns.keys() - set(ROLES):
        raise click.UsageError(f"--column knows {', '.join(ROLES)}, not {', '.join(sorted(unknown))}.")
    with _opened(**where) as reader, invoice.open(encoding="utf-8-sig", newline="") as file:
        try:
            outcome = reconcile(reader, read_invoice(file, columns), provider, by=by, models=models)
        except InvoiceUnreadable as error:
            raise click.ClickException(f"{invoice}: {error}") from error
    if as_json:
        click.echo(json_body(outcome.as_json()).decode())
    else:
        _show_outcome(outcome)
    sys.exit(1 if outcome.differences else 0)


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if any(not name or not equals or not value for name, equals, value in pairs):
        raise click.UsageError(f"{option} takes NAME=VALUE.")
    return {name: value for name, _, value in pairs}


def _show_outcome(outcome: Outcome) -> None:
    for difference in outcome.differences:
        click.echo(f"{plain(difference.what)}: {_WAYS[difference.kind]}")
        click.echo(f"    theirs {_sums(difference.theirs)};  ours {_sums(difference.ours)}")
    click.echo(f"{outcome.matched} matched by {outcome.by}, {len(outcome.differences)} different")
    click.echo(f"theirs {_sums(outcome.theirs)}")
    click.echo(f"ours   {_sums(outcome.ours)}" + (f"; {outcome.unnamed} without an id" if outcome.unnamed else ""))


def _sums(sums: Sums) -> str:
    return f"{sums.requests} requests, {sums.input} in, {sums.output} out, ${format_usd(round(sums.cost_nusd))}"


class Progress:
    """A share of the way, on a terminal; silent elsewhere."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._shown = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        if self._shown >= 0:
            click.echo("\r\x1b[K", nl=False, err=True)

    def show(self, share: float) -> None:
        """Shows whole per cents."""
        per_cent = int(share * 100)
        if per_cent != self._shown and sys.stderr.isatty():
            self._shown = per_cent
            click.echo(f"\r{self._doing} {per_cent} %", nl=False, err=True)
