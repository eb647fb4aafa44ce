"""Whole answers of the Responses API as chat completions, and what `events` shares with that. Called by `providers`.

Theory of operation
-------------------
An answer is a list of items in the order in which they came: thoughts, text, calls, and what tools of the host's own
did. A chat completion has one message, so the items are gathered into it (`Message`): texts are joined; calls keep
their order; what a reasoning item says is ``reasoning_content``, and what proves it an entry of ``reasoning_details``
with how many calls it came ``after``, from which `turns` restores the order; pictures are ``images``; citations are
``annotations``; items that have no place in a chat completion are ``content_parts``, as they stand.

The parts of a message that are lists are told once, whole: clients that put a stream together append lists, or refuse
them (openai-python merges them by an ``index`` that these have not).
"""

from typing import Any

from tollhouse.dialects.filtered import PROMPT, RESULTS, of_prompt, sides
from tollhouse.dialects.moderation import add_moderation
from tollhouse.dialects.replies import tidy_reply
from tollhouse.dialects.responses.words import (
    BETWEEN_MESSAGES,
    FORMAT,
    citation_of,
    fault_of,
    logprobs_of,
    moderation_of,
    text_of,
    usage_of,
)
from tollhouse.dialects.tools import arguments_text
from tollhouse.errors import UpstreamBadResponse, UpstreamInterrupted

_ID_PREFIX = "chatcmpl-"
_CUT = "content_filter"
_UNREADY = frozenset({"queued", "in_progress"})
_PICTURE = "data:image/{};base64,{}"


