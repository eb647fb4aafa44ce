"""A whole ``message`` of Anthropic's as an answer of the inner form, and the pieces of that which streams need too.

Called by `events`. https://platform.claude.com/docs/en/api/messages/create: ``content`` is a list of blocks. Texts are
joined; thinking becomes ``reasoning_content`` and, with its signature, an entry of ``reasoning_details``; a call is a
tool call. What only the vendor's own tools say (``server_tool_use``, their results, blocks that are not known yet) is
kept as it stands in ``content_parts``, and so are citations that have no address.
"""

from typing import Any

from msgspec import Struct

from tollhouse.dialects.answers import objects, text
from tollhouse.dialects.anthropic.toolbox import custom_names
from tollhouse.dialects.anthropic.words import CUSTOM_INPUT, FINISH_OF_STOP, REASONING_FORMAT
from tollhouse.dialects.filtered import RESULTS, Results, detect
from tollhouse.dialects.tools import arguments_text, mint_call_id
from tollhouse.errors import UpstreamBadResponse

REFUSED = "The model declined to answer."
_REFUSAL = "refusal"
Block = dict[str, Any]


class Expected(Struct, frozen=True):
    """How the client's own request names what comes back."""

    custom: frozenset[str] = frozenset()
    """The tools whose calls are custom."""
    legacy: bool = False
    """It offers ``functions``, and waits for a ``function_call``."""


def expected_of(body: dict[str, Any]) -> Expected:
    """What a request in the inner form expects."""
    if "tools" not in body and "functions" not in body:
        return _NOTHING_SPECIAL
    return Expected(custom_names(body), bool(body.get("functions")) and not body.get("tools"))


_NOTHING_SPECIAL = Expected()


def read_message(message: dict[str, Any], expected: Expected) -> dict[str, Any]:
    """The ``chat.completion``, without its usage. Raises `UpstreamBadResponse`."""
    if type(message.get("content")) is not list:
        raise UpstreamBadResponse("The upstream's answer has no content.")
    whole = _Whole(expected)
    for block in objects(message, "content"):
        whole.take(block)
    stop = message.get("stop_reason")
    said = whole.message()
    choice: dict[str, Any] = {
        "index": 0,
        "message": said,
        "logprobs": None,
        "finish_reason": finish_of(stop, called="tool_calls" in said, legacy="function_call" in said),
        **stop_members(message),
    }
    said["refusal"] = refusal_of(message)
    reply = {"object": "chat.completion", "choices": [choice]}
    return {**{name: message[name] for name in ("id", "model") if type(message.get(name)) is str}, **reply}


class _Whole:
    """The message that blocks add up to."""

    __slots__ = ("annotations", "calls", "details", "expected", "length", "parts", "texts")

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.texts: list[str] = []
        self.length = 0
        self.calls: list[Block] = []
        self.details: list[Block] = []
        self.annotations: list[Block] = []
        self.parts: list[Block] = []

    def take(self, block: Block) -> None:
        kind = block.get("type")
        if kind == "text":
            self._text(block)
        elif kind == "tool_use":
            self.calls.append(call_of(block, self.expected, len(self.calls)))
        elif kind in ("thinking", "redacted_thinking"):
            self.details.append(thought_of(block, len(self.details)))
        else:
            self.parts.append(block)

    def _text(self, block: Block) -> None:
        said = text(block, "text")
        self.texts.append(said)
        at, self.length = self.length, self.length + len(said)
        if block.get("citations"):
            found, others = annotations_of(objects(block, "citations"), at, self.length)
            self.annotations += found
            if others:
                self.parts.append({"type": "text", "text": said, "citations": others})

    def message(self) -> dict[str, Any]:
        content = "".join(self.texts) if self.texts or not self.calls else None
        message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": None}
        if thoughts := "".join([detail.get("text") or "" for detail in self.details]):
            message["reasoning_content"] = thoughts
        if self.calls and self.expected.legacy:
            message["function_call"] = self.calls[0]["function"]
        elif self.calls:
            message["tool_calls"] = self.calls
        rest = {"reasoning_details": self.details, "annotations": self.annotations, "content_parts": self.parts}
        return message | {name: value for name, value in rest.items() if value}


