"""Where a command gets its `Client` from, and what the commands about tenants, money and usage share."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from tollhouse.catalog import store as catalog
from tollhouse.cli.client import Client, find_server
from tollhouse.cli.home import Unusable, home_or_exit, try_lock
from tollhouse.cli.offline import open_offline
from tollhouse.cli.options import config_option, data_option, settings_or_exit
from tollhouse.config import Settings
from tollhouse.web.heads import json_body

PATIENCE_S = 10.0
_PACE_S = 0.05


def desk_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config`` and ``--data``: which data folder."""
    return config_option(data_option(command))


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="JSON: one object a line.")(command)


@contextmanager
def open_client(config_file: Path | None, data_dir: Path | None, patience_s: float = PATIENCE_S) -> Iterator[Client]:
    """The admin API of the data folder: its server's, or this process's own. Exits when neither can be had."""
    settings = settings_or_exit(config_file, catalog.load(), data_dir)
    folder = settings.server.data_dir
    deadline = time.monotonic() + patience_s
    while True:
        try:
            lock = try_lock(folder)
        except OSError as error:
            raise Unusable(f"The data folder {folder} cannot be used: {error}") from error
        if lock is not None:
            with lock, _alone(folder, settings) as client:
                yield client
            return
        server = find_server(folder)
        if server is not None:
            yield server
            return
        if time.monotonic() > deadline:
            raise click.ClickException(f"Another process has {folder} and does not answer. Is a server starting there?")
        time.sleep(_PACE_S)


@contextmanager
def _alone(folder: Path, settings: Settings) -> Iterator[Client]:
    """The API of a folder that no other process has: what a killed server has left behind leads nowhere."""
    (folder / "server.json").unlink(missing_ok=True)
    home = home_or_exit(folder)
    with open_offline(home, settings) as client:
        yield client


def show_json(value: object) -> None:
    """One line."""
    click.echo(json_body(value).decode())
