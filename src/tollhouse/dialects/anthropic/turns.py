"""The messages of the inner form as Anthropic's system prompt and turns. Called by `encode`, once for each request.

Theory of operation
-------------------
Anthropic knows two roles that alternate, and binds tool calls to their results: every ``tool_use`` of a turn has its
``tool_result`` in the very next one, which begins with them, and no result stands alone. OpenAI's clients send anything
else too: several messages of a role, results late or twice or not at all, a call's id used again in a later turn.
Here messages of one role become one turn, and results move to its front. Where the two sides do not match, nothing of
the conversation is left out: a result that no open call waits for is told as text, and a call that nobody answered gets
a result that says so. Both are reported, for the client has most likely cut its history in the wrong place.

System messages go to the front, as Anthropic's own compatible surface has it
(https://platform.claude.com/docs/en/cli-sdks-libraries/libraries/openai-sdk). One that stands later is a turn of its
own where the model takes that, behind the user's turn that it stands in or before; else it moves too, and is reported.

Thoughts are sent only with their signature, as they were, first in what their message says.
"""

import re
from typing import Any

import msgspec

from tollhouse.dialects.anthropic.parts import Block, blocks_of, cache_mark
from tollhouse.dialects.anthropic.words import CUSTOM_INPUT, REASONING_FORMAT
from tollhouse.types.calls import Loss

NO_RESULT = "There is no result of this call."
GO_ON = "Continue."
_ID = re.compile(r"[a-zA-Z0-9_-]+")
_NOT_ID = re.compile(r"[^a-zA-Z0-9_-]")
_LEGACY_ID = "function_call"
_PLAIN_RESULT = 3
"""``role``, ``tool_call_id`` and ``content``."""
_PLAIN_SAID = frozenset({"role", "content", "tool_calls"})
_decode = msgspec.json.Decoder().decode


