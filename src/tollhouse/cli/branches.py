"""What ``orgs``, ``teams`` and ``users`` have in common: list, show, update, disable and enable."""

from pathlib import Path
from typing import Any

import click

from tollhouse.cli.client import every
from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.fields import given_fields, limit_options, show_budget
from tollhouse.cli.tables import moment, plain, show_facts, show_rows

_TIMES = ("created_at", "disabled_at", "expires_at", "revoked_at")


def add_commands(group: click.Group, plural: str) -> None:
    """Gives a group the commands for the nodes that the API lists under this word."""
    for command in (_list(plural), _show(plural), _switch(plural, "disable"), _switch(plural, "enable")):
        group.add_command(command)


def _list(plural: str) -> click.Command:
    @click.command("list", help=f"List {plural}.")
    @click.option("--under", help="Only those below this one.")
    @json_option
    @desk_options
    def command(under: str | None, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
        with open_client(config_file, data_dir) as client:
            rows = list(every(client, f"/admin/{plural}", under=under))
        if as_json:
            for row in rows:
                show_json(row)
            return
        heads = ("id", "status", "parent", "budget", "tier", "name")
        show_rows(heads, [_cells(row) for row in rows])
        if not rows:
            click.echo(f"No {plural} yet.", err=True)

    return command


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    parent = row.get("parent_id") or row.get("organization_id")
    return row["id"], row["status"], parent, show_budget(row["budget"]), row["tier"], row["name"]


def _show(plural: str) -> click.Command:
    @click.command("show", help="Show one, by its id.")
    @click.argument("node_id")
    @json_option
    @desk_options
    def command(node_id: str, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
        with open_client(config_file, data_dir) as client:
            show_one(client.call("GET", f"/admin/{plural}/{{id}}", node_id), as_json=as_json)

    return command


def _switch(plural: str, word: str) -> click.Command:
    text = {
        "disable": "Suspend one, and every key below it, until it is enabled again.",
        "enable": "Take a suspension back.",
    }

    @click.command(word, help=text[word])
    @click.argument("node_id")
    @desk_options
    def command(node_id: str, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
        with open_client(config_file, data_dir) as client:
            client.call("POST", f"/admin/{plural}/{{id}}/{word}", node_id, body=given_fields(given))
        click.echo(f"{node_id} is {word}d.")

    reason = click.option("--reason", help="Why, for the audit.")
    return reason(command) if word == "disable" else command


def update_command(plural: str) -> click.Command:
    """``update`` of teams and users; organisations and keys have more to say."""

    @click.command("update", help="Change one. What is left out stays as it is; none takes a restriction away.")
    @click.argument("node_id")
    @click.option("--name", help="Another name.")
    @limit_options
    @json_option
    @desk_options
    def command(node_id: str, as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
        with open_client(config_file, data_dir) as client:
            changed = client.call("PATCH", f"/admin/{plural}/{{id}}", node_id, body=given_fields(given))
            show_one(changed, as_json=as_json)

    return command


def make(path: str, given: dict[str, Any], *, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """Makes a node and shows its id, or all of it as JSON."""
    with open_client(config_file, data_dir) as client:
        made = client.call("POST", path, body=given_fields(given))
    if as_json:
        show_json(made)
        return
    click.echo(made["id"])


def show_one(node: dict[str, Any], *, as_json: bool) -> None:
    """A node, as JSON or for people."""
    if as_json:
        show_json(node)
        return
    facts: list[tuple[str, object]] = []
    for name, value in node.items():
        if name in {"object", "hint"} or value is None or value == "":
            continue
        if name == "secrets":
            facts += [("text", _describe_secret(secret)) for secret in value]
        elif name == "budget":
            facts.append((name, show_budget(value)))
        else:
            facts.append((name, moment(value) if name in _TIMES else value))
    show_facts(facts)


def _describe_secret(secret: dict[str, Any]) -> str:
    until = secret["expires_at"]
    return f"{plain(secret['hint'])} of {moment(secret['created_at'])}" + (f", until {moment(until)}" if until else "")
