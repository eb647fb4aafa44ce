"""The words of answers, wherever a dialect puts them: what a judge of their safety reads. Pure.

`gateway.ear` and the clients' dialects call these. An answer has channels, for its words come side by side: the text,
what was thought, the name and the arguments of each call, and each text in a member that only some host knows. The rule
kept here: a channel's pieces, joined with nothing, are the same whether an answer came whole or in chunks. Names of
arguments' channels begin with `CALL`: their text is JSON, and `gateway.ear` undoes its escapes, for a piece may end in
the middle of one. Entries of a list that have no ``index`` are told in a channel that begins with `AGAIN` too, apart
from one another, for nobody knows whether one goes on where the last one ended.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from tollhouse.dialects.spoken_words import OPAQUE, is_silent, text_of_silent
from tollhouse.types.values import Value

TEXT, THOUGHT, CALL, NAME, AGAIN = "text", "thought", "call", "name", "again"
_CHANNELS: Final[Mapping[str, str]] = MappingProxyType(
    {"content": TEXT, "refusal": "refusal", "reasoning_content": THOUGHT}
)
_THOUGHTS: Final = ("reasoning_content", "reasoning")
_THOUGHTS_AGAIN: Final = frozenset({"reasoning", "reasoning_details", "thinking_blocks"})
"""Members that may tell again what was thought, with its proofs."""
_OF_CHOICE: Final = frozenset({"index", "message", "delta", "finish_reason", "logprobs"})
_SILENT_OF_MESSAGE: Final = frozenset({"role", "id", "type", "status"})
_NAMED_LEVELS, _NAME_CHARS = 8, 32
"""A path is as long as that, whatever an answer's depth and names."""
_encode: Final = msgspec.json.Encoder().encode


class Said(Value, frozen=True):
    """Some words of one choice. ``channel`` tells texts apart that are read each by itself."""

    choice: int
    channel: str
    text: str


def said_in_reply(reply: Mapping[str, Any]) -> Iterator[Said]:
    """The texts of a whole answer in the inner form."""
    for choice in reply.get("choices") or ():
        yield from _said(choice["index"], choice["message"])
        yield from said_beside(choice)


def said_by_tokens(answer: Mapping[str, Any]) -> Iterator[Said]:
    """What log probabilities say, of a whole answer or a chunk: the text again, and what its host has cut off it at a
    stop sequence, or read as something else.
    """
    for choice in answer["choices"]:
        told = choice.get("logprobs")
        for name, entries in told.items() if type(told) is dict else ():
            tokens = [entry.get("token") for entry in entries if type(entry) is dict] if type(entries) is list else ()
            if text := "".join([token for token in tokens if type(token) is str]):
                yield Said(choice["index"], f"{AGAIN} logprobs.{name}", text)


def only_text(reply: dict[str, Any]) -> str | None:
    """The text of an answer in the inner form that is its first choice's, and all that it says; else None."""
    choices: list[dict[str, Any]] = reply["choices"]
    if len(choices) != 1:
        return None
    choice = choices[0]
    message: dict[str, Any] = choice["message"]
    text = message.get("content")
    if type(text) is not str or not text or choice["index"] != 0 or not choice.keys() <= _OF_CHOICE:
        return None
    if choice.get("logprobs"):
        return None
    for name, value in message.items():
        if value and name != "content" and name not in _SILENT_OF_MESSAGE:
            return None
    return text


def text_alone(choice: dict[str, Any]) -> str | None:
    """The text of a chunk's choice that is a piece of content, and nothing else, as nearly all are; else None."""
    delta: dict[str, Any] = choice["delta"]
    if len(delta) != 1 or "finish_reason" not in choice or len(choice) != 3 + ("logprobs" in choice):
        return None
    text = delta.get("content")
    return text if type(text) is str else None


def said_in_chunk(chunk: Mapping[str, Any]) -> Iterator[Said]:
    """The same of a chunk."""
    for choice in chunk["choices"]:
        yield from _said(choice["index"], choice["delta"])
        yield from said_beside(choice)


def said_beside(choice: Mapping[str, Any]) -> Iterable[Said]:
    """The same of what stands beside its message or delta: nearly always nothing."""
    return () if choice.keys() <= _OF_CHOICE else _said_in_choice(choice)


def _said_in_choice(choice: Mapping[str, Any]) -> Iterator[Said]:
    for name in choice:
        if name not in _OF_CHOICE:
            yield from said_in(choice["index"], "choice", {name: choice[name]})


def _said(index: int, holder: Mapping[str, Any]) -> Iterator[Said]:
    for name, value in holder.items():
        if not value or name in _SILENT_OF_MESSAGE:
            continue
        if type(value) is str and name in _CHANNELS:
            yield Said(index, _CHANNELS[name], value)
        elif name == "tool_calls" and type(value) is list:
            for place, call in enumerate(value):
                yield from _said_in_call(index, place, call)
        elif name == "function_call" and type(value) is dict:
            yield from _said_in_function(index, name, value, begins=False)
        elif name not in _THOUGHTS_AGAIN or not _is_told_again(name, holder):
            yield from said_in(index, "beside", {name: value})


def _is_told_again(name: str, holder: Mapping[str, Any]) -> bool:
    """Whether a member says just what was thought, word for word."""
    thoughts = [text for other in _THOUGHTS if other != name and type(text := holder.get(other)) is str and text]
    return bool(thoughts) and "".join([text for _, text, _ in _texts_in("", {name: holder[name]})]) in thoughts


