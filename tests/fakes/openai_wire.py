"""Answers of an OpenAI-compatible upstream, as bytes on the wire."""

import json
from typing import Any

from tests.fakes.chaos import chunked, whole

IDENTITY = {"id": "chatcmpl-up", "created": 1700000000, "model": "m-2024-01-01"}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def completion(text: str = "Hello there!", **more: Any) -> bytes:
    """A whole answer with its HTTP head."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return whole(
        json.dumps({**IDENTITY, "object": "chat.completion", "choices": [choice], "usage": USAGE, **more}).encode()
    )


def event(value: Any) -> bytes:
    """One event."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def delta(content: dict[str, Any], finish_reason: str | None = None, **more: Any) -> bytes:
    """One chunk of a stream."""
    choice = {"index": 0, "delta": content, "logprobs": None, "finish_reason": finish_reason}
    return event({**IDENTITY, "object": "chat.completion.chunk", "choices": [choice], **more})


ROLE = delta({"role": "assistant", "content": ""})
STOP = delta({}, "stop")
LAST_USAGE = event({**IDENTITY, "object": "chat.completion.chunk", "choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"


def words(*texts: str) -> list[bytes]:
    """A role chunk and one chunk for each text."""
    return [ROLE, *(delta({"content": text}) for text in texts)]


def stream(*texts: str) -> bytes:
    """A whole streamed answer with its HTTP head."""
    return chunked(*words(*texts), STOP, LAST_USAGE, DONE)


def failure(status: int, message: str = "no", code: str | None = None, kind: str = "x") -> bytes:
    """An error answer."""
    return whole(
        json.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}}).encode(), status
    )
