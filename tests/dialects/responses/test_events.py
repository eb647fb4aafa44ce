"""Events as chunks, one by one: hosts that leave pieces out, mix items, or change their ids."""

from typing import Any

import pytest

from tollhouse.dialects.responses.events import Events, NativeEvents
from tollhouse.errors import (
    UpstreamAuth,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)


def deltas(*events: tuple[str, dict[str, Any]], legacy: bool = False) -> list[dict[str, Any]]:
    """The deltas that these events become."""
    reading = Events(legacy=legacy)
    chunks = [reading.take(dict(event), f"response.{name}") for name, event in events]
    return [chunk["choices"][0]["delta"] for chunk in chunks if chunk is not None]


def added(place: int, kind: str, **members: Any) -> tuple[str, dict[str, Any]]:
    """An item is announced."""
    return "output_item.added", {"output_index": place, "item": {"type": kind, **members}}


def done(place: int, kind: str, **members: Any) -> tuple[str, dict[str, Any]]:
    """An item is whole."""
    return "output_item.done", {"output_index": place, "item": {"type": kind, **members}}


def text(place: int, delta: str, **members: Any) -> tuple[str, dict[str, Any]]:
    """A piece of text."""
    return "output_text.delta", {"output_index": place, "delta": delta, **members}


def said(whole: str) -> dict[str, Any]:
    """The content of a message item."""
    return {"content": [{"type": "output_text", "text": whole}]}


def test_pieces_that_a_host_left_out_are_sent_at_the_end_of_the_item() -> None:
    """The whole item makes up for text, arguments and refusals that no delta told."""
    assert deltas(text(0, "He"), done(0, "message", **said("Hello"))) == [{"content": "He"}, {"content": "llo"}]
    assert deltas(done(0, "message", **said("Hello"))) == [{"content": "Hello"}]
    refused = {"content": [{"type": "refusal", "refusal": "No."}]}
    assert deltas(done(0, "message", **refused)) == [{"refusal": "No."}]


def test_a_call_without_pieces_is_told_whole() -> None:
    """A function that was never announced, and one whose arguments came at the end alone."""
    whole = {"call_id": "c1", "name": "f", "arguments": '{"a":1}'}
    function = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert deltas(done(0, "function_call", **whole)) == [{"tool_calls": [function]}]
    told = deltas(added(0, "function_call", call_id="c1", name="f"), done(0, "function_call", **whole))
    assert told[1] == {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}


def test_pieces_of_an_unnamed_call_wait_for_its_name() -> None:
    """Arguments of a function that nobody has named yet come with it."""
    piece = ("function_call_arguments.delta", {"output_index": 0, "delta": '{"a'})
    whole = done(0, "function_call", call_id="c1", name="f", arguments='{"a":1}')
    assert deltas(added(0, "function_call"), piece, whole) == deltas(whole)


def test_items_are_told_apart_by_their_place_and_not_by_their_id() -> None:
    """A host that makes up an id for every event is understood."""
    told = deltas(
        added(0, "function_call", call_id="c1", name="f", id="x1"),
        added(1, "function_call", call_id="c2", name="g", id="x2"),
        ("function_call_arguments.delta", {"output_index": 1, "item_id": "x3", "delta": "{}"}),
        ("function_call_arguments.delta", {"output_index": 0, "item_id": "x4", "delta": "[]"}),
    )
    assert [(one["tool_calls"][0]["index"], one["tool_calls"][0]["function"]["arguments"]) for one in told] == [
        (0, ""),
        (1, ""),
        (1, "{}"),
        (0, "[]"),
    ]


def test_items_without_a_place_are_told_apart_by_their_id() -> None:
    """And without either, an event is about the item before it."""
    told = deltas(
        ("output_item.added", {"item": {"type": "function_call", "id": "a", "call_id": "c1", "name": "f"}}),
        ("output_item.added", {"item": {"type": "function_call", "id": "b", "call_id": "c2", "name": "g"}}),
        ("function_call_arguments.delta", {"item_id": "a", "delta": "1"}),
        ("function_call_arguments.delta", {"delta": "2"}),
    )
    assert [one["tool_calls"][0]["index"] for one in told] == [0, 1, 0, 0]


def test_the_end_tells_what_no_event_did() -> None:
    """Items that are in the last response alone are sent with it, those that were told are not sent twice."""
    response = {"output": [{"type": "message", **said("Hi")}, {"type": "message", **said("again")}]}
    assert deltas(text(0, "Hi"), ("completed", {"response": response})) == [{"content": "Hi"}, {"content": "\n\nagain"}]
    by_id = {"output": [{"type": "message", "id": "m", **said("Hi")}]}
    piece = ("output_text.delta", {"item_id": "other", "delta": "Hi"})
    assert deltas(piece, ("completed", {"response": by_id})) == [{"content": "Hi"}, {}]


