"""``tollhouse keys``: make, list and revoke client keys. A running server follows within a second or two."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from tollhouse.catalog import store as catalog
from tollhouse.cli.home import Home, create_key, home_or_exit
from tollhouse.cli.options import config_option, data_option, settings_or_exit
from tollhouse.web.heads import json_body


@click.group()
def keys() -> None:
    """Make, list and revoke the keys that clients use."""


def _home(config_file: Path | None, data_dir: Path | None) -> Home:
    return home_or_exit(settings_or_exit(config_file, catalog.load(), data_dir).server.data_dir)


@keys.command()
@click.argument("name", default="default")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON.")
@config_option
@data_option
def create(name: str, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """Make a key and show it, once."""
    home = _home(config_file, data_dir)
    text, key_id = create_key(home.store, home.pepper, name)
    home.store.close()
    if as_json:
        click.echo(json_body({"id": key_id, "name": name, "key": text}).decode())
        return
    click.echo(text)
    click.echo(
        f"This is {key_id} ({name}). It is stored only as a digest: keep it, it cannot be shown again.", err=True
    )


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON for each key.")
@config_option
@data_option
def list_keys(as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """List keys, revoked ones too."""
    home = _home(config_file, data_dir)
    records = home.store.keys()
    home.store.close()
    for record in records:
        state = "revoked" if record.revoked_at is not None else "active"
        if as_json:
            row = {"id": record.id, "name": record.name, "hint": record.hint, "state": state}
            click.echo(json_body({**row, "created_at": record.created_at, "revoked_at": record.revoked_at}).decode())
            continue
        made = datetime.fromtimestamp(record.created_at, UTC).strftime("%Y-%m-%d")
        click.echo(f"{record.id}  {state:8} {record.hint:16} {made}  {record.name}")
    if not records and not as_json:
        click.echo("No keys yet. Make one with: tollhouse keys create NAME", err=True)


@keys.command()
@click.argument("key_id")
@config_option
@data_option
def revoke(key_id: str, config_file: Path | None, data_dir: Path | None) -> None:
    """Revoke a key by its id, for ever."""
    home = _home(config_file, data_dir)
    done = home.store.revoke_key(key_id, int(time.time()))
    home.store.close()
    if not done:
        raise click.ClickException(f"There is no active key {key_id}. See: tollhouse keys list")
    click.echo(f"{key_id} is revoked.")