class Turns:
    """One conversation, read message by message. ``thinking``: the model may be shown its thoughts; ``inline``: it
    takes instructions between the turns.
    """

    __slots__ = (
        *("_ids", "_inline", "_later", "_losses", "_open", "_results", "_thinking"),
        *("called", "system", "turns"),
    )

    def __init__(self, losses: list[Loss], *, thinking: bool, inline: bool) -> None:
        self.system: list[Block] = []
        self.turns: list[dict[str, Any]] = []
        self.called: dict[str, None] = {}
        """The names of all functions that were called."""
        self._losses = losses
        self._thinking = thinking
        self._inline = inline
        self._later: list[Block] = []
        """Instructions that wait for the end of the user's turn."""
        self._ids: set[str] = set()
        self._open: dict[str, list[str]] = {}
        """The calls of the last assistant turn that wait for a result: the client's id, and those that are sent for it,
        several where it was used for several calls.
        """
        self._results = 0
        """How many results the last turn begins with."""

    def read(self, messages: list[dict[str, Any]]) -> None:
        """Reads the whole conversation."""
        for index, message in enumerate(messages):
            role = message.get("role")
            if role == "tool" and self._plain_result(message):
                continue
            if role == "assistant" and self._plain_said(message, index):
                continue
            if message.get("name") and role not in ("tool", "function"):
                self._losses.append(Loss(f"messages[{index}].name", why="Anthropic knows no names"))
            if role == "user":
                self._say("user", blocks_of(message.get("content"), f"messages[{index}]", self._losses), message)
            elif role == "assistant":
                self._assistant(message, f"messages[{index}]")
            elif role in ("tool", "function"):
                self._result(message, f"messages[{index}]")
            else:
                self._instruct(message, index)
        self._settle(f"messages[{len(messages) - 1}]")

    def _plain_result(self, message: dict[str, Any]) -> bool:
        """Takes a result that is text and nothing else, of a call that waits for it, as most are. False for others."""
        content, given = message.get("content"), message.get("tool_call_id")
        if len(message) != _PLAIN_RESULT or type(content) is not str or type(given) is not str:
            return False
        waiting = self._open.get(given)
        if waiting is None:
            return False
        result: Block = {"type": "tool_result", "tool_use_id": waiting.pop(0)}
        if not waiting:
            del self._open[given]
        if content and not content.isspace():
            result["content"] = content
        self._answer(result)
        return True

    def _plain_said(self, message: dict[str, Any], index: int) -> bool:
        """Takes a text with calls and nothing else, as most answers are, behind a user's turn. False for others."""
        content, turns = message.get("content"), self.turns
        if (content is not None and type(content) is not str) or not message.keys() <= _PLAIN_SAID:
            return False
        if self._open or self._later or not turns or turns[-1]["role"] != "user":
            return False
        blocks: list[Block] = []
        if content and not content.isspace():
            blocks.append({"type": "text", "text": content})
        if calls := message.get("tool_calls"):
            where = f"messages[{index}]"
            blocks += [self._call(call, where) for call in calls if isinstance(call, dict)]
        if blocks:
            turns.append({"role": "assistant", "content": blocks})
            self._results = 0
        return True

    def close(self, *, prefill: bool) -> None:
        """Makes of the turns what the model can answer; ``prefill`` says whether it continues an answer."""
        turns = self.turns
        if not turns and self.system:
            self._losses.append(Loss("messages", "changed", "the system prompt is sent as the user's turn"))
            turns.append({"role": "user", "content": self.system})
            self.system = []
        elif not turns or turns[0]["role"] != "user":
            turns.insert(0, {"role": "user", "content": [{"type": "text", "text": GO_ON}]})
            self._losses.append(Loss("messages", "changed", "a conversation begins with the user"))
        if turns[-1]["role"] == "user" or self._later:
            self._instruct_late()
            return
        if not prefill:
            turns.append({"role": "user", "content": [{"type": "text", "text": GO_ON}]})
            self._losses.append(Loss("messages", "changed", "the model does not continue an answer; it is asked to"))
            return
        last = turns[-1]["content"][-1]
        if last["type"] == "text":  # "final assistant content cannot end with trailing whitespace"
            turns[-1]["content"][-1] = {**last, "text": last["text"].rstrip()}

    def _say(self, role: str, blocks: list[Block], message: dict[str, Any]) -> None:
        """More of the turn of this role, which begins here unless it is the last one already."""
        if not blocks:
            return
        if (mark := cache_mark(message)) is not None:
            blocks[-1]["cache_control"] = mark
        if self.turns and self.turns[-1]["role"] == role:
            self.turns[-1]["content"] += blocks
            return
        self.turns.append({"role": role, "content": blocks})
        self._results = 0

    def _instruct(self, message: dict[str, Any], index: int) -> None:
        where = f"messages[{index}]"
        blocks = blocks_of(message.get("content"), where, self._losses)
        said = [block for block in blocks if block["type"] == "text"]
        if len(said) < len(blocks):
            self._losses.append(Loss(f"{where}.content", why="a system prompt is text"))
        if said and (mark := cache_mark(message)) is not None:
            said[-1]["cache_control"] = mark
        if said and self.turns and self._inline:
            self._later += said
            return
        if said and self.turns:
            self._losses.append(Loss(where, "changed", "instructions are sent before the conversation"))
        self.system += said

    def _instruct_late(self) -> None:
        """Puts the instructions that wait behind the user's turn."""
        if not self._later:
            return
        if self.turns[-1]["role"] != "user":
            self.turns.append({"role": "user", "content": [{"type": "text", "text": GO_ON}]})
        self.turns.append({"role": "system", "content": self._later})
        self._later = []

    def _assistant(self, message: dict[str, Any], where: str) -> None:
        if self._open and self.turns[-1]["role"] == "user":
            self._settle(where)
        thoughts = thoughts_of(message) if self._thinking else []
        content = message.get("content")
        if isinstance(content, list):
            content = [part for part in content if not _is_thought(part)]
        blocks = blocks_of(content, where, self._losses)
        if not blocks and isinstance(refusal := message.get("refusal"), str):
            blocks = blocks_of(refusal, where, self._losses)
        if message.get("audio"):
            self._losses.append(Loss(f"{where}.audio", why="Anthropic takes no sound"))
        for call in message.get("tool_calls") or ():
            if isinstance(call, dict):
                blocks.append(self._call(call, where))
        if isinstance(legacy := message.get("function_call"), dict):
            blocks.append(self._call({"id": _LEGACY_ID, "type": "function", "function": legacy}, where))
        if blocks:  # a turn of thoughts alone is refused
            if self.turns and self.turns[-1]["role"] == "user":
                self._instruct_late()
            self._say("assistant", thoughts + blocks, message)

    def _call(self, call: dict[str, Any], where: str) -> Block:
        if isinstance(custom := call.get("custom"), dict):
            name, value = custom.get("name"), {CUSTOM_INPUT: custom.get("input") or ""}
        else:
            function = call.get("function")
            function = function if isinstance(function, dict) else {}
            name, value = function.get("name"), self._arguments(function.get("arguments"), where)
        given, name = str(call.get("id") or ""), str(name or "")
        wire_id = self._new_id(given)
        self._open.setdefault(given, []).append(wire_id)
        self.called[name] = None
        return {"type": "tool_use", "id": wire_id, "name": name, "input": value}

    def _arguments(self, text: object, where: str) -> dict[str, Any]:
        """The object in a call's arguments. What a model once wrote may be none: then it is told as a text."""
        if not text:
            return {}
        try:
            value = _decode(text) if isinstance(text, str) else text
        except (ValueError, RecursionError):
            value = text
        if isinstance(value, dict):
            return value
        self._losses.append(
            Loss(f"{where}.tool_calls", "changed", "arguments that are no JSON object are sent as text")
        )
        return {"arguments": value}

    def _new_id(self, given: str) -> str:
        """An id that Anthropic takes, and that no other call has."""
        wanted = given if _ID.fullmatch(given) else _NOT_ID.sub("_", given) or "call"
        number, wire_id = 1, wanted
        while wire_id in self._ids:
            number += 1
            wire_id = f"{wanted}_{number}"
        self._ids.add(wire_id)
        return wire_id

    def _result(self, message: dict[str, Any], where: str) -> None:
        given = _LEGACY_ID if message["role"] == "function" else str(message.get("tool_call_id") or "")
        blocks = blocks_of(message.get("content"), where, self._losses)
        marks = [mark for block in blocks if (mark := block.pop("cache_control", None))]
        waiting = self._open.get(given)
        if waiting is None:
            self._losses.append(Loss(where, "changed", "the result of a call that is not in the turn before is text"))
            said = {"type": "text", "text": f"The result of the tool call {given}:"}
            self._say("user", [said, *blocks], message)
            return
        result: Block = {"type": "tool_result", "tool_use_id": waiting.pop(0)}
        if not waiting:
            del self._open[given]
        if isinstance(message.get("content"), str) and blocks:
            result["content"] = message["content"]
        elif blocks:
            result["content"] = blocks
        if message.get("is_error") is True:
            result["is_error"] = True
        if mark := cache_mark(message) or (marks[-1] if marks else None):
            result["cache_control"] = mark
        self._answer(result)

    def _answer(self, result: Block) -> None:
        """A result, behind those that its turn begins with already."""
        if self.turns[-1]["role"] != "user":
            self.turns.append({"role": "user", "content": []})
            self._results = 0
        self.turns[-1]["content"].insert(self._results, result)
        self._results += 1

    def _settle(self, where: str) -> None:
        """Answers the calls that nobody did, before the conversation goes on."""
        if not self._open:
            return
        self._losses.append(Loss(where, "changed", "calls without a result are given one that says so"))
        for wire_id in [wire_id for waiting in self._open.values() for wire_id in waiting]:
            self._answer({"type": "tool_result", "tool_use_id": wire_id, "content": NO_RESULT, "is_error": True})
        self._open.clear()


