"""The bytes of the benchmark: one realistic request, one reply, and the events of one stream.

Used by both sides (upstreams and load clients), so that what a client counts is what an upstream sent.
"""

import json
from collections.abc import Mapping
from typing import Any

MODEL = "bench-model"

_CREATED = 1_790_000_000
ORDER = "4711"
"""Stands once in the prompt, where each request may have a number of its own."""
_PROMPT = (
    f"A customer writes that the parcel with order {ORDER} arrived two days late and that the lid of the jar was "
    "cracked. Draft a short, friendly answer that apologises, offers a replacement or a refund, and asks which one "
    "they prefer."
)
_ANSWER = (
    "I am sorry that your parcel came late and that the jar was damaged. We would like to put it right: shall we send "
    "a new jar today at no cost, or refund the full price to your card? Just tell us which you prefer."
)
_WORDS = (
    " the",
    " parcel",
    " came",
    " two",
    " days",
    " late",
    ",",
    " and",
    " we",
    " are",
    " sorry",
    " for",
    " it",
    ".",
)


def request(model: str, *, stream: bool = False, max_tokens: int = 256) -> bytes:
    """The JSON body of a chat completion request, about 450 bytes."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You answer letters for a small shop. Be brief and kind."},
            {"role": "user", "content": _PROMPT},
        ],
        "temperature": 0.2,
        "max_tokens": max_tokens,
    }
    if stream:
        body["stream"] = True
    return json.dumps(body, separators=(",", ":")).encode()


def reply() -> bytes:
    """The JSON body of a ``chat.completion``, about 600 bytes."""
    body = {
        "id": "chatcmpl-CkT7wq3mZbY0aVJr5Ns8uPfHd2LxE",
        "object": "chat.completion",
        "created": _CREATED,
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _ANSWER, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 68, "completion_tokens": 47, "total_tokens": 115},
        "system_fingerprint": "fp_5f20662549",
    }
    return json.dumps(body, separators=(",", ":")).encode()


def word(index: int) -> str:
    """The text of content event ``index`` of a stream."""
    return _WORDS[index % len(_WORDS)]


def _event(choices: list[dict[str, Any]], **extra: Any) -> bytes:
    body = {
        "id": "chatcmpl-CkT7wq3mZbY0aVJr5Ns8uPfHd2LxE",
        "object": "chat.completion.chunk",
        "created": _CREATED,
        "model": MODEL,
        "system_fingerprint": "fp_5f20662549",
        "choices": choices,
        **extra,
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def _choice(delta: Mapping[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def opening_event() -> bytes:
    """The first event of a stream: the role."""
    return _event([_choice({"role": "assistant", "content": ""})])


def content_events() -> list[bytes]:
    """One cycle of content events, each about 220 bytes: event ``i`` of a stream is ``i`` modulo their number."""
    return [_event([_choice({"content": text})]) for text in _WORDS]


def closing_events(tokens: int, *, usage: bool) -> bytes:
    """The end of a stream: ``finish_reason``, the usage event if it was asked for, and ``[DONE]``."""
    parts = [_event([_choice({}, "stop")])]
    if usage:
        counts = {"prompt_tokens": 68, "completion_tokens": tokens, "total_tokens": 68 + tokens}
        parts.append(_event([], usage=counts))
    parts.append(b"data: [DONE]\n\n")
    return b"".join(parts)
