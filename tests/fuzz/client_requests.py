"""Fuzzes the readers of the clients' dialects, and every encoder behind them, with damaged requests.

What must hold: a request is read, or is an `InvalidRequest`; what is read is in the inner form; every provider makes a
request of it, or says with an `UpstreamFault` why not.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Any

from tests.fuzz.engine import Case
from tests.fuzz.mutate import damage, spoil
from tests.fuzz.upstream_answers import WORDS
from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.client import ClientDialect
from tollhouse.dialects.gemini.client import GEMINI
from tollhouse.dialects.openai_client import OPENAI
from tollhouse.errors import InvalidRequest, UpstreamFault
from tollhouse.providers import NAMES, load
from tollhouse.types.calls import Host, Target
from tollhouse.types.secret import Secret

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = {"id": "call_1", "type": "function", "function": {"name": "w", "arguments": '{"city":"Rome"}'}}
CHAT: list[dict[str, Any]] = [
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "hm"},
            {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "w", "description": "d", "parameters": SCHEMA}}],
        "tool_choice": "auto",
        "stop": ["x"],
        "temperature": 1.5,
        "max_tokens": 50,
        "reasoning_effort": "low",
    },
    {
        "model": "m",
        "messages": [{"role": "user", "content": "JSON, please."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}},
        "n": 2,
        "seed": 1,
        "logprobs": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
]
MESSAGES: list[dict[str, Any]] = [
    {
        "model": "m",
        "max_tokens": 2000,
        "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [
            {"role": "user", "content": "Hi"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "sig"},
                    {"type": "text", "text": "Let me see."},
                    {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {"city": "Rome"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "is_error": False},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            },
        ],
        "tools": [{"name": "w", "description": "d", "input_schema": SCHEMA}],
        "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        "stop_sequences": ["x"],
        "metadata": {"user_id": "u"},
    }
]
CONTENTS: list[dict[str, Any]] = [
    {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "Hi"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
            {
                "role": "model",
                "parts": [{"functionCall": {"name": "w", "args": {"city": "Rome"}}, "thoughtSignature": "c2ln"}],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "w", "response": {"result": "sunny"}}}]},
        ],
        "tools": [{"functionDeclarations": [{"name": "w", "description": "d", "parameters": SCHEMA}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["w"]}},
        "generationConfig": {
            "temperature": 1,
            "maxOutputTokens": 50,
            "stopSequences": ["x"],
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 128},
        },
    }
]
DIALECTS: dict[str, tuple[ClientDialect, str, list[dict[str, Any]]]] = {
    "openai": (OPENAI, "", CHAT),
    "anthropic": (ANTHROPIC, "", MESSAGES),
    "gemini": (GEMINI, "m:generateContent", CONTENTS),
}
_URL = "https://us-east-1.example.com/v1"
_OPTIONS = (("region", "us-east-1"), ("project", "p"))
_HOSTS = [Host(name, _URL, Secret("sk-x"), provider=name, options=_OPTIONS) for name in sorted(NAMES)]


class ClientRequests:
    """The target. A case is the dialect and the bytes of the request."""

    fixed = 1

    def __init__(self) -> None:
        self._targets = [(load(host.provider), Target(host, "claude-sonnet-4-5")) for host in _HOSTS]

    def make(self, random: Random) -> Case:
        """A good request, spoiled, damaged, or both."""
        name = random.choice(list(DIALECTS))
        value = random.choice(DIALECTS[name][2])
        for _ in range(random.randrange(1, 5)):
            value = spoil(random, value, 3)
        raw = json.dumps(value).encode("utf-8", "surrogatepass")
        return name.encode(), damage(random, raw, WORDS) if random.random() < 0.2 else raw

    async def check(self, case: Case) -> None:
        """Reads it, and offers it to everybody."""
        dialect, path, _ = DIALECTS[case[0].decode()]
        try:
            call = dialect.read(case[1], path, {})
        except InvalidRequest:
            return
        assert isinstance(call.body["messages"], list)
        json.dumps(call.body)
        for provider, target in self._targets:
            try:
                encoded = provider.encode_chat(call, target, 100)
            except UpstreamFault:
                continue
            assert encoded.outgoing.path.startswith("/")
            assert not set(encoded.outgoing.path) & set(" \r\n")
            assert all("\n" not in value and "\r" not in value for _, value in encoded.outgoing.headers)
            json.loads(encoded.outgoing.body)


def opener() -> Callable[[], AbstractAsyncContextManager[ClientRequests]]:
    """The target."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[ClientRequests]:
        yield ClientRequests()

    return opened
