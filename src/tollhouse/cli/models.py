"""``tollhouse models``: what can be called, with context and prices. Needs no running gateway."""

import asyncio
from decimal import Decimal
from pathlib import Path

import click

from tollhouse import config
from tollhouse.catalog import store as catalog
from tollhouse.cli.assembly import Assembler
from tollhouse.cli.options import config_option, settings_or_exit
from tollhouse.config import Settings
from tollhouse.types.calls import Target


@click.command()
@click.argument("pattern", default="")
@config_option
def models(pattern: str, config_file: Path | None) -> None:
    """List the models that can be called; PATTERN keeps those whose name contains it."""
    listed = asyncio.run(_listed(settings_or_exit(config_file, catalog.load())))
    shown = {name: targets for name, targets in listed.items() if pattern.lower() in name.lower()}
    width = max(map(len, shown), default=0)
    for name, targets in shown.items():
        click.echo(f"{name:{width}}  {_describe(targets)}".rstrip())
    count = len(shown)
    click.echo(f"{count} model{'s' * (count != 1)}. Prices are US dollars per million tokens, in / out.", err=True)


async def _listed(settings: Settings) -> dict[str, tuple[Target, ...]]:
    assembler = await Assembler.start(settings, catalog.load(), config.environment())
    try:
        snapshot = await assembler.make(settings)
        return snapshot.names.listed()
    finally:
        assembler.close()


def _describe(targets: tuple[Target, ...]) -> str:
    facts = targets[0].facts
    if facts is None:
        return "nothing is known of it"
    context = f"{facts.context_tokens // 1000}k" if facts.context_tokens else "-"
    prices = [_dollars(facts.prices.input), _dollars(facts.prices.output)]
    more = f"  {len(targets)} targets" if len(targets) > 1 else ""
    return f"{context:>6}  {' / '.join(prices):>16}{more}"


def _dollars(pico_per_token: int | None) -> str:
    """A price per million tokens."""
    if pico_per_token is None:
        return "?"
    return f"{Decimal(pico_per_token) / 1_000_000:f}"