def finish_of(stop: object, *, called: bool, legacy: bool = False) -> str:
    """The finish reason. Calls outweigh any word but those that say that the answer is not whole."""
    reason = FINISH_OF_STOP.get(stop, "stop") if type(stop) is str else "stop"
    if reason in ("length", "content_filter"):
        return reason
    if legacy:
        return "function_call"
    return "tool_calls" if called else "stop"


def stop_members(holder: dict[str, Any]) -> dict[str, Any]:
    """What a choice says of its end beside the finish reason: the host's own word, the stop string it met, and what was
    found in the answer.
    """
    given = {"native_finish_reason": holder.get("stop_reason"), "stop_sequence": holder.get("stop_sequence")}
    members: dict[str, Any] = {name: value for name, value in given.items() if type(value) is str}
    if found := refusal_results(holder):
        members[RESULTS] = found
    return members


def refusal_results(holder: dict[str, Any]) -> Results:
    """A refusal as safety results: Anthropic's classifiers have ended the answer, and may say by which policy.

    https://platform.claude.com/docs/en/test-and-evaluate/strengthen-guardrails/handle-streaming-refusals
    """
    found: Results = {}
    if holder.get("stop_reason") == _REFUSAL:
        details = holder.get("stop_details")
        category = details.get("category") if isinstance(details, dict) else None
        detect(found, _REFUSAL, filtered=True, detail=category if isinstance(category, str) else "")
    return found


def refusal_of(holder: dict[str, Any]) -> str | None:
    """Why the model declined; None if it did not."""
    if holder.get("stop_reason") != _REFUSAL:
        return None
    details = holder.get("stop_details")
    told = details.get("explanation") if isinstance(details, dict) else None
    return told if isinstance(told, str) and told else REFUSED


def thought_of(block: Block, index: int) -> dict[str, Any]:
    """A thinking block as an entry of ``reasoning_details``."""
    if block.get("type") == "redacted_thinking":
        entry = {"type": "reasoning.encrypted", "data": text(block, "data")}
    else:
        entry = {"type": "reasoning.text", "text": text(block, "thinking")}
        if signature := text(block, "signature"):
            entry["signature"] = signature
    return {**entry, "format": REASONING_FORMAT, "index": index}


def call_of(block: Block, expected: Expected, index: int) -> dict[str, Any]:
    """A call, whole."""
    name, given = text(block, "name"), block.get("input")
    call_id = text(block, "id") or mint_call_id("", 0, index)
    if name in expected.custom:
        return {"id": call_id, "type": "custom", "custom": {"name": name, "input": custom_input(given)}}
    arguments = "{}" if given is None else arguments_text(given)
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def custom_input(given: object) -> str:
    """The text in the arguments of a custom call. A model that did not keep to the schema is taken at its word."""
    if isinstance(given, dict) and len(given) == 1 and isinstance(only := next(iter(given.values())), str):
        return only
    value = given.get(CUSTOM_INPUT) if isinstance(given, dict) else given
    return value if isinstance(value, str) else arguments_text(given)


def annotations_of(citations: list[Block], start: int, end: int) -> tuple[list[Block], list[Block]]:
    """The citations of a text at this place that have an address, as OpenAI's annotations, and the others."""
    found, others = [], []
    for citation in citations:
        url = citation.get("url") or citation.get("source")
        if type(url) is not str or not url.startswith(("https://", "http://")):
            others.append(citation)
            continue
        cited: Block = {"url": url, "title": str(citation.get("title") or ""), "start_index": start, "end_index": end}
        if type(citation.get("cited_text")) is str:
            cited["content"] = citation["cited_text"]
        found.append({"type": "url_citation", "url_citation": cited})
    return found, others
