"""The messages of the inner form as turns and a system prompt of the Converse API. Called by `encode`.

Theory of operation
-------------------
Converse takes turns of user and assistant in strict alternation, the user first; a turn is a list of blocks that may
not be empty, and neither may a text. After a turn that calls tools comes a turn that holds one result for each call and
no other result. OpenAI promises none of this, so turns are gathered: neighbours of one role become one, empty messages
vanish, results come first in their turn. A result that answers no call of the turn before is told as text, and a call
that nobody answered gets a result that says so: both happen where a client cut its history.

Models differ in what else may stand beside results (`Family.mixes`). Where nothing may, the rest of the turn becomes a
turn of its own, after an assistant's turn that says nothing.

System messages go to ``system`` from wherever they stand. Ids of calls from other hosts are spelled as Bedrock takes
them, the same for a call and its result.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.models import traits_of
from tollhouse.dialects.bedrock.blocks import Block, BlockWriter
from tollhouse.dialects.bedrock.families import Family
from tollhouse.dialects.bedrock.words import CLAUDE_FORMAT
from tollhouse.dialects.wishes import Losses, called_of, lose

_decode = msgspec.json.Decoder().decode

NOTHING = "."
"""What is said by a turn that has to be there and has nothing to say."""
_NO_OUTPUT = "(no output)"
_NO_RESULT = "(no result)"
_GOOD_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}").fullmatch
_MEDIA = ("image", "document", "video", "audio")


class Written:
    """The conversation as Converse has it."""

    __slots__ = ("called", "loose_call", "system", "turns")

    def __init__(self) -> None:
        self.turns: list[Block] = []
        self.system: list[Block] = []
        self.called: dict[str, None] = {}
        """The names of the tools that were called."""
        self.loose_call = False
        """The last turn of the assistant calls tools, and does not show the thought that led there."""


def write_messages(messages: list[Any], model: str, family: Family, losses: Losses) -> Written:
    """Every message. Raises `UpstreamUnfit` for content that the host cannot be given."""
    writer = _Writer(model, family, losses)
    for index, message in enumerate(messages):
        if isinstance(message, dict):
            writer.take(message, f"messages[{index}]")
    return writer.finish()


class _Writer:
    """Gathers turns."""

    __slots__ = ("_blocks", "_family", "_losses", "_rest", "_results", "_role", "_thoughts", "_waiting", "_written")

    def __init__(self, model: str, family: Family, losses: Losses) -> None:
        traits = traits_of(model)
        self._thoughts = family.claude and (traits.budget or traits.adaptive)
        self._family = family
        self._losses = losses
        self._blocks = BlockWriter(family, losses)
        self._written = Written()
        self._role = ""
        self._results: list[Block] = []
        self._rest: list[Block] = []
        self._waiting: dict[str, None] = {}
        """The calls of the assistant's last turn that have no result yet."""

    def take(self, message: Mapping[str, Any], where: str) -> None:
        """One message."""
        role = message.get("role")
        if message.get("name") and role not in ("tool", "function"):
            lose(self._losses, f"{where}.name", "the host does not tell speakers apart")
        if role in ("system", "developer"):
            self._written.system += self._blocks.blocks(message.get("content"), f"{where}.content", "system")
        elif role == "assistant":
            self._assistant(message, where)
        elif role in ("tool", "function"):
            self._result(message, where)
        else:
            self._add("user", self._blocks.blocks(message.get("content"), f"{where}.content"))

    def finish(self) -> Written:
        """The whole conversation."""
        if self._waiting and self._role == "assistant":
            self._turn("user")
        self._close()
        written = self._written
        if self._role == "assistant" and "text" in (last := written.turns[-1]["content"][-1]):
            last["text"] = last["text"].rstrip()  # Claude refuses to go on after a blank
        if not written.turns and written.system:
            lose(self._losses, "messages", "the host has no conversation without a user's message", "changed")
            written.turns, written.system = [{"role": "user", "content": written.system}], []
        if written.turns and written.turns[0]["role"] == "assistant" and not self._family.leads:
            lose(self._losses, "messages", "the model's conversations begin with the user", "changed")
            written.turns.insert(0, {"role": "user", "content": [{"text": NOTHING}]})
        return written

    def _assistant(self, message: Mapping[str, Any], where: str) -> None:
        if message.get("audio"):
            lose(self._losses, f"{where}.audio", "the host has not heard this answer")
        thoughts = _thoughts(message.get("reasoning_details")) if self._thoughts else []
        said = self._blocks.blocks(message.get("content"), f"{where}.content")
        if not said and isinstance(refusal := message.get("refusal"), str) and refusal.strip():
            said = [{"text": refusal}]
        calls = [self._call(call, where) for call in _calls_of(message) if called_of(call)[0]]
        named = {call["toolUse"]["toolUseId"]: call for call in calls}
        if len(named) < len(calls):
            lose(self._losses, f"{where}.tool_calls", "the host tells calls apart by their ids")
        if not named.keys().isdisjoint(self._waiting):  # the same id again: the first call has no result
            self._turn("user")
        if said or calls:
            self._add("assistant", [*thoughts, *said, *named.values()])
            self._written.loose_call = bool(calls) and not thoughts
            self._waiting |= dict.fromkeys(named)

    def _call(self, call: dict[str, Any], where: str) -> Block:
        name, text = called_of(call)
        self._written.called[name] = None
        try:
            given = _decode(text)
        except (ValueError, RecursionError):
            given = None
        if type(given) is not dict:
            lose(self._losses, f"{where}.tool_calls", "arguments that are no JSON object are told as a text", "changed")
            given = {"arguments": text}
        return {"toolUse": {"toolUseId": _host_id(call.get("id")), "name": name, "input": given}}

    def _result(self, message: Mapping[str, Any], where: str) -> None:
        legacy = message.get("role") == "function"
        call_id = _host_id(f"call_{message.get('name')}" if legacy else message.get("tool_call_id"))
        content = message.get("content")
        blocks = self._blocks.blocks(content, f"{where}.content")
        if call_id not in self._waiting:
            lose(self._losses, f"{where}.tool_call_id", "a result of no call is told as text", "changed")
            self._add("user", blocks or [{"text": _NO_OUTPUT}])
            return
        del self._waiting[call_id]
        self._turn("user")
        points = [block for block in blocks if "cachePoint" in block]
        inside = [block for block in blocks if _kind(block) == "text" or _kind(block) in self._family.result_media]
        outside = [block for block in blocks if _kind(block) in _MEDIA and block not in inside]
        if self._family.json_results:
            inside = [_as_json(block) for block in inside]
        result: Block = {"toolUseId": call_id, "content": inside or [{"text": _NO_OUTPUT}]}
        if message.get("is_error") is True:
            if self._family.status:
                result["status"] = "error"
            else:
                lose(self._losses, f"{where}.is_error", "the model is not told that a tool failed")
        self._results += [{"toolResult": result}, *points]
        self._rest += outside

    def _add(self, role: str, blocks: list[Block]) -> None:
        if blocks:
            self._turn(role)
            self._rest += blocks

    def _turn(self, role: str) -> None:
        """Goes on with the turn of a role, or begins it."""
        if role != self._role:
            self._close()
            self._role = role

    def _close(self) -> None:
        """Ends the turn that is being gathered."""
        if self._role == "user" and self._waiting:
            lose(self._losses, "messages", "a call without a result is given one that says so", "changed")
            for call_id in self._waiting:
                self._results.append({"toolResult": {"toolUseId": call_id, "content": [{"text": _NO_RESULT}]}})
            self._waiting.clear()
        if self._results and self._rest and not self._family.mixes:
            lose(self._losses, "messages", "what follows the results of tools is a turn of its own", "changed")
            self._end_turn(self._results)
            self._written.turns.append({"role": "assistant", "content": [{"text": NOTHING}]})
            self._end_turn(self._rest)
        elif self._results or self._rest:
            self._end_turn(self._results + self._rest)
        self._results, self._rest = [], []

    def _end_turn(self, blocks: list[Block]) -> None:
        kinds = {_kind(block) for block in blocks}
        if "document" in kinds and "text" not in kinds:  # the host refuses a document without a text beside it
            name = next(block["document"]["name"] for block in blocks if "document" in block)
            blocks = [*blocks, {"text": name}]
        self._written.turns.append({"role": self._role, "content": blocks})


