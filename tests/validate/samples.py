"""Requests that the tests of this folder share: the smallest, and one that uses every parameter OpenAI documents."""

from typing import Any

SMALLEST: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def with_fields(**fields: Any) -> dict[str, Any]:
    """The smallest request with these fields more."""
    return {**SMALLEST, **fields}


def with_message(message: Any) -> dict[str, Any]:
    """The smallest request with this message instead of its own."""
    return {"model": "m", "messages": [message]}


BREAKPOINT = {"mode": "explicit"}
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string", "pattern": "(a+)+$"}}},
            "strict": True,
        },
    },
    {"type": "custom", "custom": {"name": "note", "description": "A note.", "format": {"type": "text"}}},
    {
        "type": "custom",
        "custom": {
            "name": "sum",
            "format": {"type": "grammar", "grammar": {"definition": "start: INT", "syntax": "lark"}},
        },
    },
]
MESSAGES: list[dict[str, Any]] = [
    {"role": "developer", "content": "Be brief.", "name": "d"},
    {
        "role": "system",
        "content": [{"type": "text", "text": "Be kind.", "prompt_cache_breakpoint": BREAKPOINT}],
        "name": "s",
    },
    {
        "role": "user",
        "name": "u",
        "content": [
            {"type": "text", "text": "Look:"},
            {
                "type": "image_url",
                "image_url": {"url": "https://example.com/a.png", "detail": "low"},
                "prompt_cache_breakpoint": BREAKPOINT,
            },
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERg==", "file_id": "file-1"}},
        ],
    },
    {
        "role": "assistant",
        "name": "a",
        "content": [{"type": "text", "text": "I see."}, {"type": "refusal", "refusal": "No."}],
        "refusal": None,
        "audio": {"id": "audio_1"},
        "function_call": {"name": "old", "arguments": "{}"},
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            {"id": "c2", "type": "custom", "custom": {"name": "note", "input": "x"}},
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "done"}]},
    {"role": "function", "name": "old", "content": None},
]
MAXIMAL: dict[str, Any] = {
    "model": "gpt-5.6-sol",
    "messages": MESSAGES,
    "audio": {"voice": "alloy", "format": "mp3"},
    "frequency_penalty": -2,
    "function_call": {"name": "old"},
    "functions": [{"name": "old", "description": "Older.", "parameters": {"type": "object"}}],
    "logit_bias": {"50256": -100, "1": 100},
    "logprobs": True,
    "max_completion_tokens": 100,
    "max_tokens": 100,
    "metadata": {"team": "blue"},
    "modalities": ["text", "audio"],
    "moderation": {"model": "omni-moderation-latest", "policy": {"input": {"mode": "score"}, "output": None}},
    "n": 2,
    "parallel_tool_calls": False,
    "prediction": {"type": "content", "content": [{"type": "text", "text": "It rains."}]},
    "presence_penalty": 1.5,
    "prompt_cache_key": "k",
    "prompt_cache_options": {"ttl": "30m", "mode": "explicit"},
    "prompt_cache_retention": "24h",
    "reasoning_effort": "high",
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "reply", "description": "A reply.", "schema": {"type": "object"}, "strict": True},
    },
    "safety_identifier": "user-1",
    "seed": 7,
    "service_tier": "auto",
    "stop": ["\n", "END"],
    "store": False,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "temperature": 0.5,
    "tool_choice": {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "weather"}}]},
    },
    "tools": TOOLS,
    "top_logprobs": 3,
    "top_p": 0.9,
    "user": "user-1",
    "verbosity": "low",
    "web_search_options": {
        "user_location": {
            "type": "approximate",
            "approximate": {"country": "DE", "region": "BE", "city": "Berlin", "timezone": "Europe/Berlin"},
        },
        "search_context_size": "medium",
    },
}
