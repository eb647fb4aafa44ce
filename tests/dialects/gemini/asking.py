"""Requests in the inner form and what is made of them, for the tests of `encode` and `contents`."""

from typing import Any

import msgspec

from tollhouse.dialects.gemini.encode import Surface, encode

PNG = "data:image/png;base64,AAAA"
HI = {"role": "user", "content": "Hi"}


def sent(
    model: str = "gemini-2.5-flash", *, vertex: bool = False, cap: int | None = None, **body: Any
) -> dict[str, Any]:
    """The request for a body, as JSON has it."""
    made, _ = encode({"model": "m", "messages": [HI], **body}, model, cap, Surface(vertex))
    whole: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(made))
    return whole


def lost(model: str = "gemini-2.5-flash", *, vertex: bool = False, **body: Any) -> dict[str, str]:
    """What is told as lost, and how."""
    losses = encode({"model": "m", "messages": [HI], **body}, model, None, Surface(vertex))[1]
    return {loss.param: loss.how for loss in losses}


def turns(*messages: dict[str, Any], model: str = "gemini-2.5-flash") -> list[Any]:
    """The contents of a conversation."""
    contents: list[Any] = sent(model, messages=list(messages))["contents"]
    return contents


def call(call_id: str, name: str = "f", **more: Any) -> dict[str, Any]:
    """A call in the history."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": '{"a":1}'}, **more}


def called(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A message with calls."""
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def result(call_id: str, content: Any = "ok", **more: Any) -> dict[str, Any]:
    """The result of one."""
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}
