"""Our side of a stream: whatever chunks come in, the events that go out suit every client."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dialects.canon import LINE_BYTES, Judged, events_of, judge
from tollhouse.dialects.openai import ChatStream
from tollhouse.errors import UpstreamBadResponse, UpstreamInterrupted

ID = "chatcmpl-0123456789abcdefghijklmnopqrs"
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def chunk(delta: dict[str, Any], reason: str | None = None, index: int = 0, **extras: Any) -> dict[str, Any]:
    """A chunk of a host, as decoders give it."""
    choice = {"index": index, "delta": delta, "finish_reason": reason} | extras.pop("choice", {})
    return {"id": "x", "object": "?", "created": 0, "model": "theirs", "choices": [choice], **extras}


def stream(*chunks: dict[str, Any], usage: bool = False) -> Judged:
    """What a client has after a whole stream of these chunks, each rule of a canonical stream asserted."""
    writer = ChatStream(ID, 1_760_000_000, "fast-chat", usage)
    return judge(writer.encode(chunks) + writer.end(USAGE), include_usage=usage)


def test_every_chunk_has_our_identity() -> None:
    """Id, time and model are ours on every chunk, whatever the host put there."""
    judged = stream(chunk({"role": "assistant", "content": ""}), chunk({"content": "Hi"}), chunk({}, "stop"))
    assert {(one["id"], one["created"], one["model"]) for one in judged.chunks} == {(ID, 1_760_000_000, "fast-chat")}
    assert [one["choices"][0]["delta"] for one in judged.chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "Hi"},
        {},
    ]


def test_role_comes_first_and_once() -> None:
    """A host that repeats the role, or begins with text, still gives one opening delta and the same text."""
    judged = stream(
        chunk({"role": "assistant", "content": "I"}),
        chunk({"role": "assistant", "content": " am"}),
        chunk({"role": "", "content": " here"}, "stop"),
    )
    assert judged.choices[0].content == "I am here"
    assert judged.chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("model_length", "length"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("eos", "stop"),
        ("error", "stop"),
        ("insufficient_system_resource", "stop"),
        ("end_turn", "stop"),
        ("tool_calls", "stop"),
        ("never heard of", "stop"),
    ],
)
def test_finish_reasons_are_openais(word: str, reason: str) -> None:
    """A host's own word for the end becomes one of OpenAI's; without a call it is never tool_calls."""
    assert stream(chunk({"content": "x"}), chunk({}, word)).choices[0].finish_reason == reason


@pytest.mark.parametrize(("word", "reason"), [("stop", "tool_calls"), ("tool_use", "tool_calls"), ("length", "length")])
def test_calls_decide_the_finish_reason(word: str, reason: str) -> None:
    """Whoever was given a tool call is told tool_calls, unless the answer was cut off."""
    call = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    assert stream(chunk({"tool_calls": [call]}, word)).choices[0].finish_reason == reason


def test_the_first_finish_reason_counts_and_nothing_follows_it() -> None:
    """Text, annotations and second reasons after a finish reason come before the one terminal chunk."""
    judged = stream(
        chunk({"content": "a"}, "length"),
        chunk({"content": "b"}, "stop"),
        chunk({}, None, choice={"content_filter_offsets": {"check_offset": 1}}),
    )
    assert judged.choices[0].content == "ab"
    assert judged.choices[0].finish_reason == "length"
    assert judged.choices[0].extras["content_filter_offsets"] == {"check_offset": 1}


def test_choices_interleave() -> None:
    """Each of n choices has its own opening, text and terminal, also when one chunk holds several."""
    both = chunk({"content": "a"})
    both["choices"].append({"index": 1, "delta": {"content": "b"}, "finish_reason": None})
    judged = stream(both, chunk({"content": "B"}, index=1), chunk({"content": "A"}), chunk({}, "length", index=1))
    assert {index: said.content for index, said in judged.choices.items()} == {0: "aA", 1: "bB"}
    assert {index: said.finish_reason for index, said in judged.choices.items()} == {0: "stop", 1: "length"}


def test_usage_only_when_asked_for() -> None:
    """With include_usage ordinary chunks say null and one last chunk without choices has it; else it is nowhere."""
    assert stream(chunk({"content": "x"}), usage=True).usage == USAGE
    assert stream(chunk({"content": "x"}), usage=False).usage is None


@pytest.mark.parametrize(
    "raw",
    [{}, {"prompt_tokens": -1, "completion_tokens": 2.5}, {"prompt_tokens": "9", "total_tokens": 10**30}, None],
)
def test_usage_is_always_three_integers(raw: dict[str, Any] | None) -> None:
    """Nonsense in a host's usage never reaches a client that parses the counts as unsigned integers."""
    writer = ChatStream(ID, 1, "m", include_usage=True)
    judged = judge(writer.encode([chunk({"content": "some words"})]) + writer.end(raw), include_usage=True)
    assert judged.usage is not None
    assert judged.usage["total_tokens"] == judged.usage["prompt_tokens"] + judged.usage["completion_tokens"]


