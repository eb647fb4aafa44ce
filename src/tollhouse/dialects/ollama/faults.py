"""Ollama's errors, as faults: ``{"error": "text"}``, by the text where that says more than the status.

`providers.ollama` calls `fault_of_answer` for a status other than 200, and `answer` calls `fault_of_line` for an error
in one that is. Ollama's own words name commands and files of its machine, and are shown only where the request was
refused.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from tollhouse.dialects.faults import fault_of_reply
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamUnavailable,
    UpstreamUnfit,
)

_UNFIT = re.compile(r"does not support (\w+)|(think) value .* is not supported", re.IGNORECASE)
"""``server/routes.go``: what a model cannot do is a 400."""
_PARAMS = {"thinking": "reasoning_effort", "think": "reasoning_effort", "tools": "tools", "logprobs": "logprobs"}
_TOO_LONG = re.compile(
    r"exceeds? the (available )?context|context (length|size|window)|prompt is too long", re.IGNORECASE
)
_COUNTS = re.compile(r"\((\d{1,9}) tokens\).*\((\d{1,9}) tokens\)")
_SHORTEN = "Shorten the messages, or ask for more room with options.num_ctx."
_NO_ROOM = re.compile(r"more system memory|out of memory|server busy|not enough (gpu )?memory", re.IGNORECASE)
_NESTED = 3
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


def fault_of_answer(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamFault:
    """What an answer with a status other than 200 stands for. Header names are lower-case. Never raises."""
    message = _message_of(body)
    fault = _fault_of_text(message)
    if fault is not None:
        return fault
    if status == 404 and "not found" in message:
        return UpstreamModelMissing("The upstream host has no such model.", status=404)
    if status == 500:
        return UpstreamBadResponse("The upstream's engine failed.")
    return fault_of_reply(status, headers, _encode({"error": {"message": message}} if message else {}))


def fault_of_line(error: object) -> UpstreamFault:
    """What the ``error`` of a line, or of a whole answer with status 200, stands for. Never raises."""
    return _fault_of_text(_message_of(_encode(error))) or UpstreamBadResponse("The upstream's engine failed.")


def _fault_of_text(message: str) -> UpstreamFault | None:
    if match := _UNFIT.search(message):
        word = (match[1] or match[2]).lower()
        return UpstreamUnfit(f"This model does not support {word}.", param=_PARAMS.get(word, "messages"))
    if _TOO_LONG.search(message):
        told = "The messages are longer than the model's context."
        if counts := _COUNTS.search(message):
            told = f"The model's context is {counts[2]} tokens here, and the messages are {counts[1]} tokens."
        return UpstreamRejected(f"{told} {_SHORTEN}", status=400, param="messages", code="context_length_exceeded")
    if _NO_ROOM.search(message):
        return UpstreamUnavailable("The upstream host has no room for this model now.")
    return None


def _message_of(body: bytes) -> str:
    """The text of an error; Ollama wraps its engine's errors as JSON in the text of its own."""
    value: Any = body
    text = ""
    for _ in range(_NESTED):
        try:
            value = _decode(value)
        except (ValueError, RecursionError):
            break
        for name in ("error", "message"):
            if isinstance(value, dict):
                value = value.get(name) or value.get("message")
        if not isinstance(value, str):
            break
        text = value
    return text