def test_thoughts_are_set_apart_and_told_once() -> None:
    """Parts and items of reasoning begin paragraphs; of summary and text, what came first counts."""
    told = deltas(
        ("reasoning_summary_text.delta", {"output_index": 0, "summary_index": 0, "delta": "a"}),
        ("reasoning_summary_text.delta", {"output_index": 0, "summary_index": 1, "delta": "b"}),
        ("reasoning_text.delta", {"output_index": 0, "content_index": 0, "delta": "not told"}),
        ("reasoning.delta", {"output_index": 1, "content_index": 0, "delta": "c"}),
        done(2, "reasoning", summary=[{"text": "d"}, {"text": "e"}]),
    )
    assert "".join(one.get("reasoning_content", "") for one in told) == "a\n\nb\n\nc\n\nd\n\ne"


def test_citations_count_from_the_start_of_the_message() -> None:
    """Those of a second message are shifted by the first; told by an event or by the whole item, they are the same."""
    cite = {"type": "url_citation", "start_index": 0, "end_index": 2, "url": "u"}
    end: tuple[str, dict[str, Any]] = ("completed", {"response": {}})
    told_by_event = deltas(
        text(0, "ab"), text(1, "cd"), ("output_text.annotation.added", {"output_index": 1, "annotation": cite}),
        done(1, "message", **said("cd")), end,
    )  # fmt: skip
    whole = {"content": [{"type": "output_text", "text": "cd", "annotations": [cite]}]}
    told_by_item = deltas(text(0, "ab"), text(1, "cd"), done(1, "message", **whole), end)
    assert told_by_event == told_by_item
    assert told_by_item[-1]["annotations"][0]["url_citation"]["start_index"] == 4


def test_the_older_form_of_a_call_is_told_once() -> None:
    """A client of ``functions`` gets the first call, and no other."""
    told = deltas(
        added(0, "function_call", call_id="c1", name="f"),
        ("function_call_arguments.delta", {"output_index": 0, "delta": "{}"}),
        added(1, "function_call", call_id="c2", name="g"),
        ("function_call_arguments.delta", {"output_index": 1, "delta": "{}"}),
        legacy=True,
    )
    assert told == [{"function_call": {"name": "f", "arguments": ""}}, {"function_call": {"arguments": "{}"}}]


@pytest.mark.parametrize("reading", [Events(), NativeEvents()], ids=["inner", "native"])
@pytest.mark.parametrize(
    ("name", "event", "kind"),
    [
        ("error", {"code": "rate_limit_exceeded", "message": "m"}, UpstreamRateLimited),
        ("error", {"error": {"type": "invalid_request_error", "message": "m"}}, UpstreamRejected),
        ("error", {"error": {"code": "invalid_api_key", "message": "m"}}, UpstreamAuth),
        ("error", {"code": None, "message": None}, UpstreamUnavailable),
        ("error", {"error": "boom"}, UpstreamUnavailable),
        ("", {"error": {"code": "server_error"}}, UpstreamUnavailable),
        ("response.failed", {"response": {"error": {"code": "invalid_prompt"}}}, UpstreamRejected),
        ("response.failed", {"response": {"error": {"code": "vector_store_timeout"}}}, UpstreamTimeout),
        ("response.failed", {}, UpstreamUnavailable),
        ("response.completed", {"response": {"status": "failed"}}, UpstreamUnavailable),
        ("response.cancelled", {"response": {}}, UpstreamInterrupted),
    ],
)
def test_failures_of_every_form(
    reading: Events | NativeEvents, name: str, event: dict[str, Any], kind: type[UpstreamFault]
) -> None:
    """Error events, flat or nested, and responses that failed, are typed faults."""
    with pytest.raises(kind):
        reading.take(event, name)


def test_a_response_that_failed_still_says_what_it_took() -> None:
    """Usage of a failed response is kept: the host may bill it."""
    reading = Events()
    failed = {"error": {"code": "server_error"}, "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}
    with pytest.raises(UpstreamUnavailable):
        reading.take({"response": failed}, "response.failed")
    assert reading.usage == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_events_that_nobody_knows_say_nothing() -> None:
    """New events and new items pass; what a tool of the host's own did is kept for the end."""
    item = {"type": "brand_new_call", "id": "b1"}
    assert deltas(("brand_new.delta", {"delta": "x"}), ("output_item.done", {"output_index": 0, "item": item})) == []
    told = deltas(("output_item.done", {"output_index": 0, "item": item}), ("completed", {"response": {}}))
    assert told == [{"content_parts": [item]}]


def test_native_events_are_untouched() -> None:
    """Every event is passed on as it is, and the last one gives the usage."""
    reading = NativeEvents()
    event: dict[str, Any] = {"type": "response.output_text.delta", "delta": "x", "sequence_number": 4}
    assert reading.take(event, event["type"]) is event
    assert not reading.ended
    last: dict[str, Any] = {
        "type": "response.completed",
        "response": {"usage": {"input_tokens": 1, "output_tokens": 2}},
    }
    assert reading.take(last, last["type"]) is last
    assert reading.ended
    assert reading.usage == {"prompt_tokens": 1, "completion_tokens": 2}
