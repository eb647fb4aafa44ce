"""``tollhouse prices``: what every target costs now and who said so; a new price from a moment on."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.client import every
from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.fields import read_moment
from tollhouse.cli.tables import moment, show_rows

_PER_1M = "_usd_per_1m"


@click.group()
def prices() -> None:
    """Prices, in US dollars for a million tokens."""


@prices.command("list")
@click.argument("pattern", default="")
@click.option("--versions", is_flag=True, help="Every stored version, with the moment from which it holds.")
@json_option
@desk_options
def list_prices(pattern: str, versions: bool, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """List what every target costs now; PATTERN keeps those whose name contains it."""
    with open_client(config_file, data_dir) as client:
        rows = list(every(client, "/admin/prices/versions" if versions else "/admin/prices"))
    if versions:
        rows = [{"target": f"{row['host']}/{row['model']}", "price": row} for row in rows]
    rows = [row for row in rows if pattern.lower() in row["target"].lower()]
    if as_json:
        for row in rows:
            show_json(row)
        return
    heads = ("target", "in", "out", "cache read", "cache write", "source", "from")
    show_rows(heads, [_cells(row["target"], row["price"]) for row in rows])
    unpriced = sum(row["price"] is None for row in rows)
    if unpriced:
        click.echo(f"{unpriced} without a price: refused, until a price is set or the host is called free.", err=True)


def _cells(target: str, price: dict[str, Any] | None) -> tuple[object, ...]:
    if price is None:
        return target, None, None, None, None, "unpriced", None
    names = ("input", "output", "cache_read", "cache_write")
    since = moment(price["effective_from"]) if price["effective_from"] else None
    return target, *[price[f"{name}{_PER_1M}"] for name in names], price["source"], since


@prices.command("set")
@click.argument("target")
@click.option("--input", "input_usd_per_1m", help="US dollars for a million tokens of the prompt.")
@click.option("--output", "output_usd_per_1m", help="For a million tokens of the answer.")
@click.option("--cache-read", "cache_read_usd_per_1m", help="For a million read from the host's cache.")
@click.option("--cache-write", "cache_write_usd_per_1m", help="For a million written to it for 5 minutes.")
@click.option("--cache-write-1h", "cache_write_1h_usd_per_1m", help="For a million written to it for an hour.")
@click.option("--reasoning", "reasoning_usd_per_1m", help="For a million of the answer that are reasoning.")
@click.option("--image", "usd_per_image", help="US dollars for one image made.")
@click.option("--request", "usd_per_request", help="US dollars for one request, whatever its tokens.")
@click.option("--from", "effective_from", callback=read_moment, help="From when: a UTC time, or 2d for in two days.")
@click.option("--confirm", is_flag=True, help="Set it though it is far from the price in force.")
@json_option
@desk_options
def set_price(target: str, as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Set the price of TARGET, a HOST/MODEL, from now on or from a later moment. No version is ever changed."""
    host, _, model = target.partition("/")
    if not model:
        raise click.UsageError("TARGET is HOST/MODEL, as tollhouse prices list shows it.")
    body = {"host": host, "model": model, **{name: value for name, value in given.items() if value is not None}}
    with open_client(config_file, data_dir) as client:
        made = client.call("POST", "/admin/prices", body=body)
    if as_json:
        show_json(made)
        return
    click.echo(
        f"{target} costs ${made['input_usd_per_1m']} / ${made['output_usd_per_1m']} for a million tokens in / out "
        f"from {moment(made['effective_from'])} UTC on (version {made['version']})."
    )
