"""A streamed answer in the inner form, as Gemini's stream. Made by `client`, once for each streamed call.

Theory of operation
-------------------
Each object of the stream is a ``GenerateContentResponse`` with the next parts of a candidate. Nearly every chunk is
text of one choice: it is put between two fixed strings, nothing more.

*Calls* have no partial arguments in this dialect: they are gathered, and told when their choice has ended. *Thoughts*
are told as they come where the client asked for them, and what proves them when they are over; else they wait, and go
under seal with the first call, or with the last text. *The end*, with ``finishReason`` and usage, is told last, for
hosts go on after it. A part without text, as Gemini's own last ones, says nothing: it is the heartbeat.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from tollhouse.dialects.client import Account, Identity
from tollhouse.dialects.finish import WITHHELD
from tollhouse.dialects.gemini.framing import Framing, in_json
from tollhouse.dialects.gemini.seals import seal
from tollhouse.dialects.gemini.words import REASONING_FORMAT
from tollhouse.dialects.gemini.write import (
    Part,
    call_parts,
    candidate_extras,
    ending,
    google_signature,
    said_parts,
    shows_thoughts,
    thought_signature,
    usage_metadata,
)
from tollhouse.dialects.tokens import TOKENS_PER_CALL, Tally
from tollhouse.dialects.tools import ToolCalls
from tollhouse.types.calls import ChatCall

_encode = msgspec.json.Encoder().encode

_PIECES = ("text", "summary", "signature", "data")
"""The members of an entry that come in pieces."""
_EXTRAS = ("safety_ratings", "grounding_metadata", "url_context_metadata", "citation_metadata", "finish_message")
_CHARS_PER_SOUND_TOKEN = 3200
_TOKENS_PER_IMAGE = 1290
"""As `dialects.openai` counts them."""


class _Choice:
    """What is known of one choice, and what of it is not told yet."""

    __slots__ = (
        *("calls", "entries", "extras", "finish", "gathered", "open", "sealed", "signature", "texts", "thought"),
        "told",
    )

    def __init__(self, seed: str, index: int) -> None:
        self.texts: list[str] = []
        self.thought: list[str] = []
        """Thoughts that have no entry."""
        self.entries: dict[Any, dict[str, Any]] = {}
        """Of ``reasoning_details``, by index."""
        self.open: Any = None
        """The entry whose pieces are coming."""
        self.signature: str | None = None
        """Gemini's own, of the text."""
        self.sealed = False
        self.told = False
        """Thoughts were shown before their entries came."""
        self.calls = ToolCalls(seed, index)
        self.gathered: dict[int, dict[str, Any]] = {}
        self.finish: dict[str, Any] = {}
        self.extras: dict[str, Any] = {}


