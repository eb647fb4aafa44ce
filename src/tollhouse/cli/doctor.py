"""``tollhouse doctor``: what this installation can reach, and why a model does not answer."""

import sys
from pathlib import Path

import click
import msgspec
import uvloop

from tollhouse.catalog import store as catalog
from tollhouse.cli.options import config_option, settings_or_exit
from tollhouse.cli.session import Session, own_gateway
from tollhouse.config import Settings
from tollhouse.errors import Fault
from tollhouse.snapshot import Snapshot

_MARKS = {"found": "ok  ", "missing": "MISS", "skipped": "skip"}


@click.command()
@click.argument("model", required=False)
@config_option
def doctor(model: str | None, config_file: Path | None) -> None:
    """Without MODEL, report what was found. With it, try each of its targets and say what stands in the way."""
    sys.exit(uvloop.run(_examine(settings_or_exit(config_file, catalog.load()), model)))


async def _examine(settings: Settings, model: str | None) -> int:
    async with own_gateway(settings) as session:
        for finding in session.report:
            click.echo(f"{_MARKS[finding.state]}  {finding.name}: {finding.reason}")
            if finding.fix:
                click.echo(f"      fix: {finding.fix}")
        snapshot = session.snapshot
        if snapshot is None:
            return 1
        for alias, target in snapshot.names.unresolved():
            click.echo(f"MISS  alias {alias}: its target {target} leads nowhere")
            click.echo("      fix: check the spelling, or give its host a key")
        return await _try(session, snapshot, model) if model is not None else 0


async def _try(session: Session, snapshot: Snapshot, model: str) -> int:
    """Sends one short request to each target of a name. 0 when one of them answers."""
    targets = snapshot.names.resolve(model)
    if not targets:
        click.echo(f"MISS  {model}: {snapshot.suggestions.explain(model)}")
        click.echo("      fix: tollhouse models lists the names; see above for hosts that lack a key")
        return 1
    answered = 0
    for target in targets:
        fault = await _ask(session, f"{target.model}#{target.host.name}")
        answered += fault is None
        where = "in this process" if snapshot.is_inside(target.host.name) else f"at {target.host.base_url}"
        click.echo(f"{'ok  ' if fault is None else 'FAIL'}  {target.id} {where}: {fault or 'it answers'}")
    return 0 if answered else 1


async def _ask(session: Session, name: str) -> str | None:
    """What goes wrong with one word of conversation; None when nothing does."""
    body = {"model": name, "messages": [{"role": "user", "content": "Say: ok"}], "max_tokens": 16}
    try:
        async for data in session.stream(body):
            if data == b"[DONE]":
                return None
            if error := msgspec.json.decode(data).get("error"):
                return f"{error.get('code') or error.get('type')}: {error.get('message')}"
    except Fault as fault:
        return fault.message
    return "the stream ended early"
