"""The messages of the inner form as Gemini's ``contents`` and ``systemInstruction``. Called by `encode`.

Theory of operation
-------------------
Gemini has two roles. A model's turn with function calls is followed by one turn with exactly their results, and nothing
else; the result names the function, not only the call. So consecutive assistant messages become one turn, and so do
consecutive tool results; media in a result that an older model cannot see there follow as a turn of the user's. A call
that nobody answered gets a result that says so, and a result that no call waits for is told as text. Two messages of
the user's stay two turns, which Gemini takes.

Gemini 3 refuses a call without its ``thoughtSignature``, once for each turn of the model's: on the first call
(https://ai.google.dev/gemini-api/docs/thought-signatures). A history that another model made has none; there the value
that Google documents for it is sent. Thoughts themselves are not sent back, unless they are signed.
"""

from typing import Any

import msgspec

from tollhouse.dialects.gemini.blobs import Part, address_part, blob_of
from tollhouse.dialects.gemini.models import Model
from tollhouse.dialects.gemini.words import NO_SIGNATURE, REASONING_FORMAT
from tollhouse.dialects.wishes import Losses, called_of, lose

NO_RESULT = "There is no result of this call."
_SILENCE = " "
"""Stands for a turn that says nothing: an empty text is a 400."""
_THOUGHTS = frozenset({"thinking", "redacted_thinking", "reasoning"})
_PLAIN = frozenset({"role", "content", "tool_calls"})
"""Members of an answer that is text and calls, and nothing else."""
_decode = msgspec.json.Decoder().decode


class Contents:
    """One conversation, read message by message."""

    __slots__ = ("_losses", "_media", "_model", "_urls", "_waiting", "details", "system", "turns")

    def __init__(self, model: Model, losses: Losses, *, urls: bool) -> None:
        self.system: list[Part] = []
        self.turns: list[dict[str, Any]] = []
        self.details: set[str] = set()
        """The ``detail`` of every image."""
        self._model = model
        self._losses = losses
        self._urls = urls
        self._waiting: dict[str, str] = {}
        """The calls of the last turn that have no result yet: their ids, and the names of their functions."""
        self._media: list[Part] = []
        """What the results being read hold and cannot carry."""

    def read(self, messages: list[dict[str, Any]]) -> None:
        """Reads the whole conversation."""
        for index, message in enumerate(messages):
            where, role = f"messages[{index}]", message.get("role")
            if role in ("tool", "function"):
                self._result(message, where)
                continue
            if role != "assistant" or not self.turns or self.turns[-1]["role"] != "model":
                self._settle(where)
            if role == "user":
                self._say("user", self._parts(message.get("content"), f"{where}.content"))
                if message.get("name"):
                    self._lose(f"{where}.name", "the host does not tell speakers apart")
            elif role == "assistant":
                self._assistant(message, where)
            else:
                self._instruct(message, where)
        self._settle(f"messages[{len(messages) - 1}]")
        self._open()

    def _lose(self, param: str, why: str, how: str = "dropped") -> None:
        lose(self._losses, param, why, how)

    def _open(self) -> None:
        """Makes the conversation begin with the user, as Vertex demands."""
        if not self.turns and self.system:
            self._lose("messages", "the instructions are sent as the user's turn", "changed")
            self.turns, self.system = [{"role": "user", "parts": self.system}], []
        elif not self.turns or self.turns[0]["role"] != "user":
            self.turns.insert(0, {"role": "user", "parts": [{"text": _SILENCE}]})
        if self.system and not self._model.instructed:
            self._lose("messages", "the instructions are sent in the user's turn", "changed")
            self.turns[0]["parts"], self.system = [*self.system, *self.turns[0]["parts"]], []

    def _say(self, role: str, parts: list[Part]) -> None:
        if not parts:
            return
        if role == "model" and self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["parts"] += parts
        else:
            self.turns.append({"role": role, "parts": parts})

    def _instruct(self, message: dict[str, Any], where: str) -> None:
        parts = self._parts(message.get("content"), f"{where}.content")
        if parts and self.turns:
            self._lose(where, "instructions are sent before the conversation", "changed")
        self.system += parts

    def _parts(self, content: object, where: str) -> list[Part]:
        """Content of any form, without what is empty."""
        if isinstance(content, str):
            return [{"text": content}] if content else []
        parts = []
        for place, part in enumerate(content if isinstance(content, list) else ()):
            if "cache_control" in part:
                self._lose("cache_control", "the host caches by itself", "emulated")
            kind = part.get("type")
            if kind in ("text", "refusal"):
                if part[kind]:
                    parts.append({"text": part[kind]})
                continue
            if kind == "image_url" and isinstance(held := part.get("image_url"), dict):
                self.details.add(str(held.get("detail") or "auto"))
            parts.append(blob_of(part, f"{where}[{place}]", fetches=self._urls))
        return parts

    # --- what the model said ---

    def _assistant(self, message: dict[str, Any], where: str) -> None:
        content = message.get("content")
        if message.keys() <= _PLAIN and (content is None or type(content) is str):
            said = [{"text": content}] if content else []
            self._say("model", said + self._calls(message, {}))
            return
        signatures, parts = _thoughts(message)
        if isinstance(content, list):  # thoughts of other makers, which go nowhere but home
            content = [part for part in content if part.get("type") not in _THOUGHTS]
        said = self._parts(content, f"{where}.content")
        if not said and isinstance(refusal := message.get("refusal"), str):
            said = self._parts(refusal, where)
        for kind in ("images", "content_parts"):
            given = message.get(kind)
            for place, one in enumerate(given if isinstance(given, list) else ()):
                said.append(self._made(one, f"{where}.{kind}[{place}]"))
        if message.get("audio"):
            self._lose(f"{where}.audio", "the host has not heard this answer")
        if (signature := signatures.pop("", None)) is not None:
            _sign_text(said, signature)
        self._say("model", parts + said + self._calls(message, signatures))

    def _made(self, part: Any, where: str) -> Part:
        """Something that the model made: an image, or a part that only Google's hosts have."""
        if not isinstance(part, dict):
            part = {}
        if part.get("type") != "image_url":
            return blob_of(part, where, fetches=self._urls)
        held = part.get("image_url")
        made = address_part(held.get("url") if isinstance(held, dict) else held, where, "image/png", fetches=self._urls)
        if signature := _own_signature(part):
            made["thoughtSignature"] = signature
        return made

    def _calls(self, message: dict[str, Any], signatures: dict[str, str]) -> list[Part]:
        calls = message.get("tool_calls") or []
        if not calls and isinstance(legacy := message.get("function_call"), dict):
            calls = [{"id": legacy.get("name"), "type": "function", "function": legacy}]
        parts: list[Part] = []
        for call in calls:
            name, arguments = called_of(call)
            call_id = str(call.get("id") or name)
            self._waiting[call_id] = name
            part: Part = {"functionCall": {"id": call_id, "name": name, "args": _arguments(arguments)}}
            if signature := ("extra_content" in call and _own_signature(call)) or signatures.get(call_id):
                part["thoughtSignature"] = signature
            parts.append(part)
        if parts and self._model.signed and not any("thoughtSignature" in part for part in parts):
            parts[0]["thoughtSignature"] = NO_SIGNATURE
        return parts

    # --- what functions returned ---

    def _result(self, message: dict[str, Any], where: str) -> None:
        call_id = str(message.get("tool_call_id") or message.get("name") or "")
        name = self._waiting.pop(call_id, None)
        content = message.get("content")
        if name is not None and type(content) is str:
            told = {"error": content} if message.get("is_error") is True else _response(content)
            self._respond({"id": call_id, "name": name, "response": told})
            return
        parts = self._parts(content, f"{where}.content")
        if name is None:
            self._lose(where, "no call waits for this result: it is told as text", "changed")
            self._media += [{"text": f"{message.get('name') or call_id} returned:"}, *parts]
            return
        text = "\n".join([part["text"] for part in parts if "text" in part])
        media = [part for part in parts if "text" not in part]
        failed = message.get("is_error") is True
        response: Part = {"id": call_id, "name": name, "response": {"error": text} if failed else _response(text)}
        if media and self._model.sees_results:
            response["parts"] = media
        elif media:
            self._lose(f"{where}.content", "media follow as a turn of the user's", "emulated")
            self._media += [{"text": f"What {name} returned:"}, *media]
        self._respond(response)

    def _respond(self, response: Part) -> None:
        part = {"functionResponse": response}
        if self.turns and "functionResponse" in self.turns[-1]["parts"][0]:
            self.turns[-1]["parts"].append(part)
        else:
            self.turns.append({"role": "user", "parts": [part]})

    def _settle(self, where: str) -> None:
        """Ends a run of results."""
        for call_id, name in self._waiting.items():
            self._lose(where, "calls without a result get one that says so", "changed")
            self._respond({"id": call_id, "name": name, "response": {"error": NO_RESULT}})
        self._waiting.clear()
        if self._media:
            self.turns.append({"role": "user", "parts": self._media})
            self._media = []


