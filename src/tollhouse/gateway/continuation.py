"""An answer that broke off and goes on at another host: what was said so far, the request for the rest, the join. Pure.

`gateway.pipeline` uses it where an alias opts in (``failover = "mid-stream"``). Theory of operation: a host that can
continue from a prefix (`Quirks.prefix`) is sent the conversation with the words so far as the last, unfinished message
of the assistant, and a cap less by what has been used of it. Only text can be continued: an answer that has begun to
call a tool, to speak, or to answer more than once, ends with an error as it would without all this. One that has only
thought so far begins anew.

The join. A host may repeat the prefix before it goes on (Mistral does), and encoders leave out the blanks at its end,
which some hosts refuse; the first words of the continuation are held back for as long as they may be either. Of a host
that is not known to repeat, a few words that are the same as the first ones are no repetition: "ha " may be followed by
"ha ", and "1" by "10".
"""

from collections.abc import Iterable
from typing import Any

from tollhouse.types.calls import ChatCall

_CAPS = ("max_completion_tokens", "max_tokens")
_REPEATING = "prefix"
"""The way of Mistral, whose answers begin with the prefix: https://docs.mistral.ai/capabilities/completion/usage/"""
_SURELY_CHARS = 24
"""So long a text is not said twice by chance."""
_TEXT_ONLY = frozenset({"role", "content", "refusal", "reasoning", "reasoning_content", "reasoning_details"})


class Transcript:
    """What the client has been given of one answer."""

    __slots__ = ("_texts", "plain", "reason")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self.plain = True
        """Whether it is one choice of text, so that it can be continued."""
        self.reason: object = None
        """The finish reason that its host gave."""

    @property
    def text(self) -> str:
        """The words so far."""
        return "".join(self._texts)

    def add(self, chunks: Iterable[dict[str, Any]]) -> None:
        """Notes chunks of the inner form that are about to be given."""
        for chunk in chunks:
            for choice in chunk["choices"]:
                self._note(choice)

    def _note(self, choice: dict[str, Any]) -> None:
        delta = choice["delta"]
        said = {name for name, value in delta.items() if value}
        if choice["index"] or not said <= _TEXT_ONLY or choice.get("logprobs") or delta.get("refusal"):
            self.plain = False
        self.reason = choice.get("finish_reason") or self.reason
        if type(text := delta.get("content")) is str and text:
            self._texts.append(text)


def continued(call: ChatCall, text: str, used_tokens: int) -> ChatCall:
    """The call for the rest of an answer of which ``text`` has been given."""
    body = dict(call.body)
    for name in _CAPS:
        if (cap := body.get(name)) is not None:
            body[name] = max(1, cap - used_tokens)
    if not text.strip():
        return call.but(body=body, native=None)
    body["messages"] = [*body["messages"], {"role": "assistant", "content": text.rstrip()}]
    return call.but(body=body, native=None)


def marked(call: ChatCall, way: str) -> ChatCall:
    """The call for the rest of an answer, with what a host needs to see that its last message is to be gone on with.
    ``way`` is `Quirks.prefix`.
    """
    if way == "plain":
        return call
    *before, last = call.body["messages"]
    return call.but(body={**call.body, "messages": [*before, {**last, way: True}]})


class Join:
    """The first words of a continuation, without what the client has already."""

    __slots__ = ("_held", "_prefix", "_repeats", "_sent", "done")

    def __init__(self, text: str, way: str = "prefix") -> None:
        """``way`` is `Quirks.prefix`."""
        self._prefix = text
        self._sent = text.rstrip()
        self._repeats = bool(self._sent) and (way == _REPEATING or len(self._sent) >= _SURELY_CHARS)
        self._held = ""
        self.done = not text

    def take(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The chunks with what is to be given of their text; in place."""
        for chunk in chunks:
            for choice in chunk["choices"] if not self.done else ():
                self._take(choice)
        return chunks

    def _take(self, choice: dict[str, Any]) -> None:
        delta = choice["delta"]
        text = delta.get("content")
        held = self._held + text if type(text) is str else self._held
        if not choice.get("finish_reason") and (type(text) is not str or self._may_repeat(held)):
            self._held = held
            delta.pop("content", None)
            return
        self.done = True
        if rest := self._new(held):
            delta["content"] = rest
        else:
            delta.pop("content", None)

    def _may_repeat(self, held: str) -> bool:
        """Whether more has to be seen to know."""
        return (self._repeats and self._prefix.startswith(held)) or (
            len(held) <= len(self._blanks) and self._blanks.startswith(held)
        )

    def _new(self, held: str) -> str:
        """What of the first words is new."""
        if self._repeats and held.startswith(self._prefix):
            return held[len(self._prefix) :]
        if self._repeats and held.startswith(self._sent):
            held = held[len(self._sent) :]
        return held.removeprefix(self._blanks)

    @property
    def _blanks(self) -> str:
        return self._prefix[len(self._sent) :]