class GeminiStream:
    """See `Writer`."""

    __slots__ = (
        *("_after", "_before", "_choices", "_frame", "_head", "_images", "_nothing", "_shown", "_sound_chars"),
        *("_feedback", "_seed", "_tally", "_called"),
    )

    def __init__(self, call: ChatCall, identity: Identity, frame: Framing) -> None:
        self._frame = frame
        self._seed = identity.id
        self._head = {"modelVersion": call.model, "responseId": identity.id}
        head = _encode(self._head)[1:]
        self._before = b'{"candidates":[{"content":{"parts":[{"text":'
        self._after = b'}],"role":"model"},"index":0}],' + head
        self._nothing = self._before + b'""' + self._after
        self._shown = shows_thoughts(call)
        self._choices: dict[int, _Choice] = {}
        self._feedback: dict[str, Any] | None = None
        self._tally = Tally()
        self._sound_chars = self._images = self._called = 0

    def encode(self, chunks: Iterable[dict[str, Any]]) -> bytes:
        """See `Writer`."""
        objects: list[bytes] = []
        for chunk in chunks:
            plain = self._plain(chunk)
            if plain is not None:
                objects.append(plain)
                continue
            for choice in chunk["choices"]:
                self._take(choice, objects)
        return self._frame.wrap(objects)

    def _plain(self, chunk: dict[str, Any]) -> bytes | None:
        """The object of a chunk that is text of the first choice alone, as nearly all are; None for any other."""
        held = chunk["choices"]
        if len(held) != 1:
            return None
        choice = held[0]
        delta = choice["delta"]
        text = delta.get("content")
        if len(delta) > 1 or type(text) is not str or not text or choice.get("finish_reason") is not None:
            return None
        state = self._choices.get(0)
        if state is None or choice["index"] != 0 or state.open is not None or choice.get("logprobs"):
            return None
        self._tally.add(text)
        state.texts.append(text)
        try:
            return self._before + _encode(text) + self._after
        except ValueError:  # half of a surrogate pair: `in_json` says so
            return in_json({"text": text})

    def _take(self, choice: dict[str, Any], objects: list[bytes]) -> None:
        """Tells what one choice of a chunk says, and keeps what is told later."""
        index, delta = choice["index"], choice["delta"]
        state = self._choices.get(index)
        if state is None:
            state = self._choices[index] = _Choice(self._seed, index)
        parts = self._thoughts(state, delta)
        said = said_parts(delta)
        if type(text := delta.get("content")) is str and text:
            state.texts.append(text)
        if said or delta.get("tool_calls"):
            parts += self._close(state)
        parts += said
        if type(calls := delta.get("tool_calls")) is list and calls:
            self._gather(state, calls)
        self._note(state, choice)
        if state.finish:
            self._tell_calls(state, parts)
        logprobs = choice.get("logprobs")
        if parts or logprobs:
            self._count(parts)
            candidate: dict[str, Any] = {"content": {"parts": parts or [{"text": ""}], "role": "model"}, "index": index}
            if logprobs:
                candidate |= candidate_extras({"logprobs": logprobs}, None, "")
            objects.append(in_json({"candidates": [candidate], **self._head}))

    def _note(self, state: _Choice, choice: dict[str, Any]) -> None:
        """Keeps what is told with the end."""
        annotations = choice["delta"].get("annotations")
        if type(annotations) is list:
            state.extras.setdefault("annotations", []).extend(annotations)
        for name in _EXTRAS:
            if choice.get(name):
                state.extras[name] = choice[name]
        if choice.get("prompt_feedback"):
            self._feedback = choice["prompt_feedback"]
        reason = choice.get("finish_reason")
        if reason is not None and (not state.finish or reason == WITHHELD):
            state.finish = {name: choice.get(name) for name in ("finish_reason", "native_finish_reason")}

    # --- thoughts -----------------------------------------------------------------------------------------------

    def _thoughts(self, state: _Choice, delta: dict[str, Any]) -> list[Part]:
        """What is told of a delta's thoughts now."""
        details = delta.get("reasoning_details")
        parts: list[Part] = []
        if type(details) is list and details:
            told = state.told and not delta.get("reasoning_content")
            for entry in details:
                if type(entry) is dict:
                    parts += self._detail(state, entry, told=told)
            return parts
        text = delta.get("reasoning_content") or delta.get("reasoning")
        if type(text) is not str or not text:
            return parts
        if not self._shown:
            state.thought.append(text)
            return parts
        state.told = True
        return [{"text": text, "thought": True}]

    def _detail(self, state: _Choice, entry: dict[str, Any], *, told: bool) -> list[Part]:
        """One piece of an entry. ``told``: its text came before it, as `dialects.responses` has it."""
        if entry.get("format") == REASONING_FORMAT and entry.get("type") == "reasoning.encrypted":
            if not entry.get("id") and type(entry.get("data")) is str:
                state.signature = entry["data"]
            return []
        place = entry.get("index", len(state.entries))
        parts: list[Part] = []
        if type(place) not in (int, str):
            place = len(state.entries)
        if place != state.open:
            parts = self._close(state)
            state.open = place
        known = state.entries.setdefault(place, {})
        for name, value in entry.items():
            if name in _PIECES and type(value) is str:
                known[name] = known.get(name, "") + value
            elif name != "index" and value is not None:
                known[name] = value
        text = entry.get("text") or entry.get("summary")
        if self._shown and not told and type(text) is str and text:
            parts.append({"text": text, "thought": True})
        return parts

    def _close(self, state: _Choice) -> list[Part]:
        """What proves the thought that is over."""
        if state.open is None:
            return []
        entry = state.entries[state.open]
        state.open = None
        signature = thought_signature(entry) if self._shown else None
        return [] if signature is None else [{"text": "", "thought": True, "thoughtSignature": signature}]

    def _sealed(self, state: _Choice, *, called: bool) -> str | None:
        """The thoughts that the client was not shown, once."""
        if self._shown or state.sealed:
            return None
        entries = list(state.entries.values())
        if not entries and state.thought:
            entries = [{"type": "reasoning.text", "text": "".join(state.thought)}]
        if not called:
            entries = [entry for entry in entries if entry.get("format")]
        state.sealed = bool(entries)
        return seal(entries) if entries else None

    # --- calls --------------------------------------------------------------------------------------------------

    def _gather(self, state: _Choice, calls: list[Any]) -> None:
        for fragment in state.calls.take(calls):
            kind = "custom" if "custom" in fragment else "function"
            held = fragment[kind]
            known = state.gathered.get(fragment["index"])
            if known is None:
                known = state.gathered[fragment["index"]] = {
                    "id": fragment.get("id"),
                    "function": {"name": held.get("name", ""), "arguments": ""},
                }
            known["function"]["arguments"] += held.get("arguments") or held.get("input") or ""
            if signature := google_signature(fragment):
                known["extra_content"] = {"google": {"thought_signature": signature}}

    def _tell_calls(self, state: _Choice, parts: list[Part]) -> None:
        """Puts the calls that are whole among some parts; what cannot be read is told with the end."""
        if not state.gathered:
            return
        calls, broken = call_parts([state.gathered[place] for place in sorted(state.gathered)])
        state.gathered.clear()
        if calls and (signature := self._sealed(state, called=True)):
            calls[0].setdefault("thoughtSignature", signature)
        parts += calls
        if broken is not None:
            state.finish["broken"] = broken

    # --- the end ------------------------------------------------------------------------------------------------

    def finish(self, account: Account) -> bytes:
        """See `Writer`."""
        candidates = [self._ending(index, self._choices[index]) for index in sorted(self._choices)]
        if not candidates:
            candidates = [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}]
        last: dict[str, Any] = {"candidates": candidates}
        if self._feedback is not None:
            last = {"promptFeedback": self._feedback}
        last |= {"usageMetadata": usage_metadata(account), **self._head, **account.notes}
        return self._frame.wrap([in_json(last)]) + self._frame.end()

    def _ending(self, index: int, state: _Choice) -> dict[str, Any]:
        parts = self._close(state)
        for fragment in state.calls.finish(whole=False):
            self._gather(state, [fragment])
        self._tell_calls(state, parts)
        if signature := state.signature or self._sealed(state, called=False):
            parts.append({"text": "", "thoughtSignature": signature})
        self._count(parts)
        extras = candidate_extras(state.extras, state.extras.get("annotations"), "".join(state.texts))
        return {
            "content": {"parts": parts or [{"text": ""}], "role": "model"},
            **ending(state.finish, state.finish.get("broken")),
            "index": index,
            **extras,
        }

    def heartbeat(self) -> bytes:
        """See `Writer`."""
        return self._frame.beat(self._nothing)

    def tokens(self) -> int:
        """See `Writer`."""
        beside = TOKENS_PER_CALL * self._called + _TOKENS_PER_IMAGE * self._images
        return self._tally.tokens() + beside + self.sound_tokens()

    def sound_tokens(self) -> int:
        """See `Writer`."""
        return -(-self._sound_chars // _CHARS_PER_SOUND_TOKEN)

    def _count(self, parts: list[Part]) -> None:
        """Counts what some parts give the client."""
        for part in parts:
            if text := part.get("text"):
                self._tally.add(text)
            if (call := part.get("functionCall")) is not None:
                self._called += 1
                self._tally.add(call["name"] + _encode(call["args"]).decode())
            blob = part.get("inlineData")
            if type(blob) is dict and type(blob.get("data")) is str:
                if str(blob.get("mimeType")).startswith("audio/"):
                    self._sound_chars += len(blob["data"])
                else:
                    self._images += 1
