"""The ``tollhouse`` command. Thin: each command reads its options, calls the part that does the work, prints."""

import click

from tollhouse import __version__
from tollhouse.cli.chat import chat
from tollhouse.cli.configuration import check, init
from tollhouse.cli.credits import credits_
from tollhouse.cli.doctor import doctor
from tollhouse.cli.keys import keys
from tollhouse.cli.ledger import ledger
from tollhouse.cli.models import models
from tollhouse.cli.orgs import orgs
from tollhouse.cli.prices import prices
from tollhouse.cli.route import route
from tollhouse.cli.safety import safety
from tollhouse.cli.teams import teams
from tollhouse.cli.tiers import tiers
from tollhouse.cli.up import up
from tollhouse.cli.usage import usage
from tollhouse.cli.users import users
from tollhouse.telemetry.machine_code import is_compiled

_MADE = "compiled" if is_compiled() else "interpreted"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, message=f"tollhouse %(version)s ({_MADE})")
def main() -> None:
    """One self-hosted, OpenAI-compatible door to every model.

    Start with:  tollhouse up
    """


for command in (
    up,
    init,
    check,
    doctor,
    chat,
    models,
    keys,
    orgs,
    teams,
    users,
    credits_,
    ledger,
    usage,
    prices,
    route,
    safety,
    tiers,
):
    main.add_command(command)
