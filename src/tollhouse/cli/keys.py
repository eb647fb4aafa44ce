"""``tollhouse keys``: make, list, show, change, rotate and revoke the keys that clients use."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.branches import show_one
from tollhouse.cli.client import Refused, every
from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.fields import given_fields, key_options, limit_options, read_span
from tollhouse.cli.tables import day, plain

_ONE = "/admin/keys/{id}"


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that clients use."""


@keys.command()
@click.argument("name", default="default")
@click.option("--parent", "parent_id", help="The organisation, team or user it belongs to; org_default unless given.")
@limit_options
@key_options
@json_option
@desk_options
def create(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Make a key and show it, once."""
    with open_client(config_file, data_dir) as client:
        made = client.call("POST", "/admin/keys", body=given_fields(given))
    if as_json:
        show_json({"id": made["id"], "name": made["name"], "key": made["key"]})
        return
    click.echo(made["key"])
    _explain(made)


@keys.command("list")
@click.option("--under", help="Only those below this organisation, team or user.")
@json_option
@desk_options
def list_keys(under: str | None, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """List keys, revoked ones too."""
    with open_client(config_file, data_dir) as client:
        rows = list(every(client, "/admin/keys", under=under))
    for row in rows:
        if as_json:
            show_json({**row, "state": row["status"]})
            continue
        click.echo(f"{row['id']}  {row['status']:9} {row['hint']:16} {day(row['created_at'])}  {plain(row['name'])}")
    if not rows and not as_json:
        click.echo("No keys yet. Make one with: tollhouse keys create NAME", err=True)


@keys.command()
@click.argument("key_id")
@json_option
@desk_options
def show(key_id: str, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """Show all about a key but its text, which is stored nowhere."""
    with open_client(config_file, data_dir) as client:
        show_one(client.call("GET", _ONE, key_id), as_json=as_json)


@keys.command()
@click.argument("key_id")
@click.option("--name", help="Another name.")
@limit_options
@key_options
@json_option
@desk_options
def update(key_id: str, as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Change what a key may do. What is left out stays as it is; none takes a restriction away."""
    with open_client(config_file, data_dir) as client:
        show_one(client.call("PATCH", _ONE, key_id, body=given_fields(given)), as_json=as_json)


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap", callback=read_span, default="24h", show_default=True, help="How long the old text stays valid."
)
@json_option
@desk_options
def rotate(key_id: str, overlap: int, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """Give a key a new text and show it, once. The old one stays valid for a while."""
    with open_client(config_file, data_dir) as client:
        made = client.call("POST", f"{_ONE}/rotate", key_id, body={"overlap_s": overlap})
    if as_json:
        show_json({"id": made["id"], "name": made["name"], "key": made["key"]})
        return
    click.echo(made["key"])
    _explain(made)


@keys.command()
@click.argument("key_id")
@desk_options
def revoke(key_id: str, config_file: Path | None, data_dir: Path | None) -> None:
    """Revoke a key by its id, for ever."""
    with open_client(config_file, data_dir) as client:
        try:
            done = client.call("GET", _ONE, key_id)["status"] != "revoked"
        except Refused as refusal:
            if refusal.error_id != "NOT_FOUND":
                raise
            done = False
        if not done:
            raise click.ClickException(f"There is no active key {key_id}. See: tollhouse keys list")
        client.call("POST", f"{_ONE}/revoke", key_id)
    click.echo(f"{key_id} is revoked.")


def _explain(made: dict[str, Any]) -> None:
    kept = "It is stored only as a digest: keep it, it cannot be shown again."
    click.echo(f"This is {made['id']} ({plain(made['name'])}). {kept}", err=True)
