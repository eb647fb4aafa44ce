"""``tollhouse credits``: what an organisation has, and the movements of money that people make."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tollhouse.cli.desk import desk_options, json_option, open_client, show_json
from tollhouse.cli.tables import moment, show_facts

_ORG = "/admin/organizations/{id}"
DEFAULT_ORG = "org_default"


@click.group("credits")
def credits_() -> None:
    """Balances, grants, corrections and refunds of organisations."""


@credits_.command()
@click.argument("org", default=DEFAULT_ORG)
@json_option
@desk_options
def show(org: str, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    """Show what an organisation has."""
    with open_client(config_file, data_dir) as client:
        balance = client.call("GET", f"{_ORG}/balance", org)
    if as_json:
        show_json(balance)
        return
    facts: list[tuple[str, object]] = [
        ("organization", balance["organization_id"]),
        ("billing", balance["billing"]),
        ("balance", f"${balance['balance_usd']} ({balance['balance_credits']:,.2f} credits)"),
        ("held", f"${balance['held_usd']}"),
        ("available", "not bounded" if balance["available_usd"] is None else f"${balance['available_usd']}"),
    ]
    if (budget := balance["budget"]) is not None:
        until = f" until {moment(budget['resets_at'])} UTC" if budget["resets_at"] else ""
        facts.append(("budget", f"${budget['spent_usd']} spent of ${budget['limit_usd']}{until}"))
    show_facts(facts)


def _amount_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Who, how much, why, and under which name it happens only once."""
    for option in (
        desk_options,
        json_option,
        click.option("--once", "event", help="A name for this deed: however often it is sent, it happens once."),
        click.option("--in-credits", is_flag=True, help="AMOUNT is in credits, not in dollars."),
        click.argument("amount"),
        click.argument("org"),
    ):
        command = option(command)
    return command


@credits_.command()
@_amount_options
@click.option("--reason", default="", help="Why, for the ledger and the audit.")
def grant(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Give the organisation ORG credit: AMOUNT dollars, such as 25 or 0.50."""
    _move("grant", given, as_json=as_json, config_file=config_file, data_dir=data_dir)


@credits_.command(context_settings={"ignore_unknown_options": True})
@_amount_options
@click.option("--reason", required=True, help="Why, for the ledger and the audit.")
def adjust(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Correct the balance of the organisation ORG by AMOUNT dollars: below zero, as -1.50, it takes."""
    _move("adjustment", given, as_json=as_json, config_file=config_file, data_dir=data_dir)


@credits_.command()
@_amount_options
@click.option("--reason", required=True, help="Why, for the ledger and the audit.")
def refund(as_json: bool, config_file: Path | None, data_dir: Path | None, **given: Any) -> None:
    """Take AMOUNT dollars of credit back from the organisation ORG, whose payment was returned."""
    _move("refund", given, as_json=as_json, config_file=config_file, data_dir=data_dir)


def _move(kind: str, given: dict[str, Any], *, as_json: bool, config_file: Path | None, data_dir: Path | None) -> None:
    unit = "amount_credits" if given["in_credits"] else "amount_usd"
    body = {unit: given["amount"], "reason": given["reason"]}
    with open_client(config_file, data_dir) as client:
        made = client.call("POST", f"{_ORG}/{kind}s", given["org"], body=body, event=given["event"])
    if as_json:
        show_json(made)
        return
    done = "" if made["created"] else " It had happened before."
    click.echo(f"{made['id']}: {kind} of ${made['amount_usd']}. The balance is ${made['balance_usd']}.{done}")
