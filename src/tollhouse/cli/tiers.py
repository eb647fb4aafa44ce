"""``tollhouse tiers``: the sets of limits that the configuration declares."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.client import every
from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.tables import show_rows


@click.command()
@json_option
@desk_options
def tiers(as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """List the tiers and what they allow a key. They are set up in the configuration, under [tiers.NAME]."""
    with open_client(config_file, data_dir) as client:
        rows = list(every(client, "/admin/tiers"))
    if as_json:
        for row in rows:
            show_json(row)
        return
    lines = [line for row in rows for line in _lines(row)]
    show_rows(("tier", "for", "requests/min", "tokens/min", "at once", "only flagged", "safety"), lines)
    if not rows:
        click.echo("No tiers: keys have no limits. Declare some with [tiers.NAME] in the configuration.", err=True)


def _lines(tier: dict[str, Any]) -> list[tuple[object, ...]]:
    found = [_line(tier["id"], "a key", tier["rates"], tier["safety"] or None)]
    if any(value for value in tier["per_model"].values()):
        found.append(_line(tier["id"], "each model", tier["per_model"]))
    return found + [_line(tier["id"], name, rates) for name, rates in tier["models"].items()]


def _line(name: str, what: str, rates: dict[str, Any], safety: str | None = None) -> tuple[object, ...]:
    soft = ", ".join(rates["soft"]) or None
    return name, what, rates["requests_per_minute"], rates["tokens_per_minute"], rates["concurrent"], soft, safety
