"""``tollhouse users``: people and services, in a team or directly in an organisation."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.branches import add_commands, make, update_command
from tollhouse.cli.desk import desk_options, json_option
from tollhouse.cli.fields import limit_options


@click.group()
def users() -> None:
    """Users: people and services."""


@users.command()
@click.argument("name")
@click.option("--parent", "parent_id", default="org_default", show_default=True, help="Its team or organisation.")
@limit_options
@json_option
@desk_options
def create(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Make a user and print its id."""
    make("/admin/users", given, as_json=as_json, config_file=config_file, data_dir=data_dir)


add_commands(users, "users")
users.add_command(update_command("users"))
