"""Puts the chunks of a stream together into the completion that they are.

Applications call `collect` with a stream of the openai SDK, or with the JSON of its events, and then ask `results` and
`errors` about what comes of it, as about any completion. For an ``async for``, and to look before the end, there is
`Collector`. The cost is linear in what is fed, whatever it is.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from tollhouse.client.shapes import items, member, names, number, text
from tollhouse.client.templates import SEVERITIES

_ROOT = ("id", "created", "model", "service_tier", "system_fingerprint", "usage", "error")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
"""Members of a delta that grow by what comes."""


def is_chunk(value: object) -> bool:
    """Whether something is a piece of a stream."""
    return member(value, "object") == "chat.completion.chunk" or any(
        member(choice, "delta") is not None for choice in items(member(value, "choices"))
    )


def collect(chunks: Iterable[object]) -> dict[str, Any]:
    """The completion that chunks add up to, as JSON. Raises only what iterating over ``chunks`` does."""
    collector = Collector()
    for chunk in chunks:
        collector.add(chunk)
    return collector.completion()


class _Call:
    """One tool call, as far as it has come."""

    def __init__(self) -> None:
        self.id: str | None = None
        self.name: list[str] = []
        self.arguments: list[str] = []

    def add(self, piece: object) -> None:
        function = member(piece, "function")
        self.id = self.id or text(member(piece, "id"))
        self.name += [part for part in [text(member(function, "name"))] if part is not None]
        self.arguments += [part for part in [text(member(function, "arguments"))] if part is not None]

    def whole(self) -> dict[str, Any]:
        function = {"name": "".join(self.name), "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}


class _Choice:
    """One choice, as far as it has come."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.calls: dict[int, _Call] = {}
        self.finish_reason: str | None = None
        self.filters: dict[str, Any] = {}
        self.offsets: object = None

    def add(self, piece: object) -> None:
        delta = member(piece, "delta")
        for name in _TEXTS:
            if (part := text(member(delta, name))) is not None:
                self.texts.setdefault(name, []).append(part)
        for at, call in enumerate(items(member(delta, "tool_calls"))):
            self.calls.setdefault(number(member(call, "index"), at), _Call()).add(call)
        self.finish_reason = text(member(piece, "finish_reason")) or self.finish_reason
        self.offsets = member(piece, "content_filter_offsets") or self.offsets
        results = member(piece, "content_filter_results")
        for name in names(results):
            found = member(results, name)
            if name not in self.filters or _weight(found) >= _weight(self.filters[name]):
                self.filters[name] = found

    def whole(self, index: int) -> dict[str, Any]:
        said = {name: "".join(parts) for name, parts in self.texts.items()}
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None, **said}
        if self.calls:
            message["tool_calls"] = [call.whole() for call in self.calls.values()]
        choice = {"index": index, "message": message, "finish_reason": self.finish_reason}
        if self.filters:
            choice["content_filter_results"] = self.filters
        if self.offsets is not None:
            choice["content_filter_offsets"] = self.offsets
        return choice


class Collector:
    """A stream, as far as it has come."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}
        self._prompts: list[object] = []
        self._choices: dict[int, _Choice] = {}

    def add(self, chunk: object) -> None:
        """Takes in one chunk. What is none changes nothing."""
        for name in _ROOT:
            if value := member(chunk, name):
                self._root[name] = value
        self._prompts += items(member(chunk, "prompt_filter_results"))
        for piece in items(member(chunk, "choices")):
            if isinstance(piece, Mapping) or hasattr(piece, "delta"):
                self._choices.setdefault(number(member(piece, "index"), 0), _Choice()).add(piece)

    def completion(self) -> dict[str, Any]:
        """The completion so far. Of the results of one category in one choice, the worst."""
        choices = [choice.whole(index) for index, choice in sorted(self._choices.items())]
        whole = {"object": "chat.completion", **self._root, "choices": choices}
        return {**whole, "prompt_filter_results": list(self._prompts)} if self._prompts else whole


def _weight(found: object) -> tuple[bool, int, bool]:
    """How bad a result is: filtered, then by severity, then detected."""
    severity = member(found, "severity")
    level = SEVERITIES.index(severity) if severity in SEVERITIES else 0
    return member(found, "filtered") is True, level, member(found, "detected") is True
