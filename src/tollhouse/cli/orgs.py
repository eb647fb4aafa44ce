"""``tollhouse orgs``: organisations, who pay for what is below them."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.branches import add_commands, make, show_one
from tollhouse.cli.desk import desk_options, json_option, open_client
from tollhouse.cli.fields import given_fields, limit_options

_BILLING = click.Choice(["prepaid", "postpaid"])


@click.group()
def orgs() -> None:
    """Organisations: who pays. Credits belong to them."""


@orgs.command()
@click.argument("name")
@click.option("--billing", type=_BILLING, help="prepaid spends its credit and no more (the default); postpaid may owe.")
@limit_options
@json_option
@desk_options
def create(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Make an organisation and print its id."""
    make("/admin/organizations", given, as_json=as_json, config_file=config_file, data_dir=data_dir)


@orgs.command()
@click.argument("node_id")
@click.option("--name", help="Another name.")
@click.option("--billing", type=_BILLING, help="prepaid or postpaid.")
@limit_options
@json_option
@desk_options
def update(node_id: str, as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Change an organisation. What is left out stays as it is; none takes a restriction away."""
    with open_client(config_file, data_dir) as client:
        show_one(client.call("PATCH", "/admin/organizations/{id}", node_id, body=given_fields(given)), as_json=as_json)


add_commands(orgs, "organizations")