def _thoughts(message: dict[str, Any]) -> tuple[dict[str, str], list[Part]]:
    """Gemini's own entries of ``reasoning_details``: signatures by the id of their call, that of the text under an
    empty one; and thoughts that are signed themselves.
    """
    signatures: dict[str, str] = {}
    thoughts: list[Part] = []
    details = message.get("reasoning_details")
    for detail in details if isinstance(details, list) else ():
        if not isinstance(detail, dict) or detail.get("format") != REASONING_FORMAT:
            continue
        data, signature, text = detail.get("data"), detail.get("signature"), detail.get("text")
        if detail.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
            signatures[str(detail.get("id") or "")] = data
        elif isinstance(signature, str) and signature and isinstance(text, str):
            thoughts.append({"text": text, "thought": True, "thoughtSignature": signature})
    return signatures, thoughts


def _sign_text(said: list[Part], signature: str) -> None:
    """Puts a signature on the last text; one that came with no text goes back so."""
    for part in reversed(said):
        if "text" in part:
            part["thoughtSignature"] = signature
            return
    said.append({"text": "", "thoughtSignature": signature})


def _own_signature(holder: dict[str, Any]) -> str | None:
    """What stands in ``extra_content.google.thought_signature``."""
    extra = holder.get("extra_content")
    google = extra.get("google") if isinstance(extra, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None


def _arguments(text: str) -> dict[str, Any]:
    """Arguments as the object that they are; what is none becomes one, as models break their own JSON."""
    if not text.strip():
        return {}
    try:
        value = _decode(text)
    except (ValueError, RecursionError):
        return {"arguments": text}
    return value if isinstance(value, dict) else {"arguments": value}


def _response(text: str) -> dict[str, Any]:
    """A result as an object: ``output`` is Google's own name for one that is none."""
    if text.startswith("{"):
        try:
            value = _decode(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
    return {"output": text}
