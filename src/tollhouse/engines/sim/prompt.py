"""The conversation as an embedded model hears it: texts, media, and what it all counts in tokens. Pure.

Prompt tokens, as docs/sim.md states them: the tokens of every text, plus 3 for each message, plus 3 for the answer's
beginning, plus what media count, plus the tokens of the tools and of the answer's schema as JSON.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec

from tollhouse.engines.sim import media, tokens
from tollhouse.engines.sim.media import Medium
from tollhouse.engines.sim.refusal import Refusal, wrong_type, wrong_value

MESSAGE_TOKENS = 3
ANSWER_TOKENS = 3
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
READERS = {"image_url": media.image, "input_audio": media.audio, "file": media.file}


@dataclass(frozen=True, slots=True)
class Message:
    """One message, read. ``results`` of a tool carry the name of the tool that was called."""

    role: str
    text: str
    media: tuple[Medium, ...] = ()
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """All messages, and their tokens; those of audio are part of them."""

    messages: tuple[Message, ...]
    tokens: int
    audio_tokens: int

    @property
    def last(self) -> Message:
        """The message that is answered."""
        return self.messages[-1]

    @property
    def user(self) -> Message:
        """The last message of a user; an empty one when there is none."""
        return next((message for message in reversed(self.messages) if message.role == "user"), Message("user", ""))

    def results(self) -> list[Message]:
        """The tool results at the end, oldest first; empty when something else came last."""
        found: list[Message] = []
        for message in reversed(self.messages):
            if message.role not in ("tool", "function"):
                break
            found.append(message)
        return found[::-1]


def read(body: dict[str, Any]) -> Prompt:
    """Raises `Refusal` when the messages are not a conversation."""
    raw = body.get("messages")
    if not isinstance(raw, list) or not raw:
        raise Refusal("'messages' has to be a list with at least one message.", param="messages", code="invalid_type")
    called: dict[str, str] = {}
    messages = tuple(read_message(message, f"messages[{index}]", called) for index, message in enumerate(raw))
    extra = [body[name] for name in ("tools", "functions") if body.get(name)]
    if isinstance(form := body.get("response_format"), dict) and form.get("type") == "json_schema":
        extra.append(form)
    total = ANSWER_TOKENS + sum(tokens.count(msgspec.json.encode(item).decode()) for item in extra)
    for message in messages:
        total += MESSAGE_TOKENS + tokens.count(message.text) + sum(medium.tokens for medium in message.media)
    heard = sum(medium.tokens for message in messages for medium in message.media if medium.kind == "audio")
    return Prompt(messages, total, heard)


def read_message(raw: Any, place: str, called: dict[str, str]) -> Message:
    """One message; notes in ``called`` which id belongs to which tool. Raises `Refusal`."""
    if not isinstance(raw, dict):
        raise wrong_type(place, "an object")
    role = raw.get("role")
    if role not in ROLES:
        raise wrong_value(f"{place}.role", "expected one of " + ", ".join(ROLES) + ".")
    texts, found = read_content(raw.get("content"), f"{place}.content")
    spoken = [*texts, *read_calls(raw, called)] if role == "assistant" else texts
    tool = called.get(str(raw.get("tool_call_id")), "") or str(raw.get("name") or "")
    return Message(str(role), "\n".join(spoken), tuple(found), tool)


def read_content(content: Any, place: str) -> tuple[list[str], list[Medium]]:
    """The texts and media of a message's content. Raises `Refusal`."""
    if content is None:
        return [], []
    if isinstance(content, str):
        return [content], []
    if not isinstance(content, list):
        raise wrong_type(place, "a string or a list of parts")
    texts: list[str] = []
    found: list[Medium] = []
    for index, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal"):
            text = part.get(kind)
            if not isinstance(text, str):
                raise wrong_type(f"{place}[{index}].{kind}", "a string")
            texts.append(text)
        elif isinstance(kind, str) and kind in READERS:
            found.append(READERS[kind](part, f"{place}[{index}]"))
        else:
            known = ", ".join(("text", "refusal", *READERS))
            raise wrong_value(f"{place}[{index}].type", f"expected one of {known}.")
    return texts, found


def read_calls(raw: dict[str, Any], called: dict[str, str]) -> list[str]:
    """The tool calls of an assistant's message as text, for they are part of the prompt."""
    spoken: list[str] = []
    calls = raw.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        inner = call.get(call.get("type") or "function") if isinstance(call, dict) else None
        if isinstance(inner, dict):
            called[str(call.get("id"))] = str(inner.get("name"))
            spoken.append(f"{inner.get('name')} {inner.get('arguments') or inner.get('input') or ''}")
    legacy = raw.get("function_call")
    if isinstance(legacy, dict):
        spoken.append(f"{legacy.get('name')} {legacy.get('arguments') or ''}")
    return spoken


def counted(names: list[str]) -> str:
    """``1 system, 2 user``, in the order of first appearance."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items())
