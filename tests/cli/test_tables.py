"""Lists for people."""

import click
import pytest
from click.testing import CliRunner

from tollhouse.cli.fields import given_fields, show_budget
from tollhouse.cli.tables import moment, plain, show_facts, show_rows


def printed(*rows: tuple[object, ...]) -> list[str]:
    """What a table of these rows prints."""

    @click.command()
    def command() -> None:
        show_rows(("name", "count", "note"), rows)

    return CliRunner().invoke(command).stdout.splitlines()


def test_columns_line_up_and_numbers_are_flush_right() -> None:
    """Every row starts its cells where the heads do; what is missing is a dash; a list of nothing prints nothing."""
    assert printed(("a", 5, None), ("longer", 1000, "x")) == [
        "name    count  note",
        "a           5  -",
        "longer   1000  x",
    ]
    assert printed(("a", None, None), ("b", None, None))[1] == "a     -      -"
    assert printed(("a", "-1.50", True), ("b", "2", False)) == [
        "name  count  note",
        "a     -1.50  yes",
        "b         2  no",
    ]
    assert printed() == []


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\r\nb", "a\x07", "\u202etxt.exe", "a\u200bb", "\x9b2J", "\ufeffa"])
def test_a_name_cannot_steer_the_terminal(text: str) -> None:
    """Escapes, line breaks and marks that turn the direction of text are shown as question marks."""
    shown = plain(text)
    assert "?" in shown
    assert shown.isprintable()
    assert plain([text, "b"]).endswith(", b")


def test_moments_are_utc() -> None:
    """A Unix second is a date and a time, none is none."""
    assert moment(1_700_000_000) == "2023-11-14 22:13"
    assert moment(None) is None


def test_facts_are_one_a_line() -> None:
    """Names and values, lined up."""

    @click.command()
    def command() -> None:
        show_facts([("a", 1), ("long", None)])

    assert CliRunner().invoke(command).stdout == "a     1\nlong  -\n"


def test_only_restrictions_are_taken_away_by_a_word() -> None:
    """A thing may be called none; a budget, a model, a tier that is none is no restriction."""
    given = {"name": "none", "owner": "none", "budget": "none", "models": ("none",), "kinds": (), "tier": None}
    assert given_fields(given) == {"name": "none", "owner": "none", "budget": None, "models": None}
    assert show_budget({"limit_usd": "5.00", "period": "total", "zone": "Asia/Tokyo"}) == "5.00"
