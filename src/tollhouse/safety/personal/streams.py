"""A streamed answer with its personal data restored, whatever the pieces it comes in. Pure.

`gateway` makes one `Restorer` for a stream whose request was masked, and gives it the chunks of the inner form before
they are written. It comes after whatever has to know what the model said in its own words (`gateway.continuation`): a
stream that goes on at another host goes on in the middle of a placeholder too.

Theory of operation
-------------------
Each text of each choice is a channel: content, refusal, thoughts, the arguments of every tool call. Of a channel only
an end is held back that may be the beginning of a placeholder that is in use: ``[EMA`` where ``[EMAIL_1]`` was given
out. So text is late by at most one placeholder, a dozen characters, and only behind a bracket. What is held goes out
when it is no placeholder after all, when the model goes on in another channel of the choice (pieces keep their order,
for some clients are written blocks one after another; tool calls may alternate among themselves), before the choice's
finish reason, and at the end. Cut anywhere, a text comes out the same.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tollhouse.safety.personal.vault import Vault

_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")
_DETAILS = ("text", "summary")
_CALLED = (("function", "arguments"), ("custom", "input"))
_CALLS = "tool_calls"
_OTHERS = (("function_call", "arguments"), ("audio", "transcript"))
_PLAIN_CHOICE = frozenset({"index", "delta", "finish_reason", "logprobs"})
_PLAIN_CHUNK = frozenset({"id", "object", "created", "model", "choices", "system_fingerprint", "service_tier"})
_Channel = tuple[Any, ...]
"""The member of the delta, then what tells its channels apart."""


class _Piece(NamedTuple):
    """One piece of one channel, and where in the chunk it stands."""

    channel: _Channel
    holder: dict[str, Any]
    name: str


class _Choice:
    """What is known of one choice."""

    __slots__ = ("held", "named")

    def __init__(self) -> None:
        self.held: dict[_Channel, str] = {}
        self.named: dict[Any, tuple[Any, Any]] = {}
        """The name and the id of the call at each index."""


class Restorer:
    """One streamed answer. It takes the chunks over: the dicts given to `feed` are changed."""

    __slots__ = ("_choices", "_json_content", "_vault")

    def __init__(self, vault: Vault, *, json_content: bool = False) -> None:
        """``json_content``: see `replies.restore_reply`."""
        self._vault = vault
        self._json_content = json_content
        self._choices: dict[Any, _Choice] = {}

    def feed(self, chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The chunks with values for placeholders; fewer where all that one says is held back, more where something
        held goes first.
        """
        if not self._vault:
            return chunks
        ready: list[dict[str, Any]] = []
        for chunk in chunks:
            held_back = False
            for choice in chunk.get("choices") or ():
                before, held = self._restore(choice)
                ready += before
                held_back = held_back or held
            if not (held_back and _is_silent(chunk)):
                ready.append(chunk)
        return ready

    def finish(self) -> list[dict[str, Any]]:
        """What is still held, where a stream ends without a finish reason."""
        chunks: list[dict[str, Any]] = []
        for index, choice in self._choices.items():
            chunks += _released(index, choice, list(choice.held))
        return chunks

    def _restore(self, choice: dict[str, Any]) -> tuple[list[dict[str, Any]], bool]:
        """Restores one choice of a chunk in place. What has to go before it, and whether something is held back."""
        delta, index = choice.get("delta"), choice.get("index")
        state = self._choices.setdefault(index, _Choice())
        pieces = list(_pieces(delta)) if isinstance(delta, dict) else []
        begun = _begun(delta, state) if isinstance(delta, dict) and delta.get(_CALLS) else set()
        ending = bool(choice.get("finish_reason"))
        before = _released(index, state, _left(state, [piece.channel for piece in pieces], begun, ending))
        for channel, holder, name in pieces:
            text = state.held.pop(channel, "") + holder[name]
            cut = len(text) if ending else self._vault.settled(text)
            if cut < len(text):
                state.held[channel] = text[cut:]
            holder[name] = self._restored(channel, text[:cut])
        return before, bool(state.held)

    def _restored(self, channel: _Channel, text: str) -> str:
        coded = channel[0] in (_CALLS, "function_call") or (self._json_content and channel[0] == "content")
        return self._vault.restore_json(text) if coded and channel[-1] != "input" else self._vault.restore(text)


