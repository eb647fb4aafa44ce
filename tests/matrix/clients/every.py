"""Every client, by the name of what it speaks."""

from typing import Any, Protocol

from tests.fakes.door import Answer
from tests.matrix.clients import anthropic, gemini, openai
from tests.matrix.words import Asked, Counts, Heard


class Client(Protocol):
    """What the module of a client has."""

    def write(self, asked: Asked, model: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
        """Where a request goes, and its body."""

    def read_whole(self, answer: Answer) -> Heard:
        """A whole answer."""

    def read_stream(self, answer: Answer) -> Heard:
        """A streamed answer."""

    def read_error(self, answer: Answer) -> tuple[str, str]:
        """The word for a failure, and its text."""

    def shown(self, counts: Counts) -> Counts:
        """What of the counts this dialect can say."""


CLIENTS: dict[str, Client] = {"openai": openai, "anthropic": anthropic, "gemini": gemini}
