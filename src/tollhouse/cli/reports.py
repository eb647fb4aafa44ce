"""Reports of some days, in lines by group: asked of the admin API, and shown as a table, JSON or CSV.

`cli.usage` and `cli.safety_report` are the two of them. What a line's numbers are is the caller's.
"""

from collections.abc import Callable, Sequence
from typing import Any

import click

from tollhouse.cli.client import Client
from tollhouse.cli.desk import json_option, show_json
from tollhouse.cli.tables import show_rows

Line = dict[str, Any]


def report_options(by: str, groups: Sequence[str]) -> Callable[[Any], Any]:
    """Which days, of whom, in which lines and in which form."""
    lines = f"Lines: any of {', '.join(groups)}, with commas between."
    options = (
        click.option("--by", default=by, show_default=True, help=lines),
        click.option("--from", "first", help="First UTC day, as 2026-01-31; 30 days ago unless given."),
        click.option("--to", "last", help="Last UTC day; today unless given."),
        click.option("--under", help="Only this organisation, team, user or key."),
        json_option,
        click.option("--csv", "as_csv", is_flag=True, help="CSV, for a spreadsheet."),
    )

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def ask_report(client: Client, path: str, given: dict[str, Any]) -> Any:
    """The report: an object, or the bytes of CSV."""
    query = {
        "group_by": given["by"],
        "from": given["first"],
        "to": given["last"],
        "under": given["under"],
        "format": "csv" if given["as_csv"] else "json",
    }
    return client.call("GET", path, query=query)


def show_report(found: Any, given: dict[str, Any], show: Callable[[Line], None], *, as_json: bool) -> None:
    """Prints what `ask_report` got; as a table with ``show``."""
    if given["as_csv"]:
        click.echo(found.decode(), nl=False)
    elif as_json:
        show_json(found)
    else:
        show(found)


def show_lines(
    found: Line, groups: Sequence[str], heads: Sequence[str], numbers: Callable[[Line], list[object]]
) -> None:
    """Prints the lines, and the sums of all."""
    rows = [[_name(line, group) for group in groups] + numbers(line) for line in found["data"]]
    totals = numbers(found["totals"])
    rows.append(["total", *[""] * (len(groups) - 1), *totals] if groups else totals)
    show_rows([*groups, *heads], rows)


def tell_more(found: Line) -> None:
    """Says that there are more lines than were asked for."""
    if found["has_more"]:
        click.echo("There are more lines: ask for fewer days, or for --csv of one of them.", err=True)


def _name(line: Line, group: str) -> object:
    return line.get("key_name") or line["key"] if group == "key" else line[group]
