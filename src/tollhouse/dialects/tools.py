"""Tool calls of a stream, made canonical: which call a fragment belongs to, and what of it the client still needs.

Called by `openai.ChatStream`, one `ToolCalls` for each choice.

Theory of operation
-------------------
OpenAI's own streams say it exactly: the first fragment of a call has ``index``, ``id``, ``type``, a name and empty
arguments; later ones ``index`` and a piece of the arguments. Compatible hosts leave the index out, always send 0, count
content blocks with it, repeat id or name in every fragment, make up a new id for each, send no id, or send a whole call
at once with the arguments as an object. Clients fill a list by ``index`` and concatenate ids and names, so any of these
corrupts a call (https://github.com/vllm-project/vllm/issues/16340, https://github.com/ollama/ollama/issues/7881).

A fragment belongs to the call with its index, unless it shows itself to be another: it brings a name together with an
id not seen at that index, or a different name, or arguments that begin anew after arguments that were complete. Without
an index the id decides, then the last call. Indexes given out count from 0 in the order in which calls are announced;
a call is announced when its name is known, and its arguments wait until then.
"""

import hashlib
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode

_TEXT_KEY = {"function": "arguments", "custom": "input"}
_OWN_KEYS = frozenset({"index", "id", "type", "function", "custom"})


def mint_call_id(seed: str, choice: int, index: int) -> str:
    """An id for a call that came without one; the same for the same answer, so that a replay agrees."""
    return "call_" + hashlib.sha256(f"{seed}:{choice}:{index}".encode()).hexdigest()[:24]


