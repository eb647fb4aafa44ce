"""The OpenAI dialect from hosts: answers read in any form that still means something."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tollhouse.dialects.whole_body import MAX_WHOLE_BYTES
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamTooLarge,
    UpstreamUnavailable,
)
from tollhouse.providers.openai import ChatReader


def event(*choices: dict[str, Any], **rest: Any) -> bytes:
    """One event of a host's stream."""
    return b"data: " + json.dumps({"choices": list(choices), **rest}).encode() + b"\n\n"


def say(text: str | None = None, reason: str | None = None, index: int = 0) -> dict[str, Any]:
    """A choice with a piece of text."""
    return {"index": index, "delta": {} if text is None else {"content": text}, "finish_reason": reason}


DONE = b"data: [DONE]\n\n"


def read(raw: bytes, size: int | None = None) -> tuple[list[dict[str, Any]], ChatReader]:
    """All chunks of a stream that arrives in reads of this size."""
    reader = ChatReader()
    step = size or max(1, len(raw))
    chunks = [chunk for at in range(0, len(raw), step) for chunk in reader.feed(raw[at : at + step])]
    return chunks + reader.finish(), reader


def fails(raw: bytes) -> UpstreamFault:
    """The fault that a stream ends in: the same whatever the size of its reads."""
    faults = []
    for size in (None, 1, 3):
        with pytest.raises(UpstreamFault) as caught:
            read(raw, size)
        faults.append(caught.value)
    assert len({(type(fault), fault.message) for fault in faults}) == 1
    return faults[0]


def test_the_end_marker_ends_it() -> None:
    """After [DONE] the decoder is done, takes no more, and finish adds nothing."""
    reader = ChatReader()
    reader.feed(event(say("x", "stop")))
    assert not reader.done
    assert reader.feed(DONE + event(say("more"))) == []
    assert reader.done
    assert reader.feed(event(say("more"))) == []
    assert reader.finish() == []


def test_a_finish_reason_is_an_end_too() -> None:
    """A body that ends after every choice has a finish reason is whole without [DONE]."""
    chunks, reader = read(event(say("x")) + event(say(None, "stop")))
    assert len(chunks) == 2
    assert reader.done
    assert reader.finish() == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b": ping\n\n",
        event(say("x")),
        event(say("x", "stop"), say("y", None, 1)),
        event(say("x")) + b'data: {"choices":[{"ind',
        event(say("x")) + b"data: [DO",
        event(usage={"prompt_tokens": 1}),
    ],
)
def test_a_body_that_just_ends_is_broken(raw: bytes) -> None:
    """Without a finish reason for each choice and without [DONE], the end of the body is an interruption."""
    assert type(fails(raw)) is UpstreamInterrupted


def test_a_cut_event_after_the_end_is_ignored() -> None:
    """A usage event that was cut off does not spoil an answer that is complete."""
    chunks, reader = read(event(say("x", "stop")) + b'data: {"choices":[],"usage":{"prompt')
    assert len(chunks) == 1
    assert reader.usage is None


def test_an_end_marker_stands_in_for_finish_reasons() -> None:
    """[DONE] without finish reasons gives each open choice one, so every answer has its terminal."""
    chunks, _ = read(event(say("x"), say("y", "length", 1)) + DONE)
    assert chunks[-1] == {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


@pytest.mark.parametrize(
    "raw",
    [
        DONE,
        event(usage={"prompt_tokens": 1}) + DONE,
        b"<html>no</html>",
        b"\n\n  <html>",
        b"upstream connect error",
        b"[1]",
        event(say("x")) + b"data: {oops}\n\n",
        event(say("x")) + b"data: NaN\n\n",
        event(say("x")) + b"data: 7\n\n",
        event(say("x")) + b"data: [1]\n\n",
        b'data: {"choices":{"a":1}}\n\n',
        b'data: {"choices":[7]}\n\n',
        b'data: {"choices":[{"delta":7}]}\n\n',
        b'data: {"choices":[{"delta":{"content":7}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\xff"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\ud800"}}]}\n\n',
        b'data: {"choices":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n",
        b"{oops",
        b'{"choices":[]}',
        b'{"id":"cut off","choices":[{"mess',
    ],
)
def test_what_is_no_answer_is_a_bad_response(raw: bytes) -> None:
    """Garbage, web pages, broken UTF-8, bottomless nesting and empty answers are typed, whatever the cut of reads."""
    assert type(fails(raw)) is UpstreamBadResponse


@pytest.mark.parametrize(
    "keep_alive",
    [
        b"data: \n\n",
        b'data: ""\n\n',
        b"data: null\n\n",
        b"data: {}\n\n",
        b": x\n\n",
        b"event: ping\ndata: {}\n\n",
        b"\n\n",
    ],
)
def test_keep_alives_are_passed_over(keep_alive: bytes) -> None:
    """What hosts send to keep a connection open gives no chunk and spoils nothing."""
    chunks, _ = read(keep_alive + event(say("x")) + keep_alive + event(say(None, "stop")) + keep_alive + DONE)
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"content": "x"}, {}]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (b'data: {"error":{"message":"m","code":429}}\n\n', UpstreamRateLimited),
        (b'event: error\ndata: {"message":"m","code":429}\n\n', UpstreamRateLimited),
        (b'data: {"object":"error","message":"m","code":429}\n\n', UpstreamRateLimited),
        (b'data: {"error":"it broke","choices":[]}\n\n', UpstreamUnavailable),
    ],
)
@pytest.mark.parametrize("size", [None, 1, 40])
def test_an_error_event_is_its_fault(error: bytes, kind: type[UpstreamFault], size: int | None) -> None:
    """An error in the stream raises its fault after all the text before it, never a normal end."""
    raw = event(say("a")) + error + DONE
    reader = ChatReader()
    chunks: list[dict[str, Any]] = []
    step = size or len(raw)
    with pytest.raises(kind):  # noqa: PT012 (the reads before it are the point)
        for at in range(0, len(raw), step):
            chunks += reader.feed(raw[at : at + step])
        reader.finish()
    assert [chunk["choices"][0]["delta"]["content"] for chunk in chunks] == ["a"]
    with pytest.raises(kind):
        reader.feed(DONE)