def _is_thought(part: object) -> bool:
    return isinstance(part, dict) and part.get("type") in ("thinking", "redacted_thinking")


def thoughts_of(message: dict[str, Any]) -> list[Block]:
    """The thinking blocks of an assistant message, as their model signed them; others' are left out.

    They stand in ``reasoning_details``, or in ``thinking_blocks`` and ``content`` as LiteLLM's clients have them.
    """
    details = message.get("reasoning_details")
    if isinstance(details, list) and (blocks := _of_details(details)):
        return blocks
    given = message.get("thinking_blocks") or message.get("content")
    return [_own_thought(part) for part in given if _is_signed(part)] if isinstance(given, list) else []


def _own_thought(part: dict[str, Any]) -> Block:
    if part["type"] == "redacted_thinking":
        return {"type": "redacted_thinking", "data": part["data"]}
    return {"type": "thinking", "thinking": part.get("thinking") or "", "signature": part["signature"]}


def _is_signed(part: object) -> bool:
    if not isinstance(part, dict) or not _is_thought(part):
        return False
    proof = part.get("signature" if part["type"] == "thinking" else "data")
    return isinstance(proof, str) and bool(proof)


def _of_details(details: list[Any]) -> list[Block]:
    """Pieces with one index are one block: clients that gather a stream may not have joined them."""
    blocks: list[Block] = []
    last: object = None
    for entry in details:
        if not isinstance(entry, dict) or entry.get("format") != REASONING_FORMAT:
            continue
        index = entry.get("index")
        if entry.get("type") == "reasoning.encrypted":
            blocks.append({"type": "redacted_thinking", "data": entry.get("data")})
            last = None
        elif entry.get("type") == "reasoning.text":
            if last is None or index is None or index != last or blocks[-1]["signature"]:
                blocks.append({"type": "thinking", "thinking": "", "signature": ""})
            blocks[-1]["thinking"] += entry["text"] if isinstance(entry.get("text"), str) else ""
            blocks[-1]["signature"] += entry["signature"] if isinstance(entry.get("signature"), str) else ""
            last = index
    return [block for block in blocks if _is_signed(block)]
