"""What answers say of money."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.openai import ChatStream
from tollhouse.dialects.usage import priced, usd_json
from tollhouse.gateway.annotate import (
    amounts,
    annotate_events,
    annotate_reply,
    cost_header,
    notes,
)
from tollhouse.types.money import MAX_NUSD

CREDIT = 10**7
"""A hundredth of a dollar, in nano-USD."""


def text(value: Any) -> str:
    """The value as JSON text."""
    return msgspec.json.encode(value).decode()


@pytest.mark.parametrize(
    ("amount_nusd", "expected"),
    [(0, "0.00"), (1, "0.000000001"), (12_345, "0.000012345"), (5 * 10**9, "5.00"), (-1_500_000_000, "-1.50")],
)
def test_a_cost_is_written_out(amount_nusd: int, expected: str) -> None:
    """A cost is a plain decimal JSON number, never one with an exponent, and the header has the same text."""
    assert text({"cost": usd_json(amount_nusd)}) == f'{{"cost":{expected}}}'
    assert cost_header(amount_nusd) == f"x-tollhouse-cost: {expected}\r\n"


@given(st.integers(-MAX_NUSD, MAX_NUSD))
def test_a_cost_is_exact(amount_nusd: int) -> None:
    """What a reader of exact decimals gets is the amount to the last nano-USD."""
    assert json.loads(text(usd_json(amount_nusd)), parse_float=Decimal) * 10**9 == amount_nusd


@pytest.mark.parametrize(
    ("available", "remaining", "warning"),
    [
        (None, "null", "false"),
        (10 * CREDIT, "10.00", "false"),
        (10 * CREDIT - 1, "9.9999999", "true"),
        (0, "0.00", "true"),
        (-CREDIT, "-1.00", "true"),
    ],
)
def test_the_notes(available: int | None, remaining: str, warning: str) -> None:
    """Credits are null where nothing bounds the caller; the warning begins below the tenth credit, exactly."""
    assert text(notes(available)) == f'{{"_remaining_credits":{remaining},"_balance_warning":{warning}}}'


def test_the_operator_chooses_what_a_credit_is() -> None:
    """Credits to the dollar and the warning's threshold are settings."""
    assert text(notes(10**9, 20, 21)) == '{"_remaining_credits":20.00,"_balance_warning":true}'
    assert text(notes(10**9, 20, 20)) == '{"_remaining_credits":20.00,"_balance_warning":false}'


def test_amounts_stand_twice() -> None:
    """A page shows an amount as an exact text of dollars and as a number of credits; what is unbounded is null."""
    assert text(amounts("held", 12_345, 100)) == '{"held_usd":"0.000012345","held_credits":0.0012345}'
    assert amounts("held", None, 100) == {"held_usd": None, "held_credits": None}


def test_a_reply_is_annotated() -> None:
    """A JSON answer carries its cost in usage, and the caller's credits at the top."""
    reply: dict[str, Any] = {"object": "chat.completion", "usage": {"prompt_tokens": 1, "cost": 7}}
    annotate_reply(reply, 12_345, notes(CREDIT))
    assert text(reply) == (
        '{"object":"chat.completion","usage":{"prompt_tokens":1,"cost":0.000012345},'
        '"_remaining_credits":1.00,"_balance_warning":true}'
    )


@pytest.mark.parametrize("usage", [{}, {"usage": None}])
def test_a_reply_without_usage_gets_none(usage: dict[str, None]) -> None:
    """An answer that shows no usage is not given one for the cost's sake."""
    reply: dict[str, Any] = {"data": [], **usage}
    annotate_reply(reply, 1, notes(None))
    assert reply == {"data": [], **usage, "_remaining_credits": None, "_balance_warning": False}


def test_what_a_host_charged_is_not_shown() -> None:
    """What the upstream says of its own charge to the operator never reaches a client."""
    theirs = {"cost": 0.1, "cost_details": {"upstream_inference_cost": 0.1}, "cost_in_usd_ticks": 5, "is_byok": False}
    assert text(priced({"total_tokens": 3, **theirs}, 2)) == '{"total_tokens":3,"cost":0.000000002}'


