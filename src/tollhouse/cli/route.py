"""``tollhouse route``: where a request would go and why; how the upstream hosts are."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import click
import uvloop

from tollhouse.catalog import store as catalog
from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.options import config_option, settings_or_exit
from tollhouse.cli.session import Session, own_gateway
from tollhouse.cli.tables import show_facts, show_rows
from tollhouse.config import Settings
from tollhouse.errors import Fault


@click.group()
def route() -> None:
    """Where requests go."""


@route.command()
@click.argument("request_file", type=click.File("rb"), required=False)
@click.option("--model", "-m", help="The model to ask for, in place of the request's.")
@click.option("--message", help="Ask about a request with this one message, in place of a file.")
@click.option("--url", help="Base URL of a running gateway, as http://127.0.0.1:8787/v1; needs --key.")
@click.option("--key", envvar="TOLLHOUSE_KEY", help="Key for --url; also read from TOLLHOUSE_KEY.")
@json_option
@config_option
def explain(
    request_file: IO[bytes] | None, model: str | None, message: str | None, as_json: bool, **where: Any
) -> None:
    """Say which target a chat completion would go to, and why. REQUEST_FILE is its JSON; - reads standard input.

    Starts a gateway of its own unless --url names one: that one knows how its hosts are.
    """
    body = _read(request_file, message)
    if model is not None:
        body["model"] = model
    url, key = where["url"], where["key"]
    if url and not key:
        raise click.UsageError("--url needs --key (or TOLLHOUSE_KEY).")
    running = Session(url, key) if url and key else settings_or_exit(where["config_file"], catalog.load())
    page = uvloop.run(_ask(body, running))
    if as_json:
        show_json(page)
    else:
        _show(page)
    sys.exit(0 if page["targets"] else 1)


def _read(request_file: IO[bytes] | None, message: str | None) -> dict[str, Any]:
    """The request. Raises `click.UsageError`."""
    if message is not None:
        return {"messages": [{"role": "user", "content": message}]}
    if request_file is None:
        raise click.UsageError("Give the request: a file of JSON, - for standard input, or --message.")
    try:
        body = json.load(request_file)
    except ValueError as error:
        raise click.UsageError(f"The request is not JSON: {error}.") from None
    if not isinstance(body, dict):
        raise click.UsageError("The request is not a JSON object.")
    return body


async def _ask(body: dict[str, Any], where: Session | Settings) -> dict[str, Any]:
    gateway = own_gateway(where) if isinstance(where, Settings) else nullcontext(where)
    async with gateway as session:
        try:
            page: dict[str, Any] = await session.ask("route/explain", body)
        except Fault as fault:
            raise click.ClickException(fault.message) from None
    return page


def _show(page: dict[str, Any]) -> None:
    policy, needs = page["policy"], page["needs"]
    facts = {
        "model": page["model"],
        "chosen": page["summary"] or None,
        "strategy": policy["strategy"],
        "needs": ", ".join(needs["abilities"]) or None,
        "context": f"{needs['context_tokens']} tokens",
        "difficulty": needs.get("difficulty"),
        "error": page["error"]["message"] if page["error"] else None,
    }
    show_facts([(name, value) for name, value in facts.items() if value is not None])
    show_rows(("target", "key", "code", "why"), [_cells(row) for row in page["candidates"]])


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    return row["target"], row["slot"], row["code"], row["sentence"]


@route.command()
@json_option
@desk_options
def health(as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """Show how the upstream hosts of the running gateway are."""
    with open_client(config_file, data_dir) as client:
        page = client.call("GET", "/admin/health")
    if as_json:
        show_json(page)
        return
    heads = ("target", "state", "in flight", "answers", "failures", "last fault", "first token", "p95")
    show_rows(heads, [_target_cells(row) for row in page["targets"]])
    ill = [key for key in page["keys"] if key["state"] != "ok"]
    if ill:
        rows = [(key["host"], key["slot"], key["state"], _seconds(key["for_s"])) for key in ill]
        show_rows(("host", "key", "state", "for"), rows)
    if not page["targets"]:
        click.echo("No target was asked since the start.", err=True)


def _target_cells(row: dict[str, Any]) -> tuple[object, ...]:
    state = f"{row['state']}, ejected" if row["ejected"] else row["state"]
    speeds = _seconds(row["first_token_s"]), _seconds(row["first_token_p95_s"])
    return row["target"], state, row["in_flight"], row["answers"], row["failures"], row["last_fault"] or None, *speeds


def _seconds(value: float) -> str | None:
    return f"{value:.2f} s" if value else None
