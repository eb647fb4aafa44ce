"""Personal data that a model says of itself, taken out of its answer for good. Pure.

`gateway` calls `redact_reply` where a policy asks for it, before `replies.restore_reply`: what the client itself said
stands in the answer as placeholders then, and stays. The model's own becomes ``[EMAIL]``, without a number.
"""

from collections.abc import Iterable
from typing import Any

from tollhouse.safety.personal.calls import mask_json
from tollhouse.safety.personal.finding import find
from tollhouse.safety.personal.kinds import DEFAULT_KINDS, KINDS, describe
from tollhouse.safety.personal.places import Places, rewritten_choices


class Redactor:
    """Takes personal data out of the texts of one answer, and remembers of which kinds it was."""

    __slots__ = ("_found", "kinds")

    def __init__(self, kinds: Iterable[str] = DEFAULT_KINDS) -> None:
        self.kinds = tuple(kinds)
        """Names in `KINDS`."""
        self._found: set[str] = set()

    def mask(self, text: str) -> str:
        """The text with the kind of each piece of personal data in its place."""
        parts: list[str] = []
        done = 0
        for found in find(text, self.kinds):
            parts += (text[done : found.start], self.hide("", found.kind))
            done = found.end
        return "".join((*parts, text[done:])) if parts else text

    def hide(self, value: str, kind: str) -> str:
        """What stands for any value of a kind."""
        del value
        self._found.add(kind)
        return f"[{KINDS[kind].label}]"

    def findings(self) -> dict[str, Any]:
        """``personally_identifiable_information``, as annotations of a completion have it."""
        return describe(self._found, filtered=False, redacted=True)


def redact_reply(reply: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """An answer in the inner form without the personal data that the model has put there."""
    places = Places(redactor.mask, lambda text: mask_json(text, redactor))
    return {**reply, "choices": rewritten_choices(reply, places)}
