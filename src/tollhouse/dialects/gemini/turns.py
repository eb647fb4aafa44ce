"""The ``contents`` of a Gemini request as ``messages`` of the inner form. Used by `read`.

Theory of operation
-------------------
*Turns.* A stream is told in many contents of the role ``model``, and clients send them back as they came: those that
follow each other are one assistant message. A user's turn may hold results of calls and words: the results come first,
for they have to follow their calls.

*Calls.* Gemini's calls need no id. One that has none is given one by its place, so that the same conversation always
gets the same; a result is matched by its id, else by its name, in the order in which the calls were made.

*Thoughts.* A thought is text with ``thought: true``; what proves it is a signature of Gemini's, or another host's entry
under seal (`seals`), on the thought, on the first call or on the last text. Pieces of a thought are collected until the
part that is signed.
"""

from functools import lru_cache
from typing import Any

import msgspec

from tollhouse.dialects.gemini.media import media_part
from tollhouse.dialects.gemini.seals import is_sealed, unseal
from tollhouse.dialects.gemini.words import NO_SIGNATURE, REASONING_FORMAT
from tollhouse.dialects.tools import mint_call_id
from tollhouse.types.calls import Loss

_encode = msgspec.json.Encoder().encode

_HOSTS_OWN = ("toolCall", "toolResponse")
_RESULT_WORDS = ("output", "result", "error")


