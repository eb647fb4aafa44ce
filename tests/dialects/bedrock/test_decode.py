"""Answers of the Converse API in the inner form: every kind of block, whole and streamed, and hostile ones."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dialects.bedrock.frames import event, message
from tollhouse.dialects.bedrock.decode import ConverseReader
from tollhouse.dialects.bedrock.words import FINISH_OF_STOP
from tollhouse.errors import (
    UpstreamBadResponse,
    UpstreamFault,
    UpstreamInterrupted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)

STOP = event("messageStop", {"stopReason": "end_turn"})
USAGE = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
METADATA = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}})


def reader(*, claude: bool = True, custom: tuple[str, ...] = ()) -> ConverseReader:
    """A decoder for one answer."""
    return ConverseReader(claude=claude, custom=frozenset(custom))


def delta(body: dict[str, Any], index: int = 0) -> bytes:
    """A piece of a block."""
    return event("contentBlockDelta", {"contentBlockIndex": index, "delta": body})


def start(body: dict[str, Any], index: int = 0) -> bytes:
    """The beginning of a block."""
    return event("contentBlockStart", {"contentBlockIndex": index, "start": body})


def stop(index: int = 0) -> bytes:
    """The end of a block."""
    return event("contentBlockStop", {"contentBlockIndex": index})


def said(*events: bytes, **options: Any) -> list[dict[str, Any]]:
    """The deltas of a whole stream of these events and the usual end."""
    decoder = reader(**options)
    chunks = decoder.feed(b"".join([*events, STOP, METADATA])) + decoder.finish()
    assert decoder.done
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    return [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]


def whole(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The reply that these blocks make."""
    body = {"output": {"message": {"role": "assistant", "content": list(blocks)}}, "stopReason": "end_turn", **more}
    return reader(custom=("shell",)).reply(json.dumps(body).encode())


@pytest.mark.parametrize(("word", "reason"), [*FINISH_OF_STOP.items(), ("something_new", "stop")])
def test_every_stop_reason_has_a_finish_reason(word: str, reason: str) -> None:
    """The host's word becomes one of OpenAI's, and is told beside it."""
    if reason == "tool_calls":
        return
    choice = whole({"text": "a"}, stopReason=word)["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (reason, word)


def test_a_stop_sequence_is_told() -> None:
    """Claude says which string ended the answer, where it was asked."""
    fields = {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}}
    assert whole({"text": "a"}, **fields)["choices"][0]["stop_sequence"] == "END"
    decoder = reader()
    chunks = decoder.feed(delta({"text": "a"}) + event("messageStop", fields) + METADATA)
    assert chunks[-1]["choices"][0]["stop_sequence"] == "END"


def test_texts_are_joined_and_thoughts_are_apart() -> None:
    """Blocks of one kind become one text, and each thought keeps what proves it."""
    message_of = whole(
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "S"}}},
        {"text": "a"},
        {"reasoningContent": {"redactedContent": "RXRrRUM="}},
        {"text": "b"},
    )["choices"][0]["message"]
    assert (message_of["content"], message_of["reasoning_content"]) == ("ab", "hm")
    assert [(one["type"], one["index"]) for one in message_of["reasoning_details"]] == [
        ("reasoning.text", 0),
        ("reasoning.encrypted", 2),
    ]
    assert message_of["reasoning_details"][1]["data"] == "EtkEC"


def test_thoughts_of_other_models_are_not_claudes() -> None:
    """What another model thought is not marked as something that Anthropic could verify."""
    (first, second) = said(
        delta({"reasoningContent": {"text": "[REDACTED]"}}),
        delta({"reasoningContent": {"redactedContent": "RXRrRUM="}}, 1),
        claude=False,
    )
    assert first["reasoning_details"][0]["format"] == "unknown"
    assert second["reasoning_details"][0]["data"] == "RXRrRUM="


