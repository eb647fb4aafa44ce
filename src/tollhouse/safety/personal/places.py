"""Where the texts of a message are, in the inner form (`docs/dialects.md`). Pure.

`calls` rewrites the messages of a request and `replies` those of an answer, each text by one of two functions: one for
plain text, one for text that is JSON. What is not text for the model is left alone: images, sound, files, data URLs,
what a host has encrypted or signed, ids and names of functions.
"""

from collections.abc import Callable, Mapping
from typing import Any

Rewrite = Callable[[str], str]

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning", "name")
_PART_TEXTS = ("text", "refusal", "thinking", "summary")
_DETAILS = ("text", "summary")
_HOSTS_TEXTS = frozenset({"text", "code", "output"})
"""In parts that only their host understands (``content_parts``)."""


class Places:
    """Rewrites messages: ``text`` for what people and models say, ``code`` for JSON."""

    __slots__ = ("_code", "_text")

    def __init__(self, text: Rewrite, code: Rewrite) -> None:
        self._text = text
        self._code = code

    def message(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message with its texts rewritten; the given one stays as it is."""
        made = dict(message)
        for name in _TEXTS:
            if (value := message.get(name)) is not None:
                made[name] = self.content(value)
        for name, rewrite in _MEMBERS:
            if (value := message.get(name)) is not None:
                made[name] = rewrite(self, value)
        return made

    def content(self, value: Any) -> Any:
        """Text, or a list of parts."""
        if isinstance(value, str):
            return self._text(value)
        return self._entries(value, _PART_TEXTS)

    def _details(self, value: Any) -> Any:
        return self._entries(value, _DETAILS)

    def _entries(self, value: Any, names: tuple[str, ...]) -> Any:
        if not isinstance(value, list):
            return value
        return [self._members(entry, names) if isinstance(entry, dict) else entry for entry in value]

    def _members(self, entry: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
        texts = {name: self._text(text) for name in names if isinstance(text := entry.get(name), str)}
        return {**entry, **texts}

    def _calls(self, value: Any) -> Any:
        return (
            [self._call(call) if isinstance(call, dict) else call for call in value]
            if isinstance(value, list)
            else value
        )

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        made = dict(call)
        if "function" in call:
            made["function"] = self._function(call["function"])
        if isinstance(custom := call.get("custom"), dict):
            made["custom"] = self._members(custom, ("input",))
        return made

    def _function(self, value: Any) -> Any:
        if not isinstance(value, dict) or "arguments" not in value:
            return value
        arguments = value["arguments"]
        return {**value, "arguments": self._code(arguments) if isinstance(arguments, str) else self._deep(arguments)}

    def _deep(self, value: Any) -> Any:
        """Every text of an object: arguments that a host gives unwritten."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._deep(item) for item in value]
        if isinstance(value, dict):
            return {name: self._deep(item) for name, item in value.items()}
        return value

    def _foreign(self, value: Any) -> Any:
        """The texts of parts that only their host understands."""
        if isinstance(value, list):
            return [self._foreign(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            name: self._text(item) if name in _HOSTS_TEXTS and isinstance(item, str) else self._foreign(item)
            for name, item in value.items()
        }

    def _spoken(self, value: Any) -> Any:
        return self._members(value, ("transcript",)) if isinstance(value, dict) else value


_MEMBERS: tuple[tuple[str, Callable[[Places, Any], Any]], ...] = (
    ("reasoning_details", Places._details),  # noqa: SLF001 - a table of its own methods
    ("tool_calls", Places._calls),  # noqa: SLF001
    ("function_call", Places._function),  # noqa: SLF001
    ("content_parts", Places._foreign),  # noqa: SLF001
    ("audio", Places._spoken),  # noqa: SLF001
)


def rewritten_choices(reply: Mapping[str, Any], places: Places) -> list[Any]:
    """The choices of a whole answer with their messages rewritten."""
    choices = reply.get("choices")
    return [
        {**choice, "message": places.message(choice["message"])}
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict)
        else choice
        for choice in (choices if isinstance(choices, list) else ())
    ]
