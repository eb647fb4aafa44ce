"""Anthropic's answers passed through to a client that speaks the same dialect."""

import json
from typing import Any

import pytest

from tests.dialects.anthropic.test_decode import (
    END,
    HELLO,
    JUNK,
    MESSAGE,
    OVER,
    START,
    STOP,
    STREAM,
    TEXT,
    mutants,
    wire,
)
from tollhouse.dialects.anthropic.passing import NativeReader, cap_native, split_message
from tollhouse.errors import UpstreamBadResponse, UpstreamFault, UpstreamInterrupted, UpstreamUnavailable

PING = {"type": "ping"}


def test_events_go_through_as_they_are() -> None:
    """All of them, unknown ones too, and usage and the end are noted."""
    events = [START, PING, {"type": "new", "x": 1}, *STREAM[1:]]
    reader = NativeReader()
    raw = wire(*events)
    assert [event for at in range(len(raw)) for event in reader.feed(raw[at : at + 1])] == events
    assert reader.done
    assert reader.finish() == []
    assert reader.usage is not None
    assert (reader.usage["prompt_tokens"], reader.usage["completion_tokens"]) == (4, 9)


def test_an_event_without_a_type_has_its_name() -> None:
    """Some compatible hosts say it in the event's name alone; one without either is nothing."""
    reader = NativeReader()
    assert reader.feed(b'event: ping\ndata: {"a":1}\n\ndata: {}\n\n') == [{"a": 1, "type": "ping"}]


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (START, False),
        (PING, False),
        (TEXT, False),
        (STOP, False),
        (HELLO, True),
        ({**HELLO, "delta": {"type": "text_delta", "text": ""}}, False),
        ({**TEXT, "content_block": {"type": "text", "text": "x"}}, True),
        ({**TEXT, "content_block": {"type": "tool_use", "name": "f"}}, True),
        ({**TEXT, "content_block": 3}, False),
        (END, True),
        (OVER, True),
    ],
)
def test_which_events_commit(event: dict[str, Any], says: bool) -> None:
    """Those that give the client something of this answer."""
    assert NativeReader().commits(event) is says


def test_whole_answers_go_through_as_they_are() -> None:
    """Their usage is noted."""
    reader = NativeReader()
    assert reader.reply(json.dumps(MESSAGE).encode()) == MESSAGE
    assert reader.usage is not None
    assert reader.usage["completion_tokens"] == 3


def test_a_whole_answer_in_the_place_of_a_stream_is_made_one() -> None:
    """Its events say what it says."""
    thought = {"type": "thinking", "thinking": "t", "signature": "s"}
    message = {**MESSAGE, "content": [thought, {"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "i"}]}
    reader = NativeReader()
    assert reader.feed(json.dumps(message).encode()) == []
    events = reader.finish()
    assert events == split_message(message)
    assert reader.done
    assert [event["type"] for event in events] == [
        "message_start",
        *("content_block_start", "content_block_delta", "content_block_stop") * 2,
        *("content_block_start", "content_block_stop", "message_delta", "message_stop"),
    ]
    assert events[0]["message"]["content"] == []
    assert events[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": "s"}
    assert events[-2]["delta"]["stop_reason"] == "end_turn"


def test_errors_and_ends() -> None:
    """An error event is its fault, a missing end is a broken answer, an end alone is none."""
    reader = NativeReader()
    reader.feed(wire(START, {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}))
    with pytest.raises(UpstreamUnavailable):
        reader.finish()
    with pytest.raises(UpstreamUnavailable):
        NativeReader().reply(b'{"type":"error","error":{"type":"overloaded_error"}}')
    reader = NativeReader()
    reader.feed(wire(START, TEXT, HELLO))
    with pytest.raises(UpstreamInterrupted):
        reader.finish()
    with pytest.raises(UpstreamBadResponse):
        NativeReader().feed(wire(OVER))
    with pytest.raises(UpstreamBadResponse):
        NativeReader().reply(b'{"content": [3]}')
    reader = NativeReader()
    reader.feed(wire(START, TEXT, HELLO, STOP, END))
    assert reader.finish() == []


def test_junk_is_passed_or_a_fault() -> None:
    """Whatever stands in the place of a member, nothing but an upstream's fault is raised."""
    faults = 0
    for place, event in enumerate(STREAM):
        for mutant in (*mutants(event), *JUNK):
            reader = NativeReader()
            try:
                events = reader.feed(wire(*STREAM[:place], mutant, *STREAM[place + 1 :])) + reader.finish()
                assert [reader.commits(one) for one in events]
            except UpstreamFault:
                faults += 1
    assert faults


@pytest.mark.parametrize(
    ("thinking", "cap", "sent", "how"),
    [
        (None, 10, None, []),
        ({"type": "adaptive"}, 10, {"type": "adaptive"}, []),
        ({"type": "enabled", "budget_tokens": 2000}, 3000, {"type": "enabled", "budget_tokens": 2000}, []),
        ({"type": "enabled", "budget_tokens": 4000}, 3000, {"type": "enabled", "budget_tokens": 2400}, ["changed"]),
        ({"type": "enabled", "budget_tokens": 4000}, 1000, None, ["dropped"]),
    ],
)
def test_a_cap_leaves_room_for_thinking(thinking: Any, cap: int, sent: Any, how: list[str]) -> None:
    """A budget that is not below the cap is lowered or goes; both are reported."""
    body = {"max_tokens": 5000} | ({} if thinking is None else {"thinking": thinking})
    assert [loss.how for loss in cap_native(body, cap)] == how
    assert body["max_tokens"] == cap
    assert body.get("thinking") == sent
