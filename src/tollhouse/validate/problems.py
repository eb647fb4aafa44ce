"""What can be wrong with one value, worded as OpenAI words it. Raised by the rules; here it becomes the client's error.

A rule does not know where its value stands. It raises a `Problem`; the array or object around it adds its own step on
the way out. So the path of an error is built only when there is an error, and a good value costs nothing but the check.
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from tollhouse.errors import InvalidRequest
from tollhouse.validate.spelling import join_path, join_words, name_kind, shorten


class Problem(Exception):
    """What is wrong with one value. The message is ``before 'path'after``, or only ``before`` without an ``after``."""

    def __init__(self, before: str, after: str | None, code: str | None) -> None:
        super().__init__(before)
        self.before = before
        self.after = after
        self.code = code
        self.steps: list[str | int] = []

    def at(self, step: str | int) -> "Problem":
        """The same problem, one step further out: a key or an index."""
        self.steps.append(step)
        return self

    def as_error(self) -> InvalidRequest:
        """The error for the client."""
        path = join_path(self.steps[::-1])
        message = self.before if self.after is None else f"{self.before} '{path}'{self.after}"
        return InvalidRequest(message, param=path, code=self.code)


def missing(key: str) -> Problem:
    """A required field is absent."""
    return Problem("Missing required parameter:", ".", "missing_required_parameter").at(key)


def refuse_type(kind: str, value: Any) -> NoReturn:
    """The value has the wrong JSON type."""
    raise Problem("Invalid type for", f": expected {kind}, but got {name_kind(value)} instead.", "invalid_type")


def refuse_word(word: str, allowed: Sequence[str]) -> NoReturn:
    """A word that is not one of those allowed."""
    message = f"Invalid value: '{shorten(word)}'. Supported values are: {join_words(allowed)}."
    raise Problem(message, None, "invalid_value")


def refuse_range(name: str, value: float, low: float, high: float) -> NoReturn:
    """A number is out of bounds. ``name`` is ``integer`` or ``decimal``."""
    if value < low:
        after = f": {name} below minimum value. Expected a value >= {low}, but got {value} instead."
        raise Problem("Invalid", after, f"{name}_below_min_value")
    after = f": {name} above maximum value. Expected a value <= {high}, but got {value} instead."
    raise Problem("Invalid", after, f"{name}_above_max_value")


def refuse_length(low: int, high: int | None, length: int) -> NoReturn:
    """An array has too many items; or too few, which here always means none."""
    if length == 0:
        after = f": empty array. Expected an array with minimum length {low}, but got an empty array instead."
        raise Problem("Invalid", after, "empty_array")
    after = (
        f": array too long. Expected an array with maximum length {high}, "
        f"but got an array with length {length} instead."
    )
    raise Problem("Invalid", after, "array_above_max_length")
