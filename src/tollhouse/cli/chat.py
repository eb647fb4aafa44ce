"""``tollhouse chat MODEL``: talk to a model in the terminal; answers appear as they are written."""

import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec
import uvloop

from tollhouse.catalog import store as catalog
from tollhouse.cli.options import config_option, settings_or_exit
from tollhouse.cli.session import Session, own_gateway
from tollhouse.config import Settings
from tollhouse.errors import Fault

_CONTROL = dict.fromkeys((*range(9), *range(11, 32), *range(127, 160)))


@click.command()
@click.argument("model")
@click.argument("message", required=False)
@click.option("--system", help="A system message to begin with.")
@click.option("--url", help="Base URL of a running gateway, as http://127.0.0.1:8787/v1; needs --key.")
@click.option("--key", envvar="TOLLHOUSE_KEY", help="Key for --url; also read from TOLLHOUSE_KEY.")
@config_option
def chat(
    model: str, message: str | None, system: str | None, url: str | None, key: str | None, config_file: Path | None
) -> None:
    """Talk to MODEL. With MESSAGE, print one answer and end; without, talk until Ctrl-D.

    Starts a gateway of its own unless --url names one.
    """
    if url and not key:
        raise click.UsageError("--url needs --key (or TOLLHOUSE_KEY).")
    running = Session(url, key) if url and key else None
    settings = None if running else settings_or_exit(config_file, catalog.load())
    talk = Talk(model, system)
    sys.exit(uvloop.run(_run(talk, message, running or settings)))


async def _run(talk: "Talk", message: str | None, where: Session | Settings | None) -> int:
    gateway = own_gateway(where) if isinstance(where, Settings) else nullcontext(where)
    async with gateway as session:
        if session is None:
            return 1
        if message is not None:
            return 0 if await talk.say(session, message) else 1
        if sys.stdin.isatty():
            click.echo(f"Talking to {talk.model}. Ctrl-D ends.", err=True)
        failed = False
        while (line := await asyncio.to_thread(_ask)) is not None:
            if line.strip():
                failed = not await talk.say(session, line)
        return 1 if failed and not sys.stdin.isatty() else 0


def _ask() -> str | None:
    """The next line; None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "")
    except (EOFError, KeyboardInterrupt):
        return None


class Talk:
    """A conversation. It grows by each message and its answer; a failed turn leaves no trace in it."""

    def __init__(self, model: str, system: str | None) -> None:
        self.model = model
        self.messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []

    async def say(self, session: Session, text: str) -> bool:
        """One turn: prints the answer as it comes. False when there was none."""
        messages = [*self.messages, {"role": "user", "content": text}]
        answer = ""
        try:
            async for data in session.stream({"model": self.model, "messages": messages}):
                piece = _read_event(data)
                answer += piece
                click.echo(piece.translate(_CONTROL), nl=False)  # a model's text must not steer the terminal
        except Fault as fault:
            click.echo()
            click.echo(f"error: {fault.message}", err=True)
            return False
        click.echo()
        self.messages = [*messages, {"role": "assistant", "content": answer}]
        return True


def _read_event(data: bytes) -> str:
    """The text that an event adds. Raises `Fault` for one that reports an error."""
    if data == b"[DONE]":
        return ""
    event = msgspec.json.decode(data)
    if error := event.get("error"):
        raise Fault(str(error.get("message", "the gateway gave no reason")))
    choices = event.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""
