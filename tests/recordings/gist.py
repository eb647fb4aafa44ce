"""What a recorded answer says, read by itself: for hosts whose dialect no client speaks.

Shares no code with the codecs but the framing of Bedrock's events. A gist is text, calls and tokens.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from tests.recordings.exchange import Exchange
from tollhouse.dialects.bedrock.eventstream import MessageParser

Tree = dict[str, Any]


@dataclass
class Gist:
    """One answer."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    """Names and arguments, in their order."""
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def tree(self) -> Tree:
        """For comparison."""
        return {
            "text": self.text,
            "calls": [{"name": name, "arguments": given} for name, given in self.calls],
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
        }


def of_answer(answer: Tree, usage: Tree | None) -> Gist:
    """An answer in the inner form."""
    message = answer["choices"][0]["message"]
    gist = Gist(message.get("content") or message.get("refusal") or "")
    for call in message.get("tool_calls") or ():
        held = call.get("function") or call.get("custom")
        gist.calls.append((held["name"], loaded(held.get("arguments", held.get("input")))))
    counted = usage or {}
    gist.prompt_tokens = counted.get("prompt_tokens") or 0
    gist.completion_tokens = counted.get("completion_tokens") or 0
    return gist


def loaded(text: Any) -> Any:
    """Arguments as JSON, where they are any."""
    try:
        return json.loads(text or "{}") if isinstance(text, str | None) else text
    except ValueError:
        return text


def of_recorded(exchange: Exchange) -> Gist:
    """What a host of one of these dialects said."""
    assert exchange.kind is not None
    return _READERS[exchange.kind.provider](exchange)


# --- Responses -----------------------------------------------------------------------------------------------------


def _responses(exchange: Exchange) -> Gist:
    response = json.loads(exchange.body) if not exchange.streamed else _last_response(exchange.body.decode())
    gist = Gist()
    for item in response.get("output") or ():
        if item["type"] == "message":
            parts = item.get("content") or ()
            gist.text += "".join(part.get("text") or part.get("refusal") or "" for part in parts)
        elif item["type"] == "function_call":
            gist.calls.append((item["name"], loaded(item.get("arguments"))))
        elif item["type"] == "custom_tool_call":
            gist.calls.append((item["name"], loaded(item.get("input"))))
    usage = response.get("usage") or {}
    gist.prompt_tokens, gist.completion_tokens = usage.get("input_tokens", 0), usage.get("output_tokens", 0)
    return gist


def _last_response(text: str) -> Tree:
    events = [
        json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and line[5:].strip()[0] == "{"
    ]
    ended = [
        event["response"] for event in events if event.get("type") in ("response.completed", "response.incomplete")
    ]
    last: Tree = ended[-1]
    if not last.get("output"):  # some hosts tell it in the items alone
        done = [event["item"] for event in events if event.get("type") == "response.output_item.done"]
        last = {**last, "output": done}
    return last


# --- Bedrock -------------------------------------------------------------------------------------------------------


def _bedrock(exchange: Exchange) -> Gist:
    if exchange.streamed:
        return _bedrock_stream(exchange.body)
    answer = json.loads(exchange.body)
    blocks = answer["output"]["message"]["content"]
    gist = Gist("".join(block.get("text") or "" for block in blocks))
    used = [block["toolUse"] for block in blocks if "toolUse" in block]
    gist.calls = [(one["name"], one["input"]) for one in used if one.get("type") != "server_tool_use"]
    return _bedrock_usage(gist, answer["usage"])


def _bedrock_stream(body: bytes) -> Gist:
    gist, made = Gist(), dict[int, tuple[str, str]]()
    for _, _, payload in MessageParser().read(body):
        value = json.loads(payload)
        index = value.get("contentBlockIndex", 0)
        delta, start = value.get("delta") or {}, (value.get("start") or {}).get("toolUse")
        gist.text += delta.get("text") or ""
        if start:
            made[index] = (start["name"], "")
        if "toolUse" in delta:
            name, text = made[index]
            made[index] = (name, text + delta["toolUse"]["input"])
        if "usage" in value:
            gist = _bedrock_usage(gist, value["usage"])
    gist.calls = [(name, loaded(text)) for name, text in made.values()]
    return gist


def _bedrock_usage(gist: Gist, usage: Tree) -> Gist:
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    gist.prompt_tokens, gist.completion_tokens = usage["inputTokens"] + cached, usage["outputTokens"]
    return gist


# --- Cohere --------------------------------------------------------------------------------------------------------


def _cohere(exchange: Exchange) -> Gist:
    answer = json.loads(exchange.body)
    message = answer["message"]
    gist = Gist("".join(part.get("text") or "" for part in message.get("content") or ()))
    gist.calls = [
        (call["function"]["name"], loaded(call["function"]["arguments"])) for call in message.get("tool_calls") or ()
    ]
    tokens = answer["usage"]["billed_units"]  # what Cohere charges for; it counts more
    gist.prompt_tokens, gist.completion_tokens = int(tokens["input_tokens"]), int(tokens["output_tokens"])
    return gist


_READERS = {"responses": _responses, "bedrock": _bedrock, "cohere": _cohere}
