r"""What was masked in one request, and how it is restored in its answer. Pure.

`gateway` makes one `Vault` for each request whose policy masks personal data; `safety.personal.calls` masks with it,
`replies` and `streams` restore.

Theory of operation. A placeholder is ``[EMAIL_1]``: the kind in capitals, and a number. Models copy words in brackets
as they stand, also inside JSON, markdown and code; angle brackets are taken for tags, double braces for templates. One
value has one placeholder through all messages, and numbers are given in the order in which the conversation says the
values, so that the next turn of it gives the same ones: a provider's prompt cache holds, and so do signatures over what
the model thought. A prompt may hold such words literally. They are masked like values, so that nothing of the answer
is ever restored to something else: ``restore(mask(text)) == text``.

In an answer a placeholder is known in any case of its letters and with its underscore escaped (``[EMAIL\_1]``, as
models write markdown); without its brackets it is an ordinary word.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from tollhouse.errors import InvalidRequest
from tollhouse.safety.personal.finding import find
from tollhouse.safety.personal.kinds import DEFAULT_KINDS, KINDS, describe

_LABELS = "|".join(kind.label for kind in KINDS.values())
_SHAPE = re.compile(rf"\[(?P<label>{_LABELS})\\{{0,2}}_[0-9]{{1,6}}\]", re.IGNORECASE | re.ASCII)
_ESCAPES = 2
"""The most backslashes in a placeholder: one of markdown's, which JSON doubles."""
_KIND_OF = {kind.label: kind.name for kind in KINDS.values()}
MOST_VALUES = 20_000
"""Of one request: each takes time and memory, until its answer has ended."""


class Vault:
    """The personal data of one request. It is true once it has given out a placeholder; restoring is free before."""

    __slots__ = ("_counts", "_longest", "_masked", "_placeholders", "_values", "kinds")

    def __init__(self, kinds: Iterable[str] = DEFAULT_KINDS) -> None:
        self.kinds = tuple(kinds)
        """Names in `KINDS`: what is masked."""
        self._placeholders: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._masked: dict[str, None] = {}
        self._longest = 0

    def __bool__(self) -> bool:
        return bool(self._values)

    def __repr__(self) -> str:
        return f"Vault({len(self._values)} values)"

    def mask(self, text: str) -> str:
        """The text with a placeholder for each piece of personal data in it; the same object where there is none.

        Raises `InvalidRequest` from more than `MOST_VALUES` of them on, as `hide` does.
        """
        spans = [(found.start, found.end, found.kind) for found in find(text, self.kinds)]
        self._masked.update(dict.fromkeys([kind for _, _, kind in spans]))
        if "[" in text:
            spans = _merged(
                spans, [(*match.span(), _KIND_OF[match["label"].upper()]) for match in _SHAPE.finditer(text)]
            )
        if not spans:
            return text
        parts: list[str] = []
        done = 0
        for start, end, kind in spans:
            parts += (text[done:start], self._placeholder(text[start:end], kind))
            done = end
        return "".join((*parts, text[done:]))

    @property
    def found(self) -> bool:
        """Whether there was personal data, and not only words that look like placeholders."""
        return bool(self._masked)

    def clear(self) -> None:
        """Forgets everything: what was masked is not sent."""
        for held in (self._placeholders, self._values, self._counts, self._masked):
            held.clear()

    def hide(self, value: str, kind: str) -> str:
        """The placeholder of a value that is known to be personal data of this kind. Raises `InvalidRequest`."""
        self._masked[kind] = None
        return self._placeholder(value, kind)

    def restore(self, text: str) -> str:
        """The text with the values in place of their placeholders."""
        if not self._values or "[" not in text:
            return text
        return _SHAPE.sub(lambda match: self._values.get(_plain(match[0]), match[0]), text)

    def restore_json(self, text: str) -> str:
        """The same for JSON, whole or a piece of it: values are written as they stand inside its strings."""
        if not self._values or "[" not in text:
            return text
        return _SHAPE.sub(self._escaped, text)

    def settled(self, text: str) -> int:
        """How much of the beginning of a text can be restored before more of it is known: all but what may be the
        beginning of a placeholder that is in use.
        """
        if not self._values:
            return len(text)
        at = text.rfind("[", max(0, len(text) - self._longest - _ESCAPES))
        return at if at >= 0 and self._begins(_plain(text[at:])) else len(text)

    def findings(self) -> dict[str, Any]:
        """``personally_identifiable_information``, as annotations have it: what was masked, without the values."""
        return describe(self._masked, filtered=False, redacted=True)

    def _placeholder(self, value: str, kind: str) -> str:
        known = self._placeholders.get(value)
        if known is not None:
            return known
        if len(self._values) >= MOST_VALUES:
            raise _too_many()
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        made = f"[{KINDS[kind].label}_{number}]"
        self._placeholders[value] = made
        self._values[made] = value
        self._longest = max(self._longest, len(made))
        return made

    def _begins(self, text: str) -> bool:
        """Whether a text that opens a bracket is less than a placeholder in use: numbers are given without gaps."""
        label, underscore, number = text[1:].partition("_")
        if not underscore:
            return any(KINDS[kind].label.startswith(label) for kind in self._counts)
        given = self._counts.get(_KIND_OF.get(label, ""), 0)
        if not number:
            return given > 0
        return number.isascii() and number.isdigit() and number[0] != "0" and int(number) <= given

    def _escaped(self, match: re.Match[str]) -> str:
        value = self._values.get(_plain(match[0]))
        return match[0] if value is None else json.dumps(value, ensure_ascii=False)[1:-1]


def _too_many() -> InvalidRequest:
    message = (
        "The safety policy of this request masks personal data, and there is too much of it: more than "
        f"{MOST_VALUES} different values. Send less at a time."
    )
    return InvalidRequest(message, code="too_much_personal_data")


def _plain(placeholder: str) -> str:
    """A placeholder, or the beginning of one, as it was given out."""
    return placeholder.upper().replace("\\", "")


def _merged(spans: list[tuple[int, int, str]], literals: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """Both in order, without the literal placeholders that overlap what was found."""
    merged: list[tuple[int, int, str]] = []
    at = 0
    for literal in literals:
        while at < len(spans) and spans[at][1] <= literal[0]:
            merged.append(spans[at])
            at += 1
        if at == len(spans) or spans[at][0] >= literal[1]:
            merged.append(literal)
    return merged + spans[at:]
