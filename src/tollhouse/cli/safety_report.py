"""``tollhouse safety report``: what was found in prompts and answers, as a table, JSON or CSV. Part of `cli.safety`."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.tables import show_rows

_COUNTS = ("findings", "filtered")


@click.command()
@click.option(
    "--by",
    default="side,category,severity",
    show_default=True,
    help="Lines: any of day, key, side, category, severity, outcome, with commas between.",
)
@click.option("--from", "first", help="First UTC day, as 2026-01-31; 30 days ago unless given.")
@click.option("--to", "last", help="Last UTC day; today unless given.")
@click.option("--under", help="Only this organisation, team, user or key.")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="CSV, for a spreadsheet.")
@desk_options
def report(as_json: bool, as_csv: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Show what was found in prompts and answers, and how much of it was not let through. No text is kept or shown.

    A finding is one category on one side of one request.
    """
    query = {
        "group_by": given["by"],
        "from": given["first"],
        "to": given["last"],
        "under": given["under"],
        "format": "csv" if as_csv else "json",
    }
    with open_client(config_file, data_dir) as client:
        found = client.call("GET", "/admin/safety", query=query)
    if as_csv:
        click.echo(found.decode(), nl=False)
    elif as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: dict[str, Any]) -> None:
    groups = found["group_by"]
    rows = [[_name(line, group) for group in groups] + _counts(line) for line in found["data"]]
    totals = _counts(found["totals"])
    rows.append(["total", *[""] * (len(groups) - 1), *totals] if groups else totals)
    show_rows([*groups, *_COUNTS], rows)
    click.echo(f"\n{found['answered_requests']:,} requests were answered from {found['from']} to {found['to']}.")
    if found["has_more"]:
        click.echo("There are more lines: ask for fewer days, or for --csv of one of them.", err=True)


def _name(line: dict[str, Any], group: str) -> object:
    return line.get("key_name") or line["key"] if group == "key" else line[group]


def _counts(line: dict[str, Any]) -> list[object]:
    return [line[name] for name in _COUNTS]
