"""Reads a stream of the Messages API as its clients do, strictly: what they assume is asserted."""

import json
from typing import Any

MAX_LINE_BYTES = 64 * 1024
_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


def events_of(raw: bytes) -> list[dict[str, Any]]:
    """The events, each named as its object's ``type`` says."""
    found = []
    assert raw == b"" or raw.endswith(b"\n\n")
    for part in raw.split(b"\n\n")[:-1]:
        name, data = part.split(b"\n")
        assert len(data) <= MAX_LINE_BYTES
        value = json.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        found.append(value)
    return found


def assembled(raw: bytes) -> dict[str, Any]:
    """The message that a whole stream builds. Blocks are counted from 0, one is open at a time, each has an end."""
    events = [event for event in events_of(raw) if event["type"] != "ping"]
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    message: dict[str, Any] = events[0]["message"]
    assert message["content"] == []
    open_index = None
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert open_index is None
            assert event["index"] == len(message["content"])
            open_index = event["index"]
            message["content"].append(event["content_block"])
        elif event["type"] == "content_block_delta":
            assert event["index"] == open_index
            add(message["content"][-1], event["delta"])
        else:
            assert event["type"] == "content_block_stop"
            assert event["index"] == open_index
            open_index = None
    assert open_index is None
    ended = events[-2]
    message.update(ended["delta"])
    message["usage"].update(ended["usage"])
    for block in message["content"]:
        if "partial" in block:
            block["input"] = json.loads(block.pop("partial"))
    return message


def add(block: dict[str, Any], delta: dict[str, Any]) -> None:
    """One delta, of the kind that its block has."""
    kind = delta["type"]
    if kind == "input_json_delta":
        assert block["type"] == "tool_use"
        block["partial"] = block.get("partial", "") + delta["partial_json"]
    elif kind == "citations_delta":
        block.setdefault("citations", []).append(delta["citation"])
    else:
        block[_PIECES[kind]] += delta[_PIECES[kind]]
