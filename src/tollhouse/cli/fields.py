"""Options that say what a node of the tree may do, and what the API is sent for them.

``--budget 50/month@Europe/Berlin``, ``--model 'openai/*'`` (repeatable), ``--expires 90d``. Where something is changed,
the word ``none`` takes a restriction away.
"""

import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

NONE = "none"
_BUDGET = re.compile(r"(?P<limit>[0-9.]+)(/(?P<period>total|day|week|month))?(@(?P<zone>[\w+/-]+))?")
_AGE = re.compile(r"(?P<number>[0-9]{1,6})(?P<unit>[hdw])")
_NULLABLE = frozenset({"budget", "models", "kinds", "tier", "safety", "expires_at"})
_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


def read_budget(_ctx: click.Context, _option: click.Parameter, value: str | None) -> Any:
    """``USD[/PERIOD][@ZONE]`` as the API's budget; ``none`` as it is."""
    if value is None or value == NONE:
        return value
    match = _BUDGET.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a budget such as 50, 50/month or 5/day@Europe/Berlin")
    return {"limit_usd": match["limit"], "period": match["period"] or "total", "zone": match["zone"] or "UTC"}


def read_moment(_ctx: click.Context, _option: click.Parameter, value: str | None) -> Any:
    """``90d``, a date or a UTC time as Unix seconds; ``none`` as it is."""
    if value is None or value == NONE:
        return value
    if match := _AGE.fullmatch(value):
        return int(time.time()) + int(match["number"]) * _UNITS_S[match["unit"]]
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        message = f"{value!r} is not a time such as 90d, 2027-01-31 or 2027-01-31T12:00Z"
        raise click.BadParameter(message) from None
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def read_span(_ctx: click.Context, _option: click.Parameter, value: str) -> int:
    """``0``, ``12h`` or ``7d`` as seconds."""
    if value == "0":
        return 0
    match = _AGE.fullmatch(value)
    if match is None:
        raise click.BadParameter(f"{value!r} is not a span such as 0, 12h or 7d")
    return int(match["number"]) * _UNITS_S[match["unit"]]


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What binds any node."""
    for option in (
        click.option("--safety", help="A safety policy of the configuration, or a template; none takes it away."),
        click.option("--tier", help="Its tier of the configuration; none takes it away."),
        click.option(
            "--kind", "kinds", multiple=True, help="An endpoint it may use, as chat/completions (repeatable)."
        ),
        click.option("--model", "models", multiple=True, help="A model it may call; prefix* too (repeatable)."),
        click.option("--budget", callback=read_budget, help="Most it may spend: USD[/day|week|month][@ZONE], or none."),
    ):
        command = option(command)
    return command


def key_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a key has beside that."""
    for option in (
        click.option("--expires", "expires_at", callback=read_moment, help="90d, a date, a UTC time, or none."),
        click.option(
            "--permission", type=click.Choice(["read", "write", "admin"]), help="What it may do; write calls models."
        ),
        click.option("--owner", help="Whose it is: a person, a service."),
    ):
        command = option(command)
    return command


def given_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were given, as the API takes them: nothing for what was left out, null for ``none``."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == ():
            continue
        items = list(value) if isinstance(value, tuple) else value
        found[name] = None if name in _NULLABLE and items in (NONE, [NONE]) else items
    return found


def show_budget(budget: Mapping[str, Any] | None) -> str | None:
    """A budget as the option spells it."""
    if budget is None:
        return None
    period = "" if budget["period"] == "total" else f"/{budget['period']}"
    zone = "" if budget["zone"] == "UTC" or not period else f"@{budget['zone']}"
    return f"{budget['limit_usd']}{period}{zone}"