def _said_in_call(index: int, place: int, call: object) -> Iterator[Said]:
    if type(call) is not dict:
        yield from said_in(index, "beside", {"tool_calls": call})
        return
    number, begins = call.get("index", place), bool(call.get("id"))
    for name, value in call.items():
        if name in ("function", "custom") and type(value) is dict:
            yield from _said_in_function(index, number, value, begins=begins)
        elif name != "index":
            yield from said_in(index, f"beside{number}", {name: value})


def _said_in_function(index: int, number: object, function: dict[str, Any], *, begins: bool) -> Iterator[Said]:
    """What is called, and what is handed over. ``begins``: it is another call than the last, whatever its number, for
    hosts exist that number every call 0.
    """
    for name, value in function.items():
        if name == "arguments":
            if text := value if type(value) is str else _json(value):
                yield Said(index, f"{CALL}{number}", text)
        elif name == "name" and type(value) is str and value:
            yield Said(index, f"{NAME}{number}", f"\n{value}" if begins else value)
        else:
            yield from said_in(index, f"beside{number}", {name: value})


def said_in(index: int, path: str, holder: dict[str, Any]) -> Iterator[Said]:
    """What stands in members that only some host knows."""
    for where, text, is_apart in _texts_in(path, holder):
        yield Said(index, where, text)
        if is_apart:
            yield Said(index, f"{AGAIN} {where}", f"{text}\n")


def _texts_in(path: str, holder: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """The texts of an object, the path of each, and whether it is in an entry of a list that has no index."""
    waiting: list[tuple[object, str, int, bool]] = [(holder, path, 0, False)]
    while waiting:
        one, path, level, is_apart = waiting.pop()
        if type(one) is str:
            yield path, one, is_apart
        elif type(one) is list:
            found = [(entry, *_step(path, level, _index(entry)), is_apart) for entry in one]
            waiting += [(entry, to, at, apart or to == path) for entry, to, at, apart in reversed(found) if entry]
        elif type(one) is dict:
            below = [(value, *_step(path, level, name), is_apart) for name in one if (value := _spoken(name, one))]
            waiting += reversed(below)


def _step(path: str, level: int, place: str | None) -> tuple[str, int]:
    """The path of a member or an entry, and its level."""
    if place is None or level >= _NAMED_LEVELS:
        return path, level + 1
    return f"{path}.{place[:_NAME_CHARS]}", level + 1


def _index(entry: object) -> str | None:
    """What tells an entry of a list from others, also in another chunk."""
    index = entry.get("index") if type(entry) is dict else None
    return str(index) if type(index) is int else None


def _spoken(name: str, holder: dict[str, Any]) -> object:
    """What of a member may be words."""
    value = holder[name]
    if type(value) is str:
        return text_of_silent(name, value, holder) if is_silent(name) else value
    return None if name in OPAQUE else value


# --- in the host's own dialect -----------------------------------------------------------------------------------

_OF_BLOCK: Final[Mapping[str, str]] = MappingProxyType({"text": TEXT, "thinking": THOUGHT})


def said_by_anthropic(piece: Mapping[str, Any]) -> Iterator[Said]:
    """The texts of an event of Anthropic's, or of a whole ``message``."""
    kind = piece.get("type")
    if kind == "content_block_delta":
        yield from _said_in_block(piece.get("delta"), piece.get("index"))
    elif kind == "content_block_start":
        yield from _said_in_block(piece.get("content_block"), piece.get("index"))
    elif isinstance(content := piece.get("content"), list):
        for place, block in enumerate(content):
            yield from _said_in_block(block, place)


def _said_in_block(block: object, place: object) -> Iterator[Said]:
    """A block, or a piece of one. Pieces of ``citations`` come one by one."""
    if type(block) is not dict:
        return
    for name, value in block.items():
        if not value or name == "type":
            continue
        if type(value) is str and name in _OF_BLOCK:
            yield Said(0, _OF_BLOCK[name], value)
        elif name in ("partial_json", "input"):
            yield Said(0, f"{CALL}{place}", value if type(value) is str else _json(value))
        elif name == "name" and type(value) is str:
            yield Said(0, f"{NAME}{place}", value)
        elif name == "citation":
            yield from said_in(0, f"beside{place}", {"citations": [value]})
        else:
            yield from said_in(0, f"beside{place}", {name: value})


def said_by_gemini(piece: Mapping[str, Any]) -> Iterator[Said]:
    """The texts of a ``GenerateContentResponse``."""
    candidates = piece.get("candidates")
    for place, candidate in enumerate(candidates if isinstance(candidates, list) else ()):
        if not isinstance(candidate, dict):
            continue
        index = candidate.get("index", place)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                yield from _said_in_part(index if type(index) is int else place, part)


def _said_in_part(index: int, part: dict[str, Any]) -> Iterator[Said]:
    for name, value in part.items():
        if not value:
            continue
        if name == "text" and type(value) is str:
            yield Said(index, THOUGHT if part.get("thought") else TEXT, value)
        elif name == "functionCall" and type(value) is dict:
            yield from _said_in_gemini_call(index, value)
        else:
            yield from said_in(index, "beside", {name: value})


def _said_in_gemini_call(index: int, call: dict[str, Any]) -> Iterator[Said]:
    for name, value in call.items():
        if name == "args" and type(value) is dict:
            if value:
                yield Said(index, f"{CALL}{call.get('name')}", _json(value))
        elif name == "name" and type(value) is str and value:
            yield Said(index, f"{NAME}s", f"\n{value}")
        else:
            yield from said_in(index, "beside", {"functionCall": [{name: value}]})


def _json(value: Any) -> str:
    try:
        return _encode(value).decode()
    except (ValueError, RecursionError):  # its writer says so
        return ""
