"""Writes the table of `docs/chat-parameters.md` from the rules; `test_chat_docs` keeps the page in step.

Run ``python tests/validate/parameter_table.py`` after a change of the rules.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tollhouse
from tollhouse.validate.chat import FIELDS
from tollhouse.validate.messages import MESSAGE, Messages
from tollhouse.validate.rules import Nullable, Rule
from tollhouse.validate.shapes import Array, OneOf, Record, Variant

PAGE = Path(tollhouse.__file__).parent / "docs" / "chat-parameters.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"


def describe(fields: Mapping[str, Rule] = FIELDS, required: Sequence[str] = ("messages", "model")) -> str:
    """The table of a body's fields as Markdown."""
    rows = ["| field | takes |", "|---|---|"]
    seen: dict[int, str] = {}
    for name, rule in sorted(fields.items()):
        needed = name in required
        rows += [f"| {field} | {takes} |" for field, takes in flatten(rule, name, seen, needed=needed)]
    return "\n".join(rows) + "\n"


def flatten(rule: Any, path: str, seen: dict[int, str], *, needed: bool) -> Iterator[tuple[str, str]]:
    """A row for the field at ``path``, and for everything below it. A rule used twice is told once."""
    plain = rule.rule if isinstance(rule, Nullable) else rule
    first = seen.get(id(plain))
    again = f", as `{first}`" if first else ""
    yield f"`{path}`" + (" (required)" if needed else ""), rule.says + again
    if not first:
        inside = list(below(plain, path, seen))
        if inside:
            seen[id(plain)] = path
        for inner, inner_path, inner_needed in inside:
            yield from flatten(inner, inner_path, seen, needed=inner_needed)


def below(rule: Any, path: str, seen: dict[int, str]) -> Iterator[tuple[Any, str, bool]]:
    """The fields under a rule, with their paths and whether they are required."""
    if isinstance(rule, Nullable):
        yield from below(rule.rule, path, seen)
    if isinstance(rule, Record):
        for name, inner in rule.fields.items():
            yield inner, f"{path}.{name}", name in rule.required
    if isinstance(rule, Messages):
        yield from below(MESSAGE, f"{path}[]", seen)
    if isinstance(rule, Array):
        yield from below(rule.item, f"{path}[]", seen)
    if isinstance(rule, Variant) and id(rule) not in seen:
        seen[id(rule)] = path
        for word, inner in rule.variants.items():
            yield from below(inner, f"{path}({word})", seen)
    if isinstance(rule, OneOf):
        for inner in rule.choices.values():
            yield from below(inner, path, seen)


def renew(page: str) -> str:
    """The page with a fresh table."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}{describe()}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(renew(PAGE.read_text()))