def test_vendor_fields_ride_along() -> None:
    """Members that OpenAI does not know, of chunk, choice and delta, reach the client once each."""
    judged = stream(
        chunk({"role": "assistant", "content": "a", "reasoning_content": "r"}, x_host={"id": 1}),
        chunk({"content": "b"}, choice={"logprobs": {"content": [1]}}, system_fingerprint="fp"),
        chunk({}, "stop", choice={"content_filter_results": {"hate": {}}}, service_tier="flex"),
    )
    said = judged.choices[0]
    assert said.texts == {"content": "ab", "reasoning_content": "r"}
    assert said.extras == {"logprobs": {"content": [1]}, "content_filter_results": {"hate": {}}}
    assert judged.envelope == {"x_host": {"id": 1}, "system_fingerprint": "fp", "service_tier": "flex"}
    assert sum("x_host" in one for one in judged.chunks) == 1


def test_a_chunk_without_choices_gets_one() -> None:
    """Azure's first chunk has filter results and no choices: clients that read choices[0] unguarded must not break."""
    judged = stream({"choices": [], "prompt_filter_results": [1]}, chunk({"content": "x"}))
    assert judged.envelope == {"prompt_filter_results": [1]}


def test_nulls_are_left_out() -> None:
    """Null calls, null function calls and errors of null are not passed on: clients take them for something."""
    judged = stream(
        chunk({"role": "assistant", "content": None, "tool_calls": None, "function_call": None}, error=None),
        chunk({"content": "x", "tool_calls": [], "function_call": {"name": "", "arguments": ""}, "refusal": ""}),
    )
    assert judged.choices[0].content == "x"
    assert all(one["choices"][0]["delta"].keys() <= {"role", "content"} for one in judged.chunks)


