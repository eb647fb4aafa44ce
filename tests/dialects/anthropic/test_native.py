"""Answers of a host that speaks the dialect, passed through: nothing changes but the model's name and the cost."""

import json
from typing import Any

import msgspec
import pytest

from tests.dialects.anthropic.assembly import assembled, events_of
from tollhouse.dialects.anthropic.client import ANTHROPIC
from tollhouse.dialects.client import Account
from tollhouse.types.calls import ChatCall, Usage

CALL = ChatCall("asked", {"messages": []}, True, True, "anthropic")
ACCOUNT = Account(Usage(input=5, output=7), None, 1500, {"_balance_warning": False})
USAGE = {"input_tokens": 5, "output_tokens": 1, "service_tier": "standard"}
START = {
    "type": "message_start",
    "message": {"id": "msg_1", "type": "message", "model": "claude-x", "content": [], "usage": USAGE},
}
DELTA = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}
STOP = {"type": "message_stop"}


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one block."""
    said = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    opened = {"type": "content_block_start", "index": index, "content_block": start}
    return [opened, *said, {"type": "content_block_stop", "index": index}]


TEXT = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hello."})


def written(*events: dict[str, Any]) -> bytes:
    """What the client is sent."""
    writer = ANTHROPIC.native_writer(CALL)
    copies = msgspec.json.decode(msgspec.json.encode(events))
    return b"".join([writer.encode([event]) for event in copies]) + writer.finish(ACCOUNT)


def test_events_stay_as_they_were() -> None:
    """Every event of the host arrives, unknown ones and unknown members too, the model by the name it was asked by."""
    odd = {"type": "odd_event", "x": [1]}
    found = events_of(written(START, {"type": "ping"}, odd, *TEXT, DELTA, STOP))
    model = {**START, "message": {**START["message"], "model": "asked"}}  # type: ignore[dict-item]
    assert found[:-2] == [model, {"type": "ping"}, odd, *TEXT]
    assert found[-2]["usage"] == {"output_tokens": 7, "cost": 0.0000015}
    assert found[-2]["_balance_warning"] is False
    assert found[-1] == STOP


def test_the_usage_waits_for_the_cost() -> None:
    """The last delta of the message is held back, one before it is not, and a ping does not hurry it."""
    writer = ANTHROPIC.native_writer(CALL)
    assert writer.encode([dict(DELTA)]) == b""
    assert events_of(writer.encode([{"type": "ping"}])) == [{"type": "ping"}]
    assert events_of(writer.encode([{**DELTA, "usage": {"output_tokens": 9}}])) == [DELTA]
    assert writer.encode([STOP]) == b""
    assert events_of(writer.finish(ACCOUNT))[0]["usage"]["output_tokens"] == 9


def test_a_stream_without_its_usage_gets_ours() -> None:
    """A host that forgot to say why it stopped leaves a whole stream all the same."""
    assert assembled(written(START, *TEXT))["usage"]["output_tokens"] == 7


def test_long_pieces_are_cut_into_lines() -> None:
    """A delta of any length is whole, in lines that every client reads."""
    long = "\x01" * 30_000
    said = block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": long})
    assert assembled(written(START, *said, DELTA, STOP))["content"][0]["text"] == long


def test_an_events_name_cannot_forge_another() -> None:
    """A type that is no word is not written."""
    assert events_of(written(START, {"type": "x\ndata: {}"}, {"type": 1}, {}, DELTA))[0]["type"] == "message_start"


def test_what_was_given_is_counted() -> None:
    """Text, thinking, arguments, and calls, whoever runs them."""
    writer = ANTHROPIC.native_writer(CALL)
    assert writer.tokens() == 0
    last = 0
    for index, (start, delta) in enumerate(
        (
            ({"type": "text", "text": ""}, {"type": "text_delta", "text": "word " * 9}),
            ({"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "word " * 9}),
            ({"type": "tool_use", "name": "f"}, {"type": "input_json_delta", "partial_json": '{"a":1}'}),
            ({"type": "server_tool_use", "name": "f"}, {"type": "signature_delta", "signature": "x"}),
        )
    ):
        writer.encode(block(index, start, delta))
        assert writer.tokens() > last
        last = writer.tokens()
    assert writer.sound_tokens() == 0
    assert writer.heartbeat() == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_a_whole_message() -> None:
    """The model's name is the client's, the cost is told, and the rest is the host's."""
    given = {**START["message"], "model": "claude-x", "stop_reason": "end_turn"}  # type: ignore[dict-item]
    found = json.loads(msgspec.json.encode(ANTHROPIC.native_reply(dict(given), CALL, ACCOUNT)))
    assert found == {**given, "model": "asked", "usage": {**USAGE, "cost": 0.0000015}, "_balance_warning": False}


@pytest.mark.parametrize("value", [None, 1, "x", [], {}])
def test_events_of_any_shape_are_passed_on(value: Any) -> None:
    """What stands in an event is its host's matter."""
    for name in ("message_start", "content_block_start", "content_block_delta", "message_delta", "error"):
        for member in ("message", "content_block", "delta", "usage"):
            assert written({"type": name, member: value}, {"type": name, member: {"type": value, "text": value}})