class Message:
    """What an answer's items said so far, as far as later ones depend on it."""

    __slots__ = ("annotations", "calls", "chars", "entries", "images", "messages", "parts", "phase", "tokens")

    def __init__(self) -> None:
        self.annotations: list[dict[str, Any]] = []
        self.calls = 0
        self.chars = 0
        """Of text, those between messages too: citations count from the message's start."""
        self.entries = 0
        """Of ``reasoning_details``."""
        self.images: list[dict[str, Any]] = []
        self.messages = 0
        self.parts: list[dict[str, Any]] = []
        self.phase: str | None = None
        self.tokens: list[dict[str, Any]] = []
        """Log probabilities that no chunk has carried."""

    def begin_message(self, item: dict[str, Any]) -> str:
        """A further message: what stands before its text."""
        self.messages += 1
        phase = item.get("phase")
        if isinstance(phase, str):
            self.phase = phase
        between = BETWEEN_MESSAGES if self.chars else ""
        self.chars += len(between)
        return between

    def thought(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        """The ``reasoning_details`` of a whole reasoning item."""
        entries = [{"type": "reasoning.summary", "summary": text} for text in texts_of(item.get("summary"))]
        entries += [{"type": "reasoning.text", "text": text} for text in texts_of(item.get("content"))]
        if isinstance(data := item.get("encrypted_content"), str) and data:
            entries.append({"type": "reasoning.encrypted", "data": data})
        common: dict[str, Any] = {"format": FORMAT}
        if isinstance(given := item.get("id"), str):
            common["id"] = given
        if self.calls:
            common["after"] = self.calls
        first = self.entries
        self.entries += len(entries)
        return [{**entry, **common, "index": first + place} for place, entry in enumerate(entries)]

    def keep(self, item: dict[str, Any]) -> None:
        """An item of another kind: what a tool of the host's own did."""
        picture = item.get("result")
        if item.get("type") == "image_generation_call" and isinstance(picture, str) and picture:
            url = _PICTURE.format(text_of(item.get("output_format")) or "png", picture)
            self.images.append({"type": "image_url", "index": len(self.images), "image_url": {"url": url}})
            item = {name: value for name, value in item.items() if name != "result"}
        self.parts.append(item)

    def cite(self, annotations: Any, shift: int) -> None:
        """The citations of a text that begins ``shift`` characters after the message does."""
        given = annotations if isinstance(annotations, list) else []
        self.annotations += [citation_of(one, shift) for one in given if isinstance(one, dict)]

    def lists(self) -> dict[str, Any]:
        """The members of the message that are told once, at its end."""
        found = {
            "annotations": self.annotations,
            "images": self.images,
            "content_parts": self.parts,
            "phase": self.phase,
        }
        return {name: value for name, value in found.items() if value}


def read_reply(response: dict[str, Any], *, legacy: bool = False) -> dict[str, Any]:
    """A response as a ``chat.completion``, without ``usage``. ``legacy``: the client knows ``function_call`` alone.

    Raises `UpstreamBadResponse`, `UpstreamInterrupted`, or the fault of a response that failed.
    """
    require_end(response)
    message, said = Message(), _Said()
    for item in items_of(response):
        said.take(item, message)
    choice = {"index": 0, "message": said.message(message, legacy=legacy), "finish_reason": reason_of(response)}
    choice["native_finish_reason"] = native_reason_of(response)
    if message.tokens:
        choice["logprobs"] = {"content": message.tokens, "refusal": None}
    reply = {**envelope_of(response), **ending_of(response), "object": "chat.completion", "choices": [choice]}
    add_results(reply)
    tidy_reply(reply, text_of(response.get("id")))
    return reply


class _Said:
    """The members of a whole message."""

    __slots__ = ("calls", "details", "refusals", "texts", "thoughts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.refusals: list[str] = []
        self.thoughts: list[str] = []
        self.details: list[dict[str, Any]] = []
        self.calls: list[dict[str, Any]] = []

    def take(self, item: dict[str, Any], message: Message) -> None:
        """One more item."""
        kind = text_of(item.get("type"))
        if kind == "message":
            self._take_message(item, message)
        elif kind == "reasoning":
            self.thoughts += thoughts_of(item)
            self.details += message.thought(item)
        elif kind in CALLS:
            self.calls.append(call_of(item))
            message.calls += 1
        else:
            message.keep(item)

    def _take_message(self, item: dict[str, Any], message: Message) -> None:
        between = message.begin_message(item)
        if between:
            self.texts.append(between)
        for part in parts_of(item):
            if part.get("type") == "refusal":
                self.refusals.append(text_of(part.get("refusal")))
                continue
            text = text_of(part.get("text"))
            message.cite(part.get("annotations"), message.chars)
            message.tokens += logprobs_of(part.get("logprobs"))
            message.chars += len(text)
            self.texts.append(text)

    def message(self, message: Message, *, legacy: bool) -> dict[str, Any]:
        """The message that these make."""
        whole: dict[str, Any] = {"role": "assistant", "content": "".join(self.texts) if self.texts else None}
        whole["refusal"] = "".join(self.refusals) or None
        if self.thoughts:
            whole["reasoning_content"] = "\n\n".join(self.thoughts)
        if self.details:
            whole["reasoning_details"] = self.details
        if self.calls and legacy:
            whole["function_call"] = self.calls[0].get("function")
        elif self.calls:
            whole["tool_calls"] = self.calls
        return {**whole, **message.lists()}


# --- the response ------------------------------------------------------------------------------------------------


def require_end(response: dict[str, Any]) -> None:
    """Raises the fault of a response that is not an answer: it failed, was cancelled, or is not there yet."""
    status = response.get("status")
    if status == "failed" or response.get("error"):
        raise fault_of(response.get("error") or {"code": "server_error"})
    if status == "cancelled":
        raise UpstreamInterrupted("The upstream cancelled its answer.")
    if (isinstance(status, str) and status in _UNREADY) or not isinstance(response.get("output"), list):
        raise UpstreamBadResponse("The upstream's answer is not a finished response.")


def envelope_of(response: dict[str, Any]) -> dict[str, Any]:
    """``id``, ``created`` and ``model``; the id is made of the host's own, by which its support finds the answer."""
    given, created = text_of(response.get("id")), response.get("created_at")
    head: dict[str, Any] = {"id": _ID_PREFIX + given.removeprefix("resp_") if given else ""}
    head["created"] = int(created) if isinstance(created, int | float) and 0 < created < 1 << 33 else 0
    head["model"] = text_of(response.get("model"))
    return head


def ending_of(response: dict[str, Any]) -> dict[str, Any]:
    """What is known of an answer at its end alone."""
    found: dict[str, Any] = {}
    if isinstance(tier := response.get("service_tier"), str):
        found["service_tier"] = tier
    if moderation := moderation_of(response.get("moderation")):
        found["moderation"] = moderation
    if filters := response.get("content_filters"):  # Azure's
        found["content_filters"] = filters
    return found


def add_results(answer: dict[str, Any]) -> None:
    """Tells what the host's filters found, of an answer or its last chunk, in place: Azure's, or OpenAI's own."""
    choice = answer["choices"][0]
    if "content_filters" in answer:
        found = sides(answer["content_filters"])
        if asked := found.get("prompt"):
            answer[PROMPT] = of_prompt(asked)
        if said := found.get("completion"):
            choice[RESULTS] = said
    if "moderation" in answer:
        add_moderation(answer, [choice], cut=frozenset([0] if choice["finish_reason"] == _CUT else ()))


def native_reason_of(response: dict[str, Any]) -> str:
    """The host's own word for why the answer ended."""
    details = response.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    return text_of(reason) or text_of(response.get("status")) or "completed"


def reason_of(response: dict[str, Any], *, cut: bool = False) -> str:
    """The same as `dialects.finish` takes it. ``cut``: an event has said that the answer is not whole."""
    native = native_reason_of(response)
    if cut or response.get("status") == "incomplete":
        return _CUT if native == _CUT else "length"
    return native


def usage_in(response: object) -> dict[str, Any] | None:
    """The usage that a response states, as a chat completion's."""
    return usage_of(response.get("usage")) if isinstance(response, dict) else None


# --- items -------------------------------------------------------------------------------------------------------

CALLS = {"function_call": "function", "custom_tool_call": "custom"}
"""The items that call a tool of the client's, and what the call is in a chat completion."""
_TEXT = {"function": "arguments", "custom": "input"}


def items_of(response: dict[str, Any]) -> list[dict[str, Any]]:
    """The items of a response. Raises `UpstreamBadResponse` for one that is not an object."""
    output = response.get("output")
    items = output if isinstance(output, list) else []
    if not all(isinstance(item, dict) for item in items):
        raise UpstreamBadResponse("The upstream's answer has an item that is not an object.")
    return items


def parts_of(item: dict[str, Any]) -> list[dict[str, Any]]:
    """The content parts of an item."""
    content = item.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def texts_of(parts: Any) -> list[str]:
    """The texts of a reasoning item's parts that have one."""
    given = parts if isinstance(parts, list) else []
    return [part["text"] for part in given if isinstance(part, dict) and text_of(part.get("text"))]


def thoughts_of(item: dict[str, Any]) -> list[str]:
    """What a reasoning item says: its own words, or else their summary."""
    return texts_of(item.get("content")) or texts_of(item.get("summary"))


def call_of(item: dict[str, Any]) -> dict[str, Any]:
    """A call in a chat completion. Raises `UpstreamBadResponse` for one without a name."""
    kind = CALLS[item["type"]]
    name = item.get("name")
    if not isinstance(name, str) or not name:
        raise UpstreamBadResponse("The upstream's answer has a tool call without a name.")
    body = {"name": name, _TEXT[kind]: arguments_text(item.get(_TEXT[kind]))}
    return {"id": text_of(item.get("call_id")) or text_of(item.get("id")), "type": kind, kind: body}