def test_legacy_function_calls_pass() -> None:
    """A host that still answers with function_call reaches a client that asked for functions."""
    judged = stream(
        chunk({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    )
    deltas = [one["choices"][0]["delta"].get("function_call") for one in judged.chunks]
    assert deltas == [None, {"name": "f", "arguments": ""}, {"arguments": "{}"}, None]
    assert judged.choices[0].finish_reason == "function_call"


@pytest.mark.parametrize("text", ["x" * 200_000, "\x01" * 50_000, "漢" * 100_000, "\U0001f680" * 40_000])
@pytest.mark.parametrize("first", [True, False])
def test_long_texts_are_split(text: str, first: bool) -> None:
    """No line is longer than 64 KiB where it is text that makes it so, whatever JSON makes of its characters."""
    delta = {"content": text, "reasoning_content": text}
    call = {"index": 0, "id": "a", "function": {"name": "f", "arguments": json.dumps(text)}}
    chunks = [] if first else [chunk({"role": "assistant", "content": ""})]
    chunks += [chunk(delta), chunk({"tool_calls": [call]}), chunk({"tool_calls": [call]})]
    writer = ChatStream(ID, 1, "m", include_usage=False)
    raw = writer.encode(chunks) + writer.end(None)
    assert max(map(len, raw.split(b"\n\n"))) <= LINE_BYTES
    said = judge(raw, include_usage=False).choices[0]
    assert said.texts == {"content": text, "reasoning_content": text}
    assert said.calls[0]["arguments"] == json.dumps(text) * 2


def test_opaque_members_are_never_cut() -> None:
    """An image, or a signature, is passed on whole: a piece of it would be of no use."""
    image = {"image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    judged = stream(chunk({"content": ""}), chunk({"images": [image], "thought_signature": "s" * 70_000}))
    assert judged.chunks[1]["choices"][0]["delta"]["images"] == [image]


def test_heartbeat_is_an_empty_delta() -> None:
    """A heartbeat is a chunk of this stream that says nothing, and opens the stream when nothing else has."""
    writer = ChatStream(ID, 1, "m", include_usage=True)
    raw = writer.heartbeat() + writer.heartbeat()
    raw += writer.encode([chunk({"role": "assistant", "content": "x"})]) + writer.heartbeat() + writer.end(USAGE)
    judged = judge(raw, include_usage=True)
    assert [one["choices"][0]["delta"] for one in judged.chunks[:-2]] == [
        {"role": "assistant", "content": ""},
        {},
        {"content": "x"},
        {},
    ]


def test_an_error_event_begins_with_error() -> None:
    """go-openai finds an error only in a line that begins with exactly data: {"error":, and no [DONE] follows."""
    raw = ChatStream.error_event(UpstreamInterrupted("It broke off.").body("req_1"))
    assert raw.startswith(b'data: {"error":{"message":"It broke off.","type":"upstream_error"')
    assert len(events_of(raw)) == 1


def test_an_empty_stream_is_still_a_stream() -> None:
    """A stream that never said anything has an opening, a terminal and [DONE]."""
    assert stream().choices[0].finish_reason == "stop"


def test_all_of_one_read_is_one_piece_of_bytes() -> None:
    """What encode gives is whole events only, and nothing at all while a finish reason is held back."""
    writer = ChatStream(ID, 1, "m", include_usage=False)
    assert len(events_of(writer.encode([chunk({"content": "a"}), chunk({"content": "b"})]))) == 3
    assert writer.encode([chunk({}, "stop")]) == b""
    assert writer.encode([]) == b""


def test_what_json_cannot_carry_is_the_upstreams_fault() -> None:
    """A chunk nested too deeply to be written is a bad response, never a crash."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(UpstreamBadResponse):
        stream(chunk({"content": "x"}, x=deep))


def test_the_tally_counts_what_was_said() -> None:
    """Text, reasoning, refusals and the arguments of calls all count towards the estimate, the envelope does not."""
    words = "one two three four five "
    tallies = []
    for delta in (
        {"content": words},
        {"reasoning_content": words},
        {"refusal": words},
        {"tool_calls": [{"index": 0, "function": {"name": "", "arguments": words}}]},
        {"function_call": {"arguments": words}},
    ):
        writer = ChatStream(ID, 1, "m", include_usage=False)
        writer.encode([chunk({"role": "assistant", "content": ""}, y="long " * 99), chunk(delta), chunk(dict(delta))])
        writer.end(None)
        tallies.append(writer.tally.tokens())
    assert min(tallies) >= 8
    assert max(tallies) <= 14


TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", "", None]),
        "content": st.none() | TEXTS,
        "reasoning_content": st.none() | TEXTS,
        "refusal": st.none() | TEXTS,
        "tool_calls": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.none() | st.integers(0, 3),
                    "id": st.none() | st.sampled_from(["", "a", "b"]),
                    "type": st.just("function"),
                    "function": st.fixed_dictionaries(
                        {}, optional={"name": st.sampled_from(["f", "g", ""]), "arguments": st.none() | TEXTS}
                    ),
                },
            ),
            max_size=3,
        ),
    },
)
REASON = st.none() | st.sampled_from(["stop", "length", "tool_calls", "x"])


@given(st.lists(st.tuples(st.integers(0, 2), DELTAS, REASON), max_size=12), st.booleans())
def test_any_chunks_make_a_canonical_stream(chunks: list[tuple[int, dict[str, Any], str | None]], usage: bool) -> None:
    """Whatever mix of deltas a host sends, the stream keeps every rule and loses no text."""
    wanted = {
        index: "".join([delta.get("content") or "" for at, delta, _ in chunks if at == index]) for index in range(3)
    }
    judged = stream(*[chunk(delta, reason, index) for index, delta, reason in chunks], usage=usage)
    assert {index: said.content for index, said in judged.choices.items() if said.content} == {
        index: text for index, text in wanted.items() if text
    }
