"""Patterns of models: ``openai/*``, ``*mini*``, ``anthropic/claude-sonnet-4-5``. Case does not matter.

Clients send some with a request, and a key's restriction is asked for with each of its requests, so nothing is
compiled: a name is compared, and searched for the parts between the stars.
"""

from collections.abc import Iterable

from tollhouse.types.calls import Target

MOST_CHARS = 128
MOST_PATTERNS = 64
MOST_STARS = 4
"""For those that clients send."""


class Patterns:
    """Several patterns as one question."""

    __slots__ = ("_heads", "_names", "_others")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Of text with only ``*`` for anything; no more than `MOST_PATTERNS` of `MOST_CHARS` each are meant."""
        parts = [pattern.lower().split("*") for pattern in patterns]
        self._names = {one[0] for one in parts if len(one) == 1}
        self._heads = tuple([one[0] for one in parts if len(one) == _ENDED and not one[1]])
        self._others = [one for one in parts if len(one) > _ENDED or (len(one) == _ENDED and one[1])]

    def fits(self, target: Target) -> bool:
        """Whether any of them fits the target's id, or the name that its host knows."""
        return self._fit(target.id.lower()) or self._fit(target.model.lower())

    def _fit(self, name: str) -> bool:
        return (
            name in self._names
            or name.startswith(self._heads)
            or any(_has_parts(name, parts) for parts in self._others)
        )


_ENDED = 2
"""The parts of a pattern with one star."""


def _has_parts(name: str, parts: list[str]) -> bool:
    """Whether a name begins and ends with the first and the last part, and has the others between, in their order."""
    head, tail = parts[0], parts[-1]
    at, end = len(head), len(name) - len(tail)
    if at > end or not name.startswith(head) or not name.endswith(tail):
        return False
    for part in parts[1:-1]:
        at = name.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True
