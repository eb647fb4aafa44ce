"""Writes the parts of the documentation that are made from the code; `scripts/docs` runs it, `test_docs` checks it.

Such a part stands between two comments in its page. A page with one part has plain comments; nothing outside changes.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from tests.docs.markdown import DOCS
from tests.matrix import table as matrix_table
from tests.validate import parameter_table
from tollhouse import config
from tollhouse.cli import main as command_line
from tollhouse.control.admin.api import AdminParts, endpoints
from tollhouse.telemetry.metrics import COUNTERS, GAUGES, HISTOGRAMS
from tollhouse.validate.gemini_api import FIELDS as GEMINI_FIELDS
from tollhouse.validate.messages_api import FIELDS as MESSAGE_FIELDS

MARKS = ("<!-- made from the code: begin -->\n", "<!-- made from the code: end -->")


def metrics_table() -> str:
    """The metrics by their names on the wire."""
    rows = ["| metric | kind | labels | counts |", "|---|---|---|---|"]
    for kind, table in (("counter", COUNTERS), ("gauge", GAUGES), ("histogram", HISTOGRAMS)):
        for name, (text, labels) in sorted(table.items()):
            shown = f"{name}_total" if kind == "counter" else name
            rows.append(f"| `{shown}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {text} |")
    return "\n".join(rows).replace("|  |", "| |") + "\n"


def commands(group: click.Command, name: str = "tollhouse") -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, by what one types."""
    for word, command in getattr(group, "commands", {}).items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def command_reference() -> str:
    """A section for each command."""
    return "\n".join(describe(name, command) for name, command in commands(command_line))


def endpoint_table() -> str:
    """The admin API's endpoints. Nothing of them is called, so that they need nothing to work with."""
    rows = ["| endpoint | what it does |", "|---|---|"]
    parts: Any = AdminParts(*[None] * 6)  # type: ignore[arg-type]
    rows += [f"| `{row.method} {row.path}` | {row.summary} |" for row in endpoints(parts)]
    return "\n".join(rows) + "\n"


def describe(name: str, command: click.Command) -> str:
    """What a command does, and its arguments and options."""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    shown = [one.make_metavar(click.Context(command)) for one in arguments]
    text = " ".join((command.help or "").split())
    lines = [f"### `{' '.join([name, *shown])}`", "", text, ""]
    options = [one for one in command.params if isinstance(one, click.Option)]
    if options:
        lines += ["| option | meaning |", "|---|---|"]
        lines += [f"| `{spelled(one)}` | {one.help} |" for one in options]
        lines.append("")
    return "\n".join(lines)


def spelled(option: click.Option) -> str:
    """An option as one types it."""
    name = "/".join(option.opts)
    if option.is_flag:
        return name
    kind = "N" if isinstance(option.type, click.types.IntParamType) else option.type.name.upper()
    return f"{name} {'DIR' if kind == 'DIRECTORY' else kind}"


PARTS: dict[str, tuple[tuple[str, str], Callable[[], str]]] = {
    "admin.md": (MARKS, endpoint_table),
    "cli.md": (MARKS, command_reference),
    "dialects.md": (MARKS, lambda: f"\n{matrix_table.render()}\n"),
    "operations.md": (MARKS, metrics_table),
    "configuration.md": (MARKS, lambda: f"\n{config.render_markdown()}\n"),
    "messages.md": (MARKS, lambda: parameter_table.describe(MESSAGE_FIELDS, ("model", "messages", "max_tokens"))),
    "gemini.md": (MARKS, lambda: parameter_table.describe(GEMINI_FIELDS, ("contents",))),
    "chat-parameters.md": ((parameter_table.BEGIN, parameter_table.END.strip()), parameter_table.describe),
}


def renewed(page: Path) -> str:
    """A page's text with its part as it should be. Raises ValueError when its comments are missing."""
    (begin, end), make = PARTS[page.name]
    before, _, rest = page.read_text("utf-8").partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"{page} has no part between {begin.strip()} and {end}")
    return f"{before}{begin}{make()}{end}{after}"


def run(*, check: bool) -> int:
    """Renews the pages, or says which are behind. Returns the exit code."""
    behind = [DOCS / name for name in PARTS if renewed(DOCS / name) != (DOCS / name).read_text("utf-8")]
    for page in behind:
        if not check:
            page.write_text(renewed(page), "utf-8")
        sys.stdout.write(f"{page.name} {'is behind the code: run scripts/docs' if check else 'renewed'}\n")
    return 1 if check and behind else 0


if __name__ == "__main__":
    sys.exit(run(check="--check" in sys.argv[1:]))
