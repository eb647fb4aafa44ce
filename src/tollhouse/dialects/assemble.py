"""The whole answer that the chunks of a stream make, in the inner form: the other way round from `split_reply`. Pure.

`gateway.replaying` keeps answers whole, so that one that was streamed can be given again in either way. What a stream
says in pieces is joined (text, thoughts, arguments of calls); of what is said more than once, the last word counts, and
of safety results the worst.
Tool calls get the ids that the writer of the stream gave them, for both are minted from the answer's id.
"""

from collections.abc import Iterable
from typing import Any

from tollhouse.dialects.client import Identity
from tollhouse.dialects.filtered import RESULTS, worse
from tollhouse.dialects.finish import finish_reason
from tollhouse.dialects.tools import ToolCalls

_NOT_SAID = frozenset({"role", "tool_calls", "function_call", "reasoning_details"})
_OWN = frozenset({"index", "delta", "finish_reason", "logprobs"})
_ENVELOPE = frozenset({"choices", "usage", "error"})
_PIECES = frozenset({"text", "summary", "data"})
"""The members of an entry of ``reasoning_details`` that come in pieces."""


def assemble(chunks: Iterable[dict[str, Any]], identity: Identity) -> dict[str, Any] | None:
    """The answer, under this identity and without ``usage``; None where the chunks make none."""
    envelope: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        envelope |= {name: value for name, value in chunk.items() if name not in _ENVELOPE and value is not None}
        for part in chunk["choices"]:
            index = part["index"]
            if index not in choices:
                choices[index] = _Choice(identity.id, index)
            choices[index].add(part)
    if not choices:
        return None
    envelope |= {"id": identity.id, "object": "chat.completion", "created": identity.created}
    return {**envelope, "choices": [choices[index].whole() for index in sorted(choices)]}


class _Choice:
    """One choice, so far."""

    __slots__ = ("_calls", "_details", "_extras", "_fragments", "_index", "_legacy", "_logprobs", "_reason", "_said")

    def __init__(self, seed: str, index: int) -> None:
        self._index = index
        self._said: dict[str, Any] = {}
        self._details: list[Any] = []
        self._calls = ToolCalls(seed, index)
        self._fragments: list[dict[str, Any]] = []
        self._legacy: dict[str, Any] = {}
        self._logprobs: dict[str, list[Any]] | None = None
        self._reason: object = None
        self._extras: dict[str, Any] = {}

    def add(self, part: dict[str, Any]) -> None:
        """Takes one choice of a chunk in."""
        delta = part["delta"]
        self._reason = self._reason or part.get("finish_reason")
        extras = {name: value for name, value in part.items() if name not in _OWN and value is not None}
        if RESULTS in extras and RESULTS in self._extras:  # each is of another stretch of the answer
            extras[RESULTS] = worse(self._extras[RESULTS], extras[RESULTS])
        self._extras |= extras
        if isinstance(logprobs := part.get("logprobs"), dict):
            self._logprobs = self._logprobs or {"content": [], "refusal": []}
            for name in self._logprobs:
                if isinstance(tokens := logprobs.get(name), list):
                    self._logprobs[name] += tokens
        for name, value in delta.items():
            if name not in _NOT_SAID and value is not None:
                self._said[name] = _joined(self._said.get(name), value)
        if isinstance(calls := delta.get("tool_calls"), list):
            self._fragments += self._calls.take(calls)
        if isinstance(called := delta.get("function_call"), dict):
            for name, value in called.items():
                self._legacy[name] = _joined(self._legacy.get(name), value)
        if isinstance(details := delta.get("reasoning_details"), list):
            for entry in details:
                self._detail(entry)

    def _detail(self, entry: Any) -> None:
        """Those with one index are pieces of one entry."""
        last = self._details[-1] if self._details else None
        if not (isinstance(entry, dict) and isinstance(last, dict) and _same_entry(entry, last)):
            self._details.append(dict(entry) if isinstance(entry, dict) else entry)
            return
        for name, value in entry.items():
            if value is not None:
                last[name] = _joined(last.get(name), value) if name in _PIECES else value

    def whole(self) -> dict[str, Any]:
        """The choice of the whole answer."""
        reason = finish_reason(self._reason, called=bool(self._calls), legacy_call=bool(self._legacy))
        fragments = [*self._fragments, *self._calls.finish(whole=reason == "tool_calls")]
        beside: dict[str, Any] = {}
        if self._details:
            beside["reasoning_details"] = self._details
        if fragments:
            beside["tool_calls"] = _calls(fragments)
        if self._legacy:
            beside["function_call"] = {**self._legacy, "arguments": self._legacy.get("arguments") or "{}"}
        said = {name: value for name, value in self._said.items() if name not in ("content", "refusal")}
        refusal = self._said.get("refusal") or None
        content = self._said.get("content") or (None if refusal or beside else "")
        message = {"role": "assistant", "content": content, "refusal": refusal, **said, **beside}
        told = None if self._logprobs is None else {name: held or None for name, held in self._logprobs.items()}
        ended = {"index": self._index, "message": message, "logprobs": told, "finish_reason": reason}
        return {**ended, **self._extras}


def _joined(known: Any, value: Any) -> Any:
    """A member of which another piece has come."""
    if type(value) is type(known) and isinstance(value, str | list):
        return known + value
    return list(value) if isinstance(value, list) else value


def _calls(fragments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whole calls out of the fragments of `ToolCalls`."""
    calls: dict[int, dict[str, Any]] = {}
    for fragment in fragments:
        call = calls.setdefault(fragment["index"], {})
        for name, value in fragment.items():
            known = call.get(name)
            if isinstance(value, dict) and isinstance(known, dict):
                call[name] = {**known, **{key: _joined(known.get(key), piece) for key, piece in value.items()}}
            elif name != "index":
                call[name] = value
    return [calls[index] for index in sorted(calls)]


def _same_entry(entry: dict[str, Any], last: dict[str, Any]) -> bool:
    index = entry.get("index")
    return index is not None and index == last.get("index") and entry.get("type") == last.get("type")
