"""The name of a model, which every endpoint reads the same way."""

from typing import Any, Final

from tollhouse.errors import InvalidRequest
from tollhouse.validate.problems import Problem
from tollhouse.validate.rules import Text


class ModelName(Text):
    """A short text without control characters: it goes into logs, headers and metrics."""

    def __init__(self) -> None:
        super().__init__(256, low=1)
        self.says += ", no control characters"

    def check(self, value: Any) -> None:
        """Raises `Problem`."""
        if type(value) is str and 0 < len(value) <= 256 and value.isprintable():
            return
        super().check(value)
        if not value.isprintable():
            raise Problem("Invalid", ": control characters are not allowed.", "invalid_value")


MODEL: Final = ModelName()


def require_model(body: dict[str, Any]) -> None:
    """Raises `InvalidRequest`, in OpenAI's words, when no model is named. What is named is left to `MODEL`."""
    if body.get("model") in (None, ""):
        raise InvalidRequest("you must provide a model parameter")
