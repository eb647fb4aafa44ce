"""The options that several commands share, and how their failures are shown."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from tollhouse import config
from tollhouse.catalog.store import Catalogue
from tollhouse.config import ConfigInvalid, Settings

EXIT_CONFIG = 78
"""EX_CONFIG of sysexits.h: something in the configuration must change first."""


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--config FILE``."""
    kind = click.Path(exists=True, dir_okay=False, path_type=Path)
    return click.option("--config", "config_file", type=kind, help="TOML file (tollhouse init writes one).")(command)


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--data DIR``."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option("--data", "data_dir", type=kind, help="Folder of the database [server.data_dir].")(command)


def read_settings(path: Path | None, catalogue: Catalogue, data_dir: Path | None = None) -> Settings:
    """The settings. Raises `ConfigInvalid`."""
    settings = config.load(path, config.environment(), catalogue.providers)
    if data_dir is not None:
        settings = replace(settings, server=replace(settings.server, data_dir=data_dir))
    return settings


def settings_or_exit(path: Path | None, catalogue: Catalogue, data_dir: Path | None = None) -> Settings:
    """The settings, or every fault in them on standard error and exit code 78."""
    try:
        return read_settings(path, catalogue, data_dir)
    except ConfigInvalid as invalid:
        show_problems(invalid)
        sys.exit(EXIT_CONFIG)


def show_problems(invalid: ConfigInvalid) -> None:
    """Every fault, with its path and what to do."""
    count = len(invalid.problems)
    click.echo(f"The configuration has {count} problem{'s' if count > 1 else ''}:", err=True)
    for problem in invalid.problems:
        click.echo(f"  {problem.path}: {problem.message}", err=True)
        if problem.fix:
            click.echo(f"      fix: {problem.fix}", err=True)
