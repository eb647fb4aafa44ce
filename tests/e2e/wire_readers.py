"""How the clients of the compatibility traps read a stream, written anew from the rules that their sources follow.

Each takes the body as the network gave it, one item for each write of the gateway, and gives the text of the first
choice. Each raises `Stumbled` where the client would fail, and `InBand` where it would report the stream's error.
"""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

ROLES = {"assistant", "user", "system", "developer", "tool"}
REASONS = {None, "stop", "length", "tool_calls", "content_filter", "function_call"}
DATA = b"data: "


class Stumbled(Exception):
    """The client could not read the stream."""


class InBand(Exception):
    """The client understood that the stream failed."""


def need(condition: object, complaint: str) -> None:
    """Raises `Stumbled` unless a condition holds."""
    if not condition:
        raise Stumbled(complaint)


async def read_writes(reader: asyncio.StreamReader) -> list[bytes]:
    """The body of a chunked response, one item for each chunk, which is one write of the gateway."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head, head
    writes = []
    while size := int(await reader.readline(), 16):
        writes.append((await reader.readexactly(size + 2))[:-2])
    await reader.readexactly(2)
    return writes


def read_naive_browser(writes: list[bytes]) -> str:
    """A page that decodes each read, splits it into lines, parses each ``data: `` line, and takes choices[0]."""
    text = ""
    for write in writes:
        for line in write.decode().split("\n"):
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            chunk = json.loads(line[6:])
            if chunk.get("error"):
                raise InBand(chunk["error"]["message"])
            text += chunk["choices"][0]["delta"].get("content") or ""
    return text


def read_go_openai(writes: list[bytes]) -> str:
    """Lines that start ``data: ``; an error only where one starts ``data: {"error":``; at most 300 others in a row.

    What is not data is gathered in the buffer from which an error would be parsed.
    """
    text, others, gathered = "", 0, b""
    for line in b"".join(writes).split(b"\n"):
        if line.startswith(b'data: {"error":') or (not line.startswith(DATA) and line.strip()):
            gathered += line.removeprefix(DATA)
            if line.startswith(DATA):
                raise_go_error(gathered)
        if not line.startswith(DATA):
            others += 1
            need(others <= 300, "stream has sent too many empty messages")
            continue
        others = 0
        if line == b"data: [DONE]":
            return text
        chunk = json.loads(line[6:])
        need(type(chunk["created"]) is int, "created is no int64")
        for choice in chunk["choices"]:
            need(type(choice["index"]) is int, "index is no int")
            text += choice["delta"].get("content") or "" if choice["index"] == 0 else ""
    return text


def raise_go_error(gathered: bytes) -> None:
    """The error as its struct takes it."""
    error = json.loads(gathered)["error"]
    need(isinstance(error["message"], str) and isinstance(error["type"], str), "the error's types")
    need(isinstance(error["param"], str | None), "the error's param")
    raise InBand(error["message"])


def read_continue(writes: list[bytes]) -> str:
    """Lines of each read; one that starts ``: ping`` ends the read; what is not JSON is a malformed message."""
    text, left = "", ""
    for write in writes:
        *lines, left = (left + write.decode()).split("\n")
        for line in lines:
            if line.startswith(": ping") or line == "data: [DONE]":
                break
            if not line.startswith("data:"):
                continue
            try:
                chunk = json.loads(line[5:])
            except ValueError:
                raise Stumbled("Malformed JSON sent from server") from None
            if chunk.get("error"):
                raise InBand(chunk["error"]["message"])
            text += first_delta(chunk).get("content") or ""
    return text


def first_delta(chunk: dict[str, Any]) -> dict[str, Any]:
    """``chunk.choices[0]?.delta``, which fails where ``choices`` is missing."""
    need(isinstance(chunk.get("choices"), list), "choices is not a list")
    choices = [choice for choice in chunk["choices"] if choice["index"] == 0]
    return dict(choices[0]["delta"]) if choices else {}


def read_openai_python(writes: list[bytes]) -> str:
    """The SDK's event decoder: every block is an event, and every event's data is JSON, until ``[DONE]``."""
    text, last_id = "", ""
    for block in b"".join(writes).decode("utf-8", "strict").split("\n\n")[:-1]:
        fields = [line.partition(":") for line in block.split("\n") if not line.startswith(":")]
        last_id = next((value for name, _, value in fields if name == "id"), last_id)
        data = "\n".join([value.removeprefix(" ") for name, _, value in fields if name == "data"])
        if not data and not any(name in ("event", "id", "retry") for name, _, _ in fields) and not last_id:
            continue
        if data.startswith("[DONE]"):
            return text
        chunk = json.loads(data)
        if chunk.get("error"):
            raise InBand(chunk["error"]["message"])
        calls = first_delta(chunk).get("tool_calls") or []
        need(all(type(call["index"]) is int for call in calls), "a tool call without index")
        text += first_delta(chunk).get("content") or ""
    return text


def read_openai_node(writes: list[bytes]) -> str:
    """As the Python SDK, and an event with a name of its own is not a chunk."""
    need(not re.search(rb"^event:", b"".join(writes), re.MULTILINE), "an event with a name: choices is undefined")
    need(b"".join(writes).count(b"data: [DONE]") <= 1, "data after [DONE]")
    return read_openai_python(writes)


def read_ai_sdk(writes: list[bytes]) -> str:
    """Each event fits the chunk's schema or the error's; the mere presence of ``error`` makes it an error."""
    text = ""
    known: set[tuple[int, int]] = set()
    for line in b"".join(writes).split(b"\n"):
        if not line.startswith(b"data:") or line == b"data: [DONE]":
            continue
        chunk = json.loads(line[5:])
        if "error" in chunk:
            need(isinstance((chunk["error"] or {}).get("message"), str), "an error that is none")
            raise InBand(chunk["error"]["message"])
        need(chunk.get("object") == "chat.completion.chunk" and isinstance(chunk.get("choices"), list), "the envelope")
        for choice in chunk["choices"]:
            check_ai_sdk_choice(choice, known)
        text += first_delta(chunk).get("content") or ""
    return text


def check_ai_sdk_choice(choice: dict[str, Any], known: set[tuple[int, int]]) -> None:
    """The schema's rules for a choice; ``known`` are the calls seen."""
    delta = choice["delta"]
    need(type(choice["index"]) is int, "no index")
    need(delta.get("role") in {"assistant", "", None}, "the role")
    need(isinstance(delta.get("content"), str | None), "content is neither a string nor null")
    need("tool_calls" not in delta or isinstance(delta["tool_calls"], list), "tool_calls is no list")
    for call in delta.get("tool_calls", ()):
        function = call["function"]
        need(isinstance(function.get("arguments", ""), str), "arguments is no string")
        key = (choice["index"], call["index"])
        if key not in known:
            need(isinstance(call.get("id"), str) and call.get("type") == "function", "a call's first delta")
            need(isinstance(function.get("name"), str), "a call without a name")
            known.add(key)


def read_zed(writes: list[bytes]) -> str:
    """Typed structs: missing or mistyped members fail."""
    text = ""
    for line in b"".join(writes).decode().split("\n"):
        if not line.startswith("data: ") or line == "data: [DONE]":
            continue
        chunk = json.loads(line[6:])
        if "choices" not in chunk:
            raise InBand(chunk["error"]["message"])
        usage = chunk.get("usage")
        need(usage is None or all(type(usage.get(name)) is int and usage[name] >= 0 for name in USAGE), "usage")
        for choice in chunk["choices"]:
            delta = choice["delta"]
            need(type(choice["index"]) is int, "no index")
            need(delta.get("role") is None or delta["role"] in ROLES, "an unknown role")
            need(choice.get("finish_reason") in REASONS, "an unknown reason")
            need(all(type(call.get("index")) is int for call in delta.get("tool_calls") or ()), "a call without index")
        text += first_delta(chunk).get("content") or ""
    return text


USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")
READERS: tuple[Callable[[list[bytes]], str], ...] = (
    read_naive_browser,
    read_go_openai,
    read_continue,
    read_openai_python,
    read_openai_node,
    read_ai_sdk,
    read_zed,
)