def stream(chunks: list[dict[str, Any]], *, include_usage: bool, usage: dict[str, Any] | None = None) -> list[Any]:
    """The events that end a stream, with the caller's notes."""
    writer = ChatStream("chatcmpl-1", 1, "m", include_usage)
    writer.encode(chunks)
    said = writer.end(usage, notes(12 * CREDIT))
    return [part.removeprefix(b"data: ") for part in said.split(b"\n\n") if part]


def delta(index: int = 0, **said: Any) -> dict[str, Any]:
    """A chunk of one choice."""
    return {"choices": [{"index": index, "delta": said, "finish_reason": None}]}


def test_a_stream_is_annotated_on_its_last_chunk_with_a_choice() -> None:
    """The notes ride on the chunk with the finish reason, which parsers of choices[0] read; no chunk is added."""
    ended = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    lines = stream([delta(content="hi"), ended], include_usage=False)
    assert len(lines) == 2
    last = json.loads(lines[0])
    assert last["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    assert (last["_remaining_credits"], last["_balance_warning"]) == (12.0, False)
    assert b'"_remaining_credits":12.00,"_balance_warning":false' in lines[0]
    assert lines[1] == b"[DONE]"


def test_of_several_choices_the_last_carries_the_notes() -> None:
    """With n choices the notes come once, on the last chunk that has a choice."""
    lines = stream([delta(content="a"), delta(1, content="b")], include_usage=False)
    carried = ["_remaining_credits" in json.loads(line) for line in lines[:-1]]
    assert carried == [False, True]


def test_a_stream_shows_its_cost_where_usage_was_asked_for() -> None:
    """The usage chunk, and only that, carries the cost; it comes after the notes and keeps its empty choices."""
    usage = priced({"prompt_tokens": 1, "completion_tokens": 2}, 12_345)
    lines = stream([delta(content="hi")], include_usage=True, usage=usage)
    assert len(lines) == 3
    assert "_remaining_credits" in json.loads(lines[0])
    shown = json.loads(lines[1])
    assert shown["choices"] == []
    assert "_remaining_credits" not in shown
    assert b'"cost":0.000012345' in lines[1]


def test_an_empty_stream_is_annotated() -> None:
    """A stream of which nothing came still ends with one chunk of choice 0 that carries the notes."""
    lines = stream([], include_usage=False)
    assert [("_balance_warning" in line.decode()) for line in lines] == [False, True, False]


def test_the_events_of_a_completion_are_annotated() -> None:
    """Of the last events of a legacy completion the one with a choice takes the notes, the one with usage the cost."""
    events: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "text": "", "finish_reason": "stop"}], "usage": None},
        {"choices": [], "usage": {"total_tokens": 3}},
    ]
    annotate_events(events, 5, notes(None))
    assert events[0]["_remaining_credits"] is None
    assert text(events[1]) == '{"choices":[],"usage":{"total_tokens":3,"cost":0.000000005}}'


def test_a_response_is_annotated_inside() -> None:
    """A stream of the Responses API ends with the whole response: cost and notes are where JSON would have them."""
    events: list[dict[str, Any]] = [
        {"type": "response.completed", "sequence_number": 9, "response": {"id": "r", "usage": {"total_tokens": 3}}}
    ]
    annotate_events(events, 5, notes(CREDIT))
    assert text(events[0]["response"]["usage"]) == '{"total_tokens":3,"cost":0.000000005}'
    assert events[0]["response"]["_balance_warning"] is True
    assert "_balance_warning" not in events[0]


def test_events_without_a_place_are_left_alone() -> None:
    """A stream of sound in events gets its cost in usage, and no member that its readers do not know."""
    events: list[dict[str, Any]] = [{"type": "speech.audio.done", "usage": {"total_tokens": 3}}]
    annotate_events(events, 5, notes(CREDIT))
    assert text(events) == '[{"type":"speech.audio.done","usage":{"total_tokens":3,"cost":0.000000005}}]'
