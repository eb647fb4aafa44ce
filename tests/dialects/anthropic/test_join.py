"""A whole message out of the events of its stream."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.anthropic.join import join_message
from tollhouse.dialects.anthropic.passing import split_message

HEAD = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x"}
START: dict[str, Any] = {
    "type": "message_start",
    "message": {**HEAD, "content": [], "stop_reason": None, "usage": {"input_tokens": 5, "output_tokens": 1}},
}
END: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}}
BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=9)),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, st.text(max_size=9)),
    st.just({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}),
    st.just({"type": "redacted_thinking", "data": "x"}),
)


def opened(block: dict[str, Any], *deltas: dict[str, Any], index: int = 0) -> list[dict[str, Any]]:
    """The events of a block."""
    begun = {"type": "content_block_start", "index": index, "content_block": block}
    said = [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
    return [begun, *said, {"type": "content_block_stop", "index": index}]


@given(st.lists(BLOCKS, max_size=4))
def test_what_is_split_comes_together_again(blocks: list[dict[str, Any]]) -> None:
    """The events of a whole message make the same message."""
    message = {**HEAD, "content": blocks, "stop_reason": "end_turn", "stop_sequence": None, "usage": {"x": 1}}
    assert join_message(split_message(copy.deepcopy(message))) == message


def test_blocks_come_together_from_their_pieces() -> None:
    """Text, thinking with its signature, citations and arguments are joined; usage is that of start and end."""
    events = [
        START,
        {"type": "ping"},
        *opened(
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "a"},
            {"type": "thinking_delta", "thinking": "b"},
            {"type": "signature_delta", "signature": "s"},
        ),
        *opened(
            {"type": "text", "text": ""},
            {"type": "text_delta", "text": "c"},
            {"type": "citations_delta", "citation": {"n": 1}},
            index=1,
        ),
        *opened(
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
            {"type": "input_json_delta", "partial_json": ""},
            {"type": "input_json_delta", "partial_json": '{"a":'},
            {"type": "input_json_delta", "partial_json": " 1}"},
            index=2,
        ),
        END,
        {"type": "message_stop"},
    ]
    assert join_message(events) == {
        **HEAD,
        "content": [
            {"type": "thinking", "thinking": "ab", "signature": "s"},
            {"type": "text", "text": "c", "citations": [{"n": 1}]},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 5, "output_tokens": 9},
    }


def test_arguments_that_were_cut_off_are_none() -> None:
    """A call that reached the cap has no arguments in a whole message."""
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    events = [START, *opened(block, {"type": "input_json_delta", "partial_json": '{"a":'}), END]
    message = join_message(events)
    assert message is not None
    assert message["content"][0]["input"] == {}


@pytest.mark.parametrize(
    "events",
    [
        [],
        [END],
        [START, *opened({"type": "text", "text": ""}, {"type": "odd_delta"})],
        [START, {"type": "content_block_delta", "index": 3, "delta": {"type": "text_delta", "text": "x"}}],
        [START, {"type": "content_block_start", "index": [], "content_block": {}}],
        [START, {"type": "content_block_delta", "index": 0, "delta": 5}],
    ],
)
def test_what_is_not_known_makes_no_message(events: list[dict[str, Any]]) -> None:
    """A stream that cannot be joined for certain is not joined."""
    assert join_message(events) is None
