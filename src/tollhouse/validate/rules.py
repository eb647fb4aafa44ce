"""The rules for single values, of which tables of parameters are made. `shapes` has those for arrays and objects."""

import re
from typing import Any, Final, NoReturn, Protocol

from tollhouse.validate.problems import Problem, refuse_range, refuse_type, refuse_word


class Rule(Protocol):
    """Checks one value. ``kind`` is what a value of the right type is called, ``says`` a line for the documentation."""

    kind: str
    says: str

    def check(self, value: Any) -> None:
        """Raises `Problem`."""


class Nullable:
    """The rule of a field that may be null. Objects look for it, so that the check of a good value stays one call."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.kind = rule.kind
        self.says = f"{rule.says}; or null"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if value is not None:
            self.rule.check(value)


class Refused:
    """A field that no client may send, whatever its value."""

    def __init__(self, why: str) -> None:
        self.kind = "nothing"
        self.says = "refused"
        self.why = why

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        del value
        raise Problem("The parameter", f" is not accepted: {self.why}", "unsupported_parameter")


class Boolean:
    """``true`` or ``false``."""

    kind = "a boolean"
    says = "boolean"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not bool:
            refuse_type(self.kind, value)


class Integer:
    """A whole number within bounds, both included."""

    def __init__(self, low: int, high: int) -> None:
        self.low = low
        self.high = high
        self.kind = "an integer"
        self.says = f"integer, {low} to {high}"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not int:
            refuse_type(self.kind, value)
        if not self.low <= value <= self.high:
            refuse_range("integer", value, self.low, self.high)


class Number:
    """A number within bounds, both included. They are told as they are written: a compiler that took them for floats
    would make "0.0" of 0.
    """

    def __init__(self, low: Any, high: Any) -> None:
        self.low = low
        self.high = high
        self.kind = "a decimal"
        self.says = f"number, {low} to {high}"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        kind = type(value)
        if kind is not float and kind is not int:
            refuse_type(self.kind, value)
        if not self.low <= value <= self.high:
            refuse_range("decimal", value, self.low, self.high)


class Text:
    """A string with a length in characters, and perhaps a pattern of ours (never one of the client's)."""

    def __init__(self, high: int | None = None, *, low: int = 0, pattern: str | None = None) -> None:
        self.high = high
        self.low = low
        self.pattern = pattern
        self.matches = re.compile(pattern).fullmatch if pattern else None
        self.kind = "a string"
        self.says = "string" if high is None else f"string of {low} to {high} characters"
        if pattern:
            self.says += f" that matches `{pattern}`"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not str:
            refuse_type(self.kind, value)
        if self.high is not None and not self.low <= len(value) <= self.high:
            self.refuse_length(len(value))
        if self.matches is not None and not self.matches(value):
            after = f": string does not match pattern. Expected a string that matches the pattern '{self.pattern}'."
            raise Problem("Invalid", after, "invalid_value")

    def refuse_length(self, length: int) -> NoReturn:
        """Too long; or too short, which here always means empty."""
        if length == 0:
            after = (
                f": empty string. Expected a string with minimum length {self.low}, but got an empty string instead."
            )
            raise Problem("Invalid", after, "empty_string")
        after = (
            f": string too long. Expected a string with maximum length {self.high}, "
            f"but got a string with length {length} instead."
        )
        raise Problem("Invalid", after, "string_above_max_length")


class Word:
    """One of a few strings. ``more`` are words that compatible hosts added to OpenAI's."""

    def __init__(self, *words: str, more: tuple[str, ...] = ()) -> None:
        self.words = words
        self.allowed = frozenset(words + more)
        self.kind = "a string"
        self.says = "one of " + ", ".join(f"`{word}`" for word in words)
        if more:
            self.says += "; other hosts' " + ", ".join(f"`{word}`" for word in more)

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is not str:
            refuse_type(self.kind, value)
        if value not in self.allowed:
            refuse_word(value, self.words)


TEXT: Final = Text()
BOOLEAN: Final = Boolean()
