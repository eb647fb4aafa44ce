"""``tollhouse init`` and ``tollhouse check``: write a configuration file, and judge one."""

from pathlib import Path

import click

from tollhouse.catalog import store as catalog
from tollhouse.cli.options import settings_or_exit
from tollhouse.config import render_toml


@click.command()
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path), default=Path("tollhouse.toml"))
def init(path: Path) -> None:
    """Write a commented configuration file that holds every setting at its default."""
    try:
        with path.open("x") as file:
            file.write(render_toml())
    except FileExistsError:
        raise click.ClickException(f"{path} exists; it is left as it is.") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
    path.chmod(0o600)
    click.echo(f"Wrote {path}. Start with: tollhouse up --config {path}")


@click.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def check(path: Path) -> None:
    """Judge a configuration file: every problem at once, each with its fix. Exit code 78 when there is one."""
    settings = settings_or_exit(path, catalog.load())
    hosts, aliases = len(settings.providers), len(settings.aliases)
    click.echo(f"{path} is good: {hosts} host{'s' * (hosts != 1)}, {aliases} alias{'es' * (aliases != 1)} declared.")
