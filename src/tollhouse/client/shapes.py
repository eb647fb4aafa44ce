"""Reads answers of any make: dicts, objects of the openai SDK (or of any other), and whatever else is handed in.

The other modules here ask by name and say what they expect; what is missing or of another kind is None or empty.
Nothing here raises.
"""

from collections.abc import Mapping, Sequence
from typing import Any


def member(value: object, name: str) -> Any:
    """What ``value`` holds under a name: an item of a mapping, else an attribute."""
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)


def items(value: object) -> Sequence[object]:
    """A list or tuple as it is; of anything else, nothing."""
    return value if isinstance(value, list | tuple) else ()


def text(value: object) -> str | None:
    """A string that is not empty."""
    return value if isinstance(value, str) and value else None


def number(value: object, default: int) -> int:
    """A whole number."""
    return value if type(value) is int else default


def names(value: object) -> Sequence[str]:
    """The names under which a mapping, or an object, holds something."""
    if isinstance(value, Mapping):
        return [name for name in value if isinstance(name, str)]
    return list(getattr(value, "__dict__", ()))