def test_data_that_are_no_text_stay_as_they_came() -> None:
    """Redacted bytes that are no ASCII text, or no base64, are passed on untouched."""
    for data in ("/w==", "no base64!"):
        (one,) = said(delta({"reasoningContent": {"redactedContent": data}}))
        assert one["reasoning_details"][0]["data"] == data


def test_what_the_host_runs_itself_is_no_call() -> None:
    """A tool of the host's and its result are not told as calls, whole or streamed, and those of the client's count."""
    hosted = {"toolUse": {"toolUseId": "a", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
    result = {"toolResult": {"toolUseId": "a", "content": [], "status": "success"}}
    own = {"toolUse": {"toolUseId": "b", "name": "f", "input": {"x": 1.5}}}
    calls = whole(hosted, result, own)["choices"][0]["message"]["tool_calls"]
    assert calls == [{"id": "b", "type": "function", "function": {"name": "f", "arguments": '{"x":1.5}'}}]
    deltas = said(
        start({"toolUse": {"toolUseId": "a", "name": "nova_grounding", "type": "server_tool_use"}}),
        delta({"toolUse": {"input": "{}"}}),
        stop(),
        start({"toolResult": {"toolUseId": "a"}}, 1),
        delta({"toolResult": [{"text": "x"}]}, 1),
        stop(1),
        start({"toolUse": {"toolUseId": "b", "name": "f"}}, 2),
    )
    assert [call["index"] for one in deltas for call in one["tool_calls"]] == [0]


def test_a_custom_tool_gets_its_text() -> None:
    """The input of a custom tool is told when it is whole, also where its block has no end."""
    expected = {"type": "custom", "custom": {"name": "shell", "input": "ls"}}
    use = {"toolUseId": "a", "name": "shell"}
    (call,) = whole({"toolUse": {**use, "input": {"input": "ls"}}})["choices"][0]["message"]["tool_calls"]
    assert call == {"id": "a", **expected}
    for end in ([stop()], []):
        pieces = [delta({"toolUse": {"input": '{"input":'}}), delta({"toolUse": {"input": '"ls"}'}})]
        (one,) = said(start({"toolUse": use}), *pieces, *end, custom=("shell",))
        assert one["tool_calls"] == [{"index": 0, "id": "a", **expected}]


def test_images_are_told_whole() -> None:
    """An image that came in pieces is one data URL."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
    block = {"image": {"format": "png", "source": {"bytes": "iVBO"}}}
    assert whole(block)["choices"][0]["message"]["images"] == [image]
    pieces = [delta({"image": {"source": {"bytes": part}}}) for part in ("iV", "BO")]
    assert said(start({"image": {"format": "png"}}), *pieces, stop()) == [{"images": [image]}]


def test_citations_are_of_their_block() -> None:
    """A citation is an annotation of the text of its block; one of a document has the document for its address."""
    web = {"title": "T", "location": {"web": {"url": "https://a.example", "domain": "a.example"}}}
    page = {"source": "Doc 1", "location": {"documentPage": {"documentIndex": 0, "start": 1, "end": 2}}}
    notes = [
        {"url": "https://a.example", "title": "T", "start_index": 3, "end_index": 6},
        {"url": "Doc 1", "title": "", "start_index": 3, "end_index": 6},
    ]
    expected = [{"type": "url_citation", "url_citation": note} for note in notes]
    cited = {"citationsContent": {"content": [{"text": "def"}], "citations": [web, page]}}
    answer = whole({"text": "abc"}, cited)["choices"][0]["message"]
    assert (answer["content"], answer["annotations"]) == ("abcdef", expected)
    pieces = [delta({"text": "def"}, 1), delta({"citation": web}, 1), delta({"citation": page}, 1), stop(1)]
    deltas = said(delta({"text": "abc"}), start({}, 1), *pieces)
    assert [one["annotations"] for one in deltas if "annotations" in one] == [expected]


@pytest.mark.parametrize("events", [[METADATA, STOP], [STOP, METADATA], [STOP]])
def test_the_end_is_known_in_any_order(events: list[bytes]) -> None:
    """The reason ends an answer, with or without the usage, whichever comes first."""
    decoder = reader()
    chunks = decoder.feed(b"".join([delta({"text": "a"}), *events])) + decoder.finish()
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert (decoder.usage is not None) == (METADATA in events)
    assert decoder.feed(b"what follows is not read") == []


def test_an_answer_without_a_reason_was_cut() -> None:
    """A body that ends before ``messageStop`` is no answer, whatever else it said."""
    decoder = reader()
    decoder.feed(delta({"text": "a"}) + METADATA)
    with pytest.raises(UpstreamInterrupted):
        decoder.finish()
    assert decoder.usage is not None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", UpstreamRateLimited),
        ("serviceUnavailableException", UpstreamUnavailable),
        ("modelStreamErrorException", UpstreamBadResponse),
        ("internalServerException", UpstreamBadResponse),
        ("validationException", UpstreamRejected),
        ("somethingElse", UpstreamUnavailable),
    ],
)
def test_an_exception_ends_the_stream(name: str, kind: type[UpstreamFault]) -> None:
    """What was said before an exception is given out, and the exception's fault comes with the next call."""
    decoder = reader()
    chunks = decoder.feed(delta({"text": "a"}) + message("exception", name, b'{"message":"why"}'))
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [{"content": "a"}]
    assert decoder.done
    with pytest.raises(kind):
        decoder.finish()


def test_an_error_message_is_a_fault() -> None:
    """The third kind of message has its words in headers."""
    with pytest.raises(UpstreamUnavailable):
        reader().feed(message("error", "InternalError", b"", error_message="oops"))


def test_an_error_in_place_of_an_answer_is_its_fault() -> None:
    """A 200 that holds no output is the error it states, or no answer."""
    with pytest.raises(UpstreamRateLimited):
        reader().reply(b'{"__type":"com.amazon#ThrottlingException","message":"slow down"}')
    with pytest.raises(UpstreamBadResponse):
        reader().reply(b'{"usage":{}}')


ODD: list[Any] = [None, 7, -1, 1.5, True, "x", [], {}, [[]], [None], {"a": {}}, 10**30, "\ud800"]
json_values = st.recursive(st.sampled_from(ODD[:-1]), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
NAMES = ("text", "toolUse", "input", "name", "toolUseId", "reasoningContent", "citation", "image", "source", "bytes")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["contentBlockDelta", "contentBlockStart", "contentBlockStop", "messageStop", "metadata"]),
    st.dictionaries(
        st.sampled_from(("contentBlockIndex", "delta", "start", "usage", "stopReason", "serviceTier", "trace")),
        json_values | st.dictionaries(st.sampled_from(NAMES), json_values),
    ),
)
def test_hostile_events_are_faults_and_nothing_else(name: str, payload: dict[str, Any]) -> None:
    """Wrong types anywhere in an event give an `UpstreamFault`, or chunks that are well formed."""
    decoder = reader(custom=("shell",))
    try:
        chunks = decoder.feed(event(name, payload) + STOP) + decoder.finish()
    except UpstreamFault:
        return
    assert all(isinstance(chunk["choices"][0]["delta"], dict) for chunk in chunks)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), json_values)), json_values, json_values)
def test_hostile_replies_are_faults_and_nothing_else(blocks: list[Any], usage: Any, reason: Any) -> None:
    """Wrong types anywhere in a whole answer give an `UpstreamFault`, or a reply that JSON can carry."""
    body = {"output": {"message": {"content": blocks}}, "stopReason": reason, "usage": usage}
    try:
        reply = reader().reply(msgspec.json.encode(body))
    except UpstreamFault:
        return
    assert msgspec.json.encode(reply)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"NaN", b'{"output":NaN}', b"[" * 100_000, b"\xff"])
def test_what_is_no_json_is_a_fault(body: bytes) -> None:
    """A body that is no JSON object is refused, whole or as an event."""
    with pytest.raises(UpstreamBadResponse):
        reader().reply(body)
    with pytest.raises(UpstreamBadResponse):
        reader().feed(message("event", "messageStart", body))