class Turns:
    """The messages so far."""

    __slots__ = (
        *("_calls", "_detail", "_losses", "_made", "_own_thoughts", "_shown", "_texts"),
        *("messages", "sealed", "unseen"),
    )

    def __init__(self, losses: list[Loss], detail: str | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.sealed = False
        """Whether anything was under seal."""
        self.unseen = False
        """Whether what is left out here may be of any size."""
        self._losses = losses
        self._detail = detail
        self._calls: list[tuple[str, str | None, str]] = []
        """Calls that have no result yet: the id in the inner form, the client's own, the name."""
        self._made = 0
        self._shown: list[dict[str, Any]] = []
        """What the model itself has drawn: hosts take pictures from users alone."""
        self._texts: list[str] = []
        self._own_thoughts: list[str] = []

    def system(self, content: dict[str, Any]) -> None:
        """Adds ``systemInstruction``."""
        parts = content.get("parts") or []
        texts = [part["text"] for part in parts if part.get("text")]
        if any(part.get("text") is None for part in parts):
            self._losses.append(Loss("systemInstruction.parts", "dropped", "instructions are text"))
            self.unseen = True
        if texts:
            self.messages.append({"role": "system", "content": "\n\n".join(texts)})

    def add(self, content: dict[str, Any], place: int) -> None:
        """Adds one of ``contents``."""
        parts = content.get("parts") or []
        role = content.get("role") or "USER"
        if role == "model" or (role := role.upper()) == "MODEL":
            self._model(parts, place)
        elif role == "SYSTEM":
            self.system(content)
        elif len(parts) == 1 and len(part := parts[0]) == 1 and type(part.get("text")) is str and not self._shown:
            self.messages.append({"role": "user", "content": part["text"]})
        else:
            self._user(parts, place)

    def finish(self) -> None:
        """Says what is left to be said."""
        if self._shown:
            self._user([], 0)

    # --- the user's ---------------------------------------------------------------------------------------------

    def _user(self, parts: list[dict[str, Any]], place: int) -> None:
        said, self._shown = self._shown, []
        for number, part in enumerate(parts):
            where = f"contents[{place}].parts[{number}]"
            if (result := part.get("functionResponse")) is not None:
                self._result(result, where)
            elif (made := media_part(part, where, self._detail, self._losses)) is not None:
                said.append(made)
            elif part.get("text") is not None:
                said.append({"type": "text", "text": part["text"]})
            elif part:
                self._losses.append(Loss(where, "dropped", "not a part that a user says"))
        if len(said) == 1 and said[0]["type"] == "text":
            self.messages.append({"role": "user", "content": said[0]["text"]})
        elif said:
            self.messages.append({"role": "user", "content": said})

    def _result(self, result: dict[str, Any], where: str) -> None:
        """A tool message. What only says ``output``, ``result`` or ``error`` is that, as SDKs wrap results."""
        response = result.get("response") or {}
        message: dict[str, Any] = {"role": "tool", "tool_call_id": self._answered(result), "content": ""}
        text: Any = None
        if len(response) == 1 and (word := next(iter(response))) in _RESULT_WORDS:
            text = response[word]
            if word == "error":
                message["is_error"] = True
        message["content"] = text if type(text) is str else _encode(response).decode()
        if parts := result.get("parts"):
            media = [media_part(part, where, self._detail, self._losses) for part in parts]
            if shown := [part for part in media if part is not None]:
                message["content"] = [{"type": "text", "text": message["content"]}, *shown]
        if result.get("willContinue") or result.get("scheduling"):
            self._losses.append(Loss(f"{where}.functionResponse.willContinue", "dropped", "known to Gemini alone"))
        self.messages.append(message)

    def _answered(self, result: dict[str, Any]) -> str:
        """The id of the call that a result is of."""
        given, name = result.get("id"), result["name"]
        for known in self._calls:
            if known[1] == given if given else known[2] == name:
                self._calls.remove(known)
                return known[0]
        if given:
            return str(given)
        self._made += 1
        return _own_id(self._made)

    # --- the model's --------------------------------------------------------------------------------------------

    def _model(self, parts: list[dict[str, Any]], place: int) -> None:
        last = self.messages[-1] if self.messages else None
        if last is None or last["role"] != "assistant":
            last = {"role": "assistant", "content": None}
            self._texts, self._own_thoughts = [], []
            self.messages.append(last)
        for number, part in enumerate(parts):
            if len(part) == 1 and (text := part.get("text")):
                self._texts.append(text)
            else:
                self._piece(last, part, place, number)
        if self._texts:
            last["content"] = "".join(self._texts)
        elif "tool_calls" not in last:
            last["content"] = ""

    def _piece(self, message: dict[str, Any], part: dict[str, Any], place: int, number: int) -> None:
        signature = part.get("thoughtSignature")
        if part.get("thought"):
            self._thought(message, part.get("text") or "", signature)
        elif (call := part.get("functionCall")) is not None:
            self._call(message, call, signature)
        else:
            if part.get("text"):
                self._texts.append(part["text"])
            elif part.get("text") is None:
                self._drawn(part, f"contents[{place}].parts[{number}]")
            if signature:
                self._sign(message, signature)

    def _thought(self, message: dict[str, Any], text: str, signature: str | None) -> None:
        message["reasoning_content"] = message.get("reasoning_content", "") + text
        self._own_thoughts.append(text)
        if not signature:
            return
        whole, self._own_thoughts = "".join(self._own_thoughts), []
        if not is_sealed(signature):
            entry = {"type": "reasoning.text", "text": whole, "signature": signature, "format": REASONING_FORMAT}
            _detail(message, entry)
            return
        self.sealed = True
        for entry in unseal(signature):
            if entry["type"] == "reasoning.text":
                entry.setdefault("text", whole)
            elif entry["type"] == "reasoning.summary":
                entry.setdefault("summary", whole)
            _detail(message, entry)

    def _sign(self, message: dict[str, Any], signature: str) -> None:
        """What proves thoughts that the client was not shown."""
        if not is_sealed(signature):
            _detail(message, {"type": "reasoning.encrypted", "data": signature, "format": REASONING_FORMAT})
            return
        self.sealed = True
        for entry in unseal(signature):
            message["reasoning_content"] = message.get("reasoning_content", "") + (
                entry.get("text") or entry.get("summary") or ""
            )
            if entry.get("format"):
                _detail(message, entry)

    def _call(self, message: dict[str, Any], call: dict[str, Any], signature: str | None) -> None:
        given = call.get("id") or None
        self._made += 1
        call_id = given or _own_id(self._made)
        self._calls.append((call_id, given, call["name"]))
        function = {"name": call["name"], "arguments": _encode(call.get("args") or {}).decode()}
        made: dict[str, Any] = {"id": call_id, "type": "function", "function": function}
        if signature and is_sealed(signature):
            self._sign(message, signature)
        elif signature and signature != NO_SIGNATURE:
            made["extra_content"] = {"google": {"thought_signature": signature}}
        message.setdefault("tool_calls", []).append(made)

    def _drawn(self, part: dict[str, Any], where: str) -> None:
        """A part of the model's that is neither text nor call."""
        made = media_part(part, where, self._detail, self._losses)
        if made is None:
            self._foreign(part, where)
            return
        self._shown.append(made)
        self._losses.append(Loss(where, "changed", "shown to the model in the user's next message"))

    def _foreign(self, part: dict[str, Any], where: str) -> None:
        """What Google's own tools have said: code is told as text, the rest cannot be."""
        code, outcome = part.get("executableCode"), part.get("codeExecutionResult")
        if code is not None or outcome is not None:
            words = code.get("code") if code is not None else (outcome or {}).get("output")
            self._texts.append(f"\n```\n{words or ''}\n```\n")
            self._losses.append(Loss(where, "changed", "sent as text"))
        elif part.keys() - {"thoughtSignature", "thought", "text"}:
            name = next((name for name in _HOSTS_OWN if name in part), "the part")
            self._losses.append(Loss(where, "dropped", f"{name} is known to Gemini alone"))


@lru_cache(maxsize=1024)
def _own_id(number: int) -> str:
    """The id of a call that has none, by its place."""
    return mint_call_id("gemini", 0, number)


def _detail(message: dict[str, Any], entry: dict[str, Any]) -> None:
    held = message.setdefault("reasoning_details", [])
    held.append({**entry, "index": len(held)})