def _pieces(delta: dict[str, Any]) -> Iterator[_Piece]:
    """The texts of a delta that are not empty."""
    for name in _TEXTS:
        if isinstance(delta.get(name), str) and delta[name]:
            yield _Piece((name,), delta, name)
    for entry in _objects(delta.get("reasoning_details")):
        for name in _DETAILS:
            if isinstance(entry.get(name), str) and entry[name]:
                told = (entry.get("index"), entry.get("type"), entry.get("format"))
                yield _Piece(("reasoning_details", *told, name), entry, name)
    for entry in _objects(delta.get(_CALLS)):
        for kind, name in _CALLED:
            if isinstance(called := entry.get(kind), dict) and _is_text(called, name):
                yield _Piece((_CALLS, entry.get("index"), kind, name), called, name)
    for member, name in _OTHERS:
        if isinstance(holder := delta.get(member), dict) and _is_text(holder, name):
            yield _Piece((member, name), holder, name)


def _is_text(holder: dict[str, Any], name: str) -> bool:
    """Whether a member is text that is not empty. Arguments that a host gives unwritten are written."""
    if isinstance(value := holder.get(name), dict) and name == "arguments":
        holder[name] = json.dumps(value, ensure_ascii=False)
    return isinstance(holder.get(name), str) and bool(holder[name])


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _begun(delta: dict[str, Any], state: _Choice) -> set[Any]:
    """The indexes at which a delta begins another call: hosts exist that number every call 0."""
    begun = set()
    for entry in _objects(delta[_CALLS]):
        function = entry.get("function") or entry.get("custom")
        name = function.get("name") if isinstance(function, dict) else None
        index = entry.get("index")
        if not name or not isinstance(index, int | None):
            continue
        said = (name, entry.get("id"))
        if state.named.get(index, said) != said:
            begun.add(index)
        state.named[index] = said
    return begun


def _left(state: _Choice, spoken: list[_Channel], begun: set[Any], ending: bool) -> list[_Channel]:
    """The channels whose held text has to go before a chunk that speaks in these."""
    if not state.held:
        return []
    members = {channel[0] for channel in spoken}
    return [
        channel
        for channel in state.held
        if (channel[0] == _CALLS and channel[1] in begun)
        or (channel not in spoken and (ending or (members and not (channel[0] == _CALLS and _CALLS in members))))
    ]


def _released(index: Any, state: _Choice, channels: list[_Channel]) -> list[dict[str, Any]]:
    """Chunks with the held text of some channels. No placeholder: that would have been whole."""
    return [
        {
            "object": "chat.completion.chunk",
            "choices": [{"index": index, "delta": _delta(channel, state.held.pop(channel)), "finish_reason": None}],
        }
        for channel in channels
    ]


def _delta(channel: _Channel, text: str) -> dict[str, Any]:
    """A delta that says a text in a channel."""
    member, *rest = channel
    if member == "reasoning_details":
        index, kind, form, name = rest
        return {member: [{"type": kind, name: text, "format": form, "index": index}]}
    if member == _CALLS:
        index, kind, name = rest
        return {member: [{"index": index, kind: {name: text}}]}
    return {member: {rest[0]: text}} if rest else {member: text}


def _is_silent(chunk: Mapping[str, Any]) -> bool:
    """Whether a chunk whose text is held back says nothing else."""
    return chunk.keys() <= _PLAIN_CHUNK and all(map(_says_nothing, chunk["choices"]))


def _says_nothing(choice: dict[str, Any]) -> bool:
    if not choice.keys() <= _PLAIN_CHOICE or choice.get("finish_reason") or choice.get("logprobs"):
        return False
    return all(_is_blank(name, value) for name, value in (choice.get("delta") or {}).items())


def _is_blank(name: str, value: Any) -> bool:
    """Whether a member of a delta tells nothing: an empty text, or another piece of a call that is empty now."""
    if name == _CALLS:
        return all(
            entry.keys() <= {"index", "function"} and entry.get("function") == {"arguments": ""}
            for entry in _objects(value)
        )
    return not value
