"""``tollhouse teams``: parts of an organisation, each with a budget of its own."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.branches import add_commands, make, update_command
from tollhouse.cli.desk import desk_options, json_option
from tollhouse.cli.fields import limit_options


@click.group()
def teams() -> None:
    """Teams: parts of an organisation."""


@teams.command()
@click.argument("name")
@click.option("--org", "organization_id", default="org_default", show_default=True, help="Its organisation.")
@limit_options
@json_option
@desk_options
def create(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Make a team and print its id."""
    make("/admin/teams", given, as_json=as_json, config_file=config_file, data_dir=data_dir)


add_commands(teams, "teams")
teams.add_command(update_command("teams"))
