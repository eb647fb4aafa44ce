"""Lists for people: columns of plain text, no colours, nothing that a name in them could steer a terminal with."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import click

_NOTHING = "-"
_MARKS = (0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
_CONTROL = dict.fromkeys((*range(32), *range(127, 160), *_MARKS), "?")
"""Escape sequences, line breaks, and the marks that turn the direction of text."""


def show_rows(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints rows under their heads. Columns of numbers are flush right; a cell that is None is a dash."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return
    columns = [[row[index] for row in cells] for index in range(len(heads))]
    right = [all(map(_is_number, column)) and set(column) != {_NOTHING} for column in columns]
    widths = [max(len(head), *(len(row[index]) for row in cells)) for index, head in enumerate(heads)]
    for row in (list(heads), *cells):
        shown = [
            cell.rjust(width) if flush else cell.ljust(width)
            for cell, width, flush in zip(row, widths, right, strict=True)
        ]
        click.echo("  ".join(shown).rstrip())


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Prints names and values, one a line."""
    lines = [(name, plain(value)) for name, value in facts]
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        click.echo(f"{name.ljust(width)}  {value}".rstrip())


def plain(value: object) -> str:
    """A value as a cell shows it."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    return str(value).translate(_CONTROL)


def moment(at_s: int | None) -> str | None:
    """A Unix second as a UTC date and time."""
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d %H:%M")


def day(at_s: int) -> str:
    """A Unix second as a UTC date."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%d")


def _is_number(cell: str) -> bool:
    return cell == _NOTHING or cell.replace(".", "", 1).replace("-", "", 1).replace(",", "").isdigit()