def arguments_text(arguments: object) -> str:
    """Arguments as the JSON text that clients parse: text stays as it is, an object is encoded, none is empty."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _encode(arguments).decode()


class _Call:
    """One call: how the host refers to it, and what the client was given of it."""

    __slots__ = ("closed", "host_id", "index", "kind", "name", "spoken", "waiting")

    def __init__(self, host_id: str | None, kind: str) -> None:
        self.host_id = host_id
        self.kind = kind
        self.name: str | None = None
        self.index = -1
        """Its place in the list the client builds; -1 until it is announced."""
        self.spoken = False
        self.closed = False
        """Its arguments so far end like a whole object."""
        self.waiting: list[dict[str, Any]] = []

    def note(self, text: str) -> None:
        """One more piece of its arguments."""
        if text and not text.isspace():
            self.spoken = True
            self.closed = text.rstrip().endswith("}")


class ToolCalls:
    """The calls of one choice. ``seed`` is the answer's id: ids are minted from it."""

    __slots__ = ("_announced", "_by_id", "_by_index", "_calls", "_choice", "_ids", "_seed")

    def __init__(self, seed: str, choice: int) -> None:
        self._seed = seed
        self._choice = choice
        self._calls: list[_Call] = []
        self._by_index: dict[int, _Call] = {}
        self._by_id: dict[str, _Call] = {}
        self._ids: set[str] = set()
        self._announced = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    @property
    def announced(self) -> int:
        """How many calls the client was told of."""
        return self._announced

    def pass_on(self, entries: Any) -> str | None:
        """The arguments in a delta that is canonical as it stands: one more piece for a call that was announced.

        ``None`` for any other; `take` has to see that one. Nearly every fragment of OpenAI's own streams is of this
        kind, which makes it worth a short way.
        """
        if type(entries) is not list or len(entries) != 1 or type(entry := entries[0]) is not dict or len(entry) != 2:
            return None
        index, function = entry.get("index"), entry.get("function")
        if type(index) is not int or type(function) is not dict or len(function) != 1:
            return None
        call, text = self._by_index.get(index), function.get("arguments")
        if call is None or call.index != index or type(text) is not str:
            return None
        call.note(text)
        return text

    def take(self, entries: list[Any]) -> list[dict[str, Any]]:
        """One delta's ``tool_calls`` as canonical fragments, in order, each to be sent in a delta of its own."""
        fragments: list[dict[str, Any]] = []
        for entry in entries:
            if isinstance(entry, dict):
                self._take(entry, fragments)
        return fragments

    def finish(self, *, whole: bool) -> list[dict[str, Any]]:
        """What is still owed: calls whose name never came, and ``{}`` for the arguments of calls that had none.

        ``whole`` is false where the answer was cut off: then arguments that are missing stay missing.
        """
        fragments: list[dict[str, Any]] = []
        for call in self._calls:
            if call.index < 0:
                fragments += self._announce(call, "", {})
            if whole and not call.spoken and call.kind == "function":
                fragments.append(self._arguments(call, "{}", {}))
        return fragments

    def _take(self, entry: dict[str, Any], fragments: list[dict[str, Any]]) -> None:
        kind, function = _function_of(entry)
        name = given if isinstance(given := function.get("name"), str) and given else None
        text = arguments_text(function.get("input" if kind == "custom" else "arguments"))
        call = self._call_of(entry, name, text)
        if call is None:
            call = self._open(entry, kind)
        extras = {key: value for key, value in entry.items() if key not in _OWN_KEYS and value is not None}
        if call.index < 0 and name is not None:
            fragments += self._announce(call, name, extras)
            extras = {}
        if text or extras:
            fragment = self._arguments(call, text, extras)
            (fragments if call.index >= 0 else call.waiting).append(fragment)

    def _call_of(self, entry: dict[str, Any], name: str | None, text: str) -> _Call | None:
        """The call that a fragment continues; ``None`` if it begins one."""
        if not self._calls:
            return None
        host_index, host_id = entry.get("index"), entry.get("id") or None
        named = self._by_id.get(host_id) if isinstance(host_id, str) else None
        if type(host_index) is int:
            call = self._by_index.get(host_index)
            if call is None:
                return named if name is None else None
        else:
            call = named or self._calls[-1]
        if named is not None and named is not call and call.host_id != host_id:
            return named
        if name is None or call.name is None:
            return call
        other_id = host_id is not None and call.host_id is not None and host_id != call.host_id
        begins_anew = call.closed and text.lstrip().startswith("{") and host_id is None
        return None if other_id or name != call.name or begins_anew else call

    def _open(self, entry: dict[str, Any], kind: str) -> _Call:
        host_index, host_id = entry.get("index"), entry.get("id")
        call = _Call(host_id if isinstance(host_id, str) and host_id else None, kind)
        self._calls.append(call)
        if type(host_index) is int:
            self._by_index[host_index] = call
        if call.host_id is not None:
            self._by_id[call.host_id] = call
        return call

    def _announce(self, call: _Call, name: str, extras: dict[str, Any]) -> list[dict[str, Any]]:
        """The first fragment of a call, and what waited for it."""
        call.name = name
        call.index = self._announced
        self._announced += 1
        call_id = call.host_id
        if call_id is None or call_id in self._ids:
            call_id = mint_call_id(self._seed, self._choice, call.index)
        self._ids.add(call_id)
        body = {"name": name, "input": ""} if call.kind == "custom" else {"name": name, "arguments": ""}
        head = {"index": call.index, "id": call_id, "type": call.kind, call.kind: body, **extras}
        waiting, call.waiting = call.waiting, []
        for fragment in waiting:
            fragment["index"] = call.index
        return [head, *waiting]

    def _arguments(self, call: _Call, text: str, extras: dict[str, Any]) -> dict[str, Any]:
        call.note(text)
        return {"index": call.index, call.kind: {_TEXT_KEY[call.kind]: text}, **extras}


def _function_of(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """``function`` or ``custom``, and that member. Some hosts send both, the unused one with an empty name."""
    function, custom = entry.get("function"), entry.get("custom")
    if isinstance(custom, dict) and (entry.get("type") == "custom" or not isinstance(function, dict)):
        return "custom", custom
    return "function", function if isinstance(function, dict) else {}