def test_usage_comes_from_anywhere_and_never_shrinks() -> None:
    """Usage beside text, in a choice, or alone is merged: what is missing or null later does not undo what is known."""
    raw = event(say("x"), usage={"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0}})
    raw += event(say("y"), usage={"prompt_tokens": None, "completion_tokens": 1, "prompt_tokens_details": None})
    raw += event(say(None, "stop") | {"usage": {"completion_tokens": 2}})
    raw += event(usage={"total_tokens": 11, "prompt_tokens_details": {"cached_tokens": None, "audio_tokens": 1}})
    raw += b'data: {"choices":[],"usage":"nonsense"}\n\n' + event(usage=None) + DONE
    chunks, reader = read(raw)
    assert reader.usage == {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1},
    }
    assert not any("usage" in chunk or "usage" in chunk["choices"][0] for chunk in chunks)


def test_chunks_are_complete() -> None:
    """Every choice has an index, a delta and a finish reason, however little of them a host sent."""
    given = b'[{"delta":null,"finish_reason":""},{"message":{"content":"m"}},{"index":-1},{"index":true}]'
    chunks, _ = read(b'data: {"choices":' + given + b"}\n\n" + DONE)
    assert chunks[0]["choices"] == [
        {"index": 0, "delta": {}, "finish_reason": None},
        {"index": 1, "delta": {"content": "m"}, "finish_reason": None},
        {"index": 2, "delta": {}, "finish_reason": None},
        {"index": 3, "delta": {}, "finish_reason": None},
    ]


def test_an_event_over_the_cap() -> None:
    """One endless event is refused once it is over the cap, not gathered."""
    reader = ChatReader()
    with pytest.raises(UpstreamTooLarge):  # noqa: PT012 (any of the reads may be the one)
        for _ in range(100):
            reader.feed(b"data: " + b"x" * 64 * 1024)
    with pytest.raises(UpstreamTooLarge):
        reader.finish()


def test_a_whole_answer_over_the_cap() -> None:
    """A JSON body in the place of a stream is gathered up to a limit."""
    reader = ChatReader()
    reader.feed(b"{")
    with pytest.raises(UpstreamTooLarge):  # noqa: PT012 (as above)
        for _ in range(MAX_WHOLE_BYTES // 2**20 + 1):
            reader.feed(b" " * 2**20)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"<html>",
        b"[]",
        b"null",
        b'{"choices":null}',
        b'{"choices":[{"message":{"content":"x"}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        '{"choices":[{"message":{}}]}'.encode("utf-16"),
        b'{"a":' * 5000,
        b'{"choices":[{"message":{}}],"x":NaN}',
    ],
)
def test_a_whole_answer_that_is_none(body: bytes) -> None:
    """A body that is not a chat completion is a bad response and is never echoed."""
    with pytest.raises(UpstreamBadResponse) as caught:
        ChatReader().reply(body)
    assert "garbage" not in caught.value.message


def test_an_error_with_status_200_is_its_fault() -> None:
    """An error object in the place of a whole answer raises what it stands for, in either form hosts have."""
    for body in (b'{"error":{"message":"m","code":429}}', b'{"object":"error","message":"m","code":429}'):
        with pytest.raises(UpstreamRateLimited):
            ChatReader().reply(body)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    """A body or a stream that begins with a byte order mark is read all the same."""
    body = b'\xef\xbb\xbf{"choices":[{"message":{"content":"x"}}]}'
    assert ChatReader().reply(body)["choices"][0]["message"]["content"] == "x"
    assert read(body)[0][0]["choices"][0]["delta"]["content"] == "x"
    assert read(b"\xef\xbb\xbf" + event(say("x", "stop")), 1)[0][0]["choices"][0]["delta"] == {"content": "x"}


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_no_bytes_crash_the_reader(pieces: list[bytes]) -> None:
    """Any bytes at all, as a stream or as a whole, give chunks or a typed fault."""
    reader = ChatReader()
    try:
        for piece in [b"data: ", *pieces]:
            reader.feed(piece)
        reader.finish()
    except UpstreamFault:
        pass
    with pytest.raises(UpstreamFault):
        ChatReader().reply(b"".join(pieces))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "index", "content", "tool_calls", "finish_reason", "usage", "error"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(["choices", "usage", "error", "object"]), JSON, max_size=3), max_size=4)
)
def test_no_json_crashes_the_reader(values: list[dict[str, Any]]) -> None:
    """Objects of any shape under the members that matter give chunks of the promised form, or a typed fault."""
    raw = b"".join([b"data: " + json.dumps(value).encode() + b"\n\n" for value in values])
    try:
        chunks, _ = read(raw + DONE)
    except UpstreamFault:
        return
    for chunk in chunks:
        assert all(type(choice["index"]) is int and type(choice["delta"]) is dict for choice in chunk["choices"])