def _kind(block: Block) -> str:
    return next(iter(block))


def _calls_of(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of an assistant's message, of either generation."""
    calls = message.get("tool_calls")
    found = [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    legacy = message.get("function_call")
    if isinstance(legacy, dict):
        found.append({"id": f"call_{legacy.get('name')}", "type": "function", "function": legacy})
    return found


def _host_id(call_id: object) -> str:
    """An id as the host takes it, the same for the same."""
    word = str(call_id or "")
    if _GOOD_ID(word):
        return word
    return "call_" + hashlib.sha256(word.encode(errors="surrogatepass")).hexdigest()[:24]


def _as_json(block: Block) -> Block:
    """A text as JSON, for models that take no other result."""
    if "text" not in block:
        return block
    try:
        value = _decode(block["text"])
    except (ValueError, RecursionError):
        value = None
    return {"json": value if isinstance(value, dict) else {"result": block["text"]}}


def _thoughts(details: object) -> list[Block]:
    """Claude's own thoughts, put together where a client kept the pieces of a stream. What nobody signed is none."""
    if not isinstance(details, list):
        return []
    own = [detail for detail in details if isinstance(detail, dict) and detail.get("format") == CLAUDE_FORMAT]
    whole: list[dict[str, Any]] = []
    for detail in own:
        last = whole[-1] if whole else None
        same = last is not None and all(last.get(name) == detail.get(name) for name in ("type", "index"))
        if same and last is not None and detail.get("index") is not None and not last.get("signature"):
            whole[-1] = {**last, **{name: _joined(last, detail, name) for name in ("text", "signature", "data")}}
        else:
            whole.append(detail)
    return [block for detail in whole if (block := _thought(detail)) is not None]


def _joined(first: dict[str, Any], second: dict[str, Any], name: str) -> str:
    return "".join([value for one in (first, second) if isinstance(value := one.get(name), str)])


def _thought(detail: dict[str, Any]) -> Block | None:
    signature, data, text = (detail.get(name) for name in ("signature", "data", "text"))
    if detail.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
        return {"reasoningContent": {"redactedContent": b64encode(data.encode(errors="replace")).decode()}}
    if detail.get("type") != "reasoning.text" or not isinstance(signature, str) or not signature:
        return None
    told = {"text": text if isinstance(text, str) else "", "signature": signature}
    return {"reasoningContent": {"reasoningText": told}}
