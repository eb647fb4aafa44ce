"""The readers of the compatibility tests do fail where their clients fail: else those tests would prove nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e import wire_readers
from tests.e2e.wire_readers import READERS, InBand, Stumbled

Reader = Callable[[list[bytes]], str]
DONE = b"data: [DONE]\n\n"


def said(delta: Any = None, **more: Any) -> bytes:
    """A good chunk, or one spoilt by ``more``."""
    choice = {"index": 0, "delta": {"content": "Hi"} if delta is None else delta, "finish_reason": None}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps({**chunk, **more}, separators=(",", ":")).encode() + b"\n\n"


def failed(text: str = '{"error":{"message":"m","type":"t","param":null,"code":null}}') -> bytes:
    """An error event."""
    return f"data: {text}\n\n".encode()


CALL: dict[str, Any] = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BAD: dict[str, tuple[Reader, list[bytes]]] = {
    "browser, an event in two reads": (wire_readers.read_naive_browser, [said()[:30], said()[30:], DONE]),
    "browser, empty choices": (wire_readers.read_naive_browser, [said(choices=[]), DONE]),
    "go, blank lines": (wire_readers.read_go_openai, [b"\n" * 400, said(), DONE]),
    "go, float index": (wire_readers.read_go_openai, [said(choices=[{"index": 0.0, "delta": {}}]), DONE]),
    "go, comment before an error": (wire_readers.read_go_openai, [b": keep\n\n", failed()]),
    "continue, comment as data": (wire_readers.read_continue, [b"data: : ping\n\n", said()]),
    "continue, no choices": (wire_readers.read_continue, [said(choices=None)]),
    "python, named block": (wire_readers.read_openai_python, [b"event: ping\n\n", said(), DONE]),
    "python, ids and a comment": (wire_readers.read_openai_python, [b"id: 1\n" + said(), b": ping\n\n", DONE]),
    "python, call without index": (
        wire_readers.read_openai_python,
        [said({"tool_calls": [{**CALL, "index": None}]}), DONE],
    ),
    "node, event name": (wire_readers.read_openai_node, [b"event: chunk\n" + said(), DONE]),
    "ai sdk, error null": (wire_readers.read_ai_sdk, [said(error=None), DONE]),
    "ai sdk, content parts": (wire_readers.read_ai_sdk, [said({"content": []}), DONE]),
    "ai sdk, call without type": (wire_readers.read_ai_sdk, [said({"tool_calls": [{**CALL, "type": None}]}), DONE]),
    "zed, role": (wire_readers.read_zed, [said({"role": ""}), DONE]),
    "zed, usage": (wire_readers.read_zed, [said(usage={"prompt_tokens": 1}), DONE]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_reader_fails_where_its_client_fails(name: str) -> None:
    """Each known-bad stream makes its reader stumble."""
    reader, writes = BAD[name]
    with pytest.raises((Stumbled, ValueError, IndexError, KeyError)):
        reader(writes)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_takes_the_canonical_stream_and_its_error(reader: Reader) -> None:
    """A good stream is read, an in-band error is understood."""
    assert reader([said(), said(), DONE]) == "HiHi"
    with pytest.raises(InBand, match="m"):
        reader([said(), failed()])


def test_continue_loses_what_follows_its_ping() -> None:
    """``: ping`` ends a read, so that text behind it is lost."""
    assert wire_readers.read_continue([b": ping\n\n" + said(), DONE]) == ""


def test_go_openai_misses_an_error_that_does_not_come_first() -> None:
    """An error whose key is not the first is no error to it."""
    with pytest.raises(KeyError):
        wire_readers.read_go_openai([failed('{"x":1,"error":{"message":"m","type":"t"}}')])
