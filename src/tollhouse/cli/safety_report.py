"""``tollhouse safety report``: what was found in prompts and answers, as a table, JSON or CSV. Part of `cli.safety`."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.desk import desk_options, open_client
from tollhouse.cli.reports import ask_report, report_options, show_lines, show_report, tell_more

_COUNTS = ("findings", "filtered")


@click.command()
@report_options("side,category,severity", ("day", "key", "side", "category", "severity", "outcome"))
@desk_options
def report(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Show what was found in prompts and answers, and how much of it was not let through. No text is kept or shown.

    A finding is one category on one side of one request.
    """
    with open_client(config_file, data_dir) as client:
        found = ask_report(client, "/admin/safety", given)
    show_report(found, given, _show, as_json=as_json)


def _show(found: dict[str, Any]) -> None:
    show_lines(found, found["group_by"], _COUNTS, lambda line: [line[name] for name in _COUNTS])
    click.echo(f"\n{found['answered_requests']:,} requests were answered from {found['from']} to {found['to']}.")
    tell_more(found)
