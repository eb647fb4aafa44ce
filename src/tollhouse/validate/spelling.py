"""How values, paths and words are spelled in errors: as OpenAI spells them, and never longer than a line."""

from collections.abc import Sequence
from typing import Any

LONGEST = 64
"""Characters of a client's own words that an error repeats."""

KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    int: "an integer",
    float: "a decimal number",
    bool: "a boolean",
    type(None): "null",
}


def name_kind(value: Any) -> str:
    """The JSON type of a value."""
    return KINDS.get(type(value), "an unsupported value")


def shorten(text: str) -> str:
    """At most `LONGEST` characters, dots where some were cut."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def join_path(steps: Sequence[str | int]) -> str:
    """``["messages", 0, "role"]`` becomes ``messages[0].role``."""
    spelled = [f"[{step}]" if isinstance(step, int) else f".{shorten(step)}" for step in steps]
    return "".join(spelled).removeprefix(".")


def join_words(words: Sequence[str]) -> str:
    """``'a'``, ``'a' and 'b'``, ``'a', 'b', and 'c'``."""
    quoted = [f"'{word}'" for word in words]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
