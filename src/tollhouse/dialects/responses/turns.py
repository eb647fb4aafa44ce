"""The messages of a chat call as the items of a Responses ``input``. Called by `encode`.

One message becomes several items: what the assistant thought, said and called stands side by side there. An earlier
answer's items are written without ids of ours, for nothing is stored by which the host could find them.
"""

from collections.abc import Callable
from typing import Any

from tollhouse.dialects.responses.words import FORMAT, PHASES, text_of
from tollhouse.dialects.tools import arguments_text, mint_call_id

Lose = Callable[[str, str, str], None]
Part = dict[str, Any]
_MAX_CALL_ID_CHARS = 64
"""https://platform.openai.com/docs/api-reference/responses/create: its limit; other hosts' ids are longer."""


class Turns:
    """The items so far. ``replays``: the host takes its earlier reasoning again."""

    __slots__ = ("_custom", "_legacy", "_lose", "_replays", "items")

    def __init__(self, lose: Lose, *, replays: bool) -> None:
        self.items: list[dict[str, Any]] = []
        self._lose = lose
        self._replays = replays
        self._custom: set[str] = set()
        """The ids of calls of custom tools: their outputs are items of another type."""
        self._legacy = 0
        """How many calls there were that have no id."""

    def add(self, message: dict[str, Any]) -> None:
        """One more message."""
        role, content = message.get("role"), message.get("content")
        if len(message) == 2 and type(content) is str and role in _TALKERS:
            self.items.append({"role": role, "content": content})
            return
        if message.get("name") is not None and role != "function":
            self._lose("messages[].name", "dropped", "an item has no name")
        if role == "assistant":
            self._answer(message, content)
        elif role == "tool":
            call_id = call_id_of(text_of(message.get("tool_call_id")))
            if message.get("is_error") is True:
                content = _failed(content)
                self._lose("messages[].is_error", "emulated", "told as text")
            self._output(call_id, content)
        elif role == "function":
            self._output(f"call_{self._legacy}", content)
        else:
            self.items.append({"role": role, "content": self._parts(content)})

    def _output(self, call_id: str, content: Any) -> None:
        kind = "custom_tool_call_output" if call_id in self._custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call_id, "output": self._parts(content)})

    def _answer(self, message: dict[str, Any], content: Any) -> None:
        """Thoughts, text and calls, in the order in which they came as far as that is known."""
        calls = self._calls(message)
        said = self._said(message, content)
        thoughts = replayed(message.get("reasoning_details")) if self._replays and (said or calls) else []
        last = len(calls)
        spoken = []
        if said or not calls:
            item: dict[str, Any] = {"role": "assistant", "content": said}
            if (phase := message.get("phase")) in PHASES:
                item["phase"] = phase
            spoken.append(item)
        late = [item for after, item in thoughts if after >= last > 0]
        self.items += [item for after, item in thoughts if after < 1 or not calls]
        if not late:
            self.items += spoken
        for place, call in enumerate(calls):
            self.items += [item for after, item in thoughts if 0 < after == place]
            self.items.append(call)
        if late:  # what was thought after the last call led to the text, or to nothing
            self.items += late + spoken if said else []
        if message.get("audio"):
            self._lose("messages[].audio", "dropped", "the Responses API has no audio of earlier answers")

    def _said(self, message: dict[str, Any], content: Any) -> Any:
        """The text of an answer, as text where that is all; with a refusal, as parts."""
        refusal = text_of(message.get("refusal"))
        if isinstance(content, list):
            parts = [_said_part(part) for part in content if isinstance(part, dict)]
            if any("cache_control" in part for part in content if isinstance(part, dict)):
                self._lose_marker()
        else:
            parts = [_said_part({"type": "text", "text": content})] if content and refusal else []
            if not refusal:
                return text_of(content)
        if refusal:
            parts.append({"type": "refusal", "refusal": refusal})
        return parts

    def _calls(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        given = message.get("tool_calls")
        items = [self._call(call) for call in given if isinstance(call, dict)] if isinstance(given, list) else []
        legacy = message.get("function_call")
        if isinstance(legacy, dict):
            self._legacy += 1
            items.append(_function_item(f"call_{self._legacy}", legacy))
        return items

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        call_id = call_id_of(text_of(call.get("id")))
        custom, function = call.get("custom"), call.get("function")
        if isinstance(custom, dict) and not isinstance(function, dict):
            self._custom.add(call_id)
            text = arguments_text(custom.get("input"))
            return {"type": "custom_tool_call", "call_id": call_id, "name": custom.get("name"), "input": text}
        return _function_item(call_id, function if isinstance(function, dict) else {})

    def _parts(self, content: Any) -> Any:
        """What a user or a tool says: text as it is, parts under their names here."""
        if not isinstance(content, list):
            return text_of(content)
        parts = []
        for part in content:
            if not isinstance(part, dict):
                continue
            kind = part.get("type")
            write = _PARTS.get(kind) if isinstance(kind, str) else None
            written = dict(part) if write is None else write(part)
            if "cache_control" in part:
                self._lose_marker()
                written.pop("cache_control", None)
            if "prompt_cache_breakpoint" in part:
                written["prompt_cache_breakpoint"] = part["prompt_cache_breakpoint"]
            parts.append(written)
        return parts

    def _lose_marker(self) -> None:
        self._lose("cache_control", "emulated", "prompts are cached without being marked")


_TALKERS = ("user", "assistant", "system", "developer")


def _failed(content: Any) -> Any:
    """What a tool gave that failed: an output has no mark for it."""
    if isinstance(content, list):
        return [{"type": "text", "text": "Error:"}, *content]
    return f"Error: {text_of(content)}"


def call_id_of(call_id: str) -> str:
    """An id that fits; the same for the same one, so that a call and its output still meet."""
    return call_id if len(call_id) <= _MAX_CALL_ID_CHARS else mint_call_id(call_id, 0, 0)


def _function_item(call_id: str, function: dict[str, Any]) -> dict[str, Any]:
    text = arguments_text(function.get("arguments"))
    return {"type": "function_call", "call_id": call_id, "name": function.get("name"), "arguments": text}


def _said_part(part: Part) -> Part:
    if part.get("type") == "refusal":
        return {"type": "refusal", "refusal": text_of(part.get("refusal"))}
    return {"type": "output_text", "text": text_of(part.get("text")), "annotations": []}


def _text(part: Part) -> Part:
    return {"type": "input_text", "text": part.get("text")}


def _image(part: Part) -> Part:
    image = part.get("image_url")
    if isinstance(image, str):
        return {"type": "input_image", "image_url": image, "detail": "auto"}
    given = image if isinstance(image, dict) else {}
    return {"type": "input_image", "image_url": given.get("url"), "detail": given.get("detail") or "auto"}


def _file(part: Part) -> Part:
    """A file by its id, its address or its data; data has to have a name (seen: 400 without)."""
    file = part.get("file")
    given = file if isinstance(file, dict) else {}
    data = given.get("file_data")
    if isinstance(data, str) and data.startswith(("https://", "http://")):
        return {"type": "input_file", "file_url": data}
    found = {name: given[name] for name in ("file_id", "file_data", "filename") if given.get(name) is not None}
    if isinstance(data, str) and "filename" not in found:
        found["filename"] = "document.txt" if data.startswith("data:text/") else "document.pdf"
    return {"type": "input_file", **found}


_PARTS: dict[str, Callable[[Part], Part]] = {"text": _text, "image_url": _image, "file": _file, "input_audio": dict}


def replayed(details: Any) -> list[tuple[int, dict[str, Any]]]:
    """The reasoning items that ``reasoning_details`` hold, each with how many calls it came after.

    Entries up to an encrypted one, or of one id, are one item. A summary alone proves nothing and is not sent; text
    that is not encrypted is (https://api-docs.deepseek.com, gpt-oss), and never together with what is (wire: a 400).
    """
    found: list[tuple[int, dict[str, Any]]] = []
    item: dict[str, Any] = {}
    for entry in details if isinstance(details, list) else ():
        if not isinstance(entry, dict) or entry.get("format") != FORMAT:
            continue
        given = entry.get("id")
        if item and given and item["id"] and given != item["id"]:
            found += _finished(item)
            item = {}
        if not item:
            after = entry.get("after")
            item = {"id": given, "after": after if type(after) is int else 0, "summary": [], "content": []}
        item["id"] = item["id"] or given
        _gather(item, entry)
        if "encrypted_content" in item:
            found += _finished(item)
            item = {}
    return found + _finished(item)


def _gather(item: dict[str, Any], entry: dict[str, Any]) -> None:
    kind = entry.get("type")
    if kind == "reasoning.summary":
        item["summary"].append({"type": "summary_text", "text": text_of(entry.get("summary"))})
    elif kind == "reasoning.text":
        item["content"].append({"type": "reasoning_text", "text": text_of(entry.get("text"))})
    elif kind == "reasoning.encrypted" and isinstance(entry.get("data"), str):
        item["encrypted_content"] = entry["data"]


def _finished(item: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    if not item or not (item["content"] or "encrypted_content" in item):
        return []
    written: dict[str, Any] = {"type": "reasoning", "summary": item["summary"]}
    if isinstance(item["id"], str):
        written["id"] = item["id"]
    if "encrypted_content" in item:
        written["encrypted_content"] = item["encrypted_content"]
    else:
        written["content"] = item["content"]
    return [(item["after"], written)]
