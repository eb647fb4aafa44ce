"""What the tests of this dialect's answers share."""

import json
from typing import Any

import msgspec

from tollhouse.dialects.client import Account, Identity
from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.dialects.gemini.read import read_call
from tollhouse.types.calls import ChatCall, Usage

IDENTITY = Identity("chatcmpl-1", 1)
USAGE = Usage(input=5, cache_read=2, output=9, reasoning=4)
ACCOUNT = Account(USAGE, None, 1500, {"_remaining_credits": None})
CLAUDE = {"type": "reasoning.text", "signature": "SIG", "format": "anthropic-claude-v1"}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "D", "id": "rs_1", "format": "openai-responses-v1"}
CALLED = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"city":"Rome"}'}}


def asked(*, thoughts: bool = False, method: str = "streamGenerateContent") -> ChatCall:
    """A call that wants to see thoughts, or not."""
    config = {"thinkingConfig": {"includeThoughts": thoughts}}
    body = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": config}
    return read_call(json.dumps(body).encode(), f"a/m:{method}")


def message_of(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """What a client that sends these parts back is understood to say."""
    body = {"contents": [{"parts": [{"text": "hi"}]}, {"role": "model", "parts": parts}]}
    message = read_call(json.dumps(body).encode(), "a/m:generateContent").body["messages"][1]
    assert isinstance(message, dict)
    return message


def reply(message: dict[str, Any], *, thoughts: bool = False, **choice: Any) -> dict[str, Any]:
    """A whole answer with one message, as the client reads it."""
    answer = {"choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}]}
    made = GEMINI.reply(answer, asked(thoughts=thoughts), IDENTITY, ACCOUNT)
    decoded = json.loads(msgspec.json.encode(made))
    assert isinstance(decoded, dict)
    return decoded


def parts_of(answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All parts of the first candidate of some objects."""
    return [part for answer in answers for part in answer["candidates"][0]["content"]["parts"]]
