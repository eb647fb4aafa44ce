"""Hostile requests of the Messages API: members of any type are read, or refused as invalid; no more happens."""

import itertools
import json
from typing import Any

import pytest

from tollhouse.dialects.anthropic.read import read_call
from tollhouse.errors import InvalidRequest


def refused_or_read(body: dict[str, Any]) -> None:
    """Reads a request: any exception but `InvalidRequest` fails the test."""
    try:
        call = read_call(json.dumps(body).encode(), {})
    except InvalidRequest as fault:
        assert fault.message  # noqa: PT017 (either outcome is right)
    else:
        assert call.body["messages"]


HOSTILE: list[Any] = [None, 1, -1.5, True, "x", [], [[]], {}, {"type": "text"}, {"type": []}, {"type": "thinking"}]


@pytest.mark.parametrize("name", ["content", "system", "tools", "tool_choice", "thinking", "output_config", "metadata"])
@pytest.mark.parametrize("value", HOSTILE, ids=repr)
def test_hostile_values_are_read_or_refused(name: str, value: Any) -> None:
    """Whatever stands in a member, the request is read, or refused as invalid."""
    body: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    for placed in (value, [value]):
        if name == "content":
            body["messages"] = [{"role": role, "content": placed} for role in ("user", "assistant", "system")]
        else:
            body[name] = placed
        refused_or_read(body)


NAMES = (
    *("text", "source", "title", "context", "content", "citations", "id", "name", "input", "tool_use_id"),
    *("thinking", "signature", "data", "cache_control", "is_error", "tool_name"),
)
BLOCKS = [
    *("text", "image", "document", "search_result", "tool_use", "tool_result", "thinking", "redacted_thinking"),
    *("tool_reference", "server_tool_use"),
]


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize("role", ["user", "assistant"])
def test_hostile_blocks_are_read_or_refused(kind: str, role: str) -> None:
    """A block of any kind with members of any type, in any role, is read, or refused as invalid."""
    odd = [*HOSTILE, {"type": "base64", "media_type": "a", "data": "b"}, {"type": "content", "content": "x"}]
    plain: dict[str, Any] = dict.fromkeys(NAMES, "x")
    bases = [plain, {**plain, "input": {}, "source": {"type": "odd"}}]
    for base, name, value in itertools.product(bases, NAMES, odd):
        block = {**base, "type": kind, name: value}
        refused_or_read({"model": "m", "max_tokens": 9, "messages": [{"role": role, "content": [block]}]})
