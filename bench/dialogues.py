"""One conversation in the words of three vendors: a short question, and a step of an agent, as requests and answers.

Used by `bench.translation`. The agent's request has 12 messages in OpenAI's dialect and 10 tools, about 12 KB.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

STEPS = 5
TOOLS = 10
_SYSTEM = "You are a careful engineer. " * 20
_ASKED = "Find out why the nightly import of orders fails, mend it, and tell me in two sentences what it was."
_QUESTION = "A jar arrived with a cracked lid. Draft a short, friendly answer that offers a replacement or a refund."
_LINES = "2026-11-21T03:00:11Z import[4711]: row 18: the column 'country' is missing\n" * 12
_THOUGHT = "The log names a column. I will look at the file that reads it."
_WORD = " parcel"

Json = dict[str, Any]


def _schema(number: int) -> Json:
    return {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": f"Where tool {number} begins to look, below the project."},
            "pattern": {"type": "string", "description": "A regular expression that lines have to match."},
            "kind": {"type": "string", "enum": ["file", "folder", "link"]},
            "limit": {"type": "integer", "minimum": 1, "maximum": 500},
            "options": {
                "type": "object",
                "properties": {"hidden": {"type": "boolean"}, "names": {"type": "array", "items": {"type": "string"}}},
            },
        },
        "required": ["path", "pattern"],
    }


def _about(number: int) -> str:
    return f"Tool {number}: searches the project's files line by line and gives what it finds, the newest file first."


def _input(step: int) -> Json:
    return {"path": f"src/orders/part{step}", "pattern": "country", "kind": "file", "limit": 50}


def _openai_agent() -> Json:
    messages: list[Json] = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _ASKED}]
    for step in range(STEPS):
        function = {"name": f"search_{step}", "arguments": json.dumps(_input(step))}
        call = {"id": f"call_{step:024d}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": _THOUGHT, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": _LINES})
    tools = [
        {
            "type": "function",
            "function": {"name": f"search_{number}", "description": _about(number), "parameters": _schema(number)},
        }
        for number in range(TOOLS)
    ]
    return {"messages": messages, "tools": tools, "tool_choice": "auto", "temperature": 0.2}


def _anthropic_agent() -> Json:
    turns: list[Json] = [{"role": "user", "content": _ASKED}]
    for step in range(STEPS):
        name = f"toolu_{step:024d}"
        used = {"type": "tool_use", "id": name, "name": f"search_{step}", "input": _input(step)}
        turns.append({"role": "assistant", "content": [{"type": "text", "text": _THOUGHT}, used]})
        turns.append({"role": "user", "content": [{"type": "tool_result", "tool_use_id": name, "content": _LINES}]})
    tools = [
        {"name": f"search_{number}", "description": _about(number), "input_schema": _schema(number)}
        for number in range(TOOLS)
    ]
    return {"system": _SYSTEM, "messages": turns, "tools": tools, "tool_choice": {"type": "auto"}, "temperature": 0.2}


def _gemini_agent() -> Json:
    contents: list[Json] = [{"role": "user", "parts": [{"text": _ASKED}]}]
    for step in range(STEPS):
        call = {"functionCall": {"name": f"search_{step}", "args": _input(step)}}
        result = {"functionResponse": {"name": f"search_{step}", "response": {"result": _LINES}}}
        contents.append({"role": "model", "parts": [{"text": _THOUGHT}, call]})
        contents.append({"role": "user", "parts": [result]})
    declared = [
        {"name": f"search_{number}", "description": _about(number), "parameters": _schema(number)}
        for number in range(TOOLS)
    ]
    return {
        "systemInstruction": {"parts": [{"text": _SYSTEM}]},
        "contents": contents,
        "tools": [{"functionDeclarations": declared}],
        "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}},
        "generationConfig": {"temperature": 0.2, "maxOutputTokens": 500},
    }


def _bytes(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _event(body: Mapping[str, Any], name: str = "") -> bytes:
    return (f"event: {name}\n".encode() if name else b"") + b"data: " + _bytes(body) + b"\n\n"


REQUESTS: Mapping[str, Mapping[str, bytes]] = MappingProxyType(
    {
        "small": {
            "openai": _bytes(
                {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": _QUESTION}]},
            ),
            "anthropic": _bytes(
                {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": _QUESTION}]},
            ),
            "gemini": _bytes(
                {
                    "contents": [{"role": "user", "parts": [{"text": _QUESTION}]}],
                    "generationConfig": {"maxOutputTokens": 500},
                }
            ),
        },
        "agent": {
            "openai": _bytes({"model": "m", "max_tokens": 500, "stream": True, **_openai_agent()}),
            "anthropic": _bytes({"model": "m", "max_tokens": 500, "stream": True, **_anthropic_agent()}),
            "gemini": _bytes(_gemini_agent()),
        },
    }
)
"""The body of a request, by its kind and the client's dialect."""

_CHUNK = {"id": "chatcmpl-CkT7wq3mZbY0aVJr5Ns8uPfHd2LxE", "object": "chat.completion.chunk", "created": 1_790_000_000}
_START = {
    "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [],
    "usage": {"input_tokens": 68, "output_tokens": 1},
}


def _openai_chunk(delta: Mapping[str, str]) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    return _event({**_CHUNK, "model": "m", "system_fingerprint": "fp_5f20662549", "choices": [choice]})


def _anthropic_delta(text: str) -> bytes:
    delta = {"type": "text_delta", "text": text}
    return _event({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")


def _gemini_chunk(text: str) -> bytes:
    return _event(
        {
            "candidates": [{"content": {"parts": [{"text": text}], "role": "model"}, "index": 0}],
            "usageMetadata": {"promptTokenCount": 68, "candidatesTokenCount": 7, "totalTokenCount": 75},
            "modelVersion": "gemini-3-pro",
            "responseId": "mAitaLmkHPPlz7IPvtfUqQ4",
        }
    )


OPENINGS: Mapping[str, bytes] = MappingProxyType(
    {
        "openai": _openai_chunk({"role": "assistant", "content": _WORD}),
        "anthropic": _event({"type": "message_start", "message": _START}, "message_start")
        + _event(
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            "content_block_start",
        )
        + _anthropic_delta(_WORD),
        "gemini": _gemini_chunk(_WORD),
    }
)
"""How an answer begins, by the host's dialect."""

CHUNKS: Mapping[str, bytes] = MappingProxyType(
    {
        "openai": _openai_chunk({"content": _WORD}),
        "anthropic": _anthropic_delta(_WORD),
        "gemini": _gemini_chunk(_WORD),
    }
)
"""One more word of it."""
